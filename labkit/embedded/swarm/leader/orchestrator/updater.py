"""The update supervisor: brings a service's tasks to its new spec, slot by slot.

SwarmKit: ``manager/orchestrator/update``. There each of ``parallelism`` workers takes a slot, replaces its task, waits
until the new one runs, waits the delay, takes the next. Here one coroutine a service keeps up to ``parallelism`` slots
in flight and writes whatever is to be done in one transaction, so an update of a thousand slots at once is one write.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from labkit.embedded.swarm.errors import NoLeader
from labkit.embedded.swarm.leader.loop import RETRY_DELAY, Wakeup, cancelled
from labkit.embedded.swarm.leader.orchestrator import updatepolicy
from labkit.embedded.swarm.leader.orchestrator.restart import RestartSupervisor
from labkit.embedded.swarm.leader.orchestrator.tasks import (
    Slot,
    SlotKey,
    by_slot,
    is_task_dirty,
    set_desired,
    slot_key,
    successor,
)
from labkit.embedded.swarm.leader.orchestrator.updatepolicy import (
    PAUSED,
    UNDER_WAY,
    Verdict,
    Watchlist,
    state_of,
    update_policy,
)
from labkit.embedded.swarm.objects import Node, Service, Task, TaskState
from labkit.embedded.swarm.store import Change, Store, Tx

_log = logging.getLogger("labkit.swarm.updater")


class UpdateSupervisor:
    """The updates under way, at most one a service."""

    def __init__(self, store: Store, world: Any, restarts: RestartSupervisor) -> None:
        self._store = store
        self._world = world
        self._restarts = restarts
        self._updates: dict[str, Updater] = {}

    def update(self, service: Service, slots: list[Slot]) -> None:
        """Bring these slots to the service's spec, in the background. An update to another spec is broken off; one to
        this spec goes on as it is."""
        current = self._updates.get(service.id)
        if current is not None:
            if current.service.spec == service.spec and not current.is_superseded_by(service):
                return
            current.cancel()
        updater = Updater(self._store, self._world, self._restarts, service, slots)
        if not updater.needed:
            return
        self._updates[service.id] = updater
        updater.start(lambda: self._finished(updater))

    def is_updating(self, service_id: str) -> bool:
        return service_id in self._updates

    def _finished(self, updater: Updater) -> None:
        if self._updates.get(updater.service.id) is updater:
            del self._updates[updater.service.id]

    def forget_service(self, service_id: str) -> None:
        updater = self._updates.pop(service_id, None)
        if updater is not None:
            updater.cancel()

    def observe(self, batch: Iterable[Change]) -> None:
        """Changes of tasks."""
        if not self._updates:
            return
        for change in batch:
            if isinstance(change.object, Task):
                updater = self._updates.get(change.object.service_id)
                if updater is not None:
                    updater.observe(change)

    async def stop(self) -> None:
        updates, self._updates = list(self._updates.values()), {}
        await asyncio.gather(*(updater.stop() for updater in updates))


@dataclass(slots=True)
class _Flight:
    """A slot that is being replaced."""

    key: SlotKey
    task_id: str  # the task that takes over
    existing: bool  # it was there before: one only waits until it has been told to run
    told: asyncio.Future[None] | None
    until: float | None = None  # set while the delay after it runs


class Updater:
    def __init__(
        self, store: Store, world: Any, restarts: RestartSupervisor, service: Service, slots: list[Slot]
    ) -> None:
        self.service = service
        self._store = store
        self._clock = world.clock
        self._ids = world.ids
        self._restarts = restarts
        self._policy = update_policy(service)
        self._wakeup = Wakeup(self._clock)
        self._task: asyncio.Task[None] | None = None
        self._take_up(slots)

    def _take_up(self, slots: list[Slot]) -> None:
        dirty = [slot for slot in slots if self._is_slot_dirty(slot)]
        self._dirty = bool(dirty)
        self._tangled = any(len(slot) > 1 for slot in slots)
        self._queue = deque((slot_key(slot[0]), [task.id for task in slot]) for slot in dirty)
        self._watchlist = Watchlist(self._policy, len(dirty))
        self._flights: dict[str, _Flight] = {}  # by the id of the task that takes over
        self._news: list[Change] = []
        self.stopped = False  # by a failure
        self._announced = False  # the service says that it is updating

    @property
    def needed(self) -> bool:
        """Is there anything to do?"""
        state = state_of(self.service)
        return self._tangled if state in PAUSED else self._dirty or state in UNDER_WAY

    def is_superseded_by(self, service: Service) -> bool:
        """Has somebody asked for the same spec again (``docker service update web``, which wipes the status)? That
        takes a paused update up again, and one that is under way afresh."""
        state = state_of(service)
        return (self.stopped and state not in PAUSED) or (self._announced and not state)

    def start(self, finished: Callable[[], None]) -> None:
        self._task = asyncio.create_task(self._run(), name=f"swarm update {self.service.name}")
        self._task.add_done_callback(lambda _: finished())

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        await cancelled(self._task)

    def observe(self, change: Change) -> None:
        """A task of the service changed."""
        if self.stopped:
            self._wakeup.set()
        elif change.object.id in self._watchlist.ran_at or change.object.id in self._flights:
            self._news.append(change)
            self._wakeup.set()

    # --

    async def _run(self) -> None:
        while True:
            try:
                await self._attempt()
                return
            except asyncio.CancelledError:
                raise
            except NoLeader:
                _log.debug("update of service %s: no quorum", self.service.id)
            except Exception:
                _log.exception("update of service %s failed; it starts over", self.service.id)
            await self._clock.sleep(RETRY_DELAY)
            self._take_up(self._slots_now())

    def _slots_now(self) -> list[Slot]:
        slots = by_slot(self._store.tasks_of_service(self.service.id), slot_key).values()
        return [alive for slot in slots if (alive := self._restarts.updatable(slot, self.service))]

    async def _attempt(self) -> None:
        if state_of(self.service) in PAUSED:
            await self._aftermath()
            return
        while self._dirty:
            await self._write(lambda service: updatepolicy.started(service, self._clock.time()))
            self._announced = True
            if not await self._replace_slots() or not await self._monitor():
                await self._aftermath()
                return
            self._take_up(self._slots_now())  # a node may have died meanwhile, and its tasks with it
        await self._write(lambda service: updatepolicy.completed(service, self._clock.time()))

    async def _replace_slots(self) -> bool:
        """Until all slots are replaced. False when a failure has stopped it."""
        stopped = False
        while True:
            verdict = self._digest()
            if verdict is not None and not stopped:
                stopped = True
                self._queue.clear()  # slots in flight are still brought to their end
                await self._obey(verdict)
            leaving = self._landed()
            room = self._room()
            if leaving or (room and self._queue):
                await self._store.update(lambda tx, leaving=leaving, room=room: self._step(tx, leaving, room))  # type: ignore[misc]
                continue
            if not self._flights and not self._queue:
                return not stopped
            await self._wakeup.wait(min((f.until for f in self._flights.values() if f.until is not None), default=None))

    async def _monitor(self) -> bool:
        """Watch on for a while. False when a failure came."""
        until = self._clock.time() + self._policy.monitoring
        while True:
            verdict = self._digest()
            if verdict is not None:
                await self._obey(verdict)
                return False
            if self._clock.time() >= until:
                return True
            await self._wakeup.wait(until)

    async def _aftermath(self) -> None:
        """After the update was stopped. Of start-first, a slot may have its old task and a new one that fails again
        and again; they stay side by side, as on a real swarm. But SwarmKit leaves both even when the new one comes to
        run after all; here the old one goes once that has lasted as long as the monitor watches."""
        self.stopped = True
        while True:
            now = self._clock.time()
            tangled = [slot for slot in self._slots_now() if len(slot) > 1]
            leaving = [task for slot in tangled for task in self._superfluous(slot, now)]
            if not tangled:
                return
            if leaving:
                await self._store.update(lambda tx, leaving=leaving: self._shut_down(tx, leaving))  # type: ignore[misc]
            else:
                later = [task.status.timestamp + self._policy.monitor for slot in tangled for task in slot]
                await self._wakeup.wait(min((at for at in later if at > now), default=None))

    def _superfluous(self, slot: Slot, now: float) -> list[Task]:
        """Which tasks of a slot that has several are to go, after the update was stopped."""
        new = [task for task in slot if not self._is_dirty(task)]
        old = sorted((task for task in slot if task not in new), key=lambda task: task.spec_version)
        running = [task for task in slot if task.status.state == task.desired_state == TaskState.RUNNING]
        proven = [task for task in running if now - task.status.timestamp >= self._policy.monitor]
        if keep := next((task for task in new if task in proven), None):
            return [task for task in slot if task is not keep]
        leaving: Slot = []
        if len(new) > 1:  # both were replaced, say when their node died: one of them will do
            keep = next((task for task in reversed(new) if task in running), new[-1])
            leaving += [task for task in new if task is not keep]
        # Several old ones are what an update left that was broken off by this one: the one of the latest spec stays.
        return leaving + [task for task in old if task in proven][:-1]

    def _room(self) -> int:
        """How many more slots may be taken in hand now."""
        return max(0, self._policy.parallelism - len(self._flights)) if self._policy.parallelism else len(self._queue)

    def _digest(self) -> Verdict | None:
        """Take in what has happened to our tasks."""
        verdict = None
        now = self._clock.time()
        news, self._news = self._news, []
        for change in news:
            task = change.new
            if task is not None and task.status.state >= TaskState.RUNNING:
                self._watchlist.ran(task.id, now)
                if task.status.state > TaskState.RUNNING:
                    verdict = self._watchlist.ended(task.id, now) or verdict
        return verdict

    def _landed(self) -> list[_Flight]:
        """Slots whose new task has come to run (or never will); their delay begins. Those that are over are dropped.

        Returns the ones whose old tasks are now to be shut down (start-first)."""
        now = self._clock.time()
        leaving = []
        for flight in list(self._flights.values()):
            if flight.until is None:
                task = self._store.get(Task, flight.task_id)
                if not _arrived(flight, task):
                    continue
                flight.until = now + self._policy.delay
                running = task is not None and task.status.state == TaskState.RUNNING
                if self._policy.order == "start-first" and running and not flight.existing:
                    leaving.append(flight)
            if now >= flight.until:
                del self._flights[flight.task_id]
        return leaving

    def _step(self, tx: Tx, leaving: list[_Flight], room: int) -> None:
        for flight in leaving:
            for task in self._slot(flight.key):
                if task.id != flight.task_id and task.desired_state <= TaskState.RUNNING:
                    set_desired(tx, task, TaskState.SHUTDOWN)
        if tx.get(Service, self.service.id) is None:
            self._queue.clear()
        for _ in range(min(room, len(self._queue))):
            key, snapshot = self._queue.popleft()
            self._begin(tx, key, snapshot)

    def _begin(self, tx: Tx, key: SlotKey, snapshot: list[str]) -> None:
        """Take one slot in hand. Its tasks are looked up afresh: some may have been restarted since."""
        now = self._clock.time()
        slot = [task for task in self._slot(key) if task.desired_state <= TaskState.RUNNING]
        if not slot:  # its last task ended and is not restarted: the update revives it
            slot = [task for id in snapshot if (task := tx.get(Task, id)) is not None]
        if not slot or all(task.desired_state >= TaskState.REMOVE for task in slot):
            return
        clean = [task for task in slot if task.desired_state <= TaskState.RUNNING and not self._is_dirty(task)]
        if clean:
            keep = next((task for task in clean if task.desired_state == TaskState.RUNNING), clean[-1])
            old = self._shut_down(tx, [task for task in slot if task is not keep])
            told = None
            if keep.desired_state != TaskState.RUNNING:
                told = self._restarts.delay_start(old, keep.id, 0.0)
                told.add_done_callback(lambda _: self._wakeup.set())
            self._flights[keep.id] = _Flight(key, keep.id, True, told)
            return
        fresh = successor(self.service, slot[0], self._ids.swarm_id(), now)
        tx.create(fresh)
        self._watchlist.made(fresh.id)
        old = None if self._policy.order == "start-first" else self._shut_down(tx, slot)
        self._flights[fresh.id] = _Flight(key, fresh.id, False, self._restarts.delay_start(old, fresh.id, 0.0))

    def _shut_down(self, tx: Tx, tasks: Slot) -> Task | None:
        """Returns one that has to stop before the next may start."""
        leaving = [task for task in tasks if set_desired(tx, task, TaskState.SHUTDOWN)]
        return next((task for task in leaving if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING), None)

    def _slot(self, key: SlotKey) -> Slot:
        """The tasks of a slot before this transaction: it writes to each slot once, so that is enough, and reading
        through the transaction would cost as much as it has writes."""
        if key.node_id:
            return [task for task in self._store.tasks_of_node(key.node_id) if task.service_id == key.service_id]
        return self._store.tasks_of_slot(key.service_id, key.slot)

    def _is_slot_dirty(self, slot: Slot) -> bool:
        return len(slot) > 1 or any(self._is_dirty(task) for task in slot)

    def _is_dirty(self, task: Task) -> bool:
        return is_task_dirty(self.service, task, self._store.get(Node, task.node_id))

    # -- writing

    async def _obey(self, verdict: Verdict) -> None:
        change = updatepolicy.rolled_back if verdict.action == "rollback" else updatepolicy.paused
        await self._write(lambda service: change(service, verdict.message))

    async def _write(self, change: Callable[[Service], Service | None]) -> None:
        """Change the service object, if it still is at the spec that this update is about."""

        def apply(tx: Tx) -> None:
            service = tx.get(Service, self.service.id)
            changed = change(service) if service is not None and service.spec == self.service.spec else None
            if changed is not None:
                tx.update(changed)

        await self._store.update(apply)


def _arrived(flight: _Flight, task: Task | None) -> bool:
    """Has the new task come to run, or is it clear that it never will?"""
    if task is None or task.desired_state > TaskState.RUNNING:
        return True
    if flight.existing:
        return flight.told is None or flight.told.done()
    return task.status.state >= TaskState.RUNNING
