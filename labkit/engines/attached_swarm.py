"""Swarms that exist elsewhere: by a docker context, or by the URL of a manager."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit.engines.attached import Attachment, suggested
from labkit.engines.base import MachineInfo
from labkit.errors import ClusterError, LabkitError, UsageError


def attachment(
    context: str | None, host: str | None, tls: str | os.PathLike[str] | None, allow: tuple[str, ...]
) -> Attachment:
    """Looks where the swarm is and asks whether it is a manager.

    Raises UsageError for what makes no sense, ClusterError if nobody answers or it manages no swarm.
    """
    if (context is None) == (host is None):
        raise UsageError("say where it is: context= (of `docker context ls`) or host= (ssh://, tcp://, unix://)")
    if context is not None:
        env, source, name = _of_context(context), {"context": context}, context
    else:
        env, source, name = _of_host(str(host), tls), {"host": str(host)}, "swarm"
    info = _info(name, env)
    swarm = info.get("Swarm") or {}
    if not swarm.get("ControlAvailable"):
        state = swarm.get("LocalNodeState") or "inactive"
        raise ClusterError(f"the Docker engine at {env['DOCKER_HOST']} is not a swarm manager (swarm: {state})")
    machine = MachineInfo(info.get("Name") or name, "manager", "up", swarm.get("NodeAddr", ""), env)
    return Attachment("swarm", suggested(name, "swarm"), env, {"docker": env["DOCKER_HOST"]}, machine, allow, source)


def answers(machine: MachineInfo) -> bool:
    """Whether its engine does."""
    try:
        _info(machine.name, machine.env)
    except ClusterError:
        return False
    return True


def _info(name: str, env: Mapping[str, str]) -> Mapping[str, Any]:
    from labkit.orchestrators.connection import Connection

    # ssh has to log in first.
    connection = Connection(name, env, 20.0 if env["DOCKER_HOST"].startswith("ssh:") else 3.0)
    try:
        info: Mapping[str, Any] = connection.get_json("/info")
        return info
    finally:
        connection.close()


def _of_context(context: str) -> dict[str, str]:
    """The environment of a docker context, from the CLI's own store.

    Not through docker-py: where there is no ``config.json`` (`docker context create` makes none) it looks for the store
    in the current folder, and its "default" follows DOCKER_HOST, which in this process may point at a sandbox.
    """
    if context == "default":
        return {"DOCKER_HOST": "unix:///var/run/docker.sock"}
    store = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "contexts"
    folder = hashlib.sha256(context.encode()).hexdigest()
    try:
        meta = json.loads((store / "meta" / folder / "meta.json").read_text("utf-8"))
        env = {"DOCKER_HOST": str(meta["Endpoints"]["docker"]["Host"])}
    except FileNotFoundError:
        raise UsageError(f"there is no docker context {context!r}; `docker context ls` lists those there are") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabkitError(f"the docker context {context!r} cannot be read: {error}") from error
    certificates = store / "tls" / folder / "docker"  # with the very file names that DOCKER_CERT_PATH wants
    if (certificates / "cert.pem").exists():
        env |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
    return env


def _of_host(host: str, tls: str | os.PathLike[str] | None) -> dict[str, str]:
    if not host.startswith(("ssh://", "tcp://", "unix://")):
        raise UsageError(f"{host!r} is no Docker host; write ssh://user@machine, tcp://machine:2376 or unix:///path")
    env = {"DOCKER_HOST": host}
    if tls is not None:
        folder = Path(tls).expanduser().absolute()
        missing = [name for name in ("ca.pem", "cert.pem", "key.pem") if not (folder / name).is_file()]
        if missing:
            raise UsageError(f"{folder} has no {', '.join(missing)}; tls= needs ca.pem, cert.pem and key.pem")
        env |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}
    return env
