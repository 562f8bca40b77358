"""``curl``, for the images that have it (alpine and busybox do not)."""

from __future__ import annotations

import ssl
from urllib.parse import urljoin

from labkit.embedded.runtime.namespaces import NameNotFound
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell.applets.options import duration, parse
from labkit.embedded.runtime.shell.context import Failure
from labkit.embedded.runtime.shell.http import Answer, BadAnswer, BadUrl, NoTls, parse_url, request

_LETTERS = "sSfLvkiIGno:w:X:H:d:m:A:u:E:"
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
    "cacert": "E",
}
# What went wrong -> curl's exit code.
_RESOLVE, _CONNECT, _HTTP, _TIMEOUT, _EMPTY, _URL = 6, 7, 22, 28, 52, 3
_TLS, _UNTRUSTED, _BAD_AUTHORITY, _TOO_MANY = 35, 60, 77, 47
_HOPS = 50  # that -L follows
_OTHER_HOST = (62, 64)  # OpenSSL's codes for a certificate that is somebody else's


class _NoAuthority(Exception):
    """The file of ``--cacert`` is not there, or holds no certificate."""


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
        url = parse_url(text, tls=True)
    except BadUrl as error:
        return _URL, str(error)
    headers = {"User-Agent": given.get("A", "curl/8.5.0"), "Accept": "*/*"}
    if "H" in given:
        name, _, value = given["H"].partition(":")
        headers[name.strip()] = value.strip()
    method = given.get("X") or ("HEAD" if "I" in given else "POST" if "d" in given else "GET")
    body = given.get("d", "").encode()
    seconds = duration(given["m"]) if "m" in given else 300.0
    tls: ssl.SSLContext | None = None
    try:
        for hops in range(_HOPS + 1):
            if url.tls and tls is None:
                tls = _trust(process, given)
            answer = await request(process.ns, url, method=method, headers=headers, body=body, timeout=seconds, tls=tls)
            target = answer.header("Location")
            if "L" not in given or answer.status not in (301, 302, 303, 307, 308) or not target:
                break
            if hops == _HOPS:
                return _TOO_MANY, f"Maximum ({_HOPS}) redirects followed"
            url = parse_url(urljoin(f"{url.base}{url.path}", target), tls=True)
            if answer.status < 304 and method == "POST" and "X" not in given:
                method, body = "GET", b""
    except _NoAuthority:
        return _BAD_AUTHORITY, f"error setting certificate file: {given['E']}"
    except NameNotFound:
        return _RESOLVE, f"Could not resolve host: {url.host}"
    except TimeoutError:
        return _TIMEOUT, f"Connection timed out after {int(seconds * 1000)} milliseconds"
    except BadAnswer:
        return _EMPTY, "Empty reply from server"
    except BadUrl as error:
        return _URL, str(error)
    except NoTls as failed:
        return _without_tls(failed.error, url.host)
    except OSError:
        return _CONNECT, f"Failed to connect to {url.host} port {url.port}: Could not connect to server"
    if "f" in given and answer.status >= 400:
        return _HTTP, f"The requested URL returned error: {answer.status}"
    await _show(process, given, answer)
    return 0, ""


def _trust(process: Process, given: dict[str, str]) -> ssl.SSLContext:
    """Whom to believe: nobody is known in a container but who is named by ``--cacert``; with ``-k`` everybody is."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.hostname_checks_common_name = True
    if "k" in given:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    elif "E" in given:
        path = given["E"] if given["E"].startswith("/") else f"{process.cwd}/{given['E']}"
        try:
            tls.load_verify_locations(cadata=process.files.read(path).decode("ascii"))
        except (OSError, ValueError):
            raise _NoAuthority from None
    return tls


def _without_tls(error: OSError, host: str) -> tuple[int, str]:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return _TLS, f"TLS connect error: {error.strerror or error}"
    if error.verify_code in _OTHER_HOST:
        return _UNTRUSTED, f"SSL: no alternative certificate subject name matches target host name '{host}'"
    return _UNTRUSTED, f"SSL certificate problem: {error.verify_message}"


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
