"""A few lines of Python, as manifests carry them (``python3 -c``): read as a tree and walked, never executed.

What it knows is what such scripts do: environment, printing, numbers and strings, branches and loops, sleeping, leaving
with an exit code. Whatever else is asked for it names and ends, so nobody takes it for an interpreter.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell.context import Pace

LONGEST = 64 * 1024  # characters of a script
_MOST = 1_000_000  # characters of a string that it makes
_BITS = 4096  # of a number

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_CONVERSIONS: Mapping[str, Callable[..., Any]] = {
    made.__name__: made for made in (int, float, str, bool, len, range, abs, min, max)
}
_OF_STRINGS = frozenset(("upper", "lower", "strip", "split", "startswith", "endswith"))
_MODULES = frozenset(("os", "sys", "time"))
_FAILURES = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, NameError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip


class Unknown(Exception):
    """Something that real Python can do."""


class _Left(Exception):
    """``sys.exit``."""

    def __init__(self, code: Any) -> None:
        self.code = code


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


async def run(process: Process, source: str, name: str, args: list[str]) -> int:
    """Walk it; its exit code. ``name`` is what tracebacks call it."""
    try:
        if len(source) > LONGEST:
            raise Unknown("a script as long as this")
        tree = ast.parse(source, name)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        process.err(f'  File "{name}", line {getattr(error, "lineno", None) or 1}\n')
        process.err(f"SyntaxError: {getattr(error, 'msg', None) or 'invalid syntax'}\n")
        return 1
    except Unknown as error:
        return _unknown(process, error)
    script = _Script(process, args)
    try:
        await script.block(tree.body)
    except _Left as left:
        return _code(process, left.code)
    except Unknown as error:
        return _unknown(process, error, script.line)
    except _FAILURES as error:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        process.err(f'Traceback (most recent call last):\n  File "{name}", line {script.line}, in <module>\n{said}\n')
        return 1
    return 0


def _unknown(process: Process, what: Unknown, line: int = 1) -> int:
    process.err(f"python: line {line}: labkit's stand-in, which is no interpreter, does not know {what}\n")
    return 1


def _code(process: Process, given: Any) -> int:
    if given is None:
        return 0
    if isinstance(given, int):
        return int(given) & 0xFF
    process.err(f"{given}\n")
    return 1


class _Script:
    def __init__(self, process: Process, args: list[str]) -> None:
        self._process = process
        self._args = args
        self._names: dict[str, Any] = {}
        self._modules: dict[str, str] = {}  # as what, which
        self._pace = Pace(process)
        self.line = 1

    # statements -----------------------------------------------------------------------------------------------

    async def block(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self.line = statement.lineno
            await self._pace.step()
            await self._do(statement)

    async def _do(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Import(names=names):
                for one in names:
                    if one.name not in _MODULES:
                        raise Unknown(f"the module {one.name}")
                    self._modules[one.asname or one.name] = one.name
            case ast.Expr(value=ast.Call() as call) if self._dotted(call.func) == "time.sleep":
                (seconds,) = self._given(call)
                await self._process.sleep(max(0.0, float(seconds)))
                self._pace.rested()
            case ast.Expr(value=value):
                self._value(value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._names[name] = self._value(value)
            case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
                before = self._name(target.id)
                self._names[name] = _computed(op, before, self._value(value))
            case ast.If(test=test, body=body, orelse=otherwise):
                await self.block(body if self._value(test) else otherwise)
            case ast.While(test=test, body=body, orelse=[]):
                while self._value(test):
                    if not await self._round(body):
                        break
            case ast.For(target=ast.Name(id=name), iter=many, body=body, orelse=[]):
                for one in self._value(many):
                    self._names[name] = one
                    if not await self._round(body):
                        break
            case ast.Break():
                raise _Break
            case ast.Continue():
                raise _Continue
            case ast.Pass():
                pass
            case _:
                raise Unknown(f"the statement {type(statement).__name__}")

    async def _round(self, body: Iterable[ast.stmt]) -> bool:
        """One round of a loop; whether there may be another one."""
        try:
            await self.block(body)
        except _Break:
            return False
        except _Continue:
            pass
        return True

    # expressions ----------------------------------------------------------------------------------------------

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._name(name)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                made = [self._value(one) for one in items]
                if any(isinstance(one, list | tuple) for one in made):
                    raise Unknown("lists of lists")  # which could hold each other, and be larger than they look
                return made if isinstance(node, ast.List) else tuple(made)
            case ast.JoinedStr(values=parts):
                return _sized("".join(str(self._value(one)) for one in parts))
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return self._value(value)
            case ast.BinOp(left=left, op=op, right=right):
                return _computed(op, self._value(left), self._value(right))
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return _UNARY[type(op)](self._value(operand))
            case ast.BoolOp(op=op, values=values):
                value = None
                for one in values:
                    value = self._value(one)
                    if bool(value) == isinstance(op, ast.Or):
                        break
                return value
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._compared(left, ops, others)
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                return self._value(body if self._value(test) else otherwise)
            case ast.Subscript(value=many, slice=index) if not isinstance(index, ast.Slice):
                found = self._process.env if self._dotted(many) == "os.environ" else self._value(many)
                return found[self._value(index)]
            case ast.Attribute() if self._dotted(node) == "sys.argv":
                return list(self._args)
            case ast.Call():
                return self._called(node)
        raise Unknown(f"the expression {ast.unparse(node)[:80]}")

    def _name(self, name: str) -> Any:
        if name not in self._names:
            raise NameError(f"name '{name}' is not defined")
        return self._names[name]

    def _compared(self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> bool:
        one = self._value(left)
        for op, node in zip(ops, others, strict=True):
            is_environment = isinstance(op, ast.In | ast.NotIn) and self._dotted(node) == "os.environ"
            other = self._process.env if is_environment else self._value(node)
            if not _COMPARED[type(op)](one, other):
                return False
            one = other
        return True

    def _dotted(self, node: ast.expr) -> str:
        """``os.environ.get`` for what was imported under any name; "" for all else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        first = node.id if not parts else self._modules.get(node.id, "")
        return ".".join([first, *reversed(parts)]) if first else ""

    def _given(self, call: ast.Call) -> list[Any]:
        if call.keywords:
            raise Unknown(f"named arguments of {ast.unparse(call.func)[:80]}")
        return [self._value(one) for one in call.args]

    def _called(self, call: ast.Call) -> Any:
        name = self._dotted(call.func)
        if name == "print":
            flushed = [one.arg for one in call.keywords] == ["flush"]
            plain = ast.Call(call.func, call.args, []) if flushed else call
            self._process.out(_sized(" ".join(str(one) for one in self._given(plain))) + "\n")
            return None
        given = self._given(call)
        if name in ("sys.exit", "exit", "quit"):
            raise _Left(given[0] if given else None)
        if name in ("os.environ.get", "os.getenv"):
            return self._process.env.get(*given)
        if name in _CONVERSIONS:
            return _sized(_CONVERSIONS[name](*given))
        if isinstance(call.func, ast.Attribute) and call.func.attr in _OF_STRINGS and not name:
            text = self._value(call.func.value)
            if isinstance(text, str):
                return getattr(text, call.func.attr)(*given)
        raise Unknown(f"the call of {ast.unparse(call.func)[:80]}")


def _computed(op: ast.operator, left: Any, right: Any) -> Any:
    if type(op) not in _BINARY or (isinstance(op, ast.Mod) and isinstance(left, str)):
        raise Unknown(f"the operator {type(op).__name__}")
    if isinstance(op, ast.Mult):
        for many, times in ((left, right), (right, left)):
            if isinstance(many, str | list | tuple) and isinstance(times, int) and len(many) * times > _MOST:
                raise MemoryError
    return _sized(_BINARY[type(op)](left, right))


def _sized(value: Any) -> Any:
    """The value, if it is not so large that computing with it would keep everybody waiting."""
    if isinstance(value, str | list | tuple | range) and len(value) > _MOST:
        raise MemoryError
    if isinstance(value, int) and value.bit_length() > _BITS:
        raise MemoryError
    return value
