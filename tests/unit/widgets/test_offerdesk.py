"""The offers desk: what its buttons and its methods ask of the master."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from test_offerbook import offer, offers, update

from labkit.errors import UsageError
from labkit.orchestrators.marathon import MesosError
from labkit.widgets.offerdesk import COMMAND, Desk, user_of

Json = dict[str, Any]


class Line:
    """A connection that writes down what is called."""

    def __init__(self, servers: Any, info: Json, heard: Callable[[Json], None], lost: Callable[[str], None]) -> None:
        self.info, self.heard, self.lost = info, heard, lost
        self.calls: list[Json] = []
        self.started = self.torn_down = self.closed = False
        self.refusal = ""

    def start(self) -> None:
        self.started = True

    def call(self, kind: str, **fields: Any) -> None:
        if self.refusal:
            raise MesosError(self.refusal, 403)
        self.calls.append({"type": kind, **fields})

    def close(self, *, teardown: bool = False) -> None:
        self.closed, self.torn_down = True, teardown


class Room:
    """A desk, and its line once it is subscribed."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.time = 100.0
        mesos = SimpleNamespace(servers=None, frameworks=lambda: [{"name": "marathon", "user": "somebody"}])
        sandbox = SimpleNamespace(client=SimpleNamespace(mesos=mesos), record=SimpleNamespace(options={"speed": 2.0}))
        self.desk = Desk(sandbox, connect=self._connect, clock=lambda: self.time)

    def _connect(self, *arguments: Any) -> Line:
        self.lines.append(Line(*arguments))
        return self.lines[-1]

    @property
    def line(self) -> Line:
        return self.lines[-1]

    def sit(self) -> Room:
        """Subscribed, with three offers."""
        self.desk.subscribe()
        self.line.heard({"type": "SUBSCRIBED", "subscribed": {"framework_id": {"value": "F"}}})
        self.line.heard(offers(offer(1, "agent-1"), offer(2, "agent-2", rack="rack-2"), offer(3, "agent-3")))
        return self

    def press(self, **intent: Any) -> None:
        self.desk._act(intent)


@pytest.fixture
def room() -> Room:
    return Room()


def test_it_subscribes_once_as_the_user_of_the_others(room: Room) -> None:
    room.desk.subscribe()
    room.desk.subscribe()
    assert len(room.lines) == 1
    assert room.line.started
    assert (room.line.info["name"], room.line.info["user"]) == ("by-hand", "somebody")
    assert user_of([]) == "root"


def test_accept_launches_what_was_ordered_on_that_agent(room: Room) -> None:
    room.sit().desk.accept("agent-2", "tea", "bread")
    accept = room.line.calls[-1]["accept"]
    assert accept["offer_ids"] == [{"value": "O2"}]
    first, second = accept["operations"][0]["launch"]["task_infos"]
    assert (first["name"], second["name"]) == ("tea", "bread")
    assert first["agent_id"] == {"value": "id of agent-2"}
    assert first["command"]["value"] == COMMAND
    assert [one["scalar"]["value"] for one in second["resources"]] == [1, 128]
    room.line.heard(update(first["task_id"]["value"], "TASK_RUNNING"))
    assert room.desk.view["orders"][0]["state"] == "served"


def test_all_offers_of_an_agent_are_used_together(room: Room) -> None:
    room.sit().line.heard(offers(offer(4, "agent-1", 0.5)))
    room.desk.accept(room.desk.offers[0], "tea")
    assert room.line.calls[-1]["accept"]["offer_ids"] == [{"value": "O1"}, {"value": "O4"}]


def test_decline_names_the_filter_and_the_page_knows_when_it_ends(room: Room) -> None:
    room.sit().desk.decline("agent-1", seconds=30)
    assert room.line.calls[-1]["decline"] == {"offer_ids": [{"value": "O1"}], "filters": {"refuse_seconds": 30}}
    assert room.desk.view["away"] == [{"machine": "agent-1", "until": 115.0}]  # at twice the speed
    room.desk.decline()
    assert len(room.line.calls[-1]["decline"]["offer_ids"]) == 2
    room.desk.decline()  # nothing is left: nothing is called
    assert len(room.line.calls) == 2


def test_a_round_kills_what_ran_and_deals_anew(room: Room) -> None:
    room.sit().desk.accept("agent-1", "tea")
    room.desk.start_round()
    assert [call["type"] for call in room.line.calls] == ["ACCEPT", "KILL", "DECLINE"]
    assert room.desk.view["round"]["limit"] == 30.0  # sixty seconds of the sandbox
    assert room.desk.view["orders"][0]["state"] == "open"


def test_buttons_do_what_methods_do(room: Room) -> None:
    room.press(do="subscribe")
    room.sit()
    room.press(do="accept", offer="id of agent-1", orders=["tea"])
    task = room.desk.view["orders"][0]["task"]
    room.press(do="decline", offer="id of agent-2", seconds=5)
    room.press(do="revive")
    room.press(do="kill", task=task)
    assert [call["type"] for call in room.line.calls] == ["ACCEPT", "DECLINE", "REVIVE", "KILL"]
    assert room.line.calls[-1]["kill"]["task_id"] == {"value": task}
    room.press(do="teardown")
    assert room.line.torn_down
    assert room.desk.view["state"] == "off"


def test_what_is_refused_is_told_and_the_card_stays(room: Room) -> None:
    room.sit().line.refusal = "Framework is not subscribed"
    room.press(do="accept", offer="id of agent-1", orders=["tea"])
    assert room.desk.problem == "Framework is not subscribed"
    assert len(room.desk.offers) == 3
    room.line.refusal = ""
    room.press(do="accept", offer="id of agent-1", orders=["tea"])
    assert room.desk.problem == ""


def test_mistakes_of_a_cell_are_told(room: Room) -> None:
    with pytest.raises(UsageError, match="not subscribed"):
        room.desk.revive()
    room.sit()
    with pytest.raises(UsageError, match="no offer of agent-9"):
        room.desk.accept("agent-9", "tea")
    with pytest.raises(UsageError, match="which orders: tea, bread"):
        room.desk.accept("agent-1", "wine")


def test_a_removed_framework_may_subscribe_again(room: Room) -> None:
    room.sit().line.heard({"type": "ERROR", "error": {"message": "Framework has been removed"}})
    assert room.desk.view["state"] == "off"
    room.desk.subscribe()
    assert len(room.lines) == 2


def test_a_master_that_goes_takes_its_offers_along(room: Room) -> None:
    room.sit().line.lost("the master hung up")
    assert (room.desk.view["state"], room.desk.offers) == ("lost", [])
    room.line.heard({"type": "SUBSCRIBED", "subscribed": {"framework_id": {"value": "F"}}})
    assert room.desk.view["state"] == "on"
