"""One task on one host: the steps by which SwarmKit's agent takes it from an assignment to its end.

The words of the errors are those that ``docker service ps`` shows (moby's ``executor/container/controller.go``).
"""

from __future__ import annotations

import base64
import binascii
import logging
from typing import TYPE_CHECKING

from labkit.embedded.runtime.nodes import node
from labkit.embedded.swarm.agent.controller import TaskError
from labkit.embedded.swarm.errors import ApiError, Conflict, NotFound
from labkit.embedded.swarm.objects import Config, Json, Secret, Task

from . import taskconfig
from .container import Container
from .health import Check
from .localnetwork import LocalNetwork
from .networkdb import Endpoint
from .runner import NotModified
from .templates import TemplateError, context, expand_file

if TYPE_CHECKING:
    from .executor import Executor
    from .host import Host

log = logging.getLogger(__name__)

GOSSIP_DELAY = 2.0  # seconds between taking a task out of the mesh and stopping it, so that no client is cut off
_MODE = 0o444  # of a secret or config, as the clients ask for it unless told otherwise
UNHEALTHY = "dockerexec: unhealthy container"


class TaskController:
    """:class:`labkit.embedded.swarm.agent.controller.Controller` for a container of this host."""

    __slots__ = ("_executor", "_host", "_unhealthy", "task")

    def __init__(self, host: Host, executor: Executor, task: Task) -> None:
        self._host = host
        self._executor = executor
        self._unhealthy = False
        self.task = task

    @property
    def _name(self) -> str:
        return taskconfig.name(self.task)

    def _container(self) -> Container | None:
        return self._host.containers.named(self._name)

    # up -------------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Pull the image and create the container. Raises :class:`TaskError`, which rejects the task."""
        if self._container() is not None:
            return
        await self._pull()
        if self._container() is not None:
            return
        try:
            request = taskconfig.container_request(self.task, self._executor.description(), self._networks())
            container = self._host.containers.make(self._name, request, managed=True)
            self._put_secrets(container)
        except TemplateError as error:
            raise TaskError(str(error)) from None
        except ApiError as error:
            raise TaskError(error.message) from None

    async def _pull(self) -> None:
        """Always ask the registry, as the engine does: a tag may have moved. What fails here shows at the creation."""
        reference = taskconfig.image(self.task)
        if "@sha256:" in reference and self._has(reference):
            return
        try:
            await self._host.images.pull(reference)
        except ApiError as error:
            log.info("%s: pulling %s failed: %s", self._host.name, reference, error.message)

    def _has(self, reference: str) -> bool:
        try:
            self._host.images.find(reference)
        except ApiError:
            return False
        return True

    def _networks(self) -> dict[str, LocalNetwork]:
        known: dict[str, LocalNetwork] = {}
        for attachment in self.task.networks:
            network = self._executor.network(attachment["Network"])
            if network is None:
                raise TaskError(f"network {attachment['Network']} not found")
            known[network.id] = self._host.networks.know(network)
        return known

    def _put_secrets(self, container: Container) -> None:
        """Secrets and configs appear as files. Raises :class:`TemplateError` for one that is a template and fails."""
        spec = self.task.spec.get("ContainerSpec") or {}
        files: dict[str, bytes] = {}
        for kind, place in (("secret", "/run/secrets/"), ("config", "/")):
            for reference in spec.get(f"{kind.title()}s") or ():
                content = self._content(kind, reference)
                file = reference.get("File") or {}
                target = file.get("Name") or ""
                if target:
                    mode, owners = file.get("Mode", _MODE) & 0o7777, (str(file.get("UID")), str(file.get("GID")))
                    uid, gid = (int(one) if one.isdigit() else 0 for one in owners)
                    files[target if target.startswith("/") else place + target] = node(content, mode, uid, gid)
        for path, content in files.items():
            self._host.launcher.files(container).layer[path] = content

    def _content(self, kind: str, reference: Json, *, expanded: bool = True) -> bytes:
        """What a secret or config holds, filled in where it has a template driver."""
        cls: type[Secret] | type[Config] = Secret if kind == "secret" else Config
        identifier = reference.get(f"{cls.__name__}ID") or ""
        given = self._executor.given(cls, identifier)
        if given is None:
            raise TaskError(f"{kind} {identifier} not found")
        data = _decoded(str(given.get("Data") or ""))
        if not expanded or (given.get("Templating") or {}).get("Name") != "golang":
            return data
        env = (self.task.spec.get("ContainerSpec") or {}).get("Env") or []
        values = context(self.task, self._executor.description())
        try:
            return expand_file(data, values, env, self._read)
        except TemplateError as error:
            raise TemplateError(f"failed to expand templated {kind} {identifier}: {error}") from None

    def _read(self, kind: str, target: str) -> str | None:
        """Another secret or config of this task, by the file name that it has there."""
        for reference in (self.task.spec.get("ContainerSpec") or {}).get(f"{kind.title()}s") or ():
            if (reference.get("File") or {}).get("Name") == target:
                return self._content(kind, reference, expanded=False).decode("utf-8", "surrogateescape")
        return None

    async def start(self) -> None:
        """Start the container and, where there is a health check, wait until it is healthy."""
        container = self._container()
        if container is None:
            raise TaskError(f"No such container: {self._name}")
        if container.state == "created":
            try:
                await self._host.runner.start(container)
            except NotModified:
                pass
            except ApiError as error:
                code = getattr(error, "exit_code", None)
                raise TaskError(f"starting container failed: {error.message}", code) from None
        if Check.of(container.config) is not None:
            await self._until_healthy(container)
        elif container.running:
            self._activate(container)

    async def _until_healthy(self, container: Container) -> None:
        while container.running:
            if container.health_status == "healthy":
                self._activate(container)
                return
            if container.health_status == "unhealthy":
                self._unhealthy = True
                await self.shutdown()
                break
            await self._host.runner.monitor.changed(container)
        if container.exit_code:
            raise self._exit_error(container)

    def _exit_error(self, container: Container) -> TaskError:
        words = f"task: non-zero exit ({container.exit_code})"
        return TaskError(f"{words}: {UNHEALTHY}" if self._unhealthy else words, container.exit_code)

    # in the mesh ----------------------------------------------------------------------------------------------

    def _activate(self, container: Container) -> None:
        """Tell all hosts that the task may be reached; again after a restart, when nobody knows any more."""
        task = self.task
        if not task.service_id or not task.networks or not container.running:
            return
        ports = taskconfig.ingress_ports(task)
        listens = self._listening_ports(container)
        for network_id, ip in taskconfig.addresses(task).items():
            ingress = self._host.networks.is_ingress(network_id)
            self._host.world.networkdb.put(
                Endpoint(
                    swarm_id=self._host.swarm_id,
                    network_id=network_id,
                    service_id=task.service_id,
                    service_name=task.service_name,
                    task_id=task.id,
                    task_name=self._name,
                    ip=ip,
                    vip=taskconfig.virtual_ip(task, network_id),
                    machine=self._host.name,
                    ports=ports if ingress else (),
                    listens=() if ingress else listens,
                    aliases=taskconfig.aliases(task, network_id),
                    ingress=ingress,
                    container_id=container.id,
                )
            )

    def _listening_ports(self, container: Container) -> tuple[int, ...]:
        """TCP ports on which a client may call the service: published, exposed by the image, or open by now."""
        found = {int(port["TargetPort"]) for port in self.task.endpoint.get("Ports") or () if port.get("TargetPort")}
        for port in container.config.get("ExposedPorts") or {}:
            number, _, protocol = port.partition("/")
            if protocol in ("", "tcp"):
                found.add(int(number))
        if container.process is not None:
            found.update(container.process.ns.listeners)
        return tuple(sorted(found))

    def _deactivate(self) -> None:
        networks = [attachment["Network"] for attachment in self.task.networks]
        self._host.world.networkdb.remove_from(self.task.id, networks)

    # down -----------------------------------------------------------------------------------------------------

    async def wait(self) -> None:
        """Return when it exits with 0; raises :class:`TaskError` ``task: non-zero exit (137)`` for anything else."""
        container = self._container()
        if container is None:
            raise TaskError(f"No such container: {self._name}")
        try:
            if container.running:
                checked = Check.of(container.config) is not None
                if not checked or container.health_status == "healthy":
                    self._activate(container)
                if checked:
                    await self._watch_health(container)
                else:
                    await container.wait()
        finally:
            if not container.running:
                self._deactivate()
        if container.exit_code:
            raise self._exit_error(container)

    async def _watch_health(self, container: Container) -> None:
        while container.running:
            if container.health_status == "unhealthy":
                self._unhealthy = True
                await self.shutdown()
            else:
                await self._host.runner.monitor.changed(container)
                if container.health_status == "healthy":
                    self._activate(container)

    async def shutdown(self) -> None:
        """Take it out of the mesh, give clients time to notice, stop it with its grace period."""
        if self.task.networks:
            self._deactivate()
        container = self._container()
        if container is None or not container.running:
            return
        if self.task.networks:
            await self._host.world.clock.sleep(GOSSIP_DELAY)
        grace = (self.task.spec.get("ContainerSpec") or {}).get("StopGracePeriod")
        try:
            await self._host.runner.stop(container, None if grace is None else int(grace / 1e9))
        except NotModified:
            pass
        except ApiError as error:
            raise TaskError(error.message) from None
        self._forget_networks()

    async def terminate(self) -> None:
        """SIGKILL."""
        self._deactivate()
        container = self._container()
        if container is not None:
            try:
                await self._host.runner.end(container)
            except Conflict:
                pass  # it has just ended

    async def remove(self) -> None:
        """Shut it down if it still runs, and remove the container with its anonymous volumes."""
        await self.shutdown()
        container = self._container()
        if container is not None:
            try:
                await self._host.containers.remove(container, force=True, volumes=True)
            except (Conflict, NotFound):
                pass  # somebody else removes it
        self._forget_networks()

    def _forget_networks(self) -> None:
        for attachment in self.task.networks:
            self._host.networks.forget(attachment["Network"])

    def status(self) -> tuple[str, int, int | None, tuple[Json, ...]]:
        """Container id, pid, exit code (None before there is one), and ports published in host mode."""
        container = self._container()
        if container is None:
            return "", 0, None, ()
        ports: list[Json] = []
        for port, bindings in container.ports.items() if container.running else ():
            number, _, protocol = port.partition("/")
            ports += [
                {
                    "Protocol": protocol,
                    "TargetPort": int(number),
                    "PublishedPort": published,
                    "PublishMode": "host",
                }
                for ip, published in bindings or ()
                if taskconfig.host_ports(self.task)
            ]
        ended = container.finished_at and not container.running
        return container.id, container.pid, container.exit_code if ended or container.error else None, tuple(ports)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return text.encode()
