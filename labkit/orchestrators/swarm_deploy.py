"""A service's specification from a few plain words, checked before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labkit.errors import UsageError

Spec = dict[str, Any]


def service_spec(
    name: str,
    image: str,
    replicas: int = 1,
    ports: Mapping[int, int] | Sequence[str] = (),
    *,
    mode: str = "replicated",
    publish_mode: str = "ingress",
    **options: Any,
) -> Spec:
    """The body of ``POST /services/create``.

    :param ports: ``{8080: 80}`` or ``["8080:80", "53:53/udp"]``: published to target
    :param mode: ``"replicated"`` or ``"global"`` (then ``replicas`` counts for nothing)
    :param publish_mode: ``"ingress"`` (every node answers) or ``"host"`` (only nodes with a task do)
    :param options: ``args`` (list), ``env`` (mapping or list), ``constraints`` (list), ``labels`` (mapping),
        ``networks`` (list), ``limit_cpus``, ``limit_memory``, ``reserve_cpus``, ``reserve_memory`` (cores, bytes)
    """
    if mode not in ("replicated", "global"):
        raise UsageError(f"mode must be 'replicated' or 'global', not {mode!r}")
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
        raise UsageError(f"replicas must be a whole number from 0 on, not {replicas!r}")
    spec: Spec = {
        "Name": name,
        "TaskTemplate": {"ContainerSpec": {"Image": image}},
        "Mode": {"Global": {}} if mode == "global" else {"Replicated": {"Replicas": replicas}},
    }
    if published := _ports(ports, publish_mode):
        spec["EndpointSpec"] = {"Ports": published}
    for option, value in options.items():
        if option not in _OPTIONS:
            raise UsageError(f"deploy knows no {option!r}; there are {', '.join(_OPTIONS)}, mode, publish_mode")
        if value:
            _OPTIONS[option](spec, value)
    return spec


def _container(key: str) -> Callable[[Spec, Any], None]:
    def put(spec: Spec, value: Any) -> None:
        spec["TaskTemplate"]["ContainerSpec"][key] = value

    return put


def _resource(kind: str, key: str, scale: float) -> Callable[[Spec, Any], None]:
    def put(spec: Spec, value: Any) -> None:
        resources = spec["TaskTemplate"].setdefault("Resources", {})
        resources.setdefault(kind, {})[key] = int(float(value) * scale)

    return put


def _env(spec: Spec, value: Any) -> None:
    pairs = [f"{key}={text}" for key, text in value.items()] if isinstance(value, Mapping) else list(value)
    _container("Env")(spec, pairs)


def _constraints(spec: Spec, value: Any) -> None:
    spec["TaskTemplate"]["Placement"] = {"Constraints": [value] if isinstance(value, str) else list(value)}


def _labels(spec: Spec, value: Any) -> None:
    spec["Labels"] = {str(key): str(text) for key, text in value.items()}


def _networks(spec: Spec, value: Any) -> None:
    spec["TaskTemplate"]["Networks"] = [{"Target": name} for name in value]


_OPTIONS: Mapping[str, Callable[[Spec, Any], None]] = {
    "args": _container("Args"),
    "env": _env,
    "constraints": _constraints,
    "labels": _labels,
    "networks": _networks,
    "limit_cpus": _resource("Limits", "NanoCPUs", 1e9),
    "limit_memory": _resource("Limits", "MemoryBytes", 1),
    "reserve_cpus": _resource("Reservations", "NanoCPUs", 1e9),
    "reserve_memory": _resource("Reservations", "MemoryBytes", 1),
}


def _ports(ports: Mapping[int, int] | Sequence[str], publish_mode: str) -> list[Spec]:
    if publish_mode not in ("ingress", "host"):
        raise UsageError(f"publish_mode must be 'ingress' or 'host', not {publish_mode!r}")
    if isinstance(ports, Mapping):
        ports = [f"{published}:{target}" for published, target in ports.items()]
    elif isinstance(ports, str):
        ports = [ports]
    return [_port(str(text), publish_mode) for text in ports]


def _port(text: str, publish_mode: str) -> Spec:
    numbers, _, protocol = text.partition("/")
    published, _, target = numbers.rpartition(":")
    try:
        spec: Spec = {"Protocol": protocol or "tcp", "TargetPort": int(target), "PublishMode": publish_mode}
        if published:
            spec["PublishedPort"] = int(published)
    except ValueError:
        raise UsageError(f"{text!r} is no port; write PUBLISHED:TARGET, such as '8080:80' or '53:53/udp'") from None
    if spec["Protocol"] not in ("tcp", "udp", "sctp") or not all(
        0 < spec.get(key, 1) < 65536 for key in ("TargetPort", "PublishedPort")
    ):
        raise UsageError(f"{text!r} is no port; numbers go from 1 to 65535, protocols are tcp, udp, sctp")
    return spec
