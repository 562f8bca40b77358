from __future__ import annotations

import os
from pathlib import Path

import pytest

from labkit.errors import LabkitError, UsageError
from labkit.paths import SOCKET_PATH_LIMIT, Paths, check_name


@pytest.mark.parametrize("name", ["swarm", "a", "demo-2", "a" * 32, "1-2"])
def test_names_that_are_fine(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a" * 33, "../x", "a/b", "a b", "ä", "a.b", None, 3])
def test_names_that_would_make_bad_folders(name: object) -> None:
    with pytest.raises(UsageError, match="cannot name a sandbox"):
        check_name(name)  # type: ignore[arg-type]


def test_folders_of_the_environment(tmp_path: Path) -> None:
    session = tmp_path / "session"
    session.mkdir()
    chosen = Paths.of({"LABKIT_STATE_DIR": str(tmp_path / "s"), "LABKIT_RUNTIME_DIR": str(tmp_path / "r")})
    assert (chosen.state, chosen.runtime) == (tmp_path / "s", tmp_path / "r")
    assert Paths.of({"XDG_RUNTIME_DIR": str(session)}).runtime == session / "labkit"
    # A session folder that is named but not there (sudo -u, containers) does not count.
    assert Paths.of({"XDG_RUNTIME_DIR": str(tmp_path / "gone")}).runtime == Path(f"/tmp/labkit-{os.getuid()}")


def test_folders_are_private(paths: Paths) -> None:
    paths.make_state()
    paths.make_runtime()
    assert oct(paths.runtime.stat().st_mode & 0o777) == "0o700"
    assert oct(paths.sandboxes.stat().st_mode & 0o777) == "0o700"


def test_a_runtime_folder_that_others_could_read_is_closed(paths: Paths) -> None:
    paths.runtime.mkdir(parents=True, mode=0o755)
    paths.make_runtime()
    assert paths.runtime.stat().st_mode & 0o077 == 0


def test_somebody_elses_runtime_folder_is_refused(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    paths.runtime.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(LabkitError, match="belongs to somebody else"):
        paths.make_runtime()


def test_a_link_in_place_of_the_runtime_folder_is_refused(paths: Paths, tmp_path: Path) -> None:
    paths.runtime.parent.mkdir(parents=True, exist_ok=True)
    paths.runtime.symlink_to(tmp_path)
    with pytest.raises(LabkitError, match="belongs to somebody else"):
        paths.make_runtime()


def test_a_runtime_folder_too_deep_for_sockets_is_refused() -> None:
    deep = Paths(Path("/s"), Path("/" + "d" * (SOCKET_PATH_LIMIT - len("/swarm/manager-99.sock"))))
    with pytest.raises(LabkitError, match="LABKIT_RUNTIME_DIR to a shorter path"):
        deep.check_socket_length("swarm")
    deep.check_socket_length("swar")
