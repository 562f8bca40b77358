"""What every object is given, and how it is read, replaced and refused when somebody else was quicker."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime

import pytest
from kubernetes import client
from support.kube_cluster import WHOAMI, WHOAMI_NEXT, Json, KubeCluster, config_map, deployment, pod

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def test_what_a_new_object_is_given(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    made = kube.create(home, config_map(name, colour="blue"))
    meta = made["metadata"]
    assert made["kind"] == "ConfigMap"
    assert made["apiVersion"] == "v1"
    assert meta["namespace"] == home
    assert uuid.UUID(meta["uid"]).version == 4
    assert int(meta["resourceVersion"]) > 0
    assert re.fullmatch(MOMENT, meta["creationTimestamp"])
    made_at = datetime.fromisoformat(meta["creationTimestamp"])
    assert abs((datetime.now(UTC) - made_at).total_seconds()) < 3600
    assert "generation" not in meta  # a ConfigMap has no spec that a controller would have to follow
    assert kube.get(kube.path("configmaps", home, name)) == made


def test_an_object_with_a_spec_counts_its_generations(kube: KubeCluster, home: str) -> None:
    name = kube.name("web")
    assert kube.create(home, deployment(name, 0))["metadata"]["generation"] == 1
    path = kube.path("deployments", home, name)
    labelled = kube.patch(path, {"metadata": {"labels": {"tier": "front"}}})
    assert labelled["metadata"]["generation"] == 1
    assert kube.patch(path, {"spec": {"paused": True}})["metadata"]["generation"] == 2
    kube.object(path, lambda found: found["status"].get("observedGeneration") == 2)


def test_a_write_that_changes_nothing_is_no_write(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    made = kube.create(home, config_map(name, colour="blue"))
    path = kube.path("configmaps", home, name)
    again = kube.put(path, made)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    patched = kube.patch(path, {"data": {"colour": "blue"}})
    assert patched["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_name_is_generated(kube: KubeCluster, home: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-up-"}}
    names = {kube.create(home, body)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    # Letters and digits without vowels and what looks like another, so that no words come out.
    assert all(re.fullmatch(r"made-up-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names), names


def test_who_writes_an_old_version_is_refused(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    made = kube.create(home, config_map(name, colour="blue"))
    path = kube.path("configmaps", home, name)
    kube.patch(path, {"data": {"colour": "green"}})
    status = kube.refusal("PUT", path, json=made | {"data": {"colour": "red"}})
    assert (status["code"], status["reason"]) == (409, "Conflict")
    assert status["details"] == {"name": name, "kind": "configmaps"}
    assert status["message"] == (
        f'Operation cannot be fulfilled on configmaps "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert kube.get(path)["data"] == {"colour": "green"}


def test_without_a_version_the_last_writer_wins(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    kube.create(home, config_map(name, colour="blue"))
    path = kube.path("configmaps", home, name)
    kube.patch(path, {"data": {"colour": "green"}})
    assert kube.put(path, config_map(name, colour="red"))["data"] == {"colour": "red"}


def test_a_patch_may_name_the_version_that_it_is_for(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    made = kube.create(home, config_map(name, colour="blue"))
    path = kube.path("configmaps", home, name)
    version = made["metadata"]["resourceVersion"]
    kube.patch(path, {"metadata": {"resourceVersion": version}, "data": {"colour": "green"}})
    body = {"metadata": {"resourceVersion": version}, "data": {"colour": "red"}}
    status = kube.refusal(
        "PATCH", path, data=json.dumps(body), headers={"Content-Type": "application/merge-patch+json"}
    )
    assert status["reason"] == "Conflict"


def test_another_uid_is_another_object(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    made = kube.create(home, config_map(name))
    path = kube.path("configmaps", home, name)
    kube.delete(path)
    anew = kube.create(home, config_map(name))
    assert anew["metadata"]["uid"] != made["metadata"]["uid"]
    stale = made | {"metadata": made["metadata"] | {"resourceVersion": ""}}
    status = kube.refusal("PUT", path, json=stale)
    assert (status["code"], status["reason"]) == (409, "Conflict")
    assert "Precondition failed: UID in precondition: " + made["metadata"]["uid"] in status["message"]


def test_a_create_with_a_version_is_refused(kube: KubeCluster, home: str) -> None:
    body = config_map(kube.name("cm"))
    body["metadata"]["resourceVersion"] = "5"
    status = kube.refusal("POST", kube.path("configmaps", home), json=body)
    assert (status["code"], status["message"]) == (500, "resourceVersion should not be set on objects to be created")


def test_the_status_is_not_for_those_who_write_the_spec(kube: KubeCluster, home: str) -> None:
    name = kube.name("web")
    made = kube.create(home, deployment(name, 0) | {"status": {"replicas": 7}})
    assert made["status"].get("replicas") is None
    path = kube.path("deployments", home, name)
    kube.object(path, lambda found: found["status"].get("observedGeneration") == 1)
    assert kube.patch(path, {"status": {"observedGeneration": 99}})["status"]["observedGeneration"] == 1


def test_the_status_has_a_path_of_its_own(kube: KubeCluster, home: str) -> None:
    name = kube.name("web")
    body = pod(name, WHOAMI, nodeName="", schedulerName="nobody")
    kube.create(home, body)
    path = kube.path("pods", home, name, "status")
    ready = {"conditions": [{"type": "lab/ready", "status": "True"}]}
    told = kube.patch(path, {"status": ready, "metadata": {"labels": {"a": "b"}}, "spec": {"priority": 9}}, "strategic")
    assert told["status"]["conditions"][0]["type"] == "lab/ready"
    assert told["metadata"]["labels"]["app"] == name
    assert told["spec"]["priority"] == 0
    assert kube.get(path)["status"] == told["status"]


def test_the_scale_has_a_path_of_its_own(kube: KubeCluster, home: str) -> None:
    name = kube.name("web")
    made = kube.create(home, deployment(name, 0))
    path = kube.path("deployments", home, name, "scale")
    # The version of the scale is the Deployment's: wait for its controller to have written what it writes first.
    kube.object(kube.path("deployments", home, name), lambda d: d["status"].get("observedGeneration"))
    scale = kube.get(path)
    assert scale["apiVersion"] == "autoscaling/v1"
    assert scale["kind"] == "Scale"
    assert scale["metadata"]["uid"] == made["metadata"]["uid"]
    assert scale["spec"] == {}  # zero is left out
    assert scale["status"]["selector"] == f"app={name}"
    scale["spec"]["replicas"] = 2
    assert kube.put(path, scale)["spec"] == {"replicas": 2}
    assert kube.patch(path, {"spec": {"replicas": 1}})["spec"] == {"replicas": 1}
    assert kube.get(kube.path("deployments", home, name))["spec"]["replicas"] == 1
    status = kube.refusal("PUT", path, json=scale)
    assert status["reason"] == "Conflict"


def test_a_scale_below_nothing_is_refused(kube: KubeCluster, home: str) -> None:
    name = kube.name("web")
    kube.create(home, deployment(name, 0))
    scale = kube.get(kube.path("deployments", home, name, "scale"))
    scale["spec"]["replicas"] = -1
    status = kube.refusal("PUT", kube.path("deployments", home, name, "scale"), json=scale)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    [cause] = status["details"]["causes"]
    assert cause["field"] == "spec.replicas"
    assert "must be greater than or equal to 0" in cause["message"]


@pytest.mark.parametrize("how", ["post", "patch", "put", "delete"])
def test_a_dry_run_changes_nothing(kube: KubeCluster, home: str, how: str) -> None:
    name = kube.name("cm")
    path = kube.path("configmaps", home, name)
    if how == "post":
        made = kube.create(home, config_map(name, colour="blue"), dryRun="All")
        assert made["metadata"]["uid"]
        assert "resourceVersion" not in made["metadata"]
        assert kube.raw("GET", path).status_code == 404
        return
    made = kube.create(home, config_map(name, colour="blue"))
    if how == "patch":
        assert kube.patch(path, {"data": {"colour": "red"}}, dryRun="All")["data"] == {"colour": "red"}
    elif how == "put":
        assert kube.put(path, config_map(name, colour="red"), dryRun="All")["data"] == {"colour": "red"}
    else:
        assert kube.raw("DELETE", path, params={"dryRun": "All"}).status_code == 200
    assert kube.get(path) == made


def test_a_dry_run_is_checked_like_the_real_thing(kube: KubeCluster, home: str) -> None:
    answer = kube.raw("POST", kube.path("configmaps", home), json=config_map("BAD"), params={"dryRun": "All"})
    assert answer.status_code == 422
    answer = kube.raw("POST", kube.path("configmaps", home), json=config_map("good"), params={"dryRun": "Some"})
    assert answer.status_code == 422
    assert answer.json()["message"].endswith('dryRun: Unsupported value: []string{"Some"}: supported values: "All"')


def test_what_nobody_said_is_filled_in(kube: KubeCluster, home: str) -> None:
    name = kube.name("web")
    body: Json = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "traefik/whoami", "ports": [{"containerPort": 80}]}]},
            },
        },
    }
    spec = kube.create(home, body, dryRun="All")["spec"]
    template = spec.pop("template")["spec"]
    assert spec == {
        "replicas": 1,
        "selector": {"matchLabels": {"app": name}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    assert template == {
        "containers": [
            {
                "name": "c",
                "image": "traefik/whoami",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "Always",  # because a missing tag means "latest"
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }


def test_the_official_client_reads_what_it_wrote(kube: KubeCluster, home: str) -> None:
    name = kube.name("web")
    container = client.V1Container(name="c", image=WHOAMI)
    labels = {"app": name}
    body = client.V1Deployment(
        metadata=client.V1ObjectMeta(name=name),
        spec=client.V1DeploymentSpec(
            replicas=0,
            selector=client.V1LabelSelector(match_labels=labels),
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container])
            ),
        ),
    )
    made = kube.apps.create_namespaced_deployment(home, body)
    assert made.metadata.creation_timestamp.tzinfo is not None
    body.spec.template.spec.containers[0].image = WHOAMI_NEXT
    kube.apps.patch_namespaced_deployment(name, home, body)
    read = kube.apps.read_namespaced_deployment(name, home)
    assert read.spec.template.spec.containers[0].image == WHOAMI_NEXT
    assert name in {found.metadata.name for found in kube.apps.list_namespaced_deployment(home).items}
    kube.apps.delete_namespaced_deployment(name, home)
    with pytest.raises(client.ApiException) as refused:
        kube.core.read_namespaced_config_map("none", home)
    assert refused.value.status == 404


def test_a_secrets_text_becomes_base64(kube: KubeCluster, home: str) -> None:
    name = kube.name("s")
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"word": "sesame"}}
    made = kube.create(home, body)
    assert made["data"] == {"word": "c2VzYW1l"}
    assert "stringData" not in made
    assert made["type"] == "Opaque"


@pytest.mark.parametrize("plural", ["configmaps", "secrets"])
def test_what_is_immutable_stays_as_it_is(kube: KubeCluster, home: str, plural: str) -> None:
    name = kube.name("fixed")
    kind = "ConfigMap" if plural == "configmaps" else "Secret"
    data = {"a": "eA=="}
    kube.create(home, {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data, "immutable": True})
    path = kube.path(plural, home, name)
    headers = {"Content-Type": "application/merge-patch+json"}
    status = kube.refusal("PATCH", path, data='{"data": {"a": "eQ=="}}', headers=headers)
    assert status["message"] == (
        f'{kind} "{name}" is invalid: data: Forbidden: field is immutable when `immutable` is set'
    )
    status = kube.refusal("PATCH", path, data='{"immutable": false}', headers=headers)
    assert "immutable: Forbidden: field is immutable when `immutable` is set" in status["message"]
    kube.patch(path, {"metadata": {"labels": {"still": "allowed"}}})


def test_times_and_owners_may_not_be_made_up(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    body = config_map(name)
    body["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 9}
    meta = kube.create(home, body)["metadata"]
    assert meta["uid"] != body["metadata"]["uid"]
    assert not meta["creationTimestamp"].startswith("2001")
    assert meta.get("generation") in (None, 9)  # nobody looks at it where there is no spec
