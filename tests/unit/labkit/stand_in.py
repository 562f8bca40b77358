"""A process that behaves like `python -m labkit.embedded`, as far as its engine sees: arguments, pipe, control API."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time


def main() -> None:
    words = sys.argv[1:]
    options = dict(zip(words[1::2], words[2::2], strict=False))
    behaviour, ready = os.environ.get("STAND_IN", ""), int(options["--ready-fd"])
    print("a line of the log", flush=True)
    if behaviour == "dies":
        print("OSError: the roof is on fire", flush=True)
        sys.exit(7)
    if behaviour == "says":
        os.write(ready, b'{"error": "no port is free"}\n')
        sys.exit(1)
    if behaviour == "hangs":
        time.sleep(60)  # longer than anybody waits for it, and yet nothing stays should nobody end it
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{options['--run']}/control.sock")
    listener.listen()
    machine = {
        "name": "manager-1",
        "role": "manager",
        "state": "up",
        "address": "127.9.0.10",
        "docker_host": f"unix://{options['--run']}/manager-1.sock",
    }
    status = {"machines": [machine], "notes": ["port 80 is 8080"], "speed": 1.0, "argv": words}
    os.write(ready, json.dumps(status).encode() + b"\n")
    os.close(ready)
    while True:
        connection, _ = listener.accept()
        request = connection.recv(65536)
        line, _, rest = request.partition(b"\r\n")
        body = rest.partition(b"\r\n\r\n")[2]
        if body == b"" and b"Content-Length: 0" not in rest and b"Content-Length" in rest:
            body = connection.recv(65536)
        with open(f"{options['--run']}/asked", "ab") as asked:
            asked.write(line.rpartition(b" ")[0] + b" " + body + b"\n")
        code, answer = (404, {"message": "no machine worker-9"}) if b"worker-9" in line else (200, status)
        data = json.dumps(answer).encode()
        head = f"HTTP/1.1 {code} X\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + data)
        connection.close()
        if b"/shutdown" in line and behaviour != "stubborn":
            sys.exit(0)


main()
