"""When an Indexed Job has succeeded before all indexes have (``successPolicy``). Pure; ``success_policy.go``."""

from __future__ import annotations

from labkit.embedded.kubernetes.controllers.job import indexes
from labkit.embedded.kubernetes.controllers.job.spec import completions_of
from labkit.embedded.kubernetes.objects import Json


def met(job: Json, done: set[int]) -> str | None:
    """Which rule is met, in the words of the condition that says so."""
    policy = job["spec"].get("successPolicy")
    if policy is None or not done:
        return None
    for number, rule in enumerate(policy.get("rules") or ()):
        if _is_met(rule, completions_of(job) or 0, done):
            return f"Matched rules at index {number}"
    return None


def _is_met(rule: Json, completions: int, done: set[int]) -> bool:
    count = rule.get("succeededCount")
    if rule.get("succeededIndexes") is None:
        return count is not None and len(done) >= count
    wanted = indexes.parse(rule["succeededIndexes"], completions)
    if not wanted:
        return False
    return wanted <= done or (count is not None and len(wanted & done) >= count)
