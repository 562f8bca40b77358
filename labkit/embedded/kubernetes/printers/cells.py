"""What several kinds' cells are made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labkit.embedded.kubernetes.objects import Json

NONE = "<none>"
_MOST = 3  # items that a list in a cell shows
_OPERATORS = {"In": "in", "NotIn": "notin"}


def labels(found: Mapping[str, str] | None) -> str:
    """``app=web,tier=front``, sorted; ``<none>``."""
    return ",".join(f"{key}={value}" for key, value in sorted((found or {}).items())) or NONE


def selector(found: Json | None) -> str:
    """A label selector as ``labels.Selector`` prints it: ``app=web,tier in (a,b),!old``, sorted by key."""
    if found is None:
        return NONE
    parts = [(key, f"{key}={value}") for key, value in (found.get("matchLabels") or {}).items()]
    for each in found.get("matchExpressions") or ():
        key, operator = each.get("key", ""), each.get("operator", "")
        if operator in _OPERATORS:
            values = ",".join(sorted(each.get("values") or ()))
            parts.append((key, f"{key} {_OPERATORS[operator]} ({values})"))
        elif operator == "Exists":
            parts.append((key, key))
        elif operator == "DoesNotExist":
            parts.append((key, f"!{key}"))
        else:
            return "<error>"
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0])) or NONE


def containers(template: Json | None) -> tuple[str, str]:
    """Names and images of a pod template's containers."""
    found = ((template or {}).get("spec") or {}).get("containers") or ()
    return ",".join(one.get("name", "") for one in found), ",".join(one.get("image", "") for one in found)


def shortened(items: Iterable[str], count: int, empty: str) -> str:
    """The first three and how many more there are: ``a,b,c + 2 more...``."""
    shown: list[str] = []
    for item in items:
        if len(shown) == _MOST:
            break
        shown.append(item)
    text = ",".join(shown)
    if count > _MOST:
        return f"{text} + {count - _MOST} more..."
    return text or empty


def host_port(address: str, port: Any) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
