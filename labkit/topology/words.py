"""The words in a picture: amounts, shortened names, what a box says of its node and a card of its workload. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labkit.model import Endpoint, Framework, Node, Resources, Snapshot, Task, Workload

from . import style


def memory(size: float) -> str:
    """Bytes for people: ``128M``, ``1.5G``."""
    for unit, factor in (("T", 2**40), ("G", 2**30), ("M", 2**20), ("K", 2**10)):
        if size >= factor:
            return f"{size / factor:.1f}".removesuffix(".0") + unit
    return f"{size:.0f}"


def number(value: float) -> str:
    """At most two decimals, no trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def short(name: str, width: float, per_character: float = 6.4) -> str:
    """A name that fits ``width`` pixels; the end that tells it from its like stays readable."""
    room = max(2, int(width / per_character))
    if len(name) <= room:
        return name
    for separator in ".-":
        head, found, tail = name.rpartition(separator)
        if found and len(tail) + 3 <= room:
            return f"{head[: room - len(tail) - 2]}…{separator}{tail}"
    return name[: room - 1] + "…"


def unit(orchestrator: str) -> str:
    """What people call a task there."""
    return "pod" if orchestrator == "kubernetes" else "task"


def wanted(orchestrator: str) -> str:
    """What a task that has no place yet waits for."""
    return "an offer" if orchestrator == "marathon" else "a node"


def plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def task_name(task: Task) -> str:
    return task.name or task.id[:8]


def task_hover(task: Task) -> str:
    return f"{task_name(task)} · {style.TASKS[task.state].word}"


NARROW = 0.9  # a window that is narrower than the picture brings marks together, and letters keep their size


def task_label(task: Task, kind: str, width: float, faded: bool) -> str:
    """What stands beside ("name") or in ("sign") a task's mark."""
    if kind == "name":
        return short(task_name(task), NARROW * width)
    if kind != "sign" or faded:
        return ""
    sign = style.TASKS[task.state].sign
    return sign or (str(task.slot) if 0 < task.slot < 100 else "")


def node_title(node: Node) -> str:
    sign = "★ " if node.leader else ""
    look = style.NODES[style.condition(node)]
    if look.sign and look.sign != "★":
        sign = f"{look.sign} "
    return sign + node.name


def node_role(node: Node) -> str:
    if node.role == "control-plane":
        return "control plane"
    return "leader" if node.leader else node.role


def node_meaning(node: Node) -> str:
    """What its condition comes to."""
    condition = style.condition(node)
    if node.role == "master":  # of Mesos: no task ever runs on it
        return MASTERS.get(condition, style.NODES[condition].meaning)
    return style.NODES[condition].meaning


MASTERS = {"leader": "leads the masters", "ready": "stands in line to lead"}


def node_note(node: Node, plug: str) -> str:
    """Its condition, what happened to its machine if we know, else where it is."""
    look = style.NODES[style.condition(node)]
    parts = [look.word] if look.word != "ready" else []
    if plug in style.PLUGS:
        parts.append(style.PLUGS[plug])
    if node.role == "agent" and not parts:  # what constraints speak of
        found = [(key, value) for key, value in sorted(node.labels.items()) if key in PLACES]
        parts.extend(value if value.startswith(key) else f"{key} {value}" for key, value in found)
    return " · ".join(parts) or node.address or "ready"


PLACES = ("rack", "zone", "region")  # attributes of an agent that are worth a word in its box


def store(node: Node) -> str:
    """ "ZooKeeper: leader", or why it is none; its member of the ensemble."""
    return f"{'★ ' if node.store == 'leader' else ''}ZooKeeper {node.store}" if node.store else ""


def quorum(snapshot: Snapshot) -> tuple[int, int]:
    """(members of the ensemble that serve, all of them)."""
    modes = [node.store for node in snapshot.nodes.values() if node.store]
    return sum(mode not in SILENT for mode in modes), len(modes)


SILENT = ("down", "no quorum")


def quorum_words(snapshot: Snapshot) -> str:
    """ "quorum: 2 of 3" or "no quorum: 1 of 3"; empty where there is no ensemble."""
    serving, total = quorum(snapshot)
    if not total:
        return ""
    return f"{'quorum' if serving * 2 > total else 'no quorum'}: {serving} of {total}"


def share(framework: Framework) -> str:
    """ "25% of cpus": its dominant share."""
    return f"{round(100 * framework.share)}% of {framework.resource}" if framework.resource else "nothing yet"


def offers(framework: Framework) -> str:
    """How many it has to answer."""
    return plural(len(framework.offers), "offer") if framework.offers else "no offers"


def capacity(reserved: Resources, total: Resources) -> tuple[str, str]:
    """("cpu 0.5 / 4", "mem 128M / 8G")."""
    return (
        f"cpu {number(reserved.cpus)} / {number(total.cpus)}",
        f"mem {memory(reserved.memory)} / {memory(total.memory)}",
    )


def parts(cpu: float | None, memory_part: float | None) -> tuple[str, str]:
    """The same where there is little room: ("cpu 12%", "mem 2%")."""
    return f"cpu {round(100 * (cpu or 0))}%", f"mem {round(100 * (memory_part or 0))}%"


def desired(workload: Workload) -> str:
    return f"{workload.running} / {workload.desired}"


def ports(endpoints: list[Endpoint]) -> str:
    """ ":8080→80" for each published port; internal addresses are left to the details."""
    return " ".join(f":{e.port}→{e.target_port}" for e in endpoints if e.port and e.kind in ("ingress", "host"))


def revisions(children: Sequence[Workload]) -> str:
    """What a workload's versions run, the newest first: ``rev 3: 2 · rev 2: 1``."""
    return " · ".join(
        f"rev {w.revision}: {w.running}" if w.revision else f"{w.name}: {w.running}" for w in children[:3]
    )


def service_kind(endpoint: Endpoint) -> str:
    """Where a Service answers: its address, ``headless``, or the name that it stands for."""
    if endpoint.kind == "external-name":
        return f"→ {endpoint.address}"
    if endpoint.kind == "haproxy":
        return endpoint.address  # the host name that it answers to, if it has one
    return endpoint.address or "headless"


def selector(labels: Mapping[str, str]) -> str:
    """``app=web,tier=front``; what it means to have none is said."""
    return ",".join(f"{key}={value}" for key, value in labels.items()) or "no selector"


def service_ports(endpoints: Sequence[Endpoint]) -> str:
    """ ":80→8080" for each port, ":30080" for those of the nodes."""
    inside = [
        f":{e.port}→{e.target_port}" if e.target_port else f":{e.port}"
        for e in endpoints
        if e.port and e.kind != "node-port"
    ]
    return " ".join([*inside, *(f"node :{e.port}" for e in endpoints if e.kind == "node-port")])


def image(reference: str) -> str:
    """An image without its digest."""
    return reference.split("@", 1)[0]
