"""The default profile: which plug-ins there are, in which order they are asked, what their scores weigh.

``pkg/scheduler/apis/config/v1/default_plugins.go``. Left out are the plug-ins for volumes and for devices, of which
there are none.
"""

from __future__ import annotations

from labkit.embedded.kubernetes.scheduler.framework import Filter, Score
from labkit.embedded.kubernetes.scheduler.plugins import (
    images,
    interpodaffinity,
    nodeaffinity,
    noderesources,
    nodes,
    taints,
    topologyspread,
)

FILTERS: tuple[Filter, ...] = (
    Filter(nodes.UNSCHEDULABLE, nodes.unschedulable),
    Filter(nodes.NAME, nodes.name),
    Filter(taints.PLUGIN, taints.check),
    Filter(nodeaffinity.PLUGIN, nodeaffinity.check),
    Filter(nodes.PORTS, nodes.ports),
    Filter(noderesources.FIT, noderesources.fit),
    Filter(topologyspread.PLUGIN, topologyspread.check),
    Filter(interpodaffinity.PLUGIN, interpodaffinity.check),
)
"""In the order in which they are asked: the first refusal counts, the others are not asked then."""

SCORES: tuple[Score, ...] = (
    Score(taints.PLUGIN, 3, taints.scoring),
    Score(nodeaffinity.PLUGIN, 2, nodeaffinity.scoring),
    Score(noderesources.FIT, 1, noderesources.least_allocated),
    Score(topologyspread.PLUGIN, 2, topologyspread.scoring),
    Score(interpodaffinity.PLUGIN, 2, interpodaffinity.scoring),
    Score(noderesources.BALANCED, 1, noderesources.balanced),
    Score(images.PLUGIN, 1, images.scoring),
)
