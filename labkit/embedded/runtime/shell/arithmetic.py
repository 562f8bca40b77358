"""``$((…))``: integers of 64 bits with C's operators, assignments included."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

_TOKEN = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|[0-9]+|[A-Za-z_][A-Za-z0-9_]*|<<=|>>=|\*\*|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%<>=!~&|^?:(),])"
)
_BINARY: dict[str, int] = {
    op: level
    for level, ops in enumerate(
        ("||", "&&", "|", "^", "&", "== !=", "< > <= >=", "<< >>", "+ -", "* / %", "**"), start=1
    )
    for op in ops.split()
}
_ASSIGN = frozenset(("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="))


class BadExpression(Exception):
    """The expression makes no sense, or divides by zero."""


def evaluate(expression: str, get: Callable[[str], str], put: Callable[[str, str], None]) -> int:
    """The value of an expression; ``get`` and ``put`` read and write the shell's variables."""
    return _Evaluator(expression, get, put).value()


class _Evaluator:
    def __init__(self, text: str, get: Callable[[str], str], put: Callable[[str, str], None]) -> None:
        self._tokens: list[str] = []
        self._at = 0
        self._get, self._put = get, put
        self._depth = 0
        self._off = 0  # inside the side of && || ?: that is not taken: nothing is assigned, nothing divides
        position = 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if found is None:
                raise BadExpression("arithmetic syntax error")
            self._tokens.append(found.group(1))
            position = found.end()

    def value(self) -> int:
        if not self._tokens:
            return 0
        result = self._comma()
        if self._at < len(self._tokens):
            raise BadExpression("arithmetic syntax error")
        return result

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _comma(self) -> int:
        result = self._assignment()
        while self._peek() == ",":
            self._take()
            result = self._assignment()
        return result

    def _assignment(self) -> int:
        self._depth += 1
        if self._depth > 50:
            raise BadExpression("expression recursion loop detected")
        try:
            name = self._peek()
            if _is_name(name) and self._tokens[self._at + 1 : self._at + 2] and self._tokens[self._at + 1] in _ASSIGN:
                self._at += 1
                operator = self._take()
                value = self._assignment()
                if operator != "=":
                    value = self._apply(operator[:-1], self._variable(name), value)
                return self._assign(name, value)
            return self._conditional()
        finally:
            self._depth -= 1

    def _conditional(self) -> int:
        condition = self._binary(1)
        if self._peek() != "?":
            return condition
        self._take()
        first = self._maybe(bool(condition), self._comma)
        if self._take() != ":":
            raise BadExpression("malformed ?: operator")
        second = self._maybe(not condition, self._assignment)
        return first if condition else second

    def _maybe(self, wanted: bool, read: Callable[[], int]) -> int:
        self._off += not wanted
        try:
            return read()
        finally:
            self._off -= not wanted

    def _binary(self, level: int) -> int:
        left = self._unary()
        while (found := _BINARY.get(self._peek(), 0)) >= level:
            operator = self._take()
            following = found if operator == "**" else found + 1
            if operator in ("&&", "||"):
                needed = bool(left) == (operator == "&&")
                right = self._maybe(needed, partial(self._binary, following))
                left = int(bool(left) and bool(right)) if operator == "&&" else int(bool(left) or bool(right))
            else:
                left = self._apply(operator, left, self._binary(following))
        return left

    def _unary(self) -> int:
        self._depth += 1
        if self._depth > 60:
            raise BadExpression("expression recursion loop detected")
        try:
            token = self._take()
            if token in ("++", "--") and _is_name(self._peek()):
                name = self._take()
                return self._assign(name, self._variable(name) + (1 if token == "++" else -1))
            if token in ("-", "+", "!", "~", "++", "--"):
                value = self._unary()
                return _wrap({"-": -value, "!": int(not value), "~": ~value}.get(token, value))
            if token == "(":
                value = self._comma()
                if self._take() != ")":
                    raise BadExpression("arithmetic syntax error")
                return value
            if _is_name(token):
                value = self._variable(token)
                if self._peek() in ("++", "--"):
                    self._assign(token, value + (1 if self._take() == "++" else -1))
                return value
            return _number(token)
        finally:
            self._depth -= 1

    def _variable(self, name: str) -> int:
        text = self._get(name).strip()
        if not text:
            return 0
        if _is_name(text):  # a variable that names another one
            self._depth += 1
            if self._depth > 60:
                raise BadExpression("expression recursion loop detected")
            try:
                return self._variable(text)
            finally:
                self._depth -= 1
        negative = text.startswith("-")
        value = _number(text.lstrip("+-"))
        return -value if negative else value

    def _assign(self, name: str, value: int) -> int:
        if not self._off:
            self._put(name, str(_wrap(value)))
        return _wrap(value)

    def _apply(self, operator: str, a: int, b: int) -> int:
        if operator in ("/", "%"):
            if b == 0:
                if self._off:
                    return 0
                raise BadExpression("divide by zero")
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)  # C rounds towards zero
            return _wrap(quotient if operator == "/" else a - b * quotient)
        if operator == "**":
            if b < 0:
                raise BadExpression("exponent less than 0")
            return _wrap(pow(a, b, 1 << 64))
        return _wrap(_SIMPLE[operator](a, b))


_SIMPLE: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "<<": lambda a, b: a << (b & 63),
    ">>": lambda a, b: a >> (b & 63),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b),
    "<=": lambda a, b: int(a <= b),
    ">=": lambda a, b: int(a >= b),
}


def _wrap(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _is_name(token: str) -> bool:
    return bool(token) and (token[0].isalpha() or token[0] == "_")


def _number(token: str) -> int:
    try:
        if token[:2] in ("0x", "0X"):
            return _wrap(int(token, 16))
        return _wrap(int(token, 8) if len(token) > 1 and token[0] == "0" else int(token))
    except ValueError:
        raise BadExpression("arithmetic syntax error") from None
