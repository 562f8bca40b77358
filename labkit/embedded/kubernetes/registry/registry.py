"""The face of the registry: the verbs, for every kind."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.etcd import Etcd, Record
from labkit.embedded.kubernetes.fieldselectors import FieldSelector
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import deleting, patching, reading, watching, writing
from labkit.embedded.kubernetes.registry.admission import Admission
from labkit.embedded.kubernetes.registry.expiry import Expiry
from labkit.embedded.kubernetes.registry.names import Names
from labkit.embedded.kubernetes.registry.options import DeleteOptions, WriteOptions
from labkit.embedded.kubernetes.registry.reading import Listing
from labkit.embedded.kubernetes.registry.selection import selection
from labkit.embedded.kubernetes.registry.strategies import strategies
from labkit.embedded.kubernetes.registry.subresources import binding, scale
from labkit.embedded.kubernetes.registry.subresources import eviction as evictions
from labkit.embedded.kubernetes.registry.watching import Watch
from labkit.embedded.kubernetes.selectors import Selector
from labkit.embedded.runtime.addresses import AddressPool
from labkit.embedded.runtime.clock import Clock

Change = Callable[[Json], Json | None]


class Registry:
    """Everything that may be done with the objects in ``etcd``. Synchronous; raises ``StatusError``.

    Objects that are passed in become the store's: do not change them afterwards. Objects that come out are shared with
    everybody: never change them.

    ``services`` is the range that Services get their addresses from; without it they get none.
    """

    def __init__(
        self, etcd: Etcd, clock: Clock, *, services: AddressPool | None = None, rng: random.Random | None = None
    ) -> None:
        self.etcd = etcd
        self.clock = clock
        self.rng = rng if rng is not None else random.Random()
        self.names = Names(self.rng)
        self.services = services
        self.admission = Admission(self)
        self.expiry = Expiry(self)
        self.strategies = strategies(self)

    # -- reading

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """One object. Raises ``NotFound``."""
        return self.record(kind, namespace, name).obj

    def record(self, kind: Kind, namespace: str, name: str) -> Record:
        """The same with its encoded bytes."""
        record = self.etcd.get(kind, (namespace, name))
        if record is None:
            raise self.not_found(kind, name)
        return record

    def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str | Selector | None = None,
        fields: str | FieldSelector | None = None,
        limit: int = 0,
        continue_: str = "",
        version: str = "",
        match: str = "",
    ) -> Listing:
        """Objects of a kind, of all namespaces or one, in the order of their keys.

        Raises:
            BadRequest: a selector or a token that is none.
            Expired: the token's or the exact version's state is not known any more.
            Timeout: the version is yet to come.
        """
        wanted = selection(kind, namespace, labels, fields)
        return reading.list_objects(
            self.etcd, kind, wanted, limit=limit, continue_=continue_, version=version, match=match
        )

    def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str | Selector | None = None,
        fields: str | FieldSelector | None = None,
        version: str = "",
        bookmarks: bool = False,
        initial: bool = False,
    ) -> Watch:
        """Hear of changes after ``version``; without one, of everything that is there first.

        Raises:
            Expired: the history does not go back that far.
        """
        wanted = selection(kind, namespace, labels, fields)
        return watching.open_watch(self.etcd, kind, wanted, version=version, bookmarks=bookmarks, initial=initial)

    # -- writing

    def create(self, kind: Kind, namespace: str, obj: Json, options: WriteOptions | None = None) -> Json:
        """Make a new object and return it as it is stored."""
        return writing.create(self, kind, namespace, obj, options or WriteOptions()).obj

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        obj: Json,
        options: WriteOptions | None = None,
        *,
        subresource: str = "",
    ) -> Json:
        """Put an object in the place of the one of that name; its resourceVersion, if it has one, must be the newest.

        ``subresource`` is "" (everything but status), ``status``, ``finalize`` (namespaces), ``ephemeralcontainers``
        (pods) or ``scale``, for which ``obj`` is a ``Scale`` and so is what is returned.
        """
        options = options or WriteOptions()
        if subresource == "scale":
            return scale.update(self, kind, namespace, name, obj, options)
        return writing.update(self, kind, namespace, name, obj, options, subresource).obj

    def modify(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Change,
        options: WriteOptions | None = None,
        *,
        subresource: str = "",
    ) -> Json:
        """Read, change and write in one go. ``change`` returns a new object (see ``objects.edited``), or None."""
        record = self.record(kind, namespace, name)
        new = change(record.obj)
        if new is None:
            return record.obj
        return writing.replace(self, kind, record, new, options or WriteOptions(), subresource).obj

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        media_type: str,
        body: Any,
        options: WriteOptions | None = None,
        *,
        subresource: str = "",
    ) -> tuple[Json, bool]:
        """Lay a patch (decoded) over an object: JSON, merge, strategic merge or apply, by its media type.

        Returns the object, and whether an apply has created it.
        """
        options = options or WriteOptions()
        if subresource == "scale":
            return scale.patch(self, kind, namespace, name, media_type, body, options), False
        record, created = patching.patch(self, kind, namespace, name, media_type, body, options, subresource)
        return record.obj, created

    def delete(self, kind: Kind, namespace: str, name: str, options: DeleteOptions | None = None) -> Json:
        """Ask for an object's end. Returns the object as long as it is still there, else mostly a ``Status``."""
        return deleting.delete(self, kind, namespace, name, options or DeleteOptions())

    def delete_collection(
        self, kind: Kind, namespace: str, options: DeleteOptions | None = None, **selected: Any
    ) -> Listing:
        """Delete all that a list with the same selection finds; returns that list."""
        found = self.list(kind, namespace, **selected)
        deleting.delete_collection(self, kind, found.records, options or DeleteOptions())
        return found

    # -- sub-resources

    def scale(self, kind: Kind, namespace: str, name: str) -> Json:
        """The ``Scale`` (autoscaling/v1) of an object."""
        return scale.get(self, kind, namespace, name)

    def bind(self, namespace: str, pod: str, node: str, *, uid: str = "", dry_run: bool = False) -> Json:
        """Give a pod (of that UID) to a node. Raises ``Conflict`` when it has one."""
        return binding.bind(self, namespace, pod, node, uid=uid, dry_run=dry_run)

    def evict(self, namespace: str, pod: str, eviction: Json, options: WriteOptions | None = None) -> Json:
        """Delete a pod if its disruption budgets allow it, else raise ``TooManyRequests``."""
        return evictions.evict(self, namespace, pod, eviction, options or WriteOptions())

    # -- for the modules of this package

    def not_found(self, kind: Kind, name: str) -> NotFound:
        return NotFound(kind.plural, kind.group, name)

    def remove(self, kind: Kind, record: Record) -> Record:
        """Take an object out of the store, whatever it says. Returns its last record."""
        metadata = record.obj["metadata"]
        gone = self.etcd.delete(kind, (metadata.get("namespace", ""), metadata["name"]))
        self.strategies[kind].deleted(record.obj)
        return gone
