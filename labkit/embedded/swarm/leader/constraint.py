"""Placement constraints: ``node.labels.zone == east`` (SwarmKit ``manager/constraint``).

Keys and values are compared without regard to case, except the name of a label. ``==`` on a label that a node does
not have compares with the empty string, so ``!=`` holds there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from labkit.embedded.swarm.objects import Node

NODE_LABELS = "node.labels."
ENGINE_LABELS = "engine.labels."

_OPERATORS = ("==", "!=")
_KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE)
_VALUE = re.compile(r"[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+", re.IGNORECASE)


class InvalidConstraint(ValueError):
    """An expression that cannot be read; the words are those of SwarmKit."""


@dataclass(frozen=True, slots=True)
class Constraint:
    key: str
    equal: bool  # == or !=
    value: str

    def matches(self, node: Node) -> bool:
        """Does the node satisfy it? An unknown key is satisfied by no node."""
        key = self.key.lower()
        if key == "node.ip":
            return self._matches_address(node.addr)
        if (read := _FIELDS.get(key)) is not None:
            actual = read(node)
        elif key.startswith(NODE_LABELS) and len(key) > len(NODE_LABELS):
            actual = label(node, NODE_LABELS, self.key[len(NODE_LABELS) :])
        elif key.startswith(ENGINE_LABELS) and len(key) > len(ENGINE_LABELS):
            actual = label(node, ENGINE_LABELS, self.key[len(ENGINE_LABELS) :])
        else:
            return False
        return (actual.casefold() == self.value.casefold()) == self.equal

    def _matches_address(self, addr: str) -> bool:
        """``node.ip`` takes an address or a subnet; a malformed one is satisfied by no node, not even by ``!=``."""
        try:
            subnet = ipaddress.ip_network(self.value, strict=False)
        except ValueError:
            return False
        try:
            within = ipaddress.ip_address(addr) in subnet
        except ValueError:
            within = False
        return within == self.equal


def _platform(field: str) -> Callable[[Node], str]:
    return lambda node: str((node.description.get("Platform") or {}).get(field, ""))


_FIELDS: dict[str, Callable[[Node], str]] = {
    "node.id": lambda node: node.id,
    "node.hostname": lambda node: node.hostname,
    "node.role": lambda node: node.role,
    "node.platform.os": _platform("OS"),
    "node.platform.arch": _platform("Architecture"),
}


def label(node: Node, prefix: str, name: str) -> str:
    """A label of the node (``node.labels.``) or of its engine (``engine.labels.``); the empty string if it has none."""
    holder = node.spec if prefix == NODE_LABELS else node.description.get("Engine") or {}
    return str((holder.get("Labels") or {}).get(name, ""))


def parse(expressions: Iterable[str]) -> list[Constraint]:
    """Read constraint expressions. Raises :class:`InvalidConstraint`."""
    return [_parse_one(expression) for expression in expressions]


def _parse_one(expression: str) -> Constraint:
    for operator in _OPERATORS:
        if operator not in expression:
            continue
        key, value = (part.strip() for part in expression.split(operator, 1))
        if not _KEY.fullmatch(key):
            raise InvalidConstraint(f"key '{key}' is invalid")
        if not _VALUE.fullmatch(value):
            raise InvalidConstraint(f"value '{value}' is invalid")
        return Constraint(key, operator == "==", value)
    raise InvalidConstraint(f"constraint expected one operator from {', '.join(_OPERATORS)}")


def node_matches(constraints: Iterable[Constraint], node: Node) -> bool:
    """Does the node satisfy all of them?"""
    return all(constraint.matches(node) for constraint in constraints)
