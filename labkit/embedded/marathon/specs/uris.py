"""What Java takes for a URI, and what the Mesos fetcher takes for an archive (``state/FetchUri.scala``)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

ARCHIVES = (".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".tgz", ".tbz2", ".txz", ".zip")
INVALID = "URI has invalid syntax."

# RFC 2396 with the characters that java.net.URI tolerates besides.
_LEGAL = re.compile(r"(?:[A-Za-z0-9\-_.!~*'();/?:@&=+$,#\[\]]|%[0-9A-Fa-f]{2}|[^\x00-\x9f\s])+\Z")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*\Z")


def is_valid(uri: str) -> bool:
    """As ``new URI(…)`` sees it."""
    if uri == "":
        return True
    if not _LEGAL.match(uri) or uri.count("#") > 1:
        return False
    head = re.split("[/?#]", uri, maxsplit=1)[0]
    scheme, colon, _ = head.partition(":")
    if colon and not _SCHEME.match(scheme):
        return False
    return not (colon and len(uri) == len(scheme) + 1)


def is_archive(uri: str) -> bool:
    """Whether it is unpacked, when nobody said so."""
    return is_valid(uri) and urlsplit(uri).path.endswith(ARCHIVES)
