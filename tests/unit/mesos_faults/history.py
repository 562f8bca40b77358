"""Random histories of a whole cluster: what its users do, and what happens to its machines and components."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import traceback
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from labkit.embedded.control import UnknownComponent
from labkit.embedded.marathon.endpoints import MARATHON_PORT
from labkit.embedded.mesos.agent.image import ImageWork
from labkit.embedded.mesos.batch.jobs import parse
from labkit.embedded.runtime.signals import SIGKILL

from .byhand import WorldByHand
from .rest import at_rest, old_ones
from .watchdog import Broken, Watchdog
from .workloads import BY_APP, GROUP, KINDS, Kind

PATIENCE = 1800.0
"""Seconds after which a cluster that was healed must be at rest: agents that a new master does not find are given up
after ten minutes, and Marathon asks for tasks of which it hears nothing every ten."""
LOOK_EVERY = 20.0
ANSWER_WITHIN = 30.0  # sandbox seconds that a user waits for an answer

Json = dict[str, Any]
Operation = tuple[str, int, int, int]
State = tuple[int, int] | None  # instances and version of an app; None: it is not there


@dataclass
class Asked:
    """What was asked for: what was acknowledged, and what may have been done, too, for no answer came."""

    sure: State = None
    perhaps: set[State] = field(default_factory=set)
    busy: bool = False  # one request at a time


class History:
    """Plays operations on a cluster. Each takes three numbers and makes of them what it needs."""

    def __init__(self, world: WorldByHand, watchdog: Watchdog, session: aiohttp.ClientSession) -> None:
        self.world = world
        self.watchdog = watchdog
        self.asked = {kind.id: Asked() for kind in KINDS}
        self.acknowledged = self.refused = self.unanswered = 0
        self._session = session
        self._versions = 0
        self._cut_short: set[str] = set()
        self._under_way: set[asyncio.Task[None]] = set()

    async def play(self, operation: Operation) -> None:
        """Begin it. It may have to wait, as its user would, while the next ones go on."""
        name, *numbers = operation
        task = asyncio.get_running_loop().create_task(self._tried(getattr(self, f"do_{name}")(*numbers)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await self.wait(0)

    async def _tried(self, work: Awaitable[object]) -> None:
        try:
            await work
        except UnknownComponent:
            self.refused += 1

    async def wait(self, seconds: float) -> None:
        await self.world.advance(seconds)
        self.watchdog.check()

    # -- users

    async def do_create(self, a: int, b: int, c: int) -> None:
        kind = KINDS[a % len(KINDS)]
        if self.asked[kind.id].sure is None:
            await self._want(kind, (b % kind.most + 1, self._version()), "POST", c)

    async def do_update(self, a: int, b: int, c: int) -> None:
        kind, now = self._known(a)
        if now is not None:
            await self._want(kind, (now[0], self._version()), "PUT", c, force=b % 3 == 0)

    async def do_scale(self, a: int, b: int, c: int) -> None:
        kind, now = self._known(a)
        if now is not None:
            await self._want(kind, (b % (kind.most + 1), now[1]), "PUT", c, force=b % 2 == 0)

    async def do_delete(self, a: int, b: int, c: int) -> None:
        kind, now = self._known(a)
        if now is not None:
            await self._want(kind, None, "DELETE", c, force=b % 2 == 0)

    async def do_restart_app(self, a: int, b: int, c: int) -> None:
        kind, now = self._known(a)
        if now is not None:
            self._note(kind, b % 2 == 1)
            query = "?force=true" if b % 2 else ""
            await self._ask("POST", f"/v2/apps{kind.apps[c % len(kind.apps)]}/restart{query}", c)

    async def do_kill_task(self, a: int, b: int, c: int) -> None:
        """Marathon is to start another in its place."""
        marathon = self.world.assembly.leading_marathon()
        ids = sorted(marathon.term.tracker.by_id) if marathon is not None else []
        if ids:
            instance = marathon.term.tracker.by_id[ids[a % len(ids)]]
            if instance.task_id:
                await self._ask("POST", "/v2/tasks/delete", c, {"ids": [instance.task_id]})

    async def do_cancel(self, a: int, b: int, c: int) -> None:
        """Stop a deployment where it is. What the apps are to be stays as it is."""
        marathon = self.world.assembly.leading_marathon()
        ids = sorted(marathon.term.deployments.running) if marathon is not None else []
        if ids:
            for app_id in marathon.term.deployments.running[ids[a % len(ids)]].plan.affected:
                self._note(BY_APP[app_id], True)
            await self._ask("DELETE", f"/v2/deployments/{ids[a % len(ids)]}?force=true", c)

    async def do_job(self, a: int, b: int, c: int) -> None:
        batch = self.world.assembly.batch
        if batch.running:
            body = {"name": "j", "maps": a % 4 + 1, "reduces": b % 2, "seconds": 2 + c % 20, "image": "busybox:1.36"}
            batch.submit(parse(body))

    async def do_end_job(self, a: int, b: int, c: int) -> None:
        batch = self.world.assembly.batch
        jobs = [job for job in batch.jobs.values() if not job.over]
        if jobs and batch.running:
            batch.kill(jobs[a % len(jobs)])

    def _note(self, kind: Kind, forced: bool) -> None:
        """Whoever forces something, or cancels, may cut a deployment short."""
        if forced:
            self._cut_short.add(kind.id)

    def _version(self) -> int:
        self._versions += 1
        return self._versions

    def _known(self, a: int) -> tuple[Kind, State]:
        kind = KINDS[a % len(KINDS)]
        return kind, self.asked[kind.id].sure

    async def _want(self, kind: Kind, state: State, method: str, c: int, *, force: bool = False) -> None:
        """Ask for it, and remember what was answered."""
        asked = self.asked[kind.id]
        if asked.busy:
            return
        asked.busy = True
        self._note(kind, force)
        query = "?force=true" if force else ""
        path, body = f"/v2/apps{'' if method == 'POST' else kind.id}", None
        if kind.id == GROUP:
            path, body = f"/v2/groups{'' if method == 'POST' else kind.id}", state and kind.group(*state)
        elif state is not None:
            body = kind.app(*state)
        asked.perhaps.add(state)
        try:
            status = await self._ask(method, path + query, c, body)
        finally:
            asked.busy = False
        if status in (200, 201):
            asked.sure = state
            asked.perhaps.discard(state)
        elif status is not None and status < 500:  # refused: locked by a deployment, or not there (any more)
            asked.perhaps.discard(state)

    async def _ask(self, method: str, path: str, c: int, body: Any = None) -> int | None:
        """One request, to either Marathon. None when no answer came."""
        marathons = list(self.world.assembly.marathons)
        address = self.world.fleet.machine(marathons[c % len(marathons)]).address
        place = self.world.network.real(address, MARATHON_PORT) or (address, MARATHON_PORT)
        url = f"http://{place[0]}:{place[1]}{path}"
        try:
            async with self.world.clock.timeout(ANSWER_WITHIN), self._session.request(method, url, json=body) as answer:
                text = await answer.text()
        except (TimeoutError, aiohttp.ClientError, ConnectionError):
            self.unanswered += 1
            return None
        if answer.status >= 300:
            self.refused += 1
        else:
            self.acknowledged += 1
        if answer.status in (400, 401, 403, 422):
            raise Broken(f"{method} {path} {body}: {answer.status} {text}")
        return answer.status

    # -- machines, components and tasks

    async def do_crash(self, a: int, b: int, c: int) -> None:
        """The main process of a task's container is killed."""
        runs = [
            run
            for agent in self.world.assembly.agents.values()
            for run in agent.runs()
            if run.executor is not None and isinstance(run.executor.work, ImageWork) and not run.executor.over
        ]
        if runs:
            process = runs[a % len(runs)].executor.work.process
            if process is not None:
                process.kill(SIGKILL)

    async def do_fail(self, a: int, b: int, c: int) -> None:
        self.world.fleet.fail(self._machine(a))

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

    async def do_abdicate(self, a: int, b: int, c: int) -> None:
        await self._ask("DELETE", "/v2/leader", c)

    async def do_stop(self, a: int, b: int, c: int) -> None:
        await self.world.components.stop(*self._component(a, b))

    async def do_start(self, a: int, b: int, c: int) -> None:
        await self.world.components.start(*self._component(a, b))

    async def do_restart(self, a: int, b: int, c: int) -> None:
        machine, name = self._component(a, b)
        await self.world.components.stop(machine, name)
        await self.world.clock.sleep((0, 1, 20, 100)[c % 4])
        await self.world.components.start(machine, name)

    async def do_start_all(self, a: int, b: int, c: int) -> None:
        for machine in self.world.fleet.machines:
            for name in self.world.components.names(machine):
                if self.world.components.is_held(machine, name) and name != "marathon-lb":
                    await self.world.components.start(machine, name)

    async def do_wait(self, a: int, b: int, c: int) -> None:
        await self.wait((0.2, 1, 5, 20, 60, 120, 400)[a % 7])

    # -- what they choose from

    def _machine(self, a: int) -> str:
        """Agents and masters, in equal shares."""
        return f"{('agent', 'master')[a % 2]}-{a // 2 % 3 + 1}"

    def _component(self, a: int, b: int) -> tuple[str, str]:
        machine = self._machine(a)
        names = [name for name in self.world.components.names(machine) if name != "marathon-lb"]
        return machine, names[b % len(names)]

    # -- the end

    async def end(self) -> None:
        """Heal and start everything, and look until the cluster is at rest."""
        await self.do_heal_all(0, 0, 0)
        await self.wait(1)
        starting = asyncio.get_running_loop().create_task(self.do_start_all(0, 0, 0))
        while not starting.done():
            await self.wait(1)
        await starting
        waited, wrong = 0.0, ["nothing was looked at"]
        while wrong and waited < PATIENCE:
            await self.wait(LOOK_EVERY)
            waited += LOOK_EVERY
            wrong = at_rest(self.world, self.watchdog) if not self._under_way else ["somebody still tries"]
            if not wrong and (stale := old_ones(self.world)):
                wrong = await self._bring_up_to_date(stale)
        if not wrong:
            wrong = list(self._kept())
        if wrong:
            raise Broken(f"not at rest after {waited:g} s: {'; '.join(wrong[:6])}")

    async def _bring_up_to_date(self, stale: set[str]) -> list[str]:
        """A deployment that was cut short leaves instances of the old configuration, until the next one."""
        if unexplained := [app_id for app_id in stale if BY_APP[app_id].id not in self._cut_short]:
            return [f"{unexplained} have instances of an old configuration"]
        for app_id in sorted(stale):
            await self.play(("restart_app", KINDS.index(BY_APP[app_id]), 0, BY_APP[app_id].apps.index(app_id)))
        return [f"{sorted(stale)} are brought up to date"]

    def _kept(self) -> list[str]:
        """Is what was acknowledged there, and nothing that nobody has asked for?"""
        apps = self.world.assembly.leading_marathon().term.groups.root.all_apps
        found = []
        for kind in KINDS:
            asked = self.asked[kind.id]
            for id in kind.apps:
                app = apps.get(id)
                state = (app.instances, int(app.body["env"]["V"])) if app is not None else None
                if state != asked.sure and state not in asked.perhaps:
                    found.append(f"{id} is to be {state}, asked for was {asked.sure}, or perhaps {asked.perhaps}")
        return found


OPERATIONS = tuple(name.removeprefix("do_") for name in vars(History) if name.startswith("do_"))
OFTEN = (
    "create", "create", "create", "update", "update", "scale", "scale", "crash", "job", "delete", "wait", "wait",
    "wait", "fail", "partition", "restart", "heal_all",
)  # fmt: skip


def made_up(seed: int) -> list[Operation]:
    """A random history: some apps, then whatever comes."""
    rng = random.Random(seed)

    def numbers() -> tuple[int, int, int]:
        return rng.randrange(1000), rng.randrange(1000), rng.randrange(1000)

    begin: list[Operation] = [("create", *numbers()) for _ in range(rng.randint(2, 7))]
    names = [rng.choice((*OPERATIONS, *OFTEN)) for _ in range(rng.randint(4, 24))]
    return [*begin, ("wait", 2, 0, 0), *((name, *numbers()) for name in names)]


async def live(folder: Path, seed: int, operations: list[Operation]) -> History:
    """Play a history to its end and check it. Operations follow each other quickly, unless one of them waits."""
    watchdog, failures = Watchdog(), _Failures()
    asyncio.get_running_loop().set_exception_handler(failures.unhandled)
    logging.getLogger("labkit").addHandler(failures)
    with watchdog.watching():
        world = await WorldByHand.up(folder, seed)
        watchdog.attach(world)
        own = world.credentials
        coded = base64.b64encode(f"{own.user}:{own.password}".encode()).decode()
        headers = {"Authorization": f"Basic {coded}"}
        try:
            async with aiohttp.ClientSession(headers=headers) as session:
                history = History(world, watchdog, session)
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
