from __future__ import annotations

import socket
from typing import Any

import pytest

import labkit
from labkit import diagnosis
from labkit.diagnosis import Finding, Report
from labkit.paths import Paths


def test_the_doctor_of_the_package_is_a_function(paths: Paths) -> None:
    report = labkit.doctor()
    assert labkit.doctor is diagnosis.doctor
    assert report.embedded_works
    assert {f.state for f in report.findings} <= {"ok", "limited", "missing"}
    assert not paths.state.exists()  # looking makes nothing


def test_what_is_missing_comes_with_the_way_to_get_it(paths: Paths) -> None:
    for finding in labkit.doctor().findings:
        if finding.state == "missing" and finding.found != "no engine to ask":
            assert finding.remedy, finding


def finding(group: str, state: str, needed: bool = True) -> Finding:
    return Finding(group, "<thing>", state, "seen", "do this" if state != "ok" else "", needed)


@pytest.mark.parametrize(
    ("embedded", "docker", "says"),
    [
        ("ok", "ok", "labkit.up(…) works here; so does engine='docker'."),
        ("limited", "missing", "labkit.up(…) works here; engine='docker' does not."),
        ("missing", "ok", "labkit.up(…) cannot work here yet."),
    ],
)
def test_the_verdict(embedded: str, docker: str, says: str) -> None:
    report = Report((finding(diagnosis._EMBEDDED, embedded), finding(diagnosis._DOCKER, docker)))
    assert report.verdict == says
    assert str(report).endswith(says)
    assert "&lt;thing&gt;" in report._repr_html_()
    assert report.as_dict()["embedded"] == (embedded != "missing")


def test_where_only_one_loopback_address_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(address: str, port: int) -> OSError | None:
        return None if address == "127.0.0.1" and port == 0 else OSError()

    monkeypatch.setattr(diagnosis, "_can_bind", bind)
    assert diagnosis._loopback().state == "limited"
    assert diagnosis._low_ports().state == "limited"
    monkeypatch.setattr(diagnosis, "_can_bind", lambda *_: OSError())
    assert diagnosis._loopback().state == "missing"


def test_a_port_that_is_taken_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert diagnosis._can_bind("127.0.0.1", taken.getsockname()[1]) is not None


def test_no_docker_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(diagnosis, "_host_engine", lambda: {"DOCKER_HOST": f"unix://{tmp_path}/no.sock"})
    monkeypatch.setattr(diagnosis.shutil, "which", lambda name: None)
    assert diagnosis._docker_cli().state == "missing"
    found = diagnosis._docker_engine()
    assert (found.state, found.needed) == ("missing", True)
    assert "Cannot connect to the Docker daemon" in found.found
    assert diagnosis._privileged().state == "missing"


def test_without_haproxy_there_is_a_balancer_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis.shutil, "which", lambda *_, **__: None)
    found = diagnosis._haproxy()
    assert (found.state, found.needed) == ("limited", False)
    assert "labkit's own" in found.remedy
    compose = diagnosis._compose()
    assert (compose.state, compose.needed) == ("missing", False)
