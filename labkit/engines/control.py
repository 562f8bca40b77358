"""A client of an embedded sandbox's private control API: JSON over HTTP on a unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from labkit.errors import EngineFailed


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(path: str | Path, method: str, url: str, body: Any = None, timeout: float = 5.0) -> Any:
    """One request; its JSON answer.

    Raises :class:`EngineFailed` with the engine's ``message`` for an error status, and OSError when nobody answers.
    """
    connection = _UnixConnection(str(path), timeout)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, url, payload, {"Content-Type": "application/json"} if payload else {})
        response = connection.getresponse()
        raw = response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{type(error).__name__} from {path}") from error
    finally:
        connection.close()
    try:
        answer = json.loads(raw) if raw else None
    except ValueError:
        answer = None
    if response.status >= 400:
        message = answer.get("message") if isinstance(answer, dict) else None
        raise EngineFailed(str(message or f"the engine answered {response.status} {response.reason}"))
    return answer
