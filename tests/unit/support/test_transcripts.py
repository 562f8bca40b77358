"""Transcripts: read and written, played in a folder, and made alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kube_normal import normal
from support.transcripts import Player, Step, parse, render

TEXT = """What is said first.

    $ echo hello
    hello
    there

    $ cat <<EOF
    > a
    > EOF
    a
    [3]

And then:

    & sleep 9

    ^C 0
"""


def test_a_transcript_is_written_as_it_was_read() -> None:
    steps = parse(TEXT)
    assert steps[1] == Step("$", "echo hello", ("hello", "there"))
    assert steps[2] == Step("$", "cat <<EOF\na\nEOF", ("a",), 3)
    assert [step.sign for step in steps] == ["", "$", "$", "", "&", "^C"]
    assert render(steps) == TEXT


def test_an_answer_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing was typed"):
        parse("Prose.\n\n    an answer\n")


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    player = Player(tmp_path, {"PATH": os.environ["PATH"]}, str.splitlines, patience=10)
    yield player
    player.close()


def test_what_was_answered_takes_the_place_of_what_was(player: Player) -> None:
    step = player.play(Step("$", "echo out; echo err >&2; exit 4", ("old",)))
    assert step.said == ["out", "err", "[4]"]
    assert player.play(Step("$", "false | true")).code == 1


def test_what_runs_is_ended_when_it_has_said_enough(player: Player) -> None:
    player.play(Step("&", "while true; do echo tick; sleep 0.01; done"))
    assert player.play(Step("^C", "2")).output == ("tick", "tick")


def test_a_command_is_repeated_until_it_succeeds(player: Player) -> None:
    player.play(Step("%", "echo x >> tries; test $(wc -l < tries) -ge 2"))
    assert (player.folder / "tries").read_text() == "x\nx\n"


def test_a_command_that_does_not_end_is_a_failure(player: Player) -> None:
    player.patience = 0.2
    with pytest.raises(AssertionError, match="still running"):
        player.play(Step("$", "sleep 60"))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("web-5d5b8c7f9d-x2x4z  1/1   Running   2 (5m3s ago)   41h", "web-HASH-RANDOM  1/1  Running  2 (AGE ago)  AGE"),
        ("web-5d5b8c7f9d   1  ", "web-HASH  1"),
        ("kube-proxy-57xmz", "kube-proxy-RANDOM"),
        ("kube-proxy on labkit-t-worker2 at 10.244.1.7:80", "kube-proxy on worker-2 at IP:80"),
        ("labkit-t-worker  Ready", "worker-1  Ready"),
        ("80:31234/TCP", "80:NODEPORT/TCP"),
        ("    cpu:     10m", "    cpu:  10m"),
        ("op=Exists for 300s", "op=Exists for 300s"),
        ("image: traefik/whoami:v1.10.1 on v1.20.2", "image: traefik/whoami:v1.10.1 on VERSION"),
        ('  resourceVersion: "123"', "  resourceVersion: RV"),
        ("Mon, 02 Jan 2006 15:04:05 +0000", "TIME"),
    ],
)
def test_what_must_differ_is_made_alike(said: str, kept: str) -> None:
    assert normal(said, {"labkit-t-worker": "worker-1", "labkit-t-worker2": "worker-2"}) == [kept]


def test_events_of_a_second_have_one_order() -> None:
    said = "Events:\n  Normal  Started  3s  kubelet  b\n  Normal  Created  3s  kubelet  a\n"
    assert normal(said, {}) == ["Events:", "  Normal  Created  AGE  kubelet  a", "  Normal  Started  AGE  kubelet  b"]


@pytest.mark.parametrize("other", [True, False])
def test_controllers_that_met_at_a_slice_are_not_told_of(other: bool) -> None:
    head = "  Type     Reason  Age  From  Message\n  ----     ------  ----  ----  -------\n"
    said = f"Session Affinity:  None\nEvents:\n{head}"
    met = "  Warning  FailedToUpdateEndpointSlices  3s  endpoint-slice-controller  Error updating\n"
    kept = "  Normal   Created  1s  kubelet  a\n"
    events = normal(said + met + (kept if other else ""), {})[1:]
    assert events == (normal(said + kept, {})[1:] if other else ["Events:  <none>"])


def test_the_keys_of_a_config_map_have_an_order() -> None:
    told = "Name:  s\n\nData\n====\nb:\n----\none\n\ntwo\n\na:\n----\nthree\n\nBinaryData\n====\n\nEvents:  <none>\n"
    assert normal(told, {}) == [
        "Name:  s", "Data", "====", "a:", "----", "three", "b:", "----", "one", "two", "BinaryData", "====",
        "Events:  <none>",
    ]  # fmt: skip
