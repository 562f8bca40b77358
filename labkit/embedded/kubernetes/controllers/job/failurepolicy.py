"""What a ``podFailurePolicy`` says of a failed pod: the first rule that fits. Pure; ``pod_failure_policy.go``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labkit.embedded.kubernetes.controllers.job.spec import failure_policy, has_failed, replaces_only_ended
from labkit.embedded.kubernetes.objects import Json, name_of, namespace_of, status_of

FAIL_JOB, FAIL_INDEX, IGNORE, COUNT = "FailJob", "FailIndex", "Ignore", "Count"


@dataclass(frozen=True, slots=True)
class Match:
    """What is to be done about the pod, and because of what."""

    action: str
    message: str


def match(policy: Json | None, pod: Json) -> Match | None:
    """None: no rule fits, so the failure counts as it would without a policy."""
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        action = rule["action"]
        codes: Json | None = rule.get("onExitCodes")
        what = _by_code(pod, codes) if codes is not None else _by_condition(pod, rule.get("onPodConditions") or ())
        if what is not None:
            return Match(action, f"{what} matching {action} rule at index {number}")
    return None


def counts(policy: Json | None, pod: Json) -> bool:
    """Whether the failure counts towards the back-off limits."""
    if policy is None:
        return True
    found = match(policy, pod)
    return found is None or found.action != IGNORE


def fatal(job: Json, pods: Iterable[Json]) -> str | None:
    """Why one of the pods makes the whole Job fail."""
    policy, only_ended = failure_policy(job), replaces_only_ended(job)
    if policy is None:
        return None
    for pod in pods:
        if has_failed(pod, only_ended):
            found = match(policy, pod)
            if found is not None and found.action == FAIL_JOB:
                return found.message
    return None


def _by_code(pod: Json, wanted: Json) -> str | None:
    name, values, listed = wanted.get("containerName"), wanted.get("values") or (), wanted["operator"] == "In"
    for part in ("containerStatuses", "initContainerStatuses"):
        for container in status_of(pod).get(part) or ():
            ended: Json | None = (container.get("state") or {}).get("terminated")
            if ended is None or name not in (None, container["name"]):
                continue
            code = ended.get("exitCode", 0)
            if code and (code in values) == listed:
                whose = f"{namespace_of(pod)}/{name_of(pod)}"
                return f"Container {container['name']} for pod {whose} failed with exit code {code}"
    return None


def _by_condition(pod: Json, patterns: Iterable[Json]) -> str | None:
    wanted = {(one["type"], one["status"]) for one in patterns}
    for condition in status_of(pod).get("conditions") or ():
        if (condition["type"], condition["status"]) in wanted:
            return f"Pod {namespace_of(pod)}/{name_of(pod)} has condition {condition['type']}"
    return None
