"""The frame of every controller: hear of changes, queue the key, bring it in order, try again when that failed.

A controller is level-triggered: :meth:`Controller.sync` reads what is wanted and what is, makes one step towards it,
and is called again. It never keeps in memory what it could read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.embedded.kubernetes.client import Client, Informer, Informers, Recorder, Unreachable, WorkQueue
from labkit.embedded.kubernetes.errors import Conflict, StatusError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, key_of

# The real controller-manager ends when it cannot reach the API server for ten seconds, loses its lease, and begins
# anew when it can; so nothing that failed for that reason waits much longer than this afterwards.
UNREACHABLE_SECONDS = 10.0


@dataclass(slots=True)
class Metrics:
    """What a controller has done since it was started."""

    syncs: int = 0
    errors: int = 0
    seconds: float = 0.0  # of wall-clock time within sync


@dataclass(frozen=True, slots=True)
class Config:
    """What kube-controller-manager is told by its flags."""

    root_ca: str = ""  # --root-ca-file: the certificate itself, PEM


class Controller:
    """One control loop. A subclass names itself, subscribes in :meth:`setup`, and fills in :meth:`sync`.

    Made anew each time the controller-manager starts; ``start`` and ``stop`` are called once.
    """

    name: ClassVar[str] = ""  # as in ``kube-controller-manager --controllers``: "replicaset-controller"
    source: ClassVar[str] = ""  # what its events and its service account say, where that is not the name
    workers: ClassVar[int] = 1
    config: Config = Config()

    def __init__(self, client: Client, informers: Informers) -> None:
        self.client = client.account(self.source or self.name)
        self.informers = informers
        self.clock = client.clock
        self.recorder = Recorder(self.client, self.source or self.name)
        self.queue: WorkQueue[Any] = WorkQueue(client.clock)
        self.metrics = Metrics()
        self.log = logging.getLogger(f"labkit.kubernetes.{self.name}")
        self._unsubscribe: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    # for subclasses -------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Ask for informers, add indexes, subscribe with :meth:`watch`. Called by :meth:`start`."""

    async def begin(self) -> None:
        """Called once the informers are filled, before the first sync."""

    async def sync(self, key: Any) -> None:
        """Make one step for this key. An error means: again, after a pause."""
        raise NotImplementedError

    def watch(
        self,
        kind: Kind,
        added: Callable[[Json], object] | None = None,
        updated: Callable[[Json, Json], object] | None = None,
        deleted: Callable[[Json], object] | None = None,
    ) -> Informer:
        """Hear of changes of a kind until the controller stops; returns its informer."""
        informer = self.informers[kind]
        self._unsubscribe.append(informer.on(added, updated, deleted))
        return informer

    def watch_keys(self, kind: Kind) -> Informer:
        """Queue the key of every object of a kind that comes, changes or goes."""
        return self.watch(kind, self.enqueue, lambda _, new: self.enqueue(new), self.enqueue)

    def enqueue(self, obj: Json) -> None:
        self.queue.add(key_of(obj))

    def spawn(self, coroutine: Coroutine[Any, Any, None], what: str = "") -> asyncio.Task[None]:
        """Run something beside the workers until the controller stops."""
        task = asyncio.create_task(coroutine, name=f"{self.name} {what}".strip())
        self._tasks.append(task)
        return task

    async def every(self, seconds: float, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Call ``step`` every so many sandbox seconds, whatever becomes of it. To be spawned."""
        while True:
            try:
                await self.client.hold()
                await step()
            except (Unreachable, StatusError) as error:
                self.metrics.errors += 1
                self.log.debug("%s", error)
            except Exception:
                self.metrics.errors += 1
                self.log.exception("a round of %s failed", self.name)
            await self.clock.sleep(seconds)

    # life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; the first sync happens once the informers are filled. They are started by whoever made them."""
        self.setup()
        self.spawn(self._run(), "begins")

    async def stop(self) -> None:
        """End at once: no task and no timer is left."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe.clear()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.queue.clear()
        await self.recorder.stop()

    @property
    def idle(self) -> bool:
        """Nothing is queued and nobody works."""
        return self.queue.idle

    async def _run(self) -> None:
        await self.informers.synced()
        await self.begin()
        for number in range(1, self.workers):
            self.spawn(self._work(), f"worker {number}")
        await self._work()

    async def _work(self) -> None:
        queue, metrics = self.queue, self.metrics
        timer = asyncio.get_running_loop().time
        while True:
            key = await queue.get()
            began = timer()
            try:
                await self.client.hold()
                await self.sync(key)
                queue.forget(key)
            except Unreachable as error:
                metrics.errors += 1
                self.log.debug("%s: %s", key, error)
                queue.retry(key, ceiling=UNREACHABLE_SECONDS)
            except Conflict:
                # The cache is behind: what it lacks is on its way.
                queue.retry(key)
            except StatusError as error:
                metrics.errors += 1
                self.log.info("%s: %s", key, error)
                queue.retry(key)
            except Exception:
                metrics.errors += 1
                self.log.exception("%s of %s failed", self.name, key)
                queue.retry(key)
            finally:
                metrics.syncs += 1
                metrics.seconds += timer() - began
                queue.done(key)
            # One key after another without a pause would keep the API server from answering anybody.
            await asyncio.sleep(0)
