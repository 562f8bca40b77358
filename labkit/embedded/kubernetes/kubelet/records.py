"""What the container runtime of a machine knows: sandboxes (one a pod) and the containers in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labkit.embedded.kubernetes.kubelet.parts import Component
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.images.base import Image
from labkit.embedded.runtime.listeners import Listener
from labkit.embedded.runtime.logs import Log
from labkit.embedded.runtime.processes import Process

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.guests import Pause

LOST = 255  # the exit code of a container that nobody saw end


@dataclass(slots=True, eq=False)
class Container:
    """One life of one container. A restart makes another of the same name, with the next ``attempt``."""

    id: str
    name: str
    attempt: int
    sandbox: int  # the attempt of the sandbox that it was made in
    image: str  # as its status names it: docker.io/library/nginx:1.27
    image_id: str  # docker.io/library/nginx@sha256:…
    started: float = 0.0
    finished: float = 0.0
    exit_code: int | None = None  # None while it runs
    reason: str = ""
    message: str = ""
    spec_hash: int = 0  # of what it was made from: another one means that it has to be made anew
    log: Log | None = None
    process: Process | None = None
    family: Image | None = None
    component: Component | None = None
    killing: str = ""  # why somebody is ending it, "" while nobody is
    detached: bool = False  # it ran before the sandbox was restarted and has not been brought back yet

    @property
    def running(self) -> bool:
        return self.exit_code is None

    @property
    def uid(self) -> str:
        return f"containerd://{self.id}"


@dataclass(slots=True, eq=False)
class Sandbox:
    """A pod as the runtime sees it: its address and the containers that share it. Newest containers come last."""

    id: str
    uid: str
    namespace: str
    name: str
    ip: str
    hostname: str
    attempt: int = 0
    on_host: bool = False
    ready: bool = True  # it has its network; one that died keeps its address on record only
    containers: list[Container] = field(default_factory=list)
    ports: dict[int, list[Listener]] = field(default_factory=dict)
    host_ports: list[Listener] | None = None  # on the machine's address, leading here
    volumes: dict[str, Any] = field(default_factory=dict)  # name -> Layer
    processes: Pause | None = None  # the namespace that its containers share, if they do

    def latest(self, name: str) -> Container | None:
        """The newest container of that name."""
        for container in reversed(self.containers):
            if container.name == name:
                return container
        return None

    def current(self, name: str) -> Container | None:
        """The newest container of that name, if it was made in this sandbox and not in one that died before."""
        found = self.latest(name)
        return found if found is not None and found.sandbox == self.attempt else None

    def previous(self, name: str) -> Container | None:
        """The one before the newest, whose log and end are kept."""
        found = [container for container in self.containers if container.name == name]
        return found[-2] if len(found) > 1 else None

    def running(self) -> list[Container]:
        return [container for container in self.containers if container.running]

    def row(self) -> Json:
        """For storage."""
        return {
            "id": self.id,
            "uid": self.uid,
            "namespace": self.namespace,
            "name": self.name,
            "ip": self.ip,
            "hostname": self.hostname,
            "attempt": self.attempt,
            "on_host": self.on_host,
            "ready": self.ready,
            "containers": [
                {
                    "id": one.id,
                    "name": one.name,
                    "attempt": one.attempt,
                    "sandbox": one.sandbox,
                    "image": one.image,
                    "image_id": one.image_id,
                    "started": one.started,
                    "finished": one.finished,
                    "exit_code": one.exit_code,
                    "reason": one.reason,
                    "message": one.message,
                    "spec_hash": one.spec_hash,
                }
                for one in self.containers
            ],
        }

    @classmethod
    def of(cls, row: Json) -> Sandbox:
        """From storage. What ran is to be brought back: ``detached``."""
        rest = {key: value for key, value in row.items() if key != "containers"}
        made = cls(**rest)
        for one in row["containers"]:
            made.containers.append(Container(**one, detached=one["exit_code"] is None))
        return made
