"""How tasks are found: Mesos-DNS by DNS and by HTTP, HAProxy as marathon-lb sets it up."""

from __future__ import annotations

import socket
from typing import Any

import dnslib
import pytest
import requests
from support.documents import holds
from support.marathon_cluster import WHOAMI, Marathon
from support.until import until

Json = dict[str, Any]

NAMING = "mesos-dns/docs/docs/naming.md"
HTTP = "mesos-dns/docs/docs/http.md"
OURS = "labkit/embedded/marathon/FIDELITY.md#simplified"
LB = "marathon-lb/Longhelp.md"

WEB: Json = {
    "cmd": None, "instances": 2, "networks": [{"mode": "container/bridge"}],
    "container": {"type": "DOCKER", "docker": {"image": WHOAMI}, "portMappings": [{"containerPort": 80}]},
}  # fmt: skip


@pytest.fixture
def web(marathon: Marathon) -> Marathon:
    """Two instances of an image that says its host name, outside of the group so that its name is short."""
    assert marathon.cluster.own
    marathon.create("web", **WEB)
    return marathon


def _name(marathon: Marathon, app: str = "web") -> str:
    """``/conf-1/web`` is web-conf-1."""
    return f"{app}-{marathon.home.strip('/')}"


def _ask(marathon: Marathon, name: str, kind: str, *, tcp: bool = False) -> dnslib.DNSRecord:
    host, _, port = marathon.cluster.own.record.endpoints["dns"].rpartition(":")
    question = dnslib.DNSRecord.question(name, kind)
    return dnslib.DNSRecord.parse(question.send(host, int(port), tcp=tcp, timeout=20))


def _addresses(marathon: Marathon, name: str) -> list[str]:
    return sorted(str(row.rdata) for row in _ask(marathon, name, "A").rr)


def _dns(marathon: Marathon, path: str) -> Any:
    answer = requests.get(marathon.cluster.own.env["MESOS_DNS_URL"] + path, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- DNS


@holds(f"{NAMING}#a-and-aaaa-records")
def test_a_records(web: Marathon) -> None:
    """Of the agent, as ``IPSources`` has it here (DC/OS's order); below slave always of the agent."""
    name = f"{_name(web)}.marathon.mesos"
    until(lambda: _addresses(web, name) == sorted(set(_hosts(web))))
    assert _addresses(web, name.upper()) == _addresses(web, name)
    agents = _addresses(web, f"{_name(web)}.marathon.slave.mesos")
    assert set(agents) == {task["host"] for task in web.tasks("web")}


def _hosts(marathon: Marathon) -> list[str]:
    return sorted(task["host"] for task in marathon.tasks("web"))


@holds(f"{NAMING}#srv-records", "marathon/docs/docs/service-discovery-load-balancing.md#mesos-dns")
@pytest.mark.parametrize("tcp", [False, True])
def test_srv_records(web: Marathon, tcp: bool) -> None:
    name = f"_{_name(web)}._tcp.marathon.mesos"
    ports = sorted(task["ports"][0] for task in web.tasks("web"))
    until(lambda: len(_ask(web, name, "SRV", tcp=tcp).rr) == 2)
    answer = _ask(web, name, "SRV", tcp=tcp)
    assert sorted(row.rdata.port for row in answer.rr) == ports
    targets = {str(row.rdata.target) for row in answer.rr}
    assert sorted(address for target in targets for address in _addresses(web, target)) == _hosts(web)
    below = _ask(web, f"_{_name(web)}._tcp.marathon.slave.mesos", "SRV", tcp=tcp)
    assert sorted(row.rdata.port for row in below.rr) == ports
    hosts = {task["host"] for task in web.tasks("web")}
    assert {address for row in below.rr for address in _addresses(web, str(row.rdata.target))} == hosts


@holds(f"{NAMING}#a-and-aaaa-records", f"{NAMING}#srv-records")
def test_names_follow_the_tasks(web: Marathon) -> None:
    name = f"_{_name(web)}._tcp.marathon.mesos"
    until(lambda: len(_ask(web, name, "SRV").rr) == 2)
    web.done("PUT", f"/v2/apps{web.id('web')}", {"instances": 1})
    (left,) = web.running(1, "web")
    until(lambda: [row.rdata.port for row in _ask(web, name, "SRV").rr] == left["ports"])
    web.done("DELETE", f"/v2/apps{web.id('web')}")
    until(lambda: not _ask(web, name, "SRV").rr)
    assert _ask(web, f"{_name(web)}.marathon.mesos", "A").header.rcode == dnslib.RCODE.NXDOMAIN


@holds(f"{NAMING}#srv-records", "marathon/docs/docs/networking.md#discovery-via-mesos")
def test_named_ports_have_names_of_their_own(marathon: Marathon) -> None:
    assert marathon.cluster.own
    marathon.create("ported", portDefinitions=[{"port": 0, "name": "admin"}])
    (task,) = marathon.tasks("ported")
    name = f"_admin._{_name(marathon, 'ported')}._tcp.marathon.mesos"
    answer = until(lambda: (found := _ask(marathon, name, "SRV")).rr and found)
    assert answer
    assert [row.rdata.port for row in answer.rr] == task["ports"]


@holds(f"{NAMING}#other-records")
def test_names_of_the_cluster_itself(marathon: Marathon) -> None:
    assert marathon.cluster.own
    leader = Marathon(marathon.cluster, "/x").cluster.leader
    assert [f"http://{address}:5050" for address in _addresses(marathon, "leader.mesos")] == [leader]
    agents = {agent["hostname"] for agent in marathon.cluster.agents()}
    until(lambda: set(_addresses(marathon, "slave.mesos")) == agents, what="Mesos-DNS knows all agents")
    assert until(lambda: _addresses(marathon, "marathon.mesos"), what="Mesos-DNS has asked the masters")
    assert [row.rdata.port for row in _ask(marathon, "_leader._tcp.mesos", "SRV").rr] == [5050]
    assert [row.rtype for row in _ask(marathon, "mesos", "SOA").auth] == [dnslib.QTYPE.SOA]
    assert [row.rtype for row in _ask(marathon, "mesos", "NS").auth] == [dnslib.QTYPE.NS]


@holds(f"{NAMING}#other-records")
def test_a_name_that_nobody_has(marathon: Marathon) -> None:
    assert marathon.cluster.own
    assert _ask(marathon, "nobody.marathon.mesos", "A").header.rcode == dnslib.RCODE.NXDOMAIN


# -- Mesos-DNS' HTTP API


@holds(f"{HTTP}#get-v1version", f"{HTTP}#get-v1config")
def test_mesos_dns_says_who_it_is(marathon: Marathon) -> None:
    version = _dns(marathon, "/v1/version")
    assert version["Service"] == "Mesos-DNS"
    assert version["Version"]
    config = _dns(marathon, "/v1/config")
    assert (config["Domain"], config["DnsOn"], config["HttpOn"]) == ("mesos", True, True)
    assert config["Zk"].startswith("zk://")


@holds(f"{HTTP}#get-v1hostshost")
def test_hosts_by_http(web: Marathon) -> None:
    name = f"{_name(web)}.marathon.mesos"
    until(lambda: _dns(web, f"/v1/hosts/{name}")[0]["ip"])
    for row in _dns(web, f"/v1/hosts/{name}"):
        assert row["host"] == f"{name}."
        assert row["ip"] in _hosts(web)
    assert _dns(web, "/v1/hosts/nobody.marathon.mesos") == [{"host": "", "ip": ""}]


@holds(f"{HTTP}#get-v1servicesservice")
def test_services_by_http(web: Marathon) -> None:
    name = f"_{_name(web)}._tcp.marathon.mesos."
    until(lambda: len(_dns(web, f"/v1/services/{name}")) == 2)
    rows = _dns(web, f"/v1/services/{name}")
    assert sorted(row["ip"] for row in rows) == _hosts(web)
    assert sorted(row["port"] for row in rows) == sorted(str(task["ports"][0]) for task in web.tasks("web"))
    for row in rows:  # address and port lead to the task, though it is a container behind a bridge
        assert until(lambda url=f"http://{row['ip']}:{row['port']}/": _hostname(url))  # it runs before it listens
    assert {row["service"] for row in rows} == {name}
    empty = {"service": "", "host": "", "ip": "", "port": ""}
    assert _dns(web, "/v1/services/_nobody._tcp.marathon.mesos.") == [empty]


@holds(f"{HTTP}#get-v1enumerate")
def test_everything_by_http(web: Marathon) -> None:
    def tasks() -> list[Json]:
        frameworks = {one["name"]: one for one in _dns(web, "/v1/enumerate")["frameworks"]}
        return [
            task for task in frameworks["marathon"]["tasks"] if task["id"] in {one["id"] for one in web.tasks("web")}
        ]

    found = until(lambda: len(now := tasks()) == 2 and now) or []
    kinds = {(record["rtype"], record["name"]) for task in found for record in task["records"]}
    assert ("A", f"{_name(web)}.marathon.mesos.") in kinds
    assert ("SRV", f"_{_name(web)}._tcp.marathon.mesos.") in kinds


# -- marathon-lb


def _lb(marathon: Marathon, path: str) -> requests.Response:
    return requests.get(marathon.cluster.own.env["MARATHON_LB_URL"] + path, timeout=10)


def _front(marathon: Marathon) -> str:
    """The machine that HAProxy is on."""
    return str(marathon.cluster.own.record.endpoints["lb"].split("//")[1].partition(":")[0])


def _http_port(marathon: Marathon) -> int:
    for port in (80, 9080):
        with socket.socket() as sock:
            if sock.connect_ex((_front(marathon), port)) == 0:
                return port
    raise AssertionError("no front end for virtual hosts")


def _hostname(url: str, **headers: str) -> str | None:
    """Who answers, None if nobody does. One that does not answer in time is neither: AssertionError."""
    try:
        text = requests.get(url, headers=headers, timeout=20).text
    except requests.ConnectionError:
        return None
    except requests.Timeout as error:
        raise AssertionError(error) from None
    return next((line.split()[1] for line in text.splitlines() if line.startswith("Hostname:")), None)


def _balanced(marathon: Marathon, **labels: str) -> Json:
    assert marathon.cluster.own
    return marathon.create("web", **WEB, labels={"HAPROXY_GROUP": "external", **labels})


@holds(f"{LB}#haproxy_n_group", "marathon-lb/README.md#app-labels")
def test_the_service_port_leads_to_every_task(marathon: Marathon) -> None:
    port = _balanced(marathon)["container"]["portMappings"][0]["servicePort"]
    url = f"http://{_front(marathon)}:{port}/"
    until(lambda: _hostname(url))
    until(lambda: len({_hostname(url) for _ in range(6)}) == 2)


@holds(f"{LB}#haproxy_n_vhost")
def test_a_virtual_host(marathon: Marathon) -> None:
    _balanced(marathon, HAPROXY_0_VHOST="conf.example.org")
    url = f"http://{_front(marathon)}:{_http_port(marathon)}/"
    until(lambda: _hostname(url, Host="conf.example.org"))
    assert _hostname(url, Host="nobody.example.org") is None


@holds(f"{LB}#haproxy_n_path")
def test_a_path_of_a_virtual_host(marathon: Marathon) -> None:
    _balanced(marathon, HAPROXY_0_VHOST="paths.example.org", HAPROXY_0_PATH="/inside")
    url = f"http://{_front(marathon)}:{_http_port(marathon)}"
    until(lambda: _hostname(f"{url}/inside", Host="paths.example.org"))
    assert _hostname(f"{url}/outside", Host="paths.example.org") is None


@holds("marathon-lb/README.md#app-labels", f"{LB}#haproxy_n_group")
def test_an_app_of_no_group_is_left_alone(marathon: Marathon) -> None:
    assert marathon.cluster.own
    app = marathon.create("alone", **WEB)
    other = _balanced(marathon)
    port = other["container"]["portMappings"][0]["servicePort"]
    until(lambda: _hostname(f"http://{_front(marathon)}:{port}/"))
    alone = app["container"]["portMappings"][0]["servicePort"]
    assert f":{alone}" not in _lb(marathon, "/_haproxy_getconfig").text


@holds("marathon-lb/README.md#api-endpoints")
def test_its_pages(marathon: Marathon) -> None:
    port = _balanced(marathon, HAPROXY_0_VHOST="pages.example.org")["container"]["portMappings"][0]["servicePort"]
    wanted = {f"{task['host']}:{task['ports'][0]}" for task in marathon.tasks("web")}

    def configured() -> bool:
        config = _lb(marathon, "/_haproxy_getconfig").text
        assert str(port) in config
        return all(each in config for each in wanted)

    until(configured, what="both tasks are in the configuration")
    health = _lb(marathon, "/_haproxy_health_check")
    assert (health.status_code, "200 OK" in health.text) == (200, True)
    assert _lb(marathon, "/_haproxy_getpids").status_code == 200
    for path in ("/_haproxy_getvhostmap", "/_haproxy_getappmap", "/_mlb_signal/hup", "/_mlb_signal/usr1"):
        assert _lb(marathon, path).status_code == 200


@holds("marathon-lb/README.md#api-endpoints")
def test_its_statistics(marathon: Marathon) -> None:
    port = _balanced(marathon)["container"]["portMappings"][0]["servicePort"]

    def servers() -> list[Json]:
        rows = _lb(marathon, "/haproxy?stats;csv").text.splitlines()
        header = rows[0].lstrip("# ").split(",")
        assert {"pxname", "svname", "status", "scur", "stot"} <= set(header)
        names = [dict(zip(header, row.split(","), strict=False)) for row in rows[1:]]
        return [one for one in names if str(port) in one["pxname"] and one["svname"] not in ("FRONTEND", "BACKEND")]

    until(lambda: len(servers()) == 2, what="both tasks are told of")


def _container(marathon: Marathon, script: str) -> str:
    """What a shell in a container writes."""
    container = {"type": "DOCKER", "docker": {"image": "busybox:1.36"}}
    marathon.create("asker", cmd=f"{script}; echo END; sleep 1000", container=container)
    (task,) = marathon.tasks("asker")
    return until(lambda: "END" in (text := marathon.output(task)) and text, what="the container has asked") or ""


@holds(f"{NAMING}#a-and-aaaa-records", f"{NAMING}#srv-records", "marathon-lb/README.md#features")
def test_a_container_finds_its_way_by_names(marathon: Marathon) -> None:
    port = _balanced(marathon)["container"]["portMappings"][0]["servicePort"]
    name = f"{_name(marathon)}.marathon.mesos"
    script = (
        f"until wget -qO- http://marathon-lb.marathon.mesos:{port}/; do sleep 1; done; "
        f"until nslookup {name}; do sleep 1; done; nslookup -type=srv _{_name(marathon)}._tcp.marathon.mesos; "
        "nslookup nobody.marathon.mesos; cat /etc/resolv.conf"
    )
    text = _container(marathon, script)
    assert "Hostname:" in text
    assert set(_hosts(marathon)) <= set(text.split())
    assert {f"{task['ports'][0]}" for task in marathon.tasks("web")} <= set(text.split())
    assert "can't find nobody.marathon.mesos: NXDOMAIN" in text
    dns = marathon.cluster.own.record.endpoints["dns"].rpartition(":")[0]
    assert f"nameserver {dns}" in text


@holds(OURS)
def test_a_container_reaches_nothing_else_of_this_computer(marathon: Marathon) -> None:
    assert marathon.cluster.own
    with socket.create_server(("0.0.0.0", 0)) as secret, socket.create_server((_front(marathon), 0)) as beside:
        ports = [sock.getsockname()[1] for sock in (secret, beside)]
        hosts = {_front(marathon), "127.0.0.1", "127.0.0.2", "0.0.0.0", socket.gethostbyname(socket.gethostname())}
        tries = "; ".join(f"nc -w 2 {host} {port} </dev/null && echo REACHED" for host in hosts for port in ports)
        text = _container(marathon, tries)
        for sock in (secret, beside):
            sock.settimeout(0)
            with pytest.raises(BlockingIOError):
                sock.accept()
    assert "REACHED" not in text


@holds("marathon/docs/docs/health-checks.md#health-lifecycle", "marathon-lb/README.md#features")
def test_routing_follows_the_tasks(marathon: Marathon) -> None:
    port = _balanced(marathon)["container"]["portMappings"][0]["servicePort"]
    url = f"http://{_front(marathon)}:{port}/"
    until(lambda: len({_hostname(url) for _ in range(6)}) == 2)
    before = {_hostname(url) for _ in range(6)}
    marathon.done("POST", f"/v2/apps{marathon.id('web')}/restart")

    def only_new_ones() -> bool:
        found = {_hostname(url) for _ in range(6)}
        return len(found) == 2 and None not in found and not found & before

    until(only_new_ones)
    marathon.done("DELETE", f"/v2/apps{marathon.id('web')}")
    until(lambda: _hostname(url) is None)


@holds(
    "marathon/docs/docs/service-discovery-load-balancing.md#marathon-lb",
    "marathon/docs/docs/rest-api/public/api/v2/apps.raml#get",
)
def test_what_marathon_lb_asks_of_marathon(web: Marathon) -> None:
    apps = web.get("/v2/apps", embed="apps.tasks")["apps"]
    mine = next(app for app in apps if app["id"] == web.id("web"))
    assert len(mine["tasks"]) == 2
    assert all({"host", "ports", "id", "state", "ipAddresses"} <= set(task) for task in mine["tasks"])
    tasks = [task for task in web.get("/v2/tasks")["tasks"] if task["appId"] == web.id("web")]
    assert all(len(task["servicePorts"]) == 1 for task in tasks)


@holds(f"{NAMING}#service-naming", "mesos/docs/endpoints/master/state.md#description")
def test_what_mesos_dns_asks_of_mesos(web: Marathon) -> None:
    state = web.cluster.show("/master/state")
    framework = next(one for one in state["frameworks"] if one["name"] == "marathon")
    tasks = [task for task in framework["tasks"] if task["name"].endswith("web") or task["name"].startswith("web")]
    assert any(task["discovery"]["ports"]["ports"] for task in tasks)
    assert all({"slave_id", "statuses", "resources"} <= set(task) for task in tasks)
