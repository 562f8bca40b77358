"""A framework's connection to Mesos: the v1 scheduler API over requests, kept alive by one thread.

Nothing is decided here. Whoever holds one hears the events as they come, and makes the calls. See Mesos'
``docs/scheduler-http-api.md``; lab 14 writes the same from nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
import requests

from labkit.orchestrators.marathon.errors import MesosError, Unreachable, mesos_error
from labkit.orchestrators.marathon.servers import MOVED, Server, Servers

Json = dict[str, Any]

PATH = "/api/v1/scheduler"
SILENCE = 60.0  # seconds without a byte; the master sends a heartbeat every fifteen
AGAIN = 1.0  # seconds between attempts to find a master that leads


class FrameworkConnection:
    """Subscribes, hears, subscribes again when the master changes; acknowledges updates by itself.

    Args:
        servers: the masters.
        info: the FrameworkInfo: ``name``, ``user``, ``roles``, ``failover_timeout``… ``principal`` is filled in.
        heard: called with every event but heartbeats, on the connection's own thread.
        lost: called with the reason when a connection ends; it is tried again every second until :meth:`close`.
    """

    def __init__(
        self, servers: Servers, info: Mapping[str, Any], heard: Callable[[Json], None], lost: Callable[[str], None]
    ) -> None:
        self._servers = servers
        self._info = dict(info)
        self._heard = heard
        self._lost = lost
        self._id = ""
        self._server: Server | None = None
        self._stream_id = ""
        self._response: requests.Response | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"framework {info['name']}", daemon=True)

    @property
    def framework_id(self) -> str:
        """What the master called it; "" before the first SUBSCRIBED."""
        return self._id

    def start(self) -> None:
        self._thread.start()

    def call(self, kind: str, **fields: Any) -> None:
        """One call: ``call("DECLINE", decline={"offer_ids": […]})``. 202 means accepted, not done.

        Raises MesosError with the master's words, Unreachable while nobody is subscribed to.
        """
        server = self._server
        if server is None:
            raise Unreachable("not subscribed to a master that leads")
        body = {"framework_id": {"value": self._id}, "type": kind, **fields}
        headers = {"Mesos-Stream-Id": self._stream_id}
        try:
            answer = self._servers.send(server, "POST", PATH, json=body, headers=headers)
        except requests.RequestException as error:
            raise Unreachable(f"the master at {server.url} does not answer: {type(error).__name__}") from error
        if answer.status_code >= 300:
            raise mesos_error(answer.status_code, answer.content)

    def close(self, *, teardown: bool = False) -> None:
        """Hangs up. With ``teardown`` the master kills all tasks first, and forgets the framework."""
        self._closed.set()
        if teardown:
            with contextlib.suppress(MesosError):
                self.call("TEARDOWN")
        self._hang_up()

    # -- on its thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                for event in self._subscribe():
                    self._take(event)
                reason = "the master hung up"
            except MesosError as error:
                reason = str(error)
            self._hang_up()
            if not self._closed.is_set():
                self._lost(reason)
                self._closed.wait(AGAIN)

    def _take(self, event: Json) -> None:
        kind = event.get("type")
        if kind == "HEARTBEAT":
            return
        if kind == "SUBSCRIBED":
            self._id = event["subscribed"]["framework_id"]["value"]
        elif kind == "ERROR":
            self._closed.set()  # as the real one's documents say: abort, do not come back under this id
        self._heard(event)
        if kind == "UPDATE" and "uuid" in event["update"]["status"]:
            status = event["update"]["status"]
            told = {key: status[key] for key in ("agent_id", "task_id", "uuid")}
            with contextlib.suppress(MesosError):  # it is repeated until somebody acknowledges it
                self.call("ACKNOWLEDGE", acknowledge=told)

    def _subscribe(self) -> Iterator[Json]:
        response, server = self._open()
        self._response, self._server = response, server
        self._stream_id = response.headers.get("Mesos-Stream-Id", "")
        if self._closed.is_set():
            return
        try:
            yield from records(response.iter_content(None))
        except (requests.RequestException, OSError, ValueError, AttributeError):
            return  # it was closed, here or there

    def _open(self) -> tuple[requests.Response, Server]:
        problem: MesosError = Unreachable("no master leads")
        queue, moved = self._servers.in_order(), 0
        while queue:
            server = queue.pop(0)
            info = dict(self._info)
            if server.auth is not None:
                info["principal"] = server.auth[0]  # it must be whom the credentials name
            body: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}
            if self._id:
                info["id"] = body["framework_id"] = {"value": self._id}
            try:
                response = self._servers.send(server, "POST", PATH, json=body, timeout=SILENCE, stream=True)
            except requests.RequestException as error:
                problem = Unreachable(f"the master at {server.url} does not answer: {type(error).__name__}")
                continue
            if response.status_code == 200:
                return response, server
            if response.status_code in MOVED and moved < 3:
                queue, moved = self._servers.follow(server, response.headers.get("Location", ""), queue), moved + 1
            else:
                problem = mesos_error(response.status_code, response.content)
            response.close()
        raise problem

    def _hang_up(self) -> None:
        response, self._response, self._server = self._response, None, None
        if response is None:
            return
        with contextlib.suppress(Exception):  # urllib3 raises what it likes when the connection is gone already
            response.raw.shutdown()
        with contextlib.suppress(Exception):
            response.close()


def records(pieces: Iterator[bytes]) -> Iterator[Json]:
    """RecordIO: the length in decimal, a line feed, so many bytes of JSON; cut anywhere on its way."""
    rest = b""
    for piece in pieces:
        rest += piece
        while True:
            size, found, body = rest.partition(b"\n")
            if not found or len(body) < int(size):
                break
            yield orjson.loads(body[: int(size)])
            rest = body[int(size) :]
