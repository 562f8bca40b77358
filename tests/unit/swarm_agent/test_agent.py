"""The agent through restarts, reboots and times without a leader."""

from __future__ import annotations

from support.fakeswarm import FakeSwarm, fake_swarm

from labkit.embedded.swarm.agent.agent import Agent
from labkit.embedded.swarm.objects import Network, Service, TaskState, TaskStatus

S = TaskState


async def restarted(swarm: FakeSwarm, name: str) -> Agent:
    """As after ``kill -9`` of the process: a new agent on the same storage and containers."""
    await swarm.agents[name].stop()
    swarm.agents[name] = Agent(swarm.nodes[name], swarm.hosts[name], swarm.world)
    await swarm.agents[name].start()
    return swarm.agents[name]


async def test_tasks_run_on_when_the_process_is_restarted() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 6)
        await swarm.settle()
        before = {task.id: task.status for task in swarm.tasks(service)}
        calls = [host.calls.copy() for host in swarm.hosts.values()]
        for name in swarm.hosts:
            await restarted(swarm, name)
        await swarm.settle(20)
        assert {task.id: task.status for task in swarm.tasks(service)} == before
        assert [host.calls for host in swarm.hosts.values()] == calls


async def test_a_rebooted_machine_finds_its_containers_dead() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        (lost,) = swarm.on("worker-1")
        await swarm.fail("worker-1")
        await swarm.settle(3)  # so short that nobody noticed
        await swarm.heal("worker-1")
        await swarm.settle(8)
        ended = next(task for task in swarm.tasks(service) if task.id == lost.id)
        assert (ended.status.state, ended.status.err) == (S.FAILED, "task: non-zero exit (255)")
        assert len(swarm.tasks(service, running=True)) == 3


async def test_a_machine_that_was_away_for_long_gives_up_what_was_replaced() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        (lost,) = swarm.on("worker-1")
        await swarm.fail("worker-1")
        await swarm.settle(60)
        await swarm.heal("worker-1")
        await swarm.settle(10)
        ended = next(task for task in swarm.tasks(service) if task.id == lost.id)
        assert ended.status.state > S.RUNNING
        assert len(swarm.tasks(service, running=True)) == 3


async def test_tasks_run_on_without_a_leader_and_what_happened_is_told_later() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        assert swarm.leader is not None
        await swarm.leader.stop()
        swarm.leader = None
        await swarm.settle(30)
        (task,) = swarm.on("worker-1")
        swarm.hosts["worker-1"].kill(task.id, 3)
        await swarm.settle(300)
        assert swarm.store.get(type(task), task.id) == task  # nobody has heard of it
        await restarted(swarm, "worker-1")
        await swarm.settle(10)
        await swarm.lead()
        await swarm.settle(20)
        ended = next(t for t in swarm.tasks(service) if t.id == task.id)
        assert (ended.status.state, ended.status.exit_code) == (S.FAILED, 3)
        assert len(swarm.tasks(service, running=True)) == 3


async def test_leaving_removes_everything() -> None:
    async with fake_swarm() as swarm:
        await swarm.create("web", 6)
        await swarm.settle()
        assert swarm.hosts["worker-1"].containers
        await swarm.agents["worker-1"].leave()
        assert swarm.hosts["worker-1"].containers == {}
        storage = swarm.world.storage
        assert not any(storage.all(kind) for kind in storage.kinds("agent/worker-1"))


async def test_networks_come_with_the_tasks() -> None:
    async with fake_swarm() as swarm:
        await swarm.store.update(lambda tx: tx.create(Network(id="id-front", spec={"Name": "front"})))
        template = {"ContainerSpec": {"Image": "app:1"}, "Networks": [{"Target": "id-front"}]}
        spec = {"Name": "web", "TaskTemplate": template, "Mode": {"Global": {}}}
        await swarm.store.update(lambda tx: tx.create(Service(id="s", spec=spec)))
        await swarm.settle()
        for name in swarm.hosts:
            for _ in range(2):
                known = swarm.agents[name].dependencies["id-front"]
                assert isinstance(known, Network)
                assert known.name == "front"
                await restarted(swarm, name)


async def test_a_task_that_no_controller_takes_is_rejected() -> None:
    async with fake_swarm() as swarm:
        for host in swarm.hosts.values():
            host.controller = _refuse  # type: ignore[assignment, method-assign]
        service = await swarm.create("web", 1)
        await swarm.settle()
        status = next(t.status for t in swarm.tasks(service) if t.status.state == S.REJECTED)
        assert (status.message, status.err) == ("resolving controller failed", "no such runtime")


def _refuse(_: object) -> None:
    raise ValueError("no such runtime")


async def test_a_change_of_the_machine_is_noticed() -> None:
    async with fake_swarm() as swarm:
        swarm.hosts["worker-1"].labels = {"storage": "fast"}
        service = await swarm.create("web", 1, Placement={"Constraints": ["engine.labels.storage == fast"]})
        await swarm.settle(30)
        assert len(swarm.tasks(service, running=True)) == 1


async def test_the_database_keeps_up() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        kept = swarm.world.storage.all("agent/worker-1/status")
        (task,) = swarm.on("worker-1")
        assert TaskStatus(**kept[task.id] | {"state": S(kept[task.id]["state"]), "host_ports": ()}) == task.status
        await swarm.remove(service)
        await swarm.settle(2)
        assert swarm.world.storage.all("agent/worker-1/status") == {}
        assert swarm.world.storage.all("agent/worker-1/task") == {}
