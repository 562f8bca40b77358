"""The shell against what a real busybox says, and against scripts that mean no good."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from labkit.embedded.runtime.shell.parser import Parser
from labkit.embedded.runtime.shell.syntax import ShellSyntaxError
from labkit.embedded.runtime.streams import Bytes

from .conftest import Box, output

# Recorded from BusyBox 1.35: what each script writes to standard output, and its exit code.
CASES = json.loads((Path(__file__).parent / "shell_cases.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[str(number) for number in range(len(CASES))])
async def test_as_busybox(box: Box, case: dict[str, str | int]) -> None:
    stdin = Bytes(b"line one\nline two\n")
    process = await box.run("busybox", ["sh", "-c", str(case["script"])], stdin=stdin, connected=False, workdir="/tmp")
    code = await box.until(process.wait())
    assert (output(process, "stdout"), code) == (case["stdout"], case["code"]), case["script"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("foo", "sh: foo: not found\n"),
        ("/bin/foo", "sh: /bin/foo: not found\n"),
        ("curl http://x", "sh: curl: not found\n"),
        ("if true", 'sh: syntax error: unexpected end of file (expecting "then")\n'),
        ("done", 'sh: syntax error: unexpected "done"\n'),
        ("cat < /nope", "sh: can't open /nope: no such file\n"),
        ("echo > /nope/x", "sh: can't create /nope/x: nonexistent directory\n"),
        ("cd /nope", "sh: cd: line 0: can't cd to /nope: No such file or directory\n"),
        ("cat /nope", "cat: can't open '/nope': No such file or directory\n"),
        ("echo $((1/0))", "sh: divide by zero\n"),
        ("ls --nope", "ls: unrecognized option: nope\n"),
        ("wget http://nope", "Connecting"),
    ],
)
async def test_complaints(box: Box, script: str, words: str) -> None:
    code, said = await box.sh(script)
    assert code != 0
    assert said == words or script.startswith("wget")


# scripts that mean no good ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "f() { f; }; f",
        "f() { f | f; }; f",
        "x=a; while true; do x=$x$x; done",
        'x=a; while true; do x="$x$x"; echo ${#x} > /dev/null; done',
        "yes | sort",
        "yes | tail -n 1",
        "x=$(yes)",
        "a() { sh -c 'echo'; a; }; a",
        "eval \"$(printf 'eval %.0s' $(seq 300)) true\"",
        "sh -c 'sh -c \"sh -c true\"'; echo $(echo $(echo $(echo)))" + "; echo " + "$(echo " * 60 + ")" * 60,
        "((" * 200,
        "echo $((" + "(" * 500 + "1" + ")" * 500 + "))",
        "if " * 300,
        "cat /dev/zero > /tmp/full",
        "dd if=/dev/zero of=/tmp/big bs=1M count=100",
        "for i in $(seq 1 100000); do :; done",
        "echo 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab' | grep -E '(a+)+$'",
        "x=$(printf 'a%.0s' $(seq 9000)); echo ${x##*b*c*d} ${x//*a*b/z}",
        "printf '%99999999d' 1",
        "seq 1 99999999999 | head -n 1; seq 1 0.0000001 2 | head -n 1; : $(seq 1 99999999)",
        "while true; do (sleep 1000 &); done",
        "while true; do sleep 1000 & done",
        "xargs xargs xargs < /dev/zero",
        "kill -9 -1; kill -9 1; exit 3",
        "read x < /dev/zero; exit 3",
        "trap 'kill $$' TERM; kill $$; exit 3",
        ". /dev/zero",
        "expr 99999999999999999999999999999999999999999 '*' 99999999999999999999999999999999999999999",
        "IFS=x; set -- $(yes x | head -c 200000); exit 3",
    ],
)
async def test_nothing_runs_away(box: Box, script: str) -> None:
    """Each comes to an end with an error (or is killed here), and meanwhile others get their turn."""
    process = await box.run("busybox", ["sh", "-c", script], connected=False)
    longest, last, start = 0.0, time.perf_counter(), time.perf_counter()
    while process.running and time.perf_counter() - start < 1.5:
        await asyncio.sleep(0.001)
        await box.clock.advance(0.01)
        longest = max(longest, time.perf_counter() - last)
        last = time.perf_counter()
    assert longest < 1.0, "others had to wait"
    process.kill(9)
    assert len(output(process)) < 2_000_000
    assert sum(len(data) for data in process.files.layer.values() if data) <= 17 * 1024 * 1024


async def test_a_busy_loop_leaves_most_of_the_processor_to_others(box: Box) -> None:
    process = await box.run("busybox", ["sh", "-c", "while true; do :; done"], connected=False)
    await asyncio.sleep(0.3)  # the burst is over
    used, start = time.process_time(), time.perf_counter()
    await asyncio.sleep(0.5)  # a share of a time wants a time
    share = (time.process_time() - used) / (time.perf_counter() - start)
    process.kill(9)
    assert share < 0.5, f"{share:.0%} of a processor"
    assert process.cpu_seconds > 0.1


def parse(text: str) -> None:
    parser = Parser(text)
    while parser.next_command() is not None:
        pass


@pytest.mark.parametrize(
    "text", ["echo 'a", 'echo "a', "if true", "while", "(", "{ a", "a &&", "a |", "case x in", "cat <<E"]
)
def test_unfinished_commands_are_told_from_wrong_ones(text: str) -> None:
    with pytest.raises(ShellSyntaxError) as caught:
        parse(text)
    assert caught.value.incomplete


@pytest.mark.parametrize(
    "text", [")", "done", "a ;; b", "if; then", "fi", "a | | b", "for 1 in a; do b; done", "< > x"]
)
def test_wrong_commands(text: str) -> None:
    with pytest.raises(ShellSyntaxError) as caught:
        parse(text)
    assert not caught.value.incomplete


async def test_arrays_as_bash_has_them(box: Box) -> None:
    script = """\
items=(foo bar "b z" qux xyz); JOB=1
echo ${items[$JOB]} ${items[0]} $items ${#items[@]} ${#items[2]}
for i in "${items[@]}"; do echo "[$i]"; done
echo "${items[*]}" "${items[9]:-none}" ${items[-1]} ${items[JOB+1]}
x=(
  a
  b
)
echo ${x[@]} ${x[1]}
e=(); echo ${#e[@]}; items=(new); echo ${#items[@]}
x=c; echo ${x[@]}; unset x; echo "${x[0]}."
"""
    process = await box.run("bash:5", ["bash", "-c", script])
    assert await box.until(process.wait()) == 0
    assert output(process) == (
        "bar foo foo 5 3\n[foo]\n[bar]\n[b z]\n[qux]\n[xyz]\nfoo bar b z qux xyz none xyz b z\na b b\n0\n1\nc b\n.\n"
    )
