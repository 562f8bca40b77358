"""Why a pod is on its node, or on none: the same answer, whoever runs the scheduler."""

from __future__ import annotations

import pytest
from support.kube_cluster import WHOAMI, KubeCluster
from support.until import until

from labkit.errors import ClusterError
from labkit.placement import Why


def make(kube: KubeCluster, ns: str, name: str, **spec: object) -> Why:
    """A pod, and what is said of it once it has a node or was refused."""
    container = {"name": "c", "image": WHOAMI, **({"resources": spec.pop("resources")} if "resources" in spec else {})}
    metadata = {"name": name, "labels": {"app": name.partition("-")[0]}}
    kube.create(
        ns, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}
    )

    def answered() -> Why | None:
        try:
            why = kube.sandbox.why(f"{ns}/{name}")
        except ClusterError:  # the watch has not brought it yet
            return None
        return why if why.node or why.message.startswith("0/") else None

    return until(answered, 30, f"the scheduler has looked at {name}")


def test_one_that_runs_is_chosen_and_the_control_plane_was_not(kube: KubeCluster, ns: str) -> None:
    why = make(kube, ns, "why")
    assert why.place(why.node).verdict == "chosen"
    master = why.place(kube.control_plane)
    assert (master.verdict, master.filter) == ("refused", "TaintToleration")
    assert "is not tolerated" in master.reason
    others = [why.place(name).verdict for name in kube.workers if name != why.node]
    assert set(others) == {"fits"}
    assert f"why is on {why.node}" in str(why)
    assert why.node in why._repr_html_()


@pytest.mark.parametrize(
    ("spec", "filter", "words"),
    [
        ({"resources": {"requests": {"cpu": "1000"}}}, "NodeResourcesFit", "cpu: asks for 1000"),
        ({"nodeSelector": {"disk": "none"}}, "NodeAffinity", "nodeSelector wants disk=none"),
    ],
)
def test_one_that_waits_has_the_schedulers_words(
    kube: KubeCluster, ns: str, spec: dict[str, object], filter: str, words: str
) -> None:
    why = make(kube, ns, "big", **spec)
    assert why.node == ""
    assert why.message.startswith("0/3 nodes are available")
    for name in kube.workers:
        assert (why.place(name).filter, why.place(name).verdict) == (filter, "refused")
        assert why.place(name).reason.startswith(words)


def test_company_that_is_avoided(kube: KubeCluster, ns: str) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "shy"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    there = [make(kube, ns, f"shy-{number}", affinity=apart) for number in range(3)]
    assert sorted(why.node for why in there) == sorted(["", *kube.workers])
    left = next(why for why in there if not why.node)
    for name in kube.workers:
        assert left.place(name).filter == "InterPodAffinity"
        assert left.place(name).reason.startswith("anti-affinity: shy-")


def test_there_is_nothing_to_say_of_nobody(kube: KubeCluster) -> None:
    with pytest.raises(ClusterError, match='there is no pod "nobody"'):
        kube.sandbox.why("nobody")
