"""The sandbox's own certificates, as ``kubeadm init`` makes them: a CA, the API server's, the administrator's.

The engine's process never imports ``cryptography`` (120 ms, 19 MB). A child process, ``python -m
labkit.embedded.kubernetes.pki DIR``, does, and only when files are missing or the addresses have changed. It is started
before anything else (:func:`prepare`), imports while the engine imports, then reads from its standard input for which
names and addresses the API server's certificate shall be, writes the files and ends.

===================  ===============================================================================
``ca.crt, .key``     the cluster's authority; stays for as long as the sandbox
``apiserver.*``      TLS of the API server
``admin.*``          the client certificate in the kubeconfig: ``kubernetes-admin``
``sa.key``           what service account tokens are signed with: random bytes, see ``tokens.py``
``addresses.json``   for which names and addresses ``apiserver.crt`` is
===================  ===============================================================================
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

FILES = ("ca.crt", "ca.key", "apiserver.crt", "apiserver.key", "admin.crt", "admin.key", "sa.key", "addresses.json")
YEARS = 10  # kubeadm's authority has ten, its certificates one; nobody renews a sandbox's
GROUPS = ("kubeadm:cluster-admins", "system:masters")  # kubeadm's admin.conf and super-admin.conf


class PkiError(Exception):
    """The certificates could not be made; the message says why in one line."""


@dataclass(frozen=True)
class Names:
    """For whom the API server's certificate is."""

    dns: tuple[str, ...]
    addresses: tuple[str, ...]

    def as_json(self) -> str:
        return json.dumps({"dns": list(self.dns), "addresses": list(self.addresses)})


def names_for(node: str, address: str, service: str) -> Names:
    """The names that kubeadm puts into it: of the node, of the ``kubernetes`` Service, and of this computer."""
    dns = [node, "localhost", "kubernetes"]
    dns += [f"kubernetes.{rest}" for rest in ("default", "default.svc", "default.svc.cluster.local")]
    return Names(tuple(dns), (address, "127.0.0.1", service))


class Pki:
    """The folder of the certificates, and the child that fills it while the engine starts. Made by :func:`prepare`."""

    def __init__(self, folder: Path, child: subprocess.Popen[bytes] | None) -> None:
        self.folder = folder
        self._child = child

    def request(self, names: Names) -> None:
        """Say for which names the certificate shall be; :meth:`ready` waits until it is there."""
        if self._child is None:
            if _is_current(self.folder, names):
                return
            self._child = _spawn(self.folder)  # the sandbox has come back on another block of addresses
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(names.as_json().encode() + b"\n")
            self._child.stdin.close()
        except BrokenPipeError:
            pass  # it has ended; ready() tells why

    async def ready(self) -> None:
        """Wait for the files. Raises PkiError."""
        import asyncio

        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdout is not None
        said = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(child.stdout.fileno(), said.set)  # it says nothing: readable means that it has ended
        try:
            await said.wait()
        finally:
            loop.remove_reader(child.stdout.fileno())
            child.stdout.close()
        status = child.wait()
        if status:
            raise PkiError(f"the certificates could not be made: the child ended with status {status}")

    def close(self) -> None:
        """End the child if it still runs."""
        child, self._child = self._child, None
        if child is not None:
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
            child.kill()
            child.wait()

    def server_context(self) -> ssl.SSLContext:
        """TLS of the API server: who has a certificate of the sandbox's CA may show it, nobody has to."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "apiserver.crt", self.folder / "apiserver.key")
        context.load_verify_locations(self.folder / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.num_tickets = 1
        return context

    @property
    def ca_certificate(self) -> str:
        """PEM of the authority, as the ``kube-root-ca.crt`` ConfigMap shows it."""
        return (self.folder / "ca.crt").read_text()

    @property
    def token_key(self) -> bytes:
        return (self.folder / "sa.key").read_bytes()


def prepare(folder: Path) -> Pki:
    """Start making what is missing in ``folder``; light, so that it can be the very first thing that an engine does."""
    missing = not all((folder / name).exists() for name in FILES)
    return Pki(folder, _spawn(folder) if missing else None)


def _spawn(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "labkit.embedded.kubernetes.pki", str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _is_current(folder: Path, names: Names) -> bool:
    try:
        return (folder / "addresses.json").read_text() == names.as_json()
    except OSError:
        return False


# -- the child


def write(path: Path, data: bytes, *, secret: bool) -> None:
    """Replace a file at once, so that a reader finds the old or the new one."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    mode = 0o600 if secret else 0o644
    with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)
    temporary.replace(path)


def make(folder: Path, read: Callable[[], str]) -> None:
    """Fill ``folder``; ``read`` gives the names as JSON, and is only called after the slow imports."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)

    def new_key(path: Path) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        write(path, pem, secret=True)
        return key

    def usage(*, authority: bool) -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=True, key_encipherment=True, key_cert_sign=authority, crl_sign=False,
            content_commitment=False, data_encipherment=False, key_agreement=False,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip

    def certificate(
        subject: x509.Name, key: Any, issuer: x509.Name, signer: Any, *extensions: tuple[x509.ExtensionType, bool]
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(signer, hashes.SHA256())

    def pem(found: x509.Certificate) -> bytes:
        return found.public_bytes(serialization.Encoding.PEM)

    def name(common: str, *organizations: str) -> x509.Name:
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, item) for item in organizations]
        return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])

    def leaf(purpose: x509.ObjectIdentifier) -> list[tuple[x509.ExtensionType, bool]]:
        return [
            (usage(authority=False), True),
            (x509.ExtendedKeyUsage([purpose]), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
        ]

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / "ca.crt").exists() and (folder / "ca.key").exists():
        ca_key: Any = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        ca = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    else:
        ca_key = new_key(folder / "ca.key")
        ca = certificate(
            name("kubernetes"), ca_key, name("kubernetes"), ca_key,
            (usage(authority=True), True), (x509.BasicConstraints(ca=True, path_length=None), True),
            (x509.SubjectAlternativeName([x509.DNSName("kubernetes")]), False),
        )  # fmt: skip
        write(folder / "ca.crt", pem(ca), secret=False)
    if not (folder / "sa.key").exists():
        write(folder / "sa.key", os.urandom(64), secret=True)
    if not (folder / "admin.crt").exists():
        key = new_key(folder / "admin.key")
        subject = name("kubernetes-admin", *GROUPS)
        admin = certificate(subject, key, ca.subject, ca_key, *leaf(ExtendedKeyUsageOID.CLIENT_AUTH))
        write(folder / "admin.crt", pem(admin), secret=False)
    names = json.loads(read())
    alternatives = x509.SubjectAlternativeName(
        [
            *(x509.DNSName(item) for item in names["dns"]),
            *(x509.IPAddress(ipaddress.ip_address(item)) for item in names["addresses"]),
        ]
    )
    key = new_key(folder / "apiserver.key")
    served = certificate(
        name("kube-apiserver"), key, ca.subject, ca_key, *leaf(ExtendedKeyUsageOID.SERVER_AUTH), (alternatives, False)
    )
    write(folder / "apiserver.crt", pem(served), secret=False)
    write(folder / "addresses.json", Names(tuple(names["dns"]), tuple(names["addresses"])).as_json().encode(),
          secret=False)  # fmt: skip


def main() -> int:
    lines = sys.stdin.readline

    def read() -> str:
        line = lines()
        if not line:  # the engine is gone
            raise SystemExit(1)
        return line

    make(Path(sys.argv[1]), read)
    return 0


if __name__ == "__main__":
    sys.exit(main())
