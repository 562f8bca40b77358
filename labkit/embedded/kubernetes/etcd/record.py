"""What the store keeps and tells: records, changes, and the events of watches."""

from __future__ import annotations

import orjson

from labkit.embedded.kubernetes.objects import Json, Key


class Record:
    """An object at a revision. ``json`` is what goes over the wire and onto disk: encoded once, by whoever asks first.

    The object is shared by everybody and must not be changed.
    """

    __slots__ = ("_json", "obj", "revision")

    def __init__(self, obj: Json, revision: int) -> None:
        self.obj: Json = obj
        self.revision = revision
        self._json: bytes | None = None

    @property
    def json(self) -> bytes:
        """The object as JSON."""
        encoded = self._json
        if encoded is None:
            # A copy, because what orjson returns keeps the 8 KB buffer that it was written into.
            encoded = self._json = bytes(memoryview(orjson.dumps(self.obj)))
        return encoded

    def forget_json(self) -> None:
        """It has been overtaken: hardly anybody will ask for its JSON again, and the history keeps it for minutes."""
        self._json = None

    def cool(self) -> None:
        """Keep the JSON only, which takes a third of the memory; the object is made of it whenever somebody asks."""
        if self._json is not None:
            del self.obj
            self.__class__ = _Cool

    def __repr__(self) -> str:
        metadata = self.obj["metadata"]
        return f"<Record {self.obj.get('kind')} {metadata.get('namespace', '')}/{metadata.get('name')} {self.revision}>"


class _Cool(Record):
    """A record without its object."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Json:
        """Called for what is not there."""
        if name != "obj" or self._json is None:
            raise AttributeError(name)
        obj: Json = orjson.loads(self._json)
        return obj

    def forget_json(self) -> None:
        """It is all there is."""

    def cool(self) -> None:
        """It is."""


class Event:
    """What a watcher is told: ``ADDED``, ``MODIFIED``, ``DELETED`` or ``BOOKMARK``, and the object.

    Watchers that are told the same share one event, and so the encoded object in it.
    """

    __slots__ = ("record", "type")

    def __init__(self, type: str, record: Record) -> None:
        self.type = type
        self.record = record

    @property
    def obj(self) -> Json:
        return self.record.obj

    @property
    def revision(self) -> int:
        return self.record.revision

    @property
    def line(self) -> bytes:
        """The event as a line of the HTTP stream. Not kept: the history would hold every object's JSON twice."""
        return b'{"type":"%s","object":%s}\n' % (self.type.encode(), self.record.json)

    def __repr__(self) -> str:
        return f"<{self.type} {self.record!r}>"


class Change:
    """One revision of one object: what was there before, what is there now (None: nothing)."""

    __slots__ = ("_added", "_deleted", "_modified", "key", "new", "old", "revision")

    def __init__(self, key: Key, old: Record | None, new: Record | None, revision: int) -> None:
        self.key = key
        self.old = old
        self.new = new
        self.revision = revision
        self._added: Event | None = None
        self._modified: Event | None = None
        self._deleted: Event | None = None

    # A watcher with a selector may be told of one change as another type than its neighbour, so there are up to three
    # events; each is made for the first watcher that needs it.

    @property
    def added(self) -> Event:
        """It came to be, or came to match."""
        if self._added is None:
            assert self.new is not None
            self._added = Event("ADDED", self.new)
        return self._added

    @property
    def modified(self) -> Event:
        if self._modified is None:
            assert self.new is not None
            self._modified = Event("MODIFIED", self.new)
        return self._modified

    @property
    def deleted(self) -> Event:
        """It is gone, or matches no longer: the object as it last was, at the revision of its end.

        That is what the real watch cache sends in both cases (``cacher.go``: ``getMutableObject(event.PrevObject)``).
        """
        if self._deleted is None:
            assert self.old is not None
            obj = dict(self.old.obj)
            obj["metadata"] = {**obj["metadata"], "resourceVersion": str(self.revision)}
            self._deleted = Event("DELETED", Record(obj, self.revision))
        return self._deleted

    @property
    def size(self) -> int:
        """Bytes that the history holds because of it, roughly. What is still current costs nothing; an update shares
        most with its successor; what is gone would be gone altogether."""
        if self.old is None:
            return 200
        return 6000 if self.new is None else 2500

    @property
    def plain(self) -> Event:
        """What somebody without a selector is told."""
        if self.new is None:
            return self.deleted
        return self.added if self.old is None else self.modified

    def __repr__(self) -> str:
        return f"<Change {self.key} {self.old} -> {self.new}>"
