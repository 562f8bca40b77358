"""POSIX regular expressions (basic and extended) on Python's ``re``, kept from running for ages.

Python's engine backtracks: a pattern like ``(a+)+b`` can take for ever, and nothing can stop it. Those are refused in
the words that regcomp has for a pattern it cannot afford.
"""

from __future__ import annotations

import re

from labkit.embedded.runtime.shell.context import Failure

_BUDGET = 1e9  # steps that the worst line may take
_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9A-Fa-f",
    "print": r"\x20-\x7e",
    "graph": r"\x21-\x7e",
    "cntrl": r"\x00-\x1f\x7f",
}


class Pattern:
    """A compiled pattern. ``search`` refuses lines that are too long for how complicated it is."""

    def __init__(
        self, text: str, *, extended: bool = False, fixed: bool = False, flags: re.RegexFlag = re.NOFLAG
    ) -> None:
        source = re.escape(text) if fixed else translate(text, extended)
        self._longest = 0 if fixed else _longest_line(source)
        try:
            self.regex = re.compile(source, flags)
        except (re.error, RecursionError, OverflowError):
            raise Failure(f"bad regex '{text}': Invalid regular expression", 2) from None

    def wrap(self, before: str, after: str) -> Pattern:
        """The same between two others (whole words, whole lines)."""
        self.regex = re.compile(f"{before}(?:{self.regex.pattern}){after}", self.regex.flags & ~re.UNICODE)
        return self

    def search(self, line: str, position: int = 0) -> re.Match[str] | None:
        if self._longest and len(line) > self._longest:
            raise Failure("regular expression too big", 2)
        return self.regex.search(line, position)


def _longest_line(source: str) -> int:
    """How long a line may be so that matching stays within the budget; 0 for any length."""
    bare = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "x", source)
    nested = re.search(r"\([^()]*[*+}][^()]*\)[*+{]", bare) is not None
    nested = nested or (re.search(r"\)[^()]*\)[*+{]", bare) is not None and re.search(r"[*+}]", bare) is not None)
    if nested:
        raise Failure("regular expression too big", 2)
    loops = len(re.findall(r"[*+]|,\}|\{\d+,", bare))
    return int(_BUDGET ** (1 / (loops + 1))) if loops else 0


def translate(text: str, extended: bool) -> str:
    """A POSIX pattern in Python's syntax. In basic ones ``\\(`` groups and ``(`` is a parenthesis."""
    out: list[str] = []
    index = 0
    while index < len(text):
        char = text[index]
        index += 1
        if char == "\\" and index < len(text):
            following = text[index]
            index += 1
            if following in "(){}|+?" and not extended:
                out.append(following)
            elif following in "<>":
                out.append(r"\b")
            elif following in "wWsSbB" or following.isdigit():
                out.append("\\" + following)
            else:
                out.append({"n": "\\n", "t": "\\t"}.get(following, re.escape(following)))
        elif char == "[":
            found, index = _bracket(text, index)
            out.append(found)
        elif char == "*" and not extended and (not out or out[-1] in ("(", "|", "^")):
            out.append(r"\*")
        elif char in "(){}|+?" and not extended:
            out.append(re.escape(char))
        elif char == "^" and not extended and index > 1 and text[index - 3 : index - 1] not in ("\\(", "\\|"):
            out.append(r"\^")
        elif char == "$" and not extended and index < len(text) and text[index : index + 2] not in ("\\)", "\\|"):
            out.append(r"\$")
        else:
            out.append(char)
    return "".join(out)


def _bracket(text: str, index: int) -> tuple[str, int]:
    start = index
    negated = text[index : index + 1] == "^"
    index += negated
    out = ["[^" if negated else "["]
    first = True
    while index < len(text) and (text[index] != "]" or first):
        first = False
        if text.startswith("[:", index) and (end := text.find(":]", index)) > 0:
            out.append(_CLASSES.get(text[index + 2 : end], ""))
            index = end + 2
            continue
        out.append("\\" + text[index] if text[index] in "\\[]&~|" else text[index])
        index += 1
    if index >= len(text):
        raise Failure(f"bad regex '{text[start - 1 :]}': Missing ']'", 2)
    return "".join(out) + "]", index + 1
