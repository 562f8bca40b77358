"""What every written object goes through: shape, defaults, rules, and the record of who manages which field."""

from __future__ import annotations

from collections.abc import Callable

from labkit.embedded.kubernetes.defaults import set_defaults
from labkit.embedded.kubernetes.errors import BadRequest, Cause, Invalid
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.patch.apply import update as manage
from labkit.embedded.kubernetes.registry.options import WriteOptions
from labkit.embedded.kubernetes.schema.compile import Checked, checker
from labkit.embedded.kubernetes.validation import validate, validate_update

__all__ = ["checked_shape", "manage", "set_defaults", "validated", "validated_update"]

_checkers: dict[Kind, Callable[[Json], Checked]] = {}


def checked_shape(
    kind: Kind, obj: Json, options: WriteOptions, refusal: Callable[[str], Exception] | None = None
) -> Json:
    """The object without what its kind does not have. ``refusal`` words what ``Strict`` raises.

    Raises :class:`BadRequest` for values of a wrong type, and under ``Strict`` for unknown fields.
    """
    check = _checkers.get(kind)
    if check is None:
        check = _checkers[kind] = checker(kind)
    found = check(obj)
    if (found.unknown or options.twice) and options.validation != "Ignore":
        told = [f'duplicate field "{path}"' for path in options.twice]
        told += [f'unknown field "{path}"' for path in found.unknown]
        if options.validation == "Strict":
            problem = f"strict decoding error: {', '.join(told)}"
            if refusal is not None:
                raise refusal(problem)
            # runtime.NewMissing… and friends: "X in version Y cannot be handled as a X"
            raise BadRequest(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {problem}')
        options.warnings += told
    return found.obj


def validated(kind: Kind, obj: Json) -> None:
    """Raises :class:`Invalid` for a new object that breaks a rule."""
    _refuse(kind, obj, validate(kind, obj))


def validated_update(kind: Kind, new: Json, old: Json, subresource: str = "") -> None:
    """Raises :class:`Invalid` for an object that may not take the place of ``old``."""
    _refuse(kind, new, validate_update(kind, new, old, subresource))


def _refuse(kind: Kind, obj: Json, causes: list[Cause]) -> None:
    if causes:
        raise Invalid(kind.kind, kind.group, obj["metadata"].get("name", ""), causes)
