"""The commands, put together in the order in which `labkit --help` shows them."""

from __future__ import annotations

from typing import Annotated

import typer

from labkit.cli import looking, machines, sandboxes

_EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no sandbox or machine of that name."

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
)


def _version(wanted: bool) -> None:
    if wanted:
        from labkit import __version__

        typer.echo(f"labkit {__version__}")
        raise typer.Exit


@app.callback()
def labkit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it and leave.")
    ] = False,
) -> None:
    """Live container clusters on this machine, for learning: several machines, the stock clients, plugs to pull.

    A first look, without Docker installed:

    labkit up swarm

    eval "$(labkit env swarm)"

    docker node ls

    labkit down swarm
    """


for _group in (sandboxes, machines, looking):
    _group.register(app)
