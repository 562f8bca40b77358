"""Expansion of words: parameters, substitutions, arithmetic, field splitting, patterns."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache

from labkit.embedded.runtime.files import Files
from labkit.embedded.runtime.shell.arithmetic import evaluate
from labkit.embedded.runtime.shell.syntax import Arithmetic, Literal, Parameter, Sequence, Substitution, Word
from labkit.embedded.runtime.shell.variables import MAX_VALUE, State, Unset
from labkit.embedded.runtime.streams import TooMuch

MAX_FIELDS = 20_000
MAX_MATCHED = 8192  # characters of a value that ${x#pattern} works on


class Expander:
    """Expands words for one shell. ``substitute`` runs the commands of a ``$(…)`` and returns what they wrote."""

    def __init__(self, state: State, files: Files, substitute: Callable[[Sequence], Awaitable[str]]) -> None:
        self.state = state
        self._files = files
        self._substitute = substitute

    async def fields(self, words: list[Word]) -> list[str]:
        """The arguments that these words become."""
        result: list[str] = []
        for word in words:
            if len(word) == 1 and isinstance(word[0], Literal):
                literal = word[0]
                if literal.quoted or not _magic(literal.text):
                    result.append(literal.text)
                    continue
            for pieces in await self._split(word):
                result += self._glob(pieces)
            if len(result) > MAX_FIELDS:
                raise TooMuch
        return result

    async def text(self, word: Word) -> str:
        """One string, without splitting or patterns: assignments, redirections."""
        return "".join(text for text, _ in await self._joined(word))

    async def pattern(self, word: Word) -> str:
        """A pattern for :func:`matches`, in which what was quoted stands for itself."""
        return "".join(_escape(text) if quoted else text for text, quoted in await self._joined(word))

    async def _joined(self, word: Word) -> list[tuple[str, bool]]:
        pieces: list[tuple[str, bool]] = []
        for index, part in enumerate(word):
            if isinstance(part, Literal):
                pieces.append((self._tilde(part.text) if index == 0 and not part.quoted else part.text, part.quoted))
            else:
                separator = " " if not (isinstance(part, Parameter) and part.joined) else self._separator()
                pieces.append((separator.join(await self._values(part)), part.quoted))
        if sum(len(text) for text, _ in pieces) > MAX_VALUE:
            raise TooMuch
        return pieces

    # fields ---------------------------------------------------------------------------------------------------

    async def _split(self, word: Word) -> list[list[tuple[str, bool]]]:
        fields: list[list[tuple[str, bool]]] = []
        current: list[tuple[str, bool]] | None = None  # None: nothing has begun
        for index, part in enumerate(word):
            if isinstance(part, Literal):
                text = self._tilde(part.text) if index == 0 and not part.quoted else part.text
                current = [*(current or []), (text, part.quoted)]
                continue
            many = isinstance(part, Parameter) and part.all and part.operator != "len"
            values = await self._values(part)
            if many and part.quoted and isinstance(part, Parameter) and part.joined:
                values, many = [self._separator().join(values)], False
            if part.quoted:
                if not many:
                    current = [*(current or []), ("".join(values), True)]
                    continue
                for number, value in enumerate(values):
                    if number:
                        fields.append(current or [])
                        current = None
                    current = [*(current or []), (value, True)]
                continue
            for number, value in enumerate(values):
                if number and current is not None:
                    fields.append(current)
                    current = None
                leads, cut, trails = cut_fields(value, self._ifs())
                if leads and current is not None:
                    fields.append(current)
                    current = None
                for position, text in enumerate(cut):
                    if position and current is not None:
                        fields.append(current)
                        current = None
                    current = [*(current or []), (text, False)]
                if trails and current is not None:
                    fields.append(current)
                    current = None
                if len(fields) > MAX_FIELDS:
                    raise TooMuch
        if current is not None:
            fields.append(current)
        return fields

    def _ifs(self) -> str:
        found = self.state.get("IFS")
        return " \t\n" if found is None else found

    def _separator(self) -> str:
        return self._ifs()[:1]

    def _tilde(self, text: str) -> str:
        if text == "~" or text.startswith("~/"):
            return (self.state.get("HOME") or "/root") + text[1:]
        return text

    def _glob(self, pieces: list[tuple[str, bool]]) -> list[str]:
        plain = "".join(text for text, _ in pieces)
        if "f" in self.state.options or not any(_magic(text) and not quoted for text, quoted in pieces):
            return [plain]
        pattern = "".join(_escape(text) if quoted else text for text, quoted in pieces)
        return self._files.glob(pattern, self.state.cwd) or [plain]

    # values ---------------------------------------------------------------------------------------------------

    async def _values(self, part: Parameter | Substitution | Arithmetic) -> list[str]:
        if isinstance(part, Substitution):
            return [await self._substitute(part.body)]
        if isinstance(part, Arithmetic):
            state = self.state
            return [str(evaluate(await self.text(part.word), lambda name: state.get(name) or "", state.put))]
        if part.all and not part.operator:
            return list(self.state.positional if part.subscript is None else self.state.values(part.name))
        return await self._parameter(part)

    async def _element(self, part: Parameter) -> str | None:
        """``${name[index]}``; all of them in one text where there is room for one only."""
        values = self.state.values(part.name)
        if part.all:
            return " ".join(values) if values else None
        state = self.state
        index = evaluate(await self.text(part.subscript or ()), lambda name: state.get(name) or "", state.put)
        return values[index] if -len(values) <= index < len(values) else None

    def value(self, name: str) -> str | None:
        """The value of a parameter, None when it is not set."""
        state = self.state
        if name.isdigit():
            number = int(name)
            if number == 0:
                return state.name
            return state.positional[number - 1] if number <= len(state.positional) else None
        special = {
            "?": lambda: str(state.status),
            "$": lambda: str(state.pid),
            "!": lambda: str(state.background) if state.background else "",
            "#": lambda: str(len(state.positional)),
            "-": lambda: "".join(sorted(state.options)),
            "@": lambda: " ".join(state.positional) if state.positional else None,
            "*": lambda: self._separator().join(state.positional) if state.positional else None,
        }.get(name)
        return special() if special is not None else state.get(name)

    async def _parameter(self, part: Parameter) -> list[str]:
        value = self.value(part.name) if part.subscript is None else await self._element(part)
        operator = part.operator
        if value is None and operator in ("", "len", "#", "##", "%", "%%", "/", "//", ":"):
            if "u" in self.state.options and part.name not in ("@", "*", "!"):
                raise Unset(f"{part.name}: parameter not set")
            value = ""
        if not operator:
            return [value or ""]
        if operator == "len":
            if part.all:
                return [str(len(self.state.positional if part.subscript is None else self.state.values(part.name)))]
            return [str(len(value or ""))]
        word: Word = part.word or ()
        if operator in _REMOVALS:
            pattern = await self.pattern(word)
            if len(value or "") > MAX_MATCHED and _magic(pattern):
                raise TooMuch  # matching takes the square of the length
            return [_REMOVALS[operator](value or "", pattern)]
        if operator in ("/", "//"):
            return [await self._replaced(value or "", part)]
        if operator == ":":
            return [await self._cut_out(value or "", part)]
        missing = value is None or (operator.startswith(":") and not value)
        match operator[-1]:
            case "+":
                return ["" if missing else await self.text(word)]
            case "-" if missing:
                return [await self.text(word)]
            case "=" if missing:
                self.state.put(part.name, await self.text(word))
                return [self.state.variables[part.name]]
            case "?" if missing:
                raise Unset(f"{part.name}: {await self.text(word) or 'parameter not set'}")
        return [value or ""]

    async def _replaced(self, value: str, part: Parameter) -> str:
        pattern = await self.pattern(part.word or ())
        if not pattern:
            return value
        if len(value) > MAX_MATCHED and _magic(pattern):
            raise TooMuch
        with_ = await self.text(part.second or ())
        result = compiled(pattern, anchored=False).sub(lambda _: with_, value, count=0 if part.operator == "//" else 1)
        if len(result) > MAX_VALUE:
            raise TooMuch
        return result

    async def _cut_out(self, value: str, part: Parameter) -> str:
        def number(text: str) -> int:
            return evaluate(text, lambda name: self.state.get(name) or "", self.state.put)

        start = number(await self.text(part.word or ()))
        value = value[max(0, len(value) + start) if start < 0 else start :]
        if part.second is None:
            return value
        length = number(await self.text(part.second))
        return value[:length]


def matches(text: str, pattern: str) -> bool:
    """Does the whole text match a shell pattern?"""
    return compiled(pattern).match(text) is not None


@lru_cache(maxsize=256)
def compiled(pattern: str, anchored: bool = True) -> re.Pattern[str]:
    """A shell pattern as a regular expression. ``[`` without its ``]`` stands for itself, as in the shell."""
    translated = fnmatch.translate(pattern.replace("[^", "[!"))
    if not anchored:
        translated = translated.removesuffix(r"\Z").removesuffix(r"\z")
    return re.compile(translated, re.DOTALL)


def _escape(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _magic(text: str) -> bool:
    return "*" in text or "?" in text or "[" in text or text.startswith("~")


def cut_fields(value: str, ifs: str) -> tuple[bool, list[str], bool]:
    """Split at IFS: does a separator lead, the fields, does one trail."""
    if not ifs:
        return False, [value] if value else [], False
    blanks = "".join(char for char in ifs if char in " \t\n")
    others = "".join(char for char in ifs if char not in " \t\n")
    if not others:
        return (
            bool(value) and value[0] in blanks,
            value.split() if blanks == " \t\n" else _blank_split(value, blanks),
            (bool(value) and value[-1] in blanks),
        )
    stripped = value.strip(blanks) if blanks else value
    blank = f"[{re.escape(blanks)}]*" if blanks else ""
    fields = re.split(f"{blank}[{re.escape(others)}]{blank}" + (f"|[{re.escape(blanks)}]+" if blanks else ""), stripped)
    if fields and not fields[-1]:
        fields.pop()  # a final separator ends the last field rather than begin an empty one
    trails = bool(value) and value[-1] in ifs
    return bool(value) and bool(blanks) and value[0] in blanks, fields, trails


def _blank_split(value: str, blanks: str) -> list[str]:
    return [field for field in re.split(f"[{re.escape(blanks)}]+", value) if field]


def _shortest_prefix(value: str, pattern: str) -> str:
    return next((value[n:] for n in range(len(value) + 1) if matches(value[:n], pattern)), value)


def _longest_prefix(value: str, pattern: str) -> str:
    return next((value[n:] for n in range(len(value), -1, -1) if matches(value[:n], pattern)), value)


def _shortest_suffix(value: str, pattern: str) -> str:
    return next((value[:n] for n in range(len(value), -1, -1) if matches(value[n:], pattern)), value)


def _longest_suffix(value: str, pattern: str) -> str:
    return next((value[:n] for n in range(len(value) + 1) if matches(value[n:], pattern)), value)


_REMOVALS: dict[str, Callable[[str, str], str]] = {
    "#": _shortest_prefix,
    "##": _longest_prefix,
    "%": _shortest_suffix,
    "%%": _longest_suffix,
}
