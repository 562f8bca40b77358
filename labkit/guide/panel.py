"""The panels of a step and of the recap: thin anywidgets around the views of :mod:`labkit.guide.render`."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from labkit.guide.render import recap_view, step_html, step_view

if TYPE_CHECKING:
    from labkit.guide.opened import OpenLab
    from labkit.guide.steps import Step

log = logging.getLogger(__name__)

_STATIC = Path(__file__).parent / "static"


class _View(anywidget.AnyWidget):
    """A widget whose whole state is one JSON view; the front end sends ``{"do": …}`` messages back.

    Messages are worked off on a thread of their own: a check asks the cluster, and the kernel must stay free.
    """

    _css = _STATIC / "panel.css"
    view = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._sending = threading.Lock()
        self.on_msg(self._received)

    def show(self, view: dict[str, Any]) -> None:
        """Send the view if it differs from what is shown; safe from any thread."""
        with self._sending:
            if view != self.view:
                self.view = view

    def _received(self, _: Any, content: dict[str, Any], __: Any) -> None:
        threading.Thread(target=self._work, args=(content,), name="guide panel", daemon=True).start()

    def _work(self, content: dict[str, Any]) -> None:
        try:
            self.act(content)
            self.problem = ""
        except Exception as error:
            # The edge: what a button caused must be read by the one who pressed it.
            log.exception("a panel's action failed: %s", content)
            self.problem = f"{type(error).__name__}: {error}"

    def act(self, message: dict[str, Any]) -> None:
        """Carry out one message of the front end."""
        raise AssertionError(f"{type(self).__name__} takes no messages, got {message}")


class Panel(_View):
    """One step: task, status, what was seen, hints, question, prediction, solution, and why."""

    _esm = _STATIC / "step.js"

    def __init__(self, opened: OpenLab, step: Step) -> None:
        self._opened = opened
        self._step_id = step.id
        super().__init__(view=step_view(opened, step.id))

    def refresh(self) -> None:
        """Draw the step as it stands now."""
        self.show(step_view(self._opened, self._step_id))

    def act(self, message: dict[str, Any]) -> None:
        opened, step_id = self._opened, self._step_id
        match message.get("do"):
            case "check":
                opened.check(step_id)
            case "hint":
                opened.hint(step_id)
            case "answer":
                opened.answer(step_id, message.get("value"))
            case "predict":
                opened.predict(step_id, str(message.get("value")))
            case "solution":
                opened.solution(step_id)
            case "solve":
                opened.solve(step_id)
            case other:
                raise ValueError(f"a step's panel knows no {other!r}")
        self.refresh()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return _with_html(super()._repr_mimebundle_(**options), step_html(self.view))


class RecapPanel(_View):
    """The questions at the end of a lab."""

    _esm = _STATIC / "recap.js"

    def __init__(self, opened: OpenLab) -> None:
        self._opened = opened
        super().__init__(view=recap_view(opened))

    def act(self, message: dict[str, Any]) -> None:
        if message.get("do") != "answer":
            raise ValueError(f"the recap knows no {message.get('do')!r}")
        self._opened.answer_recap(int(message["question"]), int(message["choice"]))
        self.show(recap_view(self._opened))

    def _repr_mimebundle_(self, **options: Any) -> Any:
        prompts = "".join(f"<li>{question['prompt']}</li>" for question in self.view["questions"])
        return _with_html(super()._repr_mimebundle_(**options), f"<b>Recap</b><ol>{prompts}</ol>")


def _with_html(bundle: Any, html: str) -> Any:
    """Add the static form: a closed notebook and GitHub show that instead of an empty line."""
    if isinstance(bundle, tuple):
        data, metadata = bundle
        return {**data, "text/html": html}, metadata
    return {**bundle, "text/html": html} if bundle else {"text/html": html}
