"""Services: cluster addresses, node ports, endpoints that follow readiness, affinity; and their names in DNS."""

from __future__ import annotations

import re
from functools import partial

import pytest
import requests
from support.kube_cluster import BUSYBOX, WHOAMI, Json, KubeCluster, deployment, pod, service
from support.until import until


@pytest.fixture(scope="module")
def client(cluster: KubeCluster, home: str) -> str:
    """A pod to ask from."""
    cluster.run(home, pod("client", BUSYBOX, "sh", "-c", "while true; do sleep 1; done"))
    return "client"


@pytest.fixture(scope="module")
def web(cluster: KubeCluster, home: str, client: str) -> Json:
    """Three pods behind a Service of each kind: `web`, `web-node`, `web-headless`."""
    body = deployment("web", 3)
    box = body["spec"]["template"]["spec"]["containers"][0]
    box["ports"] = [{"containerPort": 80, "name": "http"}]
    box["readinessProbe"] = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
    cluster.create(home, body)
    kinds: dict[str, Json] = {
        "web": {"ports": [{"name": "http", "port": 8000, "targetPort": "http"}]},
        "web-node": {"type": "NodePort", "ports": [{"port": 80}]},
        "web-headless": {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]},
        "web-sticky": {"sessionAffinity": "ClientIP"},
    }
    for name, spec in kinds.items():
        cluster.create(home, service(name, **({"selector": {"app": "web"}} | spec)))
    cluster.ready_pods(home, 3, app="web")
    return cluster.object(
        cluster.path("endpoints", home, "web"), lambda e: len((e.get("subsets") or [{}])[0].get("addresses", ())) == 3
    )


def names(kube: KubeCluster, home: str) -> set[str]:
    return {p["metadata"]["name"] for p in kube.pods(home, app="web")}


def all_answer(kube: KubeCluster, home: str, client: str, url: str, expected: set[str], count: int = 20) -> None:
    def look() -> bool:
        answers = set(kube.answers(home, client, url, count))
        assert answers == expected, answers
        return True

    until(look, 40, f"{url} is answered by {len(expected)} pods", every=0.3)


def test_a_cluster_address_leads_to_every_pod(kube: KubeCluster, home: str, client: str, web: Json) -> None:
    spec = kube.get(kube.path("services", home, "web"))["spec"]
    assert spec["type"] == "ClusterIP"
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    all_answer(kube, home, client, f"{spec['clusterIP']}:8000", names(kube, home))


def test_every_pod_can_be_asked_by_its_address(kube: KubeCluster, home: str, client: str, web: Json) -> None:
    for found in kube.pods(home, app="web"):
        assert found["metadata"]["name"] in kube.ask(home, client, f"http://{found['status']['podIP']}:80/")


def test_a_node_port_on_every_node(kube: KubeCluster, home: str, web: Json) -> None:
    port = kube.get(kube.path("services", home, "web-node"))["spec"]["ports"][0]["nodePort"]
    for name, address in kube.addresses.items():
        seen = until(partial(from_outside, f"http://{address}:{port}/", 15), 40, f"{name} leads to the pods")
        assert seen <= names(kube, home), name
        assert len(seen) > 1, name


def from_outside(url: str, count: int) -> set[str] | None:
    """The host names that answer so many requests; None while somebody refuses.

    A kube-proxy writes its node's rules a while after the endpoints are there, each at its own time. A connection that
    was made in that very moment is seen to hang on a real node.
    """
    try:
        texts = [requests.get(url, timeout=5).text for _ in range(count)]
    except (requests.ConnectionError, requests.Timeout):
        return None
    return {text.splitlines()[0].split(": ")[1] for text in texts}


@pytest.mark.parametrize("name", ["web", "web.{ns}", "web.{ns}.svc", "web.{ns}.svc.cluster.local"])
def test_the_names_of_a_service(kube: KubeCluster, home: str, client: str, web: Json, name: str) -> None:
    # The cluster's DNS may remember for thirty seconds that it did not know the name.
    until(lambda: "Hostname: web-" in kube.ask(home, client, f"http://{name.format(ns=home)}:8000/"), 60)


def test_the_endpoints(kube: KubeCluster, home: str, web: Json) -> None:
    [subset] = web["subsets"]
    assert subset["ports"] == [{"name": "http", "port": 80, "protocol": "TCP"}]
    expected = {p["status"]["podIP"]: p for p in kube.pods(home, app="web")}
    assert {a["ip"] for a in subset["addresses"]} == set(expected)
    for address in subset["addresses"]:
        found = expected[address["ip"]]
        assert address["nodeName"] == found["spec"]["nodeName"]
        target = address["targetRef"]
        assert (target["kind"], target["name"], target["uid"], target["namespace"]) == (
            "Pod", found["metadata"]["name"], found["metadata"]["uid"], home
        )  # fmt: skip
    assert [a["ip"] for a in subset["addresses"]] == sorted(expected, key=lambda ip: [int(n) for n in ip.split(".")])


def test_the_slices(kube: KubeCluster, home: str, web: Json) -> None:
    pods = {p["status"]["podIP"]: p for p in kube.pods(home, app="web")}

    def slices() -> list[Json]:
        of_web = {"labelSelector": "kubernetes.io/service-name=web"}
        return list(kube.get(kube.path("endpointslices", home), **of_web)["items"])

    [found] = until(lambda: (s := slices()) and sum(len(one["endpoints"]) for one in s) == len(pods) and s)
    assert found["addressType"] == "IPv4"
    assert found["ports"] == [{"name": "http", "port": 80, "protocol": "TCP"}]
    assert found["metadata"]["name"].startswith("web-")
    assert found["metadata"]["ownerReferences"][0]["kind"] == "Service"
    assert found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    for endpoint in found["endpoints"]:
        [address] = endpoint["addresses"]
        assert endpoint["conditions"]["ready"] is True
        assert endpoint["targetRef"]["name"] == pods.pop(address)["metadata"]["name"]
    assert not pods


def test_a_headless_service_has_an_address_for_each_pod(kube: KubeCluster, home: str, client: str, web: Json) -> None:
    spec = kube.get(kube.path("services", home, "web-headless"))["spec"]
    assert (spec["clusterIP"], spec["clusterIPs"]) == ("None", ["None"])
    expected = {p["status"]["podIP"] for p in kube.pods(home, app="web")}
    until(lambda: found_addresses(kube, home, client, f"web-headless.{home}.svc.cluster.local") == expected, 60)


def found_addresses(kube: KubeCluster, namespace: str, client: str, name: str) -> set[str]:
    """The addresses that a pod's resolver finds for a name."""
    text = kube.exec(namespace, client, "nslookup", name, check=False).out
    _, _, answer = text.partition("Name:")
    return set(re.findall(r"\d+\.\d+\.\d+\.\d+", answer))


def test_a_name_that_nobody_has(kube: KubeCluster, home: str, client: str, web: Json) -> None:
    done = kube.exec(home, client, "nslookup", f"nobody.{home}.svc.cluster.local", check=False)
    assert "NXDOMAIN" in done.out + done.err or "can't" in done.out + done.err
    assert found_addresses(kube, home, client, f"nobody.{home}.svc.cluster.local") == set()


def test_a_pod_has_a_name(kube: KubeCluster, home: str, client: str, web: Json) -> None:
    address = kube.pods(home, app="web")[0]["status"]["podIP"]
    name = f"{address.replace('.', '-')}.{home}.pod.cluster.local"
    assert found_addresses(kube, home, client, name) == {address}


def test_a_pod_behind_a_headless_service_has_a_name_of_its_own(
    kube: KubeCluster, home: str, client: str, web: Json
) -> None:
    body = pod("named", WHOAMI, hostname="box", subdomain="web-headless")
    body["metadata"]["labels"]["app"] = "web"
    address = kube.run(home, body)["status"]["podIP"]
    try:
        until(
            lambda: found_addresses(kube, home, client, f"box.web-headless.{home}.svc.cluster.local") == {address},
            30, every=0.3,
        )  # fmt: skip
    finally:
        kube.delete(kube.path("pods", home, "named"), gracePeriodSeconds=0)


def test_an_external_name(kube: KubeCluster, home: str, client: str, web: Json) -> None:
    target = f"web.{home}.svc.cluster.local"
    body: Json = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "elsewhere"}}
    made = kube.create(home, body | {"spec": {"type": "ExternalName", "externalName": target}})
    assert "clusterIP" not in made["spec"]
    name = f"elsewhere.{home}.svc.cluster.local"

    def another_name() -> bool:
        return f"{name}\tcanonical name = {target}" in kube.exec(home, client, "nslookup", name, check=False).out

    until(another_name, 30, every=0.3)


def test_one_client_stays_with_one_pod(kube: KubeCluster, home: str, client: str, web: Json) -> None:
    spec = kube.get(kube.path("services", home, "web-sticky"))["spec"]
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}

    def by_one() -> bool:  # of those that are still there: a pod of another test was among them a moment ago
        answers = set(kube.answers(home, client, spec["clusterIP"], 12))
        assert len(answers) == 1, answers
        assert answers <= names(kube, home), answers
        return True

    until(by_one, 30)


def test_without_endpoints_a_service_refuses(kube: KubeCluster, home: str, client: str) -> None:
    made = kube.create(home, service("nothing", selector={"app": "nothing"}))
    address = made["spec"]["clusterIP"]
    until(lambda: not kube.get(kube.path("endpoints", home, "nothing")).get("subsets"), 20)

    def refused() -> bool:
        done = kube.exec(home, client, "timeout", "3", "wget", "-q", "-O-", f"http://{address}/", check=False)
        assert "refused" in done.err, done
        return True

    until(refused, 30, every=0.3)


def test_readiness_decides_who_is_asked(kube: KubeCluster, ns: str) -> None:
    # The web server answers as long as there is a page; without one it is not ready.
    text = "mkdir /www; echo Hostname: $(hostname) > /www/index.html; exec httpd -f -p 80 -h /www"
    body = deployment("site", 2, BUSYBOX)
    box = body["spec"]["template"]["spec"]["containers"][0]
    box["command"] = ["sh", "-c", text]
    box["readinessProbe"] = {"exec": {"command": ["cat", "/www/ready"]}, "periodSeconds": 1}
    kube.create(ns, body)
    kube.create(ns, service("site"))
    kube.run(ns, pod("client", BUSYBOX, "sleep", "1000"))
    pods = until(lambda: len(p := [x for x in kube.pods(ns, app="site") if x["status"].get("podIP")]) == 2 and p, 40)
    first, second = (p["metadata"]["name"] for p in pods)
    until(lambda: all(p["status"]["phase"] == "Running" for p in kube.pods(ns, app="site")), 30)

    def ready() -> set[str]:
        subsets = kube.get(kube.path("endpoints", ns, "site")).get("subsets") or []
        return {a["targetRef"]["name"] for s in subsets for a in s.get("addresses", ())}

    kube.exec(ns, first, "touch", "/www/ready")
    until(lambda: ready() == {first}, 20)
    all_answer(kube, ns, "client", "site", {first}, 8)
    kube.exec(ns, second, "touch", "/www/ready")
    until(lambda: ready() == {first, second}, 20)
    all_answer(kube, ns, "client", "site", {first, second})
    kube.exec(ns, first, "rm", "/www/ready")
    until(lambda: ready() == {second}, 20)
    all_answer(kube, ns, "client", "site", {second}, 8)
    # Whoever wants those that are not ready as well, says so.
    kube.patch(kube.path("services", ns, "site"), {"spec": {"publishNotReadyAddresses": True}})
    until(lambda: ready() == {first, second}, 20)


def test_the_selector_decides_who_is_asked(kube: KubeCluster, home: str, client: str) -> None:
    for colour in ("blue", "green"):
        body = pod(f"colour-{colour}", WHOAMI)
        body["metadata"]["labels"] = {"colour": colour}
        kube.create(home, body)
    made = kube.create(home, service("colour", selector={"colour": "blue"}))
    all_answer(kube, home, client, made["spec"]["clusterIP"], {"colour-blue"}, 6)
    path = kube.path("services", home, "colour")
    switched = kube.patch(path, {"spec": {"selector": {"colour": "green"}}})
    assert switched["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    all_answer(kube, home, client, made["spec"]["clusterIP"], {"colour-green"}, 6)
    # A pod that changes its label changes sides.
    kube.patch(kube.path("pods", home, "colour-blue"), {"metadata": {"labels": {"colour": "green"}}})
    all_answer(kube, home, client, made["spec"]["clusterIP"], {"colour-green", "colour-blue"})


def test_endpoints_by_hand(kube: KubeCluster, home: str, client: str, web: Json) -> None:
    body = service("manual", 9000)
    del body["spec"]["selector"]
    made = kube.create(home, body)
    assert kube.raw("GET", kube.path("endpoints", home, "manual")).status_code == 404
    found = kube.pods(home, app="web")[0]
    addresses = [{"ip": found["status"]["podIP"]}]
    subsets = [{"addresses": addresses, "ports": [{"port": 80}]}]
    kube.create(home, {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "manual"}, "subsets": subsets})
    all_answer(kube, home, client, f"{made['spec']['clusterIP']}:9000", {found["metadata"]["name"]}, 6)


def test_a_service_of_two_ports(kube: KubeCluster, home: str, client: str) -> None:
    text = "mkdir /www; echo Hostname: $(hostname) > /www/index.html; httpd -p 81 -h /www; exec httpd -f -p 80 -h /www"
    kube.run(home, pod("double", BUSYBOX, "sh", "-c", text))
    ports = [{"name": "one", "port": 8080, "targetPort": 80}, {"name": "two", "port": 8081, "targetPort": 81}]
    made = kube.create(home, service("double", ports=ports))
    for port in (8080, 8081):
        all_answer(kube, home, client, f"{made['spec']['clusterIP']}:{port}", {"double"}, 3)
    [subset] = kube.get(kube.path("endpoints", home, "double"))["subsets"]
    assert sorted((p["name"], p["port"]) for p in subset["ports"]) == [("one", 80), ("two", 81)]


def test_a_chosen_cluster_address(kube: KubeCluster, home: str) -> None:
    taken = kube.create(home, service(kube.name("s")))["spec"]["clusterIP"]
    status = kube.refusal("POST", kube.path("services", home), json=service(kube.name("s"), clusterIP=taken))
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert "provided IP is already allocated" in status["message"]
    kube.delete(kube.path("services", home, kube.get(kube.path("services", home))["items"][0]["metadata"]["name"]))


def test_a_service_changes_its_kind(kube: KubeCluster, home: str) -> None:
    name = kube.name("s")
    made = kube.create(home, service(name))
    path = kube.path("services", home, name)
    port = kube.patch(path, {"spec": {"type": "NodePort"}})["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    back = kube.patch(path, {"spec": {"type": "ClusterIP"}})
    assert "nodePort" not in back["spec"]["ports"][0]
    assert back["spec"]["clusterIP"] == made["spec"]["clusterIP"]


def test_a_load_balancer_waits_for_somebody(kube: KubeCluster, home: str) -> None:
    name = kube.name("s")
    made = kube.create(home, service(name, type="LoadBalancer"))
    assert made["spec"]["ports"][0]["nodePort"]
    assert made["status"] == {"loadBalancer": {}}
    assert "<pending>" in kube.kubectl("get", "service", name, "-n", home).out


def test_a_service_takes_its_endpoints_along(kube: KubeCluster, home: str, web: Json) -> None:
    name = kube.name("s")
    kube.create(home, service(name, selector={"app": "web"}))
    path = kube.path("endpoints", home, name)
    until(lambda: kube.raw("GET", path).status_code == 200, 20)
    kube.delete(kube.path("services", home, name))
    kube.gone(path, 20)
    ours = {"labelSelector": f"kubernetes.io/service-name={name}"}
    until(lambda: not kube.get(kube.path("endpointslices", home), **ours)["items"], 30)


def test_the_api_server_is_a_service(kube: KubeCluster, home: str, client: str) -> None:
    found = kube.get(kube.path("services", "default", "kubernetes"))
    assert found["metadata"]["labels"] == {"component": "apiserver", "provider": "kubernetes"}
    assert found["spec"]["ports"] == [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]
    assert found_addresses(kube, home, client, "kubernetes.default.svc.cluster.local") == {found["spec"]["clusterIP"]}
    endpoints = kube.get(kube.path("endpoints", "default", "kubernetes"))
    [address] = endpoints["subsets"][0]["addresses"]
    assert address["ip"] == kube.addresses[kube.control_plane]


def test_kubectl_exposes(kube: KubeCluster, home: str, client: str, web: Json) -> None:
    name = kube.name("s")
    told = kube.kubectl(
        "expose", "deployment", "web", "-n", home, f"--name={name}", "--port=99", "--target-port=80"
    ).text
    assert told == f"service/{name} exposed"
    all_answer(kube, home, client, f"{name}:99", names(kube, home))
