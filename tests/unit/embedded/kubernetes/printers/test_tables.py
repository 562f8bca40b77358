"""Rows of the other kinds, what a row carries, and that no object breaks a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.printers import SCALE, table
from labkit.embedded.kubernetes.printers.cells import selector

NOW = 1000.0
META = {"name": "x", "creationTimestamp": "1970-01-01T00:16:30Z"}
AGE = "10s"
TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}}
SELECTOR = {"matchLabels": {"app": "web"}}


def cells(kind, **obj):
    return table(kind, [{"metadata": META, **obj}], NOW)[1][0]["cells"]


def owner(kind, version, name):
    return {"apiVersion": version, "kind": kind, "name": name, "controller": True}


@pytest.mark.parametrize(
    ("kind", "obj", "wanted"),
    [
        (
            kinds.DEPLOYMENTS,
            {
                "spec": {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE},
                "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
            },
            ["x", "1/3", 2, 1, AGE, "a,b", "i,j", "app=web"],
        ),
        (
            kinds.REPLICA_SETS,
            {"spec": {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE}, "status": {"replicas": 2}},
            ["x", 3, 2, 0, AGE, "a,b", "i,j", "app=web"],
        ),
        (
            kinds.REPLICATION_CONTROLLERS,
            {"spec": {"replicas": 1, "selector": {"b": "2", "a": "1"}, "template": TEMPLATE}},
            ["x", 1, 0, 0, AGE, "a,b", "i,j", "a=1,b=2"],
        ),
        (
            kinds.DAEMON_SETS,
            {
                "spec": {"selector": SELECTOR, "template": TEMPLATE},
                "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1},
            },
            ["x", 3, 2, 1, 0, 0, "<none>", AGE, "a,b", "i,j", "app=web"],
        ),
        (
            kinds.JOBS,
            {
                "spec": {"completions": 3, "template": TEMPLATE, "selector": SELECTOR},
                "status": {"succeeded": 1, "startTime": "1970-01-01T00:16:30Z"},
            },
            ["x", "Running", "1/3", AGE, AGE, "a,b", "i,j", "app=web"],
        ),
        (
            kinds.NODES,
            {
                "spec": {"unschedulable": True},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "nodeInfo": {"kubeletVersion": "v1.36.1", "osImage": "Debian"},
                    "addresses": [{"type": "InternalIP", "address": "127.1.0.10"}],
                },
            },
            [
                "x", "Ready,SchedulingDisabled", "<none>", AGE, "v1.36.1", "127.1.0.10", "<none>", "Debian",
                "<unknown>", "<unknown>",
            ],
        ),
        (kinds.NODES, {}, ["x", "Unknown", "<none>", AGE, "", "<none>", "<none>", *["<unknown>"] * 3]),
        (
            kinds.SERVICES,
            {
                "spec": {
                    "type": "NodePort",
                    "clusterIP": "1.2.3.4",
                    "clusterIPs": ["1.2.3.4"],
                    "ports": [{"port": 80, "nodePort": 30000, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
                    "selector": {"app": "web"},
                }
            },
            ["x", "NodePort", "1.2.3.4", "<none>", "80:30000/TCP,53/UDP", AGE, "app=web"],
        ),
        (
            kinds.SERVICES,
            {"spec": {"type": "ExternalName", "externalName": "example.org"}},
            ["x", "ExternalName", "<none>", "example.org", "<none>", AGE, "<none>"],
        ),
        (
            kinds.SERVICES,
            {"spec": {"type": "LoadBalancer", "clusterIPs": ["None"], "externalIPs": ["9.9.9.9"]}},
            ["x", "LoadBalancer", "None", "9.9.9.9", "<none>", AGE, "<none>"],
        ),
        (
            kinds.SERVICES,
            {"spec": {"type": "LoadBalancer"}},
            ["x", "LoadBalancer", "<none>", "<pending>", "<none>", AGE, "<none>"],
        ),
        (kinds.ENDPOINTS, {}, ["x", "<none>", AGE]),
        (
            kinds.ENDPOINTS,
            {"subsets": [{"addresses": [{"ip": "1.1.1.1"}, {"ip": "::2"}], "ports": [{"port": 80}, {"port": 443}]}]},
            ["x", "1.1.1.1:80,[::2]:80,1.1.1.1:443 + 1 more...", AGE],
        ),
        (kinds.ENDPOINTS, {"subsets": [{"addresses": [{"ip": "1.1.1.1"}]}]}, ["x", "1.1.1.1", AGE]),
        (kinds.ENDPOINTS, {"subsets": [{"notReadyAddresses": [{"ip": "1"}], "ports": [{"port": 1}]}]}, ["x", "", AGE]),
        (
            kinds.ENDPOINT_SLICES,
            {
                "addressType": "IPv4",
                "ports": [{"port": 80}, {"name": "dns"}, {}],
                "endpoints": [{"addresses": [address]} for address in "abcde"],
            },
            ["x", "IPv4", "80,dns,*", "a,b,c + 2 more...", AGE],
        ),
        (kinds.ENDPOINT_SLICES, {"addressType": "IPv6"}, ["x", "IPv6", "<unset>", "<unset>", AGE]),
        (
            kinds.EVENTS,
            {
                "type": "Warning",
                "reason": "BackOff",
                "message": "Back-off\n",
                "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{a}"},
                "source": {"component": "kubelet", "host": "n1"},
                "firstTimestamp": "1970-01-01T00:15:00Z",
                "lastTimestamp": "1970-01-01T00:16:00Z",
                "count": 4,
            },
            ["40s", "Warning", "BackOff", "pod/p", "spec.containers{a}", "kubelet, n1", "Back-off", "100s", 4, "x"],
        ),
        (
            kinds.EVENTS,
            {
                "reason": "R",
                "involvedObject": {"kind": "Node"},
                "eventTime": "1970-01-01T00:16:00.000000Z",
                "reportingComponent": "default-scheduler",
                "reportingInstance": "s-1",
                "series": {"count": 9, "lastObservedTime": "1970-01-01T00:16:35.000000Z"},
            },
            ["5s", "", "R", "node", "", "default-scheduler, s-1", "", "40s", 9, "x"],
        ),
        (kinds.NAMESPACES, {"status": {"phase": "Active"}}, ["x", "Active", AGE]),
        (kinds.CONFIG_MAPS, {"data": {"a": "1"}, "binaryData": {"b": "MQ=="}}, ["x", 2, AGE]),
        (kinds.SECRETS, {"type": "Opaque", "data": {"a": "MQ=="}}, ["x", "Opaque", 1, AGE]),
        (kinds.SERVICE_ACCOUNTS, {}, ["x", 0, AGE]),
        (kinds.LEASES, {"spec": {"holderIdentity": "n1"}}, ["x", "n1", AGE]),
        (
            kinds.POD_DISRUPTION_BUDGETS,
            {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}},
            ["x", "50%", "N/A", 1, AGE],
        ),
        (
            kinds.PRIORITY_CLASSES,
            {"value": 7, "preemptionPolicy": "Never"},
            ["x", 7, False, AGE, "Never"],
        ),
        (
            kinds.CONTROLLER_REVISIONS,
            {"metadata": {**META, "ownerReferences": [owner("DaemonSet", "apps/v1", "d")]}, "revision": 2},
            ["x", "daemonset.apps/d", 2, AGE],
        ),
        (kinds.CONTROLLER_REVISIONS, {"revision": 2}, ["x", "<none>", 2, AGE]),
        (
            kinds.COMPONENT_STATUSES,
            {"conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]},
            ["x", "Healthy", "ok", ""],
        ),
        (SCALE, {"spec": {"replicas": 3}, "status": {"replicas": 2}}, ["x", 3, 2, AGE]),
        (Kind("Widget", "widgets", "example.org"), {}, ["x", META["creationTimestamp"]]),
    ],
)  # fmt: skip
def test_rows(kind, obj, wanted):
    assert cells(kind, **obj) == wanted


@pytest.mark.parametrize(
    ("status", "deleted", "word"),
    [
        ({"conditions": [{"type": "Complete", "status": "True"}]}, True, "Complete"),
        ({"conditions": [{"type": "Failed", "status": "True"}]}, False, "Failed"),
        ({}, True, "Terminating"),
        ({"conditions": [{"type": "Suspended", "status": "True"}]}, False, "Suspended"),
        ({"conditions": [{"type": "FailureTarget", "status": "True"}]}, False, "FailureTarget"),
        ({"conditions": [{"type": "Suspended", "status": "False"}]}, False, "Running"),
    ],
)
def test_a_jobs_word(status, deleted, word):
    metadata = {**META, "deletionTimestamp": "1970-01-01T00:00:00Z"} if deleted else META
    assert cells(kinds.JOBS, metadata=metadata, status=status)[1] == word


@pytest.mark.parametrize(
    ("spec", "completions"),
    [({}, "2/1"), ({"parallelism": 4}, "2/1 of 4"), ({"completions": 5, "parallelism": 4}, "2/5")],
)
def test_a_jobs_completions(spec, completions):
    assert cells(kinds.JOBS, spec=spec, status={"succeeded": 2})[2] == completions


def test_a_finished_job_says_how_long_it_took():
    status = {"startTime": "1970-01-01T00:00:00Z", "completionTime": "1970-01-01T00:02:05Z"}
    assert cells(kinds.JOBS, status=status)[3] == "2m5s"
    assert cells(kinds.JOBS)[3] == ""


def test_roles():
    labels = {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge", "node-role.kubernetes.io/": ""}
    assert cells(kinds.NODES, metadata={**META, "labels": labels})[2] == "control-plane,edge"


def test_selectors():
    expressions = [
        {"key": "b", "operator": "In", "values": ["2", "1"]},
        {"key": "c", "operator": "NotIn", "values": ["3"]},
        {"key": "d", "operator": "Exists"},
        {"key": "e", "operator": "DoesNotExist"},
    ]
    both = {"matchLabels": {"a": "1"}, "matchExpressions": expressions}
    assert selector(both) == "a=1,b in (1,2),c notin (3),d,!e"
    assert selector(None) == selector({}) == "<none>"
    assert selector({"matchExpressions": [{"key": "a", "operator": "Like"}]}) == "<error>"


def test_what_a_row_carries():
    obj = {"metadata": META, "data": {}}
    of = {
        include: table(kinds.CONFIG_MAPS, [obj], NOW, include=include)[1][0]
        for include in ("None", "Metadata", "Object")
    }
    assert of["None"]["object"] is None
    assert of["Object"]["object"] is obj
    assert of["Metadata"]["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": META,
    }


@pytest.mark.parametrize("kind", [*kinds.KINDS, SCALE], ids=lambda kind: kind.kind)
def test_every_kind_has_as_many_cells_as_columns_even_for_an_empty_object(kind):
    columns, rows = table(kind, [{"metadata": {"name": "x"}}, {"metadata": META, "spec": {}, "status": {}}], NOW)
    assert {len(row["cells"]) for row in rows} == {len(columns)}
    assert all(set(column) == {"name", "type", "format", "description", "priority"} for column in columns)
    assert [column["name"] for column in columns if column["format"] == "name"] == ["Name"]


@given(st.sampled_from(list(kinds.stored())), st.sampled_from([None, "", "1970-01-01T00:00:00Z", "never"]))
def test_broken_times_do_not_break_a_table(kind, moment):
    table(kind, [{"metadata": {"name": "x", "creationTimestamp": moment}}], NOW)
