"""What a task wants in its sandbox before it begins (``CommandInfo.URI``), as ``src/launcher/fetcher.cpp``.

Files of this computer are copied, archives unpacked. Over HTTP only this computer is asked: a sandbox leaves it never.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

Json = dict[str, Any]

MAX_BYTES = 1024**3  # of one download, and of all that an archive unpacks to
TIMEOUT = 30.0  # seconds of the wall clock
TAR = (".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".tar")


class FetchError(Exception):
    """It cannot be had; ``str()`` is a line for the sandbox's stderr."""


def fetch_all(uris: list[Json], directory: str) -> list[str]:
    """Fetch them in order; returns the lines that the fetcher writes. Blocks. Raises :class:`FetchError`."""
    return [fetch(uri, directory) for uri in uris]


def fetch(uri: Json, directory: str) -> str:
    """One of them."""
    value = str(uri.get("value", ""))
    name = str(uri.get("output_file") or os.path.basename(urlsplit(value).path if "://" in value else value))
    target = (Path(directory) / name).resolve()
    if not name or not target.is_relative_to(Path(directory).resolve()):
        raise FetchError(f"Failed to fetch '{value}': the path of the output file is outside of the sandbox")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _bring(value, target)
        if uri.get("executable"):
            target.chmod(target.stat().st_mode | 0o111)
            return f"Fetched '{value}' to '{target}'"
        if uri.get("extract", True) and _unpack(target, Path(directory)):
            return f"Fetched '{value}' to '{target}' and extracted it into '{directory}'"
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise FetchError(f"Failed to fetch '{value}': {error}") from None
    return f"Fetched '{value}' to '{target}'"


def _bring(value: str, target: Path) -> None:
    scheme = value.partition("://")[0].lower() if "://" in value else ""
    if scheme in ("http", "https"):
        _download(value, target)
        return
    if scheme == "file":
        value = unquote(value[len("file://") :])
        value = value.removeprefix("localhost")
    elif scheme:
        raise FetchError(f"Failed to fetch '{value}': the embedded agent knows no {scheme}://")
    if not value.startswith("/"):
        raise FetchError(
            f"A relative path was passed for the resource but the Mesos framework home was not specified: '{value}'"
        )
    if os.path.isdir(value):
        shutil.copytree(value, target, dirs_exist_ok=True)
    else:
        shutil.copy2(value, target)


def _download(url: str, target: Path) -> None:
    host = urlsplit(url).hostname or ""
    if not _is_here(host):
        raise FetchError(
            f"Failed to fetch '{url}': the embedded agent fetches over HTTP from this computer only; {host} is not it"
        )
    # No proxy: this is about this computer. A redirect may not lead away from it either.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())
    with opener.open(url, timeout=TIMEOUT) as answer, target.open("wb") as file:
        left = MAX_BYTES
        while data := answer.read(65536):
            left -= len(data)
            if left < 0:
                raise OSError(f"more than {MAX_BYTES} bytes")
            file.write(data)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not _is_here(urlsplit(newurl).hostname or ""):
            raise urllib.error.URLError(f"it redirects to {newurl}, which is not on this computer")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unpack(path: Path, directory: Path) -> bool:
    """Unpack an archive, by its name; False when it is none."""
    name = path.name.lower()
    if name.endswith(TAR):
        if not hasattr(tarfile, "data_filter"):
            raise OSError("this Python's tarfile cannot unpack safely: 3.11.4 can")
        with tarfile.open(path) as archive:
            _check(sum(member.size for member in archive))
            archive.extractall(directory, filter="data")
        return True
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive_zip:
            _check(sum(info.file_size for info in archive_zip.infolist()))
            archive_zip.extractall(directory)  # which lets nothing out of the folder
        return True
    if name.endswith(".gz"):
        import gzip

        with gzip.open(path) as packed, path.with_name(path.name[:-3]).open("wb") as file:
            shutil.copyfileobj(_Bounded(packed), file)
        return True
    return False


def _check(size: int) -> None:
    if size > MAX_BYTES:
        raise OSError(f"the archive holds more than {MAX_BYTES} bytes")


class _Bounded:
    """Reads until too much has come."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._left = MAX_BYTES

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._source.read(size)
        self._left -= len(data)
        _check(MAX_BYTES + 1 if self._left < 0 else 0)
        return data
