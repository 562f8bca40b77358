"""graph, doctor, lab: what one looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labkit.cli import output
from labkit.errors import ClusterError, UsageError

_FORMATS = (".html", ".svg", ".png")


def register(app: typer.Typer) -> None:
    app.command()(graph)
    app.command()(doctor)
    # Whatever stands behind `--` is JupyterLab's own.
    app.command(context_settings={"allow_extra_args": True})(lab)


def graph(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The sandbox; not needed if there is only one.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="FILE.html, FILE.svg or FILE.png")] = None,
    theme: Annotated[str, typer.Option(help="light or dark")] = "light",
) -> None:
    """Write the picture of a cluster, as it is now, to a file.

    labkit graph swarm -o swarm.svg
    """
    from labkit.lifecycle import choose
    from labkit.registry import Registry
    from labkit.sandbox import Sandbox

    if out is None or out.suffix.lower() not in _FORMATS:
        raise UsageError("say where the picture goes: -o FILE.html, -o FILE.svg or -o FILE.png")
    if theme not in ("light", "dark"):
        raise UsageError(f"theme must be light or dark, not {theme!r}")
    sandbox = Sandbox(choose(Registry(), name))
    try:
        snapshot = sandbox.snapshot()
    finally:
        sandbox.close()
    if snapshot.error and not snapshot.nodes:
        raise ClusterError(snapshot.error)
    from labkit.topology.export import save

    save(snapshot, out, theme=theme)
    output.progress(f"Wrote {out}")


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False) -> None:
    """Say what this machine can run, and how to get what is missing. Leaves with 1 if not even a sandbox can run."""
    from labkit.diagnosis import doctor as examine

    report = examine()
    if json:
        output.as_json(report.as_dict())
    else:
        for group, findings in report.groups():
            print(f"{group}")
            output.table(("", "", ""), [(f.state, f.what, f.found) for f in findings], indent="  ")
            for finding in findings:
                if finding.remedy:
                    print(f"    {finding.what}: {finding.remedy}")
            print()
        print(report.verdict)
    if not report.embedded_works:
        raise typer.Exit(1)


def lab(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(help="The port; 8888 or the next free one unless given.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the URL.")] = False,
) -> None:
    """Open JupyterLab on the labs. Its terminals and notebooks find the sandboxes. Ctrl-C ends it.

    labkit lab --no-browser -- --ServerApp.password_required=True
    """
    from labkit.jupyterlab import run

    raise typer.Exit(run(port=port, browser=not no_browser, arguments=context.args))
