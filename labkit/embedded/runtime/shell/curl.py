"""``curl``, for the images that have it (alpine and busybox do not)."""

from __future__ import annotations

from labkit.embedded.runtime.namespaces import NameNotFound
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell.applets.options import duration, parse
from labkit.embedded.runtime.shell.context import Failure
from labkit.embedded.runtime.shell.http import Answer, BadAnswer, BadUrl, parse_url, request

_LETTERS = "sSfLvkiIGno:w:X:H:d:m:A:u:"
_LONG = {
    "silent": "s",
    "show-error": "S",
    "fail": "f",
    "location": "L",
    "verbose": "v",
    "insecure": "k",
    "include": "i",
    "head": "I",
    "output": "o",
    "write-out": "w",
    "request": "X",
    "header": "H",
    "data": "d",
    "max-time": "m",
    "connect-timeout": "m",
    "user-agent": "A",
}
# What went wrong -> curl's exit code.
_RESOLVE, _CONNECT, _HTTP, _TIMEOUT, _EMPTY, _URL = 6, 7, 22, 28, 52, 3


async def curl_program(process: Process) -> int:
    """``curl URL``: prints the body; exit codes as curl's."""
    try:
        given, urls = parse(process.args[1:], _LETTERS, _LONG)
    except Failure as failure:
        process.err(f"curl: option {failure.words}\ncurl: try 'curl --help' for more information\n")
        return 2
    if not urls:
        process.err("curl: (2) no URL specified\n")
        return 2
    for url in urls:
        code, words = await _one(process, given, url)
        if code:
            if "s" not in given or "S" in given:
                process.err(f"curl: ({code}) {words}\n")
            return code
    return 0


async def _one(process: Process, given: dict[str, str], text: str) -> tuple[int, str]:
    try:
        url = parse_url(text)
    except BadUrl as error:
        return _URL, str(error)
    headers = {"User-Agent": given.get("A", "curl/8.5.0"), "Accept": "*/*"}
    if "H" in given:
        name, _, value = given["H"].partition(":")
        headers[name.strip()] = value.strip()
    method = given.get("X") or ("HEAD" if "I" in given else "POST" if "d" in given else "GET")
    seconds = duration(given["m"]) if "m" in given else 300.0
    try:
        for _ in range(10):
            answer = await request(
                process.ns, url, method=method, headers=headers, body=given.get("d", "").encode(), timeout=seconds
            )
            target = answer.header("Location")
            if "L" not in given or answer.status not in (301, 302, 303, 307, 308) or not target:
                break
            url = parse_url(f"http://{url.netloc}{target}" if target.startswith("/") else target)
    except NameNotFound:
        return _RESOLVE, f"Could not resolve host: {url.host}"
    except TimeoutError:
        return _TIMEOUT, f"Connection timed out after {int(seconds * 1000)} milliseconds"
    except BadAnswer:
        return _EMPTY, "Empty reply from server"
    except BadUrl as error:
        return _URL, str(error)
    except OSError:
        return _CONNECT, f"Failed to connect to {url.host} port {url.port}: Could not connect to server"
    if "f" in given and answer.status >= 400:
        return _HTTP, f"The requested URL returned error: {answer.status}"
    await _show(process, given, answer)
    return 0, ""


async def _show(process: Process, given: dict[str, str], answer: Answer) -> None:
    head = ""
    if "i" in given or "I" in given:
        lines = [f"{answer.version} {answer.status} {answer.reason}", *(f"{n}: {v}" for n, v in answer.headers)]
        head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    target = given.get("o", "")
    if target == "/dev/null":
        pass
    elif target and target != "-":
        process.files.write(target if target.startswith("/") else f"{process.cwd}/{target}", answer.body)
    else:
        process.out(head.encode() + answer.body)
    if "w" in given:
        shown = (
            given["w"].replace("%{http_code}", str(answer.status)).replace("%{size_download}", str(len(answer.body)))
        )
        process.out(shown.replace("\\n", "\n"))
