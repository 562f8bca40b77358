"""Random histories of a swarm, and what must hold in each of them."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from support.fakeswarm import SECOND, FakeSwarm

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.swarm.leader.orchestrator.tasks import by_slot, slot_key
from labkit.embedded.swarm.leader.orchestrator.updatepolicy import PAUSED, UNDER_WAY, state_of
from labkit.embedded.swarm.objects import Node, Service, Task, TaskState

S = TaskState

WORKERS = 3
SERVICES = 3
HISTORY = 5
LASTING = 7.0
"""Seconds after which two tasks in a slot count as running side by side for good (an update watches for five)."""

POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"Condition": "any", "Delay": SECOND // 2},
    {"Condition": "any", "Delay": 0, "MaxAttempts": 4},
    {"Condition": "any", "Delay": SECOND},
    {"Condition": "on-failure", "Delay": SECOND, "MaxAttempts": 2},
    {"Condition": "none"},
)
IMAGES = ("app:1", "app:2", "slow:1", "crash:1", "nosuch:1", "done:1")
CONFIGS: tuple[dict[str, Any], ...] = (
    {},
    {"Parallelism": 0, "FailureAction": "continue"},
    {"Parallelism": 2, "Order": "start-first", "FailureAction": "rollback"},
    {"Parallelism": 1, "Order": "start-first"},
)
PORTS = {"Mode": "vip", "Ports": [{"TargetPort": 80, "PublishMode": "ingress"}]}


class History:
    """Plays operations on a swarm. Whatever the store goes through is looked at on the way."""

    def __init__(self) -> None:
        self.swarm = FakeSwarm(WORKERS, ManualClock())
        self.services: dict[int, Service] = {}
        self.seen: dict[str, tuple[TaskState, TaskState]] = {}

    async def __aenter__(self) -> History:
        await self.swarm.start()
        self.watch = self.swarm.store.watch(Task)
        await self.wait(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.swarm.stop()

    async def wait(self, seconds: float) -> None:
        await self.swarm.clock.advance(seconds)
        self.check_steps()

    # -- operations. Each takes three numbers and makes of them what it needs.

    async def play(self, name: str, a: int, b: int, c: int) -> None:
        await getattr(self, f"do_{name}")(a, b, c)

    async def do_create(self, a: int, b: int, c: int) -> None:
        if a % SERVICES in self.services:
            await self.do_scale(a, b, c)
            return
        self.services[a % SERVICES] = await self.swarm.create(
            f"web-{self.swarm.world.ids.swarm_id()}",
            b % 6,
            IMAGES[c % len(IMAGES)],
            RestartPolicy=POLICIES[(b + c) % len(POLICIES)],
            UpdateConfig=CONFIGS[(a + b) % len(CONFIGS)],
            EndpointSpec=PORTS if c % 2 else {"Mode": "vip"},
        )

    async def do_create_global(self, a: int, b: int, c: int) -> None:
        if a % SERVICES not in self.services:
            self.services[a % SERVICES] = await self.swarm.create(
                f"every-{self.swarm.world.ids.swarm_id()}",
                None,
                IMAGES[c % 4],
                RestartPolicy=POLICIES[b % 3],
            )

    async def do_scale(self, a: int, b: int, c: int) -> None:
        service = self.services.get(a % SERVICES)
        if service is not None and service.replicas is not None:
            await self.swarm.update(service, replicas=b % 8)

    async def do_image(self, a: int, b: int, c: int) -> None:
        service = self.services.get(a % SERVICES)
        if service is not None:
            await self.swarm.update(service, image=IMAGES[c % len(IMAGES)])

    async def do_rollback(self, a: int, b: int, c: int) -> None:
        service = self.services.get(a % SERVICES)
        if service is not None and self.swarm.service(service).previous_spec is not None:
            await self.swarm.rollback(service)

    async def do_remove(self, a: int, b: int, c: int) -> None:
        service = self.services.pop(a % SERVICES, None)
        if service is not None:
            await self.swarm.remove(service)

    async def do_fail(self, a: int, b: int, c: int) -> None:
        name = self._worker(a)
        if self.swarm.world.fleet.machine(name).power == "on":
            await self.swarm.fail(name)

    async def do_partition(self, a: int, b: int, c: int) -> None:
        self.swarm.world.fleet.partition([self._worker(a)])

    async def do_pause_machine(self, a: int, b: int, c: int) -> None:
        self.swarm.world.fleet.pause(self._worker(a))

    async def do_heal(self, a: int, b: int, c: int) -> None:
        await self.swarm.heal(self._worker(a))

    async def do_drain(self, a: int, b: int, c: int) -> None:
        await self.swarm.set_node(self._node(a), Availability="drain")

    async def do_pause(self, a: int, b: int, c: int) -> None:
        await self.swarm.set_node(self._node(a), Availability="pause")

    async def do_activate(self, a: int, b: int, c: int) -> None:
        await self.swarm.set_node(self._node(a), Availability="active")

    async def do_crash(self, a: int, b: int, c: int) -> None:
        """Some container ends, with some exit code."""
        running = [
            (host, id)
            for host in self.swarm.hosts.values()
            for id, container in host.containers.items()
            if container.state == "running"
        ]
        if running:
            host, id = running[a % len(running)]
            host.kill(id, (0, 1, 137)[b % 3])

    async def do_new_leader(self, a: int, b: int, c: int) -> None:
        if self.swarm.leader is not None:
            await self.swarm.leader.stop()
        self.swarm.leader = None
        await self.wait((0, 0, 3, 20)[b % 4])
        await self.swarm.lead()

    async def do_restart_agent(self, a: int, b: int, c: int) -> None:
        name = self._node(a)
        if self.swarm.world.fleet.machine(name).power == "on":
            await self.swarm.agents[name].stop()
            await self.swarm.agents[name].start()

    async def do_wait(self, a: int, b: int, c: int) -> None:
        await self.wait((0.05, 0.3, 1, 4, 6, 20)[a % 6])

    def _worker(self, a: int) -> str:
        return f"worker-{a % WORKERS + 1}"

    def _node(self, a: int) -> str:
        return ("manager-1", "worker-1", "worker-2", "worker-3")[a % (WORKERS + 1)]

    # -- what must hold

    def check_steps(self) -> None:
        """Neither the state nor the desired state of any task ever goes back."""
        for change in self.watch.take():
            task: Task | None = change.new
            if task is None:
                self.seen.pop(change.old.id, None)
                continue
            state, desired = self.seen.get(task.id, (S.NEW, S.NEW))
            assert task.status.state >= state, f"{task.id} went from {state.word} back to {task.status.state.word}"
            assert task.desired_state >= desired, f"{task.id} is wanted {task.desired_state.word} after {desired.word}"
            self.seen[task.id] = (task.status.state, task.desired_state)

    async def end(self) -> None:
        """Let the swarm come to rest, then look."""
        await self.wait(60)
        for _ in range(10):
            # Some services never rest: their tasks crash, and reports and clean-ups are always a moment behind. What
            # must hold need not hold at every moment then, but again and again.
            await self.wait(0.37)
            try:
                self._check()
                return
            except AssertionError as error:
                broken = error
        raise broken

    def _check(self) -> None:
        fit = {name for name in self.swarm.hosts if self._is_fit(name)}
        self._check_slots()
        self._check_places()
        for service in self.services.values():
            self._check_number(self.swarm.service(service), fit)
        known = {service.id for service in self.services.values()}
        lost = {name for name in self.swarm.hosts if self.swarm.node_state(name) == "down"}
        for task in self.swarm.store.all(Task):
            if task.service_id not in known:
                node = task.node_id.removeprefix("node-")
                assert node in lost, f"{task.name} of a removed service stays on {node}"

    def _is_fit(self, name: str) -> bool:
        """May new tasks go there?"""
        node = self.swarm.store.get(Node, f"node-{name}")
        assert node is not None
        return node.state == "ready" and node.spec["Availability"] == "active"

    def _check_slots(self) -> None:
        lasting = self.swarm.clock.time() - LASTING
        alive = Counter(
            (task.service_id, task.slot or task.node_id)
            for task in self.swarm.store.all(Task)
            if task.desired_state == S.RUNNING == task.status.state and task.status.timestamp < lasting
        )
        assert not alive or max(alive.values()) == 1, f"two tasks run in one slot: {alive}"
        # While an update waits for a new task to run, or is stopped because none will, the old one stays beside it.
        resting = {s.id for s in self.swarm.store.all(Service) if state_of(s) not in UNDER_WAY | PAUSED}
        wanted = Counter(
            (task.service_id, task.slot or task.node_id)
            for task in self.swarm.store.all(Task)
            if task.desired_state <= S.RUNNING and task.service_id in resting
        )
        assert not wanted or max(wanted.values()) == 1, f"two tasks are wanted in one slot: {wanted}"
        now = self.swarm.clock.time()
        slots = by_slot(self.swarm.store.all(Task), slot_key)
        for key, slot in slots.items():
            fresh = sum(task.created_at > now - 0.5 for task in slot)  # the reaper has a quarter of a second
            assert len(slot) <= HISTORY + fresh, f"{key} keeps too long a history: {len(slot)}"

    def _check_places(self) -> None:
        """Nothing is left on a drained node, and containers are those that the store knows of."""
        for name, host in self.swarm.hosts.items():
            node = self.swarm.store.get(Node, f"node-{name}")
            assert node is not None
            if node.state != "ready":
                continue
            tasks = {task.id: task for task in self.swarm.store.tasks_of_node(node.id)}
            running = {id for id, container in host.containers.items() if container.state == "running"}
            told = {id for id, task in tasks.items() if task.status.state == S.RUNNING}
            assert running == told, f"{name} runs {running}, the managers know of {told}"
            assert set(host.containers) <= set(tasks), f"{name} has containers of tasks that are gone"
            if node.spec["Availability"] == "drain":
                assert not running, f"{name} is drained and runs {running}"

    def _check_number(self, service: Service, fit: set[str]) -> None:
        running = [t for t in self.swarm.tasks(service, running=True) if self._state(t.node_id) == "ready"]
        policy = service.spec["TaskTemplate"]["RestartPolicy"]
        images = [t.spec["ContainerSpec"]["Image"] for t in self.swarm.tasks(service) if t.desired_state <= S.RUNNING]
        images.append(service.spec["TaskTemplate"]["ContainerSpec"]["Image"])
        steady = all(image.startswith(("app", "slow")) for image in images)
        restarted = policy.get("Condition", "any") == "any" and not policy.get("MaxAttempts")
        reachable = fit and steady and restarted
        if service.replicas is None:
            there = {task.node_id.removeprefix("node-") for task in running}
            assert not reachable or fit <= there, f"a global service runs on {there}, not on all of {fit}"
            return
        lasting = [task for task in running if task.status.timestamp < self.swarm.clock.time() - LASTING]
        assert len(lasting) <= service.replicas, f"{len(running)} tasks run of {service.replicas}"
        found = [(t.slot, t.desired_state.word, t.status.state.word, t.node_id) for t in self.swarm.tasks(service)]
        distinct = len({task.slot for task in running})
        assert not reachable or distinct == service.replicas, f"{len(running)} of {service.replicas} run: {found}"

    def _state(self, node_id: str) -> str:
        return self.swarm.node_state(node_id.removeprefix("node-"))


OPERATIONS = tuple(name.removeprefix("do_") for name in vars(History) if name.startswith("do_"))


def made_up(seed: int, length: int) -> list[tuple[str, int, int, int]]:
    """A random history."""
    rng = random.Random(seed)
    names = [*OPERATIONS, "create", "scale", "scale", "crash", "wait", "heal", "activate"]
    return [("create", rng.randrange(9), rng.randrange(9), rng.randrange(2))] + [
        (rng.choice(names), rng.randrange(99), rng.randrange(99), rng.randrange(99)) for _ in range(length)
    ]


async def live(operations: list[tuple[str, int, int, int]]) -> None:
    """Play a history and check it. Operations follow each other quickly, unless one of them waits."""
    async with History() as history:
        for index, (name, a, b, c) in enumerate(operations):
            await history.play(name, a, b, c)
            await history.wait((0, 0.02, 0.2)[index % 3])
        await history.end()
