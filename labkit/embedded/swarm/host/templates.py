"""``{{.Node.Hostname}}`` and the like in a task's environment, hostname and mounts (SwarmKit's ``template``).

In configs and secrets that have a template driver the functions ``env``, ``config`` and ``secret`` are there, too.

Of Go's template language the part is here that people use in services: fields, ``index``, the comparison functions
of none. What is beyond it fails as an unknown function does in Go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from labkit.embedded.swarm.objects import Json, Task

from .wording import quoted

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|[^\s]+')


class TemplateError(Exception):
    """The template does not parse or names something that is not there; ``str()`` has Go's words."""


def context(task: Task, description: Json | None) -> Json:
    """What a template may name: service, node and task."""
    node: Json = {"ID": task.node_id, "Hostname": "", "Platform": {"Architecture": "", "OS": ""}}
    if description:
        node["Hostname"] = description.get("Hostname", "")
        node["Platform"] = dict(description.get("Platform") or {})
    return {
        "Service": {"ID": task.service_id, "Name": task.service_name, "Labels": task.service_labels},
        "Node": node,
        "Task": {"ID": task.id, "Name": f"{task.name}.{task.id}", "Slot": str(task.slot or task.node_id)},
    }


def expand(text: str, values: Json, functions: Mapping[str, Callable[[str], str]] | None = None) -> str:
    """``text`` with its ``{{…}}`` filled in. Raises :class:`TemplateError`."""
    if "{{" not in text:
        return text
    out = _ACTION.sub(lambda match: _evaluate(match, values, functions or {}), text)
    if "{{" in _ACTION.sub("", text):
        raise TemplateError("template: expansion:1: unclosed action")
    return out


def _evaluate(match: re.Match[str], values: Json, functions: Mapping[str, Callable[[str], str]]) -> str:
    words = _WORD.findall(match[1])
    if not words:
        raise TemplateError("template: expansion:1: missing value for command")
    if words[0] == "index" and len(words) > 1:
        found: Any = _operand(words[1], values)
        for key in words[2:]:
            found = found.get(_operand(key, values), "") if isinstance(found, dict) else ""
        return _text(found)
    if words[0] in functions and len(words) == 2:
        try:
            return functions[words[0]](_text(_operand(words[1], values)))
        except KeyError as error:
            before = match.string[: match.start(1)]
            where = f"{before.count(chr(10)) + 1}:{len(before.rpartition(chr(10))[2])}"
            shown = match[1] if len(match[1]) <= 20 else f"{match[1][:20]}..."
            raise TemplateError(
                f"template: expansion:{where}: executing {quoted('expansion')} at <{shown}>: "
                f"error calling {words[0]}: {error.args[0]}"
            ) from None
    if words[0] == "join" or not words[0].startswith((".", '"', "`")):
        raise TemplateError(f"template: expansion:1: function {quoted(words[0])} not defined")
    return _text(_operand(words[0], values))


def _operand(word: str, values: Json) -> Any:
    if word[0] in '"`':
        return word[1:-1]
    found: Any = values
    path = ""
    for field in [part for part in word.split(".") if part]:
        if not isinstance(found, dict) or (field not in found and path != ".Service.Labels"):
            raise TemplateError(
                f"template: expansion:1:{3 + len(path)}: executing {quoted('expansion')} at <{word}>: "
                f"can't evaluate field {field} in type template.Context"
            )
        found = found.get(field, "<no value>")
        path += f".{field}"
    return found


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{value[key]}" for key in sorted(value)) + "]"
    return str(value)


def expand_container_spec(spec: Json, values: Json) -> Json:
    """``ContainerSpec`` with environment, mounts and hostname expanded; ``spec`` itself where nothing is to do.

    Raises :class:`TemplateError` with SwarmKit's prefix (``expanding env failed: …``).
    """
    out = dict(spec)
    try:
        env = spec.get("Env") or []
        if any("{{" in entry for entry in env):
            out["Env"] = [_entry(entry, values) for entry in env]
    except TemplateError as error:
        raise TemplateError(f"expanding env failed: {error}") from None
    try:
        if spec.get("Mounts"):
            out["Mounts"] = [
                {
                    **mount,
                    "Source": expand(mount.get("Source") or "", values),
                    "Target": expand(mount.get("Target") or "", values),
                }
                for mount in spec["Mounts"]
            ]
    except TemplateError as error:
        raise TemplateError(f"expanding mounts failed: {error}") from None
    try:
        if spec.get("Hostname"):
            out["Hostname"] = expand(spec["Hostname"], values)
    except TemplateError as error:
        raise TemplateError(f"expanding hostname failed: {error}") from None
    return out


def _entry(entry: str, values: Json) -> str:
    name, equals, value = entry.partition("=")
    return f"{name}={expand(value, values)}" if equals else entry


def expand_file(data: bytes, values: Json, env: list[str], read: Callable[[str, str], str | None]) -> bytes:
    """The content of a config or secret that is a template. ``read("config", target)`` gives another file's text.

    Raises :class:`TemplateError`.
    """
    environment = dict(entry.partition("=")[::2] for entry in env)

    def other(kind: str) -> Callable[[str], str]:
        def text(target: str) -> str:
            found = read(kind, target)
            if found is None:
                raise KeyError(f"{kind} target {target} not found")
            return found

        return text

    functions = {"env": lambda name: environment.get(name, ""), "config": other("config"), "secret": other("secret")}
    return expand(data.decode("utf-8", "surrogateescape"), values, functions).encode("utf-8", "surrogateescape")
