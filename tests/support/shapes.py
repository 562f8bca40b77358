"""Key paths of JSON and their types: `{"Spec.Mode.Replicated.Replicas": ["number"], "Tasks[].ID": ["string"]}`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Shape = dict[str, list[str]]

# Maps whose keys are data: names, addresses, ports. Their values have a form, their keys have none.
_OPEN = {
    "Labels",
    "Networks",
    "Ports",
    "ExposedPorts",
    "Attributes",
    "Options",
    "Containers",
    "Volumes",
    "Sysctls",
    "Data",
}
_WORDS = {str: "string", bool: "bool", int: "number", float: "number", type(None): "null", list: "list", dict: "object"}


def _walk(value: Any, path: str, key: str) -> Iterator[tuple[str, str]]:
    yield path, _WORDS[type(value)]
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, f"{path}[]", "")
    elif isinstance(value, dict):
        for name, item in value.items():
            inner = "*" if key in _OPEN else name
            yield from _walk(item, f"{path}.{inner}" if path else inner, name)


def shape_of(value: Any) -> Shape:
    """Every key path of a JSON value with the types that stand there."""
    found: dict[str, set[str]] = {}
    for path, word in _walk(value, "", ""):
        found.setdefault(path, set()).add(word)
    return {path: sorted(words) for path, words in found.items()}


def absent(expected: Shape, got: Shape) -> list[str]:
    """What `got` lacks of `expected`, a line each. Null fits everything, and what is empty shows no inner keys."""
    lines = []
    for path, words in sorted(expected.items()):
        parent = path.rsplit(".", 1)[0] if "." in path else ""
        if path not in got:
            known = parent in got and _has_inside(got, parent)
            if known and not path.endswith(("[]", ".*")):
                lines.append(f"{path}: {'|'.join(words)}")
            continue
        wanted, there = set(words) - {"null"}, set(got[path]) - {"null"}
        if wanted and there and not there <= wanted:
            lines.append(f"{path}: {'|'.join(sorted(there))} instead of {'|'.join(sorted(wanted))}")
    return lines


def _has_inside(shape: Shape, path: str) -> bool:
    """Whether there is an object to look into: a list that happens to be empty says nothing of its items."""
    return "object" in shape.get(path, []) and (not path.endswith("[]") or path in shape)
