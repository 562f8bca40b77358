"""The kubelet: what runs pods on a machine and tells the API server how they are.

``records``, ``containers`` and ``containerd`` are the container runtime underneath, which goes on while the kubelet is
stopped. ``plan`` and ``status`` decide, without a clock or a task; ``worker`` does what they say, one pod
each; ``kubelet`` is the machine's agent that holds the workers.
"""

from __future__ import annotations

from labkit.embedded.kubernetes.kubelet.kubelet import Kubelet
from labkit.embedded.kubernetes.kubelet.parts import Component, Parts

__all__ = ["Component", "Kubelet", "Parts"]
