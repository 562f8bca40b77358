"""Store, transactions, watches and rows, with commits that happen at once (no Raft)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.swarm.errors import OutOfSequence
from labkit.embedded.swarm.objects import Cluster, Network, Node, Object, Service, Task, TaskState, TaskStatus
from labkit.embedded.swarm.store import (
    NameConflict,
    ObjectExists,
    ObjectNotFound,
    Store,
    Tx,
    Write,
    from_row,
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> Store:
    return Store.local(clock)


def service(id: str, name: str) -> Service:
    return Service(id=id, spec={"Name": name})


async def create(store: Store, *objects: Object) -> None:
    def fill(tx: Tx) -> None:
        for obj in objects:
            tx.create(obj)

    await store.update(fill)


async def test_versions_are_indexes_and_times_are_the_clocks(store: Store, clock: ManualClock) -> None:
    await create(store, service("s1", "web"), service("s2", "db"))
    await clock.advance(10)
    web = store.get(Service, "s1")
    assert web is not None
    assert web.version == 1
    assert web.created_at == web.updated_at == clock.time() - 10
    await store.update(lambda tx: tx.update(replace(web, spec={"Name": "web", "Labels": {"a": "b"}})))
    after = store.get(Service, "s1")
    assert after is not None
    assert (after.version, after.created_at, after.updated_at) == (2, clock.time() - 10, clock.time())
    assert store.get(Service, "s2").version == 1  # type: ignore[union-attr]


async def test_a_stale_update_is_refused_and_nothing_is_written(store: Store) -> None:
    await create(store, service("s1", "web"))
    stale = store.get(Service, "s1")
    assert stale is not None
    await store.update(lambda tx: tx.update(replace(stale, spec={"Name": "web", "Labels": {"1": "1"}})))

    def both(tx: Tx) -> None:
        tx.create(service("s2", "db"))
        tx.update(stale)

    with pytest.raises(OutOfSequence) as refused:
        await store.update(both)
    assert refused.value.status == 500
    assert store.get(Service, "s2") is None
    assert store.index == 2


async def test_names_are_taken_once_whatever_their_case(store: Store) -> None:
    await create(store, service("s1", "web"), Network(id="n1", spec={"Name": "web"}))
    with pytest.raises(NameConflict) as refused:
        await create(store, service("s2", "Web"))
    assert refused.value.status == 409
    assert refused.value.message == (
        "rpc error: code = AlreadyExists desc = name conflicts with an existing object: service Web already exists"
    )
    await create(store, service("s3", "db"))
    db = store.get(Service, "s3")
    assert db is not None
    with pytest.raises(NameConflict):
        await store.update(lambda tx: tx.update(replace(db, spec={"Name": "WEB"})))
    with pytest.raises(ObjectExists):
        await create(store, service("s1", "other"))
    with pytest.raises(ObjectNotFound):
        await store.update(lambda tx: tx.delete(Service, "nope"))
    with pytest.raises(ObjectNotFound):
        await store.update(lambda tx: tx.update(service("nope", "nope")))


async def test_a_name_is_free_again_within_the_same_transaction(store: Store) -> None:
    await create(store, service("s1", "web"))

    def swap(tx: Tx) -> None:
        tx.delete(Service, "s1")
        assert tx.by_name(Service, "web") is None
        tx.create(service("s2", "web"))
        assert tx.by_name(Service, "WEB") is not None

    await store.update(swap)
    assert store.by_name(Service, "Web").id == "s2"  # type: ignore[union-attr]
    await store.update(lambda tx: tx.update(replace(tx.get(Service, "s2"), spec={"Name": "api"})))  # type: ignore
    assert store.by_name(Service, "web") is None
    assert store.by_name(Service, "api").id == "s2"  # type: ignore[union-attr]


async def test_tasks_are_found_by_service_node_and_slot_also_inside_a_transaction(store: Store) -> None:
    await create(store, *(Task(id=f"t{n}", service_id="s", slot=n % 2 + 1, node_id="a") for n in range(4)))

    def move(tx: Tx) -> None:
        task = tx.get(Task, "t0")
        assert task is not None
        tx.update(replace(task, node_id="b"))
        tx.delete(Task, "t1")
        tx.create(Task(id="t9", service_id="s", slot=1))
        assert [task.id for task in tx.tasks_of_node("b")] == ["t0"]
        assert [task.id for task in tx.tasks_of_node("a")] == ["t2", "t3"]
        assert sorted(task.id for task in tx.tasks_of_slot("s", 1)) == ["t0", "t2", "t9"]
        assert len(tx.all(Task)) == len(tx.tasks_of_service("s")) == 4

    await store.update(move)
    assert [task.id for task in store.tasks_of_node("a")] == ["t2", "t3"]
    assert [task.id for task in store.tasks_of_node("b")] == ["t0"]
    assert [task.id for task in store.tasks_of_slot("s", 2)] == ["t3"]
    assert store.tasks_of_service("none") == []


async def test_what_changes_nothing_is_not_written(store: Store) -> None:
    await create(store, service("s1", "web"))
    index = store.index

    def nothing(tx: Tx) -> str:
        tx.update(tx.get(Service, "s1"))  # type: ignore[arg-type]
        tx.create(service("s2", "db"))
        tx.delete(Service, "s2")
        return "done"

    assert await store.update(nothing) == "done"
    assert store.index == index


async def test_a_transaction_knows_the_version_that_it_will_have(store: Store) -> None:
    seen = await store.update(lambda tx: (tx.create(service("s1", "web")), tx.index)[1])
    assert store.get(Service, "s1").version == seen  # type: ignore[union-attr]


async def test_watches_get_all_changes_in_order_and_in_batches(store: Store) -> None:
    watch = store.watch(Task)
    everything = store.watch()
    await create(store, Task(id="t1"), service("s1", "web"))
    first = store.get(Task, "t1")
    assert first is not None
    await store.update(lambda tx: tx.update(replace(first, slot=7)))
    await store.update(lambda tx: tx.delete(Task, "t1"))
    batch = await watch.wait()
    assert [(change.action, change.old and change.old.slot, change.new and change.new.slot) for change in batch] == [
        ("create", None, 0),
        ("update", 0, 7),
        ("delete", 7, None),
    ]
    assert len(everything.take()) == 4
    assert watch.take() == []
    seen: list[str] = []

    async def read() -> None:
        async for changes in watch:
            seen.extend(change.object.id for change in changes)

    reader = asyncio.create_task(read())
    await create(store, Task(id="t2"))
    await create(store, Task(id="t3"))
    watch.close()
    await reader
    assert seen == ["t2", "t3"]
    await create(store, Task(id="t4"))
    assert watch.take() == []


async def test_updates_queue_up_and_each_sees_the_one_before(store: Store) -> None:
    await create(store, Cluster(id="c", spec={"Name": "default"}, subnet_size=0))

    def add_one(tx: Tx) -> None:
        cluster = tx.get(Cluster, "c")
        assert cluster is not None
        tx.update(replace(cluster, subnet_size=cluster.subnet_size + 1))

    await asyncio.gather(*(store.update(add_one) for _ in range(50)))
    assert store.cluster().subnet_size == 50  # type: ignore[union-attr]


class _Slow:
    """Commits when told to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.gate = asyncio.Event()

    def next_index(self) -> int:
        return self.store.index + 1

    async def propose(self, writes: tuple[Write, ...]) -> None:
        await self.gate.wait()
        self.store.apply(self.store.index + 1, writes)


async def test_a_caller_that_gives_up_does_not_let_the_next_one_in_before_its_entry(clock: ManualClock) -> None:
    store = Store(clock)
    slow = _Slow(store)
    store.proposer = slow
    first = asyncio.create_task(create(store, service("s1", "web")))
    await clock.settle()
    first.cancel()
    second = asyncio.create_task(create(store, service("s2", "web")))
    await clock.settle()
    assert first.cancelled()
    assert not second.done()
    slow.gate.set()
    with pytest.raises(NameConflict):
        await second


async def test_snapshots_tell_watchers_what_differs(store: Store, clock: ManualClock) -> None:
    await create(store, service("s1", "web"), service("s2", "db"), Task(id="t1", service_id="s1"))
    other = Store(clock)
    other.restore(store.snapshot())
    watch = other.watch()
    await store.update(lambda tx: tx.delete(Service, "s2"))
    await create(store, Node(id="n1"))
    other.restore(store.snapshot())
    assert [(change.action, change.object.id) for change in watch.take()] == [("create", "n1"), ("delete", "s2")]
    assert other.index == store.index
    assert other.by_name(Service, "db") is None
    assert [task.id for task in other.tasks_of_service("s1")] == ["t1"]


async def test_everything_is_in_the_storage_before_update_returns(clock: ManualClock) -> None:
    storage = Storage()
    store = Store.local(clock, storage)
    status = TaskStatus(state=TaskState.RUNNING, container_id="c", exit_code=0, host_ports=({"PublishedPort": 80},))
    await create(
        store,
        Task(id="t1", status=status, desired_state=TaskState.RUNNING, networks=({"Network": "n"},)),
        Cluster(id="c", default_addr_pool=("10.0.0.0/8",)),
        service("s1", "web"),
    )
    await store.update(lambda tx: tx.delete(Service, "s1"))
    again = Store.local(clock, storage)
    assert again.index == store.index == 2
    assert again.all(Task) == store.all(Task)
    assert again.all(Cluster) == store.all(Cluster)
    assert again.all(Service) == []
    assert isinstance(again.all(Task)[0].status.state, TaskState)
    assert isinstance(again.all(Task)[0].networks, tuple)


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=5), json, max_size=3)
statuses = st.builds(
    TaskStatus,
    state=st.sampled_from(TaskState),
    message=st.text(max_size=5),
    exit_code=st.none() | st.integers(0, 255),
    host_ports=st.lists(objects, max_size=2).map(tuple),
)
tasks = st.builds(
    Task,
    id=st.text(max_size=5),
    version=st.integers(0, 2**53),
    spec=objects,
    status=statuses,
    desired_state=st.sampled_from(TaskState),
    networks=st.lists(objects, max_size=2).map(tuple),
)


@given(tasks)
def test_rows_come_back_as_they_went(task: Task) -> None:
    assert from_row(Task, orjson.loads(orjson.dumps(task))) == task


def test_rows_of_another_version_are_read() -> None:
    assert from_row(Node, {"id": "n", "role": "manager", "later": 1}) == Node(id="n", role="manager")
