"""Random histories of a whole cluster: what its users do, and what happens to its machines and components."""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from labkit.embedded.control import UnknownComponent
from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.bootstrap.statics import STATIC
from labkit.embedded.kubernetes.client import Client, Unreachable
from labkit.embedded.kubernetes.errors import StatusError, TooManyRequests
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import (
    Json,
    controller_of,
    edited,
    is_terminating,
    key_of,
    name_of,
    spec_of,
    uid_of,
)
from labkit.embedded.kubernetes.registry.options import ORPHAN
from labkit.embedded.kubernetes.users import MASTERS

from .byhand import WorldByHand
from .rest import at_rest
from .watchdog import Broken, Watchdog
from .workloads import IMAGES, MOST, NAMESPACES, WORKLOADS, budget, service, workload

PATIENCE = 1800.0
"""Seconds after which a cluster that was healed must be at rest. A controller that failed often pauses for minutes, a
container that crashed often for five, and pods of a node that came back late are replaced after five."""
POLICIES = ("Background", "Foreground", ORPHAN)

Operation = tuple[str, int, int, int]


class History:
    """Plays operations on a cluster. Each takes three numbers and makes of them what it needs."""

    def __init__(self, world: WorldByHand) -> None:
        self.world = world
        self.watchdog = Watchdog(world.registry)
        self.user = Client(
            world.door, machine=world.control_plane, user="kubernetes-admin", manager="kubectl", groups=(MASTERS,)
        )
        self.refused = 0
        self._under_way: set[asyncio.Task[None]] = set()

    async def play(self, operation: Operation) -> None:
        """Begin it. It may have to wait, as its user would, while the next ones go on."""
        name, *numbers = operation
        task = asyncio.get_running_loop().create_task(self._tried(getattr(self, f"do_{name}")(*numbers)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await self.wait(0)

    async def _tried(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (StatusError, Unreachable, UnknownComponent):
            self.refused += 1

    async def wait(self, seconds: float) -> None:
        await self.world.advance(seconds)
        self.watchdog.check()

    # -- users

    async def do_create(self, a: int, b: int, c: int) -> None:
        kind, app = WORKLOADS[a % len(WORKLOADS)]
        namespace = NAMESPACES[c % 2]
        await self._ensure(kinds.NAMESPACES, "", {"metadata": {"name": namespace}})
        await self._ensure(kinds.SERVICE_ACCOUNTS, namespace, {"metadata": {"name": "default"}})
        if b % 3:
            await self._ensure(kinds.POD_DISRUPTION_BUDGETS, namespace, budget(app, b))
        if kind is not kinds.JOBS:
            await self._ensure(kinds.SERVICES, namespace, service(app))
        await self._ensure(kind, namespace, workload(kind, app, a + b, c % (MOST + 1)))

    async def _ensure(self, kind: Kind, namespace: str, obj: Json) -> None:
        try:
            await self.user.create(kind, namespace, {"apiVersion": kind.api_version, "kind": kind.kind, **obj})
        except StatusError as error:
            if error.code != 409:
                raise

    async def do_scale(self, a: int, b: int, c: int) -> None:
        await self._edit(a, c, lambda obj: obj["spec"].update(replicas=b % (MOST + 1)), kinds.JOBS, kinds.DAEMON_SETS)

    async def do_image(self, a: int, b: int, c: int) -> None:
        def change(obj: Json) -> None:
            template = obj["spec"]["template"]
            main = template["spec"]["containers"][0]
            spec = {**template["spec"], "containers": [{**main, "image": IMAGES[b % len(IMAGES)]}]}
            obj["spec"]["template"] = {**template, "spec": spec}

        await self._edit(a, c, change, kinds.JOBS)

    async def do_pause_rollout(self, a: int, b: int, c: int) -> None:
        await self._edit(a % 2, c, lambda obj: obj["spec"].update(paused=bool(b % 2)))

    async def _edit(self, a: int, c: int, change: Any, *but: Kind) -> None:
        kind, name = WORKLOADS[a % len(WORKLOADS)]
        if kind in but:
            return

        def changed(obj: Json) -> Json:
            obj = edited(obj)
            change(obj)
            return obj

        await self.user.modify(kind, NAMESPACES[c % 2], name, changed)

    async def do_delete(self, a: int, b: int, c: int) -> None:
        kind, name = WORKLOADS[a % len(WORKLOADS)]
        namespace, policy = NAMESPACES[c % 2], POLICIES[b % 3]
        obj = await self.user.get(kind, namespace, name)
        if is_terminating(obj):
            return
        await self.user.delete(kind, namespace, name, propagation=policy, uid=uid_of(obj))
        if policy == ORPHAN:
            self.watchdog.orphaned[uid_of(obj)] = {
                uid_of(pod) for pod in self._pods() if (controller_of(pod) or {}).get("uid") == uid_of(obj)
            }

    async def do_delete_replica_set(self, a: int, b: int, c: int) -> None:
        found = [record.obj for record in self.world.registry.list(kinds.REPLICA_SETS, NAMESPACES[c % 2]).records]
        if found and not is_terminating(chosen := found[a % len(found)]):
            await self.user.delete(kinds.REPLICA_SETS, *key_of(chosen), propagation=POLICIES[b % 2])

    async def do_delete_namespace(self, a: int, b: int, c: int) -> None:
        await self.user.delete(kinds.NAMESPACES, "", NAMESPACES[c % 2])

    async def do_delete_pod(self, a: int, b: int, c: int) -> None:
        if (pod := self._pod(a)) is not None:
            grace = (None, 0, 1, None)[b % 4]
            await self.user.delete(kinds.PODS, *key_of(pod), grace_period_seconds=grace)

    async def do_evict(self, a: int, b: int, c: int) -> None:
        if (pod := self._pod(a)) is not None:
            await self.user.evict(*key_of(pod))

    async def do_evict_all(self, a: int, b: int, c: int) -> None:
        """All pods of an application, one right after the other."""
        for pod in self._pods(NAMESPACES[c % 2]):
            if (pod["metadata"].get("labels") or {}).get("app") == WORKLOADS[a % len(WORKLOADS)][1]:
                await self._tried(self._evict(pod))

    async def _evict(self, pod: Json) -> None:
        await self.user.evict(*key_of(pod))

    async def do_drain(self, a: int, b: int, c: int) -> None:
        """Cordon, and evict until nothing is left, as ``kubectl drain --ignore-daemonsets`` does."""
        node = self._worker(a)
        await self._cordon(node, True)
        for _ in range(10):
            mine = [pod for pod in self._pods() if spec_of(pod).get("nodeName") == node and not is_terminating(pod)]
            mine = [pod for pod in mine if (controller_of(pod) or {}).get("kind") != "DaemonSet"]
            if not mine:
                return
            for pod in mine:
                try:
                    await self.user.evict(*key_of(pod))
                except TooManyRequests:
                    self.refused += 1
            await self.world.clock.sleep(5)

    async def do_cordon(self, a: int, b: int, c: int) -> None:
        await self._cordon(self._worker(a), True)

    async def do_uncordon(self, a: int, b: int, c: int) -> None:
        await self._cordon(self._worker(a), False)

    async def _cordon(self, node: str, cordoned: bool) -> None:
        def changed(obj: Json) -> Json:
            obj = edited(obj)
            obj["spec"]["unschedulable"] = cordoned
            return obj

        await self.user.modify(kinds.NODES, "", node, changed)

    async def do_relabel(self, a: int, b: int, c: int) -> None:
        """Out of the hands of its owner; perhaps into another's."""
        pod = self._pod(a)
        if pod is None or (controller_of(pod) or {}).get("kind") == "Job":
            return
        app = WORKLOADS[b % 4][1] if c % 3 else "nobody"

        def changed(obj: Json) -> Json:
            obj = edited(obj)
            obj["metadata"]["labels"] = {**obj["metadata"].get("labels", {}), "app": app}
            return obj

        await self.user.modify(kinds.PODS, *key_of(pod), changed)

    # -- machines and components

    async def do_fail(self, a: int, b: int, c: int) -> None:
        self.world.fleet.fail(self._machine(a))

    async def do_delete_node(self, a: int, b: int, c: int) -> None:
        """Of a machine that is not expected to come back. It will register anew when it does."""
        machine = self._worker(a)
        self.world.fleet.fail(machine)
        await self.user.delete(kinds.NODES, "", machine)

    async def do_pause(self, a: int, b: int, c: int) -> None:
        self.world.fleet.pause(self._machine(a))

    async def do_partition(self, a: int, b: int, c: int) -> None:
        self.world.fleet.partition({self._machine(a), self._machine(b)})

    async def do_slow(self, a: int, b: int, c: int) -> None:
        self.world.fleet.slow(self._machine(a), (0.05, 0.5, 3.0)[b % 3])

    async def do_heal(self, a: int, b: int, c: int) -> None:
        self.world.fleet.heal(self._machine(a))

    async def do_heal_all(self, a: int, b: int, c: int) -> None:
        for name in self.world.fleet.machines:
            self.world.fleet.heal(name)

    async def do_stop(self, a: int, b: int, c: int) -> None:
        await self.world.components.stop(*self._component(a, b))

    async def do_start(self, a: int, b: int, c: int) -> None:
        await self.world.components.start(*self._component(a, b))

    async def do_restart(self, a: int, b: int, c: int) -> None:
        machine, name = self._component(a, b)
        await self.world.components.stop(machine, name)
        await self.world.clock.sleep((0, 1, 20, 90)[c % 4])
        await self.world.components.start(machine, name)

    async def do_start_all(self, a: int, b: int, c: int) -> None:
        for machine in self.world.fleet.machines:
            for name in self.world.components.names(machine):
                if self.world.components.is_held(machine, name):
                    await self.world.components.start(machine, name)

    async def do_wait(self, a: int, b: int, c: int) -> None:
        await self.wait((0.2, 1, 5, 20, 60, 120, 400)[a % 7])

    # -- what they choose from

    def _machine(self, a: int) -> str:
        """Mostly a worker."""
        return self.world.control_plane if a % 7 == 6 else self._worker(a)

    def _worker(self, a: int) -> str:
        return f"worker-{a % 3 + 1}"

    def _component(self, a: int, b: int) -> tuple[str, str]:
        if b % 3:
            return self.world.control_plane, STATIC[a % len(STATIC)]
        return (self._worker(a), ("kubelet", "kube-proxy")[b % 2])

    def _pods(self, *namespaces: str) -> list[Json]:
        pods = [record.obj for record in self.world.etcd.cached(kinds.PODS).records.values()]
        return [pod for pod in pods if pod["metadata"]["namespace"] in (namespaces or NAMESPACES)]

    def _pod(self, a: int) -> Json | None:
        """One of the users', or of the cluster's own."""
        pods = sorted(self._pods(*(("kube-system",) if a % 10 == 9 else ())), key=name_of)
        return pods[a % len(pods)] if pods else None

    # -- the end

    async def end(self) -> None:
        """Heal, start and open everything, and look until the cluster is at rest."""
        await self.do_heal_all(0, 0, 0)
        await self.wait(1)
        starting = asyncio.get_running_loop().create_task(self.do_start_all(0, 0, 0))
        while not starting.done():
            await self.wait(1)
        await starting
        waited, opened, wrong = 0.0, False, ["nothing was looked at"]
        while wrong and waited < PATIENCE:
            await self.wait(20)
            waited += 20
            opened = opened or await self._open()
            wrong = at_rest(self.world) if opened and not self._under_way else ["somebody still tries"]
        if wrong:
            raise Broken(f"not at rest after {waited:g} s: {'; '.join(wrong[:6])}")

    async def _open(self) -> bool:
        """Nothing is cordoned or paused any more. False when the API server does not answer yet."""
        try:
            for record in self.world.registry.list(kinds.NODES).records:
                if spec_of(record.obj).get("unschedulable"):
                    await self._cordon(name_of(record.obj), False)
            for record in self.world.registry.list(kinds.DEPLOYMENTS).records:
                if spec_of(record.obj).get("paused"):
                    await self.user.modify(kinds.DEPLOYMENTS, *key_of(record.obj), _resumed)
        except (StatusError, Unreachable):
            return False
        return True


def _resumed(deployment: Json) -> Json:
    deployment = edited(deployment)
    deployment["spec"]["paused"] = False
    return deployment


OPERATIONS = tuple(name.removeprefix("do_") for name in vars(History) if name.startswith("do_"))
OFTEN = (
    "create", "create", "create", "scale", "scale", "image", "image", "delete_pod", "evict_all", "evict_all",
    "evict_all", "drain", "drain", "delete", "relabel", "wait", "wait", "wait", "restart", "restart", "stop",
)  # fmt: skip


def made_up(seed: int) -> list[Operation]:
    """A random history: some workloads, then whatever comes."""
    rng = random.Random(seed)

    def numbers() -> tuple[int, int, int]:
        return rng.randrange(1000), rng.randrange(1000), rng.randrange(1000)

    begin: list[Operation] = [("create", *numbers()) for _ in range(rng.randint(2, 7))]
    names = [rng.choice((*OPERATIONS, *OFTEN)) for _ in range(rng.randint(4, 24))]
    return [*begin, ("wait", 3, 0, 0), *((name, *numbers()) for name in names)]


async def live(folder: Path, seed: int, operations: list[Operation]) -> History:
    """Play a history to its end and check it. Operations follow each other quickly, unless one of them waits."""
    world = await WorldByHand.up(folder, seed)
    failures = _Failures()
    asyncio.get_running_loop().set_exception_handler(failures.unhandled)
    logging.getLogger("labkit").addHandler(failures)
    try:
        history = History(world)
        for index, operation in enumerate(operations):
            if operation[0] == "wait":
                await history.do_wait(*operation[1:])
            else:
                await history.play(operation)
            await history.wait((0, 0.05, 0.7)[index % 3])
            failures.check()
        await history.end()
    finally:
        logging.getLogger("labkit").removeHandler(failures)
        await world.close()
    failures.check()
    return history


class _Failures(logging.Handler):
    """What the engine itself says has gone wrong: errors in its log, exceptions that nobody has caught."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))

    def unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        told = "".join(traceback.format_exception(error)) if error is not None else ""
        self.found.append(f"{context['message']}: {told}")

    def check(self) -> None:
        if self.found:
            raise Broken(self.found[0])
