"""What HAProxy's statistics and Mesos-DNS say of who gets traffic. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import Any

from labkit.model import Endpoint
from labkit.orchestrators.marathon.apps import short_name

Json = Mapping[str, Any]

_NOT_SERVERS = ("FRONTEND", "BACKEND")


def back_ends(text: str) -> dict[str, list[tuple[str, int, bool]]]:
    """HAProxy's ``;csv``: back end → its servers as (host, port, whether it gets traffic).

    A server without checks is "no check", one that is sent away "DRAIN" or "MAINT".
    """
    found: dict[str, list[tuple[str, int, bool]]] = {}
    for row in csv.DictReader(text.lstrip("# ").splitlines()):
        name, server = row.get("pxname") or "", row.get("svname") or ""
        if server == "BACKEND":
            found.setdefault(name, [])
        if server in _NOT_SERVERS or not name:
            continue
        host, port = _address(row.get("addr") or "", server)
        up = (row.get("status") or "").startswith(("UP", "no check"))
        found.setdefault(name, []).append((host, port, up))
    return found


def _address(addr: str, server: str) -> tuple[str, int]:
    """ "127.1.0.20:31045"; without an address, marathon-lb's own name of the server: "127_1_0_20_31045"."""
    host, _, port = addr.rpartition(":")
    if port.isdigit():
        return host, int(port)
    parts = server.split("_")
    return (".".join(parts[:-1]), int(parts[-1])) if parts[-1].isdigit() else ("", 0)


def service_ports(app: Json) -> list[int]:
    """An app's service ports, wherever this kind of app has them."""
    container = app.get("container") or {}
    mappings = container.get("portMappings") or (container.get("docker") or {}).get("portMappings") or ()
    found = [m.get("servicePort") for m in mappings] or [d.get("port") for d in app.get("portDefinitions") or ()]
    return [int(port) for port in found or app.get("ports") or () if port]


def balanced(
    back: Mapping[str, Iterable[tuple[str, int, bool]]], apps: Iterable[Json], listening: Mapping[tuple[str, int], str]
) -> list[Endpoint]:
    """An endpoint for each back end that is an app's service port: marathon-lb calls it ``group_app_10000``."""
    by_port = {port: app for app in apps for port in service_ports(app)}
    found = []
    for name, servers in sorted(back.items()):
        _, _, digits = name.rpartition("_")
        app = by_port.get(int(digits)) if digits.isdigit() else None
        if app is None:
            continue
        group = (app.get("labels") or {}).get("HAPROXY_GROUP", "")
        known = [(listening.get((host, port), ""), up) for host, port, up in servers]
        serving = {task for task, up in known if task and up}
        found.append(
            Endpoint(
                id=f"haproxy:{name}",
                workload=str(app["id"]),
                kind="haproxy",
                port=int(digits),
                address=(app.get("labels") or {}).get("HAPROXY_0_VHOST", ""),
                name=f"{short_name(str(app['id']))}:{digits}",
                namespace=str(app["id"]).rpartition("/")[0],
                selector={"HAPROXY_GROUP": group} if group else {},
                tasks=tuple(sorted(serving)),
                unready=tuple(sorted({task for task, _ in known if task} - serving)),
            )
        )
    return found


def named(records: Json, framework: str, owners: Mapping[str, str]) -> list[Endpoint]:
    """The names that Mesos-DNS answers for Marathon's apps (``/v1/enumerate``): one an app, its tasks behind it.

    Args:
        framework: Marathon's name there.
        owners: task → app.
    """
    names: dict[str, str] = {}
    behind: dict[str, set[str]] = {}
    for found in records.get("frameworks") or ():
        if found.get("name") != framework:
            continue
        for task in found.get("tasks") or ():
            app = owners.get(str(task.get("id")))
            if app is None:
                continue
            behind.setdefault(app, set()).add(str(task["id"]))
            # The shortest is the app's; the others are the task's own. Of two tasks with one address, only the first
            # has the app's name in its list.
            for record in task.get("records") or ():
                name = str(record.get("name", "")).rstrip(".")
                if record.get("rtype") == "A" and (
                    app not in names or (len(name), name) < (len(names[app]), names[app])
                ):
                    names[app] = name
    return [
        Endpoint(f"dns:{name}", app, "dns", protocol="", address=name, tasks=tuple(sorted(behind[app])))
        for app, name in sorted(names.items())
    ]
