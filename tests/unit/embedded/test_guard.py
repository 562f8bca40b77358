"""Who may speak to a sandbox's HTTP servers."""

from __future__ import annotations

import base64

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from labkit.embedded.guard import PRINCIPAL, Guard

GUARD = Guard({"labkit": "s3cret:x"}, realm="test", open_paths=["/health"], names=["marathon.mesos"])


def ask(path: str = "/state", **headers: str) -> tuple[int, web.Request, web.Response | None]:
    request = make_mocked_request("GET", path, headers={"Host": "127.9.0.10:5050", **headers})
    answer = GUARD.refuse(request)
    return (200 if answer is None else answer.status), request, answer


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_the_right_credentials() -> None:
    status, request, _ = ask(Authorization=basic("labkit", "s3cret:x"))
    assert status == 200
    assert request[PRINCIPAL] == "labkit"


@pytest.mark.parametrize(
    "header",
    [
        basic("labkit", "wrong"),
        basic("nobody", "s3cret:x"),
        basic("labkit", ""),
        "Basic !!!",
        "Basic bGFia2l0",
        "Basic /w==",
        "Bearer abc",
        "Basic",
        "",
    ],
)
def test_wrong_ones(header: str) -> None:
    status, _, answer = ask(Authorization=header)
    assert status == 401
    assert answer is not None
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="test"'


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/health/", 200), ("/healthy", 401), ("/", 401)])
def test_open_paths(path: str, status: int) -> None:
    assert ask(path)[0] == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:5050", 200),
        ("127.0.0.1", 200),
        ("[::1]:5050", 200),
        ("marathon.mesos:8080", 200),
        ("evil.example:5050", 403),
        ("10.0.0.1:5050", 403),
        ("", 403),
    ],
)
def test_the_host_is_one_of_ours(host: str, status: int) -> None:
    assert ask(Host=host, Authorization=basic("labkit", "s3cret:x"))[0] == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.9.0.10:5050", 200), ("http://evil.example", 403), ("null", 403), ("http://127.9.0.10:80", 403)],
)
def test_no_page_of_another_origin(origin: str, status: int) -> None:
    assert ask(Origin=origin, Authorization=basic("labkit", "s3cret:x"))[0] == status


def test_a_stranger_is_refused_on_open_paths_too() -> None:
    assert ask("/health", Host="evil.example")[0] == 403
