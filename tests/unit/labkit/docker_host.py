"""A Docker host that answers what it was told to, on a unix socket: enough of one for the adapter to be tried on."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


class DockerHost:
    """``answers`` maps "GET /nodes" to JSON, or to (status, message); ``hang`` makes every answer wait."""

    def __init__(self, path: Path) -> None:
        self.env = {"DOCKER_HOST": f"unix://{path}"}
        self.answers: dict[str, Any] = {
            "GET /version": {"ApiVersion": "1.50"},
            "GET /nodes": [],
            "GET /services": [],
            "GET /tasks": [],
        }
        self.asked: list[tuple[str, dict[str, list[str]], Any]] = []
        self.hang = threading.Event()  # set: hang
        self.released = threading.Event()
        self.events = threading.Event()  # set: send one event
        self._server = _Server(str(path), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self.events.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, host: DockerHost) -> None:
        self.host = host
        super().__init__(path, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def address_string(self) -> str:
        return "local"

    def log_message(self, *_: Any) -> None:
        """Silence."""

    def _serve(self) -> None:
        host = self.server.host
        url = urlsplit(self.path)
        parts = url.path.split("/")
        path = "/" + "/".join(parts[2:] if parts[1].startswith("v1") else parts[1:])
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        host.asked.append((f"{self.command} {path}", parse_qs(url.query), body))
        if host.hang.is_set():
            host.released.wait(30)
        if path == "/events":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")  # docker-py reads other streams to their end
            self.end_headers()
            self.wfile.flush()
            host.events.wait(30)
            self.wfile.write(b'13\r\n{"Type":"service"}\n\r\n')
            self.wfile.flush()
            host.released.wait(30)
            return
        answer = host.answers.get(f"{self.command} {path}", (404, f"page not found: {path}"))
        answer = answer(body) if callable(answer) else answer
        status, data = (answer[0], {"message": answer[1]}) if isinstance(answer, tuple) else (200, answer)
        payload = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815
