"""The text of a label selector (``app=web,tier in (a,b)``), scanned and parsed.

The grammar of ``k8s.io/apimachinery/pkg/labels``, with the words in which its parser complains.
"""

from __future__ import annotations

from labkit.embedded.kubernetes.labelrules import label_key_problems
from labkit.embedded.kubernetes.selectors import EVERYTHING, Requirement, Selector, SelectorError, check

_BLANKS = " \t\r\n"
_SPECIAL = "=!(),><"
_TOKENS = {")", ",", "!", "==", "=", ">", "in", "<", "!=", "notin", "("}
_END = ""
_IDENTIFIER = "identifier"
_BROKEN = "error"
_OPERATORS = {"in": "in", "=": "=", "==": "==", ">": "gt", "<": "lt", "notin": "notin", "!=": "!="}
_BINARY = "in, notin, =, ==, !=, gt, lt"


def parse(text: str) -> Selector:
    """A selector as ``kubectl -l`` and the query parameter ``labelSelector`` have it. Raises :class:`SelectorError`."""
    return _Parser(text).parse() if text else EVERYTHING


def _scan(text: str) -> list[tuple[str, str]]:
    """Tokens and their literals; the last one is the end."""
    found: list[tuple[str, str]] = []
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in _BLANKS:
            at += 1
        if at >= end:
            found.append((_END, ""))
            return found
        if text[at] not in _SPECIAL:
            start = at
            while at < end and text[at] not in _SPECIAL and text[at] not in _BLANKS:
                at += 1
            word = text[start:at]
            found.append((word if word in _TOKENS else _IDENTIFIER, word))
            continue
        if text[at : at + 2] in _TOKENS:  # "==" and "!=" before "=" and "!"
            found.append((text[at : at + 2], text[at : at + 2]))
            at += 2
        else:
            found.append((text[at], text[at]))
            at += 1


class _Parser:
    def __init__(self, text: str) -> None:
        self._items = _scan(text)
        self._at = 0

    def _look(self) -> tuple[str, str]:
        token, literal = self._items[self._at]
        return (_IDENTIFIER if token in ("in", "notin") else token), literal  # they may be keys and values, too

    def _next(self) -> tuple[str, str]:
        item = self._look()
        self._at += 1
        return item

    def parse(self) -> Selector:
        found: list[Requirement] = []
        while True:
            token, literal = self._look()
            if token == _END:
                return Selector(found)
            if token not in (_IDENTIFIER, "!"):
                raise SelectorError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            token, literal = self._next()
            if token == _END:
                return Selector(found)
            if token != ",":
                raise SelectorError(f"found '{literal}', expected: ',' or 'end of string'")
            token, literal = self._look()
            if token not in (_IDENTIFIER, "!"):
                raise SelectorError(f"found '{literal}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        token, key = self._next()
        absent = token == "!"
        if absent:
            token, key = self._next()
        if token != _IDENTIFIER:
            raise SelectorError(f"found '{key}', expected: identifier")
        if wrong := label_key_problems(key):
            raise SelectorError(f'<nil>: Invalid value: "{key}": {"; ".join(wrong)}')
        if absent:
            return check(Requirement(key, "!"))
        if self._look()[0] in (_END, ","):
            return check(Requirement(key, "exists"))
        token, literal = self._items[self._at]
        self._at += 1
        if token not in _OPERATORS:
            raise SelectorError(f"found '{literal}', expected: {_BINARY}")
        operator = _OPERATORS[token]
        values = self._values() if operator in ("in", "notin") else self._value()
        return check(Requirement(key, operator, values))

    def _values(self) -> tuple[str, ...]:
        token, literal = self._next()
        if token != "(":
            raise SelectorError(f"found '{literal}' expected: '('")
        token, literal = self._look()
        if token == ")":
            self._at += 1
            return ("",)
        if token not in (_IDENTIFIER, ","):
            raise SelectorError(f"found '{literal}', expected: ',', ')' or identifier")
        found = self._identifiers()
        self._at += 1  # the closing parenthesis, which ended the list
        return tuple(sorted(found))

    def _identifiers(self) -> set[str]:
        found: set[str] = set()
        while True:
            token, literal = self._next()
            following, text = self._look() if token != _END else (_END, "")
            if token == _IDENTIFIER:
                found.add(literal)
                if following == ")":
                    return found
                if following != ",":
                    raise SelectorError(f"found '{text}', expected: ',' or ')'")
            elif token == ",":
                if not found or following in (")", ","):  # "(,", ",)" and ",," hold an empty value
                    found.add("")
                if following == ")":
                    return found
            else:
                raise SelectorError(f"found '{literal}', expected: ',', or identifier")

    def _value(self) -> tuple[str, ...]:
        token, literal = self._look()
        if token in (_END, ","):
            return ("",)
        self._at += 1
        if token != _IDENTIFIER:
            raise SelectorError(f"found '{literal}', expected: identifier")
        return (literal,)
