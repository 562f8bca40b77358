"""JupyterLab on the labs, with terminals and kernels that find the sandboxes."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from labkit.errors import LabkitError
from labkit.paths import Paths

FIRST_NOTEBOOK = "00-start-here.ipynb"
_HERE = Path(__file__).resolve().parent
_SHELL_DIR = _HERE / "shell"
_READY_WITHIN = 60.0  # seconds; a cold disk makes the first start slow


# What a kernel and JupyterLab say to each other goes over TCP on loopback, which other users of the machine share: it
# is encrypted where the kernel can, and ipykernel then has nothing to warn of at each start.
KERNELS = ("--KernelManager.transport_encryption=auto",)


class Quiet(logging.Filter):
    """Keeps JupyterLab's log to what a person has to know: this module prints the URL itself, once."""

    _KNOWN = ("To access the server", "websocket_ping_timeout", "is not trusted")  # every notebook of a new checkout

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return False
        text = record.getMessage()
        return not any(known in text for known in self._KNOWN)


_LOGGING = {
    "filters": {"quiet": {"()": f"{__name__}.{Quiet.__name__}"}},
    "handlers": {"console": {"filters": ["quiet"]}},
}


def labs_folder(cwd: Path | None = None) -> Path:
    """Where the labs are: beside the package in a checkout; from a wheel they are copied to ``./labs`` once.

    A copy, because people write into notebooks, and an upgrade must not take that away.
    """
    checkout = _HERE.parent / "labs"
    if (_HERE.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    shipped = _HERE / "_labs"
    mine = (cwd or Path.cwd()) / "labs"
    if not mine.exists():
        if not shipped.is_dir():
            raise LabkitError("this labkit has no labs; get them with the project's repository")
        shutil.copytree(shipped, mine)
    return mine


def shell_command(environ: Mapping[str, str]) -> list[str]:
    """What JupyterLab's terminals run: the user's shell where labkit has a hook for it, otherwise bash or sh."""
    shell = environ.get("SHELL") or ""
    if Path(shell).name == "zsh" and shutil.which(shell):
        return [shell, "-i"]
    bash = shell if Path(shell).name == "bash" and shutil.which(shell) else shutil.which("bash")
    if bash:
        return [bash, "--rcfile", str(_SHELL_DIR / "bashrc"), "-i"]
    return [shell or "/bin/sh"]


def environment(environ: Mapping[str, str], paths: Paths) -> dict[str, str]:
    """The server's environment, which terminals and kernels inherit."""
    binaries = str(Path(sys.executable).parent)
    found = dict(environ)
    others = [folder for folder in environ.get("PATH", "").split(os.pathsep) if folder != binaries]
    found["PATH"] = os.pathsep.join([binaries, *others])
    found["LABKIT_BIN"] = binaries
    found["LABKIT_ENV_FILE"] = str(paths.shell_env)
    found["LABKIT_SHELL_DIR"] = str(_SHELL_DIR)
    found["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel, not a "python3" that the user installed once
    if Path(environ.get("SHELL") or "").name == "zsh":
        found["LABKIT_ZDOTDIR"] = environ.get("ZDOTDIR", "")
        found["ZDOTDIR"] = str(_SHELL_DIR)
    return found


def command(labs: Path, *, port: int | None, browser: bool, arguments: Sequence[str]) -> list[str]:
    """JupyterLab's command line."""
    terminal = json.dumps({"shell_command": shell_command(os.environ)})
    built = [sys.executable, "-P", "-m", "jupyterlab", f"--Application.logging_config={json.dumps(_LOGGING)}"]
    built += [f"--ServerApp.root_dir={labs}", f"--ServerApp.terminado_settings={terminal}"]
    built += KERNELS
    built += [f"--LabApp.app_settings_dir={_HERE / 'jupyter_settings'}"]  # no question about news at the first start
    if (labs / FIRST_NOTEBOOK).is_file():
        built += [f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}"]
    if port is not None:
        built += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        built += ["--no-browser"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        built += ["--allow-root"]  # in a container one is root, and the server listens on loopback behind a token
    return [*built, *arguments]


def run(*, port: int | None = None, browser: bool = True, arguments: Sequence[str] = ()) -> int:
    """Runs JupyterLab until it is ended; its exit code. Prints the URL, token included, once it answers."""
    labs = labs_folder()
    line = command(labs, port=port, browser=browser, arguments=arguments)
    process = subprocess.Popen(line, env=environment(os.environ, Paths.of()), cwd=labs)
    # Ctrl-C reaches JupyterLab from the terminal; it asks whether it is meant, and this process only waits.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    url = _url_when_ready(process)
    if url:
        print(f"\nJupyterLab is ready. Open:\n\n    {url}\n\nThe labs are in {labs}. Ctrl-C ends it.", flush=True)
    return process.wait()


def _url_when_ready(process: subprocess.Popen[bytes]) -> str:
    from jupyter_server.serverapp import list_running_servers

    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        for server in list_running_servers():
            if server.get("pid") == process.pid and _answers(server["url"]):
                start = f"lab/tree/{FIRST_NOTEBOOK}" if (Path(server["root_dir"]) / FIRST_NOTEBOOK).is_file() else "lab"
                token = f"?token={server['token']}" if server.get("token") else ""
                return f"{server['url']}{start}{token}"
        time.sleep(0.1)
    return ""


def _answers(url: str) -> bool:
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=2)
    try:
        connection.request("GET", f"{parts.path}api")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
