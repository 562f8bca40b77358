from __future__ import annotations

from .conftest import Cluster, pod_of, shell


async def test_a_pod_runs(cluster: Cluster) -> None:
    await cluster.kubelet()
    pod = await cluster.run(pod_of(), 3.0)
    import json
    print(json.dumps(pod, indent=1)); print(cluster.events("web"))
    print(json.dumps(cluster.registry.get(__import__("labkit.embedded.kubernetes.kinds",fromlist=["x"]).NODES,"","worker-1"),indent=1))
    assert pod["status"]["phase"] == "Running"
