"""A context of somebody's kubeconfig, made into a kubeconfig of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from labkit.engines import attached_kubernetes as module
from labkit.engines.attached import attachment
from labkit.errors import ClusterError, UsageError
from labkit.paths import Paths


def config(current: str = "", *names: str) -> dict:
    return {
        "current-context": current,
        "contexts": [{"name": n, "context": {"cluster": f"c-{n}", "user": f"u-{n}"}} for n in names],
        "clusters": [
            {"name": f"c-{n}", "cluster": {"server": f"https://{n}:6443", "certificate-authority": "ca.pem"}}
            for n in names
        ],
        "users": [{"name": f"u-{n}", "user": {"token": n}} for n in names],
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig with two contexts in KUBECONFIG, and an API server that always answers."""
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config("prod", "prod", "training")))
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setattr(module, "_ask", lambda text, server: None)
    return path


def attach(context: str | None = None, kubeconfig: Path | None = None, **more: object):  # type: ignore[no-untyped-def]
    options = {"host": None, "tls": None, "allow": (), **more}
    return attachment("kubernetes", context=context, kubeconfig=kubeconfig, **options)  # type: ignore[arg-type]


def test_a_context_gets_a_kubeconfig_of_its_own(home: Path, tmp_path: Path) -> None:
    found = attach("training", allow="scale")
    record = found.record("training", Paths(tmp_path / "state", tmp_path / "run"))
    path = Path(record.env["KUBECONFIG"])
    made = yaml.safe_load(path.read_text())
    assert made["current-context"] == "training"
    assert [user["user"] for user in made["users"]] == [{"token": "training"}]
    assert made["clusters"][0]["cluster"]["certificate-authority"] == str(home.parent / "ca.pem")
    assert path.stat().st_mode & 0o777 == 0o600
    assert record.endpoints == {"kubernetes": "https://training:6443"}
    assert record.machines[0].env == record.env
    assert yaml.safe_load(home.read_text())["current-context"] == "prod"


def test_without_a_name_the_current_context_is_meant(home: Path) -> None:
    assert attach().suggested_name == "prod"


def test_a_context_that_there_is_not(home: Path) -> None:
    with pytest.raises(UsageError, match="the kubeconfig has no context 'x'; there are prod, training"):
        attach("x")


def test_the_first_of_several_files_counts(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.write_text(yaml.safe_dump(config("lab", "lab", "prod")))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{other}:{home}")
    assert attach().suggested_name == "lab"
    assert attach("training").endpoints == {"kubernetes": "https://training:6443"}


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "there is no kubeconfig at"), ("{", "cannot be read"), ("- a", "is none: it has no contexts")],
)
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=says):
        attach("x", path)


def test_what_is_for_swarms_only(home: Path) -> None:
    with pytest.raises(UsageError, match="by a context of your kubeconfig"):
        attach("prod", host="tcp://x:1")
    with pytest.raises(UsageError, match="kubeconfig= is for Kubernetes"):
        attachment("swarm", context="x", host=None, tls=None, kubeconfig=home, allow=())


def test_an_api_server_that_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "config"
    broken = config("here", "here")
    broken["clusters"][0]["cluster"] = {"server": "https://127.0.0.1:1"}
    path.write_text(yaml.safe_dump(broken))
    says = re.escape("the API server at https://127.0.0.1:1 cannot be used: The connection to the server")
    with pytest.raises(ClusterError, match=says):
        attach(None, path)
