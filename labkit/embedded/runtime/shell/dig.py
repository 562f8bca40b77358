"""``dig``: what the container's DNS says, in dig's form."""

from __future__ import annotations

import time

from labkit.embedded.runtime.processes import Process

_TYPES = ("A", "AAAA", "ANY", "CNAME", "MX", "NS", "PTR", "SRV", "TXT")


async def dig_program(process: Process) -> int:
    """``dig [@server] [+short] [-x ADDRESS | NAME [TYPE]]``."""
    name, kind, short, server = "", "A", False, process.ns.nameserver
    left = process.args[1:]
    while left:
        arg = left.pop(0)
        if arg.startswith("@"):
            server = arg[1:]
        elif arg.startswith("+"):
            short = short or arg == "+short"
        elif arg == "-x" and left:
            name, kind = ".".join(reversed(left.pop(0).split("."))) + ".in-addr.arpa", "PTR"
        elif arg == "-t" and left:
            kind = left.pop(0).upper()
        elif arg.startswith("-"):
            process.err(f"Invalid option: {arg}\n")
            return 1
        elif arg.upper() in _TYPES and name:
            kind = arg.upper()
        elif arg.upper() != "IN":
            name = arg
    found = _answers(process, name, kind)
    if short:
        process.out("".join(f"{value}\n" for _, _, value in found or ()))
        return 0
    process.out(_message(process, name, kind, server, found))
    return 0


def _answers(process: Process, name: str, kind: str) -> list[tuple[int, str, str]] | None:
    """TTL, type and value of each record; None when there is no such name."""
    resolver = process.ns.resolver
    if resolver is None:
        return None
    if kind == "PTR":
        host = resolver.reverse(".".join(reversed(name.removesuffix(".in-addr.arpa").split("."))))
        return [(600, "PTR", f"{host}.")] if host else None
    if kind == "SRV":
        targets = resolver.services(name)
        return None if targets is None else [(600, "SRV", f"0 0 {port} {target}.") for target, port in targets]
    addresses = resolver.find(name)
    if addresses is None:
        return None
    return [(addresses[1], "A", ip) for ip in addresses[0]] if kind in ("A", "ANY") else []


def _message(process: Process, name: str, kind: str, server: str, found: list[tuple[int, str, str]] | None) -> str:
    identifier, status = process.rng.getrandbits(16), "NXDOMAIN" if found is None else "NOERROR"
    dotted = f"{name.rstrip('.')}."
    lines = [
        "",
        f"; <<>> DiG 9.18.27 <<>> {' '.join(process.args[1:])}",
        ";; global options: +cmd",
        ";; Got answer:",
        f";; ->>HEADER<<- opcode: QUERY, status: {status}, id: {identifier}",
        f";; flags: qr rd ra; QUERY: 1, ANSWER: {len(found or ())}, AUTHORITY: 0, ADDITIONAL: 0",
        "",
        ";; QUESTION SECTION:",
        f";{dotted}\t\t\tIN\t{kind}",
        "",
    ]
    if found:
        lines += [";; ANSWER SECTION:", *(f"{dotted}\t\t{ttl}\tIN\t{type}\t{value}" for ttl, type, value in found), ""]
    when = time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(process.clock.time()))
    lines += [";; Query time: 0 msec", f";; SERVER: {server}#53({server}) (UDP)", f";; WHEN: {when}", "", ""]
    return "\n".join(lines)
