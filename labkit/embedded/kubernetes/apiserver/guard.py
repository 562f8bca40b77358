"""Who is let in: requests that a Kubernetes client would send, and none that a web page or a rebound name could.

The real API server looks at neither header. A sandbox's API server asks for a certificate or a token, but a browser on
this computer could be made to send requests all the same (and carry a certificate that somebody has put there), so
names of the outside world and pages are refused; that is stricter than the real one, on purpose.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from multidict import CIMultiDictProxy

from labkit.embedded.kubernetes.errors import BadRequest, Forbidden, StatusError


def refuse(headers: CIMultiDictProxy[str], names: frozenset[str]) -> StatusError | None:
    """The answer to a request that is not let in. ``names`` are what the API server is called besides addresses."""
    host = headers.get("Host")
    origin = headers.get("Origin")
    # The Python client's WebSockets name the server itself, which has no pages.
    if origin and origin != f"https://{host}":
        return Forbidden("", "", "", "a sandbox does not answer web pages (the request has an Origin header)")
    if host is None:
        return BadRequest("missing required Host header")
    if not _is_local(host, names):
        return Forbidden("", "", "", f"a sandbox answers on this machine only, not as {host!r}")
    return None


@lru_cache(maxsize=256)
def _is_local(host: str, names: frozenset[str]) -> bool:
    if host.startswith("["):
        name = host[1:].partition("]")[0]
    else:
        name = host.rpartition(":")[0] if host.count(":") == 1 else host
    name = name.rstrip(".").lower()
    if name in names or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
