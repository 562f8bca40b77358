"""JSON patch, RFC 6902: ``[{"op": "replace", "path": "/spec/replicas", "value": 3}]``.

As the API server does it (``applyJSPatch`` in apiserver's ``endpoints/handlers/patch.go``, on ``evanphx/json-patch``):
what is no patch is a 400, what cannot be done to this object a 422 that says nothing of the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from labkit.embedded.kubernetes.errors import BadRequest, StatusError
from labkit.embedded.kubernetes.objects import Json

MAX_OPERATIONS = 10_000
_MAX_COPIED = 3 * 1024 * 1024  # bytes that "copy" may add; the real one's limit is that of a request's body
_MISSING: Any = object()


class TooManyOperations(StatusError):
    code, reason = 413, "RequestEntityTooLarge"


class Unprocessable(StatusError):
    """422 without a word on why: what a JSON patch that cannot be applied is answered with."""

    code, reason = 422, "Invalid"

    def __init__(self) -> None:
        super().__init__("the server rejected our request due to an error in our request", {})


def json_patch(obj: Json, operations: Any) -> Json:
    """``obj`` with the operations done in turn; ``obj`` stays as it is, what is not touched is shared.

    Raises:
        BadRequest: It is no JSON patch.
        TooManyOperations: More than 10,000 operations.
        Unprocessable: A path is not there, a test failed, an operation is not known.
    """
    if operations is None:
        operations = []
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        shown = "object" if isinstance(operations, dict) else "value"
        raise BadRequest(
            f"error decoding patch: json: cannot unmarshal {shown} into Go value of type []handlers.jsonPatchOp"
        )
    if len(operations) > MAX_OPERATIONS:
        raise TooManyOperations(
            f"Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, "
            f"got {len(operations)}"
        )
    document = _Document(obj)
    for operation in operations:
        name = operation.get("op")
        act = _OPERATIONS.get(name) if isinstance(name, str) else None
        if act is None:
            raise Unprocessable
        act(document, operation)
    root = document.root
    if not isinstance(root, dict):
        raise Unprocessable
    return root


class _Document:
    """A JSON value that is copied where it is changed, and nowhere else."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self._own: dict[int, Any] = {}  # containers that were copied here and may be written to, kept so that ids hold
        self.copied = 0

    def get(self, path: Sequence[str]) -> Any:
        value = self.root
        for step in path:
            value = _child(value, step)
            if value is _MISSING:
                raise Unprocessable
        return value

    def parent(self, path: Sequence[str]) -> Any:
        """The container that holds the path's last step, made writable together with all above it."""
        if not isinstance(self.root, dict | list):
            raise Unprocessable
        self.root = value = self._writable(self.root)
        for step in path[:-1]:
            below = _child(value, step)
            if not isinstance(below, dict | list):
                raise Unprocessable
            own = self._writable(below)
            if own is not below:
                value[int(step) if isinstance(value, list) else step] = own
            value = own
        return value

    def _writable(self, value: Any) -> Any:
        if id(value) in self._own:
            return value
        copy = dict(value) if isinstance(value, dict) else list(value)
        self._own[id(copy)] = copy
        return copy


def _child(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, _MISSING)
    if isinstance(value, list):
        index = _index(step, len(value) - 1)
        return value[index]
    return _MISSING


def _index(step: str, last: int) -> int:
    """An index from a path; negative ones count from the end, as evanphx/json-patch lets them."""
    digits = step[1:] if step.startswith("-") else step
    if not digits.isascii() or not digits.isdigit():
        raise Unprocessable
    index = int(step)
    if index < 0:
        index += last + 1
    if not 0 <= index <= last:
        raise Unprocessable
    return index


def _path(operation: Json, member: str = "path") -> list[str]:
    pointer = operation.get(member)
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise Unprocessable
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _put(document: _Document, path: Sequence[str], value: Any) -> None:
    if not path:
        document.root = value
        return
    parent, step = document.parent(path), path[-1]
    if isinstance(parent, dict):
        parent[step] = value
    elif step == "-":
        parent.append(value)
    else:
        parent.insert(_index(step, len(parent)), value)


def _take(document: _Document, path: Sequence[str]) -> Any:
    if not path:
        raise Unprocessable
    parent, step = document.parent(path), path[-1]
    if isinstance(parent, dict):
        if step not in parent:
            raise Unprocessable
        return parent.pop(step)
    return parent.pop(_index(step, len(parent) - 1))


def _add(document: _Document, operation: Json) -> None:
    _put(document, _path(operation), operation.get("value"))


def _remove(document: _Document, operation: Json) -> None:
    _take(document, _path(operation))


def _replace(document: _Document, operation: Json) -> None:
    path, value = _path(operation), operation.get("value")
    if not path:
        document.root = value
        return
    document.get(path)  # it has to be there
    parent, step = document.parent(path), path[-1]
    parent[step if isinstance(parent, dict) else _index(step, len(parent) - 1)] = value


def _move(document: _Document, operation: Json) -> None:
    source, target = _path(operation, "from"), _path(operation)
    if target[: len(source)] == source and len(target) > len(source):
        raise Unprocessable  # into itself
    _put(document, target, _take(document, source))


def _copy(document: _Document, operation: Json) -> None:
    source, target = _path(operation, "from"), _path(operation)
    value = document.get(source)
    document.copied += _size(value)  # copies of copies grow like 2ⁿ
    if document.copied > _MAX_COPIED:
        raise Unprocessable
    document._own.clear()  # what was copied before is now in two places: neither may be written to
    _put(document, target, value)


def _test(document: _Document, operation: Json) -> None:
    path, wanted = _path(operation), operation.get("value")
    try:
        found = document.get(path)
    except Unprocessable:
        if wanted is None:  # nothing there and nothing wanted: evanphx/json-patch is content
            return
        raise
    if not _same(found, wanted):
        raise Unprocessable


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return left == right and (type(left) is type(right) or _both_numbers(left, right))


def _both_numbers(left: Any, right: Any) -> bool:
    return isinstance(left, int | float) and isinstance(right, int | float)


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 2 + sum(len(key) + 4 + _size(item) for key, item in value.items())
    if isinstance(value, list):
        return 2 + sum(1 + _size(item) for item in value)
    return len(value) + 2 if isinstance(value, str) else 8


_OPERATIONS: dict[str, Callable[[_Document, Json], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
