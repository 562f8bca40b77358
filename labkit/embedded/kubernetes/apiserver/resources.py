"""The verbs on resources that are stored: each a function from a call to an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from labkit.embedded.kubernetes.apiserver import bodies, negotiation, parameters, render, watching
from labkit.embedded.kubernetes.apiserver.answers import Answer, success
from labkit.embedded.kubernetes.apiserver.calls import Call
from labkit.embedded.kubernetes.apiserver.negotiation import APPLY_PATCH
from labkit.embedded.kubernetes.errors import BadRequest, Cause, Invalid
from labkit.embedded.kubernetes.etcd import Record
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, name_of, namespace_of
from labkit.embedded.kubernetes.printers import SCALE
from labkit.embedded.kubernetes.registry import DeleteOptions
from labkit.embedded.kubernetes.registry.reading import parse_version, too_large

Handler = Callable[[Call], Awaitable[Any]]


def _form(call: Call) -> negotiation.Form:
    return negotiation.accepted(call.raw.headers.get("Accept", ""))


def _stored(call: Call, kind: Kind, obj: Json) -> Record | Json:
    """The record of an object that was just written, for its bytes; the object itself if it is not in the store."""
    etcd = call.server.etcd
    record = etcd.get(kind, (namespace_of(obj), name_of(obj)))
    return record if record is not None and record.obj is obj else obj


async def get(call: Call) -> Answer:
    """``GET`` of one object, or of its ``status`` or ``scale``."""
    target, kind, form = call.target, call.kind, _form(call)
    assert target is not None
    registry = call.server.registry
    if wanted := parse_version(call.query.get("resourceVersion")):
        newest = call.server.etcd.revision
        if wanted > newest:
            raise too_large(wanted, newest)
    if target.subresource == "scale":
        scale = registry.scale(kind, target.namespace, target.name)
        await call.server.etcd.durable()
        return render.one(call, SCALE, scale, form)
    record = registry.record(kind, target.namespace, target.name)
    await call.server.etcd.durable(record.revision)
    return render.one(call, kind, record, form)


async def list_(call: Call) -> Any:
    """``GET`` of a collection: a list, or a watch of it."""
    target, kind = call.target, call.kind
    assert target is not None
    wanted = parameters.list_parameters(call.query, watch=target.watching)
    if wanted.watch:
        return await watching.serve(call, wanted)
    form = _form(call)
    if form.as_kind == "Table":
        render.include_object(call)
    listing = call.server.registry.list(
        kind,
        target.namespace,
        labels=wanted.labels or None,
        fields=wanted.fields or None,
        limit=wanted.limit,
        continue_=wanted.continue_,
        version=wanted.version,
        match=wanted.match,
    )
    await call.server.etcd.durable()
    return render.many(call, listing, form)


async def create(call: Call) -> Answer:
    """``POST`` to a collection."""
    target, kind, form = call.target, call.kind, _form(call)
    assert target is not None
    options = call.write_options("CreateOptions")
    obj = bodies.check_kind(await call.body(kind.kind, options), kind)
    obj = _placed(obj, kind, target.namespace)
    made = call.server.registry.create(kind, target.namespace, obj, options)
    return await _written(call, kind, made, form, 201)


async def update(call: Call) -> Answer:
    """``PUT`` of one object, its ``status``, ``scale`` or ``finalize``."""
    target, kind, form = call.target, call.kind, _form(call)
    assert target is not None
    options = call.write_options("UpdateOptions")
    part = target.part
    name = part.kind if part is not None else ""
    obj = await call.body(name or kind.kind, options)
    if part is not None and name:
        obj = bodies.check_kind(obj, kind, part.group, part.version, name)
    else:
        obj = bodies.check_kind(obj, kind)
    obj = _placed(obj, kind, target.namespace)
    said = name_of(obj)
    if said != target.name:
        if said:
            raise BadRequest(f"the name of the object ({said}) does not match the name on the URL ({target.name})")
        if name:
            obj = {**obj, "metadata": {**obj["metadata"], "name": target.name}}
        else:
            raise BadRequest(
                f"the name of the object ({target.name} based on URL) was undeterminable: name must be provided"
            )
    made = call.server.registry.update(
        kind, target.namespace, target.name, obj, options, subresource=target.subresource
    )
    return await _written(call, kind, made, form, 200)


async def patch(call: Call) -> Answer:
    """``PATCH`` of one object, its ``status`` or ``scale``."""
    target, kind, form = call.target, call.kind, _form(call)
    assert target is not None
    media_type = negotiation.patch_type(call.raw.headers.get("Content-Type"))
    apply = media_type == APPLY_PATCH
    options = call.write_options("PatchOptions", apply=apply)
    data = await bodies.read(call.raw)
    if apply:
        change = bodies.from_yaml(data)
    else:
        try:
            change = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"error decoding patch: {bodies.explain(data, error)}") from None
    made, created = call.server.registry.patch(
        kind, target.namespace, target.name, media_type, change, options, subresource=target.subresource
    )
    return await _written(call, kind, made, form, 201 if created else 200)


async def delete(call: Call) -> Answer:
    """``DELETE`` of one object."""
    target, kind, form = call.target, call.kind, _form(call)
    assert target is not None
    options = await delete_options(call)
    gone = call.server.registry.delete(kind, target.namespace, target.name, options)
    await call.server.etcd.durable()
    return render.one(call, kind, gone, form)


async def delete_collection(call: Call) -> Answer:
    """``DELETE`` of all that a list with the same selectors would show."""
    target, kind, form = call.target, call.kind, _form(call)
    assert target is not None
    wanted = parameters.list_parameters(call.query)
    options = await delete_options(call)
    found = call.server.registry.delete_collection(
        kind, target.namespace, options, labels=wanted.labels or None, fields=wanted.fields or None
    )
    await call.server.etcd.durable()
    if isinstance(found, dict):
        return render.one(call, kind, found, form)
    return render.many(call, found, form)


async def _written(call: Call, kind: Kind, made: Json, form: negotiation.Form, status: int) -> Answer:
    await call.server.etcd.durable()
    if made.get("kind") != kind.kind:  # a Scale, a Status
        return call.reply(made, status)
    return render.one(call, kind, _stored(call, kind, made), form, status)


def _placed(obj: Json, kind: Kind, namespace: str) -> Json:
    """The object with the namespace of its URL. Raises BadRequest when it says another one."""
    metadata = obj.get("metadata")
    if metadata is None:
        return {**obj, "metadata": {"namespace": namespace} if kind.namespaced else {}}
    if not isinstance(metadata, dict):
        return obj  # the schema says what is wrong with it
    said = metadata.get("namespace")
    if kind.namespaced and said != namespace:
        if said:
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
        return {**obj, "metadata": {**metadata, "namespace": namespace}}
    if not kind.namespaced and said:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    return obj


async def delete_options(call: Call) -> DeleteOptions:
    """``DeleteOptions`` from the body, or from the query when there is none. Raises BadRequest, Invalid."""
    data = await bodies.read(call.raw)
    if data:
        media_type = negotiation.body_type(call.raw.headers.get("Content-Type"))
        said = bodies.decode(data, media_type, "DeleteOptions")
    else:
        said = _from_query(call.query)
    return deletion(said, call)


def _from_query(query: parameters.Query) -> Json:
    found: Json = {}
    grace = query.number("gracePeriodSeconds")
    if grace is not None:
        found["gracePeriodSeconds"] = grace
    if "orphanDependents" in query:
        found["orphanDependents"] = query.flag("orphanDependents")
    if policy := query.get("propagationPolicy"):
        found["propagationPolicy"] = policy
    if dry := query.all("dryRun"):
        found["dryRun"] = dry
    return found


_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "gracePeriodSeconds": (int, "int64"),
    "orphanDependents": (bool, "bool"),
    "propagationPolicy": (str, "v1.DeletionPropagation"),
    "preconditions": (dict, "v1.Preconditions"),
    "dryRun": (list, "[]string"),
}


def deletion(said: Json, call: Call) -> DeleteOptions:
    """Checked ``DeleteOptions``. Raises BadRequest for wrong types, Invalid for what does not go together."""
    for name, (type_, words) in _TYPES.items():
        value = said.get(name)
        if value is not None and (not isinstance(value, type_) or (type_ is int and isinstance(value, bool))):
            raise BadRequest(
                f"json: cannot unmarshal {bodies.gojson.kind(value)} into Go struct field DeleteOptions.{name} "
                f"of type {words}"
            )
    policy, orphan = said.get("propagationPolicy"), said.get("orphanDependents")
    causes = parameters.dry_run_causes([str(value) for value in said.get("dryRun") or ()])
    if policy is not None and orphan is not None:
        words = f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both set'
        causes.insert(0, Cause("FieldValueInvalid", words, "propagationPolicy"))
    if policy is not None and policy not in ("Foreground", "Background", "Orphan"):
        words = f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"'
        causes.append(Cause("FieldValueNotSupported", words, "propagationPolicy"))
    if causes:
        raise Invalid("DeleteOptions", parameters.META, "", causes)
    conditions = said.get("preconditions") or {}
    return DeleteOptions(
        grace_period_seconds=said.get("gracePeriodSeconds"),
        uid=conditions.get("uid"),
        resource_version=conditions.get("resourceVersion"),
        propagation=policy,
        orphan_dependents=orphan,
        dry_run=bool(said.get("dryRun")),
        user=call.user,
    )


VERBS: dict[str, Handler] = {
    "get": get,
    "list": list_,
    "watch": list_,
    "create": create,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": delete_collection,
}

__all__ = ["VERBS", "Handler", "success"]
