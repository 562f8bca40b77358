"""Rules of Jobs (``pkg/apis/batch/validation/validation.go``)."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats, pods
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    duplicate,
    invalid,
    none_negative,
    quoted,
    required,
    too_many,
    unchanged,
    unsupported,
)
from labkit.embedded.kubernetes.validation.meta import (
    complain,
    has_label,
    label_selector,
    metadata,
    metadata_update,
    selects,
)
from labkit.embedded.kubernetes.validation.workloads import UNMATCHED

_POLICIES = ("OnFailure", "Never")
_MODES = ("Indexed", "NonIndexed")
_REPLACEMENTS = ("Failed", "TerminatingOrFailed")
_NUMBERS = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
    "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
# What of a template may change while the Job is suspended and has not started (the rest never).
_STEERING = ("affinity", "nodeSelector", "tolerations", "schedulingGates")
_SPREAD_LIMIT = 100_000


def job(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _generated(obj, out)
    _spec(obj.get("spec") or {}, out)


def _generated(obj: Json, out: Causes) -> None:
    """What a Job that does not select by hand must carry, so that no two have each other's pods."""
    spec, meta = obj.get("spec") or {}, obj.get("metadata") or {}
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    uid, name = meta.get("uid") or "", meta.get("name") or ""
    if not uid:
        out.append(required("metadata.uid"))
    template, path = (spec.get("template") or {}).get("metadata") or {}, "spec.template.metadata"
    expected = {"controller-uid": uid, "job-name": name}
    expected |= {f"batch.kubernetes.io/{key}": value for key, value in expected.items()}
    for key, value in expected.items():
        has_label(template, key, value, path, out)
    if selects(spec["selector"], expected) is False:
        out.append(invalid("spec.selector", spec["selector"], "`selector` not auto-generated"))


def _spec(spec: Json, out: Causes) -> None:
    none_negative(spec, _NUMBERS, "spec", out)
    _completion(spec, out)
    if spec.get("podFailurePolicy") is not None:
        _failure_policy(spec, "spec.podFailurePolicy", out)
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None:
        if spec.get("podFailurePolicy") is not None and replacement != "Failed":
            out.append(unsupported("spec.podReplacementPolicy", replacement, ("Failed",)))
        elif replacement not in _REPLACEMENTS:
            out.append(unsupported("spec.podReplacementPolicy", replacement, _REPLACEMENTS))
    template = spec.get("template") or {}
    pods.template(template, "spec.template", out)
    _restart_policy(spec, (template.get("spec") or {}).get("restartPolicy") or "", out)
    selector = spec.get("selector")
    if selector is None:
        out.append(required("spec.selector"))
    else:
        label_selector(selector, "spec.selector", out)
    labels = (template.get("metadata") or {}).get("labels")
    if selects(selector, labels) is False:
        out.append(invalid("spec.template.metadata.labels", labels, UNMATCHED))


def _completion(spec: Json, out: Causes) -> None:
    mode, completions = spec.get("completionMode"), spec.get("completions")
    if mode is not None and mode not in _MODES:
        out.append(unsupported("spec.completionMode", mode, ("NonIndexed", "Indexed")))
    if mode == "Indexed":
        if completions is None:
            out.append(required("spec.completions", "when completion mode is Indexed"))
        parallelism = spec.get("parallelism") or 0
        if parallelism > _SPREAD_LIMIT:
            detail = f"must be less than or equal to {_SPREAD_LIMIT} when completion mode is Indexed"
            out.append(invalid("spec.parallelism", parallelism, detail))
    else:
        if spec.get("backoffLimitPerIndex") is not None:
            detail = "requires indexed completion mode"
            out.append(invalid("spec.backoffLimitPerIndex", spec["backoffLimitPerIndex"], detail))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        out.append(required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"))


def _restart_policy(spec: Json, policy: str, out: Causes) -> None:
    path = "spec.template.spec.restartPolicy"
    if policy in ("", "Always"):
        # Always is what a template that says nothing has got by default
        out.append(required(path, f"valid values: {quoted('OnFailure')}, {quoted('Never')}"))
    elif policy not in _POLICIES:
        out.append(unsupported(path, policy, _POLICIES))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        out.append(invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified'))


def _failure_policy(spec: Json, path: str, out: Causes) -> None:
    rules: Sequence[Json] = (spec["podFailurePolicy"] or {}).get("rules") or ()
    if len(rules) > 20:
        out.append(too_many(f"{path}.rules", len(rules), 20))
    template = (spec.get("template") or {}).get("spec") or {}
    names = {container.get("name") for key in ("containers", "initContainers") for container in template.get(key) or ()}
    for index, rule in enumerate(rules):
        at, action = f"{path}.rules[{index}]", rule.get("action") or ""
        if not action:
            out.append(required(f"{at}.action", f"valid values: {[*_ACTIONS]}"))
        elif action not in _ACTIONS:
            out.append(unsupported(f"{at}.action", action, _ACTIONS))
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
        if codes is not None:
            _exit_codes(codes, names, f"{at}.onExitCodes", out)
        for place, pattern in enumerate(conditions):
            where = f"{at}.onPodConditions[{place}]"
            complain(formats.qualified_name, pattern.get("type") or "", f"{where}.type", out)
            status = pattern.get("status") or ""
            if not status:
                out.append(required(f"{where}.status"))
            elif status not in ("False", "True", "Unknown"):
                out.append(unsupported(f"{where}.status", status, ("False", "True", "Unknown")))
        if codes is not None and conditions:
            detail = "specifying both OnExitCodes and OnPodConditions is not supported"
            out.append(invalid(at, "", detail))
        if codes is None and not conditions:
            out.append(invalid(at, "", "specifying one of OnExitCodes and OnPodConditions is required"))


def _exit_codes(found: Json, names: set[str | None], path: str, out: Causes) -> None:
    operator, values = found.get("operator") or "", found.get("values") or ()
    if operator not in _OPERATORS:
        out.append(unsupported(f"{path}.operator", operator, _OPERATORS) if operator else required(f"{path}.operator"))
    name = found.get("containerName")
    if name is not None and name not in names:
        detail = "must be one of the container or initContainer names in the pod template"
        out.append(invalid(f"{path}.containerName", name, detail))
    if not values:
        out.append(invalid(f"{path}.values", [], "at least one value is required"))
    elif len(values) > 255:
        out.append(too_many(f"{path}.values", len(values), 255))
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            out.append(invalid(f"{path}.values[{index}]", value, "must not be 0 for the In operator"))
        if value in values[:index]:
            out.append(duplicate(f"{path}.values[{index}]", value))
    if list(values) != sorted(values):
        out.append(invalid(f"{path}.values", list(values), "must be ordered"))


# -- update


def job_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if spec is before:
        return
    _spec(spec, out)
    _completions_update(spec, before, out)
    unchanged(spec.get("selector"), before.get("selector"), "spec.selector", out)
    _template_update(new, old, out)
    unchanged(spec.get("completionMode"), before.get("completionMode"), "spec.completionMode", out)
    unchanged(spec.get("podFailurePolicy"), before.get("podFailurePolicy"), "spec.podFailurePolicy", out)
    unchanged(spec.get("backoffLimitPerIndex"), before.get("backoffLimitPerIndex"), "spec.backoffLimitPerIndex", out)
    unchanged(spec.get("managedBy"), before.get("managedBy"), "spec.managedBy", out)
    unchanged(spec.get("successPolicy"), before.get("successPolicy"), "spec.successPolicy", out)


def _completions_update(spec: Json, before: Json, out: Causes) -> None:
    """Completions stay, but for an indexed Job that is made wider or narrower as a whole (elastic)."""
    wanted, was = spec.get("completions"), before.get("completions")
    if wanted == was:
        return
    if spec.get("completionMode") == "Indexed" and wanted is not None and was is not None:
        if wanted != spec.get("parallelism"):
            detail = "can only be modified in tandem with spec.parallelism"
            out.append(invalid("spec.completions", wanted, detail))
        return
    unchanged(wanted, was, "spec.completions", out)


def _template_update(new: Json, old: Json, out: Causes) -> None:
    """A template stays; but who steers a suspended Job that has not started may say where its pods go."""
    template, before = new["spec"].get("template") or {}, (old.get("spec") or {}).get("template") or {}
    if template is before or template == before:
        return
    suspended = (old.get("spec") or {}).get("suspend") and new["spec"].get("suspend") is not None
    started = (old.get("status") or {}).get("startTime") is not None
    if suspended and not started:
        template = _steered(template, before)
    unchanged(template, before, "spec.template", out)


def _steered(template: Json, before: Json) -> Json:
    """The template with what may be steered put back."""
    spec, old = dict(template.get("spec") or {}), before.get("spec") or {}
    for key in _STEERING:
        if key in old:
            spec[key] = old[key]
        else:
            spec.pop(key, None)
    meta, old_meta = dict(template.get("metadata") or {}), before.get("metadata") or {}
    for key in ("labels", "annotations"):
        if key in old_meta:
            meta[key] = old_meta[key]
        else:
            meta.pop(key, None)
    return {**template, "metadata": meta, "spec": spec}


def job_status_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    status, before = new.get("status") or {}, old.get("status") or {}
    none_negative(status, ("active", "succeeded", "failed", "ready", "terminating"), "status", out)
    for kind in ("Complete", "Failed"):
        if _is(before, kind) and not _is(status, kind):
            detail = f"cannot disable the terminal {kind}=True condition"
            out.append(invalid("status.conditions", status.get("conditions"), detail))
    if _is(status, "Complete") and _is(status, "Failed"):
        detail = "cannot set Complete=True and Failed=True conditions"
        out.append(invalid("status.conditions", status.get("conditions"), detail))


def _is(status: Json, kind: str) -> bool:
    return any(
        condition.get("type") == kind and condition.get("status") == "True"
        for condition in status.get("conditions") or ()
    )
