"""Pictures of a snapshot as files: ``labkit graph NAME -o FILE.svg`` and friends."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from labkit.model import Snapshot

from . import style, svg, words

SUFFIXES = (".svg", ".html", ".png")
SCALE = 2  # PNG pixels a unit: sharp on dense screens and in slides


class CannotExport(ValueError):
    """The picture cannot be written that way; the message says what can be done."""


def save(snapshot: Snapshot, path: str | Path, theme: str = "light", show_dead: bool = False) -> Path:
    """Write a picture of a snapshot; the suffix decides the format: ``.svg``, ``.html`` or ``.png``.

    Args:
        theme: "light" or "dark"; "auto" (follows the viewer's) for svg and html.

    Raises:
        CannotExport: unknown suffix or theme, or no font to draw a PNG's text with.
        OSError: the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise CannotExport(f"cannot write {path.name!r}: a graph can be saved as {', '.join(SUFFIXES)}")
    if theme not in style.THEMES:
        raise CannotExport(f"unknown theme {theme!r}: there are {', '.join(style.THEMES)}")
    if suffix == ".png":
        path.write_bytes(png(snapshot, "light" if theme == "auto" else theme, show_dead))
    else:
        text = svg.svg(snapshot, theme, show_dead) if suffix == ".svg" else page(snapshot, theme, show_dead)
        path.write_text(text, encoding="utf-8")
    return path


def png(snapshot: Snapshot, theme: str = "light", show_dead: bool = False) -> bytes:
    """A picture of a snapshot as PNG bytes."""
    family = _font()
    if family is None:
        raise CannotExport(
            "cannot draw text: no usable font on this machine. Install one (Debian and Ubuntu: "
            "apt-get install fonts-dejavu-core), or save as .svg or .html"
        )
    return _draw(svg.svg(snapshot, theme, show_dead), family, zoom=SCALE)


def _draw(text: str, family: str, zoom: float = 1.0) -> bytes:
    import resvg_py  # a compiled library of 3 MB that only this needs

    return bytes(resvg_py.svg_to_bytes(svg_string=text, zoom=zoom, font_family=family, sans_serif_family=family))


# The renderer asks no font service of the system: it must be told a family that is there. One of these is on
# nearly every Linux, macOS and Windows.
FAMILIES = ("Inter", "Roboto", "Segoe UI", "Helvetica Neue", "Noto Sans", "DejaVu Sans", "Liberation Sans", "Arial")


@functools.cache
def _font() -> str | None:
    """The first family of :data:`FAMILIES` with which text comes out: what it lacks is left out silently."""
    blank = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">{}</svg>'
    text = blank.format('<text x="2" y="16" font-family="sans-serif" font-size="16">M</text>')
    nothing = _draw(blank.format(""), FAMILIES[0])
    return next((family for family in FAMILIES if _draw(text, family) != nothing), None)


def page(snapshot: Snapshot, theme: str = "light", show_dead: bool = False) -> str:
    """A whole HTML page: the picture and the tables behind it."""
    look = style.THEMES[theme]
    scheme = {"light": "light", "dark": "dark", "auto": "light dark"}[theme]
    background = look.background if theme != "auto" else "Canvas"
    title = f"{snapshot.orchestrator} · {datetime.fromtimestamp(snapshot.at):%Y-%m-%d %H:%M:%S}"
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(title)}</title>
<style>
:root {{ color-scheme: {scheme}; }}
body {{ margin: 2rem auto; max-width: 70rem; padding: 0 1rem; font: 14px/1.5 {style.FONT};
       background: {background}; color: {look.text}; }}
h1 {{ font-size: 1.1rem; }}
table {{ border-collapse: collapse; margin: 1.5rem 0; width: 100%; font-variant-numeric: tabular-nums; }}
th {{ text-align: left; font-weight: 600; color: {look.muted}; }}
th, td {{ padding: .3rem .8rem .3rem 0; border-bottom: 1px solid {style.BAR_TRACK}; vertical-align: top; }}
.error {{ border-left: 4px solid {style.VERMILLION}; padding: .4rem .8rem; }}
</style>
<h1>{escape(title)}</h1>
{f'<p class="error">{escape(snapshot.error)}</p>' if snapshot.error else ""}
{svg.svg(snapshot, theme, show_dead)}
{tables(snapshot)}
</html>
"""


def tables(snapshot: Snapshot) -> str:
    """Nodes and workloads as HTML tables: the picture in text."""
    nodes = [
        (n.name, words.node_role(n), style.NODES[style.condition(n)].word, n.address, len(_living(snapshot, n.id)))
        for n in snapshot.nodes.values()
    ]
    workloads = [
        (w.name, words.desired(w), words.image(w.image), _ports(snapshot, w.id)) for w in snapshot.workloads.values()
    ]
    return _table(("node", "role", "state", "address", "tasks"), nodes) + _table(
        ("workload", "running / desired", "image", "ports"), workloads
    )


def _living(snapshot: Snapshot, node: str) -> list[str]:
    return [t.id for t in snapshot.tasks_on(node) if t.state.alive]


def _ports(snapshot: Snapshot, workload: str) -> str:
    return words.ports([e for e in snapshot.endpoints.values() if e.workload == workload])


def _table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    if not rows:
        return ""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
