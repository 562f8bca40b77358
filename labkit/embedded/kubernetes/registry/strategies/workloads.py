"""Deployments, ReplicaSets, DaemonSets and Jobs."""

from __future__ import annotations

from collections.abc import Mapping

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.options import ORPHAN
from labkit.embedded.kubernetes.registry.strategies.base import Strategy


class Workload(Strategy):
    generation = True


class Deployments(Workload):
    """A change of annotations counts, too: the rollback of old was asked for by one."""

    def changed(self, new: Json, old: Json) -> bool:
        if new.get("spec") != old.get("spec"):
            return True
        return (new["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {})

    def prepare_for_status(self, new: Json, old: Json) -> None:
        super().prepare_for_status(new, old)
        if "labels" in old["metadata"]:
            new["metadata"]["labels"] = old["metadata"]["labels"]
        else:
            new["metadata"].pop("labels", None)


class DaemonSets(Workload):
    """It counts the changes of its template, too, and shows that in an annotation, where v1 has no field for it."""

    TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"

    def prepare_for_create(self, new: Json) -> None:
        super().prepare_for_create(new)
        self._count(new, 1)

    def prepare_for_update(self, new: Json, old: Json) -> None:
        super().prepare_for_update(new, old)
        before = int((old["metadata"].get("annotations") or {}).get(self.TEMPLATE_GENERATION, "0"))
        changed = new["spec"].get("template") != old["spec"].get("template")
        self._count(new, before + changed)

    def _count(self, new: Json, generation: int) -> None:
        annotations = new["metadata"].get("annotations") or {}
        if annotations.get(self.TEMPLATE_GENERATION) != str(generation):
            new["metadata"]["annotations"] = {**annotations, self.TEMPLATE_GENERATION: str(generation)}


class Jobs(Workload):
    """The API server makes a Job's selector, from its UID."""

    garbage = ORPHAN

    def prepare_for_create(self, new: Json) -> None:
        super().prepare_for_create(new)
        if not new["spec"].get("manualSelector"):
            generate_selector(new)
        labels = new["spec"]["template"].get("metadata", {}).get("labels")
        if labels and not new["metadata"].get("labels"):
            new["metadata"]["labels"] = labels


def generate_selector(job: Json) -> None:
    """Label the template with the job's name and UID, and select by the UID (``generateSelector``)."""
    metadata, spec = job["metadata"], job["spec"]
    template = dict(spec.get("template") or {})
    inner = dict(template.get("metadata") or {})
    labels = dict(inner.get("labels") or {})
    uid, name = metadata["uid"], metadata["name"]
    # The unprefixed ones are what was before 1.27; they are still written.
    for key, value in (("job-name", name), ("controller-uid", uid)):
        labels.setdefault(f"batch.kubernetes.io/{key}", value)
        labels.setdefault(key, value)
    # A Job that says no labels of its own has its template's, with what was added: defaults are set again on each read.
    if not metadata.get("labels") or metadata["labels"] is inner.get("labels"):
        metadata["labels"] = labels
    inner["labels"] = labels
    template["metadata"] = inner
    spec["template"] = template
    selector = dict(spec.get("selector") or {})
    selector["matchLabels"] = {
        **(selector.get("matchLabels") or {}),
        "batch.kubernetes.io/controller-uid": labels["batch.kubernetes.io/controller-uid"],
    }
    spec["selector"] = selector


STRATEGIES: Mapping[Kind, type[Strategy]] = {
    kinds.DEPLOYMENTS: Deployments,
    kinds.REPLICA_SETS: Workload,
    kinds.DAEMON_SETS: DaemonSets,
    kinds.JOBS: Jobs,
}
