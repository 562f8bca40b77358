"""``test``, ``[``, ``[[``, ``expr``, ``true`` and ``false``."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from labkit.embedded.runtime.nodes import allows
from labkit.embedded.runtime.shell.applets.patterns import Pattern
from labkit.embedded.runtime.shell.context import Applet, Context, Failure


async def test(ctx: Context) -> int:
    args = list(ctx.args)
    if ctx.name in _CLOSING:
        if args[-1:] != [_CLOSING[ctx.name]]:
            raise Failure(f"missing {_CLOSING[ctx.name]}", 2)
        args.pop()
    return int(not _Test(ctx, args, patterns=ctx.name == "[[").value())


_CLOSING = {"[": "]", "[[": "]]"}


_INTEGERS: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}
_STRINGS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}
_FILES = "bcdefghknprsStuwxLGOz"
_ASKED = {"r": 4, "w": 2, "x": 1, "u": 0o4000, "g": 0o2000, "k": 0o1000}


class _Test:
    """One evaluation. With ``patterns``, as between ``[[`` and ``]]``, ``==`` matches as the shell matches files."""

    def __init__(self, ctx: Context, args: list[str], *, patterns: bool = False) -> None:
        self._ctx = ctx
        self._args = args
        self._patterns = patterns
        self._depth = 0

    def value(self) -> bool:
        if not self._args:
            return False
        result = self._or()
        if self._args:
            raise Failure(f"{self._args[0]}: unknown operand", 2)
        return result

    def _or(self) -> bool:
        result = self._and()
        while self._args[:1] == ["-o"]:
            self._args.pop(0)
            result = self._and() or result
        return result

    def _and(self) -> bool:
        result = self._not()
        while self._args[:1] == ["-a"]:
            self._args.pop(0)
            result = self._not() and result
        return result

    def _not(self) -> bool:
        negated = False
        while self._args[:1] == ["!"] and len(self._args) > 1:
            self._args.pop(0)
            negated = not negated
        return self._primary() != negated

    def _primary(self) -> bool:
        args = self._args
        if not args:
            raise Failure("argument expected", 2)
        if len(args) >= 3 and args[1] in _INTEGERS:
            left, operator, right = args.pop(0), args.pop(0), args.pop(0)
            return _INTEGERS[operator](_integer(left), _integer(right))
        if len(args) >= 3 and args[1] in _STRINGS:
            left, operator, right = args.pop(0), args.pop(0), args.pop(0)
            if self._patterns and "=" in operator:
                return fnmatchcase(left, right) == (operator != "!=")
            return _STRINGS[operator](left, right)
        if args[0] == "(" and len(args) > 2:
            if self._depth > 50:
                raise Failure("too many parentheses", 2)
            args.pop(0)
            self._depth += 1
            result = self._or()
            self._depth -= 1
            if not args or args.pop(0) != ")":
                raise Failure("closing paren expected", 2)
            return result
        if len(args) >= 2 and len(args[0]) == 2 and args[0][0] == "-" and args[0][1] in _FILES + "n":
            return self._unary(args.pop(0)[1], args.pop(0))
        return bool(args.pop(0))

    def _unary(self, letter: str, operand: str) -> bool:
        if letter in "nz":
            return bool(operand) == (letter == "n")
        if letter == "t":
            return self._ctx.process.tty and operand in ("0", "1", "2")
        files, path = self._ctx.files, self._ctx.path(operand)
        if letter == "f":
            return files.isfile(path) and not path.startswith("/dev/")
        if letter == "d":
            return files.isdir(path)
        if letter == "s":
            return files.isdir(path) or (files.isfile(path) and bool(files.read(path)))
        if letter in "Lh":
            return files.readlink(path) is not None
        if letter == "c":
            return path.startswith("/dev/") and files.exists(path)
        if letter in "bpS" or not files.exists(path):
            return False
        if letter not in _ASKED:
            return True
        status, who = files.status(path), self._ctx.process.identity
        return allows(status, who.uid, (who.gid, *who.groups), _ASKED[letter])


def _integer(text: str) -> int:
    try:
        return int(text.strip())
    except ValueError:
        raise Failure(f"{text}: bad number", 2) from None


async def expr(ctx: Context) -> int:
    if not ctx.args:
        raise Failure("too few arguments", 2)
    value = _Expr(ctx.args).value()
    await ctx.out(f"{value}\n")
    return int(value in ("", "0"))


_LEVELS = (("|",), ("&",), ("=", "==", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"), (":",))


class _Expr:
    def __init__(self, args: list[str]) -> None:
        self._args = list(args)
        self._depth = 0

    def value(self) -> str:
        result = self._level(0)
        if self._args:
            raise Failure("syntax error", 2)
        return result

    def _level(self, level: int) -> str:
        if level == len(_LEVELS):
            return self._operand()
        left = self._level(level + 1)
        while self._args and self._args[0] in _LEVELS[level]:
            operator = self._args.pop(0)
            left = _expr(operator, left, self._level(level + 1))
        return left

    def _operand(self) -> str:
        if not self._args:
            raise Failure("syntax error", 2)
        token = self._args.pop(0)
        if token == "length" and self._args:
            return str(len(self._operand()))
        if token != "(":
            return token
        self._depth += 1
        if self._depth > 30:
            raise Failure("syntax error", 2)
        result = self._level(0)
        self._depth -= 1
        if not self._args or self._args.pop(0) != ")":
            raise Failure("syntax error", 2)
        return result


def _expr(operator: str, a: str, b: str) -> str:
    if operator == "|":
        return a if a not in ("", "0") else b
    if operator == "&":
        return a if a not in ("", "0") and b not in ("", "0") else "0"
    if operator == ":":
        found = Pattern("^" + b.removeprefix("^")).search(a)
        if "\\(" in b:
            return (found.group(1) or "") if found else ""
        return str(len(found.group())) if found else "0"
    numbers = _is_integer(a) and _is_integer(b)
    if operator in _INTEGER_WORDS:
        compare = _INTEGERS[_INTEGER_WORDS[operator]]
        if numbers:
            return str(int(compare(int(a), int(b))))
        return str(int(compare((a > b) - (a < b), 0)))
    if not numbers:
        raise Failure("non-numeric argument", 2)
    left, right = int(a), int(b)
    if operator in "/%":
        if right == 0:
            raise Failure("division by zero", 2)
        quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        return str(quotient if operator == "/" else left - right * quotient)
    if len(a) + len(b) > 40:
        raise Failure("number too big", 2)
    return str({"+": left + right, "-": left - right, "*": left * right}[operator])


_INTEGER_WORDS = {"=": "-eq", "==": "-eq", "!=": "-ne", "<": "-lt", "<=": "-le", ">": "-gt", ">=": "-ge"}


def _is_integer(text: str) -> bool:
    return text.lstrip("-").isdigit() and text.count("-") <= 1


async def true(ctx: Context) -> int:
    return 0


async def false(ctx: Context) -> int:
    return 1


TABLE: dict[str, Applet] = {"test": test, "[": test, "[[": test, "expr": expr, "true": true, "false": false}
