"""Marathons that exist elsewhere, and the Mesos below them: by their URLs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from labkit.engines.attached import Attachment, suggested
from labkit.engines.base import MachineInfo
from labkit.errors import ClusterError, UsageError

Json = dict[str, Any]

_TIMEOUT = 10.0


def attachment(url: str | None, mesos: str | None, allow: tuple[str, ...]) -> Attachment:
    """Asks every Marathon that is named who it is, and the first that answers for its Mesos.

    Raises UsageError for what is no URL, ClusterError if nobody answers or it is something else.
    """
    if not url:
        raise UsageError("say where it is: url= (http://me:secret@marathon.example.org:8080)")
    urls = [_checked(one.strip()) for one in url.split(",") if one.strip()]
    if not urls:
        raise UsageError(f"{url!r} names no Marathon")
    info = _first_that_answers(urls)  # who is first now
    config = info.get("marathon_config") or {}
    master = _checked(mesos) if mesos else _master(config)
    if mesos:
        _ask_mesos(master)
    env = {"MARATHON_URL": urls[0]}
    if master:
        env["MESOS_URL"] = master
    zookeeper = _zookeeper(info, config)
    if zookeeper:
        env["ZOOKEEPER"] = zookeeper
    endpoints = {"marathon": plain(urls[0])} | ({"mesos": plain(master)} if master else {})
    name = urlsplit(urls[0]).hostname or "marathon"
    # A shell gets the one that answers, and whoever can go on to the next gets all of them.
    machine = MachineInfo(name, "master", "up", "", {**env, "MARATHON_URL": ",".join(urls)})
    source = {"url": ",".join(map(plain, urls)), "mesos": plain(master)}
    short = name.split(".")[0]
    return Attachment(
        orchestrator="marathon",
        suggested_name=suggested("" if short.isdigit() else short, "marathon"),
        env=env,
        endpoints=endpoints,
        machine=machine,
        allow=allow,
        source=source,
    )


def answers(machine: MachineInfo) -> bool:
    """Whether any of its Marathons does."""
    for url in machine.env["MARATHON_URL"].split(","):
        try:
            _get(url, "/ping", 3.0)
        except ClusterError:
            continue
        return True
    return False


def plain(url: str) -> str:
    """The URL without the credentials: what may be shown."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def _checked(url: str) -> str:
    """The URL without a slash at its end; UsageError if it is none."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{url!r} is no URL of a server: http://HOST:PORT, or https://USER:PASSWORD@HOST:PORT")
    return url.rstrip("/")


def _first_that_answers(urls: list[str]) -> Json:
    """What it says of itself; it is moved to the front of the list."""
    problem: ClusterError | None = None
    for url in tuple(urls):
        try:
            info = _json(_get(url, "/v2/info"), url)
        except ClusterError as error:
            problem = problem or error
            continue
        if "marathon_config" not in info and "frameworkId" not in info:
            raise ClusterError(f"what answers at {plain(url)} is not Marathon")
        urls.sort(key=lambda one: one != url)
        return info
    assert problem is not None
    raise problem


def _master(config: Mapping[str, Any]) -> str:
    """Where the leading Mesos master shows itself, as Marathon knows it; "" if it does not say."""
    return str(config.get("mesos_leader_ui_url") or "").rstrip("/")


def _zookeeper(info: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The ensemble of ``zk://me:secret@a:2181,b:2181/mesos``, without the rest."""
    url = str((info.get("zookeeper_config") or {}).get("zk") or config.get("master") or "")
    if not url.startswith("zk://"):
        return ""
    return url.removeprefix("zk://").partition("/")[0].rpartition("@")[2]


def _ask_mesos(url: str) -> None:
    answer = _json(_get(url, "/version"), url)
    if "version" not in answer:
        raise ClusterError(f"what answers at {plain(url)} is not Mesos")


def _get(url: str, path: str, timeout: float = _TIMEOUT) -> Any:
    """The answer to a GET that went well. Raises ClusterError."""
    import requests

    try:
        answer = requests.get(url + path, timeout=timeout)
    except requests.RequestException as error:
        raise ClusterError(f"nobody answers at {plain(url)}: {_why(error)}") from error
    if answer.status_code == 401:
        raise ClusterError(f"{plain(url)} wants other credentials: put them in the URL, http://USER:PASSWORD@HOST:PORT")
    if not answer.ok:
        raise ClusterError(f"{plain(url)}{path} answers {answer.status_code} {answer.reason}")
    return answer


def _why(error: Exception) -> str:
    """The last of the reasons that requests nests in each other, without the URL: it may hold a password."""
    words = str(error).rpartition("] ")[2].rstrip("')")
    return words if words and "@" not in words and len(words) < 80 else type(error).__name__


def _json(answer: Any, url: str) -> Json:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ClusterError(f"what answers at {plain(url)} is something else: it does not speak JSON")
    return body
