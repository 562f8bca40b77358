"""Who wrote what into a cluster, in the order in which its store got it: the hand-overs of one request, to read.

A watch brings every revision of an object; revisions are counted over all objects, so they put the writes of several
watches into one order. Who wrote is in the object itself (``metadata.managedFields``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from labkit.errors import ClusterError
from labkit.orchestrators.kubernetes.connection import Connection
from labkit.orchestrators.kubernetes.reading import owner_of

Json = Mapping[str, Any]

WATCHED = (
    ("Deployment", "/apis/apps/v1", "deployments"),
    ("ReplicaSet", "/apis/apps/v1", "replicasets"),
    ("Pod", "/api/v1", "pods"),
)
_LONGEST = 600.0  # seconds; a diary that is forgotten ends by itself
_AT_ONCE = 10  # seconds for each list


@dataclass(frozen=True, slots=True)
class Entry:
    """One write: ``revision`` of the store, who wrote, the object, and what is different since."""

    revision: int
    who: str
    kind: str
    name: str
    what: str


class Diary:
    """Writes down every change of Deployments, ReplicaSets and Pods from now on, for ten minutes at most.

    ``print(diary)``, or show it as the last line of a cell; :meth:`close` ends it.
    """

    def __init__(self, sandbox: Any, namespace: str = "default") -> None:
        """Returns when nothing that is written from now on can be missed. Raises ClusterError."""
        self._connection = Connection(sandbox.env["KUBECONFIG"], _AT_ONCE)
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        for kind, group, resource in WATCHED:
            path = f"{group}/namespaces/{namespace}/{resource}"
            found = self._connection.get(path)
            before = {item["metadata"]["uid"]: item for item in found["items"] or ()}
            follow = threading.Thread(
                target=self._follow, args=(kind, path, found["metadata"]["resourceVersion"], before), daemon=True,
                name=f"diary {resource}",
            )  # fmt: skip
            follow.start()

    @property
    def entries(self) -> list[Entry]:
        """What was written until now, in the store's order."""
        with self._lock:
            return sorted(self._entries, key=lambda entry: entry.revision)

    def close(self) -> None:
        """Write nothing down any more."""
        self._connection.close()

    def _follow(self, kind: str, path: str, since: str, before: dict[str, Json]) -> None:
        try:
            for event in self._connection.watch(path, since, _LONGEST):
                if event["type"] == "BOOKMARK":
                    continue
                now = event["object"]
                entry = read(kind, before.get(now["metadata"]["uid"]), now, event["type"])
                before[now["metadata"]["uid"]] = now
                if entry is not None:
                    with self._lock:
                        self._entries.append(entry)
        except ClusterError:
            return  # the API server went away, and with it whatever could be written

    def __str__(self) -> str:
        rows = [("revision", "who", "object", "what is new"), *map(_row, self.entries)]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join("  ".join((*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[3])) for row in rows)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="text-align:left">{title}</th>' for title in ("revision", "who", "object", "new"))
        rows = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in _row(entry)) + "</tr>"
            for entry in self.entries
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(entry: Entry) -> tuple[str, str, str, str]:
    return str(entry.revision), entry.who, f"{entry.kind} {entry.name}", entry.what


# -- what a write means: pure ---------------------------------------------------------------------------------------


def read(kind: str, before: Json | None, now: Json, event: str = "MODIFIED") -> Entry | None:
    """What is different between two revisions of an object; None when it is nothing to tell."""
    revision, name = int(now["metadata"]["resourceVersion"]), now["metadata"]["name"]
    if event == "DELETED":
        return Entry(revision, "", kind, name, "gone")
    if before is None:
        return Entry(revision, _author(before, now), kind, name, f"created: {_MADE[kind](now)}")
    if "deletionTimestamp" in now["metadata"] and "deletionTimestamp" not in before["metadata"]:
        return Entry(revision, "", kind, name, "is to go")
    if not (before.get("spec") or {}).get("nodeName") and (node := (now.get("spec") or {}).get("nodeName")):
        # The binding is the one write that leaves no name behind; only a scheduler may do it.
        return Entry(revision, now["spec"].get("schedulerName", "scheduler"), kind, name, f"bound to {node}")
    what = [*_spec(before, now), *_STATUS[kind](before, now)]
    return Entry(revision, _author(before, now), kind, name, ", ".join(what)) if what else None


def _author(before: Json | None, now: Json) -> str:
    """The manager whose entry of ``managedFields`` is new or changed.

    Its stamp is in seconds: who writes twice in one leaves no trace the second time, and was the last to write before.
    """
    known = (before["metadata"].get("managedFields") or ()) if before else ()
    there = now["metadata"].get("managedFields") or ()
    fresh = [entry for entry in there if entry not in known] or sorted(there, key=lambda e: e.get("time", ""))
    return str(fresh[-1].get("manager", "")) if fresh else ""


def _replicas(item: Json) -> int:
    wanted = (item.get("spec") or {}).get("replicas")
    return 1 if wanted is None else int(wanted)


def _wants(item: Json) -> str:
    return f"{_pods(_replicas(item))} wanted"


def _pods(count: int) -> str:
    return f"{count} pod{'' if count == 1 else 's'}"


def _for_owner(item: Json) -> str:
    owner = owner_of(item)
    return f"on no node yet, for {owner['kind']} {owner['name']}" if owner else "on no node yet, for nobody"


_MADE: Mapping[str, Callable[[Json], str]] = {"Deployment": _wants, "ReplicaSet": _wants, "Pod": _for_owner}


def _spec(before: Json, now: Json) -> list[str]:
    told = []
    if "replicas" in (now.get("spec") or {}) and _replicas(before) != _replicas(now):
        told.append(f"now {_wants(now)}")
    if before["metadata"].get("labels") != now["metadata"].get("labels"):
        told.append("other labels")
    if _image(before) != _image(now):
        told.append(f"now of {_image(now)}")
    return told


def _image(item: Json) -> str:
    spec = item.get("spec") or {}
    containers = ((spec.get("template") or {}).get("spec") or spec).get("containers") or [{}]
    return str(containers[0].get("image", ""))


def _counts(before: Json, now: Json) -> list[str]:
    """The status of whoever counts pods."""
    old, new = before.get("status") or {}, now.get("status") or {}
    fields = ("replicas", "readyReplicas")
    if all(old.get(field) == new.get(field) for field in fields):
        return []
    return [f"counts {_pods(new.get('replicas') or 0)}, {new.get('readyReplicas') or 0} ready"]


def _pod(before: Json, now: Json) -> list[str]:
    old, new = before.get("status") or {}, now.get("status") or {}
    told = []
    if old.get("phase") != new.get("phase"):
        told.append(str(new.get("phase")))
    if new.get("podIP") and new.get("podIP") != old.get("podIP"):
        told.append(new["podIP"])
    if _ready(old) != _ready(new):
        told.append("ready" if _ready(new) else "not ready")
    if not told and not old.get("containerStatuses") and new.get("containerStatuses"):
        told.append("its kubelet has it")
    return told


def _ready(status: Json) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())


_STATUS: Mapping[str, Callable[[Json, Json], list[str]]] = {"Deployment": _counts, "ReplicaSet": _counts, "Pod": _pod}
