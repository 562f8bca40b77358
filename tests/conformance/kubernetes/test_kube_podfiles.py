"""What a container finds: variables, files of ConfigMaps and Secrets, what it is told of itself."""

from __future__ import annotations

import re

import pytest
from support.kube_cluster import BUSYBOX, Json, KubeCluster, config_map, container, is_ready, pod
from support.until import until


def field(path: str) -> Json:
    return {"valueFrom": {"fieldRef": {"fieldPath": path}}}


def resource(name: str, **more: str) -> Json:
    return {"valueFrom": {"resourceFieldRef": {"resource": name, **more}}}


def of(kind: str, name: str, key: str, **more: bool) -> Json:
    return {"valueFrom": {f"{kind}KeyRef": {"name": name, "key": key, **more}}}


VARIABLES: dict[str, Json] = {
    "PLAIN": {"value": "two words"},
    "EMPTY": {"value": ""},
    "FROM_OTHER": {"value": "<$(PLAIN)>"},
    "ESCAPED": {"value": "$$(PLAIN)"},
    "UNKNOWN": {"value": "$(NOWHERE)"},
    "NAME": field("metadata.name"),
    "NAMESPACE": field("metadata.namespace"),
    "UID": field("metadata.uid"),
    "LABEL": field("metadata.labels['app']"),
    "NOTE": field("metadata.annotations['note']"),
    "NODE": field("spec.nodeName"),
    "ACCOUNT": field("spec.serviceAccountName"),
    "POD_IP": field("status.podIP"),
    "HOST_IP": field("status.hostIP"),
    "CPU": resource("limits.cpu", divisor="1m"),
    "MEMORY": resource("limits.memory"),
    "ASKED": resource("requests.memory", divisor="1Mi"),
    "COLOUR": of("configMap", "settings", "colour"),
    "MISSING": of("configMap", "settings", "nothing", optional=True),
    "WORD": of("secret", "hidden", "word"),
}


@pytest.fixture(scope="module")
def told(cluster: KubeCluster, home: str) -> Json:
    """A pod that is told all kinds of things."""
    cluster.create(home, config_map("settings", colour="blue", size="small"))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden"}, "stringData": {"word": "sesame"}}
    cluster.create(home, secret)
    body = pod("told", BUSYBOX, "sh", "-c", "while true; do sleep 1; done")
    body["metadata"]["annotations"] = {"note": "a note"}
    box = body["spec"]["containers"][0]
    box["env"] = [{"name": name, **how} for name, how in VARIABLES.items()]
    box["envFrom"] = [{"configMapRef": {"name": "settings"}, "prefix": "SET_"}, {"secretRef": {"name": "hidden"}}]
    box["resources"] = {"limits": {"cpu": "250m", "memory": "64Mi"}, "requests": {"memory": "32Mi"}}
    box["volumeMounts"] = [
        {"name": name, "mountPath": f"/{name}"} for name in ("settings", "items", "hidden", "downward", "all", "empty")
    ] + [{"name": "settings", "mountPath": "/etc/one", "subPath": "colour"}]
    items = [{"key": "colour", "path": "paint/colour.txt"}]
    labels = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "note", "fieldRef": {"fieldPath": "metadata.annotations['note']"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu", "divisor": "1m"}},
    ]
    body["spec"]["volumes"] = [
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "items", "configMap": {"name": "settings", "items": items, "defaultMode": 0o400}},
        {"name": "hidden", "secret": {"secretName": "hidden"}},
        {"name": "downward", "downwardAPI": {"items": labels}},
        {"name": "all", "projected": {"sources": [
            {"configMap": {"name": "settings", "items": [{"key": "size", "path": "size"}]}},
            {"secret": {"name": "hidden"}},
            {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        ]}},
        {"name": "empty", "emptyDir": {"medium": "Memory"}},
    ]  # fmt: skip
    return cluster.run(home, body)


@pytest.fixture(scope="module")
def environment(cluster: KubeCluster, home: str, told: Json) -> dict[str, str]:
    lines = cluster.exec(home, "told", "env").out.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PLAIN", "two words"), ("EMPTY", ""), ("FROM_OTHER", "<two words>"), ("ESCAPED", "$(PLAIN)"),
        ("UNKNOWN", "$(NOWHERE)"), ("NAME", "told"), ("LABEL", "told"), ("NOTE", "a note"), ("ACCOUNT", "default"),
        ("CPU", "250"), ("MEMORY", str(64 << 20)), ("ASKED", "32"), ("COLOUR", "blue"), ("WORD", "sesame"),
        ("SET_colour", "blue"), ("SET_size", "small"), ("word", "sesame"), ("HOSTNAME", "told"),
    ],
)  # fmt: skip
def test_a_variable(environment: dict[str, str], name: str, expected: str) -> None:
    assert environment[name] == expected


def test_what_a_variable_tells_of_the_pod(home: str, told: Json, environment: dict[str, str]) -> None:
    assert environment["NAMESPACE"] == home
    assert environment["UID"] == told["metadata"]["uid"]
    assert environment["NODE"] == told["spec"]["nodeName"]
    assert environment["POD_IP"] == told["status"]["podIP"]
    assert environment["HOST_IP"] == told["status"]["hostIP"]
    assert "MISSING" not in environment


def test_services_are_told_by_variables(kube: KubeCluster, environment: dict[str, str]) -> None:
    spec = kube.get(kube.path("services", "default", "kubernetes"))["spec"]
    assert environment["KUBERNETES_SERVICE_HOST"] == spec["clusterIP"]
    assert environment["KUBERNETES_SERVICE_PORT"] == "443"
    assert environment["KUBERNETES_PORT"] == f"tcp://{spec['clusterIP']}:443"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/settings/colour", "blue"), ("/settings/size", "small"), ("/items/paint/colour.txt", "blue"),
        ("/hidden/word", "sesame"), ("/etc/one", "blue"), ("/downward/note", "a note"), ("/downward/cpu", "250"),
        ("/downward/labels", 'app="told"'), ("/all/size", "small"), ("/all/word", "sesame"), ("/all/name", "told"),
    ],
)  # fmt: skip
def test_a_file(kube: KubeCluster, home: str, told: Json, path: str, expected: str) -> None:
    assert kube.exec(home, "told", "cat", path).text == expected


def test_only_the_chosen_keys_are_there(kube: KubeCluster, home: str, told: Json) -> None:
    assert kube.exec(home, "told", "ls", "/items").text.split() == ["paint"]
    assert kube.exec(home, "told", "ls", "/settings").text.split() == ["colour", "size"]
    assert kube.exec(home, "told", "ls", "/empty").text == ""


TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/settings/colour", "..data/colour"), ("/items/paint", "..data/paint"), ("/hidden/word", "..data/word"),
        ("/downward/labels", "..data/labels"), ("/all/size", "..data/size"), (TOKEN, "..data/token"),
    ],
)  # fmt: skip
def test_a_file_is_a_link(kube: KubeCluster, home: str, told: Json, path: str, target: str) -> None:
    assert kube.exec(home, "told", "readlink", path).text.strip() == target


def test_the_links_lead_to_a_directory_of_the_time(kube: KubeCluster, home: str, told: Json) -> None:
    name = kube.exec(home, "told", "readlink", "/settings/..data").text.strip()
    assert re.fullmatch(r"\.\.20\d\d_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+", name)
    assert kube.exec(home, "told", "ls", "-a", "/settings").text.split() == [
        ".", "..", name, "..data", "colour", "size",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/settings", "777"), ("/settings/..data/", "755"), ("/settings/colour", "644"), ("/items/paint", "755"),
        ("/items/paint/colour.txt", "400"), ("/hidden", "1777"), ("/hidden/word", "644"), ("/downward", "1777"),
        ("/all", "1777"), ("/empty", "1777"), ("/etc/one", "644"), (TOKEN, "644"),
    ],
)  # fmt: skip
def test_a_mode(kube: KubeCluster, home: str, told: Json, path: str, mode: str) -> None:
    assert kube.exec(home, "told", "stat", "-L", "-c", "%a", path).text.strip() == mode


@pytest.mark.parametrize(
    "path", ["/settings/colour", "/settings/new", "/hidden/word", "/downward/labels", "/all/x", "/etc/one"]
)
def test_what_the_kubelet_fills_is_read_only(kube: KubeCluster, home: str, told: Json, path: str) -> None:
    assert "Read-only file system" in kube.exec(home, "told", "sh", "-c", f"echo x > {path} || true").err


def test_the_group_of_a_volume(kube: KubeCluster, home: str, told: Json) -> None:
    name = kube.name("p")
    script = "id -u; cat /v/word; echo; stat -L -c '%a %g' /v/word /e; touch /e/f; stat -c '%u %g' /e/f"
    body = pod(name, BUSYBOX, "sh", "-c", script, restartPolicy="Never")
    body["spec"]["securityContext"] = {"runAsUser": 1000, "fsGroup": 2000}
    body["spec"]["containers"][0]["volumeMounts"] = [
        {"name": "v", "mountPath": "/v"}, {"name": "e", "mountPath": "/e"},
    ]  # fmt: skip
    body["spec"]["volumes"] = [
        {"name": "v", "secret": {"secretName": "hidden", "defaultMode": 0o400}}, {"name": "e", "emptyDir": {}},
    ]  # fmt: skip
    kube.create(home, body)
    kube.ended(home, name)
    lines = kube.logs(home, name).splitlines()
    assert lines == ["1000", "sesame", "440 2000", "2777 2000", "1000 2000"]


def test_the_service_accounts_files(kube: KubeCluster, home: str, told: Json) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert set(kube.exec(home, "told", "ls", folder).text.split()) == {"ca.crt", "namespace", "token"}
    assert kube.exec(home, "told", "cat", f"{folder}/namespace").text == home
    assert kube.exec(home, "told", "cat", f"{folder}/token").text.count(".") == 2
    assert "BEGIN CERTIFICATE" in kube.exec(home, "told", "cat", f"{folder}/ca.crt").text


def test_the_resolver_knows_the_namespace(kube: KubeCluster, home: str, told: Json) -> None:
    lines = kube.exec(home, "told", "cat", "/etc/resolv.conf").text.splitlines()
    dns = kube.get(kube.path("services", "kube-system", "kube-dns"))["spec"]["clusterIP"]
    assert f"nameserver {dns}" in lines
    assert f"search {home}.svc.cluster.local svc.cluster.local cluster.local" in " ".join(lines)
    assert "options ndots:5" in lines


def test_the_hosts_file_knows_the_pod(kube: KubeCluster, home: str, told: Json) -> None:
    lines = kube.exec(home, "told", "cat", "/etc/hosts").text.splitlines()
    assert [told["status"]["podIP"], "told"] in [line.split() for line in lines]


def test_a_change_reaches_the_files(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, config_map("live", word="before"))
    body = pod("reader", BUSYBOX, "sh", "-c", "while true; do sleep 1; done")
    box = body["spec"]["containers"][0]
    box["env"] = [{"name": "WORD", **of("configMap", "live", "word")}]
    box["volumeMounts"] = [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/once", "subPath": "word"}]
    body["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "live"}}]
    kube.run(ns, body)
    kube.patch(kube.path("configmaps", ns, "live"), {"data": {"word": "after", "more": "yes"}})
    # A change of the pod makes the kubelet look at once; else it looks about once a minute.
    kube.patch(kube.path("pods", ns, "reader"), {"metadata": {"annotations": {"look": "now"}}})
    until(lambda: kube.exec(ns, "reader", "cat", "/v/word").text == "after", 120, "the file has changed", every=0.3)
    assert kube.exec(ns, "reader", "ls", "/v").text.split() == ["more", "word"]
    assert kube.exec(ns, "reader", "cat", "/once").text == "before"  # a subPath is a copy
    assert kube.exec(ns, "reader", "sh", "-c", "echo $WORD").text == "before"  # and variables never change


def test_a_new_label_reaches_the_file(kube: KubeCluster, home: str, told: Json) -> None:
    kube.patch(kube.path("pods", home, "told"), {"metadata": {"labels": {"tier": "front"}}})
    until(
        lambda: 'tier="front"' in kube.exec(home, "told", "cat", "/downward/labels").text.splitlines(),
        120, "the file tells the label", every=0.3,
    )  # fmt: skip
    assert kube.exec(home, "told", "sh", "-c", "echo $LABEL").text == "told"


def test_what_a_pod_waits_for(kube: KubeCluster, home: str) -> None:
    first, second = kube.name("p"), kube.name("p")
    body = pod(first, BUSYBOX, "sleep", "1000")
    body["spec"]["containers"][0]["env"] = [{"name": "A", **of("configMap", f"{first}-late", "a")}]
    kube.create(home, body)
    body = pod(second, BUSYBOX, "sleep", "1000", volumes=[{"name": "v", "secret": {"secretName": f"{first}-late"}}])
    body["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    kube.create(home, body)

    def waiting(found: Json) -> object:
        [told] = found["status"].get("containerStatuses") or [{}]
        return told.get("state", {}).get("waiting", {}).get("reason") == "CreateContainerConfigError"

    found = kube.object(kube.path("pods", home, first), waiting, 40)
    assert found["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == (
        f'configmap "{first}-late" not found'
    )
    until(lambda: "FailedMount" in dict(kube.events(home, second)), 40)
    assert (
        f'MountVolume.SetUp failed for volume "v" : secret "{first}-late" not found'
        in (dict(kube.events(home, second))["FailedMount"])
    )
    kube.create(home, config_map(f"{first}-late", a="b"))
    late = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{first}-late"}, "stringData": {"a": "b"}}
    kube.create(home, late)
    kube.object(kube.path("pods", home, first), is_ready, 60)
    kube.object(kube.path("pods", home, second), is_ready, 60)


def test_a_host_name_and_a_subdomain(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.run(home, pod(name, BUSYBOX, "sleep", "1000", hostname="box", subdomain="sub"))
    assert kube.exec(home, name, "hostname").text == "box"
    hosts = kube.exec(home, name, "cat", "/etc/hosts").text
    assert f"box.sub.{home}.svc.cluster.local" in hosts


def test_a_pod_on_its_hosts_network(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    found = kube.run(home, pod(name, BUSYBOX, "sleep", "1000", hostNetwork=True))
    assert found["status"]["podIP"] == found["status"]["hostIP"]
    assert kube.exec(home, name, "hostname").text == found["spec"]["nodeName"]


def test_a_command_and_its_arguments(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = pod(name, BUSYBOX, "sh", "-c", 'echo "$0 $1 $(( 6 * 7 ))"', restartPolicy="Never")
    body["spec"]["containers"][0]["args"] = ["$(WORD)", "b"]
    body["spec"]["containers"][0]["env"] = [{"name": "WORD", "value": "a"}]
    kube.create(home, body)
    kube.ended(home, name)
    assert kube.logs(home, name).strip() == "a b 42"


def test_a_working_directory(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = pod(name, BUSYBOX, "pwd", restartPolicy="Never")
    body["spec"]["containers"] = [container("c", BUSYBOX, "pwd", workingDir="/tmp")]
    kube.create(home, body)
    kube.ended(home, name)
    assert kube.logs(home, name).strip() == "/tmp"


def test_a_folder_that_may_not_be_written(kube: KubeCluster, home: str, told: Json) -> None:
    name = kube.name("p")
    body = pod(name, BUSYBOX, "sh", "-c", "echo x > /v/word || echo refused", restartPolicy="Never")
    body["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v", "readOnly": True}]
    body["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "settings"}}]
    kube.create(home, body)
    kube.ended(home, name)
    # What the shell says of it comes through another pipe, and stands before or after.
    assert "refused" in kube.logs(home, name).splitlines()
