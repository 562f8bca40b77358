"""Rules of Jobs (``pkg/apis/batch/validation/validation.go``)."""

from __future__ import annotations

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats, pods
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    invalid,
    none_negative,
    quoted,
    required,
    too_long,
    unchanged,
    unsupported,
)
from labkit.embedded.kubernetes.validation.jobpolicies import failure_policy, success_policy
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
# What of a template may change while the Job is suspended and has not started (the rest never).
_STEERING = ("affinity", "nodeSelector", "tolerations", "schedulingGates")
# How many indexes fit into a status, and how many when as many as there may be can fail.
_MANY, _FEWER = 100_000, 10_000


def job(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _generated(obj, out)
    spec = obj.get("spec") or {}
    _spec(spec, out)
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0:
        _host_names(obj.get("metadata") or {}, spec["completions"], out)


def _host_names(meta: Json, completions: int, out: Causes) -> None:
    """Each pod of an Indexed Job is to have a host name, with its index: the last one is the longest."""
    name = meta.get("name") or ""
    longest = f"{name}-{completions - 1}"
    if formats.dns_label(longest):
        out.append(invalid("metadata.name", name, f"will not able to create pod with invalid DNS label: {longest}"))


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
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        out.append(required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if spec.get("managedBy") is not None:
        _managed_by(spec["managedBy"], "spec.managedBy", out)
    _completion(spec, out)
    if spec.get("podFailurePolicy") is not None:
        failure_policy(spec, "spec.podFailurePolicy", out)
    if spec.get("successPolicy") is not None:
        success_policy(spec, "spec.successPolicy", out)
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None:
        if spec.get("podFailurePolicy") is not None:
            if replacement != "Failed":
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


def _managed_by(name: str, path: str, out: Causes) -> None:
    host, _, rest = name.partition("/")
    if not name:
        out.append(required(path))
    elif not host or not rest:
        out.append(invalid(path, name, 'must be a domain-prefixed path (such as "acme.io/foo")'))
    else:
        complain(formats.dns_subdomain, host, path, out)
        complain(formats.http_path, rest, path, out)
    if len(name.encode()) > 63:
        out.append(too_long(path, 63))


def _completion(spec: Json, out: Causes) -> None:
    mode = spec.get("completionMode")
    if mode is not None and mode not in _MODES:
        out.append(unsupported("spec.completionMode", mode, ("NonIndexed", "Indexed")))
    if mode == "Indexed":
        _indexed(spec, out)
    elif mode in (None, "NonIndexed"):
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(name) is not None:
                out.append(invalid(f"spec.{name}", spec[name], "requires indexed completion mode"))


def _indexed(spec: Json, out: Causes) -> None:
    completions, parallelism, most = spec.get("completions"), spec.get("parallelism") or 0, spec.get("maxFailedIndexes")
    if completions is None:
        out.append(required("spec.completions", "when completion mode is Indexed"))
    if parallelism > _MANY:
        detail = f"must be less than or equal to {_MANY} when completion mode is Indexed"
        out.append(invalid("spec.parallelism", parallelism, detail))
    if most is not None and completions is not None and most > completions:
        out.append(invalid("spec.maxFailedIndexes", most, "must be less than or equal to completions"))
    if most is not None and most > _MANY:
        out.append(invalid("spec.maxFailedIndexes", most, f"must be less than or equal to {_MANY}"))
    if completions is not None and completions > _MANY and spec.get("backoffLimitPerIndex") is not None:
        # Which indexes have failed must still fit into the status.
        detail = (
            f"must be less than or equal to {_FEWER} when completions are above {_MANY} and used with backoff limit "
            "per index"
        )
        if most is None:
            out.append(required("spec.maxFailedIndexes", f"must be specified when completions is above {_MANY}"))
        if parallelism > _FEWER:
            out.append(invalid("spec.parallelism", parallelism, detail))
        if most is not None and most > _FEWER:
            out.append(invalid("spec.maxFailedIndexes", most, detail))


def _restart_policy(spec: Json, policy: str, out: Causes) -> None:
    path = "spec.template.spec.restartPolicy"
    if policy in ("", "Always"):
        # Always is what a template that says nothing has got by default
        out.append(required(path, f"valid values: {quoted('OnFailure')}, {quoted('Never')}"))
    elif policy not in _POLICIES:
        out.append(unsupported(path, policy, _POLICIES))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        out.append(invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified'))


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
