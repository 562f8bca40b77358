"""Rules of where pods may go: node selectors, affinity, tolerations, taints, topology spread."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats
from labkit.embedded.kubernetes.validation.fields import (
    NOT_POSITIVE,
    Causes,
    duplicate,
    forbidden,
    invalid,
    required,
    unsupported,
)
from labkit.embedded.kubernetes.validation.meta import complain, label_selector

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Equal", "Exists")
_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
_INCLUSIONS = ("Honor", "Ignore")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT = "must be in the range 1-100"


def affinity(found: Json, path: str, out: Causes) -> None:
    node = found.get("nodeAffinity")
    if node:
        if node.get(_REQUIRED) is not None:
            node_selector(node[_REQUIRED], f"{path}.nodeAffinity.{_REQUIRED}", out)
        for index, term in enumerate(node.get(_PREFERRED) or ()):
            at = f"{path}.nodeAffinity.{_PREFERRED}[{index}]"
            _weight(term, at, out)
            _node_term(term.get("preference") or {}, f"{at}.preference", out, any_value=True)
    for key in ("podAffinity", "podAntiAffinity"):
        pods = found.get(key) or {}
        for index, term in enumerate(pods.get(_REQUIRED) or ()):
            _pod_term(term, f"{path}.{key}.{_REQUIRED}[{index}]", out)
        for index, weighted in enumerate(pods.get(_PREFERRED) or ()):
            at = f"{path}.{key}.{_PREFERRED}[{index}]"
            _weight(weighted, at, out)
            _pod_term(weighted.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm", out)


def _weight(term: Json, path: str, out: Causes) -> None:
    weight = term.get("weight") or 0
    if not 1 <= weight <= 100:
        out.append(invalid(f"{path}.weight", weight, _WEIGHT))


def node_selector(found: Json, path: str, out: Causes) -> None:
    terms = found.get("nodeSelectorTerms")
    if not terms:
        out.append(required(f"{path}.nodeSelectorTerms", "must have at least one node selector term"))
    for index, term in enumerate(terms or ()):
        _node_term(term, f"{path}.nodeSelectorTerms[{index}]", out)


def _node_term(term: Json, path: str, out: Causes, *, any_value: bool = False) -> None:
    for index, row in enumerate(term.get("matchExpressions") or ()):
        _node_label(row, f"{path}.matchExpressions[{index}]", out, any_value)
    for index, row in enumerate(term.get("matchFields") or ()):
        _node_field(row, f"{path}.matchFields[{index}]", out)


def _node_label(row: Json, path: str, out: Causes, any_value: bool) -> None:
    operator, values = row.get("operator") or "", row.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            out.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            out.append(forbidden(f"{path}.values", detail))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            out.append(required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        out.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    complain(formats.qualified_name, row.get("key") or "", f"{path}.key", out)
    if not any_value:  # preferences may name values that no node can have
        for index, value in enumerate(values):
            complain(formats.label_value, value, f"{path}.values[{index}]", out)


def _node_field(row: Json, path: str, out: Causes) -> None:
    operator, values = row.get("operator") or "", row.get("values") or ()
    if operator not in ("In", "NotIn"):
        out.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        out.append(required(f"{path}.values", detail))
    if row.get("key") != "metadata.name":
        out.append(invalid(f"{path}.key", row.get("key") or "", "not a valid field selector key"))
        return
    for index, value in enumerate(values):
        complain(formats.dns_subdomain, value, f"{path}.values[{index}]", out)


def _pod_term(term: Json, path: str, out: Causes) -> None:
    label_selector(term.get("labelSelector"), f"{path}.labelSelector", out)
    label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector", out)
    for namespace in term.get("namespaces") or ():
        complain(formats.dns_label, namespace, f"{path}.namespace", out)
    _label_keys(term, path, out)
    key = term.get("topologyKey") or ""
    if not key:
        out.append(required(f"{path}.topologyKey", "can not be empty"))
    complain(formats.qualified_name, key, f"{path}.topologyKey", out)


def _label_keys(term: Json, path: str, out: Causes) -> None:
    """``matchLabelKeys`` and ``mismatchLabelKeys``: labels whose values are the pod's own."""
    selector = term.get("labelSelector")
    for field in ("matchLabelKeys", "mismatchLabelKeys"):
        keys = term.get(field) or ()
        if keys and selector is None:
            out.append(forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set"))
            continue
        for index, key in enumerate(keys):
            complain(formats.qualified_name, key, f"{path}.{field}[{index}]", out)
    mismatch = set(term.get("mismatchLabelKeys") or ())
    for index, key in enumerate(term.get("matchLabelKeys") or ()):
        if key in mismatch:
            detail = "exists in both matchLabelKeys and mismatchLabelKeys"
            out.append(invalid(f"{path}.matchLabelKeys[{index}]", key, detail))


# -- taints and tolerations


def tolerations(found: Sequence[Json], path: str, out: Causes) -> None:
    for index, toleration in enumerate(found):
        at = f"{path}[{index}]"
        key, operator = toleration.get("key") or "", toleration.get("operator") or ""
        value, effect = toleration.get("value") or "", toleration.get("effect") or ""
        if key:
            complain(formats.qualified_name, key, f"{at}.key", out)
        elif operator != "Exists":
            detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            out.append(invalid(f"{at}.operator", operator, detail))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            out.append(invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        if operator in ("", "Equal"):
            words = formats.label_value(value)
            if words:
                out.append(invalid(f"{at}.operator", value, ";".join(words)))
        elif operator == "Exists":
            if value:
                out.append(invalid(f"{at}.operator", value, "value must be empty when `operator` is 'Exists'"))
        else:
            out.append(unsupported(f"{at}.operator", operator, _OPERATORS))
        if effect and effect not in EFFECTS:
            out.append(unsupported(f"{at}.effect", effect, EFFECTS))


def taints(found: Sequence[Json], path: str, out: Causes) -> None:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(found):
        at = f"{path}[{index}]"
        key, value, effect = taint.get("key") or "", taint.get("value") or "", taint.get("effect") or ""
        complain(formats.qualified_name, key, f"{at}.key", out)
        words = formats.label_value(value)
        if words:
            out.append(invalid(f"{at}.value", value, ";".join(words)))
        if not effect:
            out.append(required(f"{at}.effect"))
        elif effect not in EFFECTS:
            out.append(unsupported(f"{at}.effect", effect, EFFECTS))
        if (key, effect) in seen:
            # as Go writes core.Taint, which has no JSON names
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            out.append(duplicate(at, shown, "taints must be unique by key and effect pair"))
        seen.add((key, effect))


# -- topology spread


def _inclusion(value: str | None, path: str, out: Causes) -> None:
    if value is not None and value not in _INCLUSIONS:
        out.append(unsupported(path, value, _INCLUSIONS))


def spread(found: Sequence[Json], path: str, out: Causes) -> None:
    for index, constraint in enumerate(found):
        at = f"{path}[{index}]"
        skew, key = constraint.get("maxSkew") or 0, constraint.get("topologyKey") or ""
        action, domains = constraint.get("whenUnsatisfiable") or "", constraint.get("minDomains")
        if skew <= 0:
            out.append(invalid(f"{at}.maxSkew", skew, NOT_POSITIVE))
        if not key:
            out.append(required(f"{at}.topologyKey", "can not be empty"))
        if action not in _ACTIONS:
            out.append(unsupported(f"{at}.whenUnsatisfiable", action, _ACTIONS))
        if any(
            (key, action) == ((other.get("topologyKey") or ""), other.get("whenUnsatisfiable") or "")
            for other in found[index + 1 :]
        ):
            out.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
        if domains is not None:
            if domains <= 0:
                out.append(invalid(f"{at}.minDomains", domains, NOT_POSITIVE))
            if action != "DoNotSchedule":
                detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                out.append(invalid(f"{at}.minDomains", domains, detail))
        for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            _inclusion(constraint.get(policy), f"{at}.{policy}", out)
        _spread_keys(constraint, f"{at}.matchLabelKeys", out)
        label_selector(constraint.get("labelSelector"), f"{at}.labelSelector", out)


def _spread_keys(constraint: Json, path: str, out: Causes) -> None:
    keys, selector = constraint.get("matchLabelKeys"), constraint.get("labelSelector")
    if not keys:
        return
    if selector is None:
        out.append(forbidden(path, "must not be specified when labelSelector is not set"))
    named = set((selector or {}).get("matchLabels") or ())
    named.update(row.get("key") for row in (selector or {}).get("matchExpressions") or ())
    for index, key in enumerate(keys):
        complain(formats.qualified_name, key, f"{path}[{index}]", out)
        if key in named:
            out.append(invalid(f"{path}[{index}]", key, "exists in both matchLabelKeys and labelSelector"))
