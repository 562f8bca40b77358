"""up, ls, status, env, down, attach: the life of a sandbox."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from labkit.cli import output
from labkit.cli.showing import show_env, show_list, show_machines, show_status
from labkit.errors import LabkitError, NotFound, UsageError

_JSON = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def _names() -> list[str]:
    from labkit.registry import Registry

    return Registry().names()


_MAYBE_NAME = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="The sandbox; not needed if there is only one.", autocompletion=_names),
]


def _orchestrators() -> list[str]:
    from labkit.orchestrators.base import ORCHESTRATORS

    return list(ORCHESTRATORS)


_ORCHESTRATOR = Annotated[
    str,
    typer.Argument(
        metavar="ORCHESTRATOR", help="What to run: swarm, kubernetes, marathon.", autocompletion=_orchestrators
    ),
]


def register(app: typer.Typer) -> None:
    for command in (up, ls, status, env, down, attach):
        app.command()(command)


def up(
    orchestrator: _ORCHESTRATOR,
    managers: Annotated[
        int | None, typer.Option(help="Of a swarm: how many managers; 3 unless given.", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="How many workers; 2 of a swarm, 3 of a Kubernetes cluster.", show_default=False)
    ] = None,
    masters: Annotated[
        int | None,
        typer.Option(help="Of a Mesos cluster: how many masters; 3 unless given, 1 to 7.", show_default=False),
    ] = None,
    agents: Annotated[
        int | None, typer.Option(help="Of a Mesos cluster: how many agents; 3 unless given.", show_default=False)
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="embedded: labkit's own servers, no Docker needed (the default). docker: the real thing on Docker.",
            autocompletion=lambda: ["embedded", "docker"],
            show_default=False,
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call it; the orchestrator's name unless given.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="Sandbox seconds that pass in a second (embedded only).", show_default=False)
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Docker hosts that joined nothing, to do `docker swarm init` by hand.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds after which a start counts as failed.", show_default=False)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")] = False,
    json: _JSON = False,
) -> None:
    """Start a cluster, or bring back one whose process died. One that is up already is left as it is.

    Examples:

    labkit up swarm

    labkit up swarm --managers 1 --workers 4 --name demo --speed 10

    labkit up kubernetes --workers 5

    labkit up marathon --masters 3 --agents 5

    labkit up swarm --engine docker
    """
    from labkit.lifecycle import up as start

    sandbox = start(
        orchestrator,
        engine=engine,
        name=name,
        managers=managers,
        workers=workers,
        plain=True if plain else None,
        masters=masters,
        agents=agents,
        speed=speed,
        timeout=timeout,
        progress=None if quiet else output.progress,
    )
    status = sandbox.status()
    if json:
        output.as_json(status)
    elif not quiet:
        _summary(sandbox, status)


def _summary(sandbox: Any, status: dict[str, Any]) -> None:
    from labkit.engines.shapes import shape_of
    from labkit.sandbox import machines_in_words

    lab, name = output.called(), sandbox.name
    print(f"“{name}” is up on the {sandbox.engine} engine: {machines_in_words(sandbox.record)}.\n")
    show_machines(status, indent="  ")
    shape = shape_of(sandbox.orchestrator)
    plain = not sandbox.record.machines[0].role
    steps = [
        (f'eval "$({lab} env {name})"', f"point {shape.client} in this shell at it"),
        ("docker swarm init" if plain else shape.first_look, ""),
        (f"{lab} fail {name} {status['machines'][-1]['name']}", "pull a machine's plug; `heal` puts it back"),
        (f"{lab} down {name}", "take it down and remove everything it had"),
    ]
    width = max(len(command) for command, _ in steps)
    print("\nNext:")
    for command, meaning in steps:
        print(f"  {command.ljust(width)}   {meaning}".rstrip())


def ls(json: _JSON = False) -> None:
    """List the sandboxes, also those whose process has stopped."""
    raise typer.Exit(show_list(json=json))


def status(name: _MAYBE_NAME = None, json: _JSON = False) -> None:
    """Show a sandbox: its endpoints and every machine. Leaves with 0 if it is up, with 1 if it is not."""
    raise typer.Exit(show_status(name, json=json))


def env(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="The sandbox; the newest unless given.", autocompletion=_names),
    ] = None,
    shell: Annotated[
        str, typer.Option(help="sh, bash, zsh, fish or powershell.", autocompletion=lambda: _shells())
    ] = "sh",
    machine: Annotated[
        str | None, typer.Option(help="Point at this machine's own engine instead of the first one's.")
    ] = None,
) -> None:
    """Print the lines that point a shell's docker, kubectl or curl at a sandbox. Nothing else goes to stdout.

    Examples:

    eval "$(labkit env swarm)"

    labkit env swarm --shell fish | source

    eval "$(labkit env swarm --machine worker-1)"

    eval "$(labkit env marathon)" && curl "$MARATHON_URL/v2/apps"
    """
    raise typer.Exit(show_env(name, shell=shell, machine=machine))


def _shells() -> list[str]:
    from labkit.environment import SHELLS

    return list(SHELLS)


def down(
    name: _MAYBE_NAME = None,
    all_: Annotated[bool, typer.Option("--all", help="Every sandbox.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")] = False,
) -> None:
    """Take a sandbox down and remove everything it had. An attached cluster is only forgotten.

    Examples:

    labkit down swarm

    labkit down --all
    """
    from labkit.lifecycle import down as end

    say = None if quiet else output.progress
    if name is not None and all_:
        raise UsageError("say either a NAME or --all")
    if not all_:
        end(name, progress=say)
        return
    failed: LabkitError | None = None
    for one in _names():
        try:
            end(one, progress=say)
        except NotFound:
            continue  # somebody else was quicker
        except LabkitError as error:
            print(f"labkit: {error}", file=sys.stderr)
            failed = error
    if failed is not None:
        raise typer.Exit(failed.exit_code)


def attach(
    orchestrator: _ORCHESTRATOR,
    context: Annotated[str | None, typer.Option(help="A docker context, or a context of your kubeconfig.")] = None,
    host: Annotated[str | None, typer.Option(help="A manager's URL: ssh://me@manager, tcp://manager:2376.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call it here.")] = None,
    kubeconfig: Annotated[str | None, typer.Option(help="Another kubeconfig than your usual one.")] = None,
    url: Annotated[str | None, typer.Option(help="A Marathon's URL, with credentials in it if it wants any.")] = None,
    mesos: Annotated[
        str | None, typer.Option(help="The URL of the Mesos below it; what Marathon says unless given.")
    ] = None,
    tls: Annotated[str | None, typer.Option(help="Folder with ca.pem, cert.pem and key.pem, for tcp://.")] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            help="A drill that may be done to it: drain, kill, relabel, remove, scale, update. May be repeated."
        ),
    ] = None,
    json: _JSON = False,
) -> None:
    """Look at a cluster that exists elsewhere. labkit reads it; what takes tasks away must be allowed by name.

    Examples:

    labkit attach swarm --context training

    labkit attach kubernetes --context training --allow scale

    labkit attach swarm --host ssh://me@manager-1 --name lab --allow drain --allow kill

    labkit attach marathon --url http://marathon.example.org:8080 --allow scale
    """
    from labkit.lifecycle import attach as attach_to

    sandbox = attach_to(
        orchestrator,
        context=context,
        host=host,
        name=name,
        tls=tls,
        kubeconfig=kubeconfig,
        url=url,
        mesos=mesos,
        allow=allow or (),
    )
    if json:
        output.as_json(sandbox.status())
    else:
        print(f"Attached “{sandbox.name}” at {next(iter(sandbox.record.endpoints.values()))}.")
        print(f'Next: eval "$({output.called()} env {sandbox.name})"')
