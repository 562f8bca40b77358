from __future__ import annotations

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import Forbidden
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import Registry, WriteOptions

from .things import pod, refused

PODS, ACCOUNTS, CLASSES = kinds.PODS, kinds.SERVICE_ACCOUNTS, kinds.PRIORITY_CLASSES
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def made(registry: Registry, annotations: dict[str, str] | None = None, **spec: object) -> Json:
    sent = pod(generateName="p-")
    sent["spec"].update(spec)
    if annotations:
        sent["metadata"]["annotations"] = annotations
    spec_: Json = registry.create(PODS, "default", sent)["spec"]
    return spec_


class TestServiceAccount:
    def test_every_pod_is_somebody(self, registry: Registry) -> None:
        spec = made(registry)
        assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
        (volume,) = spec["volumes"]
        assert volume["name"].startswith("kube-api-access-")
        assert len(volume["name"]) == len("kube-api-access-") + 5
        assert volume["projected"] == {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [
                            {
                                "path": "namespace",
                                "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                            }
                        ]
                    }
                },
            ],
        }
        mount = {"name": volume["name"], "readOnly": True, "mountPath": TOKEN}
        assert spec["containers"][0]["volumeMounts"] == [mount]

    def test_every_container_has_it(self, registry: Registry) -> None:
        own = [{"name": "own", "mountPath": TOKEN}]
        spec = made(
            registry,
            initContainers=[{"name": "i", "image": "x"}],
            containers=[{"name": "a", "image": "x"}, {"name": "b", "image": "x", "volumeMounts": own}],
            volumes=[{"name": "own", "emptyDir": {}}],
        )
        (token,) = [volume["name"] for volume in spec["volumes"] if volume["name"] != "own"]
        assert [each["volumeMounts"][0]["name"] for each in spec["initContainers"]] == [token]
        assert [each["volumeMounts"][0]["name"] for each in spec["containers"]] == [token, "own"]

    def test_a_template_is_not_touched(self, registry: Registry) -> None:
        template = pod()["spec"]
        for _ in range(2):
            registry.create(PODS, "default", {"metadata": {"generateName": "p-"}, "spec": template})
        assert template == pod()["spec"]

    @pytest.mark.parametrize(
        ("of_account", "of_pod", "mounted"),
        [(None, None, True), (False, None, False), (False, True, True), (True, False, False)],
    )
    def test_it_need_not_be_mounted(
        self, registry: Registry, of_account: bool | None, of_pod: bool | None, mounted: bool
    ) -> None:
        account: Json = {"metadata": {"name": "me"}}
        if of_account is not None:
            account["automountServiceAccountToken"] = of_account
        registry.create(ACCOUNTS, "default", account)
        spec = made(registry, serviceAccountName="me", automountServiceAccountToken=of_pod)
        assert ("volumes" in spec) is mounted

    def test_it_must_be_there(self, registry: Registry) -> None:
        with pytest.raises(Forbidden) as caught:
            made(registry, serviceAccountName="nobody")
        problem = 'error looking up service account default/nobody: serviceaccount "nobody" not found'
        assert refused(caught)[1].endswith(f'" is forbidden: {problem}')
        assert refused(caught)[0] == 403

    def test_its_pull_secrets(self, registry: Registry) -> None:
        registry.create(ACCOUNTS, "default", {"metadata": {"name": "me"}, "imagePullSecrets": [{"name": "s"}]})
        assert made(registry, serviceAccountName="me")["imagePullSecrets"] == [{"name": "s"}]

    def test_mirror_pods_are_nobody(self, registry: Registry) -> None:
        mirror = {"kubernetes.io/config.mirror": "abc"}
        spec = made(registry, mirror, nodeName="n1")
        assert "serviceAccountName" not in spec
        assert "volumes" not in spec
        with pytest.raises(Forbidden, match="a mirror pod may not reference service accounts"):
            made(registry, mirror, nodeName="n1", serviceAccountName="default")


class TestPriority:
    def test_none(self, registry: Registry) -> None:
        spec = made(registry)
        assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
        assert "priorityClassName" not in spec

    def test_of_a_class(self, registry: Registry) -> None:
        registry.create(CLASSES, "", {"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never"})
        spec = made(registry, priorityClassName="high")
        assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
        assert made(registry, priorityClassName="system-node-critical")["priority"] == 2000001000

    def test_of_the_default_class(self, registry: Registry) -> None:
        registry.create(CLASSES, "", {"metadata": {"name": "usual"}, "value": 10, "globalDefault": True})
        spec = made(registry)
        assert (spec["priority"], spec["priorityClassName"]) == (10, "usual")
        with pytest.raises(Forbidden) as caught:
            registry.create(CLASSES, "", {"metadata": {"name": "too"}, "value": 10, "globalDefault": True})
        assert refused(caught)[1] == (
            'priorityclasses.scheduling.k8s.io "too" is forbidden: PriorityClass usual is already marked as default. '
            "Only one default can exist"
        )

    def test_what_is_refused(self, registry: Registry) -> None:
        with pytest.raises(Forbidden, match="is forbidden: no PriorityClass with name nobody was found"):
            made(registry, priorityClassName="nobody")
        with pytest.raises(Forbidden) as caught:
            made(registry, priority=5)
        assert refused(caught)[1].endswith(
            "is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission "
            "controller computed 0 from the given PriorityClass name"
        )
        assert made(registry, priority=0)["priority"] == 0

    def test_who_writes_a_pod_back_without_it_changes_nothing(self, registry: Registry) -> None:
        sent = pod("a")
        sent["spec"].update(serviceAccountName="default", automountServiceAccountToken=False)
        first = registry.create(PODS, "default", sent)
        spec = {key: value for key, value in first["spec"].items() if key not in ("priority", "preemptionPolicy")}
        assert registry.update(PODS, "default", "a", {**first, "spec": spec}) is first


class TestTolerations:
    def test_five_minutes(self, registry: Registry) -> None:
        assert made(registry)["tolerations"] == [
            {
                "key": f"node.kubernetes.io/{what}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
            for what in ("not-ready", "unreachable")
        ]

    @pytest.mark.parametrize(
        ("given", "added"),
        [
            ([{"key": "x", "operator": "Exists"}], 2),
            ([{"operator": "Exists"}], 0),
            ([{"operator": "Exists", "effect": "NoSchedule"}], 2),
            ([{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}], 1),
            ([{"key": "node.kubernetes.io/unreachable", "operator": "Exists"}], 1),
        ],
    )
    def test_unless_it_says_something(self, registry: Registry, given: list[Json], added: int) -> None:
        assert len(made(registry, tolerations=given)["tolerations"]) == len(given) + added


def test_a_new_node_is_not_ready(registry: Registry) -> None:
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    node = registry.create(kinds.NODES, "", {"metadata": {"name": "n1"}})
    assert node["spec"]["taints"] == [taint]
    node = registry.create(kinds.NODES, "", {"metadata": {"name": "n2"}, "spec": {"taints": [taint]}})
    assert node["spec"]["taints"] == [taint]


def test_the_sandboxes_own_components_pass_through_it_too(registry: Registry) -> None:
    sent = registry.create(PODS, "default", pod("a"), WriteOptions(trusted=True))
    assert sent["spec"]["serviceAccountName"] == "default"
