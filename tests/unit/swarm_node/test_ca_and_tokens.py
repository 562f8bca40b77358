"""The root certificate is a real one, and tokens are made of it as SwarmKit makes them."""

from __future__ import annotations

import base64
import random
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from labkit.embedded.swarm.errors import BadRequest
from labkit.embedded.swarm.node import ca, tokens

# What a real dockerd 20.10 showed for a swarm of its own.
REAL_PEM = """-----BEGIN CERTIFICATE-----
MIIBajCCARCgAwIBAgIUApm6QtWrnW3Dr7Ps7lQCrtx1JZowCgYIKoZIzj0EAwIw
EzERMA8GA1UEAxMIc3dhcm0tY2EwHhcNMjYxMTIyMTUyNTAwWhcNNDYxMTE3MTUy
NTAwWjATMREwDwYDVQQDEwhzd2FybS1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABC2hWxVQojUlhYnZHJNUXWyi/ILWqxTWV0NeXYUxad0Vr5rp+2m/snixLU5I
tbvFUtr3vgpmZtr+T3J4SA6bUP6jQjBAMA4GA1UdDwEB/wQEAwIBBjAPBgNVHRMB
Af8EBTADAQH/MB0GA1UdDgQWBBT369izP+pWx7fODRcAGdcShl3ZdDAKBggqhkjO
PQQDAgNIADBFAiBZhWpRqOscixD/TohdDoGToEbSF/DU9bYPdbD9ogL0gQIhAJOM
QjMuESWJSLMt+/J+VpD5rrlyCxkXUbiJp+3nkMAX
-----END CERTIFICATE-----
"""
REAL_TOKEN = "SWMTKN-1-1dbgbgxgq73m19armpumla0f0r9pztv59q3btq1gp49ce6e5y0-9g4saq9me8pexwkhiyhv50d2e"
REAL_PUBLIC_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELaFbFVCiNSWFidkck1RdbKL8gtarFNZXQ15dhTFp3RWvmun7ab+yeLEtTki1u8VS2ve+"
    "CmZm2v5PcnhIDptQ/g=="
)
NOW = 1_764_000_000.0


@pytest.mark.parametrize("seed", range(5))
def test_root_is_a_certificate_that_verifies(seed: int) -> None:
    pem = ca.make_root(random.Random(seed), NOW)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    certificate.verify_directly_issued_by(certificate)
    assert certificate.public_bytes(serialization.Encoding.PEM).decode() == pem


def test_root_says_what_swarmkits_says() -> None:
    ours = x509.load_pem_x509_certificate(ca.make_root(random.Random(1), NOW).encode())
    real = x509.load_pem_x509_certificate(REAL_PEM.encode())
    assert ours.subject == ours.issuer == real.subject
    assert ours.version == real.version
    assert ours.not_valid_after_utc - ours.not_valid_before_utc == real.not_valid_after_utc - real.not_valid_before_utc
    assert 300 <= NOW - ours.not_valid_before_utc.timestamp() < 360
    assert [(e.oid, e.critical) for e in ours.extensions] == [(e.oid, e.critical) for e in real.extensions]
    for kind in (x509.KeyUsage, x509.BasicConstraints):
        assert ours.extensions.get_extension_for_class(kind) == real.extensions.get_extension_for_class(kind)
    key_id = x509.SubjectKeyIdentifier.from_public_key(ours.public_key())
    assert ours.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value == key_id


def test_issuer_and_digest_of_a_real_one() -> None:
    subject, key = ca.issuer(REAL_PEM)
    assert subject == "MBMxETAPBgNVBAMTCHN3YXJtLWNh"
    assert key == REAL_PUBLIC_KEY
    assert tokens.parse_join_token(REAL_TOKEN).digest == ca.digest(REAL_PEM)


def test_making_a_root_is_quick() -> None:
    begin = time.process_time()
    ca.make_root(random.Random(1), NOW)
    assert time.process_time() - begin < 0.2  # about 0.02 on a laptop


def test_tokens_carry_the_digest_and_a_secret() -> None:
    rng = random.Random(7)
    made = {tokens.make_join_token(rng, ca.digest(REAL_PEM)) for _ in range(50)}
    assert len(made) == 50
    for token in made:
        assert len(token) == len(REAL_TOKEN)
        assert tokens.parse_join_token(token).digest == ca.digest(REAL_PEM)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "bogus",
        "SWMTKN-1-abc-def",
        REAL_TOKEN + "-x",
        REAL_TOKEN[:-1],
        REAL_TOKEN.replace("SWMTKN-1", "SWMTKN-9"),
        REAL_TOKEN.upper().replace("SWMTKN-1-1", "SWMTKN-1-1", 1),
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(tokens.InvalidJoinToken, match="invalid join token"):
        tokens.parse_join_token(token)


def test_unlock_keys() -> None:
    key = tokens.make_unlock_key(random.Random(3))
    tokens.check_unlock_key(key)
    assert len(key) == len("SWMKEY-1-3ZyRWEFgO1wAZ5vJ+1f20kc6Fe5dj+VEeEtBC6IQNME")
    assert len(base64.b64decode(key.removeprefix("SWMKEY-1-") + "=")) == 32
    for wrong in ("", "SWMKEY-1-", "SWMKEY-1-bogus", "SWMKEY-2-" + key[9:], key + "!"):
        with pytest.raises(BadRequest, match="invalid key string"):
            tokens.check_unlock_key(wrong)
