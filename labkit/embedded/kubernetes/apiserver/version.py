"""What the API server says it is."""

from __future__ import annotations

from labkit.embedded.kubernetes import VERSION
from labkit.embedded.kubernetes.objects import Json

_MAJOR, _MINOR = VERSION.removeprefix("v").split(".")[:2]

INFO: Json = {
    "major": _MAJOR,
    "minor": _MINOR,
    "emulationMajor": _MAJOR,
    "emulationMinor": _MINOR,
    "minCompatibilityMajor": _MAJOR,
    "minCompatibilityMinor": str(int(_MINOR) - 1),
    "gitVersion": VERSION,
    "gitCommit": "labkit",
    "gitTreeState": "clean",
    "buildDate": "2026-05-12T00:00:00Z",
    "goVersion": "go1.26.2",
    "compiler": "gc",
    "platform": "linux/amd64",
}
