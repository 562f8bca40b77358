"""A small HTTP server that answers like Marathon and a Mesos master: what a test puts into its table, and no more."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

Json = dict[str, Any]


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    body: Any


@dataclass
class FakeServer:
    """Answers by (method, path); what was asked is kept. Credentials: me / secret."""

    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    moved_to: str = ""  # every path is elsewhere: a master that does not lead
    asked: list[Asked] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                fake._answer(self)

            do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://me:secret@{self.netloc}"

    def put(self, path: str, answer: Any, status: int = 200, method: str = "GET") -> None:
        self.answers[method, path] = status, answer

    def close(self) -> None:
        """Off, as by its plug: also connections that are open get no answer any more."""
        if self.closed:
            return
        self.closed = True
        self._server.shutdown()
        self._server.server_close()

    def changes(self) -> list[Asked]:
        """What was asked for that is no read."""
        return [one for one in self.asked if one.method != "GET"]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self.closed:
            handler.close_connection = True
            return None
        parts = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        content = handler.rfile.read(length)
        body: Any = content.decode()
        if "json" in (handler.headers.get("Content-Type") or ""):
            body = orjson.loads(content)
        self.asked.append(Asked(handler.command, parts.path, parse_qs(parts.query, keep_blank_values=True), body))
        wanted = "Basic " + base64.b64encode(b"me:secret").decode()
        if handler.headers.get("Authorization") != wanted:
            return self._send(handler, 401, {"message": "Invalid username or password."})
        if parts.path == "/v2/events":
            return self._stream(handler)
        if self.moved_to and parts.path != "/health":
            handler.send_response(307)
            handler.send_header("Location", f"//{self.moved_to}{handler.path}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return None
        status, found = self.answers.get((handler.command, parts.path), (404, {"message": "not there"}))
        return self._send(handler, status, found)

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, found: Any) -> None:
        content = found.encode() if isinstance(found, str) else orjson.dumps(found)
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _stream(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for event in self.events:
            text = f"event: {event['eventType']}\r\ndata: {orjson.dumps(event).decode()}\r\n\r\n"
            handler.wfile.write(text.encode())
        handler.close_connection = True
