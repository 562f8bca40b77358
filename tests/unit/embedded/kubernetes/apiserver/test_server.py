"""The API server over real TLS: verbs, forms, errors, rights."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import aiohttp
import pytest
from support.apiserver import Served

from labkit.embedded.kubernetes import VERSION

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
BOMB = b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d,*a%d]\n" % (n + 1, n + 1, n, n) for n in range(40))
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


async def test_an_object_from_its_beginning_to_its_end(served: Served) -> None:
    status, made = await served.call("POST", CONFIG_MAPS, config_map("a", x="1"))
    assert status == 201
    assert (made["kind"], made["apiVersion"], made["metadata"]["namespace"]) == ("ConfigMap", "v1", "default")
    status, found = await served.call("GET", f"{CONFIG_MAPS}/a")
    assert (status, found) == (200, made)
    status, new = await served.call("PUT", f"{CONFIG_MAPS}/a", {**made, "data": {"x": "2"}})
    assert (status, new["data"]) == (200, {"x": "2"})
    status, old = await served.call("PUT", f"{CONFIG_MAPS}/a", {**made, "data": {"x": "3"}})
    assert (status, old["reason"]) == (409, "Conflict")
    merge = {"Content-Type": "application/merge-patch+json"}
    status, patched = await served.call("PATCH", f"{CONFIG_MAPS}/a", {"data": {"x": None, "y": "4"}}, headers=merge)
    assert (status, patched["data"]) == (200, {"y": "4"})
    status, listed = await served.call("GET", CONFIG_MAPS)
    assert (status, listed["kind"]) == (200, "ConfigMapList")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]
    assert "kind" not in listed["items"][0]
    status, gone = await served.call("DELETE", f"{CONFIG_MAPS}/a")
    assert (status, gone["status"], gone["details"]["name"]) == (200, "Success", "a")
    status, missing = await served.call("GET", f"{CONFIG_MAPS}/a")
    assert (status, missing["message"]) == (404, 'configmaps "a" not found')


async def test_apply_creates_and_changes(served: Served) -> None:
    headers = {"Content-Type": "application/apply-patch+yaml"}
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: one}\n"
    path = f"{CONFIG_MAPS}/a?fieldManager=me"
    assert (await served.call("PATCH", path, data=body, headers=headers))[0] == 201
    status, found = await served.call("PATCH", path, data=body.replace(b"one", b"two"), headers=headers)
    assert (status, found["data"]) == (200, {"x": "two"})
    assert [entry["operation"] for entry in found["metadata"]["managedFields"]] == ["Apply"]


async def test_the_user_agent_manages_fields_unless_somebody_is_named(served: Served) -> None:
    headers = {"User-Agent": "kubectl/v1.36.1 (linux/amd64)"}
    _, made = await served.call("POST", CONFIG_MAPS, config_map("a", x="1"), headers=headers)
    _, other = await served.call("POST", f"{CONFIG_MAPS}?fieldManager=me", config_map("b", x="1"), headers=headers)
    assert [made["metadata"]["managedFields"][0]["manager"], other["metadata"]["managedFields"][0]["manager"]] == [
        "kubectl",
        "me",
    ]


async def test_dry_runs_leave_nothing(served: Served) -> None:
    status, made = await served.call("POST", f"{CONFIG_MAPS}?dryRun=All", config_map("a"))
    assert (status, made["metadata"]["name"]) == (201, "a")
    assert (await served.call("GET", f"{CONFIG_MAPS}/a"))[0] == 404


async def test_unknown_fields_are_warned_of_or_refused(served: Served) -> None:
    body = json.dumps({**config_map("a"), "foo": 1}).encode()
    headers = {"Content-Type": "application/json"}
    url = f"{served.url}{CONFIG_MAPS}"
    async with served.admin.post(url, data=body, headers=headers) as answer:
        assert answer.status == 201
        assert answer.headers.getall("Warning") == ['299 - "unknown field \\"foo\\""']
    async with served.admin.post(f"{url}?fieldValidation=Strict", data=body, headers=headers) as answer:
        assert answer.status == 400
        assert 'strict decoding error: unknown field "foo"' in (await answer.json())["message"]


async def test_lists_come_in_pages(served: Served) -> None:
    for number in range(5):
        await served.call("POST", CONFIG_MAPS, config_map(f"c{number}"))
    seen, token = [], ""
    while True:
        _, page = await served.call("GET", f"{CONFIG_MAPS}?limit=2&continue={token}")
        seen += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert seen == [f"c{number}" for number in range(5)]


async def test_forms(served: Served) -> None:
    await served.call("POST", CONFIG_MAPS, config_map("a", x="1"))
    _, table = await served.call("GET", CONFIG_MAPS, headers={"Accept": TABLE})
    assert (table["kind"], table["rows"][0]["object"]["kind"]) == ("Table", "PartialObjectMetadata")
    assert table["rows"][0]["cells"][:2] == ["a", 1]
    _, table = await served.call("GET", f"{CONFIG_MAPS}/a?includeObject=Object", headers={"Accept": TABLE})
    assert table["rows"][0]["object"]["kind"] == "ConfigMap"
    _, partial = await served.call("GET", f"{CONFIG_MAPS}/a", headers={"Accept": PARTIAL})
    assert (partial["kind"], "data" in partial) == ("PartialObjectMetadata", False)
    _, listed = await served.call("GET", CONFIG_MAPS, headers={"Accept": PARTIAL.replace("data;", "dataList;")})
    assert (listed["kind"], listed["items"][0]["metadata"]["name"]) == ("PartialObjectMetadataList", "a")
    status, text = await served.call("GET", f"{CONFIG_MAPS}/a", headers={"Accept": "application/yaml"})
    assert (status, text.splitlines()[0]) == (200, "apiVersion: v1")
    assert (await served.call("GET", f"{CONFIG_MAPS}?includeObject=Foo", headers={"Accept": TABLE}))[0] == 422


async def test_people_get_indented_json(served: Served) -> None:
    for path, agent, indented in (
        ("/api/v1/namespaces/default", "curl/8", True),
        ("/api/v1/namespaces/default?pretty=false", "curl/8", False),
        ("/api/v1/namespaces/default?pretty=true", "x", True),
        ("/api/v1/namespaces/default", "x", False),
        ("/api/v1/namespaces/nope", "curl/8", True),
    ):
        async with served.admin.get(served.url + path, headers={"User-Agent": agent}) as answer:
            assert ("\n  " in await answer.text()) is indented, (path, agent)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/api/v1/nope", 404, "the server could not find the requested resource"),
        ("GET", "/api/v2", 404, "the server could not find the requested resource"),
        ("PUT", CONFIG_MAPS, 405, "the server does not allow this method on the requested resource"),
        ("HEAD", "/api/v1/pods", 405, ""),
        ("POST", "/version", 405, "the server does not allow this method on the requested resource"),
        ("GET", "/api/v1/pods?limit=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("GET", "/api/v1/pods?fieldSelector=spec.foo%3D1", 400, "field label not supported: spec.foo"),
        ("GET", "/api/v1/namespaces/default/pods/x", 404, 'pods "x" not found'),
        ("GET", "/api/v1/namespaces/default/pods/x/log", 404, 'pods "x" not found'),
        ("POST", "/api/v1/namespaces/default/pods/x/exec?command=a", 404, 'pods "x" not found'),
    ],
)  # fmt: skip
async def test_refusals(served: Served, method: str, path: str, status: int, message: str) -> None:
    found, body = await served.call(method, path)
    assert found == status
    if message:
        assert body["message"] == message


@pytest.mark.parametrize("path", ["/apis/nope", "/apis/nope/v1/foos", "/openapi/v2"])
async def test_groups_that_are_not_there(served: Served, path: str) -> None:
    assert await served.call("GET", path) == (404, "404 page not found\n")


@pytest.mark.parametrize(
    ("data", "content_type", "status", "words"),
    [
        (b"", "application/json", 400, "json parse error: unexpected end of JSON input (<empty>)"),
        (b"{", "application/json", 400, "json parse error: unexpected end of JSON input ({)"),
        (b"[]", "application/json", 400, "json: cannot unmarshal array into Go value of type struct"),
        (b'{"kind":5}', "application/json", 400, "Go struct field .kind of type string"),
        (b'{"kind":"Pod"}', "application/json", 400, "converting (v1.Pod) to (core.ConfigMap): unknown conversion"),
        (b'{"kind":"Foo","apiVersion":"v1"}', "application/json", 400, 'no kind "Foo" is registered for version "v1"'),
        (b'{"metadata":{"namespace":"b"}}', "application/json", 400, "the namespace of the provided object does not"),
        (b"a: [b", "application/yaml", 400, "yaml: line 1: did not find expected ',' or ']'"),
        (b"nope", "application/vnd.kubernetes.protobuf", 400, "(must be of type ConfigMap)"),
        (b"{}", "text/plain", 415, "the body of the request was in an unknown format"),
        (b"[" * 100_000, "application/json", 400, "json parse error"),
        (BOMB, "application/yaml", 400, "excessive aliasing"),
    ],
)  # fmt: skip
async def test_bodies_that_are_none(served: Served, data: bytes, content_type: str, status: int, words: str) -> None:
    found, body = await served.call("POST", CONFIG_MAPS, data=data, headers={"Content-Type": content_type})
    assert (found, words in body["message"]) == (status, True), body["message"]


async def test_a_body_has_its_limit(served: Served) -> None:
    status, body = await served.call("POST", CONFIG_MAPS, data=b" " * (3 * 1024 * 1024 + 1))
    assert (status, body["message"]) == (413, "Request entity too large: limit is 3145728")

    headers = {"Content-Type": "application/json"}

    async def pieces() -> Any:
        for _ in range(60):
            yield b" " * 65536

    async with served.admin.post(served.url + CONFIG_MAPS, data=pieces(), headers=headers) as answer:
        assert answer.status == 413


async def test_a_handlers_mistake_is_a_500_and_nothing_more(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(served.registry, "list", broken)
    status, body = await served.call("GET", "/api/v1/pods")
    assert (status, body["reason"], "boom" in body["message"]) == (500, "InternalError", True)
    assert "boom" in caplog.text
    assert (await served.call("GET", "/healthz")) == (200, "ok")


# -- who asks


async def test_nobody_gets_little(served: Served) -> None:
    for path, wanted in (("/healthz", 200), ("/version", 200), ("/livez/ping", 403), ("/api", 403), ("/", 403)):
        assert (await served.call("GET", path, session=served.nobody))[0] == wanted, path
    status, body = await served.call("GET", "/api/v1/pods", session=served.nobody)
    assert (status, body["message"]) == (
        403,
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope',
    )
    wrong = {"Authorization": "Bearer x"}
    status, body = await served.call("GET", "/version", session=served.nobody, headers=wrong)
    assert (status, body["reason"]) == (401, "Unauthorized")


async def test_a_service_accounts_token(served: Served) -> None:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await served.call("POST", accounts, {"metadata": {"name": "robot"}})
    status, made = await served.call("POST", f"{accounts}/robot/token", {"spec": {"expirationSeconds": 600}})
    assert status == 201
    token = made["status"]["token"]
    assert token.count(".") == 2
    bearer = {"Authorization": f"Bearer {token}"}
    reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    _, who = await served.call("POST", reviews, {}, headers=bearer, session=served.nobody)
    info = who["status"]["userInfo"]
    assert info["username"] == "system:serviceaccount:default:robot"
    assert info["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    status, body = await served.call("GET", "/api/v1/pods", headers=bearer, session=served.nobody)
    assert status == 403
    assert 'User "system:serviceaccount:default:robot" cannot list resource "pods"' in body["message"]
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    _, review = await served.call("POST", path, {"spec": {"token": token}})
    assert review["status"]["authenticated"] is True
    _, review = await served.call("POST", path, {"spec": {"token": token[:-3] + "xyz"}})
    assert review["status"] == {"user": {}, "error": "invalid bearer token"}
    await served.clock.advance(602)
    assert (await served.call("GET", "/version", headers=bearer, session=served.nobody))[0] == 401


async def test_a_token_ends_with_its_account(served: Served) -> None:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await served.call("POST", accounts, {"metadata": {"name": "robot"}})
    _, made = await served.call("POST", f"{accounts}/robot/token", {"spec": {}})
    await served.call("DELETE", f"{accounts}/robot")
    await served.call("POST", accounts, {"metadata": {"name": "robot"}})
    bearer = {"Authorization": f"Bearer {made['status']['token']}"}
    assert (await served.call("GET", "/version", headers=bearer, session=served.nobody))[0] == 401


async def test_an_administrator_may_speak_for_others(served: Served) -> None:
    reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    for headers, name, groups in (
        ({"Impersonate-User": "bob"}, "bob", ["system:authenticated"]),
        ({"Impersonate-User": "bob", "Impersonate-Group": "a"}, "bob", ["a", "system:authenticated"]),
        (
            {"Impersonate-User": "system:serviceaccount:x:y"},
            "system:serviceaccount:x:y",
            ["system:serviceaccounts", "system:serviceaccounts:x", "system:authenticated"],
        ),
    ):
        _, who = await served.call("POST", reviews, {}, headers=headers)
        assert (who["status"]["userInfo"]["username"], who["status"]["userInfo"]["groups"]) == (name, groups)
    status, _ = await served.call("GET", "/api/v1/pods", headers={"Impersonate-User": "bob"})
    assert status == 403
    status, body = await served.call("GET", "/version", headers={"Impersonate-User": "a"}, session=served.nobody)
    assert (status, body["message"]) == (
        403,
        'users "a" is forbidden: User "system:anonymous" cannot impersonate resource "users" in API group "" '
        "at the cluster scope",
    )


async def test_may_i(served: Served) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    question = {"spec": {"resourceAttributes": {"verb": "delete", "resource": "nodes"}}}
    for headers, allowed in (({}, True), ({"Impersonate-User": "bob"}, False)):
        status, body = await served.call("POST", path, question, headers=headers)
        assert (status, body["status"]["allowed"]) == (201, allowed)
    rules = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    _, body = await served.call("POST", rules, {"spec": {"namespace": "default"}}, headers={"Impersonate-User": "bob"})
    assert {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"]} in (
        body["status"]["nonResourceRules"]
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:6443"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "kubernetes"}, 200),
        ({"Host": "[::1]:6443"}, 200),
        ({"Host": "evil.example.com"}, 403),
        ({"Host": "10.0.0.1"}, 403),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_no_web_page_and_no_other_name_gets_in(served: Served, headers: dict[str, str], status: int) -> None:
    assert (await served.call("GET", "/version", headers=headers))[0] == status


async def test_a_certificate_of_another_authority_is_refused(served: Served, tmp_path: Any) -> None:
    from support.apiserver import certificates

    other = certificates(tmp_path / "other")
    context = served.context()
    context.load_cert_chain(other / "admin.crt", other / "admin.key")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        with pytest.raises(aiohttp.ClientError):
            await served.call("GET", "/version", session=session)


# -- what else is there


async def test_version_health_and_metrics(served: Served) -> None:
    _, version = await served.call("GET", "/version/")
    assert (version["gitVersion"], version["major"]) == (VERSION, "1")
    _, text = await served.call("GET", "/readyz?verbose")
    assert "[+]etcd ok\n" in text
    assert text.endswith("readyz check passed\n")
    _, text = await served.call("GET", "/livez?verbose&exclude=etcd&exclude=nope")
    assert "[+]etcd excluded: ok\n" in text
    assert 'no matches for "nope"' in text
    status, body = await served.call("GET", "/livez/nope")
    assert (status, "/livez/ping" in body["paths"]) == (404, True)
    _, text = await served.call("GET", "/metrics")
    assert 'apiserver_request_total{code="200"' in text


async def test_without_etcd_it_can_do_nothing(served: Served) -> None:
    served.etcd.stop()
    status, text = await served.call("GET", "/readyz?verbose")
    assert (status, "[-]etcd failed: reason withheld\n" in text) == (500, True)
    status, body = await served.call("GET", "/api/v1/pods")
    assert (status, "connection refused" in body["message"]) == (500, True)
    served.etcd.start()
    assert (await served.call("GET", "/readyz")) == (200, "ok")


async def test_discovery_has_tags(served: Served) -> None:
    accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}
    async with served.admin.get(f"{served.url}/apis", headers=accept) as answer:
        tag = answer.headers["ETag"]
        assert "APIGroupDiscoveryList" in answer.headers["Content-Type"]
    async with served.admin.get(f"{served.url}/apis", headers={**accept, "If-None-Match": tag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")


async def test_stopping_it_breaks_connections_and_starting_brings_it_back(served: Served) -> None:
    assert served.door.is_open
    await served.server.stop()
    assert not served.door.is_open
    with pytest.raises(aiohttp.ClientError):
        await served.call("GET", "/healthz")
    await served.server.start(served.pki.server_context())
    assert (await served.call("GET", "/healthz")) == (200, "ok")


async def test_a_paused_machine_takes_the_call_and_answers_later(served: Served) -> None:
    assert (await served.call("GET", "/healthz")) == (200, "ok")  # the connection is there
    served.fleet.pause("control-plane")
    waiting = asyncio.ensure_future(served.call("GET", "/healthz"))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    served.fleet.heal("control-plane")
    assert await waiting == (200, "ok")


async def test_connections_are_kept_and_closed_as_asked(served: Served) -> None:
    context = served.context("admin")
    host, port = served.url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    for request in (b"", b"", b"Connection: close\r\n"):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + request + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert await reader.readexactly(2) == b"ok"
    assert await reader.read() == b""
    writer.close()


async def test_gzip_is_never_sent_unasked(served: Served) -> None:
    async with served.admin.get(f"{served.url}/api/v1/namespaces", headers={"Accept-Encoding": "identity"}) as answer:
        data = await answer.read()
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(data)
