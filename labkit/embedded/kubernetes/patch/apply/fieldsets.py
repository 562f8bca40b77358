"""Sets of fields, in the very form in which they go over the wire (``FieldsV1``).

A set is a tree of dicts. Its keys are path elements: ``f:name`` (a field or a map's key), ``k:{"name":"a"}`` (an item
of a list by its keys), ``v:"x"`` (an item of a set). A node is in the set when it is ``{}`` or holds ``"."``; a node
without ``"."`` only leads to others. The root is in no set, and ``{}`` as a root is the empty set.

Nodes are never changed, and nodes of the same content are one object as long as the table of them is not started anew:
ten thousand pods of a Deployment share one set. That makes comparing cheap too: what is the same is identical.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Node = dict[str, Any]

LEAF: Node = {}
_HERE = "."
# Nodes in the table; then it is forgotten (what is in use lives on in the objects). Every pod adds three that are its
# own, since its address is in them; what is shared is made anew soon.
_LIMIT = 4_000
_nodes: dict[tuple[Any, ...], tuple[Node, tuple[Node, ...]]] = {}
era = 0  # how often it has been: who keeps nodes to save work does not carry them over into the next


def node(member: bool, children: Mapping[str, Node]) -> Node | None:
    """The node with these children, the same object for the same content; None when it would be nothing."""
    if not children:
        return LEAF if member else None
    key = (member, *children, *map(id, children.values()))
    found = _nodes.get(key)
    if found is None:
        found = _ordered(member, children, key)
    return found[0]


def _ordered(member: bool, children: Mapping[str, Node], came: tuple[Any, ...]) -> tuple[Node, tuple[Node, ...]]:
    """The node with its children in order. They may come in any: then it is in the table under each that has come."""
    names, key, found = [*children], came, None
    if len(names) > 1:
        names.sort()
        key = (member, *names, *[id(children[name]) for name in names])
        found = _nodes.get(key)
    if found is None:
        if len(_nodes) >= _LIMIT:
            forget()
        made: Node = {_HERE: LEAF} if member else {}
        for name in names:
            made[name] = children[name]
        found = _nodes[key] = made, tuple(children.values())  # their ids must not be given to others meanwhile
    _nodes[came] = found
    return found


def forget() -> None:
    """Begin a new table."""
    global era
    era += 1
    _nodes.clear()


def is_member(one: Node) -> bool:
    return not one or _HERE in one


def shared(one: Node) -> Node:
    """A set from outside (the wire, the disk) as the table's own object."""
    children = {name: shared(below) for name, below in one.items() if name != _HERE}
    return node(is_member(one), children) or LEAF


def union(left: Node | None, right: Node | None) -> Node | None:
    if left is right or right is None:
        return left
    if left is None:
        return right
    children = {name: below for name, below in left.items() if name != _HERE}
    for name, below in right.items():
        if name != _HERE:
            found = children.get(name)
            children[name] = below if found is None else union(found, below) or LEAF
    return node(is_member(left) or is_member(right), children)


def difference(left: Node | None, right: Node | None) -> Node | None:
    """What is in ``left`` and not in ``right``, path by path: a node's absence says nothing of its children."""
    if left is None or right is None:
        return left
    if left is right:
        return None
    common = left.keys() & right.keys()
    if not common and left and right:
        return left
    children = {name: below for name, below in left.items() if name != _HERE}
    for name in common:
        if name != _HERE:
            rest = difference(children[name], right[name])
            if rest is None:
                del children[name]
            else:
                children[name] = rest
    return node(is_member(left) and not is_member(right), children)


def intersection(left: Node | None, right: Node | None) -> Node | None:
    if left is None or right is None:
        return None
    if left is right:
        return left
    common = left.keys() & right.keys()
    if not common and left and right:
        return None
    children: dict[str, Node] = {}
    for name in common:
        if name != _HERE and (below := intersection(left[name], right[name])) is not None:
            children[name] = below
    return node(is_member(left) and is_member(right), children)


def of_paths(paths: Iterable[tuple[str, ...]]) -> Node:
    """The set of these paths, given by their elements."""
    found: Node | None = None
    for path in paths:
        one: Node = LEAF
        for element in reversed(path):
            one = node(False, {element: one}) or LEAF
        found = one if found is None else _union_roots(found, one)
    return found or LEAF


def _union_roots(left: Node, right: Node) -> Node:
    children = dict(left)
    for name, below in right.items():
        children[name] = union(children.get(name), below) or LEAF
    return node(False, children) or LEAF


def members(root: Node) -> Iterator[tuple[str, ...]]:
    """The paths that are in the set: of each node first those that end in it, then what lies below."""
    yield from _members(root, ())


def _members(one: Node, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    names = [name for name in sorted(one) if name != _HERE]
    for name in names:
        if is_member(one[name]):
            yield (*path, name)
    for name in names:
        yield from _members(one[name], (*path, name))


def holds(root: Node, path: Iterable[str]) -> bool:
    found = root
    for element in path:
        if element not in found:
            return False
        found = found[element]
    return is_member(found)


def text(path: Iterable[str]) -> str:
    """A path as messages have it: ``.spec.template.spec.containers[name="web"].image``."""
    return "".join(map(_element_text, path))


def _element_text(element: str) -> str:
    sort, _, rest = element.partition(":")
    if sort == "f":
        return f".{rest}"
    if sort == "i":
        return f"[{rest}]"
    try:
        value = json.loads(rest)
    except ValueError:
        return "{{invalid path element}}"
    if sort == "v":
        return f"[={_quoted(value)}]"
    return f"[{','.join(f'{key}={_quoted(value[key])}' for key in sorted(value))}]"


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
