"""From tokens to the syntax tree: recursive descent over POSIX's shell grammar."""

from __future__ import annotations

import re

from labkit.embedded.runtime.shell.lexer import MAX_DEPTH, REDIRECTS, Lexer, Token
from labkit.embedded.runtime.shell.syntax import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Literal,
    Pipeline,
    Redirect,
    Sequence,
    ShellSyntaxError,
    Simple,
    Subshell,
    While,
    Word,
)

RESERVED = frozenset("if then else elif fi do done case esac while until for { } ! in".split())  # noqa: SIM905
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Parser:
    """Parses ``text`` command by command, so that what stands before an error still runs, as in a real shell."""

    def __init__(self, text: str, position: int = 0, depth: int = 0) -> None:
        self._lexer = Lexer(text, _parse_substitution, position, depth)
        self._depth = depth
        self._token: Token | None = None
        self.position = position  # up to where commands have been taken

    def next_command(self) -> Sequence | None:
        """The commands of the next line, None at the end."""
        while self._peek().kind == "newline":
            self._take()
        if self._peek().kind == "eof":
            return None
        items: list[tuple[AndOr, bool]] = []
        while True:
            items.append(self._item())
            token = self._peek()
            if token.kind in ("newline", "eof"):
                # Taking the newline reads the here-documents that belong to this line.
                if token.kind == "newline":
                    self._take()
                return Sequence(items)
            if token.kind == "op" and token.text not in (";", "&", "("):
                raise self._unexpected(token)

    # tokens ---------------------------------------------------------------------------------------------------

    def _peek(self) -> Token:
        if self._token is None:
            self._token = self._lexer.next()
        return self._token

    def _take(self) -> Token:
        token, self._token = self._peek(), None
        self.position = self._lexer.position
        return token

    def _is_op(self, text: str) -> bool:
        token = self._peek()
        return token.kind == "op" and token.text == text

    def _reserved(self) -> str:
        """The reserved word that comes next, if one does."""
        token = self._peek()
        if token.kind == "word" and token.text in RESERVED and len(token.word) == 1:
            part = token.word[0]
            if isinstance(part, Literal) and not part.quoted:
                return token.text
        return ""

    def _expect(self, word: str) -> None:
        if self._reserved() != word and not self._is_op(word):
            raise self._unexpected(self._peek(), word)
        self._take()

    def _skip_newlines(self) -> None:
        while self._peek().kind == "newline":
            self._take()

    def _unexpected(self, token: Token, expecting: str = "") -> ShellSyntaxError:
        what = {"eof": "end of file", "newline": "newline"}.get(token.kind, f'"{token.text}"')
        hint = f' (expecting "{expecting}")' if expecting else ""
        return ShellSyntaxError(f"syntax error: unexpected {what}{hint}", incomplete=token.kind == "eof")

    # lists ----------------------------------------------------------------------------------------------------

    def body(self, *ends: str) -> Sequence:
        """Commands up to one of ``ends`` (reserved words or operators), which is left to be taken."""
        if self._depth >= MAX_DEPTH:
            raise ShellSyntaxError("syntax error: nested too deeply")
        self._depth += 1
        self._lexer.depth = self._depth
        items: list[tuple[AndOr, bool]] = []
        self._skip_newlines()
        while not self._at(ends):
            items.append(self._item())
            self._skip_newlines()
        self._depth -= 1
        self._lexer.depth = self._depth
        if not items and ends != (")",) and ";;" not in ends:
            raise self._unexpected(self._peek())
        return Sequence(items)

    def _at(self, ends: tuple[str, ...]) -> bool:
        token = self._peek()
        if token.kind == "eof":
            raise self._unexpected(token, ends[0])
        return (token.text in ends and token.kind == "op") or self._reserved() in ends

    def _item(self) -> tuple[AndOr, bool]:
        andor = self._and_or()
        background = self._is_op("&")
        if background or self._is_op(";"):
            self._take()
        elif (self._peek().kind == "word" or self._is_op("(")) and not self._reserved():
            raise self._unexpected(self._peek())
        return andor, background

    def _and_or(self) -> AndOr:
        first, rest = self._pipeline(), []
        while self._is_op("&&") or self._is_op("||"):
            operator = self._take().text
            self._skip_newlines()
            rest.append((operator, self._pipeline()))
        return AndOr(first, rest)

    def _pipeline(self) -> Pipeline:
        negated = False
        while self._reserved() == "!":
            self._take()
            negated = not negated
        commands = [self._command()]
        while self._is_op("|"):
            self._take()
            self._skip_newlines()
            commands.append(self._command())
        return Pipeline(commands, negated)

    # commands -------------------------------------------------------------------------------------------------

    def _command(self) -> Command:
        token, reserved = self._peek(), self._reserved()
        command: Command
        if token.kind == "op" and token.text == "(":
            self._take()
            command = Subshell(self.body(")"))
            self._expect(")")
        elif reserved == "{":
            self._take()
            command = Group(self.body("}"))
            self._expect("}")
        elif reserved in ("while", "until"):
            self._take()
            condition = self.body("do")
            command = While(condition, self._do_group(), reserved == "until")
        elif reserved == "if":
            command = self._if()
        elif reserved == "for":
            command = self._for()
        elif reserved == "case":
            command = self._case()
        elif reserved or token.kind in ("eof", "newline") or (token.kind == "op" and token.text not in REDIRECTS):
            raise self._unexpected(token)
        else:
            return self._simple()
        command.redirects = self._redirects()
        return command

    def _do_group(self) -> Sequence:
        self._expect("do")
        body = self.body("done")
        self._expect("done")
        return body

    def _if(self) -> If:
        branches: list[tuple[Sequence, Sequence]] = []
        otherwise = None
        while True:
            self._take()  # if, elif
            condition = self.body("then")
            self._expect("then")
            branches.append((condition, self.body("fi", "else", "elif")))
            if self._reserved() != "elif":
                break
        if self._reserved() == "else":
            self._take()
            otherwise = self.body("fi")
        self._expect("fi")
        return If(branches, otherwise)

    def _for(self) -> For:
        self._take()
        name = self._take()
        if name.kind != "word" or not _NAME.fullmatch(name.text):
            raise ShellSyntaxError("syntax error: bad for loop variable")
        words: list[Word] | None = None
        self._skip_newlines()
        if self._peek().kind == "word" and self._peek().text == "in":
            self._take()
            words = []
            while self._peek().kind == "word":
                words.append(self._take().word)
        if self._is_op(";"):
            self._take()
        self._skip_newlines()
        return For(name.text, words, self._do_group())

    def _case(self) -> Case:
        self._take()
        word = self._take()
        if word.kind != "word":
            raise self._unexpected(word)
        self._skip_newlines()
        self._expect("in")
        self._skip_newlines()
        branches: list[tuple[list[Word], Sequence]] = []
        while self._reserved() != "esac":
            if self._is_op("("):
                self._take()
            patterns = [self._pattern()]
            while self._is_op("|"):
                self._take()
                patterns.append(self._pattern())
            self._expect(")")
            body = self.body(";;", "esac")
            branches.append((patterns, body))
            if self._is_op(";;"):
                self._take()
            self._skip_newlines()
        self._take()
        return Case(word.word, branches)

    def _pattern(self) -> Word:
        token = self._take()
        if token.kind not in ("word", "io"):
            raise self._unexpected(token)
        return token.word or (Literal(token.text),)

    def _redirects(self) -> list[Redirect]:
        found: list[Redirect] = []
        while (redirect := self._redirect()) is not None:
            found.append(redirect)
        return found

    def _redirect(self) -> Redirect | None:
        token = self._peek()
        fd = -1
        if token.kind == "io":
            fd = int(self._take().text)
            token = self._peek()
        if token.kind != "op" or token.text not in REDIRECTS:
            if fd >= 0:
                raise self._unexpected(token)
            return None
        self._take()
        target = self._take()
        if target.kind not in ("word", "io"):
            raise self._unexpected(target)
        redirect = Redirect(fd if fd >= 0 else int(token.text[0] == ">"), token.text, target.word)
        if token.text in ("<<", "<<-"):
            self._lexer.expect_heredoc(redirect, target.word)
        return redirect

    def _simple(self) -> Command:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        arrays: list[tuple[str, list[Word]]] = []
        while True:
            redirect = self._redirect()
            if redirect is not None:
                redirects.append(redirect)
                continue
            token = self._peek()
            if token.kind != "word":
                break
            self._take()
            assignment = None if words else _assignment(token.word)
            if assignment is not None:
                if not assignment[1] and self._is_op("("):
                    arrays.append((assignment[0], self._array()))
                else:
                    assignments.append(assignment)
                continue
            if not words and not assignments and self._is_op("(") and _NAME.fullmatch(token.text):
                return self._function(token.text)
            words.append(token.word)
        return Simple(assignments, words, redirects, arrays)

    def _array(self) -> list[Word]:
        """The words of ``name=(word …)``."""
        self._take()
        words: list[Word] = []
        while True:
            self._skip_newlines()
            if self._peek().kind != "word":
                break
            words.append(self._take().word)
        self._expect(")")
        return words

    def _function(self, name: str) -> Function:
        self._take()
        self._expect(")")
        self._skip_newlines()
        return Function(name, self._command())


def _assignment(word: Word) -> tuple[str, Word] | None:
    part = word[0] if word else None
    if not isinstance(part, Literal) or part.quoted:
        return None
    found = _ASSIGNMENT.match(part.text)
    if found is None:
        return None
    rest = part.text[found.end() :]
    return found.group(1), ((Literal(rest), *word[1:]) if rest else word[1:])


def _parse_substitution(text: str, position: int, depth: int) -> tuple[Sequence, int]:
    """The commands of ``$(…)`` that begin at ``position``, and where its parenthesis is closed."""
    parser = Parser(text, position, depth)
    body = parser.body(")")
    parser._take()
    return body, parser.position
