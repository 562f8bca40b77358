"""What somebody who is a framework has in hand: offers, orders, tasks, and a round against the clock. Pure.

Times are seconds since the epoch, as the kernel's computer has them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Json = dict[str, Any]

ENDED = frozenset(
    {
        "TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST", "TASK_DROPPED", "TASK_GONE",
        "TASK_GONE_BY_OPERATOR",
    }
)  # fmt: skip
LOG = 30  # lines that are kept


@dataclass(frozen=True, slots=True)
class Order:
    """A task that somebody wants: what it takes, and the attributes that its agent must have.

    ``counts``: whether it belongs to a round.
    """

    name: str
    cpus: float
    mem: float  # MiB
    wants: Mapping[str, str] = field(default_factory=dict)
    counts: bool = True

    @property
    def place(self) -> str:
        """Where it wants to be, for people: "rack-2", "zone a"."""
        wants = self.wants.items()
        return ", ".join(value if value.startswith(key) else f"{key} {value}" for key, value in wants)


ORDERS = (
    Order("tea", 0.5, 64),
    Order("bread", 1, 128, {"rack": "rack-2"}),
    Order("soup", 2, 256, {"zone": "a"}),
    Order("fish", 1, 128, {"zone": "c"}),
    Order("rice", 2, 128, {"rack": "rack-1"}),
    Order("cake", 3, 512),
    Order("feast", 100, 256, counts=False),  # more than any agent has
)


@dataclass(frozen=True, slots=True)
class Held:
    """What is offered of an agent, and waits for an answer: one offer, or several that add up to a card."""

    ids: tuple[str, ...]
    agent_id: str
    machine: str  # its agent's attribute of that name, else its host name
    cpus: float
    mem: float
    attributes: Mapping[str, str]
    at: float  # when it came

    @classmethod
    def of(cls, offer: Mapping[str, Any], at: float) -> Held:
        """An offer as the scheduler API has it."""
        attributes = {one["name"]: _value(one) for one in offer.get("attributes") or ()}
        amounts = {"cpus": 0.0, "mem": 0.0}
        for resource in offer.get("resources") or ():
            if resource["name"] in amounts:
                amounts[resource["name"]] += float(resource["scalar"]["value"])
        machine = attributes.get("machine") or str(offer.get("hostname", ""))
        return cls(
            (offer["id"]["value"],), offer["agent_id"]["value"], machine, **amounts, attributes=attributes, at=at
        )

    def __add__(self, other: Held) -> Held:
        """Both, of the same agent: one ACCEPT may use several offers of an agent together."""
        return replace(
            self,
            ids=(*self.ids, *other.ids),
            cpus=self.cpus + other.cpus,
            mem=self.mem + other.mem,
            at=min(self.at, other.at),
        )


@dataclass(slots=True)
class Placed:
    """A task that was launched for an order."""

    id: str
    order: str
    machine: str
    agent_id: str
    suits: bool  # whether its agent has what the order wants
    state: str = "TASK_STAGING"
    message: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(slots=True)
class Round:
    """All orders that count, against the clock."""

    began: float
    limit: float
    done: float = 0.0  # when the last order ran; 0.0: not yet


class Book:
    """Takes the scheduler API's events, and what is answered to them."""

    def __init__(self, orders: Sequence[Order] = ORDERS) -> None:
        self.orders = {order.name: order for order in orders}
        self.offers: dict[str, Held] = {}
        self.away: dict[str, float] = {}  # machine → until when the master will not offer it again
        self.tasks: dict[str, Placed] = {}  # by id; the newest of each order counts
        self.round: Round | None = None
        self.state, self.words = "off", "not subscribed"
        self.log: deque[tuple[float, str]] = deque(maxlen=LOG)

    def cards(self) -> list[Held]:
        """What is in hand, a card for each agent, by machine.

        When a task ends while its agent's rest is out on offer, what it had comes as an offer of its own.
        """
        found: dict[str, Held] = {}
        for held in self.offers.values():
            found[held.agent_id] = found[held.agent_id] + held if held.agent_id in found else held
        return sorted(found.values(), key=lambda held: held.machine)

    # -- what the master says ---------------------------------------------------------------------------------------

    def heard(self, event: Mapping[str, Any], now: float) -> None:
        """One event of the stream."""
        match event.get("type"):
            case "SUBSCRIBED":
                self.state, self.words = "on", str(event["subscribed"]["framework_id"]["value"])
                self.note(now, "SUBSCRIBED")
            case "OFFERS":
                self._offered([Held.of(offer, now) for offer in event["offers"]["offers"]], now)
            case "RESCIND":
                held = self.offers.pop(event["rescind"]["offer_id"]["value"], None)
                self.note(now, f"RESCIND the offer of {held.machine if held else 'an agent'}: it is void")
            case "UPDATE":
                self._updated(event["update"]["status"], now)
            case "FAILURE":
                self.note(now, "FAILURE: an agent or an executor is gone")
            case "ERROR":
                self.lost(event["error"].get("message", ""), now)
                self.state, self.round = "off", None
                self.tasks.clear()  # this framework will not come back, and Mesos has killed them

    def _offered(self, held: Sequence[Held], now: float) -> None:
        for one in held:
            self.offers[one.ids[0]] = one
            self.away.pop(one.machine, None)
        told = ", ".join(f"{one.machine} {one.cpus:g} cpus" for one in held)
        self.note(now, f"OFFERS {told}")

    def _updated(self, status: Mapping[str, Any], now: float) -> None:
        task = self.tasks.get(status["task_id"]["value"])
        if task is None:
            return
        task.state, task.message = status["state"], str(status.get("message") or "")
        self.note(now, f"UPDATE {task.order} on {task.machine}: {task.state}")
        found = self.round
        if found is not None and not found.done and self.served() == self.wanted():
            found.done = now

    def lost(self, reason: str, now: float) -> None:
        """The connection ended: offers are void with it."""
        self.state, self.words = "lost", reason
        self.offers.clear()
        self.away.clear()
        self.note(now, f"the connection ended: {reason}")

    # -- what is answered -------------------------------------------------------------------------------------------

    def accepted(self, held: Held, tasks: Sequence[tuple[str, str]], now: float) -> None:
        """A card is used for (task id, order) each."""
        self._drop(held)
        for task_id, name in tasks:
            wants = self.orders[name].wants
            suits = all(held.attributes.get(key) == value for key, value in wants.items())
            self.tasks[task_id] = Placed(task_id, name, held.machine, held.agent_id, suits)
        told = ", ".join(name for _, name in tasks)
        self.note(now, f"→ ACCEPT {held.machine}: LAUNCH {told}")

    def declined(self, held: Sequence[Held], seconds: float, until: float, now: float) -> None:
        """Cards are given back; not to be seen again for so many seconds, which end at ``until``."""
        for one in held:
            self._drop(one)
            self.away[one.machine] = until
        self.note(now, f"→ DECLINE {', '.join(one.machine for one in held)}: refuse_seconds {seconds:g}")

    def _drop(self, held: Held) -> None:
        for one in held.ids:
            self.offers.pop(one, None)

    def revived(self, now: float) -> None:
        self.away.clear()
        self.note(now, "→ REVIVE")

    def begin(self, limit: float, now: float) -> None:
        """A round starts: whatever was served for it before does not count."""
        for task_id in [task.id for task in self.tasks.values() if self.orders[task.order].counts]:
            del self.tasks[task_id]
        self.round = Round(now, limit)
        self.note(now, f"a round of {limit:g} seconds begins")

    def closed(self, now: float) -> None:
        """The framework was torn down."""
        self.state, self.words = "off", "not subscribed"
        self.offers.clear()
        self.away.clear()
        self.tasks.clear()
        self.round = None
        self.note(now, "→ TEARDOWN")

    def note(self, now: float, text: str) -> None:
        self.log.append((now, text))

    # -- how it stands ----------------------------------------------------------------------------------------------

    def wanted(self) -> int:
        return sum(order.counts for order in self.orders.values())

    def served(self) -> int:
        """Orders that count, and run where they should."""
        running = {task.order for task in self.tasks.values() if task.suits and task.state == "TASK_RUNNING"}
        return sum(order.counts for order in self.orders.values() if order.name in running)

    def view(self) -> Json:
        """For the page."""
        latest = {task.order: task for task in self.tasks.values()}
        return {
            "state": self.state,
            "words": self.words,
            "offers": [
                {
                    "id": held.agent_id,
                    "machine": held.machine,
                    "cpus": held.cpus,
                    "mem": held.mem,
                    "attributes": [f"{key}: {value}" for key, value in held.attributes.items() if key != "machine"],
                    "at": held.at,
                }
                for held in self.cards()
            ],
            "away": [{"machine": machine, "until": until} for machine, until in sorted(self.away.items())],
            "orders": [_order(order, latest.get(order.name)) for order in self.orders.values()],
            "round": self._round(),
            "log": [{"at": at, "text": text} for at, text in reversed(self.log)],
        }

    def _round(self) -> Json:
        if self.round is None:
            return {}
        return {
            "began": self.round.began,
            "limit": self.round.limit,
            "done": self.round.done,
            "served": self.served(),
            "of": self.wanted(),
        }


def _order(order: Order, task: Placed | None) -> Json:
    row = {
        "name": order.name,
        "needs": f"{order.cpus:g} {'cpu' if order.cpus <= 1 else 'cpus'}, {order.mem:g} MiB",
        "wants": order.place,
        "task": "",
        "state": "open",
        "words": "open",
    }
    if task is None:
        return row
    if task.ended:
        return {**row, "state": "failed", "words": f"{task.state}{f': {task.message}' if task.message else ''}"}
    where = f"{task.state} on {task.machine}"
    if not task.suits:
        wrong = f"{where}, and it wants {order.place}"
        return {**row, "task": task.id, "state": "wrong", "words": wrong}
    return {**row, "task": task.id, "state": "served" if task.state == "TASK_RUNNING" else "placed", "words": where}


def _value(attribute: Mapping[str, Any]) -> str:
    kind = str(attribute.get("type", "TEXT")).lower()
    found = attribute.get(kind) or {}
    return str(found.get("value", found))
