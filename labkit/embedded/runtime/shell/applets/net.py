"""Tools that talk over the network of the sandbox: wget, nc, ping, nslookup."""

from __future__ import annotations

import asyncio
import ipaddress
import posixpath

from labkit.embedded.runtime.namespaces import NameNotFound
from labkit.embedded.runtime.network import EVERYWHERE
from labkit.embedded.runtime.shell.applets.options import duration, number, parse
from labkit.embedded.runtime.shell.context import Applet, Context, Failure
from labkit.embedded.runtime.shell.http import Answer, BadAnswer, BadUrl, Url, parse_url, request

_WGET_LONG = {
    "spider": "s",
    "quiet": "q",
    "output-document": "O",
    "timeout": "T",
    "header": "H",
    "post-data": "D",
    "server-response": "S",
    "user-agent": "U",
    "no-check-certificate": "k",
    "no-verbose": "q",
    "tries": "t",
}
MAX_REDIRECTS = 5


async def wget(ctx: Context) -> int:
    args, headers = _headers(ctx.args)
    given, urls = parse(args, "qO:ST:sH:D:U:kct:P:Y:n", _WGET_LONG)
    if not urls:
        raise Failure("usage: wget [-cqS] [--spider] [-O FILE] [-T SEC] URL...")
    if "U" in given:
        headers["User-Agent"] = given["U"]
    seconds = duration(given["T"]) if "T" in given else 900.0
    for text in urls:
        try:
            url = parse_url(text)
        except BadUrl as error:
            raise Failure(str(error)) from None
        answer = await _fetch(ctx, given, url, headers, seconds)
        if answer.status >= 400:
            raise Failure(f"server returned error: {answer.version} {answer.status} {answer.reason}")
        if "s" in given:
            if "q" not in given:
                await ctx.err("remote file exists\n")
            continue
        await _save(ctx, given, url, answer.body)
    return 0


def _headers(args: list[str]) -> tuple[list[str], dict[str, str]]:
    """Take out every --header; getopt here keeps only the last of an option."""
    headers: dict[str, str] = {}
    rest: list[str] = []
    left = list(args)
    while left:
        arg = left.pop(0)
        if arg == "--header" and left:
            arg = f"--header={left.pop(0)}"
        if arg.startswith("--header="):
            name, _, value = arg.removeprefix("--header=").partition(":")
            headers[name.strip()] = value.strip()
        else:
            rest.append(arg)
    return rest, headers


async def _fetch(ctx: Context, given: dict[str, str], url: Url, headers: dict[str, str], seconds: float) -> Answer:
    method = "POST" if "D" in given else "HEAD" if "s" in given else "GET"
    for _ in range(MAX_REDIRECTS):
        if "q" not in given:
            await ctx.err(f"Connecting to {url.netloc} ({_first_address(ctx, url)}:{url.port})\n")
        try:
            answer = await request(
                ctx.ns, url, method=method, headers=headers, body=given.get("D", "").encode(), timeout=seconds
            )
        except NameNotFound as error:
            raise Failure(str(error)) from None
        except TimeoutError:
            raise Failure(
                "download timed out" if seconds < 900 else _refused(ctx, url, "Operation timed out")
            ) from None
        except BadAnswer as error:
            raise Failure(str(error)) from None
        except OSError as error:
            raise Failure(_refused(ctx, url, error.strerror or str(error))) from None
        ctx.pace.rested()
        if "S" in given:
            lines = [f"{answer.version} {answer.status} {answer.reason}", *(f"{n}: {v}" for n, v in answer.headers)]
            await ctx.err("".join(f"  {line}\n" for line in lines))
        if answer.status not in (301, 302, 303, 307, 308) or not (target := answer.header("Location")):
            return answer
        url = parse_url(f"http://{url.netloc}{target}" if target.startswith("/") else target)
    raise Failure("too many redirections")


def _first_address(ctx: Context, url: Url) -> str:
    try:
        return ctx.ns.resolve(url.host)[0]
    except NameNotFound as error:
        raise Failure(str(error)) from None


def _refused(ctx: Context, url: Url, reason: str) -> str:
    return f"can't connect to remote host ({_first_address(ctx, url)}): {reason}"


async def _save(ctx: Context, given: dict[str, str], url: Url, body: bytes) -> None:
    target = given.get("O", "")
    if target in ("-", "/dev/stdout"):
        await ctx.out(body)
    elif target != "/dev/null":
        name = target or posixpath.join(
            given.get("P", ""), url.path.partition("?")[0].rpartition("/")[2] or "index.html"
        )
        if not target and ctx.files.exists(ctx.path(name)):
            raise Failure(f"can't open '{name}': File exists")
        if "q" not in given:
            await ctx.err(f"saving to '{name}'\n")
        ctx.files.write(ctx.path(name), body)
        if "q" not in given:
            await ctx.err(f"{name:20} 100% |{'*' * 32}| {len(body):5}  0:00:00 ETA\n'{name}' saved\n")
        return
    if "q" not in given:
        await ctx.err(f"{target or '-':20} 100% |{'*' * 32}| {len(body):5}  0:00:00 ETA\nwritten to stdout\n")


async def nc(ctx: Context) -> int:
    given, rest = parse(ctx.args, "zvlp:w:nue:s:")
    if "l" in given:
        return await _nc_listen(ctx, number(given.get("p") or (rest[-1] if rest else "0")))
    if len(rest) != 2:
        raise Failure("usage: nc [-zv] [-w SEC] HOST PORT  or  nc -l -p PORT")
    host, port = rest[0], number(rest[1], what="port")
    try:
        reader, writer = await ctx.ns.connect(host, port, timeout=duration(given["w"]) if "w" in given else 130.0)
    except NameNotFound as error:
        raise Failure(str(error)) from None
    except (OSError, TimeoutError) as error:
        reason = "Connection timed out" if isinstance(error, TimeoutError) else error.strerror or str(error)
        if "v" in given or "z" not in given:
            await ctx.say(f"{host} ({_try_address(ctx, host)}:{port}): {reason}")
        return 1
    if "v" in given:
        await ctx.err(f"{host} ({_try_address(ctx, host)}:{port}) open\n")
    if "z" in given:
        writer.close()
        return 0
    await _relay(ctx, reader, writer)
    return 0


def _try_address(ctx: Context, host: str) -> str:
    try:
        return ctx.ns.resolve(host)[0]
    except NameNotFound:
        return host


async def _relay(ctx: Context, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async def send() -> None:
        while data := await ctx.stdin.read():
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    sending = ctx.process.spawn(send())
    try:
        while data := await reader.read(65536):
            await ctx.out(data)
            await ctx.pace.step()
    except ConnectionError:
        pass
    finally:
        sending.cancel()
        writer.close()


async def _nc_listen(ctx: Context, port: int) -> int:
    """Take one connection, as ``nc -l -p``."""
    if not 0 < port < 65536:
        raise Failure("invalid port")
    first: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
        asyncio.get_running_loop().create_future()
    )
    over = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not first.done():
            first.set_result((reader, writer))
            await over.wait()

    await ctx.process.listen(port, connected)
    try:
        await _relay(ctx, *await first)
    finally:
        over.set()
        ctx.process.unlisten(port)
    return 0


async def ping(ctx: Context) -> int:
    given, rest = parse(ctx.args, "c:W:w:i:qs:4I:t:n")
    if not rest:
        raise Failure("usage: ping [OPTIONS] HOST")
    host = rest[0]
    try:
        ip = ctx.ns.resolve(host)[0]
    except NameNotFound as error:
        raise Failure(str(error)) from None
    count = number(given["c"]) if "c" in given else 0
    wait = duration(given.get("W", "10"))
    gap = max(0.2, duration(given.get("i", "1")))
    size = number(given.get("s", "56"))
    await ctx.out(f"PING {host} ({ip}): {size} data bytes\n")
    if not (ctx.ns.own(ip) or ctx.ns.network.inside(ip) or (ctx.ns.resolver is not None and ctx.ns.resolver.outside)):
        raise Failure("sendto: Network unreachable")
    outside = ctx.ns.outside(ip)
    ttl = 64 if outside is None else outside.hops_left
    sent, times = 0, list[float]()
    while not count or sent < count:
        took = _round_trip(ctx, ip)
        if took is None:
            await ctx.sleep(wait if sent + 1 == count else gap)
        else:
            times.append(took)
            if "q" not in given:
                await ctx.out(f"{size + 8} bytes from {ip}: seq={sent} ttl={ttl} time={took * 1000:.3f} ms\n")
        sent += 1
        if took is not None and sent != count:
            await ctx.sleep(gap)
    lost = 100 * (sent - len(times)) // sent
    await ctx.out(f"\n--- {host} ping statistics ---\n")
    await ctx.out(f"{sent} packets transmitted, {len(times)} packets received, {lost}% packet loss\n")
    if times:
        low, mean, high = (value * 1000 for value in (min(times), sum(times) / len(times), max(times)))
        await ctx.out(f"round-trip min/avg/max = {low:.3f}/{mean:.3f}/{high:.3f} ms\n")
    return int(not times)


def _round_trip(ctx: Context, ip: str) -> float | None:
    """Seconds there and back over the simulated wire; None when no answer comes."""
    noise = ctx.process.rng.uniform(0.00005, 0.00015)
    if ctx.ns.own(ip):
        return noise
    machine, fleet = ctx.ns.network.where(ip), ctx.ns.network.fleet
    if (place := ctx.ns.outside(ip)) is not None:
        here = ctx.process.machine.name
        wobble = ctx.process.rng.uniform(0.97, 1.12)
        return place.distance * wobble + 2 * fleet.latency(here) if fleet.online(here) else None
    if machine == EVERYWHERE:
        return noise
    if machine is None or not fleet.reachable(ctx.process.machine.name, machine):
        return None
    return 2 * fleet.delay(ctx.process.machine.name, machine) + noise


async def nslookup(ctx: Context) -> int:
    args = [arg for arg in ctx.args if not arg.startswith("-")]
    kind = next((arg.partition("=")[2].upper() for arg in ctx.args if arg.startswith(("-type=", "-query="))), "A")
    if not args:
        raise Failure("usage: nslookup [-type=QUERY_TYPE] HOST [DNS_SERVER]")
    name = args[0]
    resolver = ctx.ns.resolver
    if resolver is not None and not resolver.reachable:
        await ctx.out(";; connection timed out; no servers could be reached\n\n")
        return 1
    server = ctx.ns.nameserver
    await ctx.out(f"Server:\t\t{server}\nAddress:\t{server}:53\n\n")
    if _is_ip(name):
        found = resolver.reverse(name) if resolver is not None else None
        reversed_ = ".".join(reversed(name.split("."))) + ".in-addr.arpa"
        if not found:
            await ctx.out(f"** server can't find {reversed_}: NXDOMAIN\n\n")
            return 1
        await ctx.out(f"Non-authoritative answer:\n{reversed_}\tname = {found}\n\n")
        return 0
    if kind == "SRV":
        targets = resolver.services(name) if resolver is not None else None
        for target, port in targets or ():
            await ctx.out(f"{name}\tservice = 0 0 {port} {target}\n")
        if targets:
            return 0
    try:
        addresses = ctx.ns.resolve(name)
    except NameNotFound:
        await ctx.out(f"** server can't find {name}: NXDOMAIN\n\n")
        return 1
    full = resolver.full(name) if resolver is not None else name
    alias = resolver.alias(full) if resolver is not None else None
    said = f"{full}\tcanonical name = {alias}\n" if alias is not None else ""
    said += "".join(f"Name:\t{alias or full}\nAddress: {ip}\n" for ip in addresses)
    await ctx.out(f"Non-authoritative answer:\n{said}\n")
    return 0


def _is_ip(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


async def ifconfig(ctx: Context) -> int:
    for index, ip in enumerate(ctx.ns.addresses):
        await ctx.out(
            f"eth{index}      Link encap:Ethernet\n"
            f"          inet addr:{ip}  Mask:255.255.240.0\n"
            "          UP BROADCAST RUNNING MULTICAST  MTU:1450  Metric:1\n\n"
        )
    await ctx.out("lo        Link encap:Local Loopback\n          inet addr:127.0.0.1  Mask:255.0.0.0\n")
    await ctx.out("          UP LOOPBACK RUNNING  MTU:65536  Metric:1\n\n")
    return 0


async def ip(ctx: Context) -> int:
    what = next((arg for arg in ctx.args if not arg.startswith("-")), "")
    if what.startswith("r"):
        if ctx.ns.addresses:
            await ctx.out(f"default via {ctx.ns.addresses[0].rpartition('.')[0]}.1 dev eth0\n")
        return 0
    if not what.startswith("a"):
        raise Failure(f'either "address" or "route" is expected instead of "{what}"')
    await ctx.out(
        "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue qlen 1000\n    inet 127.0.0.1/8 scope host lo\n"
    )
    for index, address in enumerate(ctx.ns.addresses, start=2):
        await ctx.out(
            f"{index}: eth{index - 2}@if{index + 10}: <BROADCAST,MULTICAST,UP,LOWER_UP,M-DOWN> mtu 1450 qdisc noqueue\n"
            f"    inet {address}/20 scope global eth{index - 2}\n"
        )
    return 0


async def netstat(ctx: Context) -> int:
    await ctx.out("Active Internet connections (only servers)\n")
    await ctx.out("Proto Recv-Q Send-Q Local Address           Foreign Address         State       \n")
    for port in sorted(ctx.ns.ports):
        await ctx.out(f"tcp        0      0 {f'0.0.0.0:{port}':23} {'0.0.0.0:*':23} LISTEN      \n")
    return 0


TABLE: dict[str, Applet] = {
    "ifconfig": ifconfig,
    "ip": ip,
    "nc": nc,
    "netstat": netstat,
    "nslookup": nslookup,
    "ping": ping,
    "wget": wget,
}
