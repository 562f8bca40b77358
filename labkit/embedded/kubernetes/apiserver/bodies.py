"""Bodies of requests: read with a limit, decoded, and refused in the real API server's words."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from labkit.embedded import gojson
from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.apiserver.negotiation import PROTOBUF, YAML
from labkit.embedded.kubernetes.errors import BadRequest, RequestEntityTooLarge
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json

LIMIT = 3 * 1024 * 1024  # bytes; MaxRequestBodyBytes
YAML_VALUES = 100_000  # how many values a YAML body may have once its aliases are followed


async def read(raw: web.BaseRequest, limit: int = LIMIT) -> bytes:
    """The whole body. Raises RequestEntityTooLarge before it has kept more than the limit."""
    if not raw.body_exists:
        return b""
    length = raw.content_length
    if length is not None and length > limit:
        raise RequestEntityTooLarge(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        chunk = await raw.content.readany()
        if not chunk:
            break
        size += len(chunk)
        if size > limit:
            raise RequestEntityTooLarge(limit)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def decode(data: bytes, media_type: str, kind_name: str) -> Json:
    """The object in a body that should be of a kind. Raises BadRequest."""
    if media_type == PROTOBUF:
        from labkit.embedded.kubernetes.protobuf import decode as from_protobuf

        try:
            return from_protobuf(data)
        except BadRequest as error:  # it does not know what was asked for
            words = error.message.removeprefix("the object provided is unrecognized:")
            raise BadRequest(f"the object provided is unrecognized (must be of type {kind_name}):{words}") from None
    if media_type == YAML:
        value = from_yaml(data, kind_name)
    else:
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            words = f"couldn't get version/kind; json parse error: {explain(data, error)}"
            raise _unrecognized(kind_name, words, data) from None
    if value is None:
        return {}
    problem = ""
    if not isinstance(value, dict):
        problem = (
            f"{gojson.kind(value)} into Go value of type "
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
    else:
        for key in ("kind", "apiVersion"):
            if not isinstance(value.get(key), str | None):
                problem = f"{gojson.kind(value[key])} into Go struct field .{key} of type string"
    if problem:
        words = f"couldn't get version/kind; json parse error: json: cannot unmarshal {problem}"
        raise _unrecognized(kind_name, words, data)
    assert isinstance(value, dict)
    return value


def explain(data: bytes, error: Exception) -> str:
    """Go's words for broken JSON."""
    words = gojson.explain(data) or str(error)
    # That is a Decoder's end of file; what reads objects here is Unmarshal.
    return "unexpected end of JSON input" if words == "unexpected EOF" else words


def _unrecognized(kind_name: str, words: str, data: bytes) -> BadRequest:
    return BadRequest(f"the object provided is unrecognized (must be of type {kind_name}): {words} ({_summary(data)})")


def _summary(data: bytes, longest: int = 30) -> str:
    if not data:
        return "<empty>"
    more = " ..." if len(data) > longest else ""
    if data[:1] == b"{":
        return data[:longest].decode("utf-8", "replace") + more
    return data[:longest].hex() + more


def from_yaml(data: bytes, kind_name: str = "") -> Any:
    """A YAML body as JSON values. JSON, which it mostly is, is YAML too. Raises BadRequest.

    ``kind_name`` is what it should be; "" for a patch, whose errors read otherwise.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    import yaml

    try:
        value = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return orjson.loads(orjson.dumps(_bounded(value)))
    except (yaml.YAMLError, RecursionError, orjson.JSONEncodeError, ValueError) as error:
        words = f"yaml: {_yaml_words(error)}"
        if kind_name:
            raise _unrecognized(kind_name, words, data) from None
        raise BadRequest(f"error decoding YAML: error converting YAML to JSON: {words}") from None


def _yaml_words(error: Exception) -> str:
    """Go's library is a translation of libyaml, so its words are these."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem and mark is not None:
        # Its parser counts lines from one, its scanner from zero.
        line = mark.line + 1 if type(error).__name__ == "ScannerError" else mark.line
        return f"line {max(line, 1)}: {problem}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _bounded(value: Any) -> Any:
    """The same, with keys as text; aliases are followed, which must not make it endless."""
    count = 0

    def walk(item: Any) -> Any:
        nonlocal count
        count += 1
        if count > YAML_VALUES:
            raise ValueError("document contains excessive aliasing")
        if isinstance(item, dict):
            return {_key(key): walk(found) for key, found in item.items()}
        if isinstance(item, list):
            return [walk(found) for found in item]
        if item is None or isinstance(item, bool | int | float | str):
            return item
        if hasattr(item, "isoformat"):  # YAML knows dates, JSON has text
            text = item.isoformat()
            return text.replace("+00:00", "Z") if "T" in text else text
        raise ValueError(f"cannot convert {type(item).__name__}")

    return walk(value)


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)


def check_kind(obj: Json, kind: Kind, group: str = "", version: str = "", name: str = "") -> Json:
    """The object with its kind and version filled in, when it says nothing else. Raises BadRequest when it does.

    ``group``, ``version`` and ``name`` are those of a sub-resource's own kind.
    """
    wanted_kind = name or kind.kind
    wanted_version = (f"{group}/{version}" if group else version) if name else kind.api_version
    said_kind, said_version = obj.get("kind"), obj.get("apiVersion")
    if said_kind == wanted_kind and said_version == wanted_version:
        return obj
    said_kind, said_version = said_kind or wanted_kind, said_version or wanted_version
    if (said_kind, said_version) == (wanted_kind, wanted_version):
        return {**obj, "kind": said_kind, "apiVersion": said_version}
    start = f'{said_kind} in version "{said_version.rpartition("/")[2]}" cannot be handled as a {wanted_kind}: '
    if kinds.of(said_version, said_kind) is None:
        raise BadRequest(
            f'{start}no kind "{said_kind}" is registered for version "{said_version}" in scheme '
            '"pkg/api/legacyscheme/scheme.go:30"'
        )
    if said_kind != wanted_kind:
        raise BadRequest(
            f"{start}converting ({_package(said_version)}.{said_kind}) to "
            f"({_internal(wanted_version)}.{wanted_kind}): unknown conversion"
        )
    raise BadRequest(
        f"the API version in the data ({said_version}) does not match the expected API version ({wanted_version})"
    )


def _package(version: str) -> str:
    """Go's name of the package: ``v1`` for every group."""
    return version.rpartition("/")[2]


def _internal(version: str) -> str:
    group = version.rpartition("/")[0].partition(".")[0]
    return group or "core"
