"""A Kubernetes cluster under test, the same whichever engine it runs on: kubectl, the official client, requests."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
import yaml
from kubernetes import client as kube
from kubernetes import config

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


def is_ready(pod: Json) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or ())


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
    """Every stock kubectl of this machine by its version ("1.32"): the PATH's, those beside it, and PyPI's."""
    folders = {Path(found).resolve().parent for name in ("kubectl",) if (found := shutil.which(name))}
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
