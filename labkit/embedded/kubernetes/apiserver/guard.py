"""Who is let in: requests that a Kubernetes client would send, and none that a web page or a rebound name could.

The real API server looks at neither header. A sandbox's API server asks for a certificate or a token, but a browser on
this computer could be made to send requests all the same (and carry a certificate that somebody has put there), so
names of the outside world and pages are refused; that is stricter than the real one, on purpose.
"""

from __future__ import annotations

from multidict import CIMultiDictProxy

from labkit.embedded.guard import is_local
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
    if not is_local(host, names):
        return Forbidden("", "", "", f"a sandbox answers on this machine only, not as {host!r}")
    return None
