"""Where the words of dockerd differ by version: each said once, by the first version that says it so.

Values are regular expressions with `{names}` filled in (escaped). The greatest version not above the engine's counts.
"""

from __future__ import annotations

import re
from typing import Any

Version = tuple[int, ...]

TABLE: dict[str, dict[Version, str]] = {
    "client too new": {(20, 10): r"client version {version} is too new\. Maximum supported API version is {maximum}"},
    "client too old": {
        (20, 10): r"client version {version} is too old\. Minimum supported API version is {minimum}, "
        r"please upgrade your client to a newer version"
    },
    "malformed": {
        (20, 10): "invalid character 'b' looking for beginning of object key string",
        (23, 0): "invalid JSON: invalid character 'b' looking for beginning of object key string",
    },
    "no body": {
        (20, 10): "got EOF while reading request body",
        (23, 0): r"mismatched Runtime and \*Spec fields",  # nothing is read as an empty spec
    },
    "wrong kind of JSON": {
        (20, 10): "json: cannot unmarshal array into Go value of type swarm.ServiceSpec",
        (23, 0): "invalid JSON: json: cannot unmarshal array into Go value of type swarm.ServiceSpec",
    },
    "wrong type in JSON": {
        (20, 10): r"json: cannot unmarshal number into Go struct field ServiceSpec\.Name of type string",
        (23, 0): r"invalid JSON: json: cannot unmarshal number into Go struct field \w+\.Name of type string",
    },
    "wrong type inside JSON": {
        (20, 10): r"json: cannot unmarshal string into Go struct field PortConfig\.EndpointSpec\.Ports\.TargetPort "
        r"of type uint32",
        (23, 0): r"invalid JSON: json: cannot unmarshal string into Go struct field "
        r"\w+\.EndpointSpec\.Ports\.TargetPort of type uint32",
    },
    "unknown filter": {(20, 10): "Invalid filter '{name}'", (23, 0): "invalid filter '{name}'"},
    "malformed filters": {
        (20, 10): "invalid character 'z' looking for beginning of value",
        (23, 0): "invalid filter.*",
    },
    "worker is no manager": {
        (20, 10): r"This node is not a swarm manager\. Worker nodes can't be used to view or modify cluster state\. "
        r"Please run this command on a manager node or promote the current node to a manager\."
    },
    "no swarm": {
        (20, 10): r'This node is not a swarm manager\. Use "docker swarm init" or "docker swarm join" to connect '
        r"this node to swarm and try again\."
    },
    "not in a swarm": {(20, 10): "This node is not part of a swarm"},
    "already in a swarm": {
        (20, 10): r'This node is already part of a swarm\. Use "docker swarm leave" to leave this swarm and join '
        r"another one\."
    },
    "leave needs force": {
        (20, 10): r"You are attempting to leave the swarm on a node that is participating as a manager\. .*"
        r"Use `--force` to suppress this message\."
    },
    "out of sequence": {(20, 10): "rpc error: code = Unknown desc = update out of sequence"},
    "no such node": {(20, 10): "(Error: )?(No such node: {name}|node {name} not found)"},
    "bad availability": {(20, 10): 'invalid Availability: "asleep"'},
    "bad role": {(20, 10): 'invalid Role: "king"'},
    "node is not down": {
        (20, 10): "rpc error: code = FailedPrecondition desc = node {id} is not down and can't be removed"
    },
    "node is a manager": {
        (20, 10): "rpc error: code = FailedPrecondition desc = node {id} is a cluster manager and is a member of the "
        r"raft cluster\. It must be demoted to worker before removal"
    },
    "no runtime spec": {(20, 10): r"mismatched Runtime and \*Spec fields"},
    "no image": {(20, 10): "rpc error: code = InvalidArgument desc = ContainerSpec: image reference must be provided"},
    "bad image": {
        (20, 10): 'rpc error: code = InvalidArgument desc = ContainerSpec: "BAD::" is not a valid repository/tag'
    },
    "bad name": {(20, 10): "rpc error: code = InvalidArgument desc = name must be valid as a DNS name component"},
    "name too long": {(20, 10): "rpc error: code = InvalidArgument desc = name must be 63 characters or fewer"},
    "two modes": {(20, 10): "must specify only one service mode"},
    "port twice": {
        (20, 10): "rpc error: code = InvalidArgument desc = EndpointSpec: duplicate published ports provided"
    },
    "dnsrr and ingress": {
        (20, 10): "rpc error: code = InvalidArgument desc = EndpointSpec: port published with ingress mode can't be "
        "used with dnsrr mode"
    },
    "bad failure action": {(20, 10): "unrecognized update failure action explode"},
    "constraint without operator": {
        (20, 10): "rpc error: code = Unknown desc = constraint expected one operator from ==, !="
    },
    "constraint with bad key": {(20, 10): "rpc error: code = Unknown desc = key 'bad key' is invalid"},
    "too little cpu": {
        (20, 10): r"rpc error: code = InvalidArgument desc = invalid cpu value 5e-09: Must be at least 0\.001"
    },
    "too little memory": {
        (20, 10): "rpc error: code = InvalidArgument desc = invalid memory value 5: Must be at least 4MiB"
    },
    "bad restart condition": {(20, 10): 'invalid RestartCondition: "sometimes"'},
    "name taken": {
        (20, 10): r"rpc error: code = AlreadyExists desc = name conflicts with an existing object: service {name} "
        r"already exists"
    },
    "port taken": {
        (20, 10): r"rpc error: code = InvalidArgument desc = port '{port}' is already in use by service '{name}' "
        r"\({id}\) as an ingress port"
    },
    "no previous spec": {
        (20, 10): "rpc error: code = FailedPrecondition desc = service {id} does not have a previous spec"
    },
    "version is no number": {
        (20, 10): "invalid service version 'abc': strconv.ParseUint: parsing \"abc\": invalid syntax"
    },
    "no renaming": {(20, 10): "rpc error: code = Unimplemented desc = renaming services is not supported"},
    "no such image": {
        (20, 10): "no such image: {name}: No such image: {name}",
        (23, 0): "No such image: {name}",
    },
    "pull fails": {  # the first where a registry answers, the second where none can be reached
        (20, 10): "pull access denied for {name}, repository does not exist or may require 'docker login'.*"
        "|Get .*(no such host|i/o timeout|connection refused|server misbehaving).*"
    },
    "no stream": {(20, 10): "Bad parameters: you must choose at least one stream"},
    "bad advertise address": {(20, 10): ".*"},
    "bad listen address": {(20, 10): ".*"},
    "token is none": {(20, 10): "invalid join token"},
    "last manager leaves": {
        (20, 10): r"You are attempting to leave the swarm on a node that is participating as a manager\. Removing the "
        r"last manager erases all current state of the swarm\. Use `--force` to ignore this message\."
    },
    "no leader": {
        (20, 10): r"rpc error: code = (Unknown|DeadlineExceeded) desc = (context deadline exceeded|"
        r"The swarm does not have a leader\. It's possible that too few managers are online\. "
        r"Make sure more than half of the managers are online\.)"
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
