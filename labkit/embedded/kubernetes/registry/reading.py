"""Lists: what is selected, at which revision, in pages.

A page's ``continue`` token names the revision of the first page, and later pages show the state at that revision, which
the store's history gives back. When it no longer can, the answer is 410 with a token to go on inconsistently, as etcd's
compaction has it for the real one (``k8s.io/apiserver/pkg/storage``: ``continue.go``, ``etcd3/store.go``).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from labkit.embedded import gojson
from labkit.embedded.kubernetes.errors import BadRequest, Cause, Expired, Invalid, StatusError, Timeout
from labkit.embedded.kubernetes.etcd import Etcd, Record
from labkit.embedded.kubernetes.etcd.table import INDEXED, Table
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, Key
from labkit.embedded.kubernetes.registry.selection import Selection

EXACT, NOT_OLDER_THAN = "Exact", "NotOlderThan"

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(slots=True)
class Listing:
    """The objects that a list found, and the revision at which they were so.

    ``continue_`` is the token for what did not fit, ``remaining`` how much that is (None when it is not known).
    """

    kind: Kind
    records: list[Record]
    revision: int
    continue_: str = ""
    remaining: int | None = None

    @property
    def items(self) -> list[Json]:
        return [record.obj for record in self.records]

    def __iter__(self) -> Iterator[Json]:
        return (record.obj for record in self.records)

    def __len__(self) -> int:
        return len(self.records)

    def metadata(self) -> Json:
        """The ``ListMeta``."""
        found: Json = {"resourceVersion": str(self.revision)}
        if self.continue_:
            found["continue"] = self.continue_
            if self.remaining is not None:
                found["remainingItemCount"] = self.remaining
        return found

    def encode(self) -> bytes:
        """The list as the API server sends it, from the bytes that the records keep.

        Items of a typed list do not say what they are (``kind`` and ``apiVersion`` are the list's), which the registry
        makes cheap by storing every object with these two first.
        """
        head = b'{"kind":"%s","apiVersion":"%s",' % (self.kind.kind.encode(), self.kind.api_version.encode())
        skip = len(head)
        pieces: list[bytes | memoryview] = [
            b'{"kind":"%s","apiVersion":"%s","metadata":%s,"items":['
            % (self.kind.list_kind.encode(), self.kind.api_version.encode(), orjson.dumps(self.metadata()))
        ]
        between = b"{"
        for record in self.records:
            encoded = record.json
            if encoded.startswith(head):
                pieces += (between, memoryview(encoded)[skip:])
            else:
                pieces += (between[:-1], encoded)
            between = b",{"
        pieces.append(b"]}")
        return b"".join(pieces)


class ContinueExpired(Expired):
    """410 whose Status carries a token with which the list goes on at the newest revision."""

    def __init__(self, token: str) -> None:
        super().__init__(_TOO_OLD)
        self.token = token

    def status(self) -> Json:
        return {**super().status(), "metadata": {"continue": self.token}}


class InvalidVersion(StatusError):
    """A resourceVersion that is no number. The real one answers a plain 500 here, without a reason."""

    code, reason = 500, ""

    def __init__(self, version: str) -> None:
        super().__init__(
            f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
        )


def parse_version(version: str) -> int:
    """0 for none. Raises :class:`InvalidVersion`."""
    if version in ("", "0"):
        return 0
    if not (version.isascii() and version.isdigit()):
        raise InvalidVersion(version)
    return int(version)


def too_large(wanted: int, current: int) -> Timeout:
    """504 for a revision that is yet to come; clients ask again after a second."""
    return Timeout(
        f"Too large resource version: {wanted}, current: {current}",
        1,
        [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
    )


def check_list_options(version: str, match: str, continue_: str) -> None:
    """Raises :class:`Invalid` for options that do not go together (``ValidateListOptions``)."""
    if not match:
        return
    field = "resourceVersionMatch"
    causes: list[Cause] = []

    def forbidden(problem: str) -> None:
        causes.append(Cause("FieldValueForbidden", f"Forbidden: {problem}", field))

    if not version:
        forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided")
    if continue_:
        forbidden("resourceVersionMatch is forbidden when continue is provided")
    if match not in (EXACT, NOT_OLDER_THAN):
        known = f'supported values: "{EXACT}", "{NOT_OLDER_THAN}", ""'
        causes.append(Cause("FieldValueNotSupported", f'Unsupported value: "{match}": {known}', field))
    if match == EXACT and version == "0":
        forbidden('resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    if causes:
        raise Invalid("ListOptions", "meta.k8s.io", "", causes)


def list_objects(
    etcd: Etcd, kind: Kind, selection: Selection, *, limit: int, continue_: str, version: str, match: str
) -> Listing:
    """Find what is selected. Raises ``Expired``, ``Timeout`` (a revision to come), ``BadRequest``, ``Invalid``."""
    check_list_options(version, match, continue_)
    table = etcd.cached(kind) if version == "0" and not continue_ else etcd.table(kind)
    start: Key | None = None
    revision = etcd.revision
    if continue_:
        if version not in ("", "0"):
            raise BadRequest("specifying resource version is not allowed when using continue")
        revision, start = _decode(continue_, selection.namespace)
        if revision < 0:
            revision = etcd.revision
        elif revision < etcd.since(kind):
            raise ContinueExpired(_encode(-1, start, selection.namespace))
    elif (wanted := parse_version(version)) > 0:
        if wanted > etcd.revision:
            raise too_large(wanted, etcd.revision)
        # Without a match, a limit makes it exact (the oldest of the rules, which "Exact" spells out).
        if match == EXACT or (limit > 0 and not match):
            revision = wanted
            if revision < etcd.since(kind):
                raise Expired("The resourceVersion for the provided list is too old.")
    if revision >= table.revision:
        found = _select(kind, table, selection)
    else:
        found = _select_then(etcd.at(kind, revision), selection)
    if start is not None:
        after = f"{start[0]}/{start[1]}"
        found = [record for record in found if _sort(record) > after]
    if limit <= 0 or len(found) <= limit:
        return Listing(kind, found, revision)
    page = found[:limit]
    # What remains is only known where nothing is filtered out: etcd counts keys, not matches.
    remaining = len(found) - limit if selection.matches is None else None
    return Listing(kind, page, revision, _encode(revision, _key(page[-1]), selection.namespace), remaining)


def _select(kind: Kind, table: Table, selection: Selection) -> list[Record]:
    if selection.name and (selection.namespace or not kind.namespaced):
        record = table.records.get((selection.namespace, selection.name))
        return [record] if record is not None and selection.covers(record.obj) else []
    index = (INDEXED[kind][0], selection.index) if selection.by_index else None
    rows = table.records
    keys = table.keys(selection.namespace, index)
    matches = selection.matches
    if matches is None and not selection.name:
        return [rows[key] for key in keys]
    covers = selection.covers
    return [record for key in keys if covers((record := rows[key]).obj)]


def _select_then(records: Mapping[Key, Record], selection: Selection) -> list[Record]:
    return sorted((record for record in records.values() if selection.covers(record.obj)), key=_sort)


def _key(record: Record) -> Key:
    metadata = record.obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _sort(record: Record) -> str:
    key = _key(record)
    return f"{key[0]}/{key[1]}"


_NOT_BASE64 = re.compile(r"[^A-Za-z0-9_-]")


# -- continue tokens: {"v":"meta.k8s.io/v1","rv":…,"start":"<key after the prefix>\u0000"} in base64, as the real one's


def _encode(revision: int, key: Key, namespace: str) -> str:
    start = key[1] if namespace or not key[0] else f"{key[0]}/{key[1]}"
    token = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": f"{start}\0"})
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _decode(token: str, namespace: str) -> tuple[int, Key]:
    """The revision (-1: the newest) and the key after which to go on. Raises :class:`BadRequest`."""
    problem = "invalid continue token: continue key is not valid"
    strange = _NOT_BASE64.search(token)
    if strange or len(token) % 4 == 1:  # Go's decoder says where: one character alone makes no byte
        place = strange.start() if strange else len(token) - 1
        raise BadRequest(f"{problem}: illegal base64 data at input byte {place}")
    try:
        found = gojson.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except gojson.JsonError as error:
        raise BadRequest(f"{problem}: {error}") from None
    found = found if isinstance(found, dict) else {}
    if found.get("v") != "meta.k8s.io/v1":
        raise BadRequest(f"{problem}: server does not recognize this encoded version {found.get('v', '')}")
    revision, start = found.get("rv"), found.get("start")
    if not isinstance(revision, int) or revision == 0:
        raise BadRequest(f"{problem}: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not isinstance(start, str) or not start:
        raise BadRequest(f"{problem}: encoded start key empty (version meta.k8s.io/v1)")
    start = start.removesuffix("\0")
    if namespace:
        return revision, (namespace, start)
    before, _, name = start.rpartition("/")
    return revision, (before, name)
