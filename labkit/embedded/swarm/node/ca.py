"""The root certificate of a swarm: what ``TLSInfo`` shows, and what a join token carries the digest of.

Nodes of an embedded swarm talk inside one process, so nothing is ever verified against this certificate; but it must
be a real one, for ``docker swarm ca`` prints it and ``openssl x509`` reads it. It is written by hand because importing
``cryptography`` into the engine costs about 120 ms and 19 MB, a third of what a whole sandbox may take, for these 500
bytes. The tests read and verify it with ``cryptography``. The private key is thrown away: it never signs anything else.
"""

from __future__ import annotations

import base64
import hashlib
import random
import time
from functools import lru_cache

_LIFETIME = 7300 * 86400  # 20 years, as SwarmKit's
_BACKDATE = 300  # seconds, for clocks that are a little behind

# NIST P-256
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point = tuple[int, int]

# The parts of the certificate that never change, in DER.
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_NAME = bytes.fromhex("3013311130 0f060355040313087377 61726d2d6361".replace(" ", ""))  # CN=swarm-ca
_KEY_HEADER = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")  # a P-256 public key follows
_KEY_SIZE = len(_KEY_HEADER) + 65
_USAGE = bytes.fromhex("300e0603551d0f0101ff040403020106")  # critical: certificate and CRL signing
_CA = bytes.fromhex("300f0603551d130101ff040530030101ff")  # critical: a CA


def make_root(rng: random.Random, now: float) -> str:
    """A new self-signed root certificate ``CN=swarm-ca`` in PEM, as SwarmKit makes it at ``docker swarm init``."""
    secret = rng.randrange(1, _N)
    x, y = _times(secret, _G)
    point = b"\x04" + x.to_bytes(32) + y.to_bytes(32)
    key_id = hashlib.sha1(point, usedforsecurity=False).digest()
    start = now - _BACKDATE - (now - _BACKDATE) % 60
    extensions = _USAGE + _CA + _der(0x30, bytes.fromhex("0603551d0e"), _der(0x04, _der(0x04, key_id)))
    body = _der(
        0x30,
        bytes.fromhex("a003020102"),  # version 3
        _integer(rng.getrandbits(158)),
        _ECDSA_SHA256,
        _NAME,
        _der(0x30, _utc(start), _utc(start + _LIFETIME)),
        _NAME,
        _KEY_HEADER + point,
        _der(0xA3, _der(0x30, extensions)),
    )
    signature = _der(0x03, b"\x00", _sign(secret, body, rng))
    return _pem(_der(0x30, body, _ECDSA_SHA256, signature))


@lru_cache(maxsize=8)
def issuer(pem: str) -> tuple[str, str]:
    """``CertIssuerSubject`` and ``CertIssuerPublicKey`` of a certificate from :func:`make_root`, in base 64."""
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    start = der.index(_KEY_HEADER)
    return base64.b64encode(_NAME).decode(), base64.b64encode(der[start : start + _KEY_SIZE]).decode()


def digest(pem: str) -> str:
    """What the join tokens carry: SHA-256 of the PEM text, in hexadecimal."""
    return hashlib.sha256(pem.encode()).hexdigest()


# -- DER


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        length = bytes([size])
    else:
        digits = size.to_bytes((size.bit_length() + 7) // 8)
        length = bytes([0x80 | len(digits)]) + digits
    return bytes([tag]) + length + content


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def _utc(seconds: float) -> bytes:
    return _der(0x17, time.strftime("%y%m%d%H%M%SZ", time.gmtime(seconds)).encode())


def _pem(der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


# -- ECDSA on P-256 (SEC 1, sections 2.2.1 and 4.1.3)


def _sign(secret: int, message: bytes, rng: random.Random) -> bytes:
    hashed = int.from_bytes(hashlib.sha256(message).digest())
    while True:
        nonce = rng.randrange(1, _N)
        r = _times(nonce, _G)[0] % _N
        s = pow(nonce, -1, _N) * (hashed + r * secret) % _N
        if r and s:
            return _der(0x30, _integer(r), _integer(s))


def _times(factor: int, point: _Point) -> _Point:
    result: _Point | None = None
    while factor:
        if factor & 1:
            result = point if result is None else _add(result, point)
        factor >>= 1
        point = _add(point, point)
    assert result is not None
    return result


def _add(a: _Point, b: _Point) -> _Point:
    """The sum of two points. Never called with opposite ones: the factors are smaller than the group's order."""
    rise, run = (3 * (a[0] * a[0] - 1), 2 * a[1]) if a == b else (b[1] - a[1], b[0] - a[0])  # y² = x³ - 3x + b
    slope = rise * pow(run, -1, _P)
    x = (slope * slope - a[0] - b[0]) % _P
    return x, (slope * (a[0] - x) - a[1]) % _P
