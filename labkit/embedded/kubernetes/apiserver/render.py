"""Objects and lists in the form that was asked for: as they are, as a table, as metadata only; JSON or YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from labkit.embedded.kubernetes import printers
from labkit.embedded.kubernetes.apiserver.answers import Answer, encode
from labkit.embedded.kubernetes.apiserver.calls import Call
from labkit.embedded.kubernetes.apiserver.negotiation import YAML, Form
from labkit.embedded.kubernetes.apiserver.parameters import META
from labkit.embedded.kubernetes.errors import Cause, Invalid, NotAcceptable
from labkit.embedded.kubernetes.etcd import Record
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import Listing

_LISTS = "PartialObjectMetadataList"
_ONE = "PartialObjectMetadata"


def include_object(call: Call) -> str:
    """``includeObject`` of a table's rows. Raises Invalid."""
    wanted = call.query.get("includeObject")
    if wanted not in ("", "None", "Metadata", "Object"):
        problem = f"Invalid value: \"{wanted}\": must be 'Metadata', 'Object', 'None', or empty"
        raise Invalid("TableOptions", META, "", [Cause("FieldValueInvalid", problem, "includeObject")])
    return wanted or "Metadata"


def table(call: Call, kind: Kind, objs: Sequence[Json], form: Form, metadata: Json, *, columns: bool = True) -> Json:
    """A ``Table`` of these objects."""
    definitions, rows = printers.table(kind, objs, call.server.clock.time(), include=include_object(call))
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{form.version}",
        "metadata": metadata,
        "columnDefinitions": definitions if columns else [],
        "rows": rows,
    }


def partial(obj: Json, form: Form) -> Json:
    """Its ``PartialObjectMetadata``."""
    return {"kind": _ONE, "apiVersion": f"meta.k8s.io/{form.version}", "metadata": obj.get("metadata") or {}}


def transformed(call: Call, kind: Kind, obj: Json, form: Form) -> Json:
    """One object in the form that was asked for. Raises NotAcceptable when it has no such form."""
    if form.as_kind == "Table":
        return table(call, kind, [obj], form, {"resourceVersion": obj["metadata"].get("resourceVersion", "")})
    if form.as_kind == _ONE:
        return partial(obj, form)
    if form.as_kind:
        raise NotAcceptable([f"application/json;as={_ONE};v=v1;g=meta.k8s.io"])
    return obj


def one(call: Call, kind: Kind, found: Record | Json, form: Form, status: int = 200) -> Answer:
    """An object as an answer; the bytes that its record keeps are used where they are what was asked for."""
    if isinstance(found, Record):
        if not form.as_kind and form.media_type != YAML and not call.pretty:
            return Answer(status, found.json, headers=call.headers())
        found = found.obj
    if form.as_kind and found.get("kind") == "Status":  # of a deletion
        return _encoded(call, found, Form(form.media_type), status)
    return _encoded(call, transformed(call, kind, found, form), form, status)


def many(call: Call, listing: Listing, form: Form) -> Answer:
    """A list as an answer."""
    if form.as_kind == "Table":
        return _encoded(call, table(call, listing.kind, listing.items, form, listing.metadata()), form)
    if form.as_kind == _LISTS:
        items = [partial(item, form) for item in listing]
        version = f"meta.k8s.io/{form.version}"
        return _encoded(
            call, {"kind": _LISTS, "apiVersion": version, "metadata": listing.metadata(), "items": items}, form
        )
    if form.as_kind:
        raise NotAcceptable([f"application/json;as={_LISTS};v=v1;g=meta.k8s.io"])
    content = listing.encode()
    if form.media_type == YAML or call.pretty:
        return _encoded(call, orjson.loads(content), form)
    return Answer(200, content, headers=call.headers())


def _encoded(call: Call, value: Any, form: Form, status: int = 200) -> Answer:
    if form.media_type == YAML:
        import yaml

        content = yaml.safe_dump(value, default_flow_style=False, allow_unicode=True).encode()
    else:
        content = encode(value, pretty=call.pretty or form.pretty)
    return Answer(status, content, form.content_type, call.headers())
