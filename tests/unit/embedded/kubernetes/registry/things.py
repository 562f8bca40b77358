"""Objects to play with."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.objects import Json


def pod(name: str = "", *, labels: dict[str, str] | None = None, node: str = "", **metadata: Any) -> Json:
    made: Json = {
        "metadata": {"name": name, **metadata} if name else metadata,
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    }
    if labels is not None:
        made["metadata"]["labels"] = labels
    if node:
        made["spec"]["nodeName"] = node
    return made


def deployment(name: str, replicas: int = 1, **metadata: Any) -> Json:
    return {
        "metadata": {"name": name, **metadata},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
        },
    }


def config_map(name: str, **data: str) -> Json:
    return {"metadata": {"name": name}, "data": data}


def service(name: str, **spec: Any) -> Json:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec}}


def refused(caught: pytest.ExceptionInfo[StatusError]) -> tuple[int, str]:
    """Code and words of an error, its ``Status`` being complete."""
    status = caught.value.status()
    assert status["kind"] == "Status"
    assert status["code"] == caught.value.code
    return status["code"], status["message"]


def thawed(obj: Json) -> Json:
    """A copy that may be changed."""
    return copy.deepcopy(obj)
