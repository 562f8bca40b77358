"""``postStart`` and ``preStop``: a command, a request or a pause in a container's life."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from labkit.embedded.kubernetes.kubelet import httpget
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.users import UnknownUser

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.parts import Parts
    from labkit.embedded.kubernetes.kubelet.records import Container, Sandbox
    from labkit.embedded.runtime.machines import Machine

AGENT = "kube-lifecycle/1.36"

Say = Callable[[str, str, str], object]  # type, reason and message of an event


class HookFailed(Exception):
    """It did not work out; ``str()`` is the kubelet's message about it."""


async def run(
    parts: Parts, machine: Machine, sandbox: Sandbox, container: Container, spec: Json, hook: Json, say: Say
) -> None:
    """Carry it out, as long as it takes; ``say`` is for events about the pod. Raises :class:`HookFailed`."""
    whose = (
        f'for Container "{container.name}" in Pod "{sandbox.name}_{sandbox.namespace}({sandbox.uid})" failed - error: '
    )
    if "exec" in hook:
        command = list(hook["exec"].get("command") or ())
        error, output = await _exec(container, command)
        if error:
            raise HookFailed(f"Exec lifecycle hook ([{' '.join(command)}]) {whose}{error}, message: {_quoted(output)}")
    elif "httpGet" in hook:
        given = hook["httpGet"]
        error, output = await _get(parts, machine, sandbox, spec, given, say)
        if error:
            raise HookFailed(
                f"HTTP lifecycle hook ({given.get('path') or ''}) {whose}{error}, message: {_quoted(output)}"
            )
    elif "sleep" in hook:
        await parts.clock.sleep(float(hook["sleep"].get("seconds") or 0))


async def _ask(parts: Parts, machine: Machine, ip: str, port: int, given: Json, say: Say) -> httpget.Answer:
    """The request; kubelets once did not know HTTPS, so one that is answered in plain HTTP is made again like that."""
    try:
        return await httpget.get(parts.clock, parts.network, machine, given, ip, port, None, AGENT)
    except httpget.GetFailed as error:
        if not error.plain:
            raise
        failed = error
    again = {
        **given,
        "scheme": "HTTP",
        "httpHeaders": [one for one in given.get("httpHeaders") or () if one["name"].lower() != "authorization"],
    }
    try:
        answer = await httpget.get(parts.clock, parts.network, machine, again, ip, port, None, AGENT)
    except httpget.GetFailed:
        raise failed from None
    words = f"request to HTTPS lifecycle hook {given.get('host') or ip}:{port} got HTTP response"
    say("Warning", "LifecycleHTTPFallback", f"{words}, retry with HTTP succeeded")
    return answer


async def _get(parts: Parts, machine: Machine, sandbox: Sandbox, spec: Json, given: Json, say: Say) -> tuple[str, str]:
    """What went wrong ("": nothing), and what was answered."""
    try:
        port = httpget.port_of(spec, given.get("port", ""))
        answer = await _ask(parts, machine, sandbox.ip, port, given, say)
    except (httpget.GetFailed, ValueError) as error:
        return str(error), ""
    body = answer.body.decode("utf-8", "replace")
    return (f"HTTP probe failed with statuscode: {answer.status}" if answer.status >= 400 else ""), body


async def _exec(container: Container, command: list[str]) -> tuple[str, str]:
    """As :func:`_get`, for a command."""
    main = container.process
    if main is None or not main.running:
        return "container not running", ""
    try:
        process = await main.exec(command)
    except (ExecutableNotFound, UnknownUser) as error:
        return str(error), ""
    code = await process.wait()
    output = b"".join(line.data for line in process.log.lines()).decode("utf-8", "replace")
    return (f"command '{' '.join(command)}' exited with {code}: {output}" if code else ""), output


def _quoted(text: str) -> str:
    """As Go's ``%q``."""
    return orjson.dumps(text).decode()
