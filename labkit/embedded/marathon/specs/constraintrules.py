"""Which constraints can be understood (``api/v2/validation/SchedulingValidation.scala``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from labkit.embedded.marathon.constraints import OPERATORS

_LITERAL = re.compile(r"[a-zA-Z0-9_/.-]*")

BAD_OPERATOR = f"operator must be one of the following {', '.join(OPERATORS[:4])}, MAX_PER, UNLIKE or IS"


def _is_integer(value: str | None) -> bool:
    return value is not None and re.fullmatch(r"[+-]?[0-9]{1,10}", value) is not None


def _like(value: str | None) -> str | None:
    if value is None:
        return "LIKE and UNLIKE require a non-empty, regular expression value"
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError):
        return "is not a valid regular expression"
    return None


_OPERATORS: dict[str, Callable[[str | None], str | None]] = {
    "UNIQUE": lambda value: None if value is None else "UNIQUE does not accept a value",
    "CLUSTER": lambda value: None,
    "GROUP_BY": lambda value: (
        None if value is None or _is_integer(value) else "GROUP BY must define an integer value or else no value at all"
    ),
    "MAX_PER": lambda value: None if _is_integer(value) else "MAX_PER requires an integer value",
    "LIKE": _like,
    "UNLIKE": _like,
    "IS": lambda value: (
        None
        if _LITERAL.fullmatch(value or "")
        else "IS only supports Mesos text and float values (see "
        "http://mesos.apache.org/documentation/latest/attributes-resources/)"
    ),
}


def constraint_errors(raw: Sequence[str]) -> list[str]:
    """Of ``[field, operator]`` or ``[field, operator, value]``."""
    if not 2 <= len(raw) <= 3:
        return ["Each constraint must have either 2 or 3 fields"]
    if not raw[0]:
        return ["illegal constraint specification"]
    check = _OPERATORS.get(raw[1].upper())
    if check is None:
        return [BAD_OPERATOR]
    error = check(raw[2] if len(raw) > 2 else None)
    return [] if error is None else [error]


def volume_constraint_error(raw: Sequence[str]) -> str | None:
    """Of a persistent volume: only its path can be chosen (``AppValidation.complyWithVolumeConstraintRules``)."""
    if not raw:
        return "Missing field and operator"
    if len(raw) < 3 or raw[0] != "path":
        return f"Unsupported constraint {','.join(raw)}"
    if raw[1] not in OPERATORS:
        return f"unknown constraint operator {raw[1]}"
    if raw[1] not in ("LIKE", "UNLIKE"):
        return "Operator must be one of LIKE, UNLIKE"
    return "Invalid regular expression" if _like(raw[2]) else None
