"""The shortest way through everything: a Deployment behind a Service, asked, scaled, and gone."""

from __future__ import annotations

import requests
from support.kube_cluster import KubeCluster, deployment
from support.until import until


def test_a_deployment_behind_a_service_answers(kube: KubeCluster, ns: str) -> None:
    kube.kubectl("apply", "-n", ns, "-f", "-", stdin=deployment("web", 2))
    kube.kubectl("rollout", "status", "-n", ns, "deployment/web", "--timeout=60s", timeout=90)
    kube.ready_pods(ns, 2, app="web")
    kube.kubectl("expose", "-n", ns, "deployment", "web", "--port=80", "--type=NodePort")
    port = kube.get(f"/api/v1/namespaces/{ns}/services/web")["spec"]["ports"][0]["nodePort"]
    address = kube.addresses[kube.workers[0]]

    def asked() -> set[str]:
        try:
            answers = {requests.get(f"http://{address}:{port}/", timeout=3).text.splitlines()[0] for _ in range(12)}
        except requests.RequestException as error:
            raise AssertionError(error) from error
        assert len(answers) == 2, answers
        return answers

    until(asked, 30, "both pods answer on a node's port")
    kube.kubectl("scale", "-n", ns, "deployment/web", "--replicas=0")
    kube.ready_pods(ns, 0, app="web")
    kube.kubectl("delete", "-n", ns, "deployment/web", "service/web")
    until(lambda: kube.kubectl("get", "all", "-n", ns).err.startswith("No resources found"), 30, "nothing is left")
