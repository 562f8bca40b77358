"""What changed between two objects, shown in the manner of ``go-cmp``.

The API server prints such a difference when a pod's fixed fields are changed. ``go-cmp`` promises no stable form of it;
this one has its look: the type's name, what is the same counted, what differs with ``-`` for the old and ``+`` for the
new. It goes one level deep, and writes deeper values as JSON.
"""

from __future__ import annotations

import re
from typing import Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation.fields import shown

_INITIALS = re.compile(r"^(dns|os|ip|pid|ipc|uid)(?=[A-Z]|$)")


def difference(old: Json, new: Json, name: str) -> str:
    """The difference of two objects of the Go type ``name``; they have one."""
    lines = [f"  {name}{{"]
    same = 0
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if before == after:
            same += 1
            continue
        lines += _counted(same)
        same = 0
        lines += [f"{sign} \t{_go_name(key)}: {_value(value)}," for sign, value in (("-", before), ("+", after))]
    return "\n".join([*lines, *_counted(same), "  }", ""])


def _counted(same: int) -> list[str]:
    return [f"  \t... // {same} identical field{'s' if same > 1 else ''}"] if same else []


def _go_name(key: str) -> str:
    found = _INITIALS.match(key)
    return found[0].upper() + key[found.end() :] if found else key[:1].upper() + key[1:]


def _value(value: Any) -> str:
    return "nil" if value is None else shown(value)
