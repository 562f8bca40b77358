"""Signals by name and number, as the engine's API takes them."""

from __future__ import annotations

from labkit.embedded.runtime.signals import NUMBERS as _PLAIN
from labkit.embedded.swarm.errors import BadRequest

# The real-time signals are those that glibc leaves to programs.
NUMBERS: dict[str, int] = {
    **_PLAIN,
    "IOT": 6,
    "CLD": 17,
    "POLL": 29,
    "UNUSED": 31,
    "RTMIN": 34,
    "RTMAX": 64,
    **{f"RTMIN+{n}": 34 + n for n in range(1, 16)},
    **{f"RTMAX-{n}": 64 - n for n in range(1, 15)},
}
SIGKILL = NUMBERS["KILL"]
_VALID = frozenset(range(1, 32)) | frozenset(range(34, 65))


def parse_signal(text: str) -> int:
    """``9``, ``KILL`` or ``sigkill`` to 9. Raises :class:`BadRequest` ``invalid signal: x`` as moby/sys/signal does."""
    if text.lstrip("-").isdigit():
        number = int(text)
        if number == 0:
            raise BadRequest(f"invalid signal: {text}")
    else:
        name = text.upper().removeprefix("SIG")
        if name not in NUMBERS:
            raise BadRequest(f"invalid signal: {text}")
        number = NUMBERS[name]
    if number not in _VALID:
        raise BadRequest(f"the linux daemon does not support signal {number}")
    return number
