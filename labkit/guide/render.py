"""HTML of the guide where no widget runs: the overview of a lab, and the static form of its panels."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.guide.opened import OpenLab

MARKS = {"passed": "✔", "locked": "○", "open": "●"}


def markdown(text: str) -> str:
    """Markdown to HTML (CommonMark with tables); raw HTML in it stays text."""
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def inline(text: str) -> str:
    """One line of Markdown without the paragraph around it."""
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False}).renderInline(text))


def overview_html(opened: OpenLab) -> str:
    """Title, goal, minutes, engine and the list of steps with what is done."""
    lab, sandbox = opened.lab, opened.sandbox
    engine = f" · {escape(sandbox.engine)} engine" if sandbox is not None else ""
    rows = "".join(
        f'<li style="list-style:none">{MARKS[status_of(opened, step.id)]} {escape(step.title)}</li>'
        for step in lab.steps
    )
    done = sum(opened.passed(step.id) for step in lab.steps)
    return (
        f'<div style="border-left:4px solid var(--jp-brand-color1,#1976d2);padding:2px 14px">'
        f"<b>{escape(lab.title)}</b> · {lab.minutes} minutes{engine} · {done} of {len(lab.steps)} steps done"
        f'<div style="margin-top:4px">{inline(lab.goal)}</div>'
        f'<ol style="margin:6px 0 0;padding:0">{rows}</ol></div>'
    )


def status_of(opened: OpenLab, step_id: str) -> str:
    """``passed``, ``locked`` (a needed step is open) or ``open``."""
    if opened.passed(step_id):
        return "passed"
    step = opened.lab.step(step_id)
    return "open" if all(opened.passed(need) for need in step.needs) else "locked"


def step_view(opened: OpenLab, step_id: str) -> dict[str, Any]:
    """Everything that a step's panel shows, as JSON: what the widget's front end draws and the tests read."""
    from labkit.guide.source import solution_text

    step = opened.lab.step(step_id)
    facts = opened.facts(step_id)
    status = status_of(opened, step_id)
    verdict = opened.last_verdict(step_id)
    view: dict[str, Any] = {
        "id": step.id,
        "number": [s.id for s in opened.lab.steps].index(step.id) + 1,
        "of": len(opened.lab.steps),
        "title": inline(step.title),
        "task": markdown(step.task),
        "status": status,
        "seen": inline(facts.get("seen", "") if status == "passed" else (verdict.seen if verdict else "")),
        "try": inline(verdict.try_next) if verdict and status != "passed" else "",
        "why": markdown(step.why) if status == "passed" else "",
        "hints": [inline(step.hints[i].text) for i in facts.get("hints", []) if i < len(step.hints)],
        "more_hints": status == "open" and len(facts.get("hints", [])) < len(step.hints),
        "solution": solution_text(step.solution, opened.lab.orchestrator) if facts.get("solution") else "",
        "note": inline(step.engines.get(getattr(opened.sandbox, "engine", ""), "")),
        "ask": None,
        "prediction": None,
    }
    if step.ask is not None:
        view["ask"] = {
            "prompt": inline(step.ask.prompt),
            "choices": list(step.ask.choices),
            "labels": [inline(choice) for choice in step.ask.choices],
            "answer": facts.get("answer"),
        }
    if step.prediction is not None:
        view["prediction"] = {
            "prompt": inline(step.prediction.prompt),
            "choices": list(step.prediction.choices),
            "labels": [inline(choice) for choice in step.prediction.choices],
            "choice": facts.get("prediction"),
            "outcome": facts.get("outcome") if status == "passed" else None,
        }
    return view


def step_html(view: dict[str, Any]) -> str:
    """The static form of a panel, for a closed notebook, GitHub, or a page without widgets."""
    colour = {"passed": "#2e7d32", "open": "#1976d2", "locked": "#757575"}[view["status"]]
    word = {"passed": "done", "open": "open", "locked": "not yet open"}[view["status"]]
    parts = [
        f"<b>Step {view['number']} of {view['of']} · {view['title']}</b> "
        f'<span style="color:{colour}">{MARKS[view["status"]]} {word}</span>',
        view["task"],
    ]
    if view["seen"]:
        parts.append(f"<p><i>{view['seen']}</i> {view['try']}</p>")
    parts.append(view["why"])
    return f'<div style="border-left:4px solid {colour};padding:2px 14px">{"".join(parts)}</div>'


def recap_view(opened: OpenLab) -> dict[str, Any]:
    """The recap's questions with what was answered; the explanation comes with an answer."""
    facts = opened.recap_facts()
    questions = []
    for index, question in enumerate(opened.lab.recap):
        given = facts.get(str(index))
        questions.append(
            {
                "prompt": inline(question.prompt),
                "choices": [inline(choice) for choice in question.choices],
                "choice": given["choice"] if given else None,
                "right": given["right"] if given else None,
                "why": markdown(question.why) if given else "",
            }
        )
    return {"questions": questions}
