"""``pods/ephemeralcontainers``: containers that come to a pod which is there already."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import Conflict, Invalid, NotFound
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import Registry, WriteOptions
from labkit.embedded.kubernetes.registry.patching import APPLY, JSON, MERGE, STRATEGIC

from .things import pod, refused

PODS, PART = kinds.PODS, "ephemeralcontainers"
PATH = "spec.ephemeralContainers"


def debugger(name: str = "debugger", **more: Any) -> Json:
    return {"name": name, "image": "busybox:1.36", **more}


def spec(*containers: Json) -> Json:
    return {"spec": {"ephemeralContainers": list(containers)}}


def add(registry: Registry, *containers: Json, **options: Any) -> Json:
    """As kubectl does it."""
    return registry.patch(PODS, "default", "web", STRATEGIC, spec(*containers), WriteOptions(**options),
                          subresource=PART)[0]  # fmt: skip


def names(obj: Json) -> list[str]:
    return [one["name"] for one in obj["spec"].get("ephemeralContainers") or ()]


@pytest.fixture
def made(registry: Registry) -> Json:
    return registry.create(PODS, "default", pod("web", node="n1"), WriteOptions(manager="creator"))


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (STRATEGIC, spec(debugger())),
        (MERGE, spec(debugger())),
        (JSON, [{"op": "add", "path": "/spec/ephemeralContainers", "value": [debugger()]}]),
        (APPLY, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, **spec(debugger())}),
    ],
)
def test_one_comes_with_each_kind_of_patch(registry: Registry, made: Json, media_type: str, body: Any) -> None:
    options = WriteOptions(manager="kubectl-debug")
    after, created = registry.patch(PODS, "default", "web", media_type, body, options, subresource=PART)
    assert not created
    assert after["spec"]["ephemeralContainers"] == [
        debugger(
            resources={},
            terminationMessagePath="/dev/termination-log",
            terminationMessagePolicy="File",
            imagePullPolicy="IfNotPresent",
        )
    ]
    assert {**after["spec"], "ephemeralContainers": None} == {**made["spec"], "ephemeralContainers": None}
    assert after["metadata"]["generation"] == 2
    (entry,) = [one for one in after["metadata"]["managedFields"] if one["manager"] == "kubectl-debug"]
    assert entry["subresource"] == PART
    assert list(entry["fieldsV1"]) == ["f:spec"]
    assert list(entry["fieldsV1"]["f:spec"]) == ["f:ephemeralContainers"]


def test_a_second_one_leaves_the_first(registry: Registry, made: Json) -> None:
    add(registry, debugger("one"))
    assert sorted(names(add(registry, debugger("two")))) == ["one", "two"]
    assert registry.get(PODS, "default", "web")["metadata"]["generation"] == 3


def test_everything_else_that_is_sent_is_dropped(registry: Registry, made: Json) -> None:
    other = [{"name": "other", "image": "redis"}]
    sent = {
        **made,
        "metadata": {**made["metadata"], "labels": {"app": "other"}, "finalizers": ["x.y/z"]},
        "spec": {**made["spec"], "containers": other, "ephemeralContainers": [debugger()]},
        "status": {"phase": "Failed"},
    }
    after = registry.update(PODS, "default", "web", sent, subresource=PART)
    assert names(after) == ["debugger"]
    assert after["spec"]["containers"] == made["spec"]["containers"]
    assert after["status"] == made["status"]
    assert not {"labels", "finalizers"} & after["metadata"].keys()


def test_nothing_new_is_no_write(registry: Registry, made: Json) -> None:
    before = registry.etcd.revision
    sent = {**made, "spec": {**made["spec"], "nodeName": "n2"}}
    assert registry.update(PODS, "default", "web", sent, subresource=PART) is made
    assert registry.etcd.revision == before


def test_an_old_version_is_a_conflict_and_a_pod_that_is_not_there_is_not_found(registry: Registry, made: Json) -> None:
    add(registry, debugger())
    with pytest.raises(Conflict):
        registry.update(PODS, "default", "web", {**made, **spec(debugger("late"))}, subresource=PART)
    with pytest.raises(NotFound) as absent:
        registry.patch(PODS, "default", "nobody", STRATEGIC, spec(debugger()), subresource=PART)
    # kubectl tells a missing pod from a cluster without the sub-resource by this name.
    assert (absent.value.details or {})["name"] == "nobody"


REFUSED: list[tuple[Json, list[str]]] = [
    (debugger("web"), [f'{PATH}[0].name: Duplicate value: "web"']),
    (debugger(targetContainerName="nobody"), [f'{PATH}[0].targetContainerName: Not found: "nobody"']),
    (debugger(targetContainerName="debugger"), [f'{PATH}[0].targetContainerName: Not found: "debugger"']),
    (debugger(image=""), [f"{PATH}[0].image: Required value"]),
    (debugger(image=" busybox"), [
        f'{PATH}[0].image: Invalid value: " busybox": must not have leading or trailing whitespace',
    ]),
    (
        debugger(
            lifecycle={}, startupProbe={}, readinessProbe={"tcpSocket": {"port": 1}}, livenessProbe={},
            restartPolicy="Never", resizePolicy=[{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
            resources={"limits": {"cpu": "1"}}, ports=[{"containerPort": 80}],
        ),
        [
            f"{PATH}[0].{field}: Forbidden: cannot be set for an Ephemeral Container"
            for field in ("ports", "resources", "resizePolicy", "restartPolicy", "livenessProbe", "readinessProbe",
                          "startupProbe", "lifecycle")
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("container", "words"), REFUSED, ids=lambda value: str(value)[-40:])
def test_what_one_may_not_be(registry: Registry, made: Json, container: Json, words: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        add(registry, container)
    code, message = refused(caught)
    whole = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
    assert (code, message) == (422, f'Pod "web" is invalid: {whole}')


def test_a_sub_path_is_refused(registry: Registry) -> None:
    mount = {"name": "v", "mountPath": "/v", "subPath": "a"}
    registry.create(
        PODS, "default", {**pod("web"), "spec": {**pod("web")["spec"], "volumes": [{"name": "v", "emptyDir": {}}]}}
    )
    with pytest.raises(Invalid) as caught:
        add(registry, debugger(volumeMounts=[mount]))
    words = f"{PATH}[0].volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container"
    assert refused(caught)[1] == f'Pod "web" is invalid: {words}'
    assert names(add(registry, debugger(volumeMounts=[{"name": "v", "mountPath": "/v"}]))) == ["debugger"]


def test_one_that_is_there_neither_changes_nor_goes(registry: Registry, made: Json) -> None:
    add(registry, debugger())
    with pytest.raises(Invalid) as caught:
        add(registry, debugger(image="alpine:3"))
    assert f'{PATH}: Forbidden: existing ephemeral containers "debugger" may not be changed\n' in refused(caught)[1]
    with pytest.raises(Invalid) as caught:
        registry.patch(PODS, "default", "web", MERGE, spec(), subresource=PART)
    words = f'{PATH}: Forbidden: existing ephemeral containers "debugger" may not be removed\n'
    assert refused(caught)[1] == f'Pod "web" is invalid: {words}'


def test_the_pod_itself_neither_takes_nor_loses_one(registry: Registry, made: Json) -> None:
    only = "Forbidden: pod updates may not change fields other than"
    with pytest.raises(Invalid) as caught:
        registry.patch(PODS, "default", "web", STRATEGIC, spec(debugger()))
    assert only in refused(caught)[1]
    add(registry, debugger())
    with pytest.raises(Invalid) as caught:
        registry.patch(PODS, "default", "web", MERGE, {"spec": {"ephemeralContainers": None}})
    assert only in refused(caught)[1]
    # what may change still may
    patched, _ = registry.patch(PODS, "default", "web", MERGE, {"metadata": {"labels": {"app": "web"}}})
    assert names(patched) == ["debugger"]


def test_a_mirror_takes_none(registry: Registry) -> None:
    mirror = {"kubernetes.io/config.mirror": "x"}
    registry.create(PODS, "default", pod("web", node="n1", annotations=mirror))
    with pytest.raises(Invalid) as caught:
        add(registry, debugger())
    assert refused(caught)[1] == 'Pod "web" is invalid: []: Forbidden: static pods do not support ephemeral containers'
