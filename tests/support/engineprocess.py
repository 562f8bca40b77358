"""An embedded engine as a process of its own, as ``labkit up`` starts one: to be driven, killed and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class EngineProcess:
    """One ``python -m labkit.embedded <orchestrator>`` with folders of its own."""

    orchestrator: str

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="labkit-t-"))  # short: a socket's path has 107 bytes
        self.process: subprocess.Popen[bytes] | None = None
        self.status: Json = {}

    def start(self, *options: str) -> Json:
        """Start it, or start it again on what it has kept; returns its status when it is ready."""
        status = self.attempt(*options)
        assert "error" not in status, f"{status['error']}\n{self.log()}"
        return status

    def attempt(self, *options: str) -> Json:
        """As :meth:`start`, where it may say why it does not."""
        reader, writer = os.pipe()
        command = [sys.executable, "-m", "labkit.embedded", self.orchestrator, "--name", "t", "--ready-fd", str(writer)]
        command += ["--state", str(self.folder / "state"), "--run", str(self.folder / "run"), *options]
        with open(self.folder / "engine.log", "ab") as log:
            self.process = subprocess.Popen(command, pass_fds=[writer], stderr=log, stdin=subprocess.DEVNULL)
        os.close(writer)
        with os.fdopen(reader) as lines:
            self.status = json.loads(lines.readline() or b'{"error": "it ended at once"}')
        return self.status

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=10)

    def control(self, path: str, body: Any = None) -> Json:
        """What the control API answers; a ``body`` is posted."""
        command = ["curl", "-s", "--unix-socket", f"{self.folder}/run/control.sock", f"http://control{path}"]
        if body is not None:
            command += ["-X", "POST", "-d", json.dumps(body)]
        answer: Json = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return answer

    def component(self, verb: str, name: str, machine: str) -> str:
        """Stop or start a component; returns the state that it is in then."""
        answer = self.control(f"/components/{machine}/{name}/{verb}", {})
        return str(next(c["state"] for c in answer["components"] if (c["name"], c["machine"]) == (name, machine)))

    def log(self) -> str:
        return (self.folder / "engine.log").read_text()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
