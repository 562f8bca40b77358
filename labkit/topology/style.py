"""How state is shown, stated once: colour, shape, sign and word of every task state and node condition.

Colours are Okabe and Ito's, which people with any form of colour blindness tell apart; every state has a shape and
a sign of its own too, so that the picture also works in grey. Fill tells the state of a task, its border the
workload. Neutral tones are half-transparent, so that one set of them sits well on light and on dark.
"""

from __future__ import annotations

from dataclasses import dataclass

from labkit.model import Node, NodeState, State

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, DARK_GREY = "#8C939E", "#656D79"  # purple turns into the lighter one for the green-blind
PALE = "#D6DCE4"  # a ghost of a colour, for what is lost
OKABE_ITO = frozenset({BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE})


@dataclass(frozen=True, slots=True)
class TaskLook:
    """How a task in one state is drawn."""

    word: str
    fill: str
    symbol: str  # plotly's name of the shape
    code: int  # plotly's number of it, what is sent
    sign: str  # stands in for the slot's number where there is room for one character only


TASKS: dict[State, TaskLook] = {
    State.PENDING: TaskLook("waiting", ORANGE, "square", 1, "?"),
    State.STARTING: TaskLook("starting", SKY, "diamond", 2, "…"),
    State.RUNNING: TaskLook("running", GREEN, "circle", 0, ""),
    State.STOPPING: TaskLook("stopping", PURPLE, "triangle-down", 6, "↓"),
    State.COMPLETE: TaskLook("complete", BLUE, "hexagon", 14, "✓"),
    State.STOPPED: TaskLook("stopped", DARK_GREY, "octagon", 16, "■"),
    State.FAILED: TaskLook("failed", VERMILLION, "x", 4, "×"),
    State.LOST: TaskLook("lost", PALE, "triangle-up", 5, "!"),
    State.UNREADY: TaskLook("not ready", YELLOW, "pentagon", 13, "~"),
}

FADED = len(TASKS)  # added to a state's code: it died a while ago, or another workload is being looked at
HIDDEN = 2 * FADED  # the code of a slot that nothing is drawn in
FADED_ALPHA = 0.32

# Borders. Green is left out: nearly every task is filled with it.
WORKLOADS = (BLUE, PURPLE, VERMILLION, SKY, ORANGE, YELLOW, GREY)
NO_WORKLOAD = 2 * len(WORKLOADS)  # border code of an empty slot; len(WORKLOADS) + i is the faded colour i


@dataclass(frozen=True, slots=True)
class NodeLook:
    """How a node in one condition is drawn."""

    word: str
    sign: str
    line: str  # border of its box
    fill: str
    hatch: str  # plotly's pattern, "" for none; the SVG draws the same
    meaning: str  # for the legend's tooltip and the text alternative


def _tint(colour: str, alpha: float) -> str:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha})"


_PLAIN = "rgba(128,138,155,0.07)"
NODES: dict[str, NodeLook] = {
    "ready": NodeLook("ready", "", "rgba(128,138,155,0.55)", _PLAIN, "", "takes tasks"),
    "leader": NodeLook("ready", "★", _tint(BLUE, 0.95), _tint(BLUE, 0.06), "", "leads the managers"),
    "paused": NodeLook("paused", "‖", _tint(PURPLE, 0.95), _tint(PURPLE, 0.07), "-", "keeps its tasks, gets no new"),
    "drained": NodeLook("drained", "⇣", _tint(ORANGE, 0.95), _tint(ORANGE, 0.08), "/", "its tasks move elsewhere"),
    "unknown": NodeLook("unknown", "?", _tint(YELLOW, 0.95), _tint(YELLOW, 0.06), ".", "does not answer just now"),
    "unreachable": NodeLook("unreachable", "≠", _tint(VERMILLION, 0.7), _tint(ORANGE, 0.06), "\\", "cut from managers"),
    "down": NodeLook("down", "✕", _tint(VERMILLION, 0.95), _tint(VERMILLION, 0.08), "x", "does not answer: lost"),
    # Boxes that are no nodes, drawn by the same trace.
    "framework": NodeLook("framework", "⚙", _tint(PURPLE, 0.6), _tint(PURPLE, 0.05), "", "takes or declines offers"),
    "idle": NodeLook("framework", "⚙", "rgba(128,138,155,0.5)", _PLAIN, "-", "gets no offers: inactive"),
    "card": NodeLook("workload", "", "rgba(128,138,155,0.35)", "rgba(128,138,155,0.05)", "", ""),
    "service": NodeLook("service", "⇄", _tint(GREEN, 0.6), _tint(GREEN, 0.05), "", "sends traffic to ready tasks"),
    "unserved": NodeLook("service", "⇄", _tint(VERMILLION, 0.7), _tint(VERMILLION, 0.05), "", "has nobody to send to"),
    "tray": NodeLook("waiting", "", "rgba(128,138,155,0.25)", "rgba(128,138,155,0.03)", "", ""),
    "crowded": NodeLook("waiting", "", _tint(ORANGE, 0.8), _tint(ORANGE, 0.06), "", ""),
    "none": NodeLook("", "", "rgba(0,0,0,0)", "rgba(0,0,0,0)", "", ""),
}
NODE_CODES = {name: code for code, name in enumerate(NODES)}


def condition(node: Node) -> str:
    """The key of :data:`NODES` for a node: the worst thing that is true of it."""
    if node.state is NodeState.DOWN:
        return "down"
    if node.reachable is False:
        return "unreachable"
    if node.state is NodeState.UNKNOWN:
        return "unknown"
    if node.availability == "drain":
        return "drained"
    if node.availability == "pause":
        return "paused"
    return "leader" if node.leader else "ready"


# What a machine's plug adds to its node's note; the cluster itself does not know.
PLUGS = {"down": "unplugged", "paused": "frozen", "partitioned": "cut off", "slow": "slow network"}

BAR_TRACK = "rgba(128,138,155,0.22)"
BARS = (BLUE, ORANGE, VERMILLION, GREEN)  # codes: normal, nearly full, full, desired reached
NEARLY_FULL, FULL = 0.75, 0.95


@dataclass(frozen=True, slots=True)
class Theme:
    """Text and background; everything else is the same on light and on dark."""

    name: str
    background: str
    text: str
    muted: str
    on_fill: str = "#0b1118"  # signs inside the shapes: black reads on every fill colour


FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif'
THEMES = {
    "light": Theme("light", "#ffffff", "#1c2430", "#5a6472"),
    "dark": Theme("dark", "#11151c", "#e8ecf2", "#9aa5b4"),
    # Follows JupyterLab, Notebook, Voilà and VS Code by their own variables, and the reader's system elsewhere.
    "auto": Theme(
        "auto",
        "transparent",
        "var(--jp-ui-font-color1, var(--vscode-editor-foreground, CanvasText))",
        "var(--jp-ui-font-color2, var(--vscode-descriptionForeground, GrayText))",
    ),
}


def colours(tasks: bool) -> list[str]:
    """The discrete scale that the fill codes (``tasks``) or the border codes index."""
    if tasks:
        fresh = [TASKS[State(code)].fill for code in range(len(TASKS))]
        return [*fresh, *(_tint(c, FADED_ALPHA) for c in fresh), "rgba(0,0,0,0)"]
    return [*WORKLOADS, *(_tint(c, FADED_ALPHA) for c in WORKLOADS), "rgba(0,0,0,0)"]


def scale(entries: list[str]) -> list[list[float | str]]:
    """A plotly colour scale on which whole numbers 0..n-1 (cmin=0, cmax=n-1) hit the entries exactly."""
    last = max(1, len(entries) - 1)
    return [[code / last, colour] for code, colour in enumerate(entries)]


LINK, LINK_BROKEN, LINK_SERVED = "rgba(128,138,155,0.6)", "rgba(213,94,0,0.75)", "rgba(0,158,115,0.55)"
LINK_OFFERED, LINK_ANSWERED = "rgba(204,121,167,0.95)", "rgba(204,121,167,0.35)"  # an offer; one that is answered
