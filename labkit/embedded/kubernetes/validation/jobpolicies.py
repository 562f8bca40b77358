"""Rules of what a Job says about the failures and successes of its pods (``pkg/apis/batch/validation``)."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    duplicate,
    invalid,
    not_negative,
    quoted,
    required,
    too_long,
    too_many,
    unsupported,
    valid_values,
    wrong,
)
from labkit.embedded.kubernetes.validation.meta import complain

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_RULES, _VALUES, _PATTERNS = 20, 255, 20
_INDEXES_LENGTH = 64 * 1024


def _among(value: str, supported: Sequence[str], path: str, out: Causes) -> None:
    if not value:
        out.append(required(path, valid_values(supported)))
    elif value not in supported:
        out.append(unsupported(path, value, supported))


# -- podFailurePolicy


def failure_policy(spec: Json, path: str, out: Causes) -> None:
    rules: Sequence[Json] = spec["podFailurePolicy"].get("rules") or ()
    if len(rules) > _RULES:
        out.append(too_many(f"{path}.rules", len(rules), _RULES))
    template = (spec.get("template") or {}).get("spec") or {}
    names = {container.get("name") for key in ("containers", "initContainers") for container in template.get(key) or ()}
    for index, rule in enumerate(rules):
        at, action = f"{path}.rules[{index}]", rule.get("action") or ""
        if action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            out.append(invalid(f"{at}.action", action, "requires the backoffLimitPerIndex to be set"))
        else:
            _among(action, _ACTIONS, f"{at}.action", out)
        codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
        if codes is not None:
            _exit_codes(codes, names, f"{at}.onExitCodes", out)
        _patterns(patterns, f"{at}.onPodConditions", out)
        if codes is not None and patterns:
            out.append(wrong(at, "specifying both OnExitCodes and OnPodConditions is not supported"))
        if codes is None and not patterns:
            out.append(wrong(at, "specifying one of OnExitCodes and OnPodConditions is required"))


def _patterns(patterns: Sequence[Json], path: str, out: Causes) -> None:
    if len(patterns) > _PATTERNS:
        out.append(too_many(path, len(patterns), _PATTERNS))
    for index, pattern in enumerate(patterns):
        complain(formats.qualified_name, pattern.get("type") or "", f"{path}[{index}].type", out)
        _among(pattern.get("status") or "", _STATUSES, f"{path}[{index}].status", out)


def _exit_codes(found: Json, names: set[str | None], path: str, out: Causes) -> None:
    operator, values = found.get("operator") or "", found.get("values") or []
    _among(operator, _OPERATORS, f"{path}.operator", out)
    name = found.get("containerName")
    if name is not None and name not in names:
        detail = "must be one of the container or initContainer names in the pod template"
        out.append(invalid(f"{path}.containerName", name, detail))
    if not values:
        out.append(invalid(f"{path}.values", found.get("values"), "at least one value is required"))
    elif len(values) > _VALUES:
        out.append(too_many(f"{path}.values", len(values), _VALUES))
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            out.append(invalid(f"{path}.values[{index}]", value, "must not be 0 for the In operator"))
        if value in values[:index]:
            out.append(duplicate(f"{path}.values[{index}]", value))
    if values != sorted(values):
        out.append(invalid(f"{path}.values", values, "must be ordered"))


# -- successPolicy


def success_policy(spec: Json, path: str, out: Causes) -> None:
    rules: Sequence[Json] = spec["successPolicy"].get("rules") or ()
    if spec.get("completionMode") != "Indexed":
        names = ("succeededIndexes", "succeededCount")
        # As Go shows the structs of its own types.
        shown = [{name[0].upper() + name[1:]: rule.get(name) for name in names} for rule in rules]
        out.append(invalid(path, {"Rules": shown or None}, "requires indexed completion mode"))
        return
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        out.append(required(f"{path}.rules", detail))
    elif len(rules) > _RULES:
        out.append(too_many(f"{path}.rules", len(rules), _RULES))
    if spec.get("completions") is None:
        return  # which is what is wrong then
    for index, rule in enumerate(rules):
        _success_rule(rule, spec["completions"], f"{path}.rules[{index}]", out)


def _success_rule(rule: Json, completions: int, path: str, out: Causes) -> None:
    indexes, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if indexes is None and count is None:
        out.append(required(path, "at least one of succeededCount or succeededIndexes must be specified"))
    total = 0
    if indexes is not None:
        if len(indexes.encode()) > _INDEXES_LENGTH:
            out.append(too_long(f"{path}.succeededIndexes", _INDEXES_LENGTH))
        try:
            total = sum(last - first + 1 for first, last in indexes_of(indexes, completions))
        except ValueError as error:
            out.append(invalid(f"{path}.succeededIndexes", indexes, f"error parsing succeededIndexes: {error}"))
    if count is None:
        return
    not_negative(count, f"{path}.succeededCount", out)
    limits = [(completions, "the number of specified completions")]
    if indexes is not None:
        limits.append((total, "the number of indexes in the specified succeededIndexes field"))
    for limit, what in limits:
        if count > limit:
            detail = f"must be less than or equal to {limit} ({what})"
            out.append(invalid(f"{path}.succeededCount", count, detail))


# -- indexes


def indexes_of(text: str, completions: int) -> list[tuple[int, int]]:
    """The first and the last of each part of ``0,2-5,9``; a ValueError says what is wrong with it."""
    found: list[tuple[int, int]] = []
    for part in text.split(",") if text else ():
        first, last = _interval(part, completions)
        if found and found[-1][1] >= first:
            raise ValueError(f"non-increasing order, previous: {found[-1][1]}, current: {first}")
        found.append((first, last))
    return found


def _interval(text: str, completions: int) -> tuple[int, int]:
    parts = text.split("-")
    if len(parts) > 2:
        detail = "violates the requirement that an index interval can have at most two parts separated by '-'"
        raise ValueError(f"the fragment {quoted(text)} {detail}")
    numbers = []
    for part in parts:
        if not (part.isascii() and part.removeprefix("+").isdigit()):
            raise ValueError(f"cannot convert string to integer for index: {quoted(part)}")
        if int(part) >= completions:
            raise ValueError(f"too large index: {quoted(part)}")
        numbers.append(int(part))
    if len(numbers) > 1 and numbers[0] >= numbers[1]:
        raise ValueError(f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}")
    return numbers[0], numbers[-1]
