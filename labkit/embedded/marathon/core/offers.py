"""What is done with offers: launch what waits, decline the rest, ask for more, or say that none are wanted.

``core/matcher`` and ``core/flow`` of Marathon: several apps may share an offer; a task is launched once its instance is
stored; what nobody wants is declined for ``decline_offer_duration``; while nothing waits offers are suppressed, and
revived (at most every ``min_revive_offers_interval``) when something does.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from labkit.embedded.marathon.constraints import Placements
from labkit.embedded.marathon.core import conditions as c
from labkit.embedded.marathon.core.instances import Instance
from labkit.embedded.marathon.core.launchqueue import Entry, LaunchQueue
from labkit.embedded.marathon.core.options import Options
from labkit.embedded.marathon.core.store import StoreFailed
from labkit.embedded.marathon.core.tracker import InstanceTracker
from labkit.embedded.marathon.events import stamp
from labkit.embedded.marathon.matching import Context, Match, Offered, match
from labkit.embedded.marathon.specs import App
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.clock import Clock, Timer

log = logging.getLogger(__name__)

Json = dict[str, Any]


@dataclass(slots=True)
class _Launch:
    """What one offer is used for."""

    offer: Offered
    instances: list[Instance]
    tasks: list[Json]


class OfferProcessor:
    """Takes the OFFERS and RESCIND events of the driver."""

    def __init__(
        self,
        clock: Clock,
        tracker: InstanceTracker,
        queue: LaunchQueue,
        call: Callable[[Json], None],
        context: Context,
        options: Options,
        rng: random.Random,
        enforces_role: Callable[[App], bool],
    ) -> None:
        self._clock = clock
        self._tracker = tracker
        self._queue = queue
        self._call = call
        self._context = context
        self._options = options
        self._rng = rng
        self._enforces_role = enforces_role
        self._chores = Chores()
        self._using: set[str] = set()  # offers whose launches are being stored
        self._suppressed = False
        self._revived = float("-inf")
        self._timer: Timer | None = None
        self._closed = False

    # -- offers

    def offered(self, offers: Iterable[Json]) -> None:
        """Match them with what waits, one after the other."""
        now = stamp(self._clock.time())
        ready = list(self._queue.ready())
        placed: dict[str, Placements | tuple[()]] = {}
        launches, unused = [], []
        for body in offers:
            launch = self._use(Offered.of(body), ready, placed, now)
            if launch is None:
                unused.append(body["id"])
            else:
                launches.append(launch)
        if unused:
            seconds = self._options.decline_offer_duration
            decline = {"offer_ids": unused, "filters": {"refuse_seconds": seconds}}
            self._call({"type": "DECLINE", "decline": decline})
        if launches:
            self._chores.start(self._launch(launches))

    def rescinded(self, offer_id: str) -> None:
        """It is not valid any more."""
        self._using.discard(offer_id)

    def _use(
        self, offer: Offered, ready: list[Entry], placed: dict[str, Placements | tuple[()]], now: str
    ) -> _Launch | None:
        launch = _Launch(offer, [], [])
        room = self._options.max_instances_per_offer
        for entry in ready:
            before = len(launch.instances)
            while entry.waiting and len(launch.instances) < room:
                instance = next(iter(entry.waiting.values()))
                app = instance.app
                there = placed.get(app.id)
                if there is None:
                    there = placed[app.id] = self._placements(app)
                task_id = instance.next_task_id()
                found = match(
                    app, offer, there, task_id, self._context, self._rng, enforce_role=self._enforces_role(app)
                )
                if not isinstance(found, Match):
                    if len(launch.instances) == before:
                        entry.statistics.refused(offer.json, found.reasons, now)
                    break
                self._place(instance, offer, found, task_id)
                self._queue.take(instance)
                if isinstance(there, Placements):
                    there.add(instance)
                launch.instances.append(instance)
                launch.tasks.append(found.task_info)
                entry.statistics.matched(now)
        return launch if launch.instances else None

    def _placements(self, app: App) -> Placements | tuple[()]:
        if not app.constraints:
            return ()
        there = (each for each in self._tracker.of_app(app.id) if each.active and each.host)
        return Placements.of(app.constraints, app.config_version, there)

    def _place(self, instance: Instance, offer: Offered, found: Match, task_id: str) -> None:
        agent = offer.agent
        instance.agent_id, instance.host = agent.agent_id, agent.host
        instance.region, instance.zone, instance.attributes = agent.region, agent.zone, tuple(agent.attributes)
        instance.ports = found.host_ports
        instance.task_id = task_id
        instance.incarnation += 1

    async def _launch(self, launches: list[_Launch]) -> None:
        self._using.update(launch.offer.id for launch in launches)
        try:
            await self._tracker.provision(instance for launch in launches for instance in launch.instances)
        except StoreFailed:
            return
        if self._closed:
            return
        for launch in launches:
            if launch.offer.id not in self._using:
                for instance in launch.instances:
                    if instance.condition == c.PROVISIONED:
                        self._tracker.reschedule(instance, instance.app)
                        self._tracker.save(instance)
                continue
            self._using.discard(launch.offer.id)
            # Those that were given up meanwhile stay out.
            tasks = [
                task
                for instance, task in zip(launch.instances, launch.tasks, strict=True)
                if instance.id in self._tracker.by_id and instance.condition == c.PROVISIONED
            ]
            operations = [{"type": "LAUNCH", "launch": {"task_infos": tasks}}] if tasks else []
            accept: Json = {
                "offer_ids": [launch.offer.json["id"]],
                "operations": operations,
                "filters": {"refuse_seconds": 0.0},
            }
            self._call({"type": "ACCEPT", "accept": accept})

    # -- wanting offers

    def subscribed(self) -> None:
        """A master that lets a framework in begins to send offers."""
        self._suppressed = False
        self._using.clear()
        self._revived = self._clock.time()
        self.queue_changed()

    def queue_changed(self) -> None:
        """There may be more to launch, or nothing."""
        if any(True for _ in self._queue.ready()):
            wait = self._revived + self._options.min_revive_offers_interval - self._clock.time()
            if wait <= 0 or self._suppressed:
                self._revive()
            elif self._timer is None:
                self._timer = self._clock.call_later(wait, self._due)
        elif not self._suppressed:
            self._suppressed = True
            self._call({"type": "SUPPRESS", "suppress": {}})

    def _due(self) -> None:
        self._timer = None
        self.queue_changed()

    def _revive(self) -> None:
        self._suppressed = False
        self._revived = self._clock.time()
        self._call({"type": "REVIVE", "revive": {}})

    def close(self) -> None:
        """Take no more offers."""
        self._closed = True
        self._chores.cancel()
        if self._timer is not None:
            self._timer.cancel()
