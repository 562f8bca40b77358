"""What a container finds in its environment and in its volumes."""

from __future__ import annotations

import base64

import pytest
from support.kubelets import Cluster, log_of, pod_of, shell

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kubelet.environment import expand, of_services
from labkit.embedded.kubernetes.objects import Json


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)-$(B)", "1-2"),
        ("$$(A)", "$(A)"),
        ("$(NOPE)", "$(NOPE)"),
        ("$A", "$A"),
        ("$$$(A)", "$1"),
        ("$(A", "$(A"),
        ("plain", "plain"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def service(name: str, namespace: str = "default", ip: str = "127.1.128.5", port: str = "") -> Json:
    ports = [{"port": 80, "protocol": "TCP", **({"name": port} if port else {})}]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": ports}}


def test_service_variables() -> None:
    found = of_services(
        [service("my-web", port="http"), service("other", "elsewhere"), service("none", ip="None")], "default", True
    )
    assert found == {
        "MY_WEB_SERVICE_HOST": "127.1.128.5",
        "MY_WEB_SERVICE_PORT": "80",
        "MY_WEB_SERVICE_PORT_HTTP": "80",
        "MY_WEB_PORT": "tcp://127.1.128.5:80",
        "MY_WEB_PORT_80_TCP": "tcp://127.1.128.5:80",
        "MY_WEB_PORT_80_TCP_PROTO": "tcp",
        "MY_WEB_PORT_80_TCP_PORT": "80",
        "MY_WEB_PORT_80_TCP_ADDR": "127.1.128.5",
    }


def test_without_links_only_kubernetes_is_left() -> None:
    found = of_services([service("web"), service("kubernetes")], "default", False)
    assert {name.partition("_")[0] for name in found} == {"KUBERNETES"}
    assert "KUBERNETES_SERVICE_HOST" in of_services([service("kubernetes")], "elsewhere", True)


def config_map(cluster: Cluster, name: str = "settings", **data: str) -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    cluster.registry.create(kinds.CONFIG_MAPS, "default", obj)


def secret(cluster: Cluster, name: str = "keys", **data: str) -> None:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": encoded}
    cluster.registry.create(kinds.SECRETS, "default", obj)


async def test_environment(cluster: Cluster) -> None:
    await cluster.kubelet()
    config_map(cluster, colour="blue", size="big")
    secret(cluster, word="open sesame")
    env = [
        {"name": "PLAIN", "value": "x"},
        {"name": "TWICE", "value": "$(PLAIN)$(PLAIN)"},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "word"}}},
        {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "nope", "key": "x", "optional": True}}},
        {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    ]
    main = shell(
        "echo $TWICE $COLOUR $WORD [$NONE] $ME $APP $NODE $IP $MEM $P_size", env=env,
        envFrom=[{"prefix": "P_", "configMapRef": {"name": "settings"}}],
        resources={"limits": {"memory": "64Mi"}},
    )  # fmt: skip
    main["command"].append("$(PLAIN)")
    pod = pod_of("env", main, restartPolicy="Never")
    pod["metadata"]["labels"] = {"app": "demo"}
    await cluster.run(pod, 2)
    ip = cluster.status("env")["podIP"]
    assert await log_of(cluster, "env") == f"xx blue open sesame [] env demo worker-1 {ip} 64 big\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"configMapKeyRef": {"name": "nope", "key": "x"}}, 'configmap "nope" not found'),
        ({"configMapKeyRef": {"name": "settings", "key": "x"}}, "couldn't find key x in ConfigMap default/settings"),
        ({"secretKeyRef": {"name": "nope", "key": "x"}}, 'secret "nope" not found'),
        ({"secretKeyRef": {"name": "keys", "key": "x"}}, "couldn't find key x in Secret default/keys"),
    ],
)
async def test_what_is_missing(cluster: Cluster, source: Json, words: str) -> None:
    await cluster.kubelet()
    config_map(cluster)
    secret(cluster)
    cluster.create(pod_of("env", shell("sleep 9", env=[{"name": "A", "valueFrom": source}])))
    await cluster.clock.advance(1)
    state = cluster.container("env")["state"]
    assert state == {"waiting": {"reason": "CreateContainerConfigError", "message": words}}
    assert ("Failed", f"Error: {words}") in cluster.events("env")


async def test_it_starts_once_what_was_missing_is_there(cluster: Cluster) -> None:
    await cluster.kubelet()
    source = {"configMapKeyRef": {"name": "settings", "key": "x"}}
    await cluster.run(pod_of("env", shell("sleep 900", env=[{"name": "A", "valueFrom": source}])), 3)
    config_map(cluster, x="1")
    await cluster.clock.advance(11)
    assert cluster.status("env")["phase"] == "Running"
    assert cluster.container("env")["restartCount"] == 0


async def test_volumes(cluster: Cluster) -> None:
    await cluster.kubelet()
    config_map(cluster, **{"a.txt": "A", "b.txt": "B"})
    secret(cluster, word="sesame")
    volumes = [
        {"name": "all", "configMap": {"name": "settings"}},
        {"name": "one", "configMap": {"name": "settings", "items": [{"key": "a.txt", "path": "deep/a"}]}},
        {"name": "keys", "secret": {"secretName": "keys"}},
        {"name": "maybe", "secret": {"secretName": "nope", "optional": True}},
        {
            "name": "me",
            "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]},
        },
        {
            "name": "both",
            "projected": {"sources": [{"configMap": {"name": "settings"}}, {"secret": {"name": "keys"}}]},
        },
        {"name": "shared", "emptyDir": {}},
    ]
    mounts = [
        {"name": "all", "mountPath": "/all"},
        {"name": "one", "mountPath": "/one"},
        {"name": "keys", "mountPath": "/keys", "readOnly": True},
        {"name": "maybe", "mountPath": "/maybe"},
        {"name": "me", "mountPath": "/me"},
        {"name": "both", "mountPath": "/both"},
        {"name": "all", "mountPath": "/etc/single.conf", "subPath": "b.txt"},
        {"name": "shared", "mountPath": "/shared"},
        {"name": "shared", "mountPath": "/sub", "subPath": "inner"},
    ]
    reader = shell(
        "echo $(ls /all); cat /one/deep/a; cat /keys/word; echo; cat /me/labels; echo; echo $(ls /both); "
        "cat /etc/single.conf; echo; echo x > /keys/word; echo hi > /shared/note; echo in > /sub/f; "
        "cat /shared/inner/f",
        volumeMounts=mounts,
    )
    other = shell("sleep 1; cat /shared/note", "other", volumeMounts=[{"name": "shared", "mountPath": "/shared"}])
    pod = pod_of("vol", reader, other, volumes=volumes, restartPolicy="Never")
    pod["metadata"]["labels"] = {"app": "demo", "tier": "x"}
    await cluster.run(pod, 4)
    assert (await log_of(cluster, "vol", "main")).splitlines() == [
        "a.txt b.txt", "Asesame", 'app="demo"', 'tier="x"', "a.txt b.txt word", "B",
        "sh: can't create /keys/word: Read-only file system", "in",
    ]  # fmt: skip
    assert await log_of(cluster, "vol", "other") == "hi\n"


async def test_a_missing_volume_keeps_the_pod_waiting(cluster: Cluster) -> None:
    await cluster.kubelet()
    mount = shell("sleep 900", volumeMounts=[{"name": "v", "mountPath": "/v"}])
    cluster.create(pod_of("vol", mount, volumes=[{"name": "v", "configMap": {"name": "settings"}}]))
    await cluster.clock.advance(3)
    words = 'MountVolume.SetUp failed for volume "v" : configmap "settings" not found'
    assert ("FailedMount", words) in cluster.events("vol")
    assert cluster.container("vol")["state"] == {"waiting": {"reason": "ContainerCreating"}}
    config_map(cluster, a="1")
    await cluster.clock.advance(5)
    assert cluster.status("vol")["phase"] == "Running"


async def test_a_mounted_config_map_follows_its_changes(cluster: Cluster) -> None:
    await cluster.kubelet()
    config_map(cluster, word="old")
    mount = shell("while true; do cat /v/word; echo; sleep 30; done", volumeMounts=[{"name": "v", "mountPath": "/v"}])
    await cluster.run(pod_of("vol", mount, volumes=[{"name": "v", "configMap": {"name": "settings"}}]), 2)
    cluster.registry.modify(kinds.CONFIG_MAPS, "default", "settings", lambda obj: {**obj, "data": {"word": "new"}})
    await cluster.clock.advance(100)
    assert (await log_of(cluster, "vol")).split()[-1] == "new"


async def test_and_goes_on_following_after_the_api_server_was_away(cluster: Cluster) -> None:
    await cluster.kubelet()
    config_map(cluster, word="old")
    mount = shell("while true; do cat /v/word; echo; sleep 30; done", volumeMounts=[{"name": "v", "mountPath": "/v"}])
    await cluster.run(pod_of("vol", mount, volumes=[{"name": "v", "configMap": {"name": "settings"}}]), 2)
    cluster.door.close()
    await cluster.clock.advance(150)
    assert (await log_of(cluster, "vol")).split()[-1] == "old"
    cluster.registry.modify(kinds.CONFIG_MAPS, "default", "settings", lambda obj: {**obj, "data": {"word": "new"}})
    cluster.door.open()
    await cluster.clock.advance(150)
    assert (await log_of(cluster, "vol")).split()[-1] == "new"


async def test_what_every_pod_has_of_its_service_account(cluster: Cluster) -> None:
    await cluster.kubelet()
    where = "/var/run/secrets/kubernetes.io/serviceaccount"
    projected = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    main = shell(
        f"cd {where}; ls; cat token; echo; cat namespace; echo; head -1 ca.crt; echo x > token",
        volumeMounts=[{"name": "kube-api-access-1", "mountPath": where, "readOnly": True}],
    )
    volumes = [{"name": "kube-api-access-1", "projected": {"sources": projected}}]
    await cluster.run(pod_of("sa", main, volumes=volumes, restartPolicy="Never"), 2)
    assert (await log_of(cluster, "sa")).splitlines() == [
        "ca.crt", "namespace", "token", "token of sa", "default", "-----BEGIN CERTIFICATE-----",
        "sh: can't create token: Read-only file system",
    ]  # fmt: skip


async def test_names_and_hosts(cluster: Cluster) -> None:
    await cluster.kubelet()
    main = shell("hostname; cat /etc/hosts | tail -4; cat /etc/resolv.conf")
    aliases = [{"ip": "127.9.9.9", "hostnames": ["foo", "bar"]}]
    pod = pod_of("host", main, hostname="alpha", subdomain="web", hostAliases=aliases, restartPolicy="Never")
    await cluster.run(pod, 2)
    ip, block = cluster.status("host")["podIP"], cluster.network.block
    assert (await log_of(cluster, "host")).splitlines() == [
        "alpha", f"{ip}\talpha.web.default.svc.cluster.local\talpha", "", "# Entries added by HostAliases.",
        "127.9.9.9\tfoo\tbar", "search default.svc.cluster.local svc.cluster.local cluster.local",
        f"nameserver {block}.128.10", "options ndots:5",
    ]  # fmt: skip


async def test_a_persistent_volume_is_not_to_be_had(cluster: Cluster) -> None:
    await cluster.kubelet()
    mount = shell("sleep 900", volumeMounts=[{"name": "v", "mountPath": "/v"}])
    cluster.create(pod_of("vol", mount, volumes=[{"name": "v", "nfs": {"server": "x", "path": "/"}}]))
    await cluster.clock.advance(3)
    words = 'MountVolume.SetUp failed for volume "v" : nfs is not simulated by the embedded engine'
    assert ("FailedMount", words) in cluster.events("vol")


async def test_host_paths_are_shared_on_a_machine(cluster: Cluster) -> None:
    await cluster.kubelet()
    volumes = [{"name": "v", "hostPath": {"path": "/data"}}]
    mount = [{"name": "v", "mountPath": "/v"}]
    one = pod_of("one", shell("echo hi > /v/f", volumeMounts=mount), volumes=volumes, restartPolicy="Never")
    two = pod_of("two", shell("cat /v/f", volumeMounts=mount), volumes=volumes, restartPolicy="Never")
    await cluster.run(one, 2)
    await cluster.run(two, 2)
    assert await log_of(cluster, "two") == "hi\n"
