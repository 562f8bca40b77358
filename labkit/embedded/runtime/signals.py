"""Linux's signals by name, whatever system this runs on, and what they do to a process that has no handler."""

from __future__ import annotations

_NAMES = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU "
    "URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)
NUMBERS = {name: number for number, name in enumerate(_NAMES.split(), start=1)}
NAMES = {number: name for name, number in NUMBERS.items()}

SIGHUP, SIGINT, SIGQUIT, SIGKILL = (NUMBERS[n] for n in ("HUP", "INT", "QUIT", "KILL"))
SIGUSR1, SIGUSR2 = NUMBERS["USR1"], NUMBERS["USR2"]
SIGPIPE, SIGALRM, SIGTERM, SIGCHLD, SIGCONT, SIGSTOP = (
    NUMBERS[n] for n in ("PIPE", "ALRM", "TERM", "CHLD", "CONT", "STOP")
)
SIGSEGV, SIGWINCH = NUMBERS["SEGV"], NUMBERS["WINCH"]

IGNORED = frozenset(NUMBERS[name] for name in ("CHLD", "CONT", "URG", "WINCH"))  # by default, by every process
STOPPING = frozenset(NUMBERS[name] for name in ("STOP", "TSTP", "TTIN", "TTOU"))


class InvalidSignal(ValueError):
    """Not a signal of Linux; in the engine's words."""

    def __init__(self, given: str) -> None:
        super().__init__(f"invalid signal: {given}")


def number(given: str | int) -> int:
    """The number of ``SIGTERM``, ``term`` or ``15``, as the Docker Engine reads it; :class:`InvalidSignal` else."""
    text = str(given).strip().upper()
    if text.isdigit():
        if 1 <= int(text) <= 64:
            return int(text)
        raise InvalidSignal(str(given))
    found = NUMBERS.get(text.removeprefix("SIG"))
    if found is None:
        raise InvalidSignal(str(given))
    return found
