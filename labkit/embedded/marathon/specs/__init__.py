"""What an app and a group are, and which ones Marathon takes. Pure.

``read_json`` reads a body; ``parse_app``, ``update_app``, ``update_apps`` and ``update_group`` make of it an ``App``
or a new root ``Group``; ``prepare`` gives a changed root group its service ports and versions and sees whether it makes
sense as a whole. All of them raise ``SpecError``, which knows its status and its answer.
"""

from __future__ import annotations

from labkit.embedded.marathon.specs import paths
from labkit.embedded.marathon.specs.app import App, Port, Unreachable
from labkit.embedded.marathon.specs.config import Config
from labkit.embedded.marathon.specs.errors import (
    AppLocked,
    AppRejected,
    Conflict,
    Malformed,
    NoSuchApp,
    NoSuchGroup,
    NoSuchPath,
    NotJson,
    SpecError,
    Unprocessable,
)
from labkit.embedded.marathon.specs.groups import Group, empty_root
from labkit.embedded.marathon.specs.groupupdates import update_enforce_role, update_group
from labkit.embedded.marathon.specs.preparing import prepare
from labkit.embedded.marathon.specs.reading import RollBack, parse_app, read_json, update_app, update_apps
from labkit.embedded.marathon.specs.roles import enforces_role
from labkit.embedded.marathon.specs.versions import NEVER, Versions, timestamp

__all__ = [
    "NEVER",
    "App",
    "AppLocked",
    "AppRejected",
    "Config",
    "Conflict",
    "Group",
    "Malformed",
    "NoSuchApp",
    "NoSuchGroup",
    "NoSuchPath",
    "NotJson",
    "Port",
    "RollBack",
    "SpecError",
    "Unprocessable",
    "Unreachable",
    "Versions",
    "empty_root",
    "enforces_role",
    "parse_app",
    "paths",
    "prepare",
    "read_json",
    "timestamp",
    "update_app",
    "update_apps",
    "update_enforce_role",
    "update_group",
]
