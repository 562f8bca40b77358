"""A TLS server's certificate from the files of its container."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path


def server_context(certificate: bytes, key: bytes, ca: bytes = b"") -> ssl.SSLContext:
    """What a server shows, and (``ca``) whose certificates it wants to be shown. Raises SSLError."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # OpenSSL reads files of this computer, not of a container
        Path(folder, "crt").write_bytes(certificate)
        Path(folder, "key").write_bytes(key)
        # A key with a password is refused: OpenSSL would ask for it at the engine's own terminal, and wait.
        made.load_cert_chain(Path(folder, "crt"), Path(folder, "key"), password="")
    if ca:
        made.load_verify_locations(cadata=ca.decode("ascii", "replace"))
        made.verify_mode = ssl.CERT_REQUIRED
    return made
