"""Resources that are answered and not kept: who am I, may I, is this token good, are the components well."""

from __future__ import annotations

from collections.abc import Callable

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.apiserver import bodies, negotiation, render
from labkit.embedded.kubernetes.apiserver.answers import Answer
from labkit.embedded.kubernetes.apiserver.authorization import Attributes
from labkit.embedded.kubernetes.apiserver.calls import Call
from labkit.embedded.kubernetes.errors import BadRequest, Cause, Invalid, MethodNotAllowed, NotFound, Unauthorized
from labkit.embedded.kubernetes.etcd import Record
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import Listing
from labkit.embedded.kubernetes.users import User

_META: Json = {"metadata": {}}


async def answer(call: Call) -> Answer:
    """The answer for a kind that is not stored."""
    kind = call.kind
    if kind is kinds.COMPONENT_STATUSES:
        return _components(call)
    if kind is kinds.CUSTOM_RESOURCE_DEFINITIONS:
        return _read(call, [])
    if call.raw.method != "POST":
        raise MethodNotAllowed
    obj = bodies.check_kind(await call.body(kind.kind), kind)
    spec = obj.get("spec") or {}
    if not isinstance(spec, dict):
        raise BadRequest(
            f"json: cannot unmarshal {bodies.gojson.kind(spec)} into Go struct field {kind.kind}.spec of type "
            f"v1.{kind.kind}Spec"
        )
    status, shown = _REVIEWS[kind.kind](call, spec)
    metadata = obj.get("metadata") or {}
    return call.reply(
        {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata, **shown, "status": status}, 201
    )


Review = Callable[[Call, Json], tuple[Json, Json]]  # the spec -> the status, and the rest that is shown


def _text(spec: Json, name: str) -> str:
    value = spec.get(name)
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


# -- who am I


def _self_subject(call: Call, spec: Json) -> tuple[Json, Json]:
    return {"userInfo": user_info(call.user)}, {}


def user_info(user: User) -> Json:
    """``authentication/v1.UserInfo``."""
    found: Json = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {key: list(values) for key, values in user.extra.items()}
    return found


def _token(call: Call, spec: Json) -> tuple[Json, Json]:
    token = _text(spec, "token")
    if not token:
        raise BadRequest("token is required for TokenReview in authentication")
    wanted = _texts(spec.get("audiences"))
    try:
        user, audiences = call.server.tokens.check(token, wanted)
    except Unauthorized:
        return {"user": {}, "error": "invalid bearer token"}, {"spec": spec}
    return {"authenticated": True, "user": user_info(user), "audiences": list(audiences)}, {"spec": spec}


# -- may I


def _invalid(field: str, value: str, problem: str) -> Invalid:
    """The real one does not say which review it is."""
    cause = Cause("FieldValueInvalid", f"Invalid value: {value}: {problem}", field)
    return Invalid("", "authorization.k8s.io", "", [cause])


def _attributes(spec: Json) -> Attributes:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    problem = ""
    if resource is not None and other is not None:
        problem = "cannot be specified in combination with resourceAttributes"
    elif resource is None and other is None:
        problem = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
    for found in (resource, other):
        if found is not None and not isinstance(found, dict):
            problem = "must be an object"
    if problem:
        field = "spec.nonResourceAttributes" if resource is not None else "spec.resourceAttributes"
        value = "null" if resource is None else "object"
        raise _invalid(field, f'"{value}"', problem)
    if isinstance(other, dict):
        return Attributes(_text(other, "verb").lower(), path=_text(other, "path"))
    assert isinstance(resource, dict)
    return Attributes(
        verb=_text(resource, "verb"),
        group=_text(resource, "group"),
        version=_text(resource, "version"),
        resource=_text(resource, "resource"),
        subresource=_text(resource, "subresource"),
        namespace=_text(resource, "namespace"),
        name=_text(resource, "name"),
    )


def _decide(call: Call, user: User, asked: Attributes) -> Json:
    allowed, reason = call.server.authorizer.decide(user, asked)
    return {"allowed": allowed, "reason": reason} if reason else {"allowed": allowed}


def _self_access(call: Call, spec: Json) -> tuple[Json, Json]:
    return _decide(call, call.user, _attributes(spec)), {"spec": spec}


def _access(call: Call, spec: Json) -> tuple[Json, Json]:
    asked = _attributes(spec)
    name, groups = _text(spec, "user"), _texts(spec.get("groups"))
    if not name and not groups:
        raise _invalid("spec.user", '""', "at least one of user or group must be specified")
    assert call.target is not None
    if call.target.namespace and asked.namespace != call.target.namespace:
        field = "spec.resourceAttributes.namespace"
        raise _invalid(field, f'"{asked.namespace}"', "must match metadata.namespace")
    return _decide(call, User(name, groups), asked), {"spec": spec}


def _rules(call: Call, spec: Json) -> tuple[Json, Json]:
    namespace = _text(spec, "namespace")
    if not namespace:
        raise BadRequest("no namespace on request")
    rules = call.server.authorizer.rules(call.user, namespace)
    return {
        "resourceRules": [rule.as_json() for rule in rules if not rule.urls],
        "nonResourceRules": [rule.as_json() for rule in rules if rule.urls],
        "incomplete": False,
    }, {"spec": {}}


_REVIEWS: dict[str, Review] = {
    "SelfSubjectReview": _self_subject,
    "TokenReview": _token,
    "SelfSubjectAccessReview": _self_access,
    "SubjectAccessReview": _access,
    "LocalSubjectAccessReview": _access,
    "SelfSubjectRulesReview": _rules,
}


# -- are the components well


def _components(call: Call) -> Answer:
    """``kubectl get componentstatuses``, deprecated since 1.19 and still everybody's first look."""
    call.warnings.append("v1 ComponentStatus is deprecated in v1.19+")
    health = call.server.components_health()
    return _read(call, [_component(call.kind, name, problem) for name, problem in sorted(health.items())])


def _read(call: Call, found: list[Json]) -> Answer:
    """The list of these, or the one that was asked for."""
    kind, target = call.kind, call.target
    assert target is not None
    form = negotiation.accepted(call.raw.headers.get("Accept", ""))
    if not target.name:
        return render.many(call, Listing(kind, [Record(obj, 0) for obj in found], 0), form)
    for obj in found:
        if obj["metadata"]["name"] == target.name:
            return render.one(call, kind, obj, form)
    raise NotFound(kind.plural, kind.group, target.name)


def _component(kind: Kind, name: str, problem: str) -> Json:
    condition: Json = {"type": "Healthy", "status": "False" if problem else "True", "message": problem or "ok"}
    return {
        "kind": kind.kind,
        "apiVersion": kind.api_version,
        "metadata": {"name": name},
        "conditions": [condition],
    }
