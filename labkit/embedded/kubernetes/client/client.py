"""A component's client: the registry's verbs, done as somebody, from some machine, through the door.

Every method is a coroutine because a call may have to wait for a paused machine or a slow wire; most return without
ever suspending. Arguments and errors are those of :class:`labkit.embedded.kubernetes.registry.Registry`; each method
may raise :class:`~labkit.embedded.kubernetes.client.door.Unreachable` besides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labkit.embedded.kubernetes.client.door import Door
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, key_of
from labkit.embedded.kubernetes.registry import DeleteOptions, Registry, WriteOptions
from labkit.embedded.kubernetes.users import User
from labkit.embedded.runtime.clock import Clock

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry import Listing, Watch

COMPONENT_GROUPS = ("system:authenticated",)
ACCOUNT_GROUPS = ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")


class Client:
    """What controllers, the scheduler, kubelets and proxies use.

    ``machine`` is where the component runs, ``user`` who it is (``system:kube-scheduler``), ``manager`` what
    ``managedFields`` say of its writes (``kube-scheduler``).
    """

    def __init__(
        self, door: Door, *, machine: str, user: str, manager: str, groups: tuple[str, ...] = COMPONENT_GROUPS
    ) -> None:
        self._door = door
        self.machine = machine
        self.manager = manager
        self.user = User(user, groups=groups)

    @property
    def clock(self) -> Clock:
        return self._door.clock

    def account(self, name: str) -> Client:
        """The same component as a service account of kube-system: each controller writes as its own."""
        user = f"system:serviceaccount:kube-system:{name}"
        return Client(self._door, machine=self.machine, user=user, manager=self.manager, groups=ACCOUNT_GROUPS)

    async def hold(self) -> None:
        """Wait while the machine is paused or, by its wire's delay, slow. Loops call it before each step."""
        if (pause := self._door.hold(self.machine)) is not None:
            await pause

    def enter(self) -> Registry:
        """The registry, if it can be reached at this moment; else raises ``Unreachable``."""
        return self._door.enter(self.machine)

    def connect(self, lost: Callable[[], object]) -> Callable[[], None]:
        """Have ``lost()`` called when a connection that is held open breaks; returns what ends it from this side."""
        return self._door.connect(self.machine, lost)

    async def _enter(self) -> Registry:
        if (pause := self._door.hold(self.machine)) is not None:
            await pause
        return self._door.enter(self.machine)

    def _options(self, fields: Json | None = None) -> WriteOptions:
        return WriteOptions(manager=self.manager, user=self.user, trusted=True, fields=fields)

    # reading --------------------------------------------------------------------------------------------------

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        return (await self._enter()).get(kind, namespace, name)

    async def find(self, kind: Kind, namespace: str, name: str) -> Json | None:
        """As :meth:`get`, but None when there is no such object."""
        try:
            return (await self._enter()).get(kind, namespace, name)
        except NotFound:
            return None

    async def list(self, kind: Kind, namespace: str = "", **selection: Any) -> Listing:
        return (await self._enter()).list(kind, namespace, **selection)

    async def watch(self, kind: Kind, namespace: str = "", **selection: Any) -> Watch:
        """A watch on the registry itself: it does not notice when the door shuts. Informers look after that."""
        return (await self._enter()).watch(kind, namespace, **selection)

    # writing --------------------------------------------------------------------------------------------------

    async def create(self, kind: Kind, namespace: str, obj: Json, *, fields: Json | None = None) -> Json:
        """``fields`` as :class:`WriteOptions` have it."""
        return (await self._enter()).create(kind, namespace, obj, self._options(fields))

    async def update(self, kind: Kind, obj: Json, *, subresource: str = "") -> Json:
        """Put the object as it is; its resourceVersion must be the newest."""
        namespace, name = key_of(obj)
        return (await self._enter()).update(kind, namespace, name, obj, self._options(), subresource=subresource)

    async def update_status(self, kind: Kind, obj: Json) -> Json:
        return await self.update(kind, obj, subresource="status")

    async def modify(
        self, kind: Kind, namespace: str, name: str, change: Callable[[Json], Json | None], *, subresource: str = ""
    ) -> Json:
        """Read, change, write in one go: what the real components do with retries on conflict, or with a patch.

        ``change`` gets the newest object and returns what it shall be (a new dict), or None to leave it.
        """
        registry = await self._enter()
        return registry.modify(kind, namespace, name, change, self._options(), subresource=subresource)

    async def patch(
        self, kind: Kind, namespace: str, name: str, media_type: str, body: Any, *, subresource: str = ""
    ) -> Json:
        registry = await self._enter()
        patched, _ = registry.patch(kind, namespace, name, media_type, body, self._options(), subresource=subresource)
        return patched

    async def delete(
        self, kind: Kind, namespace: str, name: str, options: DeleteOptions | None = None, **fields: Any
    ) -> Json:
        """Ask for its end. ``fields`` make the options: ``grace_period_seconds=0``, ``uid=…``."""
        options = options if options is not None else DeleteOptions(user=self.user, **fields)
        return (await self._enter()).delete(kind, namespace, name, options)

    async def evict(self, namespace: str, pod: str, eviction: Json | None = None) -> Json:
        return (await self._enter()).evict(namespace, pod, eviction or {}, self._options())

    async def bind(self, namespace: str, pod: str, node: str) -> None:
        (await self._enter()).bind(namespace, pod, node)
