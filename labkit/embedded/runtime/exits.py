"""How a program fails to begin, and how it ends itself: the two exceptions that images and engines share."""

from __future__ import annotations


class ExecutableNotFound(Exception):
    """The image has no such program. ``str()`` is what runc says, ``exit_code`` what Docker records (127 or 126)."""

    def __init__(self, name: str, reason: str = "", exit_code: int = 127) -> None:
        self.name = name
        self.exit_code = exit_code
        if not reason:
            reason = f"stat {name}: no such file or directory" if "/" in name else "executable file not found in $PATH"
        super().__init__(f'exec: "{name}": {reason}')


class Exit(BaseException):
    """Raised by a program to end at once with this code, as ``exit(2)``. Not an error."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
