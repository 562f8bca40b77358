"""Signals by name and number, as the engine's API takes them."""

from __future__ import annotations

from ..errors import BadRequest

# Linux on x86-64. The real-time signals are those glibc leaves to programs.
NUMBERS: dict[str, int] = {
    name: number
    for number, name in enumerate(
        "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU "
        "URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(),
        start=1,
    )
}
NUMBERS |= {"IOT": 6, "CLD": 17, "POLL": 29, "UNUSED": 31, "RTMIN": 34, "RTMAX": 64}
NUMBERS |= {f"RTMIN+{n}": 34 + n for n in range(1, 16)} | {f"RTMAX-{n}": 64 - n for n in range(1, 15)}

SIGKILL = NUMBERS["KILL"]
SIGTERM = NUMBERS["TERM"]
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
