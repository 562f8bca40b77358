"""Why a task is where it is, or why it waits: node by node, as data that prints as text and shows as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

SIGNS: Mapping[str, str] = {"chosen": "★", "fits": "✓", "refused": "✗", "not asked": "·"}
"""What may become of a node: it got the task; it could have; it could not; somebody else had been found already."""


@dataclass(frozen=True, slots=True)
class Place:
    """What one node was to the scheduler."""

    node: str
    verdict: str  # of SIGNS
    filter: str = ""  # who refused it, in the scheduler's own names: "TaintToleration"
    reason: str = ""
    score: int | None = None  # the sum of `scores`; None where none were counted
    scores: Mapping[str, int] = field(default_factory=dict)  # by the scheduler's names, weighed

    @property
    def words(self) -> str:
        """Why, in one line."""
        if self.reason:
            return self.reason
        told = [f"{name} {value}" for name, value in self.scores.items() if value]
        return " + ".join(told)


@dataclass(frozen=True, slots=True, repr=False)
class Why:
    """Why a task is on its node, or on none. ``print`` it, or make it the last line of a cell."""

    task: str
    node: str  # "": it waits
    places: tuple[Place, ...]
    message: str = ""  # what the scheduler itself says of one that waits
    source: str = ""  # where the verdicts come from: whether they were kept, or worked out just now

    def place(self, node: str) -> Place:
        """What that node was. KeyError when there was none of that name."""
        for place in self.places:
            if place.node == node:
                return place
        raise KeyError(f"there is no node {node!r}; there are {', '.join(p.node for p in self.places)}")

    @property
    def title(self) -> str:
        return f"{self.task} is on {self.node}" if self.node else f"{self.task} waits"

    def __str__(self) -> str:
        width = max((len(place.node) for place in self.places), default=0)
        lines = [f"{self.title}: {self.message}" if self.message else self.title]
        for place in self.places:
            sign, node, verdict, *score, words = self._columns(place)
            lines.append(
                f"  {sign} {node:<{width}}  {verdict:<18}{''.join(f'{s:>5}' for s in score)}  {words}".rstrip()
            )
        return "\n".join([*lines, f"  ({self.source})"] if self.source else lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        names = ("", "node", "verdict", *(("score",) if self._scored else ()), "why")
        head = "".join(_cell("th", text) for text in names)
        rows = "".join(
            f"<tr>{''.join(_cell('td', text) for text in self._columns(place))}</tr>" for place in self.places
        )
        said = f"<div><i>{escape(self.message)}</i></div>" if self.message else ""
        source = f'<div style="opacity:.7">{escape(self.source)}</div>' if self.source else ""
        return (
            f"<div><b>{escape(self.title)}</b>{said}"
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{source}</div>"
        )

    @property
    def _scored(self) -> bool:
        """Were there scores at all? Mesos has none: who is offered something takes it, or does not."""
        return any(place.score is not None for place in self.places)

    def _columns(self, place: Place) -> tuple[str, ...]:
        score = ("" if place.score is None else str(place.score),) if self._scored else ()
        return SIGNS[place.verdict], place.node, place.filter or place.verdict, *score, place.words


def _cell(tag: str, text: str) -> str:
    return f'<{tag} style="text-align:left">{escape(text)}</{tag}>'
