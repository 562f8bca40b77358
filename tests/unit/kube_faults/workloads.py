"""What the random histories create: small workloads that fit on three small machines even when all are there."""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json

NAMESPACES = ("one", "two")
MOST = 4  # replicas of one workload
IMAGES = ("traefik/whoami:v1.10", "traefik/whoami:v1.10.1", "nginx:1.27")

STRATEGIES: tuple[Json, ...] = (
    {},
    {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": "50%"}},
    {"type": "Recreate"},
)
BUDGETS: tuple[Json, ...] = (
    {"minAvailable": 1},
    {"minAvailable": "50%"},
    {"maxUnavailable": 1},
    {"minAvailable": 2},
    {"maxUnavailable": "40%"},
)
READY = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 20}


def template(app: str, image: str, *, cpu: str = "100m", **spec: Any) -> Json:
    container: Json = {"name": "main", "image": image, "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}
    if "command" in spec:
        container["command"] = spec.pop("command")
    else:
        container |= {"ports": [{"containerPort": 80}], "readinessProbe": READY}
    spec = {"terminationGracePeriodSeconds": 5, **spec}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container], **spec}}


def workload(kind: Kind, app: str, number: int, replicas: int) -> Json:
    """An object of one of the kinds below; ``number`` chooses among its variants."""
    image = IMAGES[number % 3]
    selector: Json = {"app": app} if kind is kinds.REPLICATION_CONTROLLERS else {"matchLabels": {"app": app}}
    spec: Json = {"selector": selector, "template": template(app, image), "replicas": replicas}
    if kind is kinds.DEPLOYMENTS:
        spec["strategy"] = STRATEGIES[number % 5]
        spec["revisionHistoryLimit"] = 3
    elif kind is kinds.DAEMON_SETS:
        del spec["replicas"]
        spec["template"] = template(app, image, cpu="50m")
    elif kind is kinds.JOBS:
        work = template(app, "busybox:1.36", command=["sh", "-c", f"sleep {3 + number % 20}"], restartPolicy="Never")
        spec = {"template": work, "completions": 1 + number % 4, "parallelism": 1 + number % 2, "backoffLimit": 6}
    return {"metadata": {"name": app, "labels": {"app": app}}, "spec": spec}


WORKLOADS: tuple[tuple[Kind, str], ...] = (
    (kinds.DEPLOYMENTS, "web"),
    (kinds.DEPLOYMENTS, "shop"),
    (kinds.REPLICA_SETS, "set"),
    (kinds.REPLICATION_CONTROLLERS, "old"),
    (kinds.DAEMON_SETS, "every"),
    (kinds.JOBS, "job"),
)
"""Each may be there once in each namespace, with a Service, and most with a budget."""


def service(app: str) -> Json:
    return {"metadata": {"name": app}, "spec": {"selector": {"app": app}, "ports": [{"port": 80}]}}


def budget(app: str, number: int) -> Json:
    chosen = BUDGETS[number % 5]
    return {"metadata": {"name": app}, "spec": {"selector": {"matchLabels": {"app": app}}, **chosen}}
