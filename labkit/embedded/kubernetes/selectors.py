"""Label selectors: compiled once, matched often. (Those of fields are in :mod:`fieldselectors`.)

``k8s.io/apimachinery/pkg/labels``, with its order and its words. Three forms meet here: the text of a query
(``app=web,tier in (a,b)``, which :mod:`selectortext` parses), the ``LabelSelector`` object of today's kinds, and the
plain map of Services and ReplicationControllers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from labkit.embedded.kubernetes.labelrules import label_key_problems, label_value_problems
from labkit.embedded.kubernetes.objects import Json

Labels = Mapping[str, str]

_NO_LABELS: Labels = {}


class SelectorError(ValueError):
    """The selector is none; the message is the real parser's."""


# -- requirements ----------------------------------------------------------------------------------------------------

_SIGNS = {"=": "=", "==": "==", "!=": "!=", "in": " in ", "notin": " notin ", "gt": ">", "lt": "<"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on labels. ``operator`` is one of ``= == != in notin exists ! gt lt``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        operator = self.operator
        found = labels.get(self.key)
        if operator in ("in", "=", "=="):
            return found is not None and found in self.values
        if operator in ("notin", "!="):
            return found is None or found not in self.values
        if operator == "exists":
            return found is not None
        if operator == "!":
            return found is None
        number = _integer(found) if found is not None else None
        if number is None:
            return False
        bound = int(self.values[0])
        return number > bound if operator == "gt" else number < bound

    def __str__(self) -> str:
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        values = ",".join(sorted(self.values))
        return f"{self.key}{_SIGNS[self.operator]}" + (f"({values})" if self.operator in ("in", "notin") else values)


class Selector:
    """Conditions that must all hold. Compare with :data:`NOTHING` and :data:`EVERYTHING`."""

    __slots__ = ("_exact", "_rest", "nothing", "requirements")

    def __init__(self, requirements: Iterable[Requirement] = (), *, nothing: bool = False) -> None:
        self.requirements = tuple(sorted(requirements, key=lambda one: one.key))
        self.nothing = nothing
        # Equality is what nearly all selectors are made of: compared without a call for each.
        exact = [one for one in self.requirements if one.operator in ("=", "==") or _is_single(one)]
        self._exact = tuple((one.key, one.values[0]) for one in exact)
        self._rest = tuple(one for one in self.requirements if one not in exact)

    @property
    def empty(self) -> bool:
        """Whether it matches everything."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Labels) -> bool:
        if self.nothing:
            return False
        for key, value in self._exact:
            if labels.get(key) != value:
                return False
        return all(one.matches(labels) for one in self._rest)

    def selects(self, obj: Json) -> bool:
        """Whether the object's labels match."""
        return self.matches(obj["metadata"].get("labels") or _NO_LABELS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and self.requirements == other.requirements and self.nothing == other.nothing

    def __hash__(self) -> int:
        return hash((self.requirements, self.nothing))

    def __str__(self) -> str:
        return ",".join(str(one) for one in self.requirements)

    def __repr__(self) -> str:
        return f"<Selector {'nothing' if self.nothing else str(self) or 'everything'}>"


def _is_single(one: Requirement) -> bool:
    return one.operator == "in" and len(one.values) == 1


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


# -- selectors in objects --------------------------------------------------------------------------------------------

_EXPRESSIONS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
# Node affinity has two more, for numbers.
_NODE_EXPRESSIONS = {**_EXPRESSIONS, "Gt": "gt", "Lt": "lt"}


def of(selector: Mapping[str, Any] | None) -> Selector:
    """The ``LabelSelector`` object (``matchLabels``, ``matchExpressions``) compiled.

    None selects nothing, ``{}`` everything (``LabelSelectorAsSelector``). Raises :class:`SelectorError`.
    """
    if selector is None:
        return NOTHING
    found = [Requirement(key, "=", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    found += [expression(each) for each in selector.get("matchExpressions") or ()]
    for one in found:
        check(one)
    return Selector(found)


def expression(each: Mapping[str, Any], operators: Mapping[str, str] = _EXPRESSIONS) -> Requirement:
    """A row of ``matchExpressions`` as a requirement. Raises :class:`SelectorError` for an operator that is none."""
    operator = operators.get(each.get("operator", ""))
    if operator is None:
        raise SelectorError(f'"{each.get("operator", "")}" is not a valid label selector operator')
    return Requirement(each.get("key", ""), operator, tuple(each.get("values") or ()))


def of_node(expressions: Iterable[Mapping[str, Any]]) -> Selector:
    """``matchExpressions`` of node affinity, which know ``Gt`` and ``Lt`` too. Raises :class:`SelectorError`."""
    found = [expression(each, _NODE_EXPRESSIONS) for each in expressions]
    for one in found:
        check(one)
    return Selector(found)


def of_map(labels: Mapping[str, str] | None) -> Selector:
    """A plain map of labels: the ``selector`` of a ReplicationController, a ``nodeSelector``.

    Empty selects everything, as ``SelectorFromSet`` does; a Service without a selector is for its caller to see.
    """
    return Selector(Requirement(key, "=", (value,)) for key, value in (labels or {}).items())


def matches(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Whether a ``LabelSelector`` object matches, for once; who asks again and again compiles it with :func:`of`."""
    if selector is None:
        return False
    for key, value in (selector.get("matchLabels") or _NO_LABELS).items():
        if labels.get(key) != value:
            return False
    return all(expression(each).matches(labels) for each in selector.get("matchExpressions") or ())


# -- what a requirement may be ----------------------------------------------------------------------------------------


def check(one: Requirement) -> Requirement:
    """The requirement itself, if it can be one (``NewRequirement``). Raises :class:`SelectorError`."""
    wrong: list[str] = []
    if problems := label_key_problems(one.key):
        wrong.append(f'key: Invalid value: "{one.key}": {"; ".join(problems)}')
    if one.operator in ("in", "notin") and not one.values:
        wrong.append("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
    elif one.operator in ("exists", "!") and one.values:
        listed = ",".join(f'"{value}"' for value in one.values)
        wrong.append(f"values: Invalid value: [{listed}]: values set must be empty for exists and does not exist")
    elif one.operator in ("gt", "lt"):
        if len(one.values) != 1:
            wrong.append("values: Invalid value: []: for 'Gt', 'Lt' operators, exactly one value is required")
        wrong += [
            f"values[{index}]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
            for index, value in enumerate(one.values)
            if _integer(value) is None
        ]
    for index, value in enumerate(one.values):
        if problems := label_value_problems(value):
            wrong.append(f'values[{index}][{one.key}]: Invalid value: "{value}": {"; ".join(problems)}')
    if wrong:
        raise SelectorError(wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]")
    return one


def _integer(text: str) -> int | None:
    """As ``strconv.ParseInt(text, 10, 64)``."""
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None
