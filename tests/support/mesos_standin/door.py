"""A master of another process, as a scheduler driver of this one sees it: its scheduler API over HTTP.

:class:`labkit.embedded.mesos.driver.SchedulerDriver` calls the master's code itself, since both live in one process.
This is the same master behind ``POST /api/v1/scheduler``: a stream of RecordIO, and a call at a time, in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from labkit.embedded.runtime.chores import Chores

log = logging.getLogger(__name__)

Json = dict[str, Any]

PORT = 5050
_CONNECT = 5.0  # seconds; a stream may last for ever


@dataclass(frozen=True)
class Reply:
    """What a call is answered as far as it is known when it is sent."""

    status: int = 202
    text: str = ""


class MasterOverHttp:
    """The master of the machine with that address."""

    running = True  # whether it is, is found out by asking

    def __init__(self, address: str, user: str, password: str) -> None:
        self.machine = address
        self.url = f"http://{address}:{PORT}/api/v1/scheduler"
        self._credentials = (user, password)
        self._session: Any = None
        self._calls: asyncio.Queue[tuple[Json, str]] = asyncio.Queue()
        self._chores = Chores()
        self._sending = False

    def session(self) -> Any:
        import aiohttp

        if self._session is None:
            auth = aiohttp.BasicAuth(*self._credentials)
            self._session = aiohttp.ClientSession(
                auth=auth, timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT)
            )
        return self._session

    def handle_scheduler(self, call: Json, principal: str | None, stream_id: str | None) -> _Stream | Reply:
        if call["type"] == "SUBSCRIBE":
            return _Stream(self, call)
        self._calls.put_nowait((call, stream_id or ""))
        if not self._sending:
            self._sending = True
            self._chores.start(self._send())
        return Reply()

    async def _send(self) -> None:
        import aiohttp

        while True:
            call, stream_id = await self._calls.get()
            headers = {"Content-Type": "application/json", "Mesos-Stream-Id": stream_id}
            try:
                async with self.session().post(self.url, data=orjson.dumps(call), headers=headers) as answer:
                    if answer.status >= 300:
                        log.warning("%s was answered %s %s", call["type"], answer.status, await answer.text())
            except (aiohttp.ClientError, OSError) as error:
                log.warning("%s did not arrive: %s", call["type"], error)


class _Stream:
    """A subscription, from the request on; one that is refused ends at once."""

    def __init__(self, master: MasterOverHttp, call: Json) -> None:
        self.stream_id = ""
        self._master = master
        self._call = call
        self._chores = Chores()

    def attach(self, event: Callable[[Json], object], ended: Callable[[], object]) -> None:
        self._chores.start(self._read(event, ended))

    def hang_up(self) -> None:
        self._chores.cancel()

    async def _read(self, event: Callable[[Json], object], ended: Callable[[], object]) -> None:
        import aiohttp

        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            body = orjson.dumps(self._call)
            async with self._master.session().post(
                self._master.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    log.info("SUBSCRIBE was answered %s %s", answer.status, await answer.text())
                else:
                    self.stream_id = answer.headers["Mesos-Stream-Id"]
                    while size := await answer.content.readuntil(b"\n"):
                        event(orjson.loads(await answer.content.readexactly(int(size))))
        except (aiohttp.ClientError, OSError, EOFError, ValueError) as error:
            log.info("the stream of %s has ended: %s", self._master.url, error)
        # Not from within this task: it is what hanging up cancels.
        asyncio.get_running_loop().call_soon(ended)
