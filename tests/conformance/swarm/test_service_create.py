"""`service create`: each flag of the CLI arrives in the spec, and does what it says."""

from __future__ import annotations

import ipaddress
from typing import Any

import docker
import pytest
from support.cluster import BUSYBOX, WHOAMI, Cluster
from support.present import requires

SECOND = 1_000_000_000
PORT = {"TargetPort": 80, "PublishedPort": 9000}


def at(spec: dict[str, Any], path: str) -> Any:
    found: Any = spec
    for key in path.split("."):
        found = found[int(key)] if key.isdigit() else found[key]
    return found


@requires("docker-cli")
@pytest.mark.parametrize(
    ("flags", "path", "expected"),
    [
        (["--replicas", "2"], "Mode", {"Replicated": {"Replicas": 2}}),
        (["--mode", "replicated"], "Mode", {"Replicated": {"Replicas": 1}}),
        (["--mode", "global"], "Mode", {"Global": {}}),
        (["--constraint", "node.role==worker"], "TaskTemplate.Placement.Constraints", ["node.role==worker"]),
        (["--env", "A=1", "--env", "B=two words"], "TaskTemplate.ContainerSpec.Env", ["A=1", "B=two words"]),
        (["--label", "tier=back"], "Labels", {"tier": "back"}),
        (["--container-label", "team=a"], "TaskTemplate.ContainerSpec.Labels", {"team": "a"}),
        (["--restart-condition", "none"], "TaskTemplate.RestartPolicy.Condition", "none"),
        (["--restart-delay", "2s"], "TaskTemplate.RestartPolicy.Delay", 2 * SECOND),
        (["--restart-max-attempts", "3"], "TaskTemplate.RestartPolicy.MaxAttempts", 3),
        (["--restart-window", "1m"], "TaskTemplate.RestartPolicy.Window", 60 * SECOND),
        (["--limit-cpu", "0.5"], "TaskTemplate.Resources.Limits", {"NanoCPUs": 500_000_000}),
        (["--limit-memory", "64M"], "TaskTemplate.Resources.Limits", {"MemoryBytes": 64 << 20}),
        (["--limit-pids", "100"], "TaskTemplate.Resources.Limits", {"Pids": 100}),
        (["--reserve-cpu", "0.1"], "TaskTemplate.Resources.Reservations", {"NanoCPUs": 100_000_000}),
        (["--reserve-memory", "8M"], "TaskTemplate.Resources.Reservations", {"MemoryBytes": 8 << 20}),
        (["--replicas-max-per-node", "1"], "TaskTemplate.Placement.MaxReplicas", 1),
        (["--placement-pref", "spread=node.labels.zone"], "TaskTemplate.Placement.Preferences",
         [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}]),
        (["--update-parallelism", "2"], "UpdateConfig.Parallelism", 2),
        (["--update-delay", "3s"], "UpdateConfig.Delay", 3 * SECOND),
        (["--update-order", "start-first"], "UpdateConfig.Order", "start-first"),
        (["--update-failure-action", "rollback"], "UpdateConfig.FailureAction", "rollback"),
        (["--stop-grace-period", "1s"], "TaskTemplate.ContainerSpec.StopGracePeriod", SECOND),
        (["--hostname", "box"], "TaskTemplate.ContainerSpec.Hostname", "box"),
        (["--workdir", "/tmp"], "TaskTemplate.ContainerSpec.Dir", "/tmp"),
        (["--endpoint-mode", "dnsrr"], "EndpointSpec", {"Mode": "dnsrr"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value and isinstance(value[0], str) else "",
)  # fmt: skip
def test_a_flag_arrives_in_the_spec(swarm: Cluster, flags: list[str], path: str, expected: Any) -> None:
    service = swarm.service_cli(*flags)
    assert at(service["Spec"], path) == expected


@requires("docker-cli")
@pytest.mark.parametrize("mode", ["ingress", "host"])
def test_publish(swarm: Cluster, mode: str) -> None:
    port = swarm.port()
    service = swarm.service_cli("--publish", f"published={port},target=80,mode={mode}")
    expected = {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": port, "PublishMode": mode}
    assert service["Spec"]["EndpointSpec"]["Ports"] == [expected]
    [task] = swarm.running(service["ID"], 1)
    service = swarm.api.inspect_service(service["ID"])
    assert service["Endpoint"]["Ports"] == [expected]
    if mode == "ingress":
        [vip] = service["Endpoint"]["VirtualIPs"]
        assert ipaddress.ip_interface(vip["Addr"]).network.prefixlen < 32
        assert swarm.client.networks.get(vip["NetworkID"]).name == "ingress"
    else:
        # Once for each address family that the engine binds.
        assert task["Status"]["PortStatus"]["Ports"] in ([expected], [expected] * 2)


@requires("docker-cli")
def test_a_port_is_chosen_from_30000_when_none_is_published(swarm: Cluster) -> None:
    service = swarm.service_cli("--publish", "80")
    swarm.running(service["ID"], 1)
    [port] = swarm.api.inspect_service(service["ID"])["Endpoint"]["Ports"]
    assert 30000 <= port["PublishedPort"] <= 32767
    assert "PublishedPort" not in service["Spec"]["EndpointSpec"]["Ports"][0]


@requires("docker-cli")
def test_the_cli_prints_the_id(swarm: Cluster) -> None:
    name = swarm.name()
    printed = swarm.cli("service", "create", "-d", "--no-resolve-image", "--name", name, WHOAMI).text
    assert printed == swarm.client.services.get(name).id
    assert len(printed) == 25


def test_docker_py_creates_with_the_same_fields(swarm: Cluster) -> None:
    service = swarm.create(
        replicas=2,
        env=["A=1"],
        labels={"tier": "back"},
        container_labels={"team": "a"},
        constraints=["node.role==worker"],
        restart_policy=docker.types.RestartPolicy("on-failure", delay=SECOND, max_attempts=2),
        resources=docker.types.Resources(cpu_limit=500_000_000, mem_reservation=8 << 20),
    )
    service.reload()
    spec = service.attrs["Spec"]
    assert spec["Mode"] == {"Replicated": {"Replicas": 2}}
    assert spec["Labels"] == {"tier": "back"}
    template = spec["TaskTemplate"]
    assert template["ContainerSpec"]["Env"] == ["A=1"]
    assert template["RestartPolicy"] == {"Condition": "on-failure", "Delay": SECOND, "MaxAttempts": 2, "Window": 0}
    assert template["Resources"]["Limits"] == {"NanoCPUs": 500_000_000}
    assert template["Resources"]["Reservations"] == {"MemoryBytes": 8 << 20}
    assert template["Runtime"] == "container"
    assert template["ForceUpdate"] == 0
    for task in swarm.running(service, 2):
        assert swarm.host_of(task).name.startswith("worker")


def test_a_name_is_made_up_when_none_is_given(swarm: Cluster) -> None:
    created = swarm.api.create_service({"ContainerSpec": {"Image": WHOAMI}})
    assert swarm.api.inspect_service(created["ID"])["Spec"]["Name"] != ""


@requires("docker-cli")
def test_env_reaches_the_container(swarm: Cluster) -> None:
    service = swarm.service_cli("--env", "COLOUR=blue", image=BUSYBOX, command=["sh", "-c", "env; sleep 1000"])
    [task] = swarm.running(service["ID"], 1)
    host, container = swarm.container_of(task)
    assert "COLOUR=blue" in host.client.containers.get(container).attrs["Config"]["Env"]


@requires("docker-cli")
def test_templates_are_filled_in_for_each_task(swarm: Cluster) -> None:
    service = swarm.service_cli("--replicas", "2", "--hostname", "{{.Service.Name}}-{{.Task.Slot}}", "--env",
                                "WHERE={{.Node.Hostname}}")  # fmt: skip
    for task in swarm.running(service["ID"], 2):
        host, container = swarm.container_of(task)
        config = host.client.containers.get(container).attrs["Config"]
        assert config["Hostname"] == f"{service['Spec']['Name']}-{task['Slot']}"
        assert f"WHERE={host.name}" in config["Env"]


@requires("docker-cli")
def test_limits_reach_the_container(swarm: Cluster) -> None:
    service = swarm.service_cli("--limit-memory", "64M", "--limit-cpu", "0.5")
    [task] = swarm.running(service["ID"], 1)
    host, container = swarm.container_of(task)
    config = host.client.containers.get(container).attrs["HostConfig"]
    assert (config["Memory"], config["NanoCpus"]) == (64 << 20, 500_000_000)


@requires("docker-cli")
def test_a_container_carries_the_labels_of_its_task(swarm: Cluster) -> None:
    service = swarm.service_cli("--container-label", "team=a")
    [task] = swarm.running(service["ID"], 1)
    host, container = swarm.container_of(task)
    labels = host.client.containers.get(container).labels  # the image's own are among them
    assert labels["team"] == "a"
    assert {key: value for key, value in labels.items() if key.startswith("com.docker.")} == {
        "com.docker.swarm.node.id": task["NodeID"],
        "com.docker.swarm.service.id": service["ID"],
        "com.docker.swarm.service.name": service["Spec"]["Name"],
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": task["ID"],
        "com.docker.swarm.task.name": f"{service['Spec']['Name']}.1.{task['ID']}",
    }


@pytest.mark.parametrize(
    ("change", "status", "key"),
    [
        ({"TaskTemplate": {}}, 400, "no runtime spec"),
        ({"TaskTemplate": {"ContainerSpec": {}}}, 400, "no image"),
        ({"TaskTemplate": {"ContainerSpec": {"Image": "BAD::"}}}, 400, "bad image"),
        ({"Name": "with space"}, 400, "bad name"),
        ({"Name": "x" * 64}, 400, "name too long"),
        ({"Mode": {"Replicated": {"Replicas": 1}, "Global": {}}}, 400, "two modes"),
        ({"EndpointSpec": {"Ports": [PORT, {**PORT, "TargetPort": 81}]}}, 400, "port twice"),
        ({"EndpointSpec": {"Mode": "dnsrr", "Ports": [PORT]}}, 400, "dnsrr and ingress"),
        ({"UpdateConfig": {"FailureAction": "explode"}}, 400, "bad failure action"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_spec_that_is_refused(swarm: Cluster, same, change: dict[str, Any], status: int, key: str) -> None:
    spec = {"Name": swarm.name(), "TaskTemplate": {"ContainerSpec": {"Image": WHOAMI}}, **change}
    answer = swarm.manager.raw("POST", "/services/create", json=spec)
    assert answer.status_code == status, answer.text
    same(answer.json()["message"], key)


@pytest.mark.parametrize(
    ("change", "status", "key"),
    [
        ({"Placement": {"Constraints": ["node.rolemanager"]}}, 500, "constraint without operator"),
        ({"Placement": {"Constraints": ["bad key==1"]}}, 500, "constraint with bad key"),
        ({"Resources": {"Limits": {"NanoCPUs": 5}}}, 400, "too little cpu"),
        ({"Resources": {"Limits": {"MemoryBytes": 5}}}, 400, "too little memory"),
        ({"RestartPolicy": {"Condition": "sometimes"}}, 400, "bad restart condition"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_task_template_that_is_refused(swarm: Cluster, same, change: dict[str, Any], status: int, key: str) -> None:
    spec = {"Name": swarm.name(), "TaskTemplate": {"ContainerSpec": {"Image": WHOAMI}, **change}}
    answer = swarm.manager.raw("POST", "/services/create", json=spec)
    assert answer.status_code == status, answer.text
    same(answer.json()["message"], key)


def test_a_name_that_is_taken(swarm: Cluster, web: str, same) -> None:
    with pytest.raises(docker.errors.APIError) as caught:
        swarm.create(name=web)
    assert caught.value.status_code == 409
    same(caught.value.explanation, "name taken", name=web)


@requires("docker-cli")
def test_a_name_that_is_taken_through_the_cli(swarm: Cluster, web: str, same) -> None:
    done = swarm.create_cli("--name", web, check=False)
    assert done.code == 1
    same(done.error, "name taken", name=web)


def test_an_ingress_port_that_is_taken(swarm: Cluster, web: str, same) -> None:
    with pytest.raises(docker.errors.APIError) as caught:
        swarm.create(endpoint_spec=docker.types.EndpointSpec(ports={8080: 80}))
    assert caught.value.status_code == 400
    same(caught.value.explanation, "port taken", port=8080, name=web, id=swarm.client.services.get(web).id)


@requires("docker-cli")
@pytest.mark.parametrize("flag", ["--publish=99999:80", "--replicas=x", "--restart-condition=maybe", "--mode=odd"])
def test_a_flag_that_the_cli_or_the_engine_refuses(swarm: Cluster, flag: str) -> None:
    before = len(swarm.api.services())
    assert swarm.create_cli(flag, check=False).code != 0
    assert len(swarm.api.services()) == before
