"""What the Swarm labs' checks share: reading a swarm through docker-py, whichever of its managers still answers."""

from __future__ import annotations

from typing import Any

import docker.errors
import requests
from docker.models.services import Service

from labkit.guide import Context, NotYet

# What docker-py raises when an engine refuses, or when its machine is off, frozen or cut off.
NO_ANSWER = (docker.errors.DockerException, requests.exceptions.RequestException, OSError)


def managers(context: Context) -> list[str]:
    """The machines that are meant to be managers, answering or not."""
    return [machine.name for machine in context.sandbox.machines if machine.role == "manager"]


def workers(context: Context) -> list[str]:
    return [machine.name for machine in context.sandbox.machines if machine.role == "worker"]


def ask_managers(context: Context) -> tuple[Any | None, str]:
    """A client whose manager can read the swarm, and "" – or None and the last refusal in the engine's words."""
    refusal = "no manager answers"
    for machine in context.sandbox.machines:
        if machine.role != "manager" or machine.state != "up":
            continue
        client = context.sandbox.client_of(machine.name)
        try:
            client.api.nodes()
            return client, ""
        except docker.errors.APIError as error:
            refusal = str(error.explanation or error)
        except NO_ANSWER:
            continue
    return None, refusal


def service(client: Any, name: str) -> Service | None:
    try:
        return client.services.get(name)
    except docker.errors.NotFound:
        return None


def replicas(found: Service) -> int | None:
    """How many tasks a replicated service wants."""
    mode = found.attrs["Spec"]["Mode"].get("Replicated")
    return None if mode is None else int(mode["Replicas"])


def running(client: Any, name: str) -> list[dict[str, Any]]:
    """The tasks of a service that run and are meant to, on nodes that answer."""
    ready = {node["ID"] for node in client.api.nodes() if node["Status"]["State"] == "ready"}
    return [
        task
        for task in client.api.tasks(filters={"service": name, "desired-state": "running"})
        if task["Status"]["State"] == "running" and task.get("NodeID") in ready
    ]


def node_names(client: Any) -> dict[str, str]:
    """Node id -> host name."""
    return {node["ID"]: node["Description"]["Hostname"] for node in client.api.nodes()}


def tasks_a_node(client: Any, name: str) -> dict[str, int]:
    """Host name -> running tasks of the service there; nodes without any count 0."""
    names = node_names(client)
    counts = dict.fromkeys(names.values(), 0)
    for task in running(client, name):
        counts[names[task["NodeID"]]] += 1
    return counts


def not_running_yet(client: Any, name: str, wanted: int) -> NotYet | None:
    """None when the service exists, wants ``wanted`` tasks and runs them; else what is amiss."""
    found = service(client, name)
    if found is None:
        return NotYet(f"there is no service `{name}`", f"Create it: `docker service create --name {name} …`")
    if replicas(found) != wanted:
        return NotYet(
            f"`{name}` asks for {replicas(found)} replicas, not {wanted}", f"`docker service scale {name}={wanted}`"
        )
    count = len(running(client, name))
    if count != wanted:
        return NotYet(f"{count} of {wanted} tasks of `{name}` run", "Give it a moment and watch the graph.")
    return None


def no_manager(refusal: str) -> NotYet:
    return NotYet(f"no manager answers for the swarm: {refusal}", "Heal a manager: `swarm.heal('manager-1')`.")


def remove_services(context: Context, *names: str) -> None:
    client, _ = ask_managers(context)
    if client is None:
        return
    for name in names:
        found = service(client, name)
        if found is not None:
            found.remove()


def heal_everything(context: Context) -> None:
    for machine in context.sandbox.machines:
        if machine.state != "up":
            context.sandbox.heal(machine.name)


def activate_everything(context: Context) -> None:
    """Undo every drain and pause, and take the labs' labels off."""
    client, _ = ask_managers(context)
    if client is None:
        return
    for node in client.nodes.list():
        spec = node.attrs["Spec"]
        labels = {key: value for key, value in (spec.get("Labels") or {}).items() if key != "disk"}
        if spec["Availability"] != "active" or labels != (spec.get("Labels") or {}):
            node.update({**spec, "Availability": "active", "Labels": labels})
