"""Label selectors of ``GET /v2/apps?label=``: ``a==b``, ``a!=b``, ``a in (b, c)``, ``a notin (b)``, ``a``.

``api/v2/LabelSelector.scala``. Several are joined by commas and must all hold. A backslash takes the meaning from a
character.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from labkit.embedded.marathon.specs import SpecError

Selector = Callable[[Mapping[str, str]], bool]

_TERM = r"(?:[a-zA-Z0-9_.\-/]|\\.)+"
_ONE = re.compile(
    rf"\s*(?P<key>{_TERM})\s*(?:(?P<op>==|!=)\s*(?P<value>{_TERM})"
    rf"|(?P<set>in|notin)\s*\(\s*(?P<values>{_TERM}(?:\s*,\s*{_TERM})*)\s*\))?\s*(?:,|$)"
)
_VALUE = re.compile(_TERM)


class BadSelector(SpecError):
    """It cannot be read: 422, as an IllegalArgumentException is answered."""


def parse(text: str) -> Selector:
    """Raises :class:`BadSelector`."""
    checks: list[Selector] = []
    position = 0
    while position < len(text) or not checks:
        match = _ONE.match(text, position)
        if match is None or match.end() == position:
            raise BadSelector(f"requirement failed: Can not parse label selector {text}")
        checks.append(_check(match))
        position = match.end()
    return lambda labels: all(check(labels) for check in checks)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _check(match: re.Match[str]) -> Selector:
    key = _plain(match["key"])
    if match["op"] is not None:
        value = _plain(match["value"])
        if match["op"] == "==":
            return lambda labels: labels.get(key) == value
        return lambda labels: key in labels and labels[key] != value
    if match["set"] is not None:
        values = {_plain(each) for each in _VALUE.findall(match["values"])}
        if match["set"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: key in labels and labels[key] not in values
    return lambda labels: key in labels
