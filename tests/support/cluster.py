"""A swarm under test, the same whichever engine it runs on: its machines, the CLI, docker-py, raw requests."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import docker
import requests
from docker.models.services import Service

import labkit
from labkit.orchestrators.connection import docker_client
from support.until import until

WHOAMI = "traefik/whoami:v1.10"
WHOAMI_NEXT = "traefik/whoami:v1.10.1"
BUSYBOX = "busybox:1.36"
ALPINE = "alpine:3.20"
KEEP = "conformance.keep"  # a label: services that several tests look at
# Ten seconds is the default, and workloads that do not heed SIGTERM (busybox does not, as process 1) would use them up.
GRACE = 100_000_000

_CLIENT_VARIABLES = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONTEXT")


@dataclass(frozen=True)
class Output:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def text(self) -> str:
        return self.out.strip()

    @property
    def error(self) -> str:
        """What stands on stderr, without the CLI's own prefix, whose form differs by its age."""
        return self.err.strip().removeprefix("Error response from daemon: ")


class Host:
    """One machine of the swarm: a Docker engine with an endpoint of its own."""

    def __init__(self, name: str, env: dict[str, str], address: str) -> None:
        self.name = name
        self.env = env
        self.address = address

    def __repr__(self) -> str:
        return f"<Host {self.name}>"

    def cli(self, *arguments: str, check: bool = True, stdin: str | None = None, timeout: float = 60) -> Output:
        """Runs the stock docker CLI against this machine."""
        done = subprocess.run(
            ["docker", *arguments], env=self.environment, input=stdin, capture_output=True, text=True, timeout=timeout
        )
        output = Output(done.returncode, done.stdout, done.stderr)
        if check and output.code:
            raise AssertionError(f"docker {' '.join(arguments)}: exit {output.code}: {output.err or output.out}")
        return output

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, left running (`events`, `logs -f`); the caller ends it."""
        return subprocess.Popen(
            ["docker", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {key: value for key, value in os.environ.items() if key not in _CLIENT_VARIABLES} | self.env

    @cached_property
    def client(self) -> docker.DockerClient:
        return docker_client(self.env, timeout=30)

    @cached_property
    def api(self) -> docker.APIClient:
        return self.client.api

    def raw(self, method: str, path: str, version: str = "1.41", **options: Any) -> requests.Response:
        """A request as it stands; `version` "" asks without one. Options are those of `requests`."""
        prefix = f"/v{version}" if version else ""
        options.setdefault("timeout", 30)
        return self.api.request(method, f"{self.api.base_url}{prefix}{path}", **options)

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET at API 1.41, which every engine under test speaks."""
        answer = self.raw("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def info(self) -> dict[str, Any]:
        return self.client.info()

    def containers(self, **filters: Any) -> list[dict[str, Any]]:
        return self.api.containers(all=True, filters=filters)

    def close(self) -> None:
        for name in ("api", "client"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()


class Cluster:
    """The swarm. Made once for all tests of an engine; :meth:`reset` after each puts back what a test has changed."""

    def __init__(self, sandbox: labkit.Sandbox) -> None:
        self.sandbox = sandbox
        self.engine = sandbox.engine
        self.hosts = {m.name: Host(m.name, dict(m.env), m.address) for m in sandbox.machines}
        self.manager = next(iter(self.hosts.values()))
        self.managers = [host for name, host in self.hosts.items() if name.startswith("manager")]
        self.workers = [host for name, host in self.hosts.items() if name.startswith("worker")]
        # (20, 10): what an engine says differs by it; see words.py.
        self.version = tuple(int(part) for part in self.client.version()["Version"].split(".")[:2])
        self._numbers = itertools.count(1)
        self._ports = itertools.count(8100)

    # -- asking ----------------------------------------------------------------------------------------------------

    @property
    def client(self) -> docker.DockerClient:
        return self.manager.client

    @property
    def api(self) -> docker.APIClient:
        return self.manager.api

    def cli(self, *arguments: str, **options: Any) -> Output:
        return self.manager.cli(*arguments, **options)

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Nodes by host name; one that left and came back counts as what it is now."""
        found = sorted(self.api.nodes(), key=lambda node: node["CreatedAt"])
        return {node["Description"]["Hostname"]: node for node in found}

    def node_id(self, name: str) -> str:
        return str(self.nodes()[name]["ID"])

    def host_of(self, task: dict[str, Any]) -> Host:
        for name, node in self.nodes().items():
            if node["ID"] == task["NodeID"]:
                return self.hosts[name]
        raise LookupError(f"no node {task['NodeID']}")

    def tasks(self, service: Service | str, **filters: Any) -> list[dict[str, Any]]:
        """A service's tasks, oldest first."""
        name = service if isinstance(service, str) else service.id
        found = self.api.tasks(filters={"service": name, **filters})
        return sorted(found, key=lambda task: task["CreatedAt"])

    def running(self, service: Service | str, count: int, timeout: float = 30) -> list[dict[str, Any]]:
        """Waits until so many tasks run, and no other is wanted; returns them by slot."""

        def look() -> list[dict[str, Any]] | None:
            wanted = [task for task in self.tasks(service) if task["DesiredState"] in ("running", "ready")]
            states = [task["Status"]["State"] for task in wanted]
            assert states == ["running"] * count, states
            return wanted or [{}]

        found = until(look, timeout, f"{count} tasks of {service} running")
        return sorted((task for task in found if task), key=lambda task: task.get("Slot", 0))

    def settled(self, service: Service | str, state: str, count: int = 1, timeout: float = 30) -> list[dict[str, Any]]:
        """Waits until at least so many of a service's tasks are in a state."""

        def look() -> list[dict[str, Any]]:
            tasks = self.tasks(service)
            found = [task for task in tasks if task["Status"]["State"] == state]
            assert len(found) >= count, [(task["Status"]["State"], task["Status"].get("Err")) for task in tasks]
            return found

        return until(look, timeout, f"{count} tasks {state}")

    def pending(self, service: Service | str) -> str:
        """Waits until the scheduler says why a task cannot be placed, and returns its words."""
        task = until(
            lambda: next(
                (t for t in self.tasks(service) if t["Status"]["State"] == "pending" and t["Status"].get("Err")), None
            ),
            what="a task pending with a reason",
        )
        assert task is not None
        return str(task["Status"]["Err"])

    def container_of(self, task: dict[str, Any]) -> tuple[Host, str]:
        return self.host_of(task), str(task["Status"]["ContainerStatus"]["ContainerID"])

    # -- acting ----------------------------------------------------------------------------------------------------

    def name(self, word: str = "t") -> str:
        return f"{word}-{next(self._numbers)}"

    def port(self) -> int:
        """A port that no other test publishes: a container that is still going would hold it."""
        return next(self._ports)

    def create(self, image: str = WHOAMI, **options: Any) -> Service:
        """A service through docker-py; `name` is chosen if none is given."""
        options.setdefault("name", self.name())
        options.setdefault("stop_grace_period", GRACE)
        replicas = options.pop("replicas", None)
        if replicas is not None:
            options["mode"] = docker.types.ServiceMode("replicated", replicas)
        return self.client.services.create(image, **options)

    def create_cli(self, *flags: str, image: str = WHOAMI, command: Iterable[str] = (), check: bool = True) -> Output:
        """The same through the CLI, without waiting; prints the id. No registry is asked for a digest."""
        if "--stop-grace-period" not in flags:
            flags = (*flags, "--stop-grace-period", f"{GRACE}ns")
        return self.cli("service", "create", "-d", "-q", "--no-resolve-image", *flags, image, *command, check=check)

    def service_cli(self, *flags: str, image: str = WHOAMI, command: Iterable[str] = ()) -> dict[str, Any]:
        """Creates through the CLI and gives what the API has of it then."""
        return self.api.inspect_service(self.create_cli(*flags, image=image, command=command).text)

    def scale(self, service: Service | str, replicas: int) -> None:
        """Asks for another number of replicas and touches nothing else of the spec.

        docker-py's own `scale` writes every default into the spec, and tasks of another spec are replaced.
        """
        name = service if isinstance(service, str) else service.id
        found = self.api.inspect_service(name)
        spec = {**found["Spec"], "Mode": {"Replicated": {"Replicas": replicas}}}
        version = {"version": found["Version"]["Index"]}
        answer = self.manager.raw("POST", f"/services/{found['ID']}/update", params=version, json=spec)
        assert answer.status_code == 200, answer.text

    def update_node(self, name: str, **changes: Any) -> None:
        """Changes a node's spec, trying again when somebody else did so in between."""

        def attempt() -> bool:
            node = self.nodes()[name]
            spec = {**node["Spec"], **changes}
            try:
                return bool(self.api.update_node(node["ID"], node["Version"]["Index"], spec))
            except docker.errors.APIError as error:
                if "out of sequence" in str(error):
                    return False
                raise

        until(attempt, what=f"an update of {name}")

    def reset(self) -> None:
        """Removes services that are not kept, and makes every node an active one of its own role again."""
        for service in self.api.services():
            if KEEP not in service["Spec"].get("Labels", {}):
                self._try(lambda service=service: self.api.remove_service(service["ID"]))
        for name, node in self.nodes().items():
            spec = node["Spec"]
            role = name.split("-")[0]
            if spec["Availability"] != "active" or spec.get("Labels") or spec["Role"] != role or spec.get("Name"):
                self.update_node(name, Availability="active", Labels={}, Role=role, Name="")

    @staticmethod
    def _try(act: Callable[[], object]) -> None:
        try:
            act()
        except docker.errors.NotFound:
            pass

    def close(self) -> None:
        for host in self.hosts.values():
            host.close()
