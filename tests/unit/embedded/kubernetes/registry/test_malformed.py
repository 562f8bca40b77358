"""Whatever is sent, the answer is an object or a refusal in so many words, and what is stored is whole."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import DeleteOptions, Registry, WriteOptions
from labkit.embedded.kubernetes.registry.patching import APPLY, JSON, MERGE, STRATEGIC
from labkit.embedded.runtime.addresses import AddressPool
from labkit.embedded.runtime.clock import ManualClock

from .things import deployment, pod, service, thawed

STORED = list(kinds.stored())
JUNK: tuple[Any, ...] = (
    None,
    0,
    -1,
    5,
    1.5,
    True,
    "",
    "x",
    "None",
    [],
    [None],
    ["x"],
    [{}],
    {},
    {"x": "y"},
    {"a": None},
)

TEMPLATE = deployment("a")["spec"]["template"]
GOOD: dict[Kind, Json] = {
    kinds.PODS: pod("a"),
    kinds.SERVICES: service("a", type="NodePort"),
    kinds.DEPLOYMENTS: deployment("a"),
    kinds.JOBS: {
        "metadata": {"name": "a"},
        "spec": {"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}},
    },
    kinds.DAEMON_SETS: {
        "metadata": {"name": "a"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE},
    },
    kinds.NAMESPACES: {"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes"]}},
    kinds.NODES: {"metadata": {"name": "a"}, "spec": {"taints": [{"key": "x", "effect": "NoExecute"}]}},
    kinds.SECRETS: {"metadata": {"name": "a"}, "data": {"a": "Yg=="}, "stringData": {"x": "y"}},
    kinds.POD_DISRUPTION_BUDGETS: {"metadata": {"name": "a"}, "spec": {"minAvailable": 1, "selector": {}}},
    kinds.PRIORITY_CLASSES: {"metadata": {"name": "a"}, "value": 5, "globalDefault": True},
}


def fresh() -> Registry:
    made = Registry(Etcd(), ManualClock(), services=AddressPool("127.20.128.0/24"), rng=random.Random(7))
    made.create(kinds.NAMESPACES, "", {"metadata": {"name": "default"}})
    made.create(kinds.SERVICE_ACCOUNTS, "default", {"metadata": {"name": "default"}})
    return made


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in an object."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            found += places(value[index], (*path, index))
    return found


def spoiled(obj: Json, path: tuple[Any, ...], value: Any) -> Json:
    """The object with something else in one place."""
    copy = thawed(obj)
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return copy


def attempt(registry: Registry, call: Any) -> None:
    """Make the call; a refusal is fine when it is the client's fault and says what is wrong."""
    before = registry.etcd.revision
    try:
        call()
    except StatusError as error:
        refusal = error
    else:
        return
    status = orjson.loads(orjson.dumps(refusal.status()))
    assert status["message"].strip()
    # Two answers are a 500 for real: see test_reading and test_writing.
    assert 400 <= refusal.code < 500 or "resourceVersion" in status["message"], status
    assert registry.etcd.revision == before, "a refusal leaves nothing behind"


@pytest.mark.parametrize("kind", STORED, ids=lambda kind: kind.resource)
def test_nearly_nothing(kind: Kind) -> None:
    registry = fresh()
    namespace = "default" if kind.namespaced else ""
    for part in ("spec", "status", "metadata", "data", "endpoints", "template"):
        for junk in JUNK:
            obj: Json = {"metadata": {"name": "a"}}
            obj[part] = junk
            attempt(registry, lambda obj=obj: registry.create(kind, namespace, obj, WriteOptions(dry_run=True)))
            attempt(registry, lambda obj=obj: registry.update(kind, namespace, "a", obj))
            attempt(registry, lambda obj=obj: registry.patch(kind, namespace, "a", MERGE, obj))


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.resource)
def test_one_thing_wrong(kind: Kind) -> None:
    registry = fresh()
    namespace = "default" if kind.namespaced else ""
    there = registry.create(kind, namespace, GOOD[kind])
    chance = random.Random(1)
    for path in places(GOOD[kind]):
        for junk in chance.sample(JUNK, 6):
            obj = spoiled(GOOD[kind], path, junk)
            attempt(registry, lambda obj=obj: registry.create(kind, namespace, obj, WriteOptions(dry_run=True)))
            attempt(registry, lambda obj=obj: registry.update(kind, namespace, "a", obj, WriteOptions(dry_run=True)))
    for path in places(there):
        for junk in chance.sample(JUNK, 2):
            obj = spoiled(there, path, junk)
            for subresource in ("", "status") if kind.has_status else ("",):
                attempt(
                    registry,
                    lambda obj=obj, part=subresource: registry.update(
                        kind, namespace, "a", obj, WriteOptions(dry_run=True), subresource=part
                    ),
                )


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(
                [
                    "metadata",
                    "spec",
                    "status",
                    "name",
                    "labels",
                    "kind",
                    "apiVersion",
                    "containers",
                    "replicas",
                    "$patch",
                ]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)
POINTERS = st.sampled_from(
    ["", "/", "/spec", "/spec/replicas", "/metadata/name", "/spec/template/spec/containers/0", "/x"]
)
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": POINTERS},
        optional={"value": VALUES, "from": POINTERS},
    ),
    max_size=2,
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150, deadline=None)
@given(st.sampled_from([STRATEGIC, MERGE, JSON, APPLY]), VALUES | OPERATIONS, st.sampled_from(["", "status", "scale"]))
def test_any_patch(media_type: str, body: Any, subresource: str) -> None:
    registry = _SHARED
    options = WriteOptions(manager="me", dry_run=True, force=True)
    attempt(
        registry,
        lambda: registry.patch(kinds.DEPLOYMENTS, "default", "a", media_type, body, options, subresource=subresource),
    )


_SHARED = fresh()
_SHARED.create(kinds.DEPLOYMENTS, "default", GOOD[kinds.DEPLOYMENTS])


@pytest.mark.parametrize("junk", JUNK)
def test_odd_options(junk: Any) -> None:
    registry = fresh()
    registry.create(kinds.PODS, "default", pod("a", node="n1"))
    text = junk if isinstance(junk, str) else "x"
    attempt(
        registry, lambda: registry.delete(kinds.PODS, "default", "a", DeleteOptions(propagation=text, dry_run=True))
    )
    attempt(registry, lambda: registry.list(kinds.PODS, continue_=text, version=text, match=text))
    attempt(registry, lambda: registry.watch(kinds.PODS, version=text))
    eviction = {
        "metadata": junk if isinstance(junk, dict) else {},
        "deleteOptions": junk if isinstance(junk, dict) else {},
    }
    attempt(registry, lambda: registry.evict("default", "a", eviction, WriteOptions(dry_run=True)))
