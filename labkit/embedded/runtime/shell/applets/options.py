"""Options of the tools, cut as getopt does: letters may be joined, an operand may stand before an option."""

from __future__ import annotations

from labkit.embedded.runtime.shell.context import Failure

Options = dict[str, str]


def parse(
    args: list[str], letters: str, long: dict[str, str] | None = None, *, stop: bool = False
) -> tuple[Options, list[str]]:
    """``letters`` as for getopt (``n:`` takes a value); ``long`` maps long names to letters (``"spider": "s"``).

    Returns the options that were given (the last value of each, "" for those without), and the operands. With
    ``stop`` the first operand ends the options (``env``, ``timeout``). An unknown one is a :class:`Failure`.
    """
    found: Options = {}
    operands: list[str] = []
    rest = list(args)
    takes = {letters[i] for i in range(len(letters) - 1) if letters[i + 1] == ":"}
    while rest:
        arg = rest.pop(0)
        if arg == "--":
            operands += rest
            break
        if arg.startswith("--"):
            name, equals, value = arg[2:].partition("=")
            letter = (long or {}).get(name)
            if letter is None:
                raise Failure(f"unrecognized option: {name}")
            if letter in takes and not equals:
                if not rest:
                    raise Failure(f"option requires an argument: {name}")
                value = rest.pop(0)
            found[letter] = value
        elif len(arg) > 1 and arg[0] == "-":
            cluster = arg[1:]
            while cluster:
                letter, cluster = cluster[0], cluster[1:]
                if letter not in letters or letter == ":":
                    raise Failure(f"unrecognized option: {letter}")
                if letter not in takes:
                    found[letter] = ""
                    continue
                if not cluster and not rest:
                    raise Failure(f"option requires an argument: {letter}")
                found[letter] = cluster or rest.pop(0)
                cluster = ""
        else:
            operands.append(arg)
            if stop:
                operands += rest
                break
    return found, operands


_SUFFIXES = {"": 1, "b": 512, "k": 1024, "K": 1024, "kB": 1000, "m": 1024**2, "M": 1024**2, "G": 1024**3}


def number(text: str, *, what: str = "number") -> int:
    """A whole number with the suffixes that busybox knows."""
    digits = text.rstrip("bkKmMGB")
    suffix = text[len(digits) :]
    if not digits.lstrip("+-").isdigit() or suffix not in _SUFFIXES:
        raise Failure(f"invalid {what} '{text}'")
    return int(digits) * _SUFFIXES[suffix]


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: str) -> float:
    """Seconds of ``1.5``, ``2m``, ``1h``."""
    unit = text[-1:] if text[-1:] in _UNITS else ""
    try:
        value = float(text.removesuffix(unit)) * _UNITS.get(unit, 1.0)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12:
        raise Failure(f"invalid number '{text}'")
    return value
