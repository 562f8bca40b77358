"""From text to words and operators, as POSIX's shell grammar cuts them. Quotes and ``$`` are understood here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from labkit.embedded.runtime.shell.syntax import (
    Arithmetic,
    Literal,
    Parameter,
    Part,
    Redirect,
    Sequence,
    ShellSyntaxError,
    Substitution,
    Word,
)

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATORS = ("<<-", "&&", "||", ";;", "<<", ">>", "<&", ">&", ">|", "<>", ";", "&", "|", "(", ")", "<", ">")
REDIRECTS = frozenset(("<", ">", ">>", ">|", "<>", "<&", ">&", "<<", "<<-"))
_ENDS_WORD = frozenset(" \t\n;&|()<>")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = frozenset("?$!#@*-0123456789")
_PLAIN = re.compile(r"[^\s;&|()<>'\"\\$`]+")
_PARAMETER_OPERATORS = (":-", ":=", ":?", ":+", "##", "%%", "//", "-", "=", "?", "+", "#", "%", "/", ":")
MAX_DEPTH = 40  # of substitutions and compounds in each other


class Token(NamedTuple):
    """``kind`` is word, op, io (the number before a redirection), newline or eof."""

    kind: str
    text: str = ""
    word: Word = ()
    start: int = 0


class Lexer:
    """Cuts ``text`` into tokens, one at a time. ``parse_body`` parses the commands of a ``$(…)``."""

    def __init__(
        self, text: str, parse_body: Callable[[str, int, int], tuple[Sequence, int]], position: int = 0, depth: int = 0
    ) -> None:
        self.text = text
        self.position = position
        self.depth = depth
        self._parse_body = parse_body
        self.heredocs: list[tuple[Redirect, str, bool, bool]] = []  # redirect, delimiter, literal, strip tabs

    def next(self) -> Token:
        text = self.text
        self._skip_blanks()
        start = self.position
        if start >= len(text):
            if self.heredocs:
                self._read_heredocs()
            return Token("eof", start=start)
        if text[start] == "\n":
            self.position += 1
            self._read_heredocs()
            return Token("newline", "\n", start=start)
        for operator in OPERATORS:
            if text.startswith(operator, start):
                self.position += len(operator)
                return Token("op", operator, start=start)
        word = self.word()
        raw = text[start : self.position]
        if raw.isdigit() and text[self.position : self.position + 1] in ("<", ">"):
            return Token("io", raw, start=start)
        return Token("word", raw, word, start)

    def _skip_blanks(self) -> None:
        text = self.text
        while self.position < len(text):
            char = text[self.position]
            if char in " \t\r":
                self.position += 1
            elif text.startswith("\\\n", self.position):
                self.position += 2
            elif char == "#":
                end = text.find("\n", self.position)
                self.position = len(text) if end < 0 else end
            else:
                return

    # words ----------------------------------------------------------------------------------------------------

    def word(self) -> Word:
        parts: list[Part] = []
        text = self.text
        while self.position < len(text):
            char = text[self.position]
            if char in _ENDS_WORD:
                break
            if char == "'":
                parts.append(Literal(self._single_quoted(), True))
            elif char == '"':
                self.position += 1
                parts += self._double_quoted() or [Literal("", True)]
            elif char == "\\":
                if self.position + 1 >= len(text):
                    self.position += 1
                    parts.append(Literal("\\", True))
                    break
                if text[self.position + 1] != "\n":
                    parts.append(Literal(text[self.position + 1], True))
                self.position += 2
            elif char in "$`":
                parts.append(self._dollar(False))
            else:
                plain = _PLAIN.match(text, self.position)
                length = len(plain.group()) if plain else 1
                parts.append(Literal(text[self.position : self.position + length]))
                self.position += length
        return tuple(parts)

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.position + 1)
        if end < 0:
            raise ShellSyntaxError("syntax error: unterminated quoted string", incomplete=True)
        quoted = self.text[self.position + 1 : end]
        self.position = end + 1
        return quoted

    def _double_quoted(self, until: str = '"', quoted: bool = True) -> list[Part]:
        """Parts up to ``until``, which is passed over. Also reads the words inside of ``${…}``."""
        parts: list[Part] = []
        plain: list[str] = []

        def flush() -> None:
            if plain:
                parts.append(Literal("".join(plain), quoted))
                plain.clear()

        text = self.text
        while self.position < len(text):
            char = text[self.position]
            if char == until:
                self.position += 1
                flush()
                return parts
            if char == "\\" and self.position + 1 < len(text):
                following = text[self.position + 1]
                self.position += 2
                if not quoted:
                    flush()
                    parts.append(Literal(following, True))
                elif following in '$`"\\' or following == until:
                    plain.append(following)
                elif following != "\n":
                    plain.append("\\" + following)
            elif char in "$`":
                flush()
                parts.append(self._dollar(quoted))
            elif char == '"' and until != '"':
                flush()
                self.position += 1
                parts += self._double_quoted() or [Literal("", True)]
            elif char == "'" and not quoted:
                flush()
                parts.append(Literal(self._single_quoted(), True))
            else:
                plain.append(char)
                self.position += 1
        if not until:
            flush()
            return parts
        words = "unterminated quoted string" if until == '"' else f'unexpected end of file (expecting "{until}")'
        raise ShellSyntaxError(f"syntax error: {words}", incomplete=True)

    def _dollar(self, quoted: bool) -> Part:
        text, start = self.text, self.position
        if text[start] == "`":
            return self._backquoted(quoted)
        following = text[start + 1 : start + 2]
        if text.startswith("$((", start):
            found = self._arithmetic(quoted)
            if found is not None:
                return found
        if following == "(":
            if self.depth >= MAX_DEPTH:
                raise ShellSyntaxError("syntax error: nested too deeply")
            body, self.position = self._parse_body(text, start + 2, self.depth + 1)
            return Substitution(body, quoted)
        if following == "{":
            self.position = start + 2
            return self._braced(quoted)
        name = _NAME.match(text, start + 1)
        if name:
            self.position = name.end()
            return Parameter(name.group(), quoted=quoted)
        if following and following in _SPECIAL:
            self.position = start + 2
            return Parameter(following, quoted=quoted)
        self.position = start + 1
        return Literal("$", quoted)

    def _backquoted(self, quoted: bool) -> Substitution:
        position = self.position + 1
        body: list[str] = []
        while position < len(self.text):
            char = self.text[position]
            if char == "`":
                if self.depth >= MAX_DEPTH:
                    raise ShellSyntaxError("syntax error: nested too deeply")
                self.position = position + 1
                return Substitution(self._parse_body("".join(body) + ")", 0, self.depth + 1)[0], quoted)
            if char == "\\" and self.text[position + 1 : position + 2] in ("`", "\\", "$"):
                position += 1
                char = self.text[position]
            body.append(char)
            position += 1
        raise ShellSyntaxError("syntax error: EOF in backquote substitution", incomplete=True)

    def _arithmetic(self, quoted: bool) -> Arithmetic | None:
        """``$((…))``, or None when it turns out to be a subshell in a substitution: ``$((a); (b))``."""
        depth, position = 0, self.position + 3
        while position < len(self.text):
            char = self.text[position]
            if char == "(":
                depth += 1
            elif char == ")":
                if depth == 0:
                    if self.text[position + 1 : position + 2] != ")":
                        return None
                    inner = self.text[self.position + 3 : position]
                    self.position = position + 2
                    return Arithmetic(self._inner(inner), quoted)
                depth -= 1
            position += 1
        raise ShellSyntaxError("syntax error: missing '))'", incomplete=True)

    def _inner(self, text: str) -> Word:
        """A text that is expanded as if in double quotes: arithmetic, here-documents."""
        if self.depth >= MAX_DEPTH:
            raise ShellSyntaxError("syntax error: nested too deeply")
        lexer = Lexer(text, self._parse_body, depth=self.depth + 1)
        return tuple(lexer._double_quoted(until=""))

    def _braced(self, quoted: bool) -> Parameter:
        text = self.text
        if self.depth >= MAX_DEPTH:
            raise ShellSyntaxError("syntax error: nested too deeply")
        if text.startswith("#", self.position) and text[self.position + 1 : self.position + 2] != "}":
            name = self._parameter_name(self.position + 1)
            subscript = self._subscript(name)
            if name and text.startswith("}", self.position):
                self.position += 1
                return Parameter(name, "len", quoted=quoted, subscript=subscript)
            raise ShellSyntaxError("syntax error: bad substitution")
        name = self._parameter_name(self.position)
        if not name:
            raise ShellSyntaxError("syntax error: bad substitution", incomplete=self.position >= len(text))
        subscript = self._subscript(name)
        if text.startswith("}", self.position):
            self.position += 1
            return Parameter(name, quoted=quoted, subscript=subscript)
        operator = next((op for op in _PARAMETER_OPERATORS if text.startswith(op, self.position)), "")
        if not operator:
            raise ShellSyntaxError("syntax error: bad substitution", incomplete=self.position >= len(text))
        self.position += len(operator)
        self.depth += 1
        # The pattern of # and % is quoted by its own quotes only; the words of :- keep those around the whole.
        inner = quoted and operator not in ("#", "##", "%", "%%", "/", "//")
        word: Word = tuple(self._double_quoted(until="}", quoted=inner))
        self.depth -= 1
        second: Word | None = None
        if operator in ("/", "//", ":"):
            word, second = _halves(word, "/" if operator != ":" else ":")
        return Parameter(name, operator, word, quoted, second, subscript)

    def _subscript(self, name: str) -> Word | None:
        """What stands in ``[…]`` behind the name of an array."""
        if not self.text.startswith("[", self.position) or not _NAME.fullmatch(name):
            return None
        self.position += 1
        self.depth += 1
        word: Word = tuple(self._double_quoted(until="]", quoted=False))
        self.depth -= 1
        return word

    def _parameter_name(self, start: int) -> str:
        name = _NAME.match(self.text, start) or re.compile(r"[0-9]+|[?$!#@*-]").match(self.text, start)
        if name is None:
            return ""
        self.position = name.end()
        return name.group()

    # here-documents -------------------------------------------------------------------------------------------

    def expect_heredoc(self, redirect: Redirect, delimiter: Word) -> None:
        """The lines after this one, up to ``delimiter``, are the text of ``redirect``."""
        plain = "".join(part.text for part in delimiter if isinstance(part, Literal))
        literal = any(part.quoted for part in delimiter)
        self.heredocs.append((redirect, plain, literal, redirect.operator == "<<-"))

    def _read_heredocs(self) -> None:
        waiting, self.heredocs = self.heredocs, []
        for redirect, delimiter, literal, strip in waiting:
            lines: list[str] = []
            while True:
                if self.position >= len(self.text):
                    raise ShellSyntaxError(
                        f'syntax error: unexpected end of file (expecting "{delimiter}")', incomplete=True
                    )
                end = self.text.find("\n", self.position)
                end = len(self.text) if end < 0 else end
                line = self.text[self.position : end]
                self.position = min(end + 1, len(self.text))
                line = line.lstrip("\t") if strip else line
                if line == delimiter:
                    break
                lines.append(line + "\n")
            body = "".join(lines)
            redirect.target = (Literal(body, True),) if literal else self._inner(body.replace('"', '\\"'))


def _halves(word: Word, separator: str) -> tuple[Word, Word | None]:
    """Cut a word at the first unquoted separator."""
    for index, part in enumerate(word):
        if isinstance(part, Literal) and not part.quoted and separator in part.text:
            before, _, after = part.text.partition(separator)
            return (*word[:index], Literal(before)), (Literal(after), *word[index + 1 :])
    return word, None
