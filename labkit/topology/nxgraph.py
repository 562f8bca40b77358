"""A snapshot as a networkx graph: for learners who want to ask it questions, and for exports."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import networkx as nx

from labkit.model import Snapshot

if TYPE_CHECKING:
    Graph = nx.DiGraph[str]
else:
    Graph = nx.DiGraph


def graph(snapshot: Snapshot) -> Graph:
    """The cluster as a directed graph.

    Vertices are ``cluster``, nodes, workloads, tasks and endpoints, by id, with ``kind`` and the fields of their
    class as attributes. Edges have a ``relation``: cluster –has→ node (*membership*), workload –wants→ task,
    task –runs on→ node (*placement*), endpoint –publishes→ workload. With Mesos there are frameworks and offers:
    framework –runs→ workload, node –makes→ offer –offered to→ framework.

    >>> g = graph(sandbox.snapshot())                                                    # doctest: +SKIP
    >>> [g.nodes[t]["name"] for t in g.predecessors(node_id) if g.nodes[t]["kind"] == "task"]  # doctest: +SKIP
    """
    g: Graph = nx.DiGraph(orchestrator=snapshot.orchestrator, at=snapshot.at, error=snapshot.error)
    g.add_node("cluster", kind="cluster", name=snapshot.orchestrator)
    for kind, objects in (
        ("node", snapshot.nodes),
        ("workload", snapshot.workloads),
        ("task", snapshot.tasks),
        ("endpoint", snapshot.endpoints),
        ("offer", snapshot.offers),
    ):
        for key, thing in objects.items():
            attributes: dict[str, Any] = asdict(thing)
            if "kind" in attributes:  # a workload's or an endpoint's own kind
                attributes["type"] = attributes.pop("kind")
            g.add_node(key, kind=kind, **{"name": key, **attributes})
    for node in snapshot.nodes.values():
        g.add_edge("cluster", node.id, relation="membership", leader=node.leader)
    for task in snapshot.tasks.values():
        if task.workload in snapshot.workloads:
            g.add_edge(task.workload, task.id, relation="wants", slot=task.slot)
        if task.node in snapshot.nodes:
            g.add_edge(task.id, task.node, relation="placement")
    for endpoint in snapshot.endpoints.values():
        if endpoint.workload in snapshot.workloads:
            g.add_edge(endpoint.id, endpoint.workload, relation="publishes", port=endpoint.port)
    for framework in snapshot.frameworks.values():
        if framework.id not in g:  # one that is its own workload is one vertex
            g.add_node(framework.id, kind="framework", **asdict(framework))
        for workload in framework.workloads:
            if workload in snapshot.workloads and workload != framework.id:
                g.add_edge(framework.id, workload, relation="runs")
    for offer in snapshot.offers.values():
        if offer.node in snapshot.nodes:
            g.add_edge(offer.node, offer.id, relation="makes")
        if offer.framework in snapshot.frameworks:
            g.add_edge(offer.id, offer.framework, relation="offered to")
    return g
