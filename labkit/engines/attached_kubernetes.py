"""Kubernetes clusters that exist elsewhere: by a context of one's kubeconfig."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from labkit.engines.attached import Attachment, suggested
from labkit.engines.base import MachineInfo
from labkit.errors import ClusterError, UsageError
from labkit.orchestrators.kubernetes.connection import Connection

Json = dict[str, Any]

# What in a kubeconfig names a file, relative to the kubeconfig itself.
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_DEFAULT = "~/.kube/config"


def attachment(context: str | None, kubeconfig: str | os.PathLike[str] | None, allow: tuple[str, ...]) -> Attachment:
    """One context of the kubeconfig, with a kubeconfig of its own: whatever is current in the other stays current.

    Raises UsageError for a context that is not there, ClusterError if its API server does not answer.
    """
    merged = _merged(_paths(kubeconfig))
    name = context or merged.get("current-context") or ""
    if not name:
        raise UsageError("say which cluster: context= (of `kubectl config get-contexts`); none is current")
    config = _only(merged, name)
    server = config["clusters"][0]["cluster"].get("server", "")
    text = yaml.safe_dump(config, sort_keys=False)
    machine = MachineInfo(name, "control-plane", "up", "", {"KUBECONFIG": "{state}/kubeconfig"})
    _ask(text, server)
    return Attachment(
        orchestrator="kubernetes",
        suggested_name=suggested(name, "kubernetes"),
        env={"KUBECONFIG": "{state}/kubeconfig"},
        endpoints={"kubernetes": server},
        machine=machine,
        allow=allow,
        source={"context": name},
        files={"kubeconfig": text},
    )


def answers(machine: MachineInfo) -> bool:
    """Whether its API server does."""
    connection = Connection(machine.env["KUBECONFIG"], timeout=3.0)
    try:
        connection.get("/version")
    except ClusterError:
        return False
    finally:
        connection.close()
    return True


def _ask(text: str, server: str) -> None:
    """Raises ClusterError unless an API server answers for this kubeconfig and lets us look at nodes."""
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        connection = Connection(file.name, timeout=10.0)
        try:
            connection.get("/api/v1/nodes", {"limit": 1})
        except ClusterError as error:
            raise ClusterError(f"the API server at {server} cannot be used: {error}") from error
        finally:
            connection.close()


def _paths(kubeconfig: str | os.PathLike[str] | None) -> list[Path]:
    """The files that kubectl would read. A sandbox's own file in KUBECONFIG is none that one attaches."""
    if kubeconfig is not None:
        return [Path(kubeconfig).expanduser()]
    from labkit.paths import Paths

    ours = str(Paths.of().state)
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part and not part.startswith(ours)]
    return [Path(part).expanduser() for part in named or [_DEFAULT]]


def _merged(paths: list[Path]) -> Json:
    """Several kubeconfigs as one: of each name the first counts, as for kubectl."""
    merged: Json = {"contexts": [], "clusters": [], "users": []}
    found = False
    for path in paths:
        try:
            config = yaml.safe_load(path.read_text("utf-8")) or {}
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(f"the kubeconfig {path} cannot be read: {error}") from error
        if not isinstance(config, dict):
            raise UsageError(f"the kubeconfig {path} is none: it has no contexts")
        found = True
        merged.setdefault("current-context", config.get("current-context") or None)
        for part in ("contexts", "clusters", "users"):
            there = {item["name"] for item in merged[part]}
            for item in config.get(part) or ():
                if item["name"] not in there:
                    merged[part].append(_absolute(item, part[:-1], path.parent.absolute()))
    if not found:
        raise UsageError(f"there is no kubeconfig at {' or '.join(map(str, paths))}")
    return merged


def _absolute(item: Json, part: str, folder: Path) -> Json:
    """The same with file names that hold wherever the copy lies."""
    body = dict(item.get(part) or {})
    for key in _FILES:
        if body.get(key):
            body[key] = str(folder / body[key])
    return {**item, part: body}


def _only(merged: Json, context: str) -> Json:
    """The kubeconfig of one context, its cluster and its user."""

    def named(part: str, name: str) -> Json:
        found = next((item for item in merged[part] if item["name"] == name), None)
        if found is None:
            there = ", ".join(item["name"] for item in merged[part]) or "none"
            raise UsageError(f"the kubeconfig has no {part[:-1]} {name!r}; there are {there}")
        return dict(found)

    chosen = named("contexts", context)
    body = chosen.get("context") or {}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "contexts": [chosen],
        "clusters": [named("clusters", body.get("cluster", ""))],
        "users": [named("users", body["user"])] if body.get("user") else [],
    }
