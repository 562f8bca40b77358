"""How control leaves the middle of a script: loops, functions, the shell itself."""

from __future__ import annotations


class Break(Exception):
    def __init__(self, levels: int) -> None:
        self.levels = levels


class Continue(Break):
    pass


class Return(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


class ExitShell(Exception):
    """``exit``, ``set -e``, or an error that ends a shell which is not interactive."""

    def __init__(self, code: int) -> None:
        self.code = code


class ShellError(Exception):
    """An error of the shell itself: the words follow its name on standard error, a script ends with ``code``."""

    def __init__(self, words: str, code: int = 2) -> None:
        super().__init__(words)
        self.code = code
