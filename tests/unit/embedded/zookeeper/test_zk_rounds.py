"""Random histories: plugs are pulled while clients write. What must hold, holds at the end and all along."""

from __future__ import annotations

import asyncio
import random

import pytest

from labkit.embedded.zookeeper import ConnectionLoss, NodeExists, Session, SessionExpired

from .worlds import World, world


class Writer:
    """Creates nodes with numbers of its own, and keeps account of what it was told."""

    def __init__(self, w: World, name: str, machine: str) -> None:
        self.w = w
        self.name = name
        self.machine = machine
        self.done: set[str] = set()
        self.session: Session = w.session(machine, timeout=6.0)
        self.stopped = False
        self.silences: list[tuple[float, float]] = []  # (when it last was connected, when it knew of its end)
        self.connected_at = w.clock.time()

    async def run(self) -> None:
        number = 0
        while not self.stopped:
            number += 1
            path = f"/{self.name}-{number}"
            try:
                await self.session.create(path, b"x" * (number % 50))
                self.done.add(path)
                self.connected_at = self.w.clock.time()
            except NodeExists:
                raise AssertionError(f"{path}: nobody else makes it, and it is made once") from None
            except ConnectionLoss:
                pass  # it may be there, or not
            except SessionExpired:
                self.silences.append((self.connected_at, self.w.clock.time()))
                self.session = self.w.session(self.machine, timeout=6.0)
            await self.w.clock.sleep(0.05)


def check(w: World, leaders: dict[int, str]) -> None:
    for member in w.ensemble.members.values():
        if member.raft.is_leader:
            assert leaders.setdefault(member.raft.term, member.machine) == member.machine


@pytest.mark.parametrize("seed", range(12))
async def test_nothing_acknowledged_is_lost_and_no_epoch_has_two_leaders(seed: int) -> None:
    rng = random.Random(seed)
    w = await world(rng.choice((3, 5)), seed=seed)
    writers = [Writer(w, name, machine) for name, machine in (("a", "agent-1"), ("b", "agent-2"), ("c", "agent-1"))]
    tasks = [asyncio.create_task(writer.run()) for writer in writers]
    leaders: dict[int, str] = {}
    for _ in range(25):
        machine = rng.choice(w.masters)
        deed = rng.choice(("fail", "pause", "partition", "stop", "slow", "heal", "heal", "heal", "nothing"))
        if deed == "heal":
            for name in w.masters:
                if rng.random() < 0.7:
                    await w.heal(name)
        elif deed == "stop":
            await w.ensemble.stop(machine)
        elif deed == "slow":
            w.fleet.slow(machine, rng.uniform(0.0, 0.4))
        elif deed == "partition":
            w.fleet.partition([machine])
        elif deed != "nothing":
            getattr(w.fleet, deed)(machine)
        for _ in range(rng.randrange(1, 12)):
            await w.clock.advance(0.5)
            check(w, leaders)
    for writer in writers:
        writer.stopped = True
    for machine in w.masters:
        await w.heal(machine)
    await w.clock.advance(45)
    await w.done(asyncio.gather(*tasks))
    assert w.ensemble.has_quorum
    trees = [member.tree for member in w.ensemble.members.values()]
    for writer in writers:
        assert writer.done, "nobody got anything done"
        for tree in trees:
            assert writer.done <= tree.nodes.keys()
        for last, expired in writer.silences:
            assert expired - last >= 5.9
    assert {path: node.stat for path, node in trees[0].nodes.items()} == {
        path: node.stat for path, node in trees[-1].nodes.items()
    }
    disk = w.ensemble.disk.load()
    config = "/zookeeper/config"
    assert {p: n.stat for p, n in disk.nodes.items() if p != config} == {
        p: n.stat for p, n in trees[0].nodes.items() if p != config
    }
    await w.ensemble.close()
