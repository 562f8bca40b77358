"""Starting, finding and ending sandboxes: :func:`up`, :func:`attach`, :func:`down`, :func:`sandboxes`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from labkit import environment
from labkit.engines.base import STARTABLE, Engine, Progress, Record, Request, engine_for
from labkit.engines.shapes import check_sizes, shape_of
from labkit.errors import EngineFailed, LabkitError, NotFound, UsageError
from labkit.orchestrators.base import check_orchestrator
from labkit.paths import check_name
from labkit.registry import Registry
from labkit.sandbox import Sandbox

_TIMEOUTS = {"embedded": 30.0, "docker": 300.0}


def up(
    orchestrator: str,
    *,
    engine: str | None = None,
    name: str | None = None,
    managers: int | None = None,
    workers: int | None = None,
    plain: bool | None = None,
    masters: int | None = None,
    agents: int | None = None,
    speed: float | None = None,
    progress: Progress | None = None,
    timeout: float | None = None,
    **unknown: Any,
) -> Sandbox:
    """A running cluster: started now, taken as it is if it is up already, or brought back if its process died.

    :param orchestrator: ``"swarm"``, ``"kubernetes"`` or ``"marathon"`` (Apache Mesos, and Marathon on it)
    :param engine: ``"embedded"`` (labkit's own servers, no Docker needed) or ``"docker"`` (the real thing: dockerds in
        containers, kind, a Compose project); unless given, what the environment's ``LABKIT_ENGINE`` says, else
        embedded: so a whole lab moves without an edit
    :param name: what to call it; the orchestrator's name unless given
    :param managers: (swarm) number of managers, 3 unless given (1 to 15; odd numbers make sense)
    :param workers: number of workers (0 to 60); unless given 2 for a swarm, and 3 beside the one control plane of a
        Kubernetes cluster
    :param plain: (swarm) the same number of Docker hosts, named ``node-1``…, which have not joined anything
    :param masters: (marathon) number of masters, each with a ZooKeeper member, 3 unless given (1 to 7; odd numbers make
        sense); the first two run a Marathon, too
    :param agents: (marathon) number of Mesos agents, 3 unless given (1 to 200)
    :param speed: how many sandbox seconds pass in a second (embedded only); may be changed while it is up. Unless
        given, a new sandbox takes ``LABKIT_SPEED``, else 1
    :param progress: called with a line of text for each thing that is done
    :param timeout: seconds after which a start counts as failed

    The environment of this process (``DOCKER_HOST``, ``KUBECONFIG``, ``MARATHON_URL``) then leads to it, so
    ``!docker node ls``, ``!kubectl get nodes`` or ``!curl "$MARATHON_URL/v2/apps"`` works in the next cell.
    Raises :class:`labkit.LabkitError` with one clear line.
    """
    if unknown:
        takes = "engine, name, managers, workers, plain, masters, agents, speed, progress, timeout"
        raise UsageError(f"up() knows no {', '.join(sorted(unknown))}; it takes {takes}")
    check_orchestrator(orchestrator)
    engine = engine if engine is not None else os.environ.get("LABKIT_ENGINE") or None
    sizes = {"managers": managers, "workers": workers, "plain": plain, "masters": masters, "agents": agents}
    asked = check_sizes({**sizes, "speed": speed}, orchestrator)
    if engine is not None and engine not in STARTABLE:
        raise UsageError(f"there is no engine {engine!r}; there are {' and '.join(STARTABLE)}")
    name = check_name(orchestrator if name is None else name)
    registry, say = Registry(), progress or _silent
    with registry.lock(name, waiting=lambda: say(f"Another labkit is busy with “{name}”: waiting for it…")):
        known = registry.get(name)
        if known is not None:
            _check_same(known, orchestrator, engine, asked)
        request = _request(registry, known, orchestrator, name, asked, engine, timeout)
        record = _start(registry, known, request, engine, say)
    sandbox = Sandbox(record)
    if speed is not None and record.options.get("speed") != speed:
        sandbox.speed(speed)
    environment.point_at(record)
    environment.publish(registry)
    return sandbox


def attach(
    orchestrator: str,
    *,
    context: str | None = None,
    host: str | None = None,
    name: str | None = None,
    tls: str | os.PathLike[str] | None = None,
    kubeconfig: str | os.PathLike[str] | None = None,
    url: str | None = None,
    mesos: str | None = None,
    allow: str | Iterable[str] = (),
    **unknown: Any,
) -> Sandbox:
    """A cluster that exists elsewhere, looked at and driven through its own API.

    :param context: the name of a docker context (``docker context ls``), or of a context of the kubeconfig
        (``kubectl config get-contexts``; the current one unless given)
    :param host: (swarm) or the URL of a manager: ``ssh://me@manager``, ``tcp://manager:2376``, ``unix:///…``
    :param name: what to call it here; the context's name (or the orchestrator's) unless given
    :param tls: (swarm) folder with ca.pem, cert.pem and key.pem, for a ``tcp://`` host
    :param kubeconfig: (kubernetes) another file than ``KUBECONFIG`` or ``~/.kube/config``
    :param url: (marathon) the URL of a Marathon, with credentials in it if it wants any:
        ``http://me:secret@marathon.example.org:8080``; several with commas between them
    :param mesos: (marathon) the URL of a Mesos master, ``http://master:5050``; what Marathon says unless given
    :param allow: what may be done to it that takes running tasks away: any of ``"drain"``, ``"kill"``, ``"relabel"``,
        ``"remove"``, ``"scale"`` (to fewer), ``"update"``. It may be somebody's production, so nothing of that is
        allowed unless it is named here. labkit cannot pull the plug of machines that it did not start: ``fail`` and its
        like never work.
    """
    if unknown:
        raise UsageError(
            f"attach() knows no {', '.join(sorted(unknown))}; "
            "it takes context, host, name, tls, kubeconfig, url, mesos, allow"
        )
    from labkit.engines.attached import attachment

    check_orchestrator(orchestrator)
    registry = Registry()
    where = attachment(
        orchestrator, context=context, host=host, tls=tls, kubeconfig=kubeconfig, url=url, mesos=mesos, allow=allow
    )
    name = check_name(name if name is not None else where.suggested_name)
    with registry.lock(name):
        known = registry.get(name)
        if known is not None and known.engine != "attached":
            raise UsageError(f"“{name}” is a sandbox of labkit's own; give the attached cluster another name (name=…)")
        record = where.record(name, registry.paths)
        registry.save(record)
    environment.point_at(record)
    environment.publish(registry)
    return Sandbox(record)


def down(name: str | None = None, *, progress: Progress | None = None) -> None:
    """Ends a sandbox and removes everything it had; an attached cluster is only forgotten.

    Without a name: the only sandbox there is.
    """
    registry = Registry()
    chosen = choose(registry, name).name
    with registry.lock(chosen, waiting=lambda: (progress or _silent)(f"“{chosen}” is busy: waiting…")):
        record = registry.get(chosen)
        if record is not None:
            doing = "Forgetting" if record.engine == "attached" else "Taking down"
            (progress or _silent)(f"{doing} “{chosen}”…")
            engine_for(record.engine, record.orchestrator).down(record)
        registry.remove(chosen)
    if record is not None:
        environment.leave(record)
    environment.publish(registry)
    registry.tidy()


def sandboxes() -> list[Sandbox]:
    """Every sandbox of this user, oldest first, also those whose process has stopped."""
    return [Sandbox(record) for record in Registry().all()]


def choose(registry: Registry, name: str | None) -> Record:
    """The record of that name; without a name the only one there is. NotFound says what there is."""
    if name is not None:
        record = registry.get(check_name(name))
        if record is None:
            raise NotFound(f"there is no sandbox “{name}”; {_there_is(registry)}")
        return record
    records = registry.all()
    if not records:
        raise NotFound("there is no sandbox; start one with `labkit up swarm`")
    if len(records) > 1:
        raise UsageError(f"there are several sandboxes, say which: {', '.join(r.name for r in records)}")
    return records[0]


def _silent(_: str) -> None:
    return None


def _there_is(registry: Registry) -> str:
    names = registry.names()
    return f"there is {', '.join(names)}" if names else "there are none (`labkit up swarm` starts one)"


def _check_same(known: Record, orchestrator: str, engine: str | None, asked: Mapping[str, Any]) -> None:
    """Refuses to hand out a sandbox that is not what was asked for; what was not said is taken as it is."""
    away = f"take it down first (`labkit down {known.name}`) or give another name"
    if known.orchestrator != orchestrator:
        raise UsageError(f"“{known.name}” is a {known.orchestrator} sandbox already; {away}")
    if engine is not None and known.engine != engine:
        raise UsageError(f"“{known.name}” is up on the {known.engine} engine already; {away}")
    differing = [
        f"{key}={known.options[key]}"
        for key, value in asked.items()
        if key in known.options and key != "speed" and known.options[key] != value
    ]
    if differing:
        raise UsageError(f"“{known.name}” is there already with {', '.join(differing)}; {away}")


def _request(
    registry: Registry,
    known: Record | None,
    orchestrator: str,
    name: str,
    asked: Mapping[str, Any],
    engine: str | None,
    timeout: float | None,
) -> Request:
    before: Mapping[str, Any] = known.options if known is not None else {}
    if known is None and engine != "docker":
        before = _speed_of_environment()
    sizes = shape_of(orchestrator).sizes({**before, **asked})
    speed = {"speed": 1.0, **before, **asked}["speed"]
    engine = engine or (known.engine if known is not None else "embedded")
    if engine == "docker" and speed != 1.0:
        raise UsageError("a real cluster has no speed; speed= works on the embedded engine only")
    return Request(
        name=name,
        orchestrator=orchestrator,
        timeout=timeout if timeout is not None else _TIMEOUTS[engine],
        state=registry.paths.state_of(name),
        run=registry.paths.run_of(name),
        options=known.options if known is not None else {},
        sizes=sizes,
        speed=speed,
    )


def _speed_of_environment() -> dict[str, Any]:
    """What ``LABKIT_SPEED`` asks for, checked like the argument of that name."""
    text = os.environ.get("LABKIT_SPEED", "")
    if not text:
        return {}
    try:
        return check_sizes({"speed": float(text)})
    except ValueError:
        raise UsageError(f"LABKIT_SPEED must be a number, not {text!r}") from None


def _start(registry: Registry, known: Record | None, request: Request, engine: str | None, say: Progress) -> Record:
    """The running sandbox's record. The registry's lock is held.

    A record is written before the engine starts anything, so that `labkit down` finds what a killed `up` left behind.
    """
    chosen = engine or (known.engine if known is not None else "embedded")
    machinery = engine_for(chosen, request.orchestrator)
    if known is not None and known.ready and machinery.alive(known):
        return known
    registry.paths.check_socket_length(request.name)
    registry.paths.make_runtime()
    if known is not None and not known.ready:
        say(f"An earlier start of “{known.name}” was cut short: cleaning up after it.")
        machinery.down(known)
        registry.remove(known.name)
        known = None
    if known is not None:
        say(f"“{known.name}” had stopped: bringing it back from what it had saved…")
    provisional = known or Record(
        name=request.name,
        orchestrator=request.orchestrator,
        engine=chosen,
        created=time.time(),
        state=str(request.state),
        run=str(request.run),
        ready=False,
        options={**request.sizes, "speed": request.speed},
    )
    registry.save(provisional)
    try:
        record = machinery.up(request, say)
    except BaseException as error:
        if known is None:
            _clear_away(machinery, provisional, registry)
        if isinstance(error, LabkitError) or not isinstance(error, OSError):
            raise
        raise EngineFailed(f"“{request.name}” could not be started: {error}") from error
    record = replace(record, created=provisional.created, ready=True)
    registry.save(record)
    return record


def _clear_away(machinery: Engine, provisional: Record, registry: Registry) -> None:
    """After a start that failed or was interrupted: nothing of it stays, and the first error is the one that counts."""
    try:
        machinery.down(provisional)
    except Exception as error:
        print(f"labkit: cleaning up after the failed start: {error}", file=sys.stderr)
        return  # the record stays, so that `labkit down` can try again
    registry.remove(provisional.name)
