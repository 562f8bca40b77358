"""A machine with an agent, a master that only listens, and a clock of one's own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from labkit.embedded.mesos.agent.agent import Agent
from labkit.embedded.mesos.agent.options import Options
from labkit.embedded.mesos.libprocess import Pid, Post
from labkit.embedded.mesos.resources import Resources
from labkit.embedded.runtime.clock import Clock, ManualClock
from labkit.embedded.runtime.images.catalogue import Catalogue
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage

Json = dict[str, Any]


class FakeDetector:
    def __init__(self) -> None:
        self.leader: bytes | None = None
        self._told: list[Callable[[bytes | None], object]] = []

    def on_change(self, fn: Callable[[bytes | None], object]) -> None:
        self._told.append(fn)

    def elect(self, pid: Pid | None) -> None:
        info = None if pid is None else {"hostname": pid.address, "address": {"ip": pid.address, "port": pid.port}}
        self.leader = None if info is None else orjson.dumps(info)
        for fn in tuple(self._told):
            fn(self.leader)


class FakeMaster:
    """Registers whoever comes, records what it is told, and acknowledges updates when it is asked to."""

    def __init__(self, post: Post, pid: Pid) -> None:
        self.post, self.pid = post, pid
        self.heard: list[tuple[str, Json]] = []
        self.agent: Pid | None = None
        self.answers = True
        self.acknowledges = True
        post.register(pid, self)

    def receive(self, sender: Pid, message: str, body: Json) -> None:
        self.heard.append((message, body))
        self.agent = sender
        if not self.answers:
            return
        if message in ("RegisterSlaveMessage", "ReregisterSlaveMessage"):
            again = message == "ReregisterSlaveMessage"
            given = body["agent"]["id"]["value"] if again else "M-S0"
            kind = "SlaveReregisteredMessage" if again else "SlaveRegisteredMessage"
            self.send(kind, {"agent_id": {"value": given}, "connection": {"total_ping_timeout_seconds": 75}})
        elif message == "StatusUpdateMessage" and self.acknowledges:
            self.acknowledge(body["update"])

    def exited(self, pid: Pid) -> None:
        self.heard.append(("exited", {}))

    def send(self, message: str, body: Json) -> None:
        assert self.agent is not None
        self.post.send(self.pid, self.agent, message, body)

    def acknowledge(self, update: Json) -> None:
        body = {key: update[key] for key in ("agent_id", "framework_id", "uuid")}
        self.send("StatusUpdateAcknowledgementMessage", {**body, "task_id": update["status"]["task_id"]})

    def run(self, task: Json, **framework: Any) -> None:
        info = {"id": {"value": "F"}, "name": "test", "checkpoint": True, **framework}
        self.send("RunTaskMessage", {"framework": info, "framework_id": {"value": "F"}, "pid": "", "task": task})

    def kill(self, task_id: str, **more: Any) -> None:
        self.send("KillTaskMessage", {"framework_id": {"value": "F"}, "task_id": {"value": task_id}, **more})

    def of(self, message: str) -> list[Json]:
        return [body for name, body in self.heard if name == message]

    def statuses(self, task_id: str) -> list[Json]:
        """Each status once, however often it was sent."""
        found: dict[str, Json] = {}
        for body in self.of("StatusUpdateMessage"):
            status = body["update"]["status"]
            if status["task_id"]["value"] == task_id:
                found[status["uuid"]] = status
        return list(found.values())

    def states(self, task_id: str) -> list[str]:
        return [status["state"].removeprefix("TASK_") for status in self.statuses(task_id)]


def task(task_id: str, command: str | None = None, *, image: str | None = None, **more: Any) -> Json:
    made: Json = {
        "name": task_id,
        "task_id": {"value": task_id},
        "agent_id": {"value": "M-S0"},
        "resources": Resources.parse("cpus:0.1;mem:32").json(),
        **more,
    }
    if command is not None:
        made["command"] = {"value": command, "shell": True}
    if image is not None:
        made.setdefault("command", {"shell": False})
        made.setdefault("container", {"type": "DOCKER", "docker": {"image": image, "network": "BRIDGE"}})
    return made


class House:
    def __init__(self, clock: Clock, work_dir: Path, storage: Storage) -> None:
        self.clock = clock
        self.fleet = Fleet(clock)
        self.post = Post(self.fleet, clock)
        self.storage = storage
        self.work_dir = work_dir
        self.detector = FakeDetector()

    async def open(self) -> None:
        self.network = await Network.open(self.fleet, self.clock)
        for number, name in enumerate(("master-1", "master-2", "agent-1")):
            self.fleet.add(Machine(name=name, address=self.network.machine_address(number)))
        pids = [Pid("master", name, self.fleet.machine(name).address, 5050) for name in ("master-1", "master-2")]
        self.master, self.other = (FakeMaster(self.post, pid) for pid in pids)
        self.agent = self.make_agent()

    def make_agent(self, **given: Any) -> Agent:
        options = Options(
            work_dir=self.work_dir,
            resources=Resources.parse("cpus:4;mem:4096;ports:[31000-31999]"),
            rng=random.Random(1),
            **given,
        )
        return Agent(
            "agent-1", self.post, self.fleet, self.clock, self.network, Catalogue(), self.storage, None, options,
            detector=self.detector,
        )  # fmt: skip

    async def registered(self) -> None:
        self.detector.elect(self.master.pid)
        await self.agent.start()
        await self.pass_time(1)
        assert self.agent.registered

    async def pass_time(self, seconds: float) -> None:
        assert isinstance(self.clock, ManualClock)
        await self.clock.advance(seconds)

    async def until(self, look: Callable[[], Any], what: str = "", seconds: float = 10.0) -> Any:
        """Real processes take real time: look again and again, while sandbox time goes on a little."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not (found := look()):
            assert asyncio.get_running_loop().time() < deadline, (
                f"not in time: {what or look}; {self.master.heard[-3:]}"
            )
            await asyncio.sleep(0.01)
            if isinstance(self.clock, ManualClock):
                await self.clock.advance(0.01)
        return found

    async def close(self) -> None:
        await self.agent.close()
        self.post.close()
        await self.network.close()


@asynccontextmanager
async def opened(work_dir: Path, storage: Storage | None = None) -> AsyncIterator[House]:
    house = House(ManualClock(), work_dir, storage or Storage())
    await house.open()
    try:
        yield house
    finally:
        await house.close()
