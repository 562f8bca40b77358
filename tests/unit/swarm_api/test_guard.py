"""Which Host and Origin headers are let in."""

from __future__ import annotations

import pytest

from labkit.embedded.swarm.api.guard import refuse


@pytest.mark.parametrize(
    "host",
    [
        *("", "localhost", "localhost:2375", "docker", "d", "api.moby.localhost", "127.0.0.1", "127.18.0.10:2375"),
        *("[::1]", "[::1]:80", "%2Frun%2Flabkit%2Fmanager-1.sock", "LOCALHOST."),
    ],
)
def test_what_clients_send_is_let_in(host: str) -> None:
    assert refuse({"Host": host}) is None


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({}, 400, "400 Bad Request: missing required Host header"),
        ({"Host": "a b"}, 400, "400 Bad Request: malformed Host header"),
        ({"Host": "x/y"}, 400, "400 Bad Request: malformed Host header"),
        ({"Host": "evil.example"}, 403, "not as 'evil.example'"),
        ({"Host": "evil.example:2375"}, 403, "not as"),
        ({"Host": "127.0.0.1.evil.example"}, 403, "not as"),
        ({"Host": "10.1.2.3"}, 403, "not as"),
        ({"Host": "[2001:db8::1]:80"}, 403, "not as"),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403, "Origin"),
        ({"Host": "localhost", "Origin": "null"}, 403, "Origin"),
    ],
)
def test_what_no_client_sends_is_refused(headers: dict[str, str], status: int, words: str) -> None:
    reply = refuse(headers)
    assert reply is not None
    assert reply.status == status
    assert words in str(reply.body)
