"""Probes: what their results mean (pure), and what carries them out.

A running container is ``started`` once its startup probe has succeeded (at once without one) and ``ready`` while its
readiness probe says so. No task waits between two probes, only a timer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labkit.embedded.kubernetes.kubelet import httpget
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.clock import Timer
from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.logs import Log
from labkit.embedded.runtime.users import UnknownUser

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.parts import Parts
    from labkit.embedded.kubernetes.kubelet.records import Container, Sandbox
    from labkit.embedded.runtime.chores import Chores
    from labkit.embedded.runtime.machines import Machine

AGENT = "kube-probe/1.36"
MAX_OUTPUT = 10 * 1024
MAX_REDIRECTS = 10
# Seconds after a container's start before which no probe comes: about as long as the real kubelet takes to notice that
# it runs. Without it the first one would always come too soon, and the next a whole period later.
FIRST = 0.2
EXEC_FAILED = (
    'rpc error: code = Unknown desc = failed to exec in container: failed to start exec "{id}": OCI runtime exec '
    "failed: exec failed: unable to start container process: {why}: unknown"
)

KINDS = ("startup", "liveness", "readiness")


@dataclass(frozen=True, slots=True)
class Rule:
    """A probe of a spec with its defaults; times in seconds."""

    kind: str
    action: Json
    initial_delay: float
    period: float
    timeout: float
    successes: int
    failures: int

    @classmethod
    def of(cls, container: Json, kind: str) -> Rule | None:
        given = container.get(f"{kind}Probe")
        if not given:
            return None
        return cls(
            kind,
            given,
            float(given.get("initialDelaySeconds") or 0),
            float(given.get("periodSeconds") or 10),
            float(given.get("timeoutSeconds") or 1),
            int(given.get("successThreshold") or 1),
            int(given.get("failureThreshold") or 3),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one probe found. ``broken``: it could not even be tried."""

    ok: bool
    words: str = ""
    broken: bool = False


@dataclass(slots=True)
class Count:
    """How often in a row a probe has had the same result."""

    ok: bool | None = None
    times: int = 0

    def take(self, rule: Rule, ok: bool) -> bool | None:
        """The verdict when a threshold is reached; None before."""
        self.times = self.times + 1 if self.ok is ok else 1
        self.ok = ok
        return ok if self.times >= (rule.successes if ok else rule.failures) else None


Changed = Callable[[], object]
Failed = Callable[["Container", Rule], object]
Said = Callable[["Container", str], object]


class Prober:
    """The probes of one container's life."""

    __slots__ = (
        "_chores", "_container", "_counts", "_ended", "_machine", "_parts", "_rules", "_sandbox", "_spec", "_timers",
        "changed", "failed", "ready", "said", "started",
    )  # fmt: skip

    def __init__(
        self, parts: Parts, machine: Machine, sandbox: Sandbox, container: Container, spec: Json, chores: Chores,
        changed: Changed, failed: Failed, said: Said,
    ) -> None:  # fmt: skip
        """``changed()`` is called when readiness has, ``failed`` when it is to be killed, ``said`` for an event."""
        self._parts = parts
        self._machine = machine
        self._sandbox = sandbox
        self._container = container
        self._spec = spec
        self._chores = chores
        self._rules = {kind: rule for kind in KINDS if (rule := Rule.of(spec, kind)) is not None}
        self._counts: dict[str, Count] = {}
        self._timers: dict[str, Timer] = {}
        self._ended = False
        self.changed, self.failed, self.said = changed, failed, said
        self.started = "startup" not in self._rules
        self.ready = self.started and "readiness" not in self._rules

    @classmethod
    def wanted(cls, spec: Json) -> bool:
        return "livenessProbe" in spec or "readinessProbe" in spec or "startupProbe" in spec

    def begin(self, assume: tuple[bool, bool] | None = None) -> None:
        """Start probing. ``assume`` is what a kubelet that was restarted takes over: started, ready."""
        if assume is not None:
            self.started, self.ready = assume
        for kind in ("startup",) if not self.started else ("liveness", "readiness"):
            if kind in self._rules:
                rule = self._rules[kind]
                self._schedule(rule, self._container.started + max(FIRST, rule.initial_delay) - self._now())

    def end(self) -> None:
        self._ended = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def spare(self) -> None:
        """It is being ended: whether it lives is no question any more, whether it is ready still is."""
        for kind in ("startup", "liveness"):
            timer = self._timers.pop(kind, None)
            if timer is not None:
                timer.cancel()
            self._rules.pop(kind, None)

    def _now(self) -> float:
        return self._parts.clock.time()

    def _schedule(self, rule: Rule, seconds: float) -> None:
        if not self._ended and rule.kind in self._rules:
            self._timers[rule.kind] = self._parts.clock.call_later(max(0.0, seconds), self._due, rule)

    def _due(self, rule: Rule) -> None:
        self._timers.pop(rule.kind, None)
        if not self._ended:
            self._chores.start(self._probe(rule))

    async def _probe(self, rule: Rule) -> None:
        begun = self._now()
        await self._parts.fleet.gate(self._machine.name).wait()
        outcome = await self._try(rule)
        if self._ended or not self._container.running or rule.kind not in self._rules:
            return
        self._judge(rule, outcome)
        self._schedule(rule, max(0.0, begun + rule.period - self._now()))

    async def _try(self, rule: Rule) -> Outcome:
        """Once; tried again at once when it could not be carried out (``maxProbeRetries`` of 3)."""
        outcome = Outcome(False)
        for _ in range(3):
            outcome = await probe(self._parts, self._machine, self._sandbox, self._container, self._spec, rule)
            if not outcome.broken:
                break
        return outcome

    def _judge(self, rule: Rule, outcome: Outcome) -> None:
        name = rule.kind.capitalize()
        if outcome.broken:
            self.said(self._container, f"{name} probe errored and resulted in unknown state: {outcome.words}")
            return
        if not outcome.ok:
            self.said(self._container, f"{name} probe failed: {outcome.words}")
        verdict = self._counts.setdefault(rule.kind, Count()).take(rule, outcome.ok)
        if verdict is None:
            return
        if rule.kind == "readiness":
            if self.ready is not verdict:
                self.ready = verdict
                self.changed()
        elif not verdict:
            self.end()
            self.failed(self._container, rule)
        elif rule.kind == "startup":
            self._started()

    def _started(self) -> None:
        self.end()
        self._ended = False
        self.started = True
        self.ready = "readiness" not in self._rules
        self.changed()
        for kind in ("liveness", "readiness"):
            if kind in self._rules:
                rule = self._rules[kind]
                self._schedule(rule, self._container.started + max(FIRST, rule.initial_delay) - self._now())


async def probe(
    parts: Parts, machine: Machine, sandbox: Sandbox, container: Container, spec: Json, rule: Rule
) -> Outcome:
    """Carry out one probe."""
    action = rule.action
    if "exec" in action:
        return await _exec(parts, container, list(action["exec"].get("command") or ()), rule.timeout)
    if "grpc" in action:
        return Outcome(False, "grpc probes are not simulated by the embedded engine", broken=True)
    given = action.get("httpGet") or action.get("tcpSocket") or {}
    try:
        port = httpget.port_of(spec, given.get("port", ""))
    except ValueError as error:
        return Outcome(False, str(error), broken=True)
    if "httpGet" in action:
        return await _http(parts, machine, given, sandbox.ip, port, rule.timeout)
    return await _tcp(parts, machine, given.get("host") or sandbox.ip, port, rule.timeout)


async def _exec(parts: Parts, container: Container, command: list[str], timeout: float) -> Outcome:
    main = container.process
    if main is None or not main.running:
        return Outcome(False, "container not running", broken=True)
    log = Log(parts.clock)
    try:
        process = await main.exec(command, log=log)
    except (ExecutableNotFound, UnknownUser) as error:
        return Outcome(False, EXEC_FAILED.format(id=f"{parts.rng.getrandbits(256):064x}", why=error), broken=True)
    try:
        async with parts.clock.timeout(timeout):
            code = await process.wait()
    except TimeoutError:
        return Outcome(False, f'command timed out: "{" ".join(command)}" timed out after {timeout:g}s')
    finally:
        if process.running:
            process.kill(9)
    output = b"".join(line.data for line in log.lines())[:MAX_OUTPUT].decode("utf-8", "replace")
    return Outcome(code == 0, output)


async def _http(parts: Parts, machine: Machine, action: Json, ip: str, port: int, timeout: float) -> Outcome:
    for _ in range(MAX_REDIRECTS):
        try:
            answer = await httpget.get(parts.clock, parts.network, machine, action, ip, port, timeout, AGENT)
        except httpget.GetFailed as error:
            return Outcome(False, str(error))
        next_ = _redirected(action, ip, port, answer.location) if 300 <= answer.status < 400 else None
        if next_ is not None:
            action, port = next_
            continue
        if 200 <= answer.status < 400:
            return Outcome(True)  # a redirect to elsewhere counts as success
        return Outcome(False, f"HTTP probe failed with statuscode: {answer.status}")
    return Outcome(False, f'Get "{action.get("path")}": stopped after {MAX_REDIRECTS} redirects')


def _redirected(action: Json, ip: str, port: int, location: str) -> tuple[Json, int] | None:
    """Where a redirect to the same host leads; None for any other."""
    if location.startswith("/"):
        return {**action, "path": location}, port
    try:
        url = urlsplit(location)
        given = url.port
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or url.hostname != (action.get("host") or ip):
        return None
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = [one for one in action.get("httpHeaders") or () if one["name"].lower() != "host"]
    new = {**action, "scheme": url.scheme.upper(), "path": path, "httpHeaders": headers}
    return new, given or (443 if url.scheme == "https" else 80)


async def _tcp(parts: Parts, machine: Machine, ip: str, port: int, timeout: float) -> Outcome:
    try:
        _, writer = await parts.network.connect(machine.name, ip, port, timeout=timeout)
    except ConnectionRefusedError:
        return Outcome(False, f"dial tcp {ip}:{port}: connect: connection refused")
    except TimeoutError:
        return Outcome(False, f"dial tcp {ip}:{port}: i/o timeout")
    except OSError as error:
        return Outcome(False, f"dial tcp {ip}:{port}: connect: {(error.strerror or str(error)).lower()}")
    writer.close()
    return Outcome(True)
