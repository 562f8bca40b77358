"""How a write or a deletion is asked for: the options of requests, without their wire."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.users import User

ORPHAN = "Orphan"
BACKGROUND = "Background"
FOREGROUND = "Foreground"


@dataclass(slots=True)
class WriteOptions:
    """How an object is written.

    ``manager`` is the field manager for ``managedFields`` ("": the user's agent is not known, none are kept).
    ``validation`` is what becomes of fields that the kind does not have: ``Ignore`` drops them, ``Warn`` says so in
    ``warnings``, ``Strict`` refuses the object. ``force`` takes over fields that others have applied.
    ``trusted`` is for the sandbox's own components, whose objects are of the right shape: they are not checked for it.
    ``fields`` is the set of fields of a new object, if its maker knows it from another one of the very same form.
    ``twice`` are paths of keys that the body had more than once, which count as much as unknown ones.
    """

    manager: str = ""
    dry_run: bool = False
    validation: str = "Warn"
    force: bool = False
    user: User | None = None
    trusted: bool = False
    fields: Json | None = None
    twice: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class DeleteOptions:
    """How an object is to go (``metav1.DeleteOptions``).

    ``propagation`` is ``Orphan``, ``Background``, ``Foreground`` or None for the kind's default; ``orphan_dependents``
    is its predecessor. ``uid`` and ``resource_version`` are preconditions.
    """

    grace_period_seconds: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    propagation: str | None = None
    orphan_dependents: bool | None = None
    dry_run: bool = False
    user: User | None = None

    def copy(self) -> DeleteOptions:
        return replace(self)
