"""A Kubernetes cluster under test, the same whichever engine it runs on: kubectl, the official client, requests."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from kubernetes import client as kube
from kubernetes import config
from kubernetes.stream import stream
from kubernetes.stream.ws_client import WSClient

import labkit
from support.cluster import Output
from support.until import until

Json = dict[str, Any]

WHOAMI = "traefik/whoami:v1.10"
WHOAMI_NEXT = "traefik/whoami:v1.10.1"
BUSYBOX = "busybox:1.36"
NGINX = "nginx:1.27"

# Resources and the API versions in which one engine or the other serves them, best first.
VERSIONS = {
    "EndpointSlice": ("discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"),
    "PodDisruptionBudget": ("policy/v1", "policy/v1beta1"),
    "Eviction": ("policy/v1", "policy/v1beta1"),
}

# Where each resource is served; those of VERSIONS by what the engine has.
GROUPS = {
    "apps/v1": ("deployments", "replicasets", "daemonsets", "statefulsets", "controllerrevisions"),
    "batch/v1": ("jobs",),
    "scheduling.k8s.io/v1": ("priorityclasses",),
    "coordination.k8s.io/v1": ("leases",),
}
RESOURCES = {plural: version for version, plurals in GROUPS.items() for plural in plurals}
BY_VERSION = {"endpointslices": "EndpointSlice", "poddisruptionbudgets": "PodDisruptionBudget"}
CLUSTER_WIDE = ("namespaces", "nodes", "priorityclasses")
PATCHES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class KubeCluster:
    """The cluster. Made once for all tests of an engine; each test has namespaces of its own (:meth:`namespace`)."""

    def __init__(self, sandbox: labkit.Sandbox) -> None:
        self.sandbox = sandbox
        self.engine = sandbox.engine
        self.kubeconfig = sandbox.env["KUBECONFIG"]
        self.workers = [m.name for m in sandbox.machines if m.role == "worker"]
        self.control_plane = next(m.name for m in sandbox.machines if m.role == "control-plane")
        self.addresses = {m.name: m.address for m in sandbox.machines}
        self._numbers = itertools.count(1)

    # -- clients ---------------------------------------------------------------------------------------------------

    @cached_property
    def api(self) -> kube.ApiClient:
        return config.new_client_from_config(config_file=self.kubeconfig)

    @cached_property
    def core(self) -> kube.CoreV1Api:
        return kube.CoreV1Api(self.api)

    @cached_property
    def apps(self) -> kube.AppsV1Api:
        return kube.AppsV1Api(self.api)

    @cached_property
    def batch(self) -> kube.BatchV1Api:
        return kube.BatchV1Api(self.api)

    @cached_property
    def version(self) -> tuple[int, int]:
        """(1, 20): what an engine says differs by it."""
        told = self.get("/version")
        return int(told["major"]), int(told["minor"].rstrip("+"))

    def api_version(self, kind: str) -> str:
        """The version in which this engine serves a kind of :data:`VERSIONS`."""
        served = {v["groupVersion"] for group in self.get("/apis")["groups"] for v in group["versions"]}
        return next(version for version in VERSIONS[kind] if version in served)

    def kubectl(
        self, *arguments: str, check: bool = True, stdin: str | Json | None = None, timeout: float = 60,
        binary: str = "kubectl",
    ) -> Output:  # fmt: skip
        """Runs a stock kubectl against this cluster; an object for `stdin` is given as JSON."""
        text = json.dumps(stdin) if isinstance(stdin, dict) else stdin
        done = subprocess.run(
            [shutil.which(binary) or binary, *arguments],
            env=self.environment, input=text, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        output = Output(done.returncode, done.stdout, done.stderr)
        if check and output.code:
            raise AssertionError(f"kubectl {' '.join(arguments)}: exit {output.code}: {output.err or output.out}")
        return output

    def start(self, *arguments: str, binary: str = "kubectl") -> subprocess.Popen[str]:
        """The same, left running (`port-forward`, `logs -f`, `get -w`); the caller ends it."""
        return subprocess.Popen(
            [shutil.which(binary) or binary, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"KUBECONFIG": self.kubeconfig}

    # -- requests as they stand --------------------------------------------------------------------------------------

    @cached_property
    def _access(self) -> tuple[str, requests.Session]:
        """The server and a session that trusts it and carries the administrator's certificate."""
        configuration = self.api.configuration
        session = requests.Session()
        session.trust_env = False
        session.verify = configuration.ssl_ca_cert
        session.cert = (configuration.cert_file, configuration.key_file)
        return configuration.host, session

    def raw(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request as it stands. Options are those of `requests`."""
        host, session = self._access
        options.setdefault("timeout", 30)
        return session.request(method, host + path, **options)

    def get(self, path: str, **params: Any) -> Json:
        """The JSON of a GET."""
        answer = self.raw("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def refusal(self, method: str, path: str, **options: Any) -> Json:
        """The Status of a request that must be refused."""
        answer = self.raw(method, path, **options)
        assert answer.status_code >= 400, answer.text
        status: Json = answer.json()
        assert status["kind"] == "Status"
        assert status["code"] == answer.status_code
        return status

    def path(self, plural: str, namespace: str = "", name: str = "", part: str = "") -> str:
        """``/apis/apps/v1/namespaces/default/deployments/web/scale`` of its parts."""
        version = self.api_version(BY_VERSION[plural]) if plural in BY_VERSION else RESOURCES.get(plural, "v1")
        where = f"namespaces/{namespace}/" if namespace and plural not in CLUSTER_WIDE else ""
        base = f"/{'apis' if '/' in version else 'api'}/{version}/{where}{plural}"
        return "/".join([base, *([name] if name else []), *([part] if part else [])])

    def create(self, namespace: str, body: Json, **params: Any) -> Json:
        """Creates an object by what its `kind` says."""
        kind = body["kind"].lower()
        plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}es" if kind.endswith("s") else f"{kind}s"
        plural = "endpoints" if kind == "endpoints" else plural
        answer = self.raw("POST", self.path(plural, namespace), json=body, params=params)
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made

    def patch(self, path: str, body: Any, how: str = "merge", **params: Any) -> Json:
        """Patches the object at a path, by default with a merge patch."""
        answer = self.raw(
            "PATCH", path, data=json.dumps(body), headers={"Content-Type": PATCHES[how]}, params=params
        )  # fmt: skip
        assert answer.status_code in (200, 201), answer.text
        patched: Json = answer.json()
        return patched

    def put(self, path: str, body: Json, **params: Any) -> Json:
        answer = self.raw("PUT", path, json=body, params=params)
        assert answer.status_code in (200, 201), answer.text
        found: Json = answer.json()
        return found

    def delete(self, path: str, **options: Any) -> Json:
        """Deletes with these DeleteOptions and gives the answer, whose code is 200 or 202."""
        answer = self.raw("DELETE", path, json=options or None)
        assert answer.status_code in (200, 202), answer.text
        found: Json = answer.json()
        return found

    def gone(self, path: str, timeout: float = 60) -> None:
        """Waits until nothing is at a path."""
        until(lambda: self.raw("GET", path).status_code == 404, timeout, f"{path} is gone")

    @contextmanager
    def watch(self, path: str, **params: Any) -> Iterator[Events]:
        """The events of a watch; it ends with the block."""
        asked = {"watch": "true", **params}
        # The first event may be long in coming, and between two of them nothing is sent.
        answer = self.raw("GET", path, params=asked, stream=True, timeout=(10, 60))
        try:
            assert answer.status_code == 200, answer.text
            yield Events(answer)
        finally:
            answer.close()

    def needs(self, version: tuple[int, int], what: str) -> None:
        """Skips where the engine is older than what a test is about."""
        if self.version < version:
            served = ".".join(map(str, self.version))
            pytest.skip(f"{what} came with Kubernetes {version[0]}.{version[1]}; this one is {served}")

    def context(self) -> ssl.SSLContext:
        """For clients that want an SSLContext (websockets)."""
        configuration = self.api.configuration
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
        return context

    # -- the cluster -------------------------------------------------------------------------------------------------

    def name(self, word: str = "t") -> str:
        return f"{word}-{next(self._numbers)}"

    def namespace(self) -> str:
        """A new namespace, as soon as pods can be made in it (its service account is there)."""
        name = f"{self.name('ns')}-{os.getpid()}"
        self.core.create_namespace({"metadata": {"name": name}})
        until(lambda: self._has_account(name), 30, f"the default service account of {name}")
        return name

    def _has_account(self, namespace: str) -> bool:
        answer = self.raw("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
        # 1.24 and newer make no secret for it; before, pods have to wait until the token is there.
        return answer.status_code == 200 and (self.version >= (1, 24) or bool(answer.json().get("secrets")))

    def drop(self, namespace: str) -> None:
        """Deletes a namespace and does not wait: its pods are asked to go at once."""
        path = f"/api/v1/namespaces/{namespace}"
        self.raw("DELETE", f"{path}/pods", json={"gracePeriodSeconds": 0})
        self.raw("DELETE", path)

    def pods(self, namespace: str, **labels: str) -> list[Json]:
        """The pods with these labels, oldest first."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        items: list[Json] = self.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)["items"]
        return sorted(items, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))

    def ready_pods(self, namespace: str, count: int, timeout: float = 60, **labels: str) -> list[Json]:
        """Waits until exactly so many pods are there, all ready and none going."""

        def look() -> list[Json]:
            pods = self.pods(namespace, **labels)
            states = [(p["metadata"]["name"], p["status"].get("phase"), is_ready(p), going(p)) for p in pods]
            assert len(pods) == count, states
            assert all(is_ready(p) and not going(p) for p in pods), states
            return pods or [{}]

        return [pod for pod in until(look, timeout, f"{count} ready pods in {namespace}") if pod]

    def run(self, namespace: str, body: Json, timeout: float = 60) -> Json:
        """Creates a pod and waits until it is ready."""
        made = self.create(namespace, body)
        return self.object(self.path("pods", namespace, made["metadata"]["name"]), is_ready, timeout, "a ready pod")

    def ended(self, namespace: str, name: str, phase: str = "Succeeded", timeout: float = 60) -> Json:
        """Waits until a pod has come to its end in this phase."""
        path = self.path("pods", namespace, name)
        return self.object(path, lambda pod: pod["status"].get("phase") == phase, timeout, f"{name} {phase}")

    def logs(self, namespace: str, name: str, **params: Any) -> str:
        answer = self.raw("GET", self.path("pods", namespace, name, "log"), params=params)
        assert answer.status_code == 200, answer.text
        return answer.text

    def exec(self, namespace: str, name: str, *command: str, container: str = "", check: bool = True) -> Output:
        """Runs a command in a pod's container through the official client's WebSocket."""
        wanted = {"container": container} if container else {}
        with self.streaming() as core:
            socket = stream(
                core.connect_get_namespaced_pod_exec, name, namespace, command=list(command), stdin=False,
                stdout=True, stderr=True, tty=False, _preload_content=False, **wanted,
            )  # fmt: skip
            output = told(socket)
        assert output.code == 0 or not check, (command, output)
        return output

    @contextmanager
    def streaming(self) -> Iterator[kube.CoreV1Api]:
        """An API of its own: `stream` patches the client that it is given while it runs."""
        with config.new_client_from_config(config_file=self.kubeconfig) as api:
            yield kube.CoreV1Api(api)

    def ask(self, namespace: str, name: str, url: str, check: bool = True) -> str:
        """What a pod gets from a URL: a web server's answer.

        With `check` off "" if it gets none in three seconds; with it an answer has to come, however busy the machine.
        """
        url = url if "://" in url else f"http://{url}"
        return self.exec(namespace, name, "timeout", "20" if check else "3", "wget", "-q", "-O-", url, check=check).out

    def answers(self, namespace: str, name: str, url: str, count: int = 12) -> list[str]:
        """The host names of the pods that answer so many requests of one pod; "" for those without an answer."""
        script = f'for i in $(seq {count}); do timeout 3 wget -q -O- "$0" | grep -i ^hostname: || echo none; done'
        lines = self.exec(namespace, name, "sh", "-c", script, f"http://{url}", check=False).out.splitlines()
        return ["" if line == "none" else line.split(":")[1].strip() for line in lines]

    def object(self, path: str, holds: Callable[[Json], object], timeout: float = 60, what: str = "") -> Json:
        """Waits until the object at a path holds what is wanted of it (returns something true, raises nothing)."""

        def look() -> Json | None:
            found = self.get(path)
            return found if holds(found) else None

        return until(look, timeout, what or path)

    def events(self, namespace: str, name: str) -> list[tuple[str, str]]:
        """(reason, message) of the events about an object."""
        found = self.get(f"/api/v1/namespaces/{namespace}/events", fieldSelector=f"involvedObject.name={name}")
        return [(event["reason"], event["message"]) for event in found["items"]]

    def close(self) -> None:
        if "_access" in self.__dict__:
            self._access[1].close()
        if "api" in self.__dict__:
            self.api.close()


class Events:
    """The events of one watch, as they come."""

    def __init__(self, answer: requests.Response) -> None:
        self._lines = answer.iter_lines()

    def next(self) -> tuple[str, Json]:
        """The next event: its type and its object. AssertionError when the watch has ended."""
        line = next(self._lines, None)
        assert line is not None, "the watch has ended"
        event = json.loads(line)
        return event["type"], event["object"]

    def named(self, count: int) -> list[tuple[str, str]]:
        """(type, name) of the next so many events."""
        return [(kind, found["metadata"]["name"]) for kind, found in (self.next() for _ in range(count))]

    def rest(self) -> list[tuple[str, Json]]:
        """All events until the server ends the watch."""
        events = (json.loads(line) for line in self._lines)
        return [(event["type"], event["object"]) for event in events]


def told(socket: WSClient, timeout: float = 30) -> Output:
    """What a command on a WebSocket printed until it ended, and its exit code."""
    out, err = [], []
    deadline = time.monotonic() + timeout
    while socket.is_open() and time.monotonic() < deadline:
        socket.update(timeout=1)
        if socket.peek_stdout():
            out.append(socket.read_stdout())
        if socket.peek_stderr():
            err.append(socket.read_stderr())
    assert not socket.is_open(), f"still running after {timeout:g} s: {''.join(out)}"
    return Output(socket.returncode, "".join(out), "".join(err))


def condition(found: Json, kind: str) -> Json:
    """An object's condition by its type; an empty one if it has none."""
    return next((c for c in found["status"].get("conditions") or () if c["type"] == kind), {})


def is_ready(pod: Json) -> bool:
    return condition(pod, "Ready").get("status") == "True"


def going(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def pod(name: str = "p", image: str = BUSYBOX, *command: str, **spec: Any) -> Json:
    """A pod of one container that ends quickly when asked to."""
    container: Json = {"name": "c", "image": image, "imagePullPolicy": "IfNotPresent"}
    if command:
        container["command"] = list(command)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def container(name: str = "c", image: str = BUSYBOX, *command: str, **fields: Any) -> Json:
    """One more container for a pod."""
    made: Json = {"name": name, "image": image, "imagePullPolicy": "IfNotPresent", **fields}
    return made | ({"command": list(command)} if command else {})


def service(name: str = "web", port: int = 80, **spec: Any) -> Json:
    """A Service for the pods that carry ``app: NAME``."""
    spec = {"selector": {"app": name}, "ports": [{"port": port}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def config_map(name: str, labels: dict[str, str] | None = None, /, **data: str) -> Json:
    meta: Json = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def deployment(name: str = "web", replicas: int = 1, image: str = WHOAMI, **spec: Any) -> Json:
    """A Deployment of one container whose pods carry ``app: NAME`` and end quickly."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": image, "imagePullPolicy": "IfNotPresent"}],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }


def manifests(objects: Iterable[Json]) -> str:
    """Several objects as one YAML text."""
    return yaml.safe_dump_all(objects, sort_keys=False)


def kubectls() -> dict[str, str]:
    """Every stock kubectl of this machine by its version ("1.32"): those of the PATH, those beside them, and PyPI's."""
    paths = (Path(folder, "kubectl") for folder in os.get_exec_path())
    folders = {path.resolve().parent for path in paths if path.is_file()}
    names = [str(path) for folder in sorted(folders) for path in sorted(folder.glob("kubectl*"))]
    names.append(str(Path(sys.executable).with_name("kubectl")))
    versions: dict[str, str] = {}
    for name in names:
        try:
            done = subprocess.run(
                [name, "version", "--client", "-o", "json"], capture_output=True, timeout=10, check=True
            )
            told = json.loads(done.stdout)["clientVersion"]
        except (OSError, ValueError, KeyError, subprocess.SubprocessError):
            continue
        if "dispatcher" not in told["gitVersion"]:
            versions.setdefault(f"{told['major']}.{told['minor'].rstrip('+')}", name)
    return versions
