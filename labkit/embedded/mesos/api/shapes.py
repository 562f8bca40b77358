"""From the JSON of a request to a call: what ``protobuf::parse`` of stout accepts, and its words when it does not.

Only what is read later is described; other fields are let through. A number may come as text, ``null`` is nothing, an
enum's unknown word is nothing where the field is optional.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


class ShapeError(ValueError):
    """The JSON does not fit; ``str()`` has the real words."""


class _Message:
    """Fields by name. A name that ends in ``!`` is required."""

    __slots__ = ("fields", "required")

    def __init__(self, **fields: Any) -> None:
        self.fields: Mapping[str, Any] = {name.rstrip("_"): kind for name, kind in fields.items()}
        self.required: tuple[str, ...] = ()

    def needs(self, *names: str) -> _Message:
        self.required = names
        return self


class _Enum:
    def __init__(self, *words: str) -> None:
        self.words = frozenset(words)


STRING, NUMBER, BOOL, ANY = "string", "number", "boolean", "any"
BYTES = "bytes"  # text in Base64

ID = _Message(value=STRING).needs("value")
LABELS = _Message(labels=[_Message(key=STRING, value=STRING).needs("key")])
SCALAR = _Message(value=NUMBER).needs("value")
RANGES = _Message(range=[_Message(begin=NUMBER, end=NUMBER).needs("begin", "end")])
RESOURCE = _Message(
    name=STRING,
    type=_Enum("SCALAR", "RANGES", "SET", "TEXT"),
    scalar=SCALAR,
    ranges=RANGES,
    set=_Message(item=[STRING]),
    role=STRING,
    allocation_info=_Message(role=STRING),
    reservations=[_Message(role=STRING, principal=STRING)],
).needs("name", "type")
ENVIRONMENT = _Message(variables=[_Message(name=STRING, value=STRING, type=STRING).needs("name")])
URI = _Message(value=STRING, executable=BOOL, extract=BOOL, cache=BOOL, output_file=STRING).needs("value")
COMMAND = _Message(uris=[URI], environment=ENVIRONMENT, shell=BOOL, value=STRING, arguments=[STRING], user=STRING)
CHECK_TIMES = {
    "delay_seconds": NUMBER,
    "interval_seconds": NUMBER,
    "timeout_seconds": NUMBER,
    "grace_period_seconds": NUMBER,
}
HTTP_CHECK = _Message(port=NUMBER, path=STRING, scheme=STRING, statuses=[NUMBER]).needs("port")
TCP_CHECK = _Message(port=NUMBER).needs("port")
HEALTH_CHECK = _Message(
    type=STRING, command=COMMAND, http=HTTP_CHECK, tcp=TCP_CHECK, consecutive_failures=NUMBER, **CHECK_TIMES
)
CHECK = _Message(type=STRING, command=_Message(command=COMMAND), http=HTTP_CHECK, tcp=TCP_CHECK, **CHECK_TIMES)
PARAMETERS = [_Message(key=STRING, value=STRING).needs("key", "value")]
DOCKER = _Message(
    image=STRING,
    network=STRING,
    port_mappings=[
        _Message(host_port=NUMBER, container_port=NUMBER, protocol=STRING).needs("host_port", "container_port")
    ],
    privileged=BOOL,
    parameters=PARAMETERS,
    force_pull_image=BOOL,
).needs("image")
CONTAINER = _Message(
    type=STRING,
    docker=DOCKER,
    volumes=[_Message(container_path=STRING, host_path=STRING, mode=STRING)],
    hostname=STRING,
    network_infos=[_Message(name=STRING, labels=LABELS)],
    mesos=_Message(image=_Message(type=STRING, docker=_Message(name=STRING).needs("name"))),
)
DISCOVERY = _Message(
    visibility=STRING,
    name=STRING,
    ports=_Message(ports=[_Message(number=NUMBER, name=STRING, protocol=STRING, labels=LABELS).needs("number")]),
    labels=LABELS,
)
DURATION = _Message(nanoseconds=NUMBER).needs("nanoseconds")
EXECUTOR = _Message(
    executor_id=ID,
    framework_id=ID,
    command=COMMAND,
    container=CONTAINER,
    resources=[RESOURCE],
    name=STRING,
    type=STRING,
    source=STRING,
    labels=LABELS,
    data=BYTES,
).needs("executor_id")
TASK = _Message(
    name=STRING,
    task_id=ID,
    agent_id=ID,
    resources=[RESOURCE],
    executor=EXECUTOR,
    command=COMMAND,
    container=CONTAINER,
    health_check=HEALTH_CHECK,
    check=CHECK,
    kill_policy=_Message(grace_period=DURATION),
    data=BYTES,
    labels=LABELS,
    discovery=DISCOVERY,
    max_completion_time=DURATION,
).needs("name", "task_id", "agent_id")
FILTERS = _Message(refuse_seconds=NUMBER)
OPERATION = _Message(
    type=_Enum(
        "LAUNCH", "LAUNCH_GROUP", "RESERVE", "UNRESERVE", "CREATE", "DESTROY", "GROW_VOLUME", "SHRINK_VOLUME",
        "CREATE_DISK", "DESTROY_DISK",
    ),
    id=ID,
    launch=_Message(task_infos=[TASK]),
    launch_group=_Message(executor=EXECUTOR, task_group=_Message(tasks=[TASK])),
)  # fmt: skip
FRAMEWORK = _Message(
    user=STRING,
    name=STRING,
    id=ID,
    failover_timeout=NUMBER,
    checkpoint=BOOL,
    role=STRING,
    roles=[STRING],
    hostname=STRING,
    principal=STRING,
    webui_url=STRING,
    capabilities=[_Message(type=STRING)],
    labels=LABELS,
).needs("user", "name")

SCHEDULER_CALL = _Message(
    type=STRING,
    framework_id=ID,
    subscribe=_Message(framework_info=FRAMEWORK, suppressed_roles=[STRING], force=BOOL).needs("framework_info"),
    accept=_Message(offer_ids=[ID], operations=[OPERATION], filters=FILTERS),
    decline=_Message(offer_ids=[ID], filters=FILTERS),
    accept_inverse_offers=_Message(inverse_offer_ids=[ID], filters=FILTERS),
    decline_inverse_offers=_Message(inverse_offer_ids=[ID], filters=FILTERS),
    revive=_Message(roles=[STRING]),
    suppress=_Message(roles=[STRING]),
    kill=_Message(task_id=ID, agent_id=ID, kill_policy=_Message(grace_period=DURATION)).needs("task_id"),
    shutdown=_Message(executor_id=ID, agent_id=ID).needs("executor_id", "agent_id"),
    acknowledge=_Message(agent_id=ID, task_id=ID, uuid=BYTES).needs("agent_id", "task_id", "uuid"),
    acknowledge_operation_status=_Message(agent_id=ID, uuid=BYTES, operation_id=ID).needs("uuid", "operation_id"),
    reconcile=_Message(tasks=[_Message(task_id=ID, agent_id=ID).needs("task_id")]),
    reconcile_operations=_Message(operations=[_Message(operation_id=ID, agent_id=ID).needs("operation_id")]),
    message=_Message(agent_id=ID, executor_id=ID, data=BYTES).needs("agent_id", "executor_id", "data"),
    request=_Message(requests=[ANY]),
    update_framework=_Message(framework_info=FRAMEWORK, suppressed_roles=[STRING]).needs("framework_info"),
)

WEIGHT = _Message(weight=NUMBER, role=STRING).needs("weight")
OPERATOR_CALL = _Message(
    type=STRING,
    get_metrics=_Message(timeout=DURATION),
    set_logging_level=_Message(level=NUMBER, duration=DURATION).needs("level", "duration"),
    list_files=_Message(path=STRING).needs("path"),
    read_file=_Message(path=STRING, offset=NUMBER, length=NUMBER).needs("path", "offset"),
    update_weights=_Message(weight_infos=[WEIGHT]),
    deactivate_agent=_Message(agent_id=ID).needs("agent_id"),
    reactivate_agent=_Message(agent_id=ID).needs("agent_id"),
    teardown=_Message(framework_id=ID).needs("framework_id"),
    mark_agent_gone=_Message(agent_id=ID).needs("agent_id"),
)


def convert(value: Any, message: _Message) -> Json:
    """Check a value that was just parsed, and put it into the form that is expected, in place."""
    if not isinstance(value, dict):
        raise ShapeError("Expecting a JSON object")
    missing: list[str] = []
    _message(value, message, "", missing)
    if missing:
        raise ShapeError(f"Missing required fields: {', '.join(missing)}")
    return value


def _message(value: Json, message: _Message, path: str, missing: list[str]) -> None:
    for name in list(value):
        kind = message.fields.get(name)
        if value[name] is None:
            del value[name]
        elif kind is not None:
            _field(value, name, kind, f"{path}{name}", name in message.required, missing)
    missing += [f"{path}{name}" for name in message.required if name not in value]


def _field(holder: Json, name: str, kind: Any, path: str, required: bool, missing: list[str]) -> None:
    value = holder[name]
    if not isinstance(kind, list):
        found = _one(value, name, kind, path, required, missing)
        if found is None:
            del holder[name]
        else:
            holder[name] = found
        return
    items = value if isinstance(value, list) else [value]
    made = [_one(item, name, kind[0], f"{path}[{at}]", required, missing) for at, item in enumerate(items)]
    holder[name] = [item for item in made if item is not None]


def _one(value: Any, name: str, kind: Any, path: str, required: bool, missing: list[str]) -> Any:
    if kind == ANY or value is None:
        return value
    word = _WORDS[type(value)]
    if isinstance(kind, _Message):
        if word != "object":
            raise ShapeError(f"Not expecting a JSON {word} for field '{name}'")
        _message(value, kind, f"{path}.", missing)
        return value
    if isinstance(kind, _Enum):
        if word != "string":
            raise ShapeError(f"Not expecting a JSON {word} for field '{name}'")
        if value in kind.words:
            return value
        if required:
            raise ShapeError(f"Failed to find enum for '{value}'")
        return None
    if kind == word:
        return value
    if word == "string" and kind == BYTES:
        wrong = _NOT_BASE64.search(value.partition("=")[0])
        if wrong is not None:
            raise ShapeError(f"Failed to base64 decode bytes field '{name}': Invalid character '{wrong[0]}'")
        return value
    if word == "string" and kind == NUMBER:
        try:
            return float(value)
        except ValueError:
            raise ShapeError(f"Failed to parse '{value}' as a JSON number for field '{name}'") from None
    if word == "string" and kind == BOOL and value in ("true", "false"):
        return value == "true"
    raise ShapeError(f"Not expecting a JSON {word} for field '{name}'")


_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/\s]")  # what follows a = is not looked at
_WORDS = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
