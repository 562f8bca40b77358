from __future__ import annotations

import base64

import orjson
import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import BadRequest, Expired, Invalid, NotFound, StatusError, Timeout
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.objects import name_of
from labkit.embedded.kubernetes.registry import Registry
from labkit.embedded.kubernetes.registry.reading import ContinueExpired, Listing

from .things import config_map, deployment, pod, refused

PODS, MAPS = kinds.PODS, kinds.CONFIG_MAPS


@pytest.fixture
def five(registry: Registry) -> Registry:
    for number in range(5):
        app = "web" if number % 2 == 0 else "db"
        registry.create(PODS, "default", pod(f"p{number}", labels={"app": app}, node=f"n{number % 2}"))
    return registry


def names(listing: Listing) -> list[str]:
    return [name_of(obj) for obj in listing]


def test_one(registry: Registry) -> None:
    made = registry.create(MAPS, "default", config_map("a"))
    assert registry.get(MAPS, "default", "a") is made
    assert orjson.loads(registry.record(MAPS, "default", "a").json) == made
    with pytest.raises(NotFound) as caught:
        registry.get(kinds.DEPLOYMENTS, "default", "a")
    assert refused(caught) == (404, 'deployments.apps "a" not found')
    assert caught.value.details == {"name": "a", "group": "apps", "kind": "deployments"}


def test_all_of_a_namespace_or_of_all(five: Registry) -> None:
    five.create(kinds.NAMESPACES, "", {"metadata": {"name": "a-b"}})
    five.create(kinds.SERVICE_ACCOUNTS, "a-b", {"metadata": {"name": "default"}})
    five.create(PODS, "a-b", pod("z"))
    assert names(five.list(PODS)) == ["z", "p0", "p1", "p2", "p3", "p4"]
    assert names(five.list(PODS, "default")) == ["p0", "p1", "p2", "p3", "p4"]
    assert names(five.list(PODS, "nowhere")) == []
    assert five.list(PODS).revision == five.etcd.revision


@pytest.mark.parametrize(
    ("labels", "fields", "found"),
    [
        ("app=web", None, "024"),
        ("app!=web", None, "13"),
        ("app in (db),!x", None, "13"),
        (None, "metadata.name=p3", "3"),
        (None, "metadata.name!=p3", "0124"),
        (None, "spec.nodeName=n0", "024"),
        (None, "spec.nodeName!=n0", "13"),
        (None, "spec.nodeName=n9", ""),
        (None, "spec.nodeName=n0,metadata.name=p1", ""),
        ("app=web", "spec.nodeName=n0,metadata.name=p2", "2"),
        (None, "metadata.namespace=default,status.phase=Pending", "01234"),
        (None, "metadata.namespace=other", ""),
    ],
)
def test_selected(five: Registry, labels: str | None, fields: str | None, found: str) -> None:
    for namespace in ("", "default"):
        assert names(five.list(PODS, namespace, labels=labels, fields=fields)) == [f"p{number}" for number in found]


def test_selectors_that_are_none(registry: Registry) -> None:
    with pytest.raises(BadRequest) as caught:
        registry.list(PODS, labels="a=,,b")
    assert refused(caught) == (400, "found ',', expected: identifier after ','")
    with pytest.raises(BadRequest) as caught:
        registry.list(PODS, fields="spec.foo=x")
    assert refused(caught) == (400, "field label not supported: spec.foo")


class TestEncoding:
    def test_the_items_do_not_repeat_what_the_list_says(self, five: Registry) -> None:
        listing = five.list(PODS)
        sent = orjson.loads(listing.encode())
        assert (sent["kind"], sent["apiVersion"]) == ("PodList", "v1")
        assert sent["metadata"] == {"resourceVersion": str(five.etcd.revision)}
        assert [{"kind": "Pod", "apiVersion": "v1", **item} for item in sent["items"]] == listing.items
        assert not any("kind" in item for item in sent["items"])

    def test_of_nothing(self, registry: Registry) -> None:
        sent = orjson.loads(registry.list(kinds.JOBS).encode())
        assert sent == {
            "kind": "JobList",
            "apiVersion": "batch/v1",
            "metadata": {"resourceVersion": str(registry.etcd.revision)},
            "items": [],
        }

    def test_objects_that_begin_otherwise_are_whole(self, registry: Registry, etcd: Etcd) -> None:
        etcd.put(MAPS, ("default", "odd"), {"metadata": {"namespace": "default", "name": "odd"}, "kind": "ConfigMap"})
        registry.create(MAPS, "default", config_map("a"))
        sent = orjson.loads(registry.list(MAPS).encode())
        assert [item["metadata"]["name"] for item in sent["items"]] == ["a", "odd"]


class TestPages:
    def test_one_after_the_other(self, five: Registry) -> None:
        first = five.list(PODS, "default", limit=2)
        assert (names(first), first.remaining) == (["p0", "p1"], 3)
        assert first.metadata()["remainingItemCount"] == 3
        second = five.list(PODS, "default", limit=2, continue_=first.continue_)
        assert (names(second), second.remaining) == (["p2", "p3"], 1)
        third = five.list(PODS, "default", limit=2, continue_=second.continue_)
        assert (names(third), third.remaining, third.continue_) == (["p4"], None, "")
        assert third.metadata() == {"resourceVersion": str(first.revision)}

    def test_all_show_the_state_of_the_first(self, five: Registry) -> None:
        first = five.list(PODS, limit=2)
        five.delete(PODS, "default", "p3")
        five.delete(PODS, "default", "p3", _now())
        five.create(PODS, "default", pod("p2b"))
        rest = five.list(PODS, continue_=first.continue_)
        assert names(rest) == ["p2", "p3", "p4"]
        assert rest.revision == first.revision
        assert "deletionTimestamp" not in rest.items[1]["metadata"]

    def test_with_a_selector_nobody_knows_what_remains(self, five: Registry) -> None:
        first = five.list(PODS, labels="app=web", limit=1)
        assert (names(first), first.remaining) == (["p0"], None)
        assert "remainingItemCount" not in first.metadata()
        assert names(five.list(PODS, labels="app=web", continue_=first.continue_)) == ["p2", "p4"]

    def test_an_old_token_offers_another(self, five: Registry, etcd: Etcd) -> None:
        first = five.list(PODS, limit=2)
        five.create(PODS, "default", pod("p2b"))
        etcd.compact()
        with pytest.raises(ContinueExpired) as caught:
            five.list(PODS, continue_=first.continue_)
        status = caught.value.status()
        assert (status["code"], status["reason"]) == (410, "Expired")
        assert status["message"].startswith("The provided continue parameter is too old")
        rest = five.list(PODS, continue_=status["metadata"]["continue"])
        assert names(rest) == ["p2", "p2b", "p3", "p4"]
        assert rest.revision == etcd.revision

    @pytest.mark.parametrize(
        ("token", "words"),
        [
            ("abc", "invalid continue token: continue key is not valid: "),
            (_token := base64.urlsafe_b64encode(b'{"v":"x"}').decode(), "invalid continue token: "),
            (base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":0,"start":"a"}').decode(), "invalid continue token"),
            (base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":5}').decode(), "invalid continue token"),
            (base64.urlsafe_b64encode(b"[]").decode(), "invalid continue token"),
        ],
    )
    def test_tokens_that_are_none(self, registry: Registry, token: str, words: str) -> None:
        with pytest.raises(BadRequest) as caught:
            registry.list(PODS, continue_=token)
        assert refused(caught)[1].startswith(words)

    def test_a_token_has_its_own_version(self, five: Registry) -> None:
        token = five.list(PODS, limit=2).continue_
        with pytest.raises(BadRequest, match="specifying resource version is not allowed when using continue"):
            five.list(PODS, continue_=token, version="5")


class TestVersions:
    def test_exactly(self, five: Registry) -> None:
        version = str(five.etcd.revision)
        five.create(PODS, "default", pod("p9"))
        then = five.list(PODS, version=version, match="Exact")
        assert names(then) == ["p0", "p1", "p2", "p3", "p4"]
        assert then.metadata()["resourceVersion"] == version
        assert names(five.list(PODS, version=version, match="NotOlderThan"))[-1] == "p9"
        assert names(five.list(PODS, version=version))[-1] == "p9"
        assert five.list(PODS, version=version, limit=2).revision == int(version)

    def test_too_old(self, five: Registry, etcd: Etcd) -> None:
        version = str(etcd.revision)
        five.create(PODS, "default", pod("p9"))
        etcd.compact()
        with pytest.raises(Expired) as caught:
            five.list(PODS, version=version, match="Exact")
        assert refused(caught) == (410, "The resourceVersion for the provided list is too old.")

    def test_yet_to_come(self, registry: Registry) -> None:
        with pytest.raises(Timeout) as caught:
            registry.list(PODS, version="99999")
        assert refused(caught) == (
            504,
            f"Timeout: Too large resource version: 99999, current: {registry.etcd.revision}",
        )
        assert caught.value.details == {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }

    def test_no_number(self, registry: Registry) -> None:
        with pytest.raises(StatusError) as caught:
            registry.list(PODS, version="abc")
        words = 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax'
        assert refused(caught) == (500, words)

    @pytest.mark.parametrize(
        ("version", "match", "words"),
        [
            ("", "Exact", "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"),
            ("0", "Exact", 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
            ("5", "Foo", 'Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""'),
        ],
    )
    def test_what_does_not_go_together(self, registry: Registry, version: str, match: str, words: str) -> None:
        with pytest.raises(Invalid) as caught:
            registry.list(PODS, version=version, match=match)
        assert refused(caught)[1].startswith(f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: {words}')


def test_what_a_stopped_store_says(registry: Registry, etcd: Etcd) -> None:
    etcd.stop()
    for attempt in (
        lambda: registry.get(PODS, "default", "a"),
        lambda: registry.list(PODS),
        lambda: registry.create(kinds.DEPLOYMENTS, "default", deployment("web")),
        lambda: registry.watch(PODS),
        lambda: registry.delete(PODS, "default", "a"),
    ):
        with pytest.raises(StatusError, match="connection refused"):
            attempt()


def test_what_its_cache_still_says(registry: Registry, etcd: Etcd) -> None:
    registry.create(MAPS, "default", config_map("a"))
    etcd.stop()
    assert names(registry.list(MAPS, version="0")) == ["a"]
    watch = registry.watch(MAPS, version=str(etcd.revision))
    assert watch.take() == []
    etcd.start()
    registry.create(MAPS, "default", config_map("b"))
    assert len(watch.take()) == 1


def _now():  # type: ignore[no-untyped-def]
    from labkit.embedded.kubernetes.registry import DeleteOptions

    return DeleteOptions(grace_period_seconds=0)
