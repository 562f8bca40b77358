"""Field selectors: which fields of each kind may be asked for, and how they are read.

``k8s.io/apimachinery/pkg/fields`` and each kind's ``conversion.go``, with their grammar and their words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def _path(path: str, absent: str = "") -> Callable[[Json], str]:
    """Reads a dotted path; ``absent`` is Go's zero value where that is not the empty string."""
    parts = path.split(".")

    def read(obj: Json) -> str:
        found: Any = obj
        for part in parts:
            found = found.get(part)
            if found is None:
                return absent
        return _text(found)

    return read


def _paths(*paths: str) -> dict[str, Callable[[Json], str]]:
    return {path: _path(path) for path in paths}


_ANY = _paths("metadata.name", "metadata.namespace")


def _pod_ips(pod: Json) -> str:
    return (pod.get("status") or {}).get("podIP", "")


def _event_source(event: Json) -> str:
    return (event.get("source") or {}).get("component") or event.get("reportingComponent") or ""


@dataclass(frozen=True, slots=True)
class _Fields:
    """What a kind's field selectors may name, and what is said of others."""

    known: Mapping[str, Callable[[Json], str]]
    words: str = "field label not supported: {name}"


_DEFAULT = _Fields(_ANY, '"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"')

# pkg/apis/*/v1/conversion.go (what may be asked) and each strategy's ToSelectableFields (what is found).
_FIELDS: Mapping[str, _Fields] = {
    "pods": _Fields(
        {
            **_ANY,
            **_paths("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName"),
            **_paths("status.phase", "status.podIP", "status.nominatedNodeName"),
            "spec.hostNetwork": _path("spec.hostNetwork", "false"),
            "status.podIPs": _pod_ips,
        }
    ),
    "nodes": _Fields({**_paths("metadata.name"), "spec.unschedulable": _path("spec.unschedulable", "false")}),
    "namespaces": _Fields(_paths("metadata.name", "status.phase")),
    "replicationcontrollers": _Fields({**_ANY, "status.replicas": _path("status.replicas", "0")}),
    "secrets": _Fields({**_ANY, **_paths("type")}),
    "services": _Fields({**_ANY, **_paths("spec.clusterIP", "spec.type")}),
    "events": _Fields(
        {
            **_ANY,
            **_paths("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid"),
            **_paths("involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath"),
            **_paths("reason", "reportingComponent", "type"),
            "source": _event_source,
        }
    ),
    "jobs.batch": _Fields(
        {**_ANY, "status.successful": _path("status.succeeded", "0")},
        'field label "{name}" not supported for batchv1.Job',
    ),
}


class FieldSelector:
    """Terms on an object's fields that must all hold: ``(field, value, equal)``."""

    __slots__ = ("_reads", "terms")

    def __init__(self, terms: Iterable[tuple[str, str, bool]], fields: _Fields = _DEFAULT) -> None:
        self.terms = tuple(terms)
        self._reads = tuple((fields.known[name], value, equal) for name, value, equal in self.terms)

    @property
    def empty(self) -> bool:
        return not self.terms

    def matches(self, obj: Json) -> bool:
        return all((read(obj) == value) is equal for read, value, equal in self._reads)

    def exact(self, name: str) -> str | None:
        """The value that a field must have, if the selector says so."""
        return next((value for field, value, equal in self.terms if field == name and equal), None)

    def __str__(self) -> str:
        return ",".join(f"{name}{'=' if equal else '!='}{_escape(value)}" for name, value, equal in self.terms)


def parse_fields(kind: Kind, text: str) -> FieldSelector:
    """A field selector for objects of that kind. Raises :class:`BadRequest` in the real one's words."""
    fields = _FIELDS.get(kind.resource, _DEFAULT)
    terms: list[tuple[str, str, bool]] = []
    for term in sorted(_split_terms(text)):
        if not term:
            continue
        found = re.search(r"!=|==|=", term)
        if found is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")
        name, value = term[: found.start()], _unescape(term[found.end() :])
        if name not in fields.known:
            raise BadRequest(fields.words.format(name=name))
        terms.append((name, value, found[0] != "!="))
    return FieldSelector(terms, fields)


def _split_terms(text: str) -> list[str]:
    """Split at the commas that no backslash protects."""
    return re.findall(r"((?:\\.|[^,\\]|\\$)*)(?:,|$)", text, re.DOTALL)


def _escape(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


def _unescape(value: str) -> str:
    if not any(sign in value for sign in "\\,="):
        return value
    found: list[str] = []
    signs = iter(value)
    for sign in signs:
        if sign == "\\":
            escaped = next(signs, "")
            if escaped not in ("\\", ",", "="):
                raise BadRequest(f"invalid field selector: invalid escape sequence: \\{escaped}")
            found.append(escaped)
        elif sign in ",=":
            raise BadRequest(f"invalid field selector: unescaped character in value: {ord(sign)}")
        else:
            found.append(sign)
    return "".join(found)
