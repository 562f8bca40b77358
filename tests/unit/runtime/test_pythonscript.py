"""Scripts of a few lines in ``python`` containers."""

from __future__ import annotations

import pytest

from tests.unit.runtime.conftest import Box, output

PER_INDEX = """
import os, sys
print("Hello world")
if int(os.environ.get("JOB_COMPLETION_INDEX")) % 2 == 0:
  sys.exit(1)
"""
FAIL_INDEX = """
import os, sys
index = int(os.environ.get("JOB_COMPLETION_INDEX"))
if index == 0:
  sys.exit(1)
elif index == 1:
  sys.exit(42)
else:
  sys.exit(0)
"""
LOOPS = """
import time as t
total = 0
for i in range(10):
    if i == 2: continue
    if i > 4: break
    total += i
    t.sleep(60)
while total < 10:
    total = total + 1
print(f"{total} of {'ten'.upper()}", total // 3, -1, not total, "a" if total else "b", flush=True)
"""


async def ran(box: Box, *args: str, index: str = "0") -> tuple[int, str]:
    process = await box.run(
        "python:3", ["sh", "-c", f'export JOB_COMPLETION_INDEX={index}; exec python3 "$@"', "sh", *args]
    )
    return await box.until(process.wait()), output(process)


@pytest.mark.parametrize(
    ("script", "index", "code"),
    [(PER_INDEX, "0", 1), (PER_INDEX, "1", 0), (FAIL_INDEX, "0", 1), (FAIL_INDEX, "1", 42), (FAIL_INDEX, "2", 0)],
)
async def test_what_the_pages_about_jobs_run(box: Box, script: str, index: str, code: int) -> None:
    assert (await ran(box, "-c", script, index=index))[0] == code


async def test_loops_take_the_time_that_they_say(box: Box) -> None:
    begun = box.clock.time()
    assert await ran(box, "-u", "-c", LOOPS) == (0, "10 of TEN 3 -1 False a\n")
    assert box.clock.time() - begun >= 4 * 60


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(300)", 44, ""),
        ("import sys; sys.exit('no way')", 1, "no way\n"),
        ("import os\nprint(os.environ['NOPE'])", 1, "line 2, in <module>\nKeyError: 'NOPE'\n"),
        ("print(1/0)", 1, "ZeroDivisionError: division by zero\n"),
        ("print(x)", 1, "NameError: name 'x' is not defined\n"),
        ("int(None)", 1, "TypeError: int() argument must be"),
        ("if:", 1, "SyntaxError: invalid syntax\n"),
        ("import os; print('HOME' in os.environ, 'NOPE' in os.environ)", 0, "True False\n"),
        ("import sys; print(sys.argv[1:][0])", 1, "does not know the expression sys.argv[1:]"),
        ("x = [1, 'b']; print(x[1], (1,), 1 < 2 < 2, None is not None or 'c')", 0, "b (1,) False c\n"),
    ],
)
async def test_what_it_says_and_how_it_ends(box: Box, script: str, code: int, said: str) -> None:
    ended, text = await ran(box, "-c", script)
    assert ended == code
    assert said in text


@pytest.mark.parametrize(
    "script",
    [
        "import subprocess",
        "open('/etc/passwd')",
        "().__class__.__bases__",
        "print.__globals__",
        "import os; os.system('ls')",
        "''.join.__self__",
        "'{0.__class__}'.format(1)",
        "eval('1')",
        "def f(): pass",
        "2 ** 10 ** 10",
        "x = 'a' * 10 ** 3 % 1",
        "f'{1:9999999999}'",
        "'%9999999999d' % 1",
        "lambda: 1",
        "x = [1]; x = [x, x]",
    ],
)
async def test_all_else_is_named_and_not_done(box: Box, script: str) -> None:
    code, text = await ran(box, "-c", script)
    assert code == 1
    assert "labkit's stand-in, which is no interpreter, does not know " in text


@pytest.mark.parametrize(
    "script",
    [
        "print('a' * 99999999999)",
        "x = 'a'\nwhile True: x += x",
        "x = 2\nwhile True: x *= x",
        "x = [1]\nwhile True: x = x + x",
        "print(" + "-" * 3000 + "1)",
        "print(" + "1+" * 9000 + "1)",
        "print(1)\n" * 30000,
        "max(range(10 * 10000000000))",
        "1.5 in range(1000000000000)",
        "len(range(10000000000000000000000))",
    ],
)
async def test_nothing_grows_beyond_measure(box: Box, script: str) -> None:
    assert (await ran(box, "-c", script))[0] == 1


async def test_a_loop_without_end_starves_nobody(box: Box) -> None:
    process = await box.run("python:3", ["python3", "-c", "while True: pass"], connected=False)
    assert await box.sh("echo here") == (0, "here\n")
    assert process.running
    process.kill(9)
    assert await box.until(process.wait()) == 137


async def test_a_file(box: Box) -> None:
    write = "printf 'import sys\\nprint(sys.argv[1])\\nsys.exit(3)\\n' > /tmp/a.py; cd /tmp; exec python a.py hello"
    process = await box.run("python:3", ["sh", "-c", write])
    assert (await box.until(process.wait()), output(process)) == (3, "hello\n")
    assert (await ran(box, "/nope.py"))[0] == 2


async def test_without_anything_to_do_it_says_what_it_can(box: Box) -> None:
    code, text = await ran(box)
    assert code == 1
    assert "only -c, a file, and -m http.server" in text
