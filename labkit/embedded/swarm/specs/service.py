"""ServiceSpec: completed as dockerd does (``daemon/cluster/convert``), checked as SwarmKit does (``controlapi``).

Both refuse in their own way: what cannot be converted is a plain 400, what SwarmKit does not like comes over gRPC.
The stored form is what ``GET /services/{id}`` answers: defaults that the conversion puts in (``Isolation``,
``MaxAttempts``, ``Mode: vip``…) are in it, defaults that the loops apply are not (:mod:`.defaults`).
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.swarm.errors import BadRequest, RpcError
from labkit.embedded.swarm.host import templates
from labkit.embedded.swarm.objects import Json, Task

from .names import check_constraints, check_name, is_reference
from .shapes import decode
from .tables import SERVICE_SPEC

_MILLISECOND = 1_000_000
_MIN_CPU = 1_000_000  # nano CPUs
_MIN_MEMORY = 4 * 1024 * 1024
_MODES = ("Replicated", "Global", "ReplicatedJob", "GlobalJob")

# Fields that an older client cannot mean: (first version that has it, path, "*" for every item of a list).
_SINCE: tuple[tuple[tuple[int, int], tuple[str, ...]], ...] = (
    ((1, 46), ("TaskTemplate", "ContainerSpec", "Mounts", "*", "TmpfsOptions", "Options")),
    ((1, 46), ("TaskTemplate", "ContainerSpec", "OomScoreAdj")),
    ((1, 44), ("TaskTemplate", "ContainerSpec", "Privileges", "Seccomp")),
    ((1, 44), ("TaskTemplate", "ContainerSpec", "Privileges", "AppArmor")),
    ((1, 44), ("TaskTemplate", "ContainerSpec", "Healthcheck", "StartInterval")),
    ((1, 41), ("TaskTemplate", "ContainerSpec", "CapabilityAdd")),
    ((1, 41), ("TaskTemplate", "ContainerSpec", "CapabilityDrop")),
    ((1, 41), ("TaskTemplate", "ContainerSpec", "Ulimits")),
    ((1, 41), ("TaskTemplate", "Resources", "Limits", "Pids")),
    ((1, 41), ("Mode", "ReplicatedJob")),
    ((1, 41), ("Mode", "GlobalJob")),
    ((1, 40), ("TaskTemplate", "ContainerSpec", "Sysctls")),
    ((1, 40), ("TaskTemplate", "Placement", "MaxReplicas")),
)


def decode_service(body: Any, api_version: tuple[int, int]) -> Json:
    """The body of create and update, decoded. Raises BadRequest on wrong types."""
    spec = decode(body, SERVICE_SPEC)
    for since, path in _SINCE:
        if api_version < since:
            _drop(spec, path)
    return spec


def _drop(value: Any, path: tuple[str, ...]) -> None:
    head, *rest = path
    if head == "*":
        for item in value or ():
            _drop(item, tuple(rest))
    elif not rest:
        value.pop(head, None)
    elif isinstance(value.get(head), dict | list):
        _drop(value[head], tuple(rest))


def complete_service(spec: Json, name: str) -> Json:
    """A decoded spec in its stored form.

    Args:
        spec: what :func:`decode_service` gave; not changed.
        name: the name it gets if it has none.

    Raises:
        BadRequest: it cannot be converted (``mismatched Runtime and *Spec fields``, ``invalid resolution mode``…).
    """
    task = spec.get("TaskTemplate") or {}
    out: Json = {
        "Name": spec.get("Name") or name,
        "Labels": spec.get("Labels") or {},
        "TaskTemplate": complete_task(task),
        "Mode": _mode(spec.get("Mode") or {}),
    }
    for key in ("UpdateConfig", "RollbackConfig"):
        if key in spec:
            out[key] = _update_config(spec[key])
    if spec.get("Networks"):
        out["Networks"] = spec["Networks"]
    if "EndpointSpec" in spec:
        out["EndpointSpec"] = _endpoint(spec["EndpointSpec"])
    return out


def complete_task(task: Json) -> Json:
    """A TaskSpec in its stored form. Raises BadRequest."""
    runtime = task.get("Runtime", "")
    if runtime == "plugin" and "PluginSpec" in task:
        raise BadRequest('runtime type "plugin" only supported in experimental')
    if runtime not in ("", "container", "plugin"):
        raise BadRequest("unsupported runtime")
    if "ContainerSpec" not in task or runtime == "plugin":
        raise BadRequest("mismatched Runtime and *Spec fields")
    out: Json = {"ContainerSpec": _container(task["ContainerSpec"])}
    if "Resources" in task:
        out["Resources"] = task["Resources"]
    if "RestartPolicy" in task:
        out["RestartPolicy"] = _restart(task["RestartPolicy"])
    if "Placement" in task:
        out["Placement"] = _placement(task["Placement"])
    if task.get("Networks"):
        out["Networks"] = task["Networks"]
    if "LogDriver" in task:
        out["LogDriver"] = task["LogDriver"]
    out["ForceUpdate"] = task.get("ForceUpdate", 0)
    out["Runtime"] = "container"
    return out


def _container(spec: Json) -> Json:
    out = dict(spec)
    isolation = spec.get("Isolation", "").lower()
    out["Isolation"] = isolation if isolation in ("hyperv", "process") else "default"
    for config in spec.get("Configs") or ():
        if "Runtime" not in config and "File" not in config:
            raise BadRequest("invalid Config: either File or Runtime should be set")
        if "Runtime" in config and "File" in config:
            raise BadRequest("invalid Config: cannot specify both File and Runtime")
    if spec.get("Mounts"):
        out["Mounts"] = [_mount(mount) for mount in spec["Mounts"]]
    credentials = (spec.get("Privileges") or {}).get("CredentialSpec")
    if credentials is not None:
        _check_credentials(credentials)
    if "Privileges" in spec:
        out["Privileges"] = {"CredentialSpec": None, "SELinuxContext": None, **spec["Privileges"]}
    return out


def _check_credentials(spec: Json) -> None:
    given = [f'"{key.lower()}"' for key in ("Config", "File", "Registry") if spec.get(key)]
    prefix = "invalid CredentialSpec: "
    if not given:
        raise BadRequest(prefix + 'must either provide "file", "registry", or "config" for credential spec')
    if len(given) > 1:
        both = given[0] if len(given) == 2 else ", ".join(given[:-1]) + ","
        raise BadRequest(f"{prefix}cannot specify both {both} and {given[-1]} credential specs")


_MOUNT_TYPES = ("bind", "volume", "tmpfs", "npipe", "cluster")
_PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")


def _mount(mount: Json) -> Json:
    kind = mount.get("Type", "")
    if kind.lower() not in ("", *_MOUNT_TYPES):
        raise BadRequest(f'invalid MountType: "{kind}"')
    out = {"Type": kind.lower() or "bind", **{key: value for key, value in mount.items() if key != "Type"}}
    out.pop("Consistency", None)
    if "BindOptions" in mount:
        propagation = mount["BindOptions"].get("Propagation", "")
        if propagation.lower() not in ("", *_PROPAGATIONS):
            raise BadRequest(f'invalid MountPropagation: "{propagation}"')
        if not propagation and not mount["BindOptions"].get("NonRecursive"):
            del out["BindOptions"]
        else:
            out["BindOptions"] = {**mount["BindOptions"], "Propagation": propagation.lower() or "rprivate"}
    return out


def _restart(policy: Json) -> Json:
    condition = policy.get("Condition", "")
    if condition not in ("", "none", "on-failure", "any"):
        raise BadRequest(f'invalid RestartCondition: "{condition}"')
    out: Json = {"Condition": condition or "any"}
    if "Delay" in policy:
        out["Delay"] = policy["Delay"]
    out["MaxAttempts"] = policy.get("MaxAttempts", 0)
    if "Window" in policy:
        out["Window"] = policy["Window"]
    return out


def _placement(placement: Json) -> Json:
    out = dict(placement)
    if "Preferences" in placement:
        spread = [item for item in placement["Preferences"] if "Spread" in item]
        out["Preferences"] = [{"Spread": {"SpreadDescriptor": "", **item["Spread"]}} for item in spread]
        if not spread:
            del out["Preferences"]
    return out


def _update_config(config: Json) -> Json:
    action, order = config.get("FailureAction", ""), config.get("Order", "")
    if action not in ("", "pause", "continue", "rollback"):
        raise BadRequest(f"unrecognized update failure action {action}")
    if order not in ("", "stop-first", "start-first"):
        raise BadRequest(f"unrecognized update order {order}")
    out: Json = {"Parallelism": config["Parallelism"]}
    if "Delay" in config:
        out["Delay"] = config["Delay"]
    out["FailureAction"] = action or "pause"
    if "Monitor" in config:
        out["Monitor"] = config["Monitor"]
    out["MaxFailureRatio"] = config["MaxFailureRatio"]
    out["Order"] = order or "stop-first"
    return out


def _endpoint(spec: Json) -> Json:
    mode = spec.get("Mode", "")
    if mode not in ("", "vip", "dnsrr"):
        raise BadRequest(f'invalid resolution mode: "{mode}"')
    out: Json = {"Mode": mode or "vip"}
    if spec.get("Ports"):
        out["Ports"] = [_port(port) for port in spec["Ports"]]
    return out


def _port(port: Json) -> Json:
    """An unknown protocol or publish mode is silently the default: they are looked up in protobuf's enums."""
    out: Json = {"Name": port["Name"]} if port.get("Name") else {}
    protocol, mode = port.get("Protocol", "").lower(), port.get("PublishMode", "").lower()
    out["Protocol"] = protocol if protocol in ("tcp", "udp", "sctp") else "tcp"
    for key in ("TargetPort", "PublishedPort"):
        if port.get(key):
            out[key] = port[key]
    out["PublishMode"] = mode if mode in ("ingress", "host") else "ingress"
    return out


def _mode(mode: Json) -> Json:
    given = [name for name in _MODES if name in mode]
    if len(given) > 1:
        raise BadRequest("must specify only one service mode")
    if "Global" in mode or "GlobalJob" in mode:
        return {given[0]: {}}
    if "ReplicatedJob" in mode:
        concurrent = mode["ReplicatedJob"].get("MaxConcurrent", 1)
        total = mode["ReplicatedJob"].get("TotalCompletions", concurrent)
        return {"ReplicatedJob": {"MaxConcurrent": concurrent, "TotalCompletions": total}}
    return {"Replicated": {"Replicas": (mode.get("Replicated") or {}).get("Replicas", 1)}}


# -- SwarmKit's checks of a completed spec


def check_service(spec: Json) -> None:
    """Refuse what SwarmKit refuses, in its order and words. Raises RpcError."""
    check_name(spec["Name"])
    _check_task(spec["TaskTemplate"])
    _check_mode(spec["Mode"])
    if "ReplicatedJob" in spec["Mode"] or "GlobalJob" in spec["Mode"]:
        if "UpdateConfig" in spec:
            raise _invalid("Jobs may not have an update config")
    elif "UpdateConfig" in spec:
        _check_update(spec["UpdateConfig"])
    if "EndpointSpec" in spec:
        _check_endpoint(spec["EndpointSpec"])


def _invalid(desc: str) -> RpcError:
    return RpcError("InvalidArgument", desc)


def _check_task(task: Json) -> None:
    for part in ("Limits", "Reservations"):
        amounts = (task.get("Resources") or {}).get(part) or {}
        cpus, memory = amounts.get("NanoCPUs", 0), amounts.get("MemoryBytes", 0)
        if cpus != 0 and cpus < _MIN_CPU:
            raise _invalid(f"invalid cpu value {_go_float(cpus / 1e9)}: Must be at least 0.001")
        if memory != 0 and memory < _MIN_MEMORY:
            raise _invalid(f"invalid memory value {memory}: Must be at least 4MiB")
    for key in ("Delay", "Window"):
        if (task.get("RestartPolicy") or {}).get(key, 0) < 0:
            raise _invalid(f"TaskSpec: restart-{key.lower()} cannot be negative")
    check_constraints((task.get("Placement") or {}).get("Constraints") or ())
    container = task["ContainerSpec"]
    _check_references(container, "Secret")
    _check_references(container, "Config")
    _check_container(container)


def _go_float(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _check_references(container: Json, kind: str) -> None:
    word = kind.lower()
    taken: dict[str, str] = {}
    for reference in container.get(f"{kind}s") or ():
        name = reference[f"{kind}Name"]
        if not reference[f"{kind}ID"] or not name:
            raise _invalid(f"malformed {word} reference")
        if "File" not in reference:
            if "Runtime" in reference:
                continue
            raise _invalid(f"malformed {word} reference, no target provided")
        target = reference["File"]["Name"]
        if not target:
            raise _invalid(f"malformed file {word} reference, invalid target file name provided")
        if target in taken:
            raise _invalid(f"{word} references '{taken[target]}' and '{name}' have a conflicting target: '{target}'")
        taken[target] = name


def _check_container(container: Json) -> None:
    example = Task(id="taskid", service_id="serviceid", service_name="servicename", slot=1, node_id="nodeid")
    node = {"Hostname": "nodeHostname", "Platform": {"Architecture": "architecture", "OS": "os"}}
    try:
        container = templates.expand_container_spec(container, templates.context(example, node))
    except templates.TemplateError as error:
        raise _invalid(str(error)) from None
    image = container.get("Image", "")
    if not image:
        raise _invalid("ContainerSpec: image reference must be provided")
    if not is_reference(image):
        raise _invalid(f'ContainerSpec: "{image}" is not a valid repository/tag')
    targets: set[str] = set()
    for mount in container.get("Mounts") or ():
        target = mount.get("Target", "")
        if target in targets:
            raise _invalid(f"ContainerSpec: duplicate mount point: {target}")
        targets.add(target)
    health = container.get("Healthcheck") or {}
    for key in ("Interval", "Timeout", "StartPeriod", "StartInterval"):
        if health.get(key, 0) != 0 and health[key] < _MILLISECOND:
            raise _invalid(f"ContainerSpec: {key} in HealthConfig cannot be less than 1ms")
    if health.get("Retries", 0) < 0:
        raise _invalid("ContainerSpec: Retries in HealthConfig cannot be negative")


def _check_mode(mode: Json) -> None:
    too_big = 2**63  # what a negative number becomes on its way through uint64
    if mode.get("Replicated", {}).get("Replicas", 0) >= too_big:
        raise _invalid("Number of replicas must be non-negative")
    job = mode.get("ReplicatedJob", {})
    if job.get("MaxConcurrent", 0) >= too_big:
        raise _invalid("Maximum concurrent jobs must not be negative")
    if job.get("TotalCompletions", 0) >= too_big:
        raise _invalid("Total completed jobs must not be negative")


def _check_update(config: Json) -> None:
    for key in ("Delay", "Monitor"):
        if config.get(key, 0) < 0:
            raise _invalid(f"TaskSpec: update-{key.lower()} cannot be negative")
    if not 0 <= config["MaxFailureRatio"] <= 1:
        raise _invalid("TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1")


def _check_endpoint(endpoint: Json) -> None:
    taken: set[tuple[int, str]] = set()
    for port in endpoint.get("Ports") or ():
        if endpoint["Mode"] == "dnsrr" and port["PublishMode"] == "ingress":
            raise _invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode")
        published = port.get("PublishedPort", 0)
        if not published:
            continue
        if (published, port["Protocol"]) in taken:
            raise _invalid("EndpointSpec: duplicate published ports provided")
        taken.add((published, port["Protocol"]))
