"""How values may be merged: the part of the definitions that strategic merge and server-side apply go by.

A :class:`Shape` says of a value whether it is one thing (a scalar, an atomic list or map), a struct with named fields,
a map, a list that is a set, or a list whose items are told apart by keys. It comes from ``x-kubernetes-list-type``,
``-list-map-keys``, ``-map-type`` (server-side apply) and ``x-kubernetes-patch-strategy``, ``-patch-merge-key``
(strategic merge). Shapes are made on the first look at a field and kept.
"""

from __future__ import annotations

import functools
from typing import Any

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.schema import definitions

LEAF, STRUCT, MAP, SET, KEYED = "leaf", "struct", "map", "set", "keyed"

# The definitions have lost their defaults. Of all keys of lists only the protocol of a port has one.
_KEY_DEFAULTS = {"protocol": "TCP"}


class Shape:
    """How a value merges.

    ``what`` is one of LEAF (one thing, replaced as a whole), STRUCT, MAP, SET and KEYED (a list by :attr:`keys`).
    ``type`` is the JSON type that the definitions give ("" when they leave it open).
    ``name`` is the Go struct's name, "" when it has none.
    ``strategy`` and ``merge_key`` are for strategic merge: ``merge``, ``replace``, "" each with or without
    :attr:`retains_keys`; a list that is atomic for one may be merged by the other.
    """

    __slots__ = (
        "_fields",
        "_item",
        "_source",
        "container",
        "keys",
        "merge_key",
        "name",
        "plans",
        "retains_keys",
        "strategy",
        "type",
        "what",
    )

    def __init__(self, source: Json, name: str = "") -> None:
        schema = definitions.resolve(source)
        self._source = schema
        self.name = definitions.reference(source).rpartition(".")[2] or name
        self._fields: dict[str, Shape | None] = {}
        self._item: Shape | None = None
        self.type: str = schema.get("type", "")
        strategies = schema.get("x-kubernetes-patch-strategy", "").split(",")
        self.retains_keys = "retainKeys" in strategies
        self.strategy = next((one for one in strategies if one in ("merge", "replace")), "")
        self.merge_key: str = schema.get("x-kubernetes-patch-merge-key", "")
        self.keys: tuple[str, ...] = ()
        self.container = _container(schema)
        self.what = self.container
        if schema.get("x-kubernetes-map-type") == "atomic":
            self.what = LEAF
        elif self.container == "list":
            kind = schema.get("x-kubernetes-list-type", "atomic")
            self.what = {"map": KEYED, "set": SET}.get(kind, LEAF)
            if kind == "map":
                self.keys = tuple(sorted(schema["x-kubernetes-list-map-keys"]))
        self.plans: dict[Any, Any] = {}  # for fieldsets: what has been worked out once for values of this shape

    def field(self, name: str) -> Shape | None:
        """The shape of a struct's field or of a map's value; None when the struct has no such field."""
        try:
            return self._fields[name]
        except KeyError:
            pass
        if self.container == STRUCT:
            below = self._source["properties"].get(name)
            found = _shape(below) if below is not None else None
            self._fields[name] = found
            return found
        return self.item if self.container == MAP else None

    @property
    def item(self) -> Shape:
        """The shape of a list's items or a map's values."""
        if self._item is None:
            below = self._source.get("items") or self._source.get("additionalProperties")
            self._item = _shape(below) if isinstance(below, dict) else ANYTHING
        return self._item

    def has(self, name: str) -> bool:
        """Whether it is a struct with a field of that name (a map's key is no field)."""
        return self.container == STRUCT and name in self._source["properties"]

    def key_of(self, item: Json) -> tuple[tuple[str, Any], ...]:
        """What tells an item of a KEYED list apart: its keys that are there, defaults included, by name."""
        return tuple((key, value) for key in self.keys if (value := item.get(key, _KEY_DEFAULTS.get(key))) is not None)


def _container(schema: Json) -> str:
    if "properties" in schema:
        return STRUCT
    if "additionalProperties" in schema:
        return MAP
    return "list" if schema.get("type") == "array" else LEAF


ANYTHING = Shape({})


@functools.cache
def _named(name: str) -> Shape:
    return Shape(definitions.named(name), name.rpartition(".")[2])


def _shape(source: Json) -> Shape:
    name = definitions.reference(source)
    if name and not any(key.startswith("x-") for key in source):
        return _named(name)  # shared by all who refer to it
    return Shape(source)


def shape_of(kind: Kind) -> Shape:
    """The shape of a kind's objects."""
    return _named(definitions.name_of(kind.group, kind.version, kind.kind))
