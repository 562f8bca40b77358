"""Which slices to write so that each endpoint is in one of them, with as few writes as possible. Pure.

``staging/src/k8s.io/endpointslice/reconciler.go``: an endpoint stays in the slice where it is; slices that have to be
written anyway are filled up first, then one that has room for all the rest, and only then are new ones made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from labkit.embedded.kubernetes.controllers.serving import HEADLESS, LAST_CHANGE
from labkit.embedded.kubernetes.objects import Json, annotations_of, labels_of, owners_of

MAX_ENDPOINTS = 100
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
RESERVED = (SERVICE_NAME, MANAGED_BY, HEADLESS)

Ports = tuple[tuple[str, int, str, str], ...]
Group = tuple[str, Ports]  # address type and ports: what all endpoints of a slice have in common
EndpointKey = tuple[str, str]  # address, and the uid of what is behind it


@dataclass(frozen=True, slots=True)
class Template:
    """What all slices of one Service (or Endpoints object) have in common."""

    owner: Json  # the reference
    namespace: str
    prefix: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str] | None = None  # None: whatever there is
    placeholders: tuple[str, ...] = ()  # address types that shall have a slice even when there are no endpoints

    def slice(self, group: Group) -> Json:
        """A new one, without endpoints."""
        address_type, ports = group
        metadata: Json = {
            "generateName": self.prefix,
            "namespace": self.namespace,
            "labels": dict(self.labels),
            "ownerReferences": [self.owner],
        }
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": address_type,
            "endpoints": [],
            "ports": [_port(*port) for port in ports],
        }

    def owns(self, slice: Json) -> bool:
        return any(owner["uid"] == self.owner["uid"] for owner in owners_of(slice))

    def fits(self, slice: Json) -> bool:
        """Whether its labels and annotations are as they shall be."""
        if dict(labels_of(slice)) != dict(self.labels):
            return False
        said = {key: value for key, value in annotations_of(slice).items() if key != LAST_CHANGE}
        return self.annotations is None or said == dict(self.annotations)


def _port(name: str, number: int, protocol: str, application: str) -> Json:
    port: Json = {"name": name, "port": number, "protocol": protocol}
    if application:
        port["appProtocol"] = application
    return port


def ports_key(ports: Iterable[Json] | None) -> Ports:
    """The same for the same ports, in whatever order."""
    return tuple(
        sorted((p.get("name") or "", p.get("port") or 0, p.get("protocol", "TCP"), p.get("appProtocol") or "")
               for p in ports or ())
    )  # fmt: skip


def endpoint_key(endpoint: Json) -> EndpointKey:
    return endpoint["addresses"][0], (endpoint.get("targetRef") or {}).get("uid", "")


@dataclass(slots=True)
class Plan:
    """What is to be written. ``update`` are whole objects, with name and resourceVersion of what they replace."""

    create: list[Json] = field(default_factory=list)
    update: list[Json] = field(default_factory=list)
    delete: list[Json] = field(default_factory=list)

    def stamp(self, changed_at: str) -> None:
        """Say since when it should be so (``last-change-trigger-time``), or that nobody knows ("")."""
        for slice in (*self.create, *self.update):
            _stamp(slice, changed_at)

    def __bool__(self) -> bool:
        return bool(self.create or self.update or self.delete)


def plan(
    template: Template,
    slices: Iterable[Json],
    wanted: Mapping[Group, Mapping[EndpointKey, Json]],
    limit: int = MAX_ENDPOINTS,
) -> Plan:
    """Bring ``slices`` (those that there are) to hold exactly the ``wanted`` endpoints."""
    todo = Plan()
    mine: dict[Group, list[Json]] = {}
    for slice in slices:
        if template.owns(slice):
            mine.setdefault((slice["addressType"], ports_key(slice.get("ports"))), []).append(slice)
        else:
            todo.delete.append(slice)  # of an earlier Service of that name
    for group, endpoints in wanted.items():
        if endpoints:
            _fill(template, group, mine.pop(group, []), dict(endpoints), todo, limit)
    kept = {group[0] for group, endpoints in wanted.items() if endpoints}
    for address_type in template.placeholders:
        if address_type not in kept:
            _placeholder(template, address_type, mine, todo)
    for group in mine:
        todo.delete += mine[group]
    _reuse(template, todo)
    return todo


def _fill(
    template: Template, group: Group, slices: list[Json], left: dict[EndpointKey, Json], todo: Plan, limit: int
) -> None:
    """Bring the slices of one group in order; ``left`` is used up."""
    written: list[Json] = []
    unchanged: list[Json] = []
    for slice in slices:
        now = slice.get("endpoints") or []
        kept = []
        same = True
        for endpoint in now:
            wants = left.pop(endpoint_key(endpoint), None)
            if wants is None:
                same = False
                continue
            kept.append(wants)
            same = same and (wants is endpoint or wants == endpoint)
        if now and not kept:
            todo.delete.append(slice)
        elif same and template.fits(slice):
            unchanged.append(slice)
        else:
            written.append(_changed(template, slice, kept))
    rest = list(left.values())
    # The fullest first, so that few slices stay half empty.
    for slice in sorted(written, key=lambda slice: -len(slice["endpoints"])):
        room = limit - len(slice["endpoints"])
        slice["endpoints"] += rest[:room]
        rest = rest[room:]
    while rest:
        fitting = None
        if len(rest) < limit:
            rooms = [(limit - len(slice.get("endpoints") or ()) - len(rest), i) for i, slice in enumerate(unchanged)]
            fitting = min((room for room in rooms if 0 <= room[0] < limit), default=None)
        if fitting is not None:
            slice = unchanged.pop(fitting[1])
            written.append(_changed(template, slice, [*(slice.get("endpoints") or ()), *rest]))
            rest = []
        else:
            slice = template.slice(group)
            slice["endpoints"] = rest[:limit]
            rest = rest[limit:]
            todo.create.append(slice)
    todo.update += written


def _placeholder(template: Template, address_type: str, mine: dict[Group, list[Json]], todo: Plan) -> None:
    """Keep or make the one empty slice that says that there are no endpoints."""
    group: Group = (address_type, ())
    there = mine.get(group) or []
    empty = next((slice for slice in there if not slice.get("endpoints")), None)
    if empty is None:
        todo.create.append(template.slice(group))
        return
    there.remove(empty)
    if not template.fits(empty):
        todo.update.append(_changed(template, empty, []))


def _reuse(template: Template, todo: Plan) -> None:
    """A slice that would be deleted becomes one that would be made: one write instead of two."""
    for old in list(todo.delete):
        new = next((new for new in reversed(todo.create) if new["addressType"] == old["addressType"]), None)
        if new is None or not template.owns(old):
            continue
        todo.create.remove(new)
        todo.delete.remove(old)
        changed = _changed(template, old, new["endpoints"])
        changed["ports"] = new["ports"]
        todo.update.append(changed)


def _changed(template: Template, slice: Json, endpoints: list[Json]) -> Json:
    metadata = {**slice["metadata"], "labels": dict(template.labels)}
    if template.annotations:
        metadata["annotations"] = dict(template.annotations)
    elif template.annotations is not None:
        metadata.pop("annotations", None)
    return {**slice, "metadata": metadata, "endpoints": endpoints}


def _stamp(slice: Json, changed_at: str) -> None:
    annotations = {key: value for key, value in annotations_of(slice).items() if key != LAST_CHANGE}
    if changed_at:
        annotations[LAST_CHANGE] = changed_at
    if annotations:
        slice["metadata"]["annotations"] = annotations
    else:
        slice["metadata"].pop("annotations", None)
