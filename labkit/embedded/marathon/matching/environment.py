"""The environment of a task (``mesos/EnvironmentHelper.scala``, ``TaskBuilder.taskContextEnv``)."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from decimal import Decimal

from labkit.embedded.marathon.specs.app import App, Port

_MAX_LENGTH = 512  # longer labels are left out
_LABEL = "MARATHON_APP_LABEL_"
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]+")
_FIRST_FREE_PORT, _LAST_PORT = 1025, 65535


def double(value: float) -> str:
    """As Java prints a double: ``0.1``, ``128.0``, ``1.0E7``."""
    if not value or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    sign, digits, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    assert isinstance(exponent, int)
    first, rest = str(digits[0]), "".join(str(each) for each in digits[1:])
    return f"{'-' if sign else ''}{first}.{rest or '0'}E{len(rest) + exponent}"


def of_app(app: App) -> dict[str, str]:
    """What is the same for every task of one version of an app."""
    container = app.container or {}
    found = {"MARATHON_APP_ID": app.id, "MARATHON_APP_VERSION": app.version}
    if container.get("type") == "DOCKER":
        found["MARATHON_APP_DOCKER_IMAGE"] = container["docker"]["image"]
    for name, value in app.resources.items():
        found[f"MARATHON_APP_RESOURCE_{name.upper()}"] = str(int(value)) if name == "gpus" else double(value)
    labels = {
        _NOT_IN_NAMES.sub("_", key).upper(): value
        for key, value in app.labels.items()
        if len(key) < _MAX_LENGTH - len(_LABEL) and len(value) < _MAX_LENGTH
    }
    found["MARATHON_APP_LABELS"] = " ".join(labels)
    found.update({_LABEL + key: value for key, value in labels.items()})
    return found


def of_ports(wanted: Sequence[Port], host_ports: Sequence[int | None], rng: random.Random) -> dict[str, str]:
    """``PORT``, ``PORT0``…, ``PORTS``, ``PORT_NAME``: the agent's ports, or the container's where it needs none there.

    ``PORT_8080``, too: whoever asked for a port by its number finds there what it became.
    """
    if not host_ports:
        return {}
    found: dict[str, str] = {}
    invented: dict[int, int] = {}
    in_use = {_asked(port) for port in wanted} | set(host_ports)
    numbers: list[int] = []
    for index, (port, host_port) in enumerate(zip(wanted, host_ports, strict=True)):
        number = host_port if host_port is not None else _asked(port)
        if not number:
            # A container with an address of its own, that does not care where it listens.
            while number in in_use or not number:
                number = rng.randint(_FIRST_FREE_PORT, _LAST_PORT)
            in_use.add(number)
            invented[index] = number
        found[f"PORT{index}"] = str(number)
        numbers.append(number)
    for port, number in zip(wanted, numbers, strict=True):
        found[f"PORT_{_asked(port) or number}"] = str(number)
    for port, number in zip(wanted, numbers, strict=True):
        if port.name is not None:
            found[f"PORT_{port.name.upper()}"] = str(number)
    assigned = [port for port in host_ports if port is not None] + list(invented.values())
    if assigned:
        found["PORT"] = str(assigned[0])
    found["PORTS"] = ",".join(str(port) for port in assigned)
    return found


def _asked(port: Port) -> int:
    """The number by which the app knows the port."""
    return port.service if port.container is None else port.container
