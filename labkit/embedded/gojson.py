"""JSON as Go's ``encoding/json`` reads it: the same words for the same mistakes.

Clients print an engine's message as it is, so a broken body has to be answered in the engine's words. orjson
decodes; only when it refuses is the text walked again, by a scanner that names the first wrong byte as Go does.
"""

from __future__ import annotations

from typing import Any

import orjson

_SPACE = b" \t\r\n"
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdefABCDEF"
_ESCAPES = b'bfnrt\\/"'


class JsonError(ValueError):
    """The text is not JSON. ``str()`` gives Go's words: ``unexpected EOF``, ``invalid character 'x' …``."""


def decode(data: bytes) -> Any:
    """The first JSON value in ``data``, as ``json.Unmarshal`` would take it.

    Raises:
        JsonError: with Go's words. Trailing text is ``invalid character 'x' after top-level value``.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise JsonError(explain(data) or str(error)) from None


def explain(data: bytes, *, whole: bool = True) -> str:
    """Go's words for what is wrong with ``data``; empty when nothing is.

    Args:
        whole: ``data`` is all there is. If False only its beginning is there, and running out of text is no mistake.
    """
    try:
        end = _Scanner(data).value(0)
        end = _skip(data, end)
        if end < len(data):
            return _invalid(data, end, "after top-level value")
    except _Mistake as mistake:
        return str(mistake)
    except _End:
        return "unexpected EOF" if whole else ""
    except RecursionError:
        return "exceeded max depth"
    return ""


def kind(value: Any) -> str:
    """What Go calls the JSON type of a decoded value in ``cannot unmarshal X into …``."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    names: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


class _Mistake(Exception):
    pass


class _End(Exception):
    pass


# Go quotes the byte as if it were a character, so that what is no UTF-8 reads like Latin-1.
_NAMED = {ord("'"): r"\'", ord('"'): '"', 0x07: r"\a", 0x08: r"\b", 0x0B: r"\v", 0x0C: r"\f"}


def _quoted(byte: int) -> str:
    char = chr(byte)
    if byte in _NAMED:
        shown = _NAMED[byte]
    elif char.isprintable():
        shown = char
    else:
        shown = f"\\u{byte:04x}" if byte >= 0x80 else repr(char)[1:-1]
    return f"'{shown}'"


def _invalid(data: bytes, at: int, context: str) -> str:
    return f"invalid character {_quoted(data[at])} {context}"


def _skip(data: bytes, at: int) -> int:
    while at < len(data) and data[at] in _SPACE:
        at += 1
    return at


class _Scanner:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def at(self, index: int) -> int:
        if index >= len(self.data):
            raise _End
        return self.data[index]

    def fail(self, index: int, context: str) -> _Mistake:
        return _Mistake(_invalid(self.data, index, context))

    def value(self, at: int) -> int:
        at = _skip(self.data, at)
        byte = self.at(at)
        if byte == ord("{"):
            return self.object(at + 1)
        if byte == ord("["):
            return self.array(at + 1)
        if byte == ord('"'):
            return self.string(at + 1)
        if byte == ord("-") or byte in _DIGITS:
            return self.number(at)
        for word in (b"true", b"false", b"null"):
            if byte == word[0]:
                return self.literal(at, word)
        raise self.fail(at, "looking for beginning of value")

    def object(self, at: int) -> int:
        at = _skip(self.data, at)
        if self.at(at) == ord("}"):
            return at + 1
        while True:
            at = _skip(self.data, at)
            if self.at(at) != ord('"'):
                raise self.fail(at, "looking for beginning of object key string")
            at = _skip(self.data, self.string(at + 1))
            if self.at(at) != ord(":"):
                raise self.fail(at, "after object key")
            at = _skip(self.data, self.value(at + 1))
            if self.at(at) == ord("}"):
                return at + 1
            if self.at(at) != ord(","):
                raise self.fail(at, "after object key:value pair")
            at += 1

    def array(self, at: int) -> int:
        at = _skip(self.data, at)
        if self.at(at) == ord("]"):
            return at + 1
        while True:
            at = _skip(self.data, self.value(at))
            if self.at(at) == ord("]"):
                return at + 1
            if self.at(at) != ord(","):
                raise self.fail(at, "after array element")
            at += 1

    def string(self, at: int) -> int:
        while True:
            byte = self.at(at)
            if byte == ord('"'):
                return at + 1
            if byte < 0x20:
                raise self.fail(at, "in string literal")
            if byte == ord("\\"):
                at += 1
                escape = self.at(at)
                if escape == ord("u"):
                    for _ in range(4):
                        at += 1
                        if self.at(at) not in _HEX:
                            raise self.fail(at, "in \\u hexadecimal character escape")
                elif escape not in _ESCAPES:
                    raise self.fail(at, "in string escape code")
            at += 1

    def literal(self, at: int, word: bytes) -> int:
        for offset in range(1, len(word)):
            if self.at(at + offset) != word[offset]:
                expected = f"in literal {word.decode()} (expecting '{chr(word[offset])}')"
                raise self.fail(at + offset, expected)
        return at + len(word)

    def number(self, at: int) -> int:
        if self.data[at] == ord("-"):
            at += 1
            if self.at(at) not in _DIGITS:
                raise self.fail(at, "in numeric literal")
        at = at + 1 if self.data[at] == ord("0") else self.digits(at)
        if at < len(self.data) and self.data[at] == ord("."):
            if self.at(at + 1) not in _DIGITS:
                raise self.fail(at + 1, "after decimal point in numeric literal")
            at = self.digits(at + 1)
        if at < len(self.data) and self.data[at] in b"eE":
            at += 1
            if self.at(at) in b"+-":
                at += 1
            if self.at(at) not in _DIGITS:
                raise self.fail(at, "in exponent of numeric literal")
            at = self.digits(at)
        return at

    def digits(self, at: int) -> int:
        while at < len(self.data) and self.data[at] in _DIGITS:
            at += 1
        return at
