"""What this machine has of the things that only some tests need, and how to get what is missing.

`LABKIT_REQUIRE=docker,browser,kind,zookeeper,haproxy,compose,mesos-standin` names what must be there: what would be a
skip is then a failure.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit.engines.hosts import client_environment

DEFAULT_NODE_IMAGE = "docker:28-dind"
# What infra/ci machines without a registry build for themselves; taken when nothing else was named.
LOCAL_NODE_IMAGE = "labkit/swarm-node:debian"


def _answers(*command: str, timeout: float = 15) -> bool:
    try:
        done = subprocess.run(
            command, env=client_environment(), capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL
        )
        return done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def node_image() -> str:
    """The image that real nodes are made of here."""
    named = os.environ.get("LABKIT_SWARM_NODE_IMAGE")
    if named:
        return named
    local = _answers("docker", "image", "inspect", LOCAL_NODE_IMAGE)
    return LOCAL_NODE_IMAGE if local else DEFAULT_NODE_IMAGE


LOCAL_KIND_IMAGE = "kindest/node:v1.20.2-debian"


def kind_image() -> str:
    """The image that kind's nodes are made of here; "" leaves the choice to kind."""
    named = os.environ.get("LABKIT_KIND_NODE_IMAGE")
    if named:
        return named
    return LOCAL_KIND_IMAGE if _answers("docker", "image", "inspect", LOCAL_KIND_IMAGE) else ""


def _docker_cli() -> str | None:
    if shutil.which("docker"):
        return None
    return "the docker CLI is not installed: see https://docs.docker.com/engine/install/ (package docker-ce-cli)"


def _docker() -> str | None:
    if missing := _docker_cli():
        return missing
    if not _answers("docker", "version"):
        return "no Docker engine answers: start Docker (`docker version` must work) and run the tests again"
    image = node_image()
    if not _answers("docker", "image", "inspect", image) and not _answers("docker", "pull", "-q", image, timeout=300):
        return f"the node image {image} is not here and cannot be pulled: set LABKIT_SWARM_NODE_IMAGE to one that is"
    return None


def chromium() -> str | None:
    """The Chromium to drive: the system's, else the one that Playwright installed, else None."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    try:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            path = playwright.chromium.executable_path
    except Exception:  # Playwright raises its own errors, and its driver may be missing altogether
        return None
    return path if os.path.exists(path) else None


def _browser() -> str | None:
    if chromium():
        return None
    return "no Chromium found: install it (Debian: `apt install chromium`) or run `playwright install chromium`"


def _kind() -> str | None:
    if not shutil.which("kind"):
        return "kind is not installed: see https://kind.sigs.k8s.io/docs/user/quick-start/#installation"
    return None if _answers("docker", "version") else "kind needs a Docker engine, and none answers: start Docker"


def _zookeeper() -> str | None:
    if os.path.exists("/usr/share/zookeeper") and shutil.which("java"):
        return None
    return "no ZooKeeper is installed: Debian has it (`apt install zookeeper`); nothing of it needs to be started"


def _haproxy() -> str | None:
    return None if shutil.which("haproxy") else "HAProxy is not installed: Debian has it (`apt install haproxy`)"


def _compose() -> str | None:
    if _answers("docker", "compose", "version"):
        return None
    return "Docker Compose is not installed: see https://docs.docker.com/compose/install/ (docker-compose-plugin)"


_STANDIN = Path(__file__).parent / "mesos_standin" / "image"
_STANDIN_PREFIX = os.environ.get("LABKIT_MESOS_STANDIN", "labkit/standin")


def _mesos_standin() -> str | None:
    if _answers("docker", "image", "inspect", f"{_STANDIN_PREFIX}-base"):
        return None
    return "stand-ins for the images of infra/marathon are not here: tests/support/mesos_standin/image makes them"


@functools.cache
def mesos_standin() -> dict[str, str]:
    """The variables that name the stand-ins for the images of infra/marathon, made anew of this work tree."""
    environ = client_environment() | {"LABKIT_SWARM_NODE_IMAGE": node_image(), "PYTHON": sys.executable}
    done = subprocess.run(
        ["bash", str(_STANDIN), _STANDIN_PREFIX], env=environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


_CHECKS: dict[str, Callable[[], str | None]] = {
    "docker": _docker,
    "docker-cli": _docker_cli,
    "browser": _browser,
    "kind": _kind,
    "zookeeper": _zookeeper,
    "haproxy": _haproxy,
    "compose": _compose,
    "mesos-standin": _mesos_standin,
}


@functools.cache
def missing(what: str) -> str | None:
    """Why `what` cannot be used here, with the way to get it; None when it can."""
    return _CHECKS[what]()


def required(environ: dict[str, str] | None = None) -> set[str]:
    """What LABKIT_REQUIRE names. A word that it does not know would require nothing in silence, so that is an error."""
    asked = (os.environ if environ is None else environ).get("LABKIT_REQUIRE", "")
    names = {word.strip() for word in asked.split(",") if word.strip()}
    if unknown := names - _CHECKS.keys():
        raise pytest.UsageError(f"LABKIT_REQUIRE knows {', '.join(_CHECKS)}; not {', '.join(sorted(unknown))}")
    if "docker" in names:
        names.add("docker-cli")
    return names


def demand(what: str) -> None:
    """Goes on if `what` is here; else skips the test with the reason, or fails it when LABKIT_REQUIRE names it."""
    reason = missing(what)
    if reason is None:
        return
    if what in required():
        pytest.fail(f"LABKIT_REQUIRE names {what}, but {reason}", pytrace=False)
    pytest.skip(f"{what}: {reason}")


def requires(what: str) -> pytest.MarkDecorator:
    """A mark for tests that need `what`: ``@requires("browser")``."""
    if what not in _CHECKS:
        raise ValueError(f"nothing here knows {what!r}; there are {', '.join(_CHECKS)}")
    return pytest.mark.requires(what)
