"""Requests that the engine refuses: method, path, body, status, and its words. A table, so its lines may be long."""
# ruff: noqa: E501

from __future__ import annotations

from typing import Any

IMAGE = {"Image": "test/tools:1"}

REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/containers/create", {}, 400, "config cannot be empty in order to create a container"),
    ("POST", "/containers/create", {"Image": "nope"}, 404, "No such image: nope:latest"),
    ("POST", "/containers/create", {"Image": "UP"}, 400, "invalid reference format: repository name (library/UP) must be lowercase"),
    ("POST", "/containers/create?name=a/b", IMAGE, 400, "Invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
    ("POST", "/containers/create", {**IMAGE, "Cmd": 3}, 400, "invalid JSON: json: cannot unmarshal number into Go struct field CreateRequest.Cmd of type []string"),
    ("POST", "/containers/create", {**IMAGE, "HostConfig": {"Memory": 5}}, 400, "Minimum memory limit allowed is 6MB"),
    ("POST", "/containers/create", {**IMAGE, "HostConfig": {"NanoCpus": 64 * 10**9}}, 400, "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"),
    ("POST", "/containers/create", {**IMAGE, "HostConfig": {"RestartPolicy": {"Name": "x"}}}, 400, "invalid restart policy: unknown policy 'x'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"),
    ("POST", "/containers/create", {**IMAGE, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "99999"}]}}}, 400, 'invalid port specification: "99999"'),
    ("POST", "/containers/create", {**IMAGE, "HostConfig": {"AutoRemove": True, "RestartPolicy": {"Name": "always"}}}, 400, "can't create 'AutoRemove' container with restart policy"),
    ("POST", "/containers/create", {**IMAGE, "HostConfig": {"Binds": ["/etc:/x"]}}, 400, 'invalid mount config for type "bind": bind source path does not exist: /etc'),
    ("POST", "/containers/create", {**IMAGE, "WorkingDir": "x"}, 400, "the working directory 'x' is invalid, it needs to be an absolute path"),
    ("GET", "/containers/nope/json", None, 404, "No such container: nope"),
    ("GET", "/containers/nope/logs?stdout=1", None, 404, "No such container: nope"),
    ("GET", "/containers/web/logs", None, 400, "Bad parameters: you must choose at least one stream"),
    ("GET", '/containers/json?filters={"x":["1"]}', None, 400, "invalid filter 'x'"),
    ("GET", "/containers/json?filters=zz", None, 400, "invalid filter"),
    ("GET", "/containers/json?limit=x", None, 500, 'strconv.Atoi: parsing "x": invalid syntax'),
    ("POST", "/containers/web/kill?signal=FOO", None, 400, "cannot kill container: web: invalid signal: FOO"),
    ("POST", "/containers/web/kill?signal=90", None, 400, "cannot kill container: web: the linux daemon does not support signal 90"),
    ("POST", "/containers/web/stop?t=x", None, 500, 'strconv.Atoi: parsing "x": invalid syntax'),
    ("POST", "/containers/web/wait?condition=x", None, 400, 'invalid condition: "x"'),
    ("POST", "/containers/web/rename?name=", None, 400, "Neither old nor new names may be empty"),
    ("POST", "/containers/web/exec", {}, 400, "No exec command specified"),
    ("POST", "/containers/web/resize?h=x&w=1", None, 400, 'invalid resize height "x": strconv.ParseUint: parsing "x": invalid syntax'),
    ("GET", "/containers/web/stats?one-shot=1", None, 400, "cannot have stream=true and one-shot=true"),
    ("DELETE", "/containers/web", None, 409, 'cannot remove container "web": container is running: stop the container before removing or force remove'),
    ("GET", "/exec/nope/json", None, 404, "No such exec instance: nope"),
    ("POST", "/exec/nope/start", {}, 404, "No such exec instance: nope"),
    ("POST", "/images/create?fromImage=nope&tag=latest", None, 404, "pull access denied for nope, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"),
    ("POST", "/images/create?fromImage=busybox&tag=9.99", None, 404, "manifest for busybox:9.99 not found: manifest unknown: manifest unknown"),
    ("POST", "/images/create?fromImage=host.invalid/x&tag=1", None, 500, 'Get "https://host.invalid/v2/": dial tcp: lookup host.invalid: no such host'),
    ("GET", "/images/nope/json", None, 404, "No such image: nope:latest"),
    ("DELETE", "/images/test/tools:1", None, 409, 'conflict: unable to remove repository reference "test/tools:1" (must force) - container {web} is using its referenced image {image}'),
    ("GET", "/volumes/nope", None, 404, "get nope: no such volume"),
    ("DELETE", "/volumes/nope", None, 404, "get nope: no such volume"),
    ("POST", "/volumes/create", {"Name": "a/b"}, 400, 'create a/b: "a/b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'),
    ("POST", "/volumes/create", {"Driver": "x"}, 404, 'create : error looking up volume plugin x: plugin "x" not found'),
    ("POST", "/networks/create", {"Name": "bridge"}, 403, "operation is not permitted on predefined bridge network"),
    ("POST", "/networks/nope/connect", {"Container": "web"}, 404, "network nope not found"),
    ("DELETE", "/networks/bridge", None, 403, "bridge is a pre-defined network and cannot be removed"),
]  # fmt: skip
