"""What a shell remembers: variables, functions, options, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labkit.embedded.runtime.streams import TooMuch

if TYPE_CHECKING:
    from labkit.embedded.runtime.shell.syntax import Command

MAX_VALUE = 1024 * 1024  # bytes of one variable
MAX_VARIABLES = 4096


class Unset(Exception):
    """A parameter that is not set, where ``set -u`` or ``${x:?}`` asks for one."""


@dataclass(slots=True)
class State:
    """Copied for every subshell."""

    variables: dict[str, str] = field(default_factory=dict)  # of an array: its first value
    arrays: dict[str, list[str]] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    readonly: set[str] = field(default_factory=set)
    functions: dict[str, Command] = field(default_factory=dict)
    positional: list[str] = field(default_factory=list)
    name: str = "sh"  # $0
    cwd: str = "/"
    options: set[str] = field(default_factory=set)  # letters of `set`: e u x f n v
    pipefail: bool = False
    status: int = 0  # $?
    background: int = 0  # $!
    pid: int = 1  # $$, also in subshells
    depth: int = 0  # of functions, subshells and evals in each other
    loops: int = 0

    def copy(self) -> State:
        return State(
            dict(self.variables),
            {name: list(values) for name, values in self.arrays.items()},
            set(self.exported),
            set(self.readonly),
            dict(self.functions),
            list(self.positional),
            self.name,
            self.cwd,
            set(self.options),
            self.pipefail,
            self.status,
            self.background,
            self.pid,
            self.depth + 1,
            self.loops,
        )

    def get(self, name: str) -> str | None:
        return self.variables.get(name)

    def put(self, name: str, value: str) -> None:
        """Set a variable; PermissionError when it is read-only, :class:`TooMuch` when it is too long."""
        if name in self.readonly:
            raise PermissionError(f"{name}: is read only")
        if len(value) > MAX_VALUE or (name not in self.variables and len(self.variables) >= MAX_VARIABLES):
            raise TooMuch
        self.variables[name] = value
        if name in self.arrays:
            self.arrays[name][:1] = [value]

    def put_array(self, name: str, values: list[str]) -> None:
        """Set an array, as bash's ``name=(…)`` does; it fails as :meth:`put` does."""
        if sum(len(value) for value in values) > MAX_VALUE:
            raise TooMuch
        self.arrays.pop(name, None)
        self.put(name, values[0] if values else "")
        self.arrays[name] = values

    def values(self, name: str) -> list[str]:
        """All values of an array; a plain variable is one of a single value."""
        if name in self.arrays:
            return self.arrays[name]
        return [self.variables[name]] if name in self.variables else []

    def unset(self, name: str) -> None:
        if name in self.readonly:
            raise PermissionError(f"{name}: is read only")
        self.variables.pop(name, None)
        self.arrays.pop(name, None)
        self.exported.discard(name)

    def environment(self) -> dict[str, str]:
        return {name: self.variables[name] for name in self.exported if name in self.variables}
