"""Lists: selectors, pages, tables, and only the metadata."""

from __future__ import annotations

import pytest
from kubernetes import client
from support.kube_cluster import Json, KubeCluster, config_map, deployment, pod

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

LABELS = {
    "a": {"tier": "front", "colour": "blue"},
    "b": {"tier": "front", "colour": "green"},
    "c": {"tier": "back", "colour": "blue"},
    "d": {"tier": "back"},
    "e": {},
}


@pytest.fixture(scope="module")
def five(cluster: KubeCluster) -> str:
    """A namespace with five ConfigMaps, a to e."""
    namespace = cluster.namespace()
    for name, labels in LABELS.items():
        cluster.create(namespace, config_map(name, labels, name=name))
    yield namespace
    cluster.drop(namespace)


def names(kube: KubeCluster, namespace: str, **params: str) -> str:
    """The names of the ConfigMaps in a list, as they come; without those that the cluster itself makes."""
    items = kube.get(kube.path("configmaps", namespace), **params)["items"]
    return "".join(item["metadata"]["name"] for item in items if item["metadata"]["name"] in LABELS)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", "abcde"),
        ("tier=front", "ab"),
        ("tier==front,colour=blue", "a"),
        ("tier!=front", "cde"),
        ("tier in (front, back)", "abcd"),
        ("colour notin (blue)", "bde"),
        ("colour", "abc"),
        ("!colour", "de"),
        ("tier,!colour", "d"),
        ("tier=nowhere", ""),
    ],
)
def test_label_selectors(kube: KubeCluster, five: str, selector: str, expected: str) -> None:
    assert names(kube, five, labelSelector=selector) == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [("metadata.name=b", "b"), ("metadata.name!=b", "acde"), ("metadata.namespace=elsewhere", "")],
)
def test_field_selectors(kube: KubeCluster, five: str, selector: str, expected: str) -> None:
    assert names(kube, five, fieldSelector=selector) == expected


def test_field_selectors_of_pods(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, pod("here", "nothing:1", nodeName=kube.workers[0]))
    kube.create(ns, pod("nowhere", schedulerName="nobody", restartPolicy="Never"))

    def found(selector: str) -> list[str]:
        return [p["metadata"]["name"] for p in kube.get(kube.path("pods", ns), fieldSelector=selector)["items"]]

    assert found(f"spec.nodeName={kube.workers[0]}") == ["here"]
    assert found("spec.nodeName=") == ["nowhere"]
    assert found("status.phase=Pending") == ["here", "nowhere"]
    assert found("status.phase!=Pending") == []
    assert found("spec.restartPolicy=Never") == ["nowhere"]
    assert found("spec.schedulerName=nobody,metadata.name=nowhere") == ["nowhere"]


def test_a_list_in_pages(kube: KubeCluster, five: str) -> None:
    path = kube.path("configmaps", five)
    selector = "metadata.name!=kube-root-ca.crt"
    first = kube.get(path, limit=2, fieldSelector=selector)
    assert [i["metadata"]["name"] for i in first["items"]] == ["a", "b"]
    assert first["metadata"].get("remainingItemCount") is None  # with a selector nobody knows how many
    kube.create(five, config_map("aa"))
    try:
        second = kube.get(path, limit=2, fieldSelector=selector, **{"continue": first["metadata"]["continue"]})
        # All pages are of one moment.
        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        assert [i["metadata"]["name"] for i in second["items"]] == ["c", "d"]
        more = {"continue": second["metadata"]["continue"]}
        third = kube.get(path, limit=2, fieldSelector=selector, **more)
        assert [i["metadata"]["name"] for i in third["items"]] == ["e"]
        assert "continue" not in third["metadata"]
    finally:
        kube.delete(kube.path("configmaps", five, "aa"))


def test_a_page_tells_how_many_are_left(kube: KubeCluster, five: str) -> None:
    path = kube.path("configmaps", five)
    everything = kube.get(path)["items"]
    page = kube.get(path, limit=1)
    assert page["metadata"]["remainingItemCount"] == len(everything) - 1
    assert "remainingItemCount" not in kube.get(path)["metadata"]


def test_a_token_that_is_none(kube: KubeCluster, five: str) -> None:
    status = kube.refusal("GET", kube.path("configmaps", five), params={"limit": 1, "continue": "x"})
    assert (status["code"], status["reason"]) == (400, "BadRequest")
    assert status["message"] == (
        "invalid continue token: continue key is not valid: illegal base64 data at input byte 0"
    )


def test_a_list_of_all_namespaces(kube: KubeCluster, five: str) -> None:
    found = kube.get(kube.path("configmaps"), fieldSelector=f"metadata.namespace={five},metadata.name=a")
    assert found["kind"] == "ConfigMapList"
    assert found["apiVersion"] == "v1"
    [item] = found["items"]
    assert (item["metadata"]["namespace"], item["data"]) == (five, {"name": "a"})
    assert "kind" not in item  # the list has said it


def test_a_list_from_a_version(kube: KubeCluster, five: str) -> None:
    path = kube.path("configmaps", five)
    now = kube.get(path)["metadata"]["resourceVersion"]
    assert kube.get(path, resourceVersion="0")["items"]
    exact = kube.get(path, resourceVersion=now, resourceVersionMatch="Exact", limit=1)
    assert exact["metadata"]["resourceVersion"] == now
    status = kube.refusal("GET", path, params={"resourceVersion": "9999999", "resourceVersionMatch": "NotOlderThan"})
    assert (status["code"], status["reason"]) == (504, "Timeout")
    assert status["details"]["retryAfterSeconds"] == 1
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"labelSelector": "a=b=c"}, "found '=', expected: ',' or 'end of string'"),
        ({"labelSelector": "!"}, "unable to parse requirement: found '', expected: identifier"),
        ({"fieldSelector": "data.x=1"},
         '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"'),
        ({"fieldSelector": "x"}, "invalid selector: 'x'; can't understand 'x'"),
        ({"limit": "many"}, 'strconv.ParseInt: parsing "many": invalid syntax'),
    ],
    ids=lambda value: next(iter(value.items()))[0] if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_list_that_cannot_be(kube: KubeCluster, five: str, params: dict[str, str], message: str) -> None:
    status = kube.refusal("GET", kube.path("configmaps", five), params=params)
    assert (status["code"], status["reason"], status["message"]) == (400, "BadRequest", message)


def test_a_table(kube: KubeCluster, five: str) -> None:
    path = kube.path("configmaps", five)
    table = kube.raw("GET", path, headers={"Accept": TABLE}, params={"labelSelector": "tier"}).json()
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [(c["name"], c["type"], c["format"], c["priority"]) for c in table["columnDefinitions"]] == [
        ("Name", "string", "name", 0),
        ("Data", "string", "", 0),
        ("Age", "string", "", 0),
    ]
    assert [row["cells"][:2] for row in table["rows"]] == [["a", 1], ["b", 1], ["c", 1], ["d", 1]]
    held = table["rows"][0]["object"]
    assert (held["kind"], held["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert set(held) == {"kind", "apiVersion", "metadata"}


@pytest.mark.parametrize(("include", "kind"), [("None", None), ("Object", "ConfigMap")])
def test_what_a_tables_rows_hold(kube: KubeCluster, five: str, include: str, kind: str | None) -> None:
    path = kube.path("configmaps", five, "a")
    table = kube.raw("GET", path, headers={"Accept": TABLE}, params={"includeObject": include}).json()
    [row] = table["rows"]
    assert (row["object"] or {}).get("kind") == kind


@pytest.mark.parametrize(
    ("plural", "columns"),
    [
        ("pods", "Name Ready Status Restarts Age IP Node Nominated_Node Readiness_Gates"),
        ("nodes", "Name Status Roles Age Version Internal-IP External-IP OS-Image Kernel-Version Container-Runtime"),
        ("services", "Name Type Cluster-IP External-IP Port(s) Age Selector"),
        ("endpoints", "Name Endpoints Age"),
        ("namespaces", "Name Status Age"),
        ("secrets", "Name Type Data Age"),
        ("replicationcontrollers", "Name Desired Current Ready Age Containers Images Selector"),
        ("deployments", "Name Ready Up-to-date Available Age Containers Images Selector"),
        ("replicasets", "Name Desired Current Ready Age Containers Images Selector"),
        ("daemonsets", "Name Desired Current Ready Up-to-date Available Node_Selector Age Containers Images Selector"),
        ("jobs", "Name Completions Duration Age Containers Images Selector"),
        ("poddisruptionbudgets", "Name Min_Available Max_Unavailable Allowed_Disruptions Age"),
        ("endpointslices", "Name AddressType Ports Endpoints Age"),
        ("events", "Last_Seen Type Reason Object Subobject Source Message First_Seen Count Name"),
        ("leases", "Name Holder Age"),
        ("controllerrevisions", "Name Controller Revision Age"),
    ],
)
def test_the_columns_of_a_table(kube: KubeCluster, plural: str, columns: str) -> None:
    path = kube.path(plural)
    table = kube.raw("GET", path, headers={"Accept": TABLE}, params={"limit": 1}).json()
    found = [c["name"].replace(" ", "_") for c in table["columnDefinitions"]]
    # 1.34 and newer tell of a Job's status in a column more.
    assert [c for c in found if (plural, c) != ("jobs", "Status")] == columns.split()


def test_a_pods_row(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, pod("waits", schedulerName="nobody"))
    table = kube.raw("GET", kube.path("pods", ns), headers={"Accept": TABLE}).json()
    [row] = table["rows"]
    name, ready, status, restarts, _, ip, node, *_ = row["cells"]
    assert (name, ready, status, restarts, ip, node) == ("waits", "0/1", "Pending", restarts, "<none>", "<none>")
    assert str(restarts) == "0"


def test_only_the_metadata(kube: KubeCluster, five: str) -> None:
    path = kube.path("configmaps", five)
    found = kube.raw("GET", path, headers={"Accept": METADATA_LIST}, params={"labelSelector": "tier=front"}).json()
    assert (found["kind"], found["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert [i["metadata"]["labels"]["colour"] for i in found["items"]] == ["blue", "green"]
    assert all("data" not in item for item in found["items"])
    one = kube.raw("GET", f"{path}/a", headers={"Accept": METADATA}).json()
    assert one["kind"] == "PartialObjectMetadata"
    assert "data" not in one


def test_the_first_media_type_that_is_known_counts(kube: KubeCluster, five: str) -> None:
    path = kube.path("configmaps", five, "a")
    wanted = f"application/vnd.unknown, {TABLE}, application/json"
    assert kube.raw("GET", path, headers={"Accept": wanted}).json()["kind"] == "Table"
    assert kube.raw("GET", path, headers={"Accept": "*/*"}).json()["kind"] == "ConfigMap"
    status = kube.refusal("GET", path, headers={"Accept": "text/html"})
    assert (status["code"], status["reason"]) == (406, "NotAcceptable")


def test_yaml_is_given_and_taken(kube: KubeCluster, five: str, home: str) -> None:
    import yaml

    answer = kube.raw("GET", kube.path("configmaps", five, "a"), headers={"Accept": "application/yaml"})
    found: Json = yaml.safe_load(answer.text)
    assert found["data"] == {"name": "a"}
    name = kube.name("cm")
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  long: |\n    two\n    lines\n"
    headers = {"Content-Type": "application/yaml"}
    answer = kube.raw("POST", kube.path("configmaps", home), data=text, headers=headers)
    assert answer.status_code == 201
    assert answer.json()["data"] == {"long": "two\nlines\n"}


def test_the_official_client_pages_through(kube: KubeCluster, five: str) -> None:
    found: list[str] = []
    token = None
    while True:
        page = kube.core.list_namespaced_config_map(five, limit=2, _continue=token, label_selector="tier")
        found += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert found == ["a", "b", "c", "d"]
    with pytest.raises(client.ApiException) as refused:
        kube.core.list_namespaced_config_map(five, label_selector="a b")
    assert refused.value.status == 400


@pytest.mark.parametrize("word", ["deploy", "deployments.apps", "deployments.v1.apps", "Deployment"])
def test_kubectl_finds_a_resource_by_any_of_its_names(kube: KubeCluster, home: str, word: str) -> None:
    name = kube.name("web")
    kube.create(home, deployment(name, 0))
    assert kube.kubectl("get", word, name, "-n", home, "-o", "name").text == f"deployment.apps/{name}"
