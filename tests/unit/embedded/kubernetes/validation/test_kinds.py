"""Rules of all kinds but pods, and of what may change. The words are a real API server's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import RULES, validate, validate_update
from tests.unit.embedded.kubernetes.samples import (
    FINE,
    LABELS,
    cluster_wide,
    complete,
    job,
    metadata,
    pod,
    service,
    template,
    workload,
)

S = "spec.strategy.rollingUpdate"
PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


def rolling(**numbers: object) -> Json:
    return workload(strategy={"rollingUpdate": numbers})


def secret(kind: str, **data: str) -> Json:
    return {"metadata": metadata(), "type": f"kubernetes.io/{kind}", "stringData": data}


def budget(**spec: object) -> Json:
    return {"metadata": metadata(), "spec": spec}


R, W = "spec.podFailurePolicy.rules[0]", "spec.successPolicy.rules"
IN_1: Json = {"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}}
JOB_LABELS = job()["spec"]["template"]["metadata"]["labels"]
LONG = "a" * 61
MANY = "must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index"


def indexed(completions: int, **spec: object) -> Json:
    return job(completionMode="Indexed", completions=completions, **{"parallelism": 1, **spec})


def failing(*rules: Json, **spec: object) -> Json:
    return job(podFailurePolicy={"rules": list(rules)}, **spec)


def succeeding(*rules: Json) -> Json:
    return indexed(5, successPolicy={"rules": list(rules)})


REFUSED: list[tuple[Kind, Json, list[str]]] = [
    (kinds.DEPLOYMENTS, {"metadata": metadata()}, [
        "spec.selector: Required value",
        "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
        "spec.template.spec.containers: Required value",
    ]),
    (kinds.DEPLOYMENTS, workload(selector={"matchLabels": {"a": "b"}}), [
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ]),
    (kinds.DEPLOYMENTS, workload(selector={}), [
        "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
    ]),
    (kinds.DEPLOYMENTS, workload(selector={"matchExpressions": [{"key": "a", "operator": "X"}]}), [
        'spec.selector.matchExpressions[0].operator: Invalid value: "X": not a valid selector operator',
        'spec.selector: Invalid value: {"matchExpressions":[{"key":"a","operator":"X"}]}: invalid label selector',
    ]),
    (kinds.DEPLOYMENTS, workload(replicas=-1), [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    ]),
    (kinds.DEPLOYMENTS, workload(progressDeadlineSeconds=5, minReadySeconds=10), [
        "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
    ]),
    (kinds.DEPLOYMENTS, workload(strategy={"type": "Recreate", "rollingUpdate": {}}), [
        f"{S}: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ]),
    (kinds.DEPLOYMENTS, workload(strategy={"type": "Foo"}), [
        'spec.strategy: Unsupported value: {"Type":"Foo","RollingUpdate":null}: '
        'supported values: "Recreate", "RollingUpdate"',
    ]),
    (kinds.DEPLOYMENTS, rolling(maxSurge=0, maxUnavailable=0), [
        f"{S}.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
    ]),
    (kinds.DEPLOYMENTS, rolling(maxSurge="0%", maxUnavailable="0%"), [
        f'{S}.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
    ]),
    (kinds.DEPLOYMENTS, rolling(maxSurge="x", maxUnavailable="120%"), [
        f'{S}.maxSurge: Invalid value: "x": {PERCENT}',
        f'{S}.maxUnavailable: Invalid value: "120%": must not be greater than 100%',
    ]),
    (kinds.DEPLOYMENTS, workload(template=template({"restartPolicy": "Never"})), [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ]),
    (kinds.REPLICA_SETS, workload(template=template({"activeDeadlineSeconds": 5})), [
        "spec.template.spec.activeDeadlineSeconds: Forbidden: "
        "activeDeadlineSeconds in ReplicaSet is not Supported",
    ]),
    (kinds.REPLICA_SETS, workload(selector={}), [
        "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
    ]),
    (kinds.REPLICATION_CONTROLLERS, {"metadata": metadata()}, [
        "spec.selector: Required value", "spec.template: Required value",
    ]),
    (kinds.DAEMON_SETS, workload(updateStrategy={"rollingUpdate": {"maxUnavailable": 0}}), [
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
    ]),
    (kinds.DAEMON_SETS, workload(updateStrategy={"rollingUpdate": {"maxSurge": 1}}), [
        "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: "
        "may not be set when maxUnavailable is non-zero",
    ]),
    (kinds.JOBS, job(template=template({"restartPolicy": "Never"})), [
        "spec.template.metadata.labels[controller-uid]: Required value: must be 'u-1'",
        "spec.template.metadata.labels[job-name]: Required value: must be 'web'",
        "spec.template.metadata.labels[batch.kubernetes.io/controller-uid]: Required value: must be 'u-1'",
        "spec.template.metadata.labels[batch.kubernetes.io/job-name]: Required value: must be 'web'",
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ]),
    (kinds.JOBS, job(manualSelector=True, selector={"matchLabels": LABELS}, template=template()), [
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ]),
    (kinds.JOBS, job(completionMode="Indexed", parallelism=1), [
        "spec.completions: Required value: when completion mode is Indexed",
    ]),
    (kinds.JOBS, job(backoffLimit=-1), [
        "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
    ]),
    (kinds.JOBS, job(backoffLimitPerIndex=1, maxFailedIndexes=1, successPolicy={"rules": [{"succeededCount": 1}]}), [
        "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
        'spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":null,"SucceededCount":1}]}: '
        "requires indexed completion mode",
    ]),
    (kinds.JOBS, indexed(3, maxFailedIndexes=4), [
        "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
        "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
    ]),
    (kinds.JOBS, indexed(200_000, parallelism=20_000, backoffLimitPerIndex=1), [
        "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
        f"spec.parallelism: Invalid value: 20000: {MANY}",
    ]),
    (kinds.JOBS, indexed(200_000, maxFailedIndexes=100_001, backoffLimitPerIndex=1), [
        "spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to 100000",
        f"spec.maxFailedIndexes: Invalid value: 100001: {MANY}",
    ]),
    (kinds.JOBS, {**indexed(11, manualSelector=True), "metadata": metadata(LONG)}, [
        f'metadata.name: Invalid value: "{LONG}": will not able to create pod with invalid DNS label: {LONG}-10',
    ]),
    (kinds.JOBS, job(managedBy="mine"), [
        'spec.managedBy: Invalid value: "mine": must be a domain-prefixed path (such as "acme.io/foo")',
    ]),
    (kinds.JOBS, job(managedBy="example.com/" + "x y" * 20), [
        f'spec.managedBy: Invalid value: "{"x y" * 20}": Invalid path '
        "(regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
        "spec.managedBy: Too long: may not be more than 63 bytes",
    ]),
    (kinds.JOBS, failing({"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [0, 3, 2, 2]}}), [
        f'{R}.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
        f"{R}.onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
        f"{R}.onExitCodes.values[3]: Duplicate value: 2",
        f"{R}.onExitCodes.values: Invalid value: [0,3,2,2]: must be ordered",
    ]),
    (kinds.JOBS, failing({"onExitCodes": {"containerName": "x"}}), [
        f'{R}.action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]',
        f'{R}.onExitCodes.operator: Required value: valid values: ["In" "NotIn"]',
        f'{R}.onExitCodes.containerName: Invalid value: "x": '
        "must be one of the container or initContainer names in the pod template",
        f"{R}.onExitCodes.values: Invalid value: null: at least one value is required",
    ]),
    (kinds.JOBS, failing({"action": "Retry", "onPodConditions": [{"type": "a b", "status": "Maybe"}]}), [
        f'{R}.action: Unsupported value: "Retry": supported values: "Count", "FailIndex", "FailJob", "Ignore"',
        f'{R}.onPodConditions[0].type: Invalid value: "a b": name part must consist of alphanumeric characters, '
        "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "
        "'123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        f'{R}.onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
    ]),
    (kinds.JOBS, failing({"action": "Count"}, podReplacementPolicy="TerminatingOrFailed"), [
        f"{R}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
        'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
    ]),
    (kinds.JOBS, failing({**IN_1, "onPodConditions": [{"type": "Ready", "status": "True"}]}), [
        f"{R}: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
    ]),
    (kinds.JOBS, failing(*[IN_1] * 21, template=template({"restartPolicy": "OnFailure"}, JOB_LABELS)), [
        "spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items",
        'spec.template.spec.restartPolicy: Invalid value: "OnFailure": '
        'only "Never" is supported when podFailurePolicy is specified',
    ]),
    (kinds.JOBS, indexed(5, successPolicy={"rules": []}), [
        "spec.successPolicy.rules: Required value: "
        "at least one rules must be specified when the successPolicy is specified",
    ]),
    (kinds.JOBS, succeeding({}, {"succeededCount": 6}, {"succeededIndexes": "0,2-3", "succeededCount": 4}), [
        f"{W}[0]: Required value: at least one of succeededCount or succeededIndexes must be specified",
        f"{W}[1].succeededCount: Invalid value: 6: must be less than or equal to 5 "
        "(the number of specified completions)",
        f"{W}[2].succeededCount: Invalid value: 4: must be less than or equal to 3 "
        "(the number of indexes in the specified succeededIndexes field)",
    ]),
    (kinds.JOBS, succeeding(*({"succeededIndexes": text} for text in ("1-2-3", "x", "5", "3,1", "3-3"))), [
        f'{W}[0].succeededIndexes: Invalid value: "1-2-3": error parsing succeededIndexes: the fragment "1-2-3" '
        "violates the requirement that an index interval can have at most two parts separated by '-'",
        f'{W}[1].succeededIndexes: Invalid value: "x": error parsing succeededIndexes: '
        'cannot convert string to integer for index: "x"',
        f'{W}[2].succeededIndexes: Invalid value: "5": error parsing succeededIndexes: too large index: "5"',
        f'{W}[3].succeededIndexes: Invalid value: "3,1": error parsing succeededIndexes: '
        "non-increasing order, previous: 3, current: 1",
        f'{W}[4].succeededIndexes: Invalid value: "3-3": error parsing succeededIndexes: '
        "non-increasing order, previous: 3, current: 3",
    ]),
    (kinds.SERVICES, service(ports=[]), ["spec.ports: Required value"]),
    (kinds.SERVICES, service(ports=[{"port": 0}]), [
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
    ]),
    (kinds.SERVICES, service(ports=[{"port": 80}, {"port": 81}]), [
        "spec.ports[0].name: Required value", "spec.ports[1].name: Required value",
    ]),
    (kinds.SERVICES, service(ports=[{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]), [
        'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,'
        '"NodePort":0}',
    ]),
    (kinds.SERVICES, service(ports=[{"port": 80, "nodePort": 30000}]), [
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ]),
    (kinds.SERVICES, service(type="X"), [
        'spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ]),
    (kinds.SERVICES, service(type="ExternalName"), ["spec.externalName: Required value"]),
    (kinds.SERVICES, service(type="NodePort", clusterIP="None", clusterIPs=["None"]), [
        "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
    ]),
    (kinds.SERVICES, service(clusterIP="x", clusterIPs=["x"]), [
        'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ]),
    (kinds.SERVICES, service(sessionAffinity="X"), [
        'spec.sessionAffinity: Unsupported value: "X": supported values: "ClientIP", "None"',
    ]),
    (kinds.SERVICES, service(externalTrafficPolicy="Local"), [
        'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
    ]),
    (kinds.ENDPOINTS, {"metadata": metadata(), "subsets": [{"addresses": [{"ip": "169.254.0.1"}]}]}, [
        'subsets[0].addresses[0].ip: Invalid value: "169.254.0.1": '
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
    ]),
    (kinds.ENDPOINT_SLICES, {"metadata": metadata(), "addressType": "X"}, [
        'addressType: Unsupported value: "X": supported values: "FQDN", "IPv4", "IPv6"',
    ]),
    (kinds.CONFIG_MAPS, {"metadata": metadata(), "data": {"..": "x"}}, [
        "data[..]: Invalid value: \"..\": must not be '..'",
    ]),
    (kinds.CONFIG_MAPS, {"metadata": metadata(), "data": {"a": "x" * (1024 * 1024 + 1)}}, [
        "[]: Too long: may not be more than 1048576 bytes",
    ]),
    (kinds.SECRETS, secret("tls"), ["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
    (kinds.SECRETS, secret("dockerconfigjson", **{".dockerconfigjson": "x"}), [
        'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": '
        "invalid character 'x' looking for beginning of value",
    ]),
    (kinds.SECRETS, secret("service-account-token"), [
        "metadata.annotations[kubernetes.io/service-account.name]: Required value",
    ]),
    (kinds.POD_DISRUPTION_BUDGETS, budget(minAvailable=1, maxUnavailable=1), [
        'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: '
        "minAvailable and maxUnavailable cannot be both set",
    ]),
    (kinds.POD_DISRUPTION_BUDGETS, budget(maxUnavailable="150%"), [
        'spec.maxUnavailable: Invalid value: "150%": must not be greater than 100%',
    ]),
    (kinds.NAMESPACES, {"metadata": {"name": "a.b"}}, [
        'metadata.name: Invalid value: "a.b": must not contain dots',
    ]),
    (kinds.NODES, cluster_wide(spec={"taints": [{"key": "a", "effect": "X"}]}), [
        'metadata.taints[0].effect: Unsupported value: "X": '
        'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ]),
    (kinds.NODES, cluster_wide(spec={"taints": [{"key": "a", "effect": "NoSchedule"}] * 2}), [
        'metadata.taints[1]: Duplicate value: {"Key":"a","Value":"","Effect":"NoSchedule","TimeAdded":null}: '
        "taints must be unique by key and effect pair",
    ]),
    (kinds.PRIORITY_CLASSES, {"metadata": {"name": "system-x"}, "value": 1}, [
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. "
        "error: system-x is not a known system priority class",
    ]),
    (kinds.PRIORITY_CLASSES, cluster_wide(value=2_000_000_000), [
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
    ]),
    (kinds.LEASES, {"metadata": metadata(), "spec": {"leaseDurationSeconds": 0}}, [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
    ]),
    (kinds.EVENTS, {"metadata": metadata(), "involvedObject": {"namespace": "other"}}, [
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
    ]),
]  # fmt: skip


def test_every_kind_that_can_be_made_has_rules() -> None:
    assert {kind for kind in kinds.stored() if "create" in kind.verbs} == set(RULES) == set(FINE)


@pytest.mark.parametrize("kind", FINE, ids=str)
def test_what_is_fine(kind: Kind) -> None:
    assert validate(kind, complete(kind, FINE[kind])) == []


@pytest.mark.parametrize(("kind", "obj", "words"), REFUSED, ids=lambda value: str(value)[-60:])
def test_what_may_not_be(kind: Kind, obj: Json, words: list[str]) -> None:
    assert [str(cause) for cause in validate(kind, complete(kind, obj))] == words


# -- updates


def altered(kind: Kind, subresource: str = "", **parts: Callable[[Any], Any]) -> list[str]:
    """What is said when parts of a fine object are made something else."""
    old = complete(kind, FINE[kind])
    new = copy.deepcopy(old)
    for part, change in parts.items():
        new[part] = change(new.get(part, {}))
    return [str(cause) for cause in validate_update(kind, complete(kind, new), old, subresource)]


def with_(**fields: Any) -> Callable[[Any], Any]:
    return lambda part: {**part, **fields}


@pytest.mark.parametrize("kind", FINE, ids=str)
@pytest.mark.parametrize("subresource", ["", "status"])
def test_the_same_again_is_fine(kind: Kind, subresource: str) -> None:
    old = complete(kind, FINE[kind])
    assert validate_update(kind, copy.deepcopy(old), old, subresource) == []
    assert validate_update(kind, old, old, subresource) == []


@pytest.mark.parametrize("kind", [kinds.DEPLOYMENTS, kinds.REPLICA_SETS, kinds.DAEMON_SETS], ids=str)
def test_selectors_of_workloads_stay(kind: Kind) -> None:
    selector = {"matchLabels": {**LABELS, "a": "b"}}
    grown = template(labels={**LABELS, "a": "b"})
    assert altered(kind, spec=with_(selector=selector, template=grown)) == [
        'spec.selector: Invalid value: {"matchLabels":{"a":"b","app":"web"}}: field is immutable'
    ]


def test_a_workload_may_be_scaled_and_get_another_template() -> None:
    assert altered(kinds.DEPLOYMENTS, spec=with_(replicas=5, template=template({"hostname": "x"}))) == []


def test_a_jobs_template_stays() -> None:
    (found,) = altered(kinds.JOBS, spec=lambda spec: {**spec, "template": {**spec["template"], "metadata": {
        "labels": {**spec["template"]["metadata"]["labels"], "a": "b"}}}})  # fmt: skip
    assert found.startswith("spec.template: Invalid value: {")
    assert found.endswith("}: field is immutable")
    assert altered(kinds.JOBS, spec=with_(completions=5)) == ["spec.completions: Invalid value: 5: field is immutable"]
    assert altered(kinds.JOBS, spec=with_(parallelism=5, suspend=True)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"podFailurePolicy": {"rules": [IN_1]}, "podReplacementPolicy": "Failed"},
        {"completionMode": "Indexed", "completions": 3, "successPolicy": {"rules": [{"succeededIndexes": "0-2"}]}},
        {"completionMode": "Indexed", "completions": 3, "backoffLimitPerIndex": 1},
        {"managedBy": "example.com/mine"},
    ],
    ids=lambda fields: next(name for name in fields if name not in ("completionMode", "completions")),
)
def test_by_what_a_job_is_judged_stays(fields: Json) -> None:
    obj = complete(kinds.JOBS, job(**fields))
    assert validate(kinds.JOBS, obj) == []
    changed = next(name for name in fields if name not in ("completionMode", "completions"))
    less = {**obj, "spec": {key: value for key, value in obj["spec"].items() if key != changed}}
    (found,) = [str(cause) for cause in validate_update(kinds.JOBS, less, obj)]
    assert found == f"spec.{changed}: Invalid value: null: field is immutable"


def test_a_services_address_stays() -> None:
    old = complete(kinds.SERVICES, service(clusterIP="127.3.128.5", clusterIPs=["127.3.128.5"]))
    new = {**old, "spec": {**old["spec"], "clusterIP": "127.3.128.6", "clusterIPs": ["127.3.128.6"]}}
    assert [str(cause) for cause in validate_update(kinds.SERVICES, new, old)] == [
        'spec.clusterIPs[0]: Invalid value: ["127.3.128.6"]: may not change once set'
    ]


def test_what_was_declared_immutable() -> None:
    old = {**complete(kinds.CONFIG_MAPS, FINE[kinds.CONFIG_MAPS]), "immutable": True}
    new = {**old, "data": {"key": "other"}, "immutable": False}
    assert [str(cause) for cause in validate_update(kinds.CONFIG_MAPS, new, old)] == [
        "immutable: Forbidden: field is immutable when `immutable` is set",
        "data: Forbidden: field is immutable when `immutable` is set",
    ]


def test_a_secrets_type_stays() -> None:
    assert altered(kinds.SECRETS, type=lambda _: "example.com/other") == [
        'type: Invalid value: "example.com/other": field is immutable'
    ]


def test_a_priority_stays() -> None:
    assert altered(kinds.PRIORITY_CLASSES, value=lambda _: 5) == ["value: Forbidden: may not be changed in an update."]


def test_of_a_pod_only_images_and_a_little_else_change() -> None:
    assert altered(kinds.PODS, spec=lambda spec: {
        **spec, "containers": [{**spec["containers"][0], "image": "nginx:1.26"}], "activeDeadlineSeconds": 5,
        "tolerations": [{"operator": "Exists"}],
    }) == []  # fmt: skip
    (found,) = altered(kinds.PODS, spec=with_(hostname="x"))
    assert found.startswith(
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
        "`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
        "  core.PodSpec{\n"
    )
    assert '+ \tHostname: "x",' in found
    assert altered(kinds.PODS, spec=with_(containers=[{"name": "a", "image": "x"}, {"name": "b", "image": "x"}])) == [
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]


def test_gates_go_and_do_not_come() -> None:
    assert altered(kinds.PODS, spec=with_(schedulingGates=[{"name": "a"}])) == [
        "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a'"
    ]
    gated = complete(kinds.PODS, pod({"schedulingGates": [{"name": "a"}]}))
    free = {key: value for key, value in gated["spec"].items() if key != "schedulingGates"}
    steered = {**free, "nodeSelector": {"a": "b"}}
    assert validate_update(kinds.PODS, {**gated, "spec": free}, gated) == []
    assert validate_update(kinds.PODS, {**gated, "spec": steered}, gated) == []


def test_what_has_ended_does_not_run_again() -> None:
    ended = {"name": "web", "state": {"terminated": {"exitCode": 0}}}
    old = complete(kinds.PODS, pod({"restartPolicy": "Never"}))
    before = {**old, "status": {"containerStatuses": [ended]}}
    after = {**old, "status": {"containerStatuses": [{**ended, "state": {"running": {}}}]}}
    assert [str(cause) for cause in validate_update(kinds.PODS, after, before, "status")] == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    ]


def test_a_pods_status() -> None:
    assert altered(kinds.PODS, "status", status=with_(podIPs=[{"ip": "x"}])) == [
        'status.podIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
    ]
    assert altered(kinds.PODS, "status", status=with_(phase="Running", podIPs=[{"ip": "127.3.64.2"}])) == []


def test_a_replica_sets_status() -> None:
    assert altered(kinds.REPLICA_SETS, "status", status=with_(replicas=1, readyReplicas=2)) == [
        "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"
    ]


def test_a_namespaces_phase() -> None:
    assert altered(kinds.NAMESPACES, "status", status=with_(phase="Terminating")) == [
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
    ]
