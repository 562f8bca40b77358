"""Marathon's event stream: server-sent events over a connection that stays open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import requests

from labkit.orchestrators.marathon.errors import Unreachable, marathon_error
from labkit.orchestrators.marathon.servers import MOVED, Servers

Json = dict[str, Any]

SILENCE = 60.0  # seconds without a byte after which a stream is taken for dead; Marathon says something every 10 s


class EventStream:
    """Events as dicts, in order, from the moment it is made; ends when the server ends it or :meth:`close` is called.

    Opening it raises MarathonError; nothing is missed after that.
    """

    def __init__(self, servers: Servers, path: str, params: Sequence[tuple[str, str]] = ()) -> None:
        self._response: requests.Response | None = None
        problem: Exception | None = None
        queue, moved = servers.in_order(), 0
        while queue:
            server = queue.pop(0)
            try:
                response = servers.send(
                    server, "GET", path, list(params), timeout=SILENCE, stream=True,
                    headers={"Accept": "text/event-stream"},
                )  # fmt: skip
            except requests.RequestException as error:
                problem = Unreachable(f"Marathon's events at {server.url} cannot be had: {type(error).__name__}")
                continue
            if response.status_code == 200:
                self._response = response
                break
            if response.status_code in MOVED and moved < 3:  # some versions send you to the leader for events
                queue, moved = servers.follow(server, response.headers.get("Location", ""), queue), moved + 1
            else:
                problem = marathon_error(response.status_code, response.content)
            response.close()
        if self._response is None:
            raise problem or Unreachable("no Marathon can be asked for its events")

    def __iter__(self) -> Iterator[Json]:
        if self._response is None:
            return
        # Whole chunks where the server sends in chunks; otherwise byte by byte, or an event would wait for the next.
        chunked = self._response.headers.get("Transfer-Encoding", "").lower() == "chunked"
        rest = b""
        try:
            for piece in self._response.iter_content(None if chunked else 1):
                *whole, rest = (rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
                yield from (event for event in map(parse, whole) if event is not None)
        except (requests.RequestException, OSError, ValueError, AttributeError):
            return  # it was closed, here or there

    def close(self) -> None:
        """Ends it, also while another thread waits for the next event."""
        response, self._response = self._response, None
        if response is None:
            return
        with contextlib.suppress(Exception):  # urllib3 raises what it likes when the connection is gone already
            response.raw.shutdown()
        with contextlib.suppress(Exception):
            response.close()


def parse(text: bytes) -> Json | None:
    """One event of the stream; None for a sign of life."""
    lines = text.split(b"\n")
    data = b"\n".join(line[5:].lstrip() for line in lines if line.startswith(b"data:"))
    if not data:
        return None
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(event, dict):
        return None
    kind = next((line[6:].strip().decode() for line in lines if line.startswith(b"event:")), "")
    return {"eventType": kind, **event} if kind else event
