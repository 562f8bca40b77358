"""How many passing statuses are written when pods come in floods."""

from __future__ import annotations

from support.kubelets import Cluster, pod_of, shell

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.etcd import Change
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.kubelet.allowance import BURST, RATE, TURN, Allowance
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.clock import ManualClock


async def test_so_many_at_once_and_the_rest_by_and_by_in_their_order() -> None:
    clock, written = ManualClock(), list[int]()
    allowance = Allowance(clock)

    def write(number: int) -> bool:
        written.append(number)
        return True

    for number in range(BURST + 3 * RATE):
        allowance.ask(lambda number=number: write(number))  # type: ignore[misc]
    assert written == list(range(BURST))
    await clock.advance(1 + TURN)
    assert BURST + RATE <= len(written) <= BURST + RATE * (1 + TURN) + 1
    await clock.advance(3)
    assert written == list(range(BURST + 3 * RATE))


async def test_what_has_been_overtaken_takes_nothing() -> None:
    clock, asked = ManualClock(), list[int]()
    allowance = Allowance(clock)

    def overtaken(number: int) -> bool:
        asked.append(number)
        return False

    for _ in range(BURST):
        allowance.ask(lambda: True)
    for number in range(1000):
        allowance.ask(lambda number=number: overtaken(number))  # type: ignore[misc]
    assert not asked
    await clock.advance(2 * TURN)
    assert len(asked) == 1000


def phases(cluster: Cluster) -> dict[str, list[str]]:
    """What was written of each pod from now on: its phase, or why its container waits."""
    told: dict[str, list[str]] = {}

    def look(kind: Kind, change: Change) -> None:
        if kind is kinds.PODS and change.old is not None and change.new is not None:
            status: Json = change.new.obj.get("status") or {}
            waiting = [one["state"].get("waiting", {}).get("reason") for one in status.get("containerStatuses", ())]
            told.setdefault(change.key[1], []).append(waiting[0] if waiting and waiting[0] else status["phase"])

    cluster.registry.etcd.subscribe(look)
    return told


async def test_a_pod_is_seen_being_created(cluster: Cluster) -> None:
    await cluster.kubelet()
    told = phases(cluster)
    await cluster.run(pod_of("one", shell("sleep 1000")))
    assert told == {"one": ["ContainerCreating", "Running"]}


async def test_of_a_flood_most_are_first_seen_running(cluster: Cluster) -> None:
    await cluster.kubelet()
    for _ in range(BURST):
        cluster.parts.allowance.ask(lambda: True)
    told = phases(cluster)
    for number in range(20):
        cluster.create(pod_of(f"p{number}", shell("sleep 1000")))
    cluster.create(pod_of("bad", {"name": "c", "image": "nowhere/nothing:1"}))
    await cluster.clock.advance(1)
    bad = told.pop("bad")
    assert all(seen[-1] == "Running" for seen in told.values())
    assert len(told) == 20
    assert sum(len(seen) == 1 for seen in told.values()) > 10
    assert "ErrImagePull" in bad
