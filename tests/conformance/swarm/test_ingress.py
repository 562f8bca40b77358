"""Reaching tasks: host-mode ports, ingress ports on every node, virtual IPs, names."""

from __future__ import annotations

import docker
import pytest
import requests
from support.cluster import BUSYBOX, WHOAMI, Cluster
from support.present import requires
from support.until import until


def ask(address: str, port: int) -> str:
    """Who answers: the host name that whoami says."""
    with requests.Session() as session:
        session.trust_env = False  # a proxy is not for addresses of this machine
        answer = session.get(f"http://{address}:{port}/", timeout=5)
    assert answer.status_code == 200
    return answer.text.splitlines()[0].removeprefix("Hostname: ")


def answers(address: str, port: int) -> str | None:
    try:
        return ask(address, port)
    except (requests.ConnectionError, requests.Timeout):
        return None


@pytest.fixture
def addresses(swarm: Cluster) -> dict[str, str]:
    found = {name: host.address for name, host in swarm.hosts.items()}
    if not all(found.values()):
        pytest.skip("docker: containers' addresses do not answer from here (Docker Desktop); run it on Linux")
    return found


def test_a_host_mode_port_answers_on_the_tasks_own_node(swarm: Cluster, addresses: dict[str, str]) -> None:
    port = swarm.port()
    spec = docker.types.EndpointSpec(ports={port: (80, None, "host")})
    service = swarm.create(WHOAMI, replicas=2, constraints=["node.role==worker"], endpoint_spec=spec)
    for task in swarm.running(service, 2):
        host, container = swarm.container_of(task)
        name = until(lambda host=host: answers(addresses[host.name], port))
        assert name == container[:12]
    assert answers(addresses["manager-1"], port) is None


def test_an_ingress_port_answers_on_every_node_and_spreads(
    swarm: Cluster, ipvs: None, addresses: dict[str, str], web: str
) -> None:
    expected = {task["Status"]["ContainerStatus"]["ContainerID"][:12] for task in swarm.running(web, 3)}
    for address in addresses.values():
        # A node may answer before it knows of every task.
        until(lambda address=address: {answers(address, 8080) for _ in range(9)} == expected, 60)


def test_an_ingress_port_goes_with_its_service(swarm: Cluster, ipvs: None, addresses: dict[str, str]) -> None:
    port = swarm.port()
    service = swarm.create(replicas=1, endpoint_spec=docker.types.EndpointSpec(ports={port: 80}))
    swarm.running(service, 1)
    until(lambda: answers(addresses["worker-1"], port))
    service.remove()
    until(lambda: answers(addresses["worker-1"], port) is None)


def test_only_running_tasks_are_asked(swarm: Cluster, ipvs: None, addresses: dict[str, str]) -> None:
    port = swarm.port()
    service = swarm.create(replicas=3, endpoint_spec=docker.types.EndpointSpec(ports={port: 80}))
    swarm.running(service, 3)
    until(lambda: len({answers(addresses["manager-1"], port) for _ in range(6)}) == 3)
    swarm.scale(service, 1)
    [task] = swarm.running(service, 1)
    left = {task["Status"]["ContainerStatus"]["ContainerID"][:12]}
    until(lambda: {answers(addresses["manager-1"], port) for _ in range(4)} == left)


@pytest.fixture
def net(swarm: Cluster):  # type: ignore[no-untyped-def]
    name = swarm.name("net")
    network = swarm.client.networks.create(name, driver="overlay", attachable=True)
    yield name
    swarm.reset()

    def removed() -> bool:
        try:
            network.remove()
        except docker.errors.NotFound:
            return True
        except docker.errors.APIError:
            return False  # tasks that still go hold it
        return True

    until(removed, 30)


@requires("docker-cli")
def test_an_overlay_network_is_seen_by_every_manager(swarm: Cluster, net: str) -> None:
    for host in swarm.managers:
        until(lambda host=host: net in host.cli("network", "ls", "--format", "{{.Name}}").lines)
    found = swarm.client.networks.list(names=[net])[0].attrs
    assert (found["Driver"], found["Scope"], found["Attachable"]) == ("overlay", "swarm", True)


def test_names_resolve_to_tasks_and_to_the_virtual_ip(swarm: Cluster, net: str) -> None:
    service = swarm.create(replicas=2, networks=[net])
    probe = swarm.create(BUSYBOX, command=["sleep", "1000"], networks=[net], replicas=1)
    tasks = swarm.running(service, 2)
    host, container = swarm.container_of(swarm.running(probe, 1)[0])
    service.reload()
    vip = service.attrs["Endpoint"]["VirtualIPs"][0]["Addr"].split("/")[0]
    own = {task["NetworksAttachments"][0]["Addresses"][0].split("/")[0] for task in tasks}

    def lookup(name: str) -> set[str]:
        output = host.client.containers.get(container).exec_run(["nslookup", name]).output.decode()
        answer = output.split("Name:", 1)[-1] if "Name:" in output else ""
        return {
            word for line in answer.splitlines() for word in line.split() if word.count(".") == 3 and word[0].isdigit()
        }

    until(lambda: own <= lookup(f"tasks.{service.name}"), 20, "tasks. lists every task")
    until(lambda: vip in lookup(service.name), 20, "the service's name is its virtual IP")


def test_a_service_on_a_network_that_is_not_there(swarm: Cluster) -> None:
    with pytest.raises(docker.errors.APIError) as caught:
        swarm.create(networks=["nosuchnet"])
    assert caught.value.explanation == "network nosuchnet not found"


def test_dnsrr_answers_through_the_tasks_own_addresses(swarm: Cluster, net: str) -> None:
    service = swarm.create(replicas=2, networks=[net], endpoint_spec=docker.types.EndpointSpec(mode="dnsrr"))
    probe = swarm.create(BUSYBOX, command=["sleep", "1000"], networks=[net], replicas=1)
    swarm.running(service, 2)
    host, container = swarm.container_of(swarm.running(probe, 1)[0])
    ask = ["wget", "-q", "-O", "-", "-T", "3", f"http://{service.name}/"]
    if swarm.engine == "docker":
        ask = ["timeout", "3", "wget", "-q", "-O", "-", f"http://{service.name}/"]  # Debian's busybox crashes with -T

    def reached() -> bool:
        code, output = host.client.containers.get(container).exec_run(ask)
        return code == 0 and b"Hostname:" in output

    until(reached, 20)
    service.reload()
    assert "VirtualIPs" not in service.attrs["Endpoint"]
