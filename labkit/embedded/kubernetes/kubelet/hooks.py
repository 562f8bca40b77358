"""``postStart`` and ``preStop``: a command, a request or a pause in a container's life."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes.kubelet import httpget
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.processes import ExecutableNotFound
from labkit.embedded.runtime.users import UnknownUser

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.parts import Parts
    from labkit.embedded.kubernetes.kubelet.records import Container, Sandbox
    from labkit.embedded.runtime.machines import Machine

AGENT = "kube-lifecycle/1.36"


class HookFailed(Exception):
    """It did not work out; ``str()`` says why."""


async def run(parts: Parts, machine: Machine, sandbox: Sandbox, container: Container, spec: Json, hook: Json) -> None:
    """Carry it out, as long as it takes. Raises :class:`HookFailed`."""
    if "exec" in hook:
        await _exec(container, list(hook["exec"].get("command") or ()))
    elif "httpGet" in hook:
        try:
            port = httpget.port_of(spec, hook["httpGet"].get("port", ""))
            answer = await httpget.get(
                parts.clock, parts.network, machine, hook["httpGet"], sandbox.ip, port, None, AGENT
            )
        except (httpget.GetFailed, ValueError) as error:
            raise HookFailed(str(error)) from None
        if answer.status >= 400:
            raise HookFailed(f"HTTP probe failed with statuscode: {answer.status}")
    elif "sleep" in hook:
        await parts.clock.sleep(float(hook["sleep"].get("seconds") or 0))


async def _exec(container: Container, command: list[str]) -> None:
    main = container.process
    if main is None or not main.running:
        raise HookFailed("container not running")
    try:
        process = await main.exec(command)
    except (ExecutableNotFound, UnknownUser) as error:
        raise HookFailed(str(error)) from None
    code = await process.wait()
    if code != 0:
        output = b"".join(line.data for line in process.log.lines()).decode("utf-8", "replace")
        raise HookFailed(f"command '{' '.join(command)}' exited with {code}: {output}")
