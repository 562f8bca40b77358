from __future__ import annotations

import json
from pathlib import Path

import pytest

from labkit.embedded.marathon.credentials import prepare


def test_they_are_made_once_and_private(tmp_path: Path) -> None:
    made = prepare(tmp_path)
    assert made.user == "labkit"
    assert made.password.isalnum()
    assert len(made.password) >= 32
    assert (tmp_path / "credentials").stat().st_mode & 0o777 == 0o600
    assert prepare(tmp_path) == made
    assert made.password not in repr(made)
    assert made.in_url("127.20.0.10", 8080) == f"http://labkit:{made.password}@127.20.0.10:8080"


def test_the_file_is_as_mesos_reads_it(tmp_path: Path) -> None:
    made = prepare(tmp_path)
    body = json.loads((tmp_path / "credentials").read_text())
    assert body == {"credentials": [{"principal": "labkit", "secret": made.password}]}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"credentials":[]}', '{"credentials":[{}]}'])
def test_a_file_that_cannot_be_read_is_made_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "credentials").write_text(text)
    assert prepare(tmp_path) == prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["credentials"]
