"""Versions, routes, bodies and errors, as dockerd answers them."""

# tables of cases, one a line

from __future__ import annotations

import json
from typing import Any

import pytest

from labkit.embedded.swarm.api import request as requests
from labkit.embedded.swarm.api.app import Table
from labkit.embedded.swarm.api.request import Filters
from labkit.embedded.swarm.errors import BadRequest

JSON = {"Content-Type": "application/json"}


async def test_a_version_in_the_path_is_optional(client: Any) -> None:
    for path in ("/nodes", "/v1.24/nodes", "/v1.50/nodes"):
        status, nodes = await client.get(path)
        assert (status, len(nodes)) == (200, 2)


async def test_too_new_and_too_old_clients_are_told(client: Any) -> None:
    assert await client.get("/v1.99/nodes") == (
        400,
        {"message": "client version 1.99 is too new. Maximum supported API version is 1.50"},
    )
    status, text = await client.get("/v1.12/nodes")
    assert status == 400
    assert text.strip() == (
        "client version 1.12 is too old. Minimum supported API version is 1.24, "
        "please upgrade your client to a newer version"
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/nope"), ("DELETE", "/nodes"), ("GET", "/nodes/"), ("GET", "/v1.x/nodes")],
)
async def test_unknown_paths_and_methods_are_page_not_found(client: Any, method: str, path: str) -> None:
    assert await client.call(method, path) == (404, {"message": "page not found"})


async def test_every_answer_carries_the_engines_headers(client: Any) -> None:
    async with client.session.get("http://d/nodes/none") as answer:
        assert answer.status == 404
        assert answer.headers["Api-Version"] == "1.50"
        assert answer.headers["Ostype"] == "linux"
        assert answer.headers["Server"] == "Docker/28.2.2 (linux)"


async def test_what_nobody_foresaw_is_a_500_with_words(client: Any) -> None:
    assert await client.get("/broken") == (500, {"message": "RuntimeError: nobody thought of this"})


@pytest.mark.parametrize(
    ("data", "headers", "words"),
    [
        (b"{", JSON, "invalid JSON: unexpected EOF"),
        (b" ", JSON, "invalid JSON: got EOF while reading request body"),
        (b"xyz", JSON, "invalid JSON: invalid character 'x' looking for beginning of value"),
        (b"{} {}", JSON, "unexpected content after JSON"),
        (
            b"{}",
            {"Content-Type": "text/plain"},
            "unsupported Content-Type header (text/plain): must be 'application/json'",
        ),
    ],
)
async def test_bodies_that_are_not_json(client: Any, data: bytes, headers: dict[str, str], words: str) -> None:
    assert await client.post("/echo", data=data, headers=headers) == (400, {"message": words})


async def test_no_body_is_an_empty_object(client: Any) -> None:
    assert await client.post("/echo", skip_auto_headers=["Content-Type"]) == (200, {"body": {}})


async def test_a_huge_body_is_refused_without_being_kept(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.Request.json, "__defaults__", (1024 * 1024,))

    async def chunks(first: bytes) -> Any:
        yield first
        for _ in range(160):
            yield b"x" * 65536

    status, answer = await client.post("/echo", data=chunks(b'{"a":"'), headers=JSON)
    assert status == 413, answer
    assert await client.post("/echo", data=chunks(b"x"), headers=JSON) == (
        400,
        {"message": "invalid JSON: invalid character 'x' looking for beginning of value"},
    )
    assert (await client.get("/nodes"))[0] == 200


def test_names_may_hold_slashes_where_a_route_says_so() -> None:
    async def handler(host: Any, request: Any) -> None: ...

    table = Table([("GET", "/images/{name:.+}/json", handler), ("GET", "/nodes/{id}", handler)])
    found = table.find("GET", "/images/traefik/whoami:v1/json")
    assert found is not None
    assert found[1] == {"name": "traefik/whoami:v1"}
    assert table.find("GET", "/nodes/a/b") is None
    assert table.find("POST", "/nodes/a") is None


# -- filters


@pytest.mark.parametrize("text", ['{"name":{"web":true,"db":true}}', '{"name":["web","db"]}'])
def test_filters_come_as_maps_and_as_lists(text: str) -> None:
    assert Filters.parse(text).get("name") == ("web", "db")


@pytest.mark.parametrize("text", ["abc", "[]", '{"a":3}', '{"a":{"b":1}}', '{"a":[1]}'])
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(BadRequest, match="invalid filter"):
        Filters.parse(text)


def test_unknown_filters_are_named() -> None:
    with pytest.raises(BadRequest, match="invalid filter 'foo'"):
        Filters.parse('{"foo":["a"]}').validate(["name"])


@pytest.mark.parametrize(
    ("value", "meaning"), [("1", True), ("true", True), ("True", True), ("0", False), ("false", False)]
)
def test_booleans_in_filters(value: str, meaning: bool) -> None:
    assert Filters({"dangling": (value,)}).boolean("dangling") is meaning


def test_a_boolean_filter_cannot_be_both() -> None:
    with pytest.raises(BadRequest, match=r"invalid filter 'is-task=\[true false\]'"):
        Filters({"is-task": ("true", "false")}).boolean("is-task")


def test_labels_must_all_match() -> None:
    filters = Filters({"label": ("a", "b=1")})
    assert filters.labels("label", {"a": "x", "b": "1"})
    assert not filters.labels("label", {"a": "x", "b": "2"})
    assert not filters.labels("label", None)


async def test_filters_over_the_wire(client: Any) -> None:
    for given, expected in (
        ({"name": ["manager-2"]}, ["n2"]),
        ({"role": ["worker"]}, []),
        ({"node.label": ["zone=a"]}, ["n1", "n2"]),
    ):
        status, nodes = await client.get("/nodes", params={"filters": json.dumps(given)})
        assert (status, [node["ID"] for node in nodes]) == (200, expected)
    assert await client.get("/nodes", params={"filters": '{"foo":["a"]}'}) == (400, {"message": "invalid filter 'foo'"})
    assert await client.get("/nodes", params={"filters": '{"role":["boss"]}'}) == (
        500,
        {"message": "Invalid role filter: 'boss'"},
    )
