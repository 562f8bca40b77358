"""The OpenAPI definitions of Kubernetes, read when first asked for.

They come with the package ``kubernetes-validate``, which generates them from Kubernetes' own ``swagger.json``. Its
module is never imported (it would bring ``jsonschema`` along); only its data file is read. Reading it takes some ten
milliseconds, so it is done once, on the first need. What stays in memory is what the served kinds reach, without its
prose: some 270 definitions of 770, 110 kB of JSON instead of 1.6 MB. Who needs the prose (``kubectl explain``) asks
:func:`described`, which reads the file again and keeps nothing.
"""

from __future__ import annotations

import functools
import importlib.util
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json

SCHEMA_VERSION = "v1.36.0"

# Bodies that are no resources of their own: of sub-resources, of DELETE, and what errors are.
_BODIES = (
    ("", "v1", "Binding"),
    ("", "v1", "DeleteOptions"),
    ("", "v1", "Status"),
    ("policy", "v1", "Eviction"),
    ("autoscaling", "v1", "Scale"),
    ("authentication.k8s.io", "v1", "TokenRequest"),
)
_PREFIX = "#/$defs/"
_NESTED = ("items", "additionalProperties")

INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
MICRO_TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"
FIELDS_V1 = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class Unknown(KeyError):
    """There is no definition of that name or kind."""


def definition(kind: Kind) -> Json:
    """The definition of a kind, without descriptions. Shared: not to be changed."""
    return _definitions()[name_of(kind.group, kind.version, kind.kind)]


def named(name: str) -> Json:
    """The definition with that full name, e.g. ``io.k8s.api.core.v1.PodSpec``."""
    try:
        return _definitions()[name]
    except KeyError:
        raise Unknown(name) from None


def name_of(group: str, version: str, kind: str) -> str:
    """The full name of a kind's definition: ``io.k8s.api.apps.v1.Deployment``."""
    try:
        return _loaded()[1][group, version, kind]
    except KeyError:
        raise Unknown(f"{group}/{version} {kind}") from None


def reference(schema: Json) -> str:
    """The full name of the definition that a schema refers to; "" when it is written out in place."""
    ref = schema.get("$ref")
    return ref.removeprefix(_PREFIX) if ref else ""


def resolve(schema: Json | str) -> Json:
    """What a schema (or ``$ref``) says once its reference is followed; patch metadata at the reference is not lost.

    ``x-kubernetes-patch-merge-key`` and the like stand beside ``$ref`` at the place of use; so do lists' kinds.
    """
    if isinstance(schema, str):
        return named(schema.removeprefix(_PREFIX))
    ref = schema.get("$ref")
    if ref is None:
        return schema
    target = named(ref.removeprefix(_PREFIX))
    if len(schema) == 1:
        return target
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def walk(schema: Json, path: Iterable[str | int]) -> Json | None:
    """The schema at a path below ``schema``, with references followed: a field's name, a map's key or an index.

    None when the schema knows no such field; ``{}`` below what may hold anything (``FieldsV1``, raw extensions).
    """
    found = resolve(schema)
    for step in path:
        properties = found.get("properties")
        if properties is not None:
            below = properties.get(step)
        else:
            below = found.get("items" if isinstance(step, int) else "additionalProperties")
            if below is None and found.get("type") == "object":
                return {}
        if below is None:
            return None
        found = resolve(below)
    return found


def reachable(names: Iterable[str]) -> list[str]:
    """The full names of these definitions and all that they refer to, sorted."""
    return sorted(_reach(names, _definitions()))


def described(names: Iterable[str]) -> dict[str, Json]:
    """These definitions and all that they refer to with their descriptions, read anew: for ``explain``."""
    document = _read()
    return {name: _tidy(document[name], prose=True) for name in sorted(_reach(names, document))}


def source() -> pathlib.Path:
    """The data file within the installed package."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.origin:
        raise RuntimeError("the package kubernetes-validate is not installed: it holds the API's definitions")
    folder = pathlib.Path(spec.origin).parent / "kubernetes-json-schema"
    return folder / f"{SCHEMA_VERSION}-local" / "_definitions.json"


def _definitions() -> dict[str, Json]:
    return _loaded()[0]


@functools.cache
def _loaded() -> tuple[dict[str, Json], dict[tuple[str, str, str], str]]:
    document = _read()
    index = {
        (entry["group"], entry["version"], entry["kind"]): name
        for name, schema in document.items()
        for entry in schema.get("x-kubernetes-group-version-kind", ())
    }
    served = [*((kind.group, kind.version, kind.kind) for kind in kinds.KINDS), *_BODIES]
    names = {entry: index[entry] for entry in served}
    return {name: _tidy(document[name]) for name in _reach(names.values(), document)}, names


def _read() -> dict[str, Json]:
    found: dict[str, Json] = orjson.loads(source().read_bytes())["$defs"]
    return found


def _reach(names: Iterable[str], document: dict[str, Json]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(document[name])
    return found


def _references(schema: Json) -> Iterator[str]:
    if "$ref" in schema:
        yield reference(schema)
    for below in schema.get("properties", {}).values():
        yield from _references(below)
    for key in _NESTED:
        if key in schema:
            yield from _references(schema[key])


def _tidy(schema: Json, *, prose: bool = False) -> Json:
    """A definition as Kubernetes serves it: the package lets every optional value be null, and pins kinds by enum."""
    tidy: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, list):
            tidy[key] = next(one for one in value if one != "null")
        elif key == "properties":
            tidy[key] = {name: _property(name, below, prose) for name, below in value.items()}
        elif key in _NESTED:
            tidy[key] = _tidy(value, prose=prose)
        elif key == "oneOf":
            tidy[key] = [_tidy(one, prose=prose) for one in value]
        elif prose or key != "description":
            tidy[key] = value
    return tidy


def _property(name: str, schema: Json, prose: bool) -> Json:
    tidy = _tidy(schema, prose=prose)
    if name in ("apiVersion", "kind"):
        tidy.pop("enum", None)
    return tidy
