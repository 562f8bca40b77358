"""A JupyterLab of its own for tests, and a page of it that is driven like a person would: cell by cell."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

import labkit
from labkit.guide.loader import labs_folder
from labkit.jupyterlab import KERNELS
from support.until import until

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
_SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # cells off screen exist, too
}


@dataclass
class Server:
    """A running JupyterLab; notebooks lie in ``root``."""

    url: str
    token: str
    root: Path
    process: subprocess.Popen[bytes]
    log: Path

    def write(self, name: str, *cells: str) -> str:
        """Make a notebook of code cells; its path below ``root``."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.root / name)
        return name

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


def start_server(folder: Path, root: Path | None = None, env: dict[str, str] | None = None) -> Server:
    """Start JupyterLab on loopback with settings of its own. Raises with its log if it does not come up."""
    root = root or folder / "notebooks"
    root.mkdir(parents=True, exist_ok=True)
    settings = folder / "settings"
    for plugin, values in _SETTINGS.items():
        path = settings / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    log = folder / "jupyter.log"
    surroundings = {
        **os.environ,
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
        **(env or {}),
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
                f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", "--ServerApp.port_retries=0",
                "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly",
                *KERNELS,
            ],
            stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=surroundings, cwd=folder,
        )  # fmt: skip
    server = Server(f"http://127.0.0.1:{port}", token, root, process, log)

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError("it has ended")
        try:
            urllib.request.urlopen(f"{server.url}/api?token={token}", timeout=10).close()
        except OSError as error:  # refused, or so busy with its start that it does not answer
            raise AssertionError(error) from None
        return True

    try:
        until(answers, 90, "JupyterLab answers", every=0.2)
    except (AssertionError, RuntimeError) as error:
        server.stop()
        raise RuntimeError(f"JupyterLab did not start: {error}\n{log.read_text()[-3000:]}") from None
    return server


def start_lab_server(folder: Path, speed: float | None = None) -> Iterator[Server]:
    """A JupyterLab on a copy of the labs, so that nothing is written into the checkout; for a fixture to yield from."""
    root = folder / "labs"
    shutil.copytree(labs_folder(), root, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__"))
    env = {"LABKIT_LABS": str(root), "LABKIT_PROGRESS": str(folder / "progress.json"), "LABKIT_ENGINE": "embedded"}
    if speed is not None:
        env["LABKIT_SPEED"] = f"{speed:g}"
    server = start_server(folder, root=root, env=env)
    yield server
    server.stop()
    end_sandboxes()


def start_over(server: Server) -> None:
    """Nothing runs, nothing has been learnt yet."""
    end_sandboxes()
    (server.root.parent / "progress.json").unlink(missing_ok=True)


def end_sandboxes() -> None:
    for sandbox in labkit.sandboxes():
        sandbox.down()


class LabPage:
    """A notebook open in JupyterLab."""

    def __init__(self, page: Any, server: Server, shots: Path) -> None:
        self.page = page
        self.server = server
        self.shots = shots
        self.notebook = ""
        self.complaints: list[str] = []
        page.on("pageerror", self._hear_error)
        page.on("console", self._hear)

    def _hear_error(self, error: Any) -> None:
        """JupyterLab's own requests may be cut off when the page is left or its server is busy; ours use none."""
        if str(error) != "Failed to fetch":
            self.complaints.append(str(error))

    def _hear(self, message: Any) -> None:
        """A widget that cannot take what the kernel sends says so in the console only."""
        if message.type == "error" and "Error setting state" in message.text:
            self.complaints.append(message.text)

    def open(self, notebook: str, theme: str = "light") -> LabPage:
        """Open a notebook with a fresh layout, and wait for its kernel."""
        self.notebook = notebook
        self.page.goto(f"{self.server.url}/lab/tree/{notebook}?reset&token={self.server.token}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
        self.theme(theme)
        if self.page.locator("#jp-left-stack:visible").count():
            self.command("application:toggle-left-area")
        self.page.wait_for_function(
            """() => {
                const session = window.jupyterapp.shell.currentWidget?.sessionContext;
                return session && session.session?.kernel?.status === 'idle';
            }""",
            timeout=180_000,
        )
        return self

    def reload(self) -> None:
        self.page.reload()
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)

    def theme(self, name: str) -> None:
        self.command("apputils:change-theme", {"theme": THEMES[name]})
        self.page.wait_for_function(
            "light => document.body.dataset.jpThemeLight === light", arg="true" if name == "light" else "false"
        )

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Execute a command of JupyterLab's palette."""
        self.page.evaluate("([name, args]) => window.jupyterapp.commands.execute(name, args)", [name, arguments or {}])

    def run(self, index: int, timeout: float = 60.0) -> str:
        """Run one cell, wait until it is done, and give its text output; raises when the cell did."""
        self.page.evaluate(
            """index => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                notebook.activeCellIndex = index;
                notebook.deselectAll();
            }""",
            index,
        )
        self.command("notebook:run-cell")
        self.page.wait_for_function(
            """index => {
                const panel = window.jupyterapp.shell.currentWidget;
                const cell = panel.content.widgets[index];
                const kernel = panel.sessionContext.session?.kernel;
                return cell.model.executionCount !== null && kernel?.status === 'idle';
            }""",
            arg=index,
            timeout=timeout * 1000,
        )
        cell = self.cell(index)
        error = cell.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr'], .jp-mod-error")
        if "Traceback" in (text := " ".join(error.all_inner_texts())):
            raise AssertionError(text)
        return str(cell.locator(".jp-OutputArea").first.inner_text()) if cell.locator(".jp-OutputArea").count() else ""

    def run_with(self, text: str) -> str:
        """Run the first code cell that has this text."""
        return self.run(self.index_of(text))

    def index_of(self, text: str) -> int:
        """The first code cell that has this text."""
        cells = nbformat.read(self.server.root / self.notebook, as_version=4).cells
        return next(i for i, cell in enumerate(cells) if cell.cell_type == "code" and text in cell.source)

    def panel(self, step: str) -> Any:
        """Where a step of the guide is shown."""
        return self.page.locator(f".lk-panel[data-step='{step}']")

    def wait_green(self, step: str, timeout: float = 60) -> None:
        """Until the step is passed."""
        self.page.locator(f".lk-panel[data-step='{step}'][data-status='passed']").wait_for(timeout=timeout * 1000)

    def at_rest(self) -> None:
        """Until nothing in the picture has moved for ten frames: plotly glides from one state to the next."""
        self.page.wait_for_function(
            """() => {
                const marks = document.querySelectorAll('.labkit-graph .point, .labkit-graph .textpoint');
                const places = [...marks].map((mark) => mark.getBoundingClientRect());
                const now = places.map(({x, y}) => `${x} ${y}`).join();
                const before = window.labkitRest;
                window.labkitRest = {now, frames: before?.now === now ? before.frames + 1 : 0};
                if (window.labkitRest.frames < 10) return false;
                delete window.labkitRest;
                return true;
            }""",
            timeout=60_000,  # a machine that is busy draws few frames
        )

    def cell(self, index: int) -> Any:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def shot(self, name: str, of: Any = None) -> Path:
        """A screenshot of an element (or of the window) for a person to look at."""
        self.shots.mkdir(parents=True, exist_ok=True)
        path = self.shots / f"{name}.png"
        (of or self.page).screenshot(path=str(path))
        return path
