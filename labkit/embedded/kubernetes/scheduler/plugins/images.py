"""ImageLocality: rather where the images already are, the more so the bigger and the wider spread they are."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.framework import MAX_SCORE, Scoring
from labkit.embedded.kubernetes.scheduler.nodes import NodeInfo
from labkit.embedded.kubernetes.scheduler.pods import Shape

PLUGIN = "ImageLocality"

MB = 1024 * 1024
LEAST = 23 * MB
MOST = 1000 * MB  # per container


class _Scoring(Scoring):
    def __init__(self, images: tuple[str, ...], cluster: Cluster) -> None:
        self._images = images
        self._cluster = cluster

    def score(self, node: NodeInfo) -> int:
        held = node.facts.images
        if not held:
            return 0
        nodes = len(self._cluster.nodes)
        spread = self._cluster.image_nodes
        found = sum(int(held[image] * (spread[image] / nodes)) for image in self._images if image in held)
        most = MOST * len(self._images)
        return MAX_SCORE * (min(max(found, LEAST), most) - LEAST) // (most - LEAST)


def scoring(shape: Shape, cluster: Cluster, feasible: Sequence[NodeInfo]) -> Scoring | None:
    return _Scoring(shape.images, cluster) if shape.images else None


def spreads(shape: Shape, cluster: Cluster) -> tuple[int, ...]:
    """How many nodes have each of its images; as long as that stays, a node's score depends on the node alone.

    Empty for images so small that no node gets a point for them, however far they have spread.
    """
    if sum(cluster.image_bytes.get(image, 0) for image in shape.images) <= LEAST:
        return ()
    return tuple(cluster.image_nodes[image] for image in shape.images)
