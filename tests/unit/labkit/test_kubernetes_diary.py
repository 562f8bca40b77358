"""What a write means: two revisions of an object in, one line out."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.orchestrators.kubernetes.diary import read

Json = dict[str, Any]


def thing(revision: int, *managers: str, spec: Json | None = None, status: Json | None = None, **metadata: Any) -> Json:
    """An object whose managers wrote one after the other, a second apart."""
    fields = [{"manager": name, "time": f"2026-01-01T00:00:{second:02}Z"} for second, name in enumerate(managers)]
    return {
        "metadata": {"name": "web", "uid": "u", "resourceVersion": str(revision), "managedFields": fields, **metadata},
        "spec": spec or {},
        "status": status or {},
    }


READY = {"phase": "Running", "podIP": "10.1.1.1", "conditions": [{"type": "Ready", "status": "True"}]}
OWNER = [{"kind": "ReplicaSet", "name": "web-5d9", "uid": "r", "controller": True}]
IMAGE = {"replicas": 2, "template": {"spec": {"containers": [{"image": "whoami:2"}]}}}

CASES = {
    "created": ("Deployment", None, thing(7, "kubectl-create", spec={"replicas": 2}), "created: 2 pods wanted"),
    "one pod is no number of pods": ("ReplicaSet", None, thing(7, "m", spec={}), "created: 1 pod wanted"),
    "a pod and whose": (
        "Pod",
        None,
        thing(7, "m", ownerReferences=OWNER),
        "created: on no node yet, for ReplicaSet web-5d9",
    ),
    "nobody's pod": ("Pod", None, thing(7, "m"), "created: on no node yet, for nobody"),
    "scaled": (
        "Deployment",
        thing(6, "m", spec={"replicas": 2}),
        thing(7, "m", spec={"replicas": 4}),
        "now 4 pods wanted",
    ),
    "another image": ("Deployment", thing(6, "m", spec={"replicas": 2}), thing(7, "m", spec=IMAGE), "now of whoami:2"),
    "counted": (
        "ReplicaSet",
        thing(6, "m", spec={"replicas": 2}),
        thing(7, "m", spec={"replicas": 2}, status={"replicas": 2, "readyReplicas": 1}),
        "counts 2 pods, 1 ready",
    ),
    "it runs": (
        "Pod",
        thing(6, "m", status={"phase": "Pending"}),
        thing(7, "m", status=READY),
        "Running, 10.1.1.1, ready",
    ),
    "no longer ready": (
        "Pod",
        thing(6, "m", status=READY),
        thing(7, "m", status={**READY, "conditions": []}),
        "not ready",
    ),
    "told to go": ("Pod", thing(6, "m"), thing(7, "m", deletionTimestamp="2026-01-01T00:00:00Z"), "is to go"),
    "other labels": ("Pod", thing(6, "m", labels={"a": "1"}), thing(7, "m", labels={"a": "2"}), "other labels"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_new(case: str) -> None:
    kind, before, now, what = CASES[case]
    entry = read(kind, before, now, "ADDED" if before is None else "MODIFIED")
    assert entry is not None
    assert (entry.what, entry.revision) == (what, 7)


def test_what_is_nothing_to_tell() -> None:
    assert read("Pod", thing(6, "m"), thing(7, "m", annotations={"a": "b"})) is None


def test_the_binding_has_its_author_though_none_is_noted() -> None:
    before, now = thing(6, "m"), thing(7, "m", spec={"nodeName": "worker-1", "schedulerName": "default-scheduler"})
    entry = read("Pod", before, now)
    assert entry is not None
    assert (entry.who, entry.what) == ("default-scheduler", "bound to worker-1")


def test_who_wrote_is_who_is_new_or_else_who_was_last() -> None:
    first = read("Pod", thing(6, "a"), thing(7, "a", "kubelet", status=READY))
    again = read("Pod", thing(7, "a", "kubelet", status={}), thing(8, "a", "kubelet", status=READY))
    assert first is not None
    assert again is not None
    assert first.who == again.who == "kubelet"


def test_it_is_gone() -> None:
    entry = read("Pod", thing(6, "m"), thing(9, "m"), "DELETED")
    assert entry is not None
    assert (entry.revision, entry.what) == (9, "gone")
