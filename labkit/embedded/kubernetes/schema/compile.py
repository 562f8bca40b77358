"""Checkers compiled from the definitions: types, unknown fields, nulls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json


@dataclass(frozen=True, slots=True)
class Checked:
    """An object whose every field is known and of the right type, and what had to be left out for that."""

    obj: Json
    unknown: tuple[str, ...] = ()  # paths of unknown fields, as they are printed: spec.containers[0].foo


def checker(kind: Kind) -> Callable[[Json], Checked]:
    return Checked
