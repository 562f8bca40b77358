"""./lab with a Python that only pretends: every way in which a first start can go wrong, without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.until import until

ROOT = Path(__file__).resolve().parents[3]

# Pretends to be python3: `-c` answers whether it is new enough, `-m venv` makes a copy of itself, `-m pip` installs or
# fails as PIP says, `-m labkit.cli` prints its arguments.
PYTHON = r"""#!/bin/sh
echo "$0 $*" >>"$CALLS"
case "$1 $2" in
  "-c "*version_info*sys.exit*|"-c import sys; sys.exit"*) [ "${VERSION:-3.12}" != 3.9 ] ;;
  "-c import venv"*) [ -z "${NO_VENV-}" ] ;;
  "-c import sys; print"*) echo 3.12 ;;
  "-c import platform"*) echo 3.9.2 ;;
  "-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  "-m pip")
    case "$*" in *--version*) exit 0 ;; esac
    sleep "${PIP_TAKES:-0}"
    [ -z "${PIP-}" ] || { echo "$PIP"; exit 1; } ;;
  "-P -m") shift 3; echo "labkit: $*"; echo "in $PWD as $LABKIT_CALLED_AS" ;;
  "-m pytest") shift 2; echo "pytest: $* in $PWD" ;;
esac
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A checkout with spaces in its path, and a PATH on which only the pretended Python is."""
    root = tmp_path / "a checkout"
    root.mkdir()
    for name in ("lab", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in (
        "sh",
        "cat",
        "cksum",
        "cp",
        "dirname",
        "grep",
        "mkdir",
        "mv",
        "pwd",
        "readlink",
        "rm",
        "sed",
        "sleep",
        "tail",
    ):
        found = shutil.which(tool)
        assert found, tool
        (tools / tool).symlink_to(found)
    pretended = tools / "python3"
    pretended.write_text(PYTHON)
    pretended.chmod(0o755)
    return root


def environment(place: Path, **more: str) -> dict[str, str]:
    return {"PATH": str(place.parent / "tools"), "CALLS": str(place.parent / "calls"), **more}


def lab(
    place: Path, *words: str, path: Path | None = None, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(path or place / "lab"), *words],
        env=environment(place, **more),
        cwd=cwd or place.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )


def calls(place: Path) -> list[str]:
    file = place.parent / "calls"
    return file.read_text().splitlines() if file.exists() else []


def nothing_half_made(place: Path) -> bool:
    return not any((place / name).exists() for name in (".venv", ".venv.lock", ".venv.log"))


def test_the_script_is_plain_sh() -> None:
    for shell in ("sh", "dash"):
        if shutil.which(shell):
            subprocess.run([shell, "-n", str(ROOT / "lab")], check=True)


def test_the_first_start_installs_and_the_second_does_not(place: Path) -> None:
    first = lab(place, "up", "swarm", "--name", "a b")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[0] == "labkit: up swarm --name a b"
    assert "Installing into" in first.stderr
    assert "Installed." in first.stderr
    installs = [call for call in calls(place) if " -m pip install" in call]
    assert "-r" in installs[0]
    assert "--no-deps -e" in installs[1]
    before = len(calls(place))
    second = lab(place, "env", "swarm")
    assert (second.stdout.splitlines()[0], second.stderr) == ("labkit: env swarm", "")
    assert len(calls(place)) == before + 1  # it only handed over


def test_from_anywhere_by_a_link_and_without_words(place: Path) -> None:
    link = place.parent / "tools" / "my-lab"
    link.symlink_to("../a checkout/lab")
    ran = lab(place, path=link, cwd=place.parent / "tools")
    assert ran.stdout.splitlines() == ["labkit: lab", f"in {place.parent / 'tools'} as {link}"]


def test_tests_get_their_extras_once_and_run_in_the_checkout(place: Path) -> None:
    lab(place)
    first = lab(place, "test", "-k", "x y")
    assert first.stdout == f"pytest: -k x y in {place}\n"
    assert "[test]" in calls(place)[-2]
    before = len(calls(place))
    lab(place, "test")
    assert len(calls(place)) == before + 1


@pytest.mark.parametrize("changed", ["requirements.txt", "pyproject.toml"])
def test_other_requirements_are_installed(place: Path, changed: str) -> None:
    lab(place)
    with open(place / changed, "a") as file:
        file.write("\n# newer\n")
    again = lab(place, "ls")
    assert "Installing into" in again.stderr
    assert not [call for call in calls(place) if "-m venv" in call][1:]  # into the same environment


def test_a_checkout_that_was_moved_installs_again(place: Path) -> None:
    lab(place)
    moved = place.parent / "moved"
    place.rename(moved)
    assert "Installing into" in lab(moved, "ls").stderr


def test_no_python_at_all(place: Path) -> None:
    (place.parent / "tools" / "python3").unlink()
    ran = lab(place)
    assert ran.returncode == 1
    assert "Python 3.11 or newer is needed, and there is no python3 here." in ran.stderr
    assert "apt install python3" in ran.stderr
    assert nothing_half_made(place)


def test_an_old_python(place: Path) -> None:
    ran = lab(place, VERSION="3.9")
    assert ran.returncode == 1
    assert "and python3 here is 3.9.2" in ran.stderr
    assert nothing_half_made(place)


def test_a_python_without_venv(place: Path) -> None:
    ran = lab(place, NO_VENV="1")
    assert ran.returncode == 1
    assert "sudo apt install python3.12-venv" in ran.stderr
    assert nothing_half_made(place)


@pytest.mark.parametrize(
    ("pip", "says"),
    [
        ("ERROR: NewConnectionError('Failed to establish')", "the package index could not be reached"),
        ("ERROR: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: No matching distribution found for x", "No matching distribution found for x"),
    ],
)
def test_pip_that_fails(place: Path, pip: str, says: str) -> None:
    ran = lab(place, PIP=pip)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert says in ran.stderr
    assert nothing_half_made(place)


def test_an_update_that_fails_keeps_what_was_there(place: Path) -> None:
    lab(place)
    (place / "requirements.txt").write_text("other")
    assert lab(place, PIP="ERROR: ConnectTimeout").returncode == 1
    assert (place / ".venv" / "bin" / "python").exists()
    assert not (place / ".venv.lock").exists()
    assert lab(place, "ls").returncode == 0


def test_a_person_who_gives_up_leaves_nothing(place: Path) -> None:
    running = subprocess.Popen(
        ["/bin/sh", str(place / "lab")], env=environment(place, PIP_TAKES="30"), stderr=subprocess.PIPE, text=True
    )
    until(lambda: any("-m pip install" in call for call in calls(place)), 20, "pip is at work")
    running.terminate()
    running.communicate(timeout=20)
    assert running.returncode == 143
    assert nothing_half_made(place)


def test_two_at_once_install_once(place: Path) -> None:
    both = [
        subprocess.Popen(
            ["/bin/sh", str(place / "lab"), "ls"],
            env=environment(place, PIP_TAKES="0.3"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert len([call for call in calls(place) if "-m venv" in call]) == 1
    assert len([call for call in calls(place) if "-m pip install" in call]) == 2
    assert not (place / ".venv.lock").exists()


def test_the_lock_of_one_that_died_is_taken_over(place: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (place / ".venv.lock").mkdir()
    (place / ".venv.lock" / "pid").write_text(f"{gone.pid}\n")
    assert lab(place, "ls").returncode == 0
    assert sorted(p.name for p in place.iterdir() if p.name.startswith(".venv")) == [".venv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(place: Path) -> None:
    place.chmod(0o500)
    try:
        assert "cannot write in" in lab(place).stderr
    finally:
        place.chmod(0o700)
