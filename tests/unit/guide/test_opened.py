"""An open lab against a sandbox that is a plain object: what passes, what is kept, what a learner is told."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest
from support.until import until

from labkit.guide import Ask, Context, Hint, Lab, NotYet, Passed, Prediction, Progress, Recap, Step, open_lab
from labkit.guide.source import solution_text


def has(thing: str):
    def check(context: Context):
        return Passed(f"{thing} is there") if thing in context.sandbox.things else NotYet(f"no {thing}", "make it")

    return check


def make_a(context: Context) -> None:
    context.sandbox.things.add("a")


def make_b(context: Context) -> None:
    context.sandbox.things.add("b")


def answer(context: Context) -> int:
    return 2


def graded(context: Context):
    return Passed("right") if context.answer == 2 else NotYet("not right")


LAB = Lab(
    id="test/01-things",
    title="Things",
    goal="Make *things*.",
    minutes=1,
    orchestrator="swarm",
    steps=(
        Step(
            id="a",
            title="Make a",
            task="Do `a`",
            check=has("a"),
            solution=make_a,
            why="because",
            hints=(Hint("first"), Hint("only without b", when=lambda c: "b" not in c.sandbox.things)),
            prediction=Prediction("what?", ("yes", "no"), lambda c: "yes"),
        ),
        Step(id="b", title="Make b", task="Do b", check=has("b"), solution=make_b, why="", needs=("a",)),
        Step(id="sum", title="Add", task="1+1", check=graded, solution=answer, why="", ask=Ask("1 + 1?")),
    ),
    recap=(Recap("which?", ("x", "y"), 1, "y it is"),),
    shows={"things exist": "a"},
)


@pytest.fixture
def sandbox():
    return SimpleNamespace(name="t", orchestrator="swarm", engine="embedded", client=None, things=set())


@pytest.fixture
def opened(sandbox, tmp_path):
    lab = open_lab(LAB, sandbox, Progress(tmp_path / "progress.json"))
    yield lab
    lab.close()


def test_a_check_fails_before_and_passes_after(opened, sandbox):
    assert opened.check("a") == NotYet("no a", "make it")
    sandbox.things.add("a")
    assert opened.check("a") == Passed("a is there")


def test_a_step_waits_for_what_it_needs(opened, sandbox):
    sandbox.things.add("b")
    verdict = opened.check("b")
    assert isinstance(verdict, NotYet)
    assert "Make a" in verdict.seen


def test_once_passed_a_step_stays_passed(opened, sandbox):
    opened.solve("a")
    sandbox.things.clear()
    assert isinstance(opened.check("a"), Passed)


def test_progress_is_kept_for_the_next_kernel(opened, sandbox, tmp_path):
    opened.solve("a")
    again = open_lab(LAB, sandbox, Progress(tmp_path / "progress.json"))
    assert again.passed("a")
    assert not again.passed("b")


def test_reset_forgets(opened, sandbox):
    opened.solve("a")
    opened.reset()
    sandbox.things.clear()
    assert isinstance(opened.check("a"), NotYet)
    assert opened.progress.lab(LAB.id)["steps"] == {}


def test_an_answer_is_graded_and_may_be_corrected(opened):
    assert isinstance(opened.answer("sum", 3), NotYet)
    assert isinstance(opened.answer("sum", 2), Passed)


def test_a_prediction_is_scored_and_cannot_be_made_afterwards(opened):
    opened.predict("a", "no")
    opened.solve("a")
    view = opened.step("a").view
    assert view["prediction"]["choice"] == "no"
    assert view["prediction"]["outcome"] == "yes"
    with pytest.raises(ValueError, match="already happened"):
        opened.predict("a", "yes")


def test_hints_depend_on_the_state(opened, sandbox):
    sandbox.things.add("b")
    assert opened.hint("a") == "first"
    assert opened.hint("a").startswith("No further hint")
    sandbox.things.clear()
    assert opened.hint("a") == "only without b"


def test_the_panel_turns_green_by_itself(opened, sandbox):
    panel = opened.step("a")
    green = threading.Event()
    panel.observe(lambda change: green.set() if change["new"]["status"] == "passed" else None, "view")
    assert panel.view["status"] == "open"
    sandbox.things.add("a")
    opened._wake.set()
    assert green.wait(10)
    assert "because" in panel.view["why"]


def test_a_check_that_crashes_for_a_moment_is_made_again(opened, sandbox):
    refusals = iter([ConnectionError("no leader"), TimeoutError("no leader yet")])

    class Electing(set):
        def __contains__(self, thing):
            for refusal in refusals:
                raise refusal
            return super().__contains__(thing)

    sandbox.things = Electing("a")
    assert isinstance(opened.wait("a", timeout=30), Passed)


def test_a_check_that_crashes_to_the_end_says_so(opened, sandbox):
    del sandbox.things
    with pytest.raises(AttributeError, match="things"):
        opened.wait("a", timeout=0)


def test_a_crashing_check_is_shown_not_swallowed(opened, sandbox):
    del sandbox.things
    panel = opened.step("a")
    until(lambda: "AttributeError" in panel.view["seen"], 10)


def test_a_crashing_button_is_shown_in_the_panel(opened):
    panel = opened.step("a")
    told = threading.Event()
    panel.observe(lambda change: told.set(), "problem")
    panel._received(panel, {"do": "dance"}, [])
    assert told.wait(10)
    assert "dance" in panel.problem


def test_a_solution_takes_from_the_notebook_what_a_cell_simply_has():
    def solution(context):
        import time

        from __main__ import call

        call(context.client, time.time())

    assert solution_text(solution, "swarm") == "import time\n\ncall(swarm.client, time.time())"


def test_the_solution_reads_like_a_cell(opened):
    assert opened.solution("a") == 'swarm.things.add("a")'
    assert opened.solution("sum") == "2"


def test_a_lab_of_another_orchestrator_is_refused(sandbox, tmp_path):
    sandbox.orchestrator = "kubernetes"
    with pytest.raises(ValueError, match="is about swarm"):
        open_lab(LAB, sandbox, Progress(tmp_path / "p.json"))


def test_the_overview_and_the_static_panel_say_where_one_is(opened):
    opened.solve("a")
    assert "1 of 3 steps done" in opened._repr_html_()
    data = opened.step("b")._repr_mimebundle_()
    html = (data[0] if isinstance(data, tuple) else data)["text/html"]
    assert "Step 2 of 3" in html


def test_recap_explains_after_an_answer(opened):
    recap = opened.recap()
    assert recap.view["questions"][0]["why"] == ""
    recap.act({"do": "answer", "question": 0, "choice": 0})
    assert recap.view["questions"][0]["right"] is False
    recap.act({"do": "answer", "question": 0, "choice": 1})
    assert recap.view["questions"][0]["right"] is True
    assert "y it is" in recap.view["questions"][0]["why"]


def test_progress_can_be_taken_along_and_brought_back(opened, sandbox, tmp_path):
    opened.solve("a")
    copy = opened.progress.export(tmp_path / "copy.json")
    elsewhere = Progress(tmp_path / "elsewhere.json")
    elsewhere.note(LAB.id, "b", passed=1.0)
    assert elsewhere.bring_back(copy) == 1
    again = open_lab(LAB, sandbox, elsewhere)
    assert again.passed("a")
    assert again.passed("b")


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"format": 99, "labs": {}}), json.dumps({"format": 1})])
def test_a_file_that_is_no_progress_is_refused(tmp_path, content):
    bad = tmp_path / "bad.json"
    bad.write_text(content)
    with pytest.raises(ValueError, match="not a progress file"):
        Progress(tmp_path / "p.json").bring_back(bad)


def test_a_damaged_progress_file_is_kept_aside(tmp_path):
    path = tmp_path / "progress.json"
    path.write_text("half a fi")
    Progress(path).note("x", "y", passed=1.0)
    assert (tmp_path / "progress.damaged.json").read_text() == "half a fi"


def test_two_notebooks_write_one_file(tmp_path):
    path = tmp_path / "progress.json"
    threads = [
        threading.Thread(target=lambda n=n: Progress(path).note("lab", f"step{n}", passed=1.0)) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Progress(path).lab("lab")["steps"]) == 20


@pytest.mark.parametrize(
    ("steps", "shows", "words"),
    [
        (("a", "a"), {}, "two steps"),
        (("a",), {"s": "zz"}, "no step of it"),
    ],
)
def test_a_lab_that_does_not_hang_together_is_refused(steps, shows, words):
    made = tuple(Step(id=s, title=s, task="", check=graded, solution=answer, why="") for s in steps)
    with pytest.raises(ValueError, match=words):
        Lab(id="x", title="", goal="", minutes=1, orchestrator="swarm", steps=made, shows=shows)
