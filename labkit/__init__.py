"""Live container clusters for guided Jupyter labs: Docker Swarm, Kubernetes, Apache Mesos with Marathon.

    import labkit

    swarm = labkit.up("swarm", managers=3, workers=2)
    swarm.dashboard()

Everything public is here: :func:`up`, :func:`attach`, :func:`down`, :func:`sandboxes`, :func:`doctor`, and the
:class:`Sandbox` that the first two return. Names are loaded when they are first used, because ``labkit.embedded``
starts through this package and has to be running within a second.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.diagnosis import doctor
    from labkit.errors import LabkitError
    from labkit.lifecycle import attach, down, sandboxes, up
    from labkit.sandbox import Sandbox

__version__ = "0.1.0"
__all__ = ["LabkitError", "Sandbox", "__version__", "attach", "doctor", "down", "sandboxes", "up"]

_HOMES = {
    "LabkitError": "labkit.errors",
    "Sandbox": "labkit.sandbox",
    "attach": "labkit.lifecycle",
    "doctor": "labkit.diagnosis",
    "down": "labkit.lifecycle",
    "sandboxes": "labkit.lifecycle",
    "up": "labkit.lifecycle",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'labkit' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
