"""Who is let in: requests that a docker client would send, and none that a web page or a rebound name could.

dockerd itself looks only at the form of the Host header. A sandbox's sockets are open to their owner alone, but what
the owner puts in front of them (jupyter-server-proxy, socat) is not, so names of the outside world and browsers are
refused here; that is stricter than the real engine, on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from labkit.embedded.guard import is_local, name_of
from labkit.embedded.swarm.api.request import Reply

# As Go's net/http: token characters, brackets and colons of addresses, percent signs of encoded socket paths.
_FORM = re.compile(r"[A-Za-z0-9!$%&'()*+,\-.:;=\[\]_~]*")


def refuse(headers: Mapping[str, str]) -> Reply | None:
    """The answer to a request that is not let in, None for one that is."""
    host = headers.get("Host")
    if host is None:
        return _bad("missing required Host header")
    if not _FORM.fullmatch(host):
        return _bad("malformed Host header")
    if headers.get("Origin"):
        return Reply(403, {"message": "a sandbox does not answer web pages (the request has an Origin header)"})
    if not _means_nobody_else(host):
        return Reply(403, {"message": f"a sandbox answers on this machine only, not as {host!r}"})
    return None


def _bad(words: str) -> Reply:
    return Reply(400, f"400 Bad Request: {words}")


def _means_nobody_else(host: str) -> bool:
    """Whether a Host header names this machine or no machine at all.

    Over a unix socket clients make one up: `localhost` (docker-py), `api.moby.localhost` (the CLI), the socket's path
    with `%2F` (older CLIs), `d` or `docker` (people with curl). A name of the outside world has a dot.
    """
    name = name_of(host)
    return ("." not in name and ":" not in name) or "%2f" in name or is_local(host, frozenset())
