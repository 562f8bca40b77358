"""The parameters of a request's query, read and refused as the real API server does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from labkit.embedded.kubernetes.errors import BadRequest, Cause, Invalid

META = "meta.k8s.io"
FIELD_MANAGER_MAX = 128
_NONE: Mapping[str, list[str]] = {}


class Query:
    """``?a=b&a=c``: every parameter may be there more than once; mostly the first one counts."""

    __slots__ = ("values",)

    def __init__(self, text: str = "") -> None:
        if text:
            values: dict[str, list[str]] = {}
            for name, value in parse_qsl(text, keep_blank_values=True):
                values.setdefault(name, []).append(value)
            self.values: Mapping[str, list[str]] = values
        else:
            self.values = _NONE

    def get(self, name: str, default: str = "") -> str:
        found = self.values.get(name)
        return found[0] if found else default

    def all(self, name: str) -> list[str]:
        return self.values.get(name, [])

    def flag(self, name: str) -> bool:
        """True unless it is absent, ``false`` or ``0``: any other text counts as true, an empty one as well."""
        found = self.values.get(name)
        return found is not None and found[0].lower() not in ("false", "0")

    def number(self, name: str) -> int | None:
        """A whole number; None when it is absent. Raises BadRequest."""
        text = self.get(name)
        if not text:
            return None
        try:
            value = int(text)
        except ValueError:
            raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
        if not -(2**63) <= value < 2**63:
            raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
        return value

    def __contains__(self, name: str) -> bool:
        return name in self.values


@dataclass(frozen=True, slots=True)
class ListParameters:
    """``ListOptions``: of list, watch and deletecollection."""

    labels: str = ""
    fields: str = ""
    limit: int = 0
    continue_: str = ""
    version: str = ""
    match: str = ""
    watch: bool = False
    bookmarks: bool = False
    initial: bool = False
    timeout: float | None = None


def list_parameters(query: Query, *, watch: bool = False) -> ListParameters:
    """Read and check them. Raises BadRequest and Invalid."""
    if not query.values:
        return _WATCH if watch else _LIST
    found = ListParameters(
        labels=query.get("labelSelector"),
        fields=query.get("fieldSelector"),
        limit=query.number("limit") or 0,
        continue_=query.get("continue"),
        version=query.get("resourceVersion"),
        match=query.get("resourceVersionMatch"),
        watch=watch or query.flag("watch"),
        bookmarks=query.flag("allowWatchBookmarks"),
        initial=query.flag("sendInitialEvents"),
        timeout=query.number("timeoutSeconds"),
    )
    causes = list(_watch_causes(found, query) if found.watch else _list_causes(found, query))
    if causes:
        raise Invalid("ListOptions", META, "", causes)
    return found


_LIST = ListParameters()
_WATCH = ListParameters(watch=True)
_MATCH = "resourceVersionMatch"


def _forbidden(field: str, words: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {words}", field)


def _unsupported(field: str, value: str, supported: Sequence[str]) -> Cause:
    words = ", ".join(f'"{item}"' for item in supported)
    return Cause("FieldValueNotSupported", f"Unsupported value: {value}: supported values: {words}", field)


def _list_causes(found: ListParameters, query: Query) -> Sequence[Cause]:
    causes = []
    if found.match:
        if not found.version:
            causes.append(_forbidden(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if found.continue_:
            causes.append(_forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
        if found.match not in ("Exact", "NotOlderThan"):
            causes.append(_unsupported(_MATCH, f'"{found.match}"', ("Exact", "NotOlderThan", "")))
        if found.match == "Exact" and found.version == "0":
            words = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            causes.append(_forbidden(_MATCH, words))
    if "sendInitialEvents" in query:
        causes.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return causes


def _watch_causes(found: ListParameters, query: Query) -> Sequence[Cause]:
    causes = []
    asked = "sendInitialEvents" in query
    if asked and found.match != "NotOlderThan":
        causes.append(_forbidden(_MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if found.match:
        if not asked:
            words = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            causes.append(_forbidden(_MATCH, words))
        if found.match != "NotOlderThan":
            causes.append(_unsupported(_MATCH, f'"{found.match}"', ("NotOlderThan",)))
        if found.continue_:
            causes.append(_forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
    return causes


@dataclass(frozen=True, slots=True)
class WriteParameters:
    """``CreateOptions``, ``UpdateOptions``, ``PatchOptions``."""

    manager: str = ""
    dry_run: bool = False
    validation: str = "Warn"
    force: bool = False


def write_parameters(query: Query, kind: str, user_agent: str, *, apply: bool = False) -> WriteParameters:
    """Read and check them. ``kind`` is ``CreateOptions`` or another one. Raises Invalid."""
    manager = query.get("fieldManager")
    causes: list[Cause] = []
    if query.values:
        causes = _write_causes(query, kind, manager, apply=apply)
    elif apply:
        causes = [Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")]
    if causes:
        raise Invalid(kind, META, "", causes)
    return WriteParameters(
        manager=manager or manager_of(user_agent),
        dry_run=bool(query.all("dryRun")),
        validation=query.get("fieldValidation") or "Warn",
        force=query.flag("force"),
    )


def _write_causes(query: Query, kind: str, manager: str, *, apply: bool) -> list[Cause]:
    causes = []
    if kind == "PatchOptions":
        if not apply and "force" in query:
            causes.append(_forbidden("force", "may not be specified for non-apply patch"))
        if apply and not manager:
            causes.append(Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager"))
    if len(manager) > FIELD_MANAGER_MAX:
        words = f"Too long: may not be more than {FIELD_MANAGER_MAX} bytes"
        causes.append(Cause("FieldValueTooLong", words, "fieldManager"))
    for position, letter in enumerate(manager):
        if not letter.isprintable():
            words = f'Invalid value: "{manager}": invalid character U+{ord(letter):04X} (at position {position})'
            causes.append(Cause("FieldValueInvalid", words, "fieldManager"))
    causes += dry_run_causes(query.all("dryRun"))
    validation = query.get("fieldValidation")
    if validation not in ("", "Ignore", "Warn", "Strict"):
        causes.append(_unsupported("fieldValidation", f'"{validation}"', ("", "Ignore", "Strict", "Warn")))
    return causes


def dry_run_causes(values: Sequence[str]) -> list[Cause]:
    """What is wrong with ``dryRun``: it may only be ``All``."""
    if all(value == "All" for value in values):
        return []
    shown = "[]string{" + ", ".join(f'"{value}"' for value in values) + "}"
    return [_unsupported("dryRun", shown, ("All",))]


def manager_of(user_agent: str) -> str:
    """The field manager of who names none: the user agent up to its first slash (``managerOrUserAgent``)."""
    return "".join(letter for letter in user_agent.partition("/")[0] if letter.isprintable())[:FIELD_MANAGER_MAX]
