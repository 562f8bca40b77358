"""Sub-resources with a way of their own: bindings, evictions, service account tokens, and those that stream."""

from __future__ import annotations

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.apiserver import attaching, bodies, logs, portforward, proxying, resources
from labkit.embedded.kubernetes.apiserver.answers import Answer
from labkit.embedded.kubernetes.apiserver.calls import Call
from labkit.embedded.kubernetes.apiserver.resources import Handler
from labkit.embedded.kubernetes.apiserver.tokens import AUDIENCES, DEFAULT_SECONDS, LEAST_SECONDS, MOST_SECONDS
from labkit.embedded.kubernetes.errors import BadRequest, Cause, Conflict, Invalid
from labkit.embedded.kubernetes.objects import Json, uid_of
from labkit.embedded.kubernetes.times import rfc3339


async def _body(call: Call) -> Json:
    target = call.target
    assert target is not None
    part = target.part
    assert part is not None
    obj = bodies.check_kind(await call.body(part.kind), call.kind, part.group, part.version, part.kind)
    said = (obj.get("metadata") or {}).get("name")
    if said != target.name and (said or part.name != "token"):
        raise BadRequest(f"name in URL does not match name in {part.kind} object")
    return obj


_SUCCESS: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def bind(call: Call) -> Answer:
    """``POST pods/NAME/binding``: what a scheduler does."""
    target = call.target
    assert target is not None
    obj = await _body(call)
    wanted = obj.get("target")
    node = wanted.get("name") if isinstance(wanted, dict) else None
    if not node or not isinstance(node, str):
        raise Invalid("Binding", "", target.name, [Cause("FieldValueRequired", "Required value", "target.name")])
    if isinstance(wanted, dict) and wanted.get("kind") not in (None, "", "Node"):
        words = f'Unsupported value: "{wanted["kind"]}": supported values: "Node", "<empty>"'
        raise Invalid("Binding", "", target.name, [Cause("FieldValueNotSupported", words, "target.kind")])
    call.server.registry.bind(target.namespace, target.name, node)
    await call.server.etcd.durable()
    return call.reply(_SUCCESS, 201)


async def evict(call: Call) -> Answer:
    """``POST pods/NAME/eviction``: a deletion that heeds disruption budgets."""
    target = call.target
    assert target is not None
    obj = await _body(call)
    call.server.registry.evict(target.namespace, target.name, obj, call.write_options("CreateOptions"))
    await call.server.etcd.durable()
    return call.reply(_SUCCESS, 201)


async def token(call: Call) -> Answer:
    """``POST serviceaccounts/NAME/token``: ``kubectl create token``."""
    target, server = call.target, call.server
    assert target is not None
    obj = await _body(call)
    spec = obj.get("spec") or {}
    if not isinstance(spec, dict):
        raise BadRequest(
            "json: cannot unmarshal string into Go struct field TokenRequest.spec of type v1.TokenRequestSpec"
        )
    account = server.registry.get(kinds.SERVICE_ACCOUNTS, target.namespace, target.name)
    seconds = spec.get("expirationSeconds")
    seconds = DEFAULT_SECONDS if seconds is None else seconds
    causes = []
    field = "spec.expirationSeconds"
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise BadRequest(f"json: cannot unmarshal string into Go struct field TokenRequest.{field} of type int64")
    if seconds < LEAST_SECONDS:
        causes.append(
            Cause(
                "FieldValueInvalid", f"Invalid value: {seconds}: may not specify a duration less than 10 minutes", field
            )
        )
    if seconds > MOST_SECONDS:
        words = f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
        causes.append(Cause("FieldValueInvalid", words, field))
    if causes:
        raise Invalid("TokenRequest", "authentication.k8s.io", "", causes)
    audiences = tuple(item for item in spec.get("audiences") or () if isinstance(item, str))
    issued = server.tokens.issue(
        account, seconds=seconds, audiences=audiences, bound=_bound(call, spec.get("boundObjectRef"))
    )
    status = {"token": issued.text, "expirationTimestamp": rfc3339(issued.expires)}
    shown = {"audiences": list(audiences or AUDIENCES), "expirationSeconds": seconds,
             "boundObjectRef": spec.get("boundObjectRef")}  # fmt: skip
    metadata = {"name": target.name, "namespace": target.namespace, "creationTimestamp": rfc3339(server.clock.time())}
    return call.reply(
        {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": metadata, "spec": shown,
         "status": status}, 201,
    )  # fmt: skip


def _bound(call: Call, reference: object) -> Json | None:
    """What the token shall end with. Raises BadRequest, NotFound, Conflict."""
    if not isinstance(reference, dict) or not reference:
        return None
    assert call.target is not None
    of = {"Pod": kinds.PODS, "Secret": kinds.SECRETS}
    kind = of.get(str(reference.get("kind")))
    if kind is None:
        where = str(reference.get("apiVersion") or "/")
        raise BadRequest(f"cannot bind token to object of type {where}, Kind={reference.get('kind')}")
    found = call.server.registry.get(kind, call.target.namespace, str(reference.get("name")))
    uid = reference.get("uid")
    if uid and uid != uid_of(found):
        problem = (
            f"the UID in the bound object reference ({uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise Conflict(kind.plural, "", str(reference.get("name")), problem)
    return found


_STREAMS: dict[str, Handler] = {
    "log": logs.serve,
    "exec": attaching.serve_exec,
    "attach": attaching.serve_attach,
    "portforward": portforward.serve,
    "proxy": proxying.serve,
}
_CREATED: dict[str, Handler] = {"binding": bind, "eviction": evict, "token": token}


def find(call: Call) -> Handler | None:
    """The handler of a call for a sub-resource."""
    assert call.target is not None
    name = call.target.subresource
    return _STREAMS.get(name) or _CREATED.get(name) or resources.VERBS.get(call.verb)
