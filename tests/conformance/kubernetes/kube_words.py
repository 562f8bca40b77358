"""Where the API server's words differ by version: each said once, by the first version that says it so.

Values are regular expressions with `{names}` filled in (escaped). The greatest version not above the engine's counts.
"""

from __future__ import annotations

import re
from typing import Any

Version = tuple[int, int]

_UNRECOGNIZED = (
    r"400 the object provided is unrecognized \(must be of type ConfigMap\): couldn't get version/kind; "
    "json parse error: "
)
_NO_STRUCT = (
    r'json: cannot unmarshal {} into Go value of type struct \{{ APIVersion string "json:\\"apiVersion,omitempty\\""; '
    r'Kind string "json:\\"kind,omitempty\\"" \}} \({}\)'
)
_CONFIG_MAP = r'400 ConfigMap in version "v1" cannot be handled as a ConfigMap: '
_BAD_KEY = "invalid character 'b' looking for beginning of object key string"

TABLE: dict[str, dict[Version, str]] = {
    "malformed json patch": {(1, 20): f"400 {_BAD_KEY}", (1, 25): f"400 error decoding patch: {_BAD_KEY}"},
    "malformed strategic patch": {(1, 20): f"400 {_BAD_KEY}", (1, 25): f"400 error decoding patch: {_BAD_KEY}"},
    "malformed merge patch": {(1, 20): "500 Invalid JSON Patch", (1, 25): f"400 error decoding patch: {_BAD_KEY}"},
    "malformed apply patch": {
        (1, 20): "400 error decoding YAML: error converting YAML to JSON: yaml: line .: "
        "did not find expected ',' or '}'"
    },
    "body {bad": {(1, 20): _UNRECOGNIZED + _BAD_KEY + r" \(\{bad\)"},
    "body ": {(1, 20): _UNRECOGNIZED + r"unexpected end of JSON input \(<empty>\)"},
    "body []": {(1, 20): _UNRECOGNIZED + _NO_STRUCT.format("array", "5b5d")},
    "body 7": {(1, 20): _UNRECOGNIZED + _NO_STRUCT.format("number", "37")},
    "body null": {
        (1, 20): r'422 ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'
    },
    'body {"data": {"a": 1}}': {
        (1, 20): _CONFIG_MAP + r'v1.ConfigMap.Data: ReadString: expects " or n, but found 1, .*',
        (1, 23): _CONFIG_MAP + "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
    },
    'body {"data": []}': {
        (1, 20): _CONFIG_MAP + r"v1.ConfigMap.Data: ReadMapCB: expect \{ or n, but found \[, .*",
        (1, 23): _CONFIG_MAP
        + r"json: cannot unmarshal array into Go struct field ConfigMap.data of type map\[string\]string",
    },
    'body {"metadata": {"labels": ["a"]}}': {
        (1, 20): _CONFIG_MAP
        + r"v1.ConfigMap.ObjectMeta: v1.ObjectMeta.Labels: ReadMapCB: expect \{ or n, but found \[, .*",
        (1, 23): _CONFIG_MAP
        + r"json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map\[string\]string",
    },
    "pod updates": {
        (1, 20): r'Pod "{name}" is invalid: spec: Forbidden: pod updates may not change fields other than '
        r"`spec.containers\[\*\].image`, `spec.initContainers\[\*\].image`, `spec.activeDeadlineSeconds` or "
        r"`spec.tolerations` \(only additions to existing tolerations\)",
        (1, 25): r'Pod "{name}" is invalid: spec: Forbidden: pod updates may not change fields other than '
        r"`spec.containers\[\*\].image`,`spec.initContainers\[\*\].image`,`spec.activeDeadlineSeconds`,"
        r"`spec.tolerations` \(only additions to existing tolerations\),`spec.terminationGracePeriodSeconds` "
        r"\(allow it to be set to 1 if it was previously negative\)",
    },
}

# Why a pod is left without a node: the control plane keeps to itself, and then each reason with its nodes.
_MASTER_1_20 = (
    r"0/3 nodes are available: 1 node\(s\) had taint \{{node-role.kubernetes.io/master: \}}, "
    "that the pod didn't tolerate, {}."
)
_MASTER = (
    r"0/3 nodes are available: 1 node\(s\) had untolerated "
    r"taint(\(s\)| \{{node-role.kubernetes.io/control-plane: \}}), {}."
)
_PREEMPTION = r"( no new claims to deallocate,)? preemption: 0/3 nodes are available: {}."
_HELPS_NOT = _PREEMPTION.format("3 Preemption is not helpful for scheduling")
_NO_VICTIMS = _PREEMPTION.format(
    "1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod"
)
_UNTOLERATED = (
    r"0/3 nodes are available: (3 node\(s\) had untolerated taint\(s\)|1 node\(s\) had untolerated taint \{.*\}, "
    r"2 node\(s\) had untolerated taint \{lab: x\})."
)
TABLE |= {
    "no node fits the selector": {
        (1, 20): _MASTER_1_20.format(r"2 node\(s\) didn't match Pod's node affinity"),
        (1, 25): _MASTER.format(r"2 node\(s\) didn't match Pod's node affinity/selector") + _HELPS_NOT,
    },
    "too little cpu": {
        (1, 20): _MASTER_1_20.format("2 Insufficient cpu"),
        (1, 25): _MASTER.format("2 Insufficient cpu") + f"({_HELPS_NOT}|{_NO_VICTIMS})",
    },
    "all nodes are tainted": {
        (1, 20): _MASTER_1_20.format(r"2 node\(s\) had taint \{lab: x\}, that the pod didn't tolerate"),
        (1, 25): _UNTOLERATED + _HELPS_NOT,
    },
    "pods keep apart": {
        (1, 20): _MASTER_1_20.format(
            r"2 node\(s\) didn't match pod affinity/anti-affinity, 2 node\(s\) didn't match pod anti-affinity rules"
        ),
        (1, 25): _MASTER.format(r"2 node\(s\) didn't match pod anti-affinity rules") + _NO_VICTIMS,
    },
    "host ports are taken": {
        (1, 20): _MASTER_1_20.format(r"2 node\(s\) didn't have free ports for the requested pod ports"),
        (1, 25): _MASTER.format(r"2 node\(s\) didn't have free ports for the requested pod ports") + _NO_VICTIMS,
    },
}


class Words:
    """The words of one version."""

    def __init__(self, version: Version) -> None:
        self.version = version

    def __call__(self, key: str, **values: Any) -> str:
        sayings = TABLE[key]
        known = [version for version in sayings if version <= self.version]
        pattern = sayings[max(known) if known else min(sayings)]
        for name, value in values.items():
            pattern = pattern.replace("{" + name + "}", re.escape(str(value)))
        return pattern
