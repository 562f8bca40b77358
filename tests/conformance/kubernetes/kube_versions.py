"""Where kubectl's outputs may differ from the recorded ones, and why: by the server's version, by kubectl's own, or
because the embedded engine has less (what its FIDELITY.md says).

The transcripts were recorded with :data:`RECORDED`. A row says from which version on which lines read otherwise; the
rows whose version lies between the recorded and the running one are applied, in this order. A row that changes
nothing in any session is an excuse that nobody needs, and the test says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Version = tuple[int, int]

# "embedded" is (0, 0) on a real cluster and (1, 0) on the embedded engine.
RECORDED: dict[str, Version] = {"server": (1, 20), "client": (1, 27), "embedded": (0, 0)}


@dataclass(frozen=True)
class Row:
    """One difference. `where` is found in the command; `old` and `new` match whole lines, one or (with \\n) several.

    With both, lines that are `old` read `new` (a template of `re.sub`). With `old` alone such lines are gone, with
    `new` alone there may be more of them.
    """

    side: str  # "server", "client" or "embedded"
    since: Version
    why: str
    where: str = ""
    old: str = ""
    new: str = ""

    def holds(self, running: dict[str, Version]) -> bool:
        return RECORDED[self.side] < self.since <= running[self.side]


def _server(since: int, where: str, why: str, *, old: str = "", new: str = "") -> Row:
    return Row("server", (1, since), why, where, old, new)


# Of kubectl, `since` is the first of the versions that are played (1.27, 1.32, 1.37) which says it so.
def _client(since: int, where: str, why: str, *, old: str = "", new: str = "") -> Row:
    return Row("client", (1, since), why, where, old, new)


def _embedded(where: str, why: str, *, old: str = "", new: str = "") -> Row:
    return Row("embedded", (1, 0), why, where, old, new)


# A condition of an object as YAML and as JSON writes it, up to its type.
_YAML_CONDITION = (
    r"\s+- lastProbeTime: .*\n\s+lastTransitionTime: .*\n(\s+observedGeneration: 1\n)?"
    r"(\s+message: .*\n\s+reason: .*\n)?\s+status: \"True\"\n\s+type: "
)
_JSON_CONDITION = (
    r"\s+\{\n\s+\"lastProbeTime\": null\n\s+\"lastTransitionTime\": \"TIME\"\n(\s+\"observedGeneration\": 1\n)?"
    r"\s+\"status\": \"True\"\n\s+\"type\": "
)

_NODES = (
    _server(
        24, "get nodes", "kubeadm no more calls a control plane master", old="(.*control-plane),master(.*)", new=r"\1\2"
    ),
    _server(
        34, "describe node", "the runtime's socket stands in the kubelet's own configuration",
        old=r"(Annotations:  )kubeadm\.alpha\S+ .*\n\s+(.*)", new=r"\1\2",
    ),
    _server(
        22, "describe namespace", "every namespace is labelled with its name",
        old="Labels:  <none>", new="Labels:  kubernetes.io/metadata.name=NS",
    ),
)  # fmt: skip

_PODS = (
    _server(29, "describe pod", "the sandbox is a condition", new="  PodReadyToStartContainers  True"),
    _server(29, "-o yaml", "the sandbox is a condition", new=_YAML_CONDITION + "PodReadyToStartContainers"),
    _server(29, "-o json", "the sandbox is a condition", new=_JSON_CONDITION + r"\"PodReadyToStartContainers\"\n\s+\}"),
    _server(
        34, "get (pod|job) .* -o", "pods have generations, and tell which they have seen",
        new=r"\s+\"?(observedG|g)eneration\"?: 1",
    ),
    _server(29, "get pod .* -o yaml", "a host may have two addresses", new=r"  hostIPs:\n  - ip: IP"),
    _server(
        29, "get pod .* -o json", "a host may have two addresses",
        new=r"\s+\"hostIPs\": \[\n\s+\{\n\s+\"ip\": \"IP\"\n\s+\}\n\s+\]",
    ),
    _server(34, "get .* -o yaml", "a time that is not set is left out", old=r"\s+creationTimestamp: null"),
    _server(
        35, "describe pod|events", "the kubelet's events do not repeat the container's name",
        old="(.*)Created container box", new=r"\1Container created",
    ),
    _server(
        35, "describe pod|events", "the kubelet's events do not repeat the container's name",
        old="(.*)Started container box", new=r"\1Container started",
    ),
)  # fmt: skip

_ACCOUNTS = (
    _server(
        24, "get cm,sa", "a service account's tokens are asked for, and in no secret",
        old=r"(serviceaccount/\w+)  1(.*)", new=r"\1  0\2",
    ),
    _server(
        24, "describe sa", "a service account's tokens are asked for, and in no secret",
        old=r"(Mountable secrets|Tokens):  clerk-token-RANDOM", new=r"\1:  <none>",
    ),
    _server(
        26, "can-i --list --as", "one may ask who one is",
        old=r"(Resources .*)\n(self\S+accessreviews\S+ .*)\n.*",
        new=r"\1\nselfsubjectreviews.authentication.k8s.io  []  []  [create]\n\2",
    ),
)  # fmt: skip

_WORKLOADS = (
    _server(
        26, "describe|events", "the event tells from how many",
        old="(.*Scaled up replica set web-HASH) to 2", new=r"\1 from 0 to 2",
    ),
    _server(35, "get deployment .* -o yaml", "pods that are going are counted", new="  terminatingReplicas: 0"),
    _server(22, "get ds .* -o yaml", "a DaemonSet may surge", new="      maxSurge: 0"),
    _server(
        27, "describe job|rc,ds,jobs", "a Job's labels have a prefix",
        old=r"(Selector:  |.*busybox:1\.36  )controller-uid=UID", new=r"\1batch.kubernetes.io/controller-uid=UID",
    ),
    _server(
        27, "describe job", "a Job's labels have a prefix",
        old=r"((?:  )?Labels:  )controller-uid=UID\n(\s+)(job-name=sum)",
        new=r"\1batch.kubernetes.io/controller-uid=UID\n\2batch.kubernetes.io/job-name=sum\n"
            r"\2controller-uid=UID\n\2\3",
    ),
    _server(
        27, "get job .* -o yaml", "a Job's labels have a prefix",
        old=r"      (controller-uid: UID\n  template:)", new=r"      batch.kubernetes.io/\1",
    ),
    _server(
        27, "get job .* -o yaml", "a Job's labels have a prefix",
        old=r"(\s+)controller-uid: UID\n\s+job-name: sum",
        new=r"\1batch.kubernetes.io/controller-uid: UID\n\1batch.kubernetes.io/job-name: sum\n"
            r"\1controller-uid: UID\n\1job-name: sum",
    ),
    _server(
        30, "get (rc,ds,jobs|deployments,jobs)", "a Job's table says how it stands",
        old=r"NAME  (COMPLETIONS .*)\n(job\.batch/\w+)(  .*)", new=r"NAME  STATUS  \1\n\2  Complete\3",
    ),
    _server(
        21, "describe job", "a Job may be indexed, and counts the ready ones",
        old=r"(Completions:  1)", new=r"\1\nCompletion Mode:  NonIndexed",
    ),
    _server(
        24, "describe job", "a Job may be indexed, and counts the ready ones",
        old="(Pods Statuses:  0 Active) (.*)", new=r"\1 (0 Ready) \2",
    ),
    _server(
        31, "get job .* -o yaml", "a Job succeeds by criteria, and tells which",
        new=_YAML_CONDITION + "SuccessCriteriaMet",
    ),
    _server(
        31, "get job .* -o yaml", "a Job succeeds by criteria, and tells which",
        new=r"    (message: Reached expected number of succeeded pods|reason: CompletionsReached)",
    ),
    _server(
        31, "get job .* -o yaml", "a Job has more to say of how it counts",
        new=r"  (completionMode: NonIndexed|manualSelector: false|podReplacementPolicy: TerminatingOrFailed"
            r"|suspend: false|ready: 0|terminating: 0|uncountedTerminatedPods: \{\})",
    ),
)  # fmt: skip

_SERVICES = (
    _server(
        26, "get service .* -o json", "traffic may stay on a node",
        new=r"\s+\"internalTrafficPolicy\": \"Cluster\"",
    ),
    _server(
        33, "describe endpoints", "endpoints tell who keeps them", old="Labels:  app=web",
        new=r"Labels:  app=web\n      endpoints.kubernetes.io/managed-by=endpoint-controller",
    ),
    _server(
        33, "--clusterip=10", "addresses are allocated from objects of their own",
        old=r"(.*Invalid value: )\[\]string\{\"IP\"\}: failed to allocated ip:IP with error:provided IP is (.*)",
        new=r'\1["IP"]: failed to allocate IP IP: the provided IP (IP) is \2',
    ),
    _server(
        36, "-f - <<EOF\n.*\"1a\"", "a Service's name may begin with a digit", old=r"\* metadata\.name: .*1a.*",
    ),
    _server(
        24, "get priorityclass", "a PriorityClass's table says what it preempts",
        old=r"(NAME .*)\n(.*)", new=r"\1  PREEMPTIONPOLICY\n\2  PreemptLowerPriority",
    ),
)  # fmt: skip

_REFUSALS = (
    _server(
        25, "<<EOF\n.*\"(da[td][ea])\": \\{\"one|dada", "the server itself looks for fields that it does not know",
        old=r"error: error validating \"STDIN\".*unknown field \"dada\" in .*",
        new=r'Error from server (BadRequest): error when creating "STDIN": ConfigMap in version "v1" cannot be handled '
            r'as a ConfigMap: strict decoding error: unknown field "dada"',
    ),
    _server(
        25, "apply -f - <<EOF\n.*date", "the server itself looks for fields that it does not know",
        old=r"error: error validating \"STDIN\".*unknown field \"date\" in .*",
        new=r'The request is invalid: patch: Invalid value: "map[data:<nil> date:map[one:1] metadata:map[annotations:'
            r'map[kubectl.kubernetes.io/last-applied-configuration:{\\"apiVersion\\":\\"v1\\",\\"date\\":{\\"one\\":'
            r'\\"1\\"},\\"kind\\":\\"ConfigMap\\",\\"metadata\\":{\\"annotations\\":{},\\"name\\":\\"front\\",'
            r'\\"namespace\\":\\"NS\\"}}\\n]]]": strict decoding error: unknown field "date"',
    ),
    _server(
        23, "replicas\":\"many", "JSON is read by another library",
        old="(.*): unrecognized type: int32",
        new=r"\1: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    _server(
        23, "--validate=false", "JSON is read by another library", old=r"(.* as a ConfigMap): v1\.ConfigMap\..*",
        new=r"\1: json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
    ),
    _server(
        23, "pods/nobody$", "JSON is written by another library",
        old=r"  \"metadata\": \{\n  \}", new='  "metadata": {}',
    ),
    _server(
        33, "patch deployment|<<EOF", "values are shown as JSON, not as Go",
        old=r"(.*Invalid value: )map\[string\]string(\{.*\}: `selector.*)", new=r"\1\2",
    ),
    _server(
        33, "patch deployment", "values are shown as JSON, not as Go",
        old=r"(.*Invalid value: )v1\.LabelSelector\{MatchLabels:map\[string\]string(\{.*?\}).*: (field is .*)",
        new=r'\1{"matchLabels":\2}: \3',
    ),
)  # fmt: skip

_DISCOVERY = (
    _server(
        23, "cluster-info", "kubeadm labels the cluster's DNS with the name of what runs it",
        old="KubeDNS (.*)", new=r"CoreDNS \1",
    ),
    _server(25, "api-versions", "old versions are served no more", old=r"(\S+/v1beta1)"),
    _server(
        25, "api-versions", "old versions are served no more",
        old=r"(coordination\.k8s\.io/v1)", new=r"\1\ndiscovery.k8s.io/v1\npolicy/v1",
    ),
    _server(25, "verbs=list,get", "PodSecurityPolicies are no more", old=r"podsecuritypolicies\.policy"),
    _server(
        23, "api-group=''", "Services can be deleted together",
        old=r"(services .*create,delete)(,get.*)", new=r"\1,deletecollection\2",
    ),
    _server(24, "explain", "kubectl reads OpenAPI v3", old=r"FIELD:  (.*)", new=r"FIELD: \1"),
    _server(24, "explain", "kubectl reads OpenAPI v3", old=r"     (Number of|zero and)(.*)", new=r"    \1\2"),
    _server(
        24, "explain", "kubectl reads OpenAPI v3",
        old=r"KIND:  Deployment\nVERSION:  apps/v1", new=r"GROUP:  apps\nKIND:  Deployment\nVERSION:  v1",
    ),
    _server(
        24, r"explain pod\.spec\.nothing", "kubectl reads OpenAPI v3",
        old="(error: field .*)", new=r"KIND:  Pod\nVERSION:  v1\n\1",
    ),
)  # fmt: skip

_CLIENTS = (
    _client(
        32, "auth whoami", "kubectl asks in the version that is served",
        old=r"error: the selfsubjectreviews API is not enabled in the cluster\nenable API.*\n\[1\]",
        new=r"ATTRIBUTE  VALUE\nUsername  kubernetes-admin\n"
            r"Groups  [kubeadm:cluster-admins system:masters system:authenticated]",
    ),
    _client(32, "drain", "words were made right", old="(.*due to error:)(.*)", new=r"\1 \2"),
    _client(32, "drain", "a word came in", old="(.*)(cannot delete )Pods (declare.*)", new=r"\1\2\2Pods that \3"),
    _client(37, "drain", "words were made right", old="(.*)(cannot delete )cannot delete (.*)", new=r"\1\2\3"),
    _client(37, "rollout history", "ports are named", old="(.*80/TCP|.*0/TCP)", new=r"\1 (http)"),
    _client(
        32, "scale deployment/nobody", "what is not there is told",
        old="(error: no objects passed to scale)", new=r'\1 deployments.apps "nobody" not found',
    ),
    _client(
        37, "scale deployment/nobody", "what is not there is an error of the server",
        old="error: no objects passed to scale (.*)", new=r"Error from server (NotFound): \1",
    ),
    _client(32, "annotate", "a word was made right", old="(.*) annotate", new=r"\1 annotated"),
    _client(
        37, "delete|replace --force", "kubectl says where it deletes",
        old=r'((?!namespace|priorityclass)\S+ "\S+" (?:force )?deleted)(.*)', new=r"\1 from NS namespace\2",
    ),
    _client(37, "-o nonsense", "YAML may be written like JSON", old="(.*),name,(.*)", new=r"\1,kyaml,name,\2"),
    _client(37, "config view$", "preferences are deprecated", old=r"preferences: \{\}"),
    _client(37, "--dry-run=client", "a time that is not set is left out", old=r"\s+creationTimestamp: null"),
    _client(
        37, "describe pod", "events say which container",
        old=r"(  Normal  (?:Created|Pulled|Started) .*kubelet)  (.*)", new=r"\1  spec.containers{box}: \2",
    ),
    _client(
        37, "describe", "probes are told in whole words",
        old="(.*)#success=1 #failure=3", new=r"\1successThreshold=1 failureThreshold=3",
    ),
    _client(
        32, "describe (deployment|rs|rc|daemonset|job)|history", "templates say where their pods may go",
        new="  (Node-Selectors|Tolerations):  <none>",
    ),
    _client(32, "describe daemonset", "its namespace is told", new="Namespace:  NS"),
    _client(32, "describe job", "more of a Job is told", new="(Suspend:  false|Backoff Limit:  2)"),
    _client(32, "describe service", "more of a Service is told", new="Internal Traffic Policy:  Cluster"),
    _client(37, "describe sa", "secrets of accounts are history", old="(Mountable secrets|Tokens):  .*"),
    _client(
        37, "-c nobody", "kubectl says which containers there are",
        old="(?:Error from server .BadRequest.|error): (container nobody .*)",
        new=r"error: \1 out of: talk, whisper, prepare (init)",
    ),
    _client(
        32, "logs nobody", "kubectl says where it has looked",
        old="Error from server (.*)", new=r'error: error from server \1 in namespace "NS"',
    ),
)  # fmt: skip

_LACKING = (
    _embedded("api-group=apps", "there are no StatefulSets yet", old="statefulsets .*"),
    _embedded("api-group=''", "pods are bound by their own sub-resource alone", old="bindings .*"),
    _embedded("describe namespace", "there are no quotas and limit ranges", old=r"No (resource quota|LimitRange .*)\."),
    _embedded("--clusterip=10", "its Services have fewer addresses", old="(.*)IP/16", new=r"\1IP/20"),
)

ROWS: tuple[Row, ...] = (
    *_NODES, *_PODS, *_ACCOUNTS, *_WORKLOADS, *_SERVICES, *_REFUSALS, *_DISCOVERY, *_CLIENTS, *_LACKING,
)  # fmt: skip


class Differences:
    """The rows that count for a pair of versions, applied to what was recorded and to what was answered."""

    def __init__(self, running: dict[str, Version], rows: Iterable[Row] = ROWS) -> None:
        self.rows = [row for row in rows if row.holds(running)]
        self.used: set[Row] = set()

    def expected(self, command: str, lines: Iterable[str]) -> list[str]:
        """What was recorded, as the running versions say it."""
        return self._changed(command, lines, [(row, row.old, row.new) for row in self.rows if row.old])

    def answered(self, command: str, lines: Iterable[str]) -> list[str]:
        """What was answered, without the lines that only the running versions have."""
        return self._changed(command, lines, [(row, row.new, "") for row in self.rows if not row.old])

    def _changed(self, command: str, lines: Iterable[str], changes: list[tuple[Row, str, str]]) -> list[str]:
        text = "".join(f"{line}\n" for line in lines)
        for row, pattern, reads in changes:
            if re.search(row.where, command):
                text, count = re.subn(rf"(?m)^{pattern}\n", f"{reads}\n" if reads else "", text)
                if count:
                    self.used.add(row)
        return text.splitlines()
