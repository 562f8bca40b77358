"""The shell's syntax tree: plain data, made by the parser, walked by the interpreter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class ShellSyntaxError(Exception):
    """Not a shell command. ``incomplete`` when more lines could still make it one (an interactive shell asks on)."""

    def __init__(self, words: str, *, incomplete: bool = False) -> None:
        super().__init__(words)
        self.incomplete = incomplete


class Literal(NamedTuple):
    """Text as it stands. Quoted text is neither split nor a pattern."""

    text: str
    quoted: bool = False


class Parameter(NamedTuple):
    """``$name``, ``${name:-word}``, ``${#name}`` (operator ``len``)."""

    name: str
    operator: str = ""
    word: Word | None = None
    quoted: bool = False
    second: Word | None = None  # the replacement of ${x/a/b}, the length of ${x:1:2}
    subscript: Word | None = None  # of an array: ${x[1]}

    @property
    def all(self) -> bool:
        """Whether it stands for any number of values: ``$@``, ``${array[*]}``."""
        return self.name in ("@", "*") if self.subscript is None else self.subscript in (_EACH, _JOINED)

    @property
    def joined(self) -> bool:
        """``$*`` and ``${array[*]}``: one value when they are quoted."""
        return self.name == "*" if self.subscript is None else self.subscript == _JOINED


class Substitution(NamedTuple):
    """``$(command)`` or its old form with backquotes."""

    body: Sequence
    quoted: bool = False


class Arithmetic(NamedTuple):
    """``$((expression))``; the word is expanded first."""

    word: Word
    quoted: bool = False


# The word of ${array[@]} and of ${array[*]}.
_EACH, _JOINED = ((Literal("@"),), (Literal("*"),))

Part = Literal | Parameter | Substitution | Arithmetic
Word = tuple[Part, ...]


@dataclass(slots=True)
class Redirect:
    """``2>file``, ``<<EOF``: ``operator`` is what stands between, ``target`` a word (the text of a here-document)."""

    fd: int
    operator: str
    target: Word


@dataclass(slots=True)
class Simple:
    assignments: list[tuple[str, Word]]
    words: list[Word]
    redirects: list[Redirect]
    arrays: list[tuple[str, list[Word]]] = field(default_factory=list)  # name=(word …), as bash has it


@dataclass(slots=True)
class Pipeline:
    commands: list[Command]
    negated: bool = False


@dataclass(slots=True)
class AndOr:
    first: Pipeline
    rest: list[tuple[str, Pipeline]]  # ("&&" or "||", what follows)


@dataclass(slots=True)
class Sequence:
    """Commands one after the other; True for those that run in the background."""

    items: list[tuple[AndOr, bool]]


@dataclass(slots=True)
class Subshell:
    body: Sequence
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    body: Sequence
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class If:
    branches: list[tuple[Sequence, Sequence]]
    otherwise: Sequence | None
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class While:
    condition: Sequence
    body: Sequence
    until: bool
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class For:
    name: str
    words: list[Word] | None  # None: over "$@"
    body: Sequence
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class Case:
    word: Word
    branches: list[tuple[list[Word], Sequence]]
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class Function:
    name: str
    body: Command
    redirects: list[Redirect] = field(default_factory=list)


Command = Simple | Subshell | Group | If | While | For | Case | Function
