"""Resource quantities: ``100m``, ``1.5Gi``, ``2e3`` (``k8s.io/apimachinery/pkg/api/resource``).

A quantity is a number and one of three ways to write it: decimal (``m``, ``k``, ``M``…), binary (``Ki``, ``Mi``…) or
with an exponent of ten. The API server gives back the *canonical* text: the largest suffix that leaves no fraction.
What is smaller than a billionth is rounded up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_TEXT = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)")

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_NAMES = {exponent: name for name, exponent in _DECIMAL.items()}
_BINARY_NAMES = {0: "", **{exponent: name for name, exponent in _BINARY.items()}}

_WRONG_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_WRONG_NUMBER = "unable to parse numeric part of quantity"
_WRONG_SUFFIX = "unable to parse quantity's suffix"

_BILLION = 10**9
_MOST = (2**63 - 1) * _BILLION  # more than 63 bits hold is capped
_LONGEST = 1000  # characters; nobody writes more, and numbers of any length would take any time


class QuantityError(ValueError):
    """The text is no quantity; the words are the real parser's."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """So many billionths, and how they are written: ``decimal`` (SI), ``binary`` (Ki, Mi) or ``exponent`` (e3)."""

    nanos: int
    form: str = "decimal"

    def __str__(self) -> str:
        return _format(self.nanos, self.form)

    @property
    def value(self) -> int:
        """In whole units, rounded up: bytes, cores, pods."""
        return -(-self.nanos // _BILLION)

    @property
    def milli(self) -> int:
        """In thousandths, rounded up: millicores."""
        return -(-self.nanos // 1_000_000)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos + other.nanos, self.form if self.nanos else other.form)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos - other.nanos, self.form if self.nanos else other.form)

    def __lt__(self, other: Quantity) -> bool:
        return self.nanos < other.nanos

    def __le__(self, other: Quantity) -> bool:
        return self.nanos <= other.nanos


ZERO = Quantity(0)


@lru_cache(maxsize=4096)
def parse(text: str | int | float) -> Quantity:
    """A quantity as the API takes it: text, or a number. Raises :class:`QuantityError`."""
    if not isinstance(text, str):
        text = repr(text) if isinstance(text, float) else str(text)
    found = _TEXT.fullmatch(text.strip()) if 0 < len(text) <= _LONGEST else None
    if found is None:
        raise QuantityError(_WRONG_FORMAT)
    sign, whole, fraction, suffix = found.groups()
    fraction = fraction or ""
    power, base, form = _suffix(suffix)
    if not whole and not fraction:
        raise QuantityError(_WRONG_NUMBER)
    # digits * 10**-len(fraction) * base**power, in billionths, what is less than one of them rounded up
    above, below = int(whole + fraction) * _BILLION, 10 ** len(fraction)
    if power >= 0:
        above *= base**power
    else:
        below *= base**-power
    nanos = min(-(-above // below), _MOST)
    return Quantity(-nanos if sign == "-" else nanos, form)


def _suffix(suffix: str) -> tuple[int, int, str]:
    """Power, base and form."""
    if suffix in _DECIMAL:
        return _DECIMAL[suffix], 10, "decimal"
    if suffix in _BINARY:
        return _BINARY[suffix], 2, "binary"
    exponent = _EXPONENT.fullmatch(suffix)
    if exponent is None or len(exponent[1]) > 9:
        raise QuantityError(_WRONG_SUFFIX)
    # Far beyond either end nothing is left but a billionth or the cap, so the power need not be taken.
    return max(-2000, min(2000, int(exponent[1]))), 10, "exponent"


def _format(nanos: int, form: str) -> str:
    if nanos == 0:
        return "0"
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    if form == "binary" and nanos >= 1024 * _BILLION and nanos % _BILLION == 0:
        number, power = nanos // _BILLION, 0
        while number % 1024 == 0 and power < 60:
            number, power = number // 1024, power + 10
        return f"{sign}{number}{_BINARY_NAMES[power]}"
    number, power = nanos, -9
    while number % 1000 == 0 and power < 18:
        number, power = number // 1000, power + 3
    if form == "exponent":
        return f"{sign}{number}e{power}" if power else f"{sign}{number}"
    return f"{sign}{number}{_DECIMAL_NAMES[power]}"


def canonical(text: str | int | float) -> str:
    """The text that the API server gives back: ``1000m`` is ``1``, ``1.5Gi`` is ``1536Mi``."""
    return str(parse(text))


def is_zero(text: str | int | float) -> bool:
    return parse(text).nanos == 0


def same(one: str | int | float, other: str | int | float) -> bool:
    """Whether they are the same amount, however written."""
    return parse(one).nanos == parse(other).nanos


def compare(one: str | int | float, other: str | int | float) -> int:
    """-1, 0 or 1."""
    a, b = parse(one).nanos, parse(other).nanos
    return (a > b) - (a < b)
