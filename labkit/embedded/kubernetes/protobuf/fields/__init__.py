"""The field numbers of Kubernetes' protobuf messages: what ``generated.proto`` of each API group states.

A table of text, so that it costs nothing until the first message comes: ``Message: number name type, …``. The type is
``string`` when none is given; ``int``, ``bool``, ``double``, ``bytes``; a message of the same group, or
``group.Message`` of another; or one of those that are something else in JSON (``SPECIAL`` in :mod:`..decode`). Before a
type ``*`` is a list, ``%`` a map of strings to it, ``^`` a message that holds nothing but a list.

``+`` for a name: the message's fields stand among those of the one that holds it. ``name!``: its zero is printed, since
in Go it is a pointer or has no ``omitempty``; the zeros of all others mean nothing.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from labkit.embedded.kubernetes.protobuf.fields import core, others, workloads

_TEXTS = {**core.FIELDS, **workloads.FIELDS, **others.FIELDS}


@dataclass(frozen=True, slots=True)
class Field:
    name: str  # "" when the message's fields stand among those of its holder
    type: str  # a scalar's name, a special one's, or a message's full name: core.v1.Pod
    repeated: bool = False
    mapped: bool = False
    wrapped: bool = False
    keeps_zero: bool = False


@functools.cache
def message(name: str) -> dict[int, Field] | None:
    """The fields of a message by their numbers; None when it is not known. ``core.v1.Pod``."""
    group, _, short = name.rpartition(".")
    rows = _messages(group).get(short)
    return None if rows is None else dict(_field(row.split(), group) for row in rows.split(", "))


@functools.cache
def _messages(group: str) -> dict[str, str]:
    joined = _TEXTS.get(group, "").replace("\n  ", " ")
    return dict(line.split(": ", 1) for line in joined.splitlines() if line)


def _field(words: list[str], group: str) -> tuple[int, Field]:
    number, name, sort = [*words, "string"][:3]
    bare = sort.lstrip("*%^")
    marks = sort[: len(sort) - len(bare)]
    if bare in _messages(group):
        bare = f"{group}.{bare}"
    field = Field(
        name="" if name == "+" else name.removesuffix("!"),
        type=bare,
        repeated="*" in marks,
        mapped="%" in marks,
        wrapped="^" in marks,
        keeps_zero=name.endswith("!"),
    )
    return int(number), field
