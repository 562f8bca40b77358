"""The offers desk: a framework whose scheduler is the person at the keyboard.

It subscribes to Mesos like any other framework. Each offer is a card with a clock; it is used for orders or given back.
The same can be done from a cell: :meth:`Desk.accept`, :meth:`Desk.decline`…
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import anywidget
import traitlets

from labkit.errors import UsageError
from labkit.orchestrators.marathon.errors import MesosError
from labkit.orchestrators.marathon.framework import FrameworkConnection

from .intents import explain
from .offerbook import ORDERS, Book, Held, Order
from .panel import HERE

log = logging.getLogger(__name__)

Json = dict[str, Any]

NAME = "by-hand"
COMMAND = "exec sleep 100000"  # what every order runs: long enough to be looked at
FAILOVER = 120.0  # seconds that tasks outlive the notebook's kernel
LIMIT = 60.0  # seconds of a round
NEW_DEAL = 2.0  # seconds until its first offers


class Desk(anywidget.AnyWidget):
    """Offers as cards, orders to fill, and what was said between the master and you."""

    _esm = HERE / "offers.js"
    _css = HERE / "offers.css"

    view = traitlets.Dict().tag(sync=True)
    now = traitlets.Float(0.0).tag(sync=True)  # the kernel's time when the view was sent: the page's may differ
    problem = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        sandbox: Any,
        orders: Sequence[Order] = ORDERS,
        connect: Callable[..., Any] = FrameworkConnection,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        :param sandbox: whose ``client.mesos`` leads to the masters
        :param orders: what there is to place
        :param connect: makes the connection
        """
        self._sandbox = sandbox
        self._connect = connect
        self._clock = clock
        self._book = Book(orders)
        self._connection: Any = None
        self._lock = threading.RLock()
        super().__init__(view=self._book.view(), now=clock())
        self.on_msg(self._received)

    # -- from a cell, or by a button ----------------------------------------------------------------------------------

    @property
    def offers(self) -> list[Held]:
        """What is in hand, a card for each agent, by machine."""
        with self._lock:
            return self._book.cards()

    def subscribe(self) -> None:
        """Become a framework. Does nothing when one is already."""
        mesos = self._sandbox.client.mesos
        with self._lock:
            if self._connection is not None:
                return
            info = {
                "name": NAME, "user": user_of(mesos.frameworks()), "roles": ["*"], "failover_timeout": FAILOVER,
                "capabilities": [{"type": "MULTI_ROLE"}],
                "checkpoint": True,  # tasks outlive their agent's process
            }  # fmt: skip
            self._book.state, self._book.words = "connecting", "looking for the leading master"
            self._connection = self._connect(mesos.servers, info, self._heard, self._lost)
            self._connection.start()
        self._show()

    def accept(self, offer: Held | str, *orders: str) -> None:
        """Launch a task for each order with this card (or that of this machine); the rest goes back to the master."""
        with self._lock:
            held = self._held(offer)
            unknown = [name for name in orders if name not in self._book.orders]
            if unknown or not orders:
                raise UsageError(f"say which orders: {', '.join(self._book.orders)}")
            tasks = [(f"{name}.{uuid.uuid4().hex[:8]}", name) for name in orders]
            infos = [task_info(task_id, self._book.orders[name], held) for task_id, name in tasks]
            self._call(
                "ACCEPT",
                accept={
                    "offer_ids": [{"value": one} for one in held.ids],
                    "operations": [{"type": "LAUNCH", "launch": {"task_infos": infos}}],
                    "filters": {"refuse_seconds": 0.0},  # what is left over may be offered again at once
                },
            )
            self._book.accepted(held, tasks, self._clock())
        self._show()

    def decline(self, offers: Held | str | Iterable[Held | str] | None = None, seconds: float = 5.0) -> None:
        """Give offers back (all, if none is named), and see none of these agents for so many seconds."""
        with self._lock:
            given = [offers] if isinstance(offers, Held | str) else self.offers if offers is None else list(offers)
            held = [self._held(offer) for offer in given]
            if not held:
                return
            ids = [{"value": one} for card in held for one in card.ids]
            self._call("DECLINE", decline={"offer_ids": ids, "filters": {"refuse_seconds": seconds}})
            now = self._clock()
            self._book.declined(held, seconds, now + seconds / self._speed(), now)
        self._show()

    def revive(self) -> None:
        """Forget what was declined: offer me everything again."""
        with self._lock:
            self._call("REVIVE", revive={})
            self._book.revived(self._clock())
        self._show()

    def kill(self, *tasks: str) -> None:
        """Kill tasks, by id or by their order's name."""
        with self._lock:
            for task in list(self._book.tasks.values()):
                if (task.id in tasks or task.order in tasks) and not task.ended:
                    self._call("KILL", kill={"task_id": {"value": task.id}, "agent_id": {"value": task.agent_id}})
                    self._book.note(self._clock(), f"→ KILL {task.order}")
        self._show()

    def start_round(self, limit: float = LIMIT) -> None:
        """All orders again, against the clock: so many seconds of the sandbox."""
        with self._lock:
            self.kill(*(name for name, order in self._book.orders.items() if order.counts))
            # A new deal: what the killed tasks had comes back in one offer with the rest of their agent.
            self.decline(seconds=NEW_DEAL)
            self._book.begin(limit / self._speed(), self._clock())
        self._show()

    def teardown(self) -> None:
        """Stop being a framework: Mesos kills its tasks."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close(teardown=True)
                self._book.closed(self._clock())
        self._show()

    def close(self) -> None:
        """Hang up; the tasks live on until the failover timeout is over."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        super().close()

    # -- how ----------------------------------------------------------------------------------------------------------

    def _held(self, offer: Held | str) -> Held:
        wanted = offer.agent_id if isinstance(offer, Held) else offer
        for held in self._book.cards():
            if wanted in (held.agent_id, held.machine):
                return held
        raise UsageError(f"there is no offer of {offer.machine if isinstance(offer, Held) else offer} in hand any more")

    def _call(self, kind: str, **fields: Any) -> None:
        if self._connection is None:
            raise UsageError("you are not subscribed yet")
        self._connection.call(kind, **fields)

    def _speed(self) -> float:
        options = getattr(getattr(self._sandbox, "record", None), "options", {})
        return float(options.get("speed") or 1.0)

    def _heard(self, event: Json) -> None:
        with self._lock:
            self._book.heard(event, self._clock())
            if event.get("type") == "ERROR":
                self._connection = None
        self._show()

    def _lost(self, reason: str) -> None:
        with self._lock:
            if self._connection is not None:
                self._book.lost(reason, self._clock())
        self._show()

    def _show(self) -> None:
        with self._lock:
            view = self._book.view()
            if view != self.view:
                self.now = self._clock()
                self.view = view

    # -- the page -----------------------------------------------------------------------------------------------------

    def _received(self, _: Any, content: Any, __: Any) -> None:
        threading.Thread(target=self._act, args=(content,), name="offers desk", daemon=True).start()

    def _act(self, content: Json) -> None:
        try:
            match content.get("do"):
                case "subscribe":
                    self.subscribe()
                case "accept":
                    self.accept(str(content["offer"]), *map(str, content["orders"]))
                case "decline":
                    self.decline(str(content["offer"]), float(content["seconds"]))
                case "revive":
                    self.revive()
                case "kill":
                    self.kill(str(content["task"]))
                case "round":
                    self.start_round()
                case "teardown":
                    self.teardown()
                case other:
                    log.debug("not an intent: %r", other)
            self.problem = ""
        except Exception as error:
            # The edge: what a button caused must be read by the one who pressed it.
            if not isinstance(error, MesosError | UsageError):
                log.exception("the offers desk failed: %s", content)
            self.problem = explain(error)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        found = super()._repr_mimebundle_(**options)
        bundle = found[0] if isinstance(found, tuple) else found
        if bundle is not None:
            words = f"{len(self._book.offers)} offers in hand; {self._book.words}. Run the cell to take them."
            bundle["text/html"] = f"<p><b>Offers desk</b>: {escape(words)}</p>"
        return found


def task_info(task_id: str, order: Order, held: Held) -> Json:
    """A TaskInfo of the scheduler API: one command on the offer's agent."""
    amounts = (("cpus", order.cpus), ("mem", order.mem))
    return {
        "task_id": {"value": task_id},
        "name": order.name,
        "agent_id": {"value": held.agent_id},
        "resources": [{"name": name, "type": "SCALAR", "scalar": {"value": value}} for name, value in amounts],
        "command": {"shell": True, "value": COMMAND},
    }


def user_of(frameworks: Iterable[Json]) -> str:
    """As whom tasks run here: as those of the frameworks that are registered already."""
    return next((str(one["user"]) for one in frameworks if one.get("user")), "root")
