"""The real thing: every machine is a dockerd in a privileged container on this computer's own Docker engine.

The work is done by ``infra/swarm/up``, ``down`` and ``status`` (:mod:`labkit.engines.scripted`).
"""

from __future__ import annotations

from types import MappingProxyType

from labkit.engines.base import NoComponents, Request
from labkit.engines.plugs import LabelledPlug
from labkit.engines.scripted import Report, ScriptedEngine


class SwarmPlug(LabelledPlug):
    """A node's plug: its container's."""

    def container_of(self, machine: str) -> str:
        return f"labkit-{self.record.name}-{machine}"


class DockerEngine(ScriptedEngine, NoComponents):
    """Starts real swarms, or the nodes of one that stopped; takes 10 to 60 s, more when images are pulled first.

    Options: ``image`` (the node's), ``images`` (loaded into every node), ``mirror`` (the registry's image or
    ``"none"``), ``ports`` (published on loopback too).
    """

    folder = "swarm"
    variables = MappingProxyType(
        {"image": "LABKIT_SWARM_NODE_IMAGE", "images": "LABKIT_SWARM_IMAGES", "mirror": "LABKIT_SWARM_MIRROR"}
    )
    arguments = ("ports",)
    plugs = SwarmPlug

    def arguments_for(self, request: Request) -> list[str]:
        sizes = request.sizes
        found = ["--managers", str(sizes["managers"]), "--workers", str(sizes["workers"])]
        if sizes["plain"]:
            found.append("--plain")
        for port in request.options.get("ports", ()):
            found += ["--port", str(port)]
        return found

    def environments(self, report: Report) -> dict[str, dict[str, str]]:
        return {
            machine["name"]: {
                "DOCKER_HOST": machine["docker_host"],
                "DOCKER_TLS_VERIFY": "1",
                "DOCKER_CERT_PATH": machine["cert_path"],
            }
            for machine in report["machines"]
        }

    def endpoints(self, report: Report) -> dict[str, str]:
        machines = report["machines"]
        found = {"docker": machines[0]["docker_host"]}
        for machine in machines:
            for port, where in machine["ports"].items():
                found[f"{machine['name']}:{port}"] = where
        return found
