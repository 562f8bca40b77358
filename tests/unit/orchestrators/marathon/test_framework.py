"""A framework's connection: RecordIO, where it subscribes, what it acknowledges, and how it comes back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from labkit.orchestrators.marathon import MesosError, Unreachable
from labkit.orchestrators.marathon import framework as module
from labkit.orchestrators.marathon.framework import FrameworkConnection, records
from labkit.orchestrators.marathon.servers import Server

Json = dict[str, Any]

LEADER, OTHER = Server("http://leader:5050", ("me", "secret")), Server("http://other:5050", ("me", "secret"))
SUBSCRIBED = {"type": "SUBSCRIBED", "subscribed": {"framework_id": {"value": "F-1"}}}
HEARTBEAT = {"type": "HEARTBEAT"}
STATUS = {"task_id": {"value": "t"}, "agent_id": {"value": "a"}, "state": "TASK_RUNNING", "uuid": "dXVpZA=="}
UPDATE = {"type": "UPDATE", "update": {"status": STATUS}}


def wire(*events: Json) -> bytes:
    return b"".join(b"%d\n%s" % (len(data), data) for data in map(orjson.dumps, events))


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_records_are_found_however_they_are_cut(size: int) -> None:
    data = wire(SUBSCRIBED, {"text": "a\n12\nb – ü"}, HEARTBEAT)
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    assert list(records(pieces)) == [SUBSCRIBED, {"text": "a\n12\nb – ü"}, HEARTBEAT]


class Response:
    def __init__(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.status_code, self.content, self.headers = status, content, headers or {}
        self.more: queue.Queue[bytes] = queue.Queue()
        if content:
            self.more.put(content)

    def iter_content(self, _: None) -> Iterator[bytes]:
        while piece := self.more.get():
            yield piece

    def close(self) -> None:
        self.more.put(b"")


class Masters:
    """Two masters; ``streams`` are what the leader answers SUBSCRIBE with, one after the other."""

    def __init__(self, *streams: Response) -> None:
        self.streams = list(streams)
        self.sent: list[tuple[Server, Json, dict[str, str]]] = []
        self.answer = Response(202)

    def in_order(self) -> list[Server]:
        return [OTHER, LEADER]

    def follow(self, server: Server, location: str, rest: list[Server]) -> list[Server]:
        assert location == "//leader:5050"
        return [LEADER, *rest]

    def send(self, server: Server, method: str, path: str, **options: Any) -> Response:
        body = options["json"]
        self.sent.append((server, body, dict(options.get("headers") or {})))
        if body["type"] != "SUBSCRIBE":
            return self.answer
        if server is OTHER:
            return Response(307, headers={"Location": "//leader:5050"})
        return self.streams.pop(0) if self.streams else Response(503, b"No leader elected")

    def calls(self, kind: str) -> list[Json]:
        return [body for server, body, _ in self.sent if body["type"] == kind and server is LEADER]


class Ears:
    """What was heard, and how connections ended."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.ends: list[str] = []
        self.changed = threading.Condition()

    def heard(self, event: Json) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def lost(self, reason: str) -> None:
        with self.changed:
            self.ends.append(reason)
            self.changed.notify_all()

    def wait(self, *, events: int = 0, ends: int = 0) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.events) >= events and len(self.ends) >= ends, 10)


def stream(*events: Json) -> Response:
    return Response(200, wire(*events), {"Mesos-Stream-Id": "s-1"})


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.01)


def connect(masters: Masters) -> tuple[FrameworkConnection, Ears]:
    ears = Ears()
    made = FrameworkConnection(masters, {"name": "mine", "user": "me"}, ears.heard, ears.lost)  # type: ignore[arg-type]
    made.start()
    return made, ears


def test_it_follows_to_the_leader_and_says_who_it_is() -> None:
    masters = Masters(stream(SUBSCRIBED, HEARTBEAT))
    made, ears = connect(masters)
    ears.wait(events=1)
    assert masters.calls("SUBSCRIBE")[0]["subscribe"]["framework_info"] == {
        "name": "mine", "user": "me", "principal": "me",
    }  # fmt: skip
    assert made.framework_id == "F-1"
    made.call("REVIVE", revive={})
    server, body, headers = masters.sent[-1]
    assert (server, headers) == (LEADER, {"Mesos-Stream-Id": "s-1"})
    assert body == {"framework_id": {"value": "F-1"}, "type": "REVIVE", "revive": {}}
    made.close(teardown=True)
    assert masters.calls("TEARDOWN")
    assert [event["type"] for event in ears.events] == ["SUBSCRIBED"]  # heartbeats are nobody's business


def test_updates_are_acknowledged_but_those_without_a_uuid() -> None:
    without = {"type": "UPDATE", "update": {"status": {k: v for k, v in STATUS.items() if k != "uuid"}}}
    masters = Masters(stream(SUBSCRIBED, UPDATE, without, SUBSCRIBED))
    made, ears = connect(masters)
    ears.wait(events=4)
    (told,) = masters.calls("ACKNOWLEDGE")
    assert told["acknowledge"] == {"agent_id": {"value": "a"}, "task_id": {"value": "t"}, "uuid": "dXVpZA=="}
    made.close()


def test_it_comes_back_under_the_same_id() -> None:
    first, second = stream(SUBSCRIBED), stream(SUBSCRIBED)
    masters = Masters(first, second)
    made, ears = connect(masters)
    ears.wait(events=1)
    first.more.put(b"")
    ears.wait(events=2, ends=1)
    assert ears.ends == ["the master hung up"]
    again = masters.calls("SUBSCRIBE")[1]
    assert again["framework_id"] == {"value": "F-1"}
    assert again["subscribe"]["framework_info"]["id"] == {"value": "F-1"}
    made.close()


def test_while_nobody_leads_it_says_so_and_tries_again() -> None:
    masters = Masters()
    made, ears = connect(masters)
    ears.wait(ends=2)
    assert ears.ends[0] == "No leader elected"
    with pytest.raises(Unreachable, match="not subscribed"):
        made.call("REVIVE")
    made.close()


def test_an_error_of_the_stream_is_the_end() -> None:
    masters = Masters(stream(SUBSCRIBED, {"type": "ERROR", "error": {"message": "Framework has been removed"}}))
    made, ears = connect(masters)
    ears.wait(events=2)
    made.close()
    made._thread.join(10)
    assert not made._thread.is_alive()
    assert len(masters.calls("SUBSCRIBE")) == 1


def test_a_refused_call_has_the_masters_words() -> None:
    masters = Masters(stream(SUBSCRIBED))
    made, ears = connect(masters)
    ears.wait(events=1)
    masters.answer = Response(403, b"Framework is not subscribed")
    with pytest.raises(MesosError, match="Framework is not subscribed"):
        made.call("SUPPRESS", suppress={})
    made.close()
