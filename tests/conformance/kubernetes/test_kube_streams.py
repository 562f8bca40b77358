"""Logs, exec, attach, port-forward: by the official client, by kubectl, and as plain requests."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
import requests
from kubernetes.stream import portforward, stream
from support.kube_cluster import BUSYBOX, WHOAMI, KubeCluster, container, deployment, pod, service, told
from support.until import until

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"


def script(text: str) -> tuple[str, str, str]:
    return "sh", "-c", text


# -- logs ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def counter(cluster: KubeCluster, home: str) -> str:
    """A pod of two containers: one has counted to ten, the other has said one word."""
    body = pod(
        "counter", BUSYBOX, *script("for i in $(seq 10); do echo $i; done; sleep 1; echo oops >&2; exec sleep 1000")
    )
    body["spec"]["containers"].append(container("other", BUSYBOX, *script("echo other; exec sleep 1000")))
    cluster.run(home, body)
    # The two streams are read apart: only the second between them says which comes first.
    until(lambda: "oops" in cluster.logs(home, "counter", container="c"), 30)
    until(lambda: cluster.logs(home, "counter", container="other"), 30)
    return "counter"


def test_logs(kube: KubeCluster, home: str, counter: str) -> None:
    lines = kube.logs(home, counter, container="c").splitlines()
    assert [line for line in lines if line != "oops"] == [str(i) for i in range(1, 11)]
    assert "oops" in lines  # what goes to stderr is there, too
    assert kube.logs(home, counter, container="other") == "other\n"
    assert kube.core.read_namespaced_pod_log(counter, home, container="other") == "other\n"


def test_logs_want_a_container_where_there_are_two(kube: KubeCluster, home: str, counter: str) -> None:
    path = kube.path("pods", home, counter, "log")
    status = kube.refusal("GET", path)
    assert (status["code"], status["reason"]) == (400, "BadRequest")
    assert status["message"] == f"a container name must be specified for pod {counter}, choose one of: [c other]"
    status = kube.refusal("GET", path, params={"container": "third"})
    assert status["message"] == f"container third is not valid for pod {counter}"


@pytest.mark.parametrize(("lines", "expected"), [(1, 1), (3, 3), (0, 0), (100, 11)])
def test_the_last_lines(kube: KubeCluster, home: str, counter: str, lines: int, expected: int) -> None:
    assert len(kube.logs(home, counter, container="c", tailLines=lines).splitlines()) == expected


def test_the_first_bytes(kube: KubeCluster, home: str, counter: str) -> None:
    assert kube.logs(home, counter, container="c", limitBytes=4) == "1\n2\n"


def test_times_of_lines(kube: KubeCluster, home: str, counter: str) -> None:
    [line] = kube.logs(home, counter, container="other", timestamps="true").splitlines()
    assert re.fullmatch(f"{STAMP} other", line)


def test_lines_since(kube: KubeCluster, home: str, counter: str) -> None:
    assert kube.logs(home, counter, container="other", sinceSeconds=100000) == "other\n"
    assert kube.logs(home, counter, container="other", sinceTime="2100-01-01T00:00:00Z") == ""
    until(lambda: kube.logs(home, counter, container="other", sinceSeconds=1) == "", 30)


def test_logs_are_followed_to_the_end(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    text = "echo one; while ! test -e /tmp/go; do sleep 0.2; done; echo two"
    kube.run(home, pod(name, BUSYBOX, *script(text), restartPolicy="Never"))
    path = kube.path("pods", home, name, "log")
    answer = kube.raw("GET", path, params={"follow": "true"}, stream=True, timeout=(5, 30))
    lines = answer.iter_lines()
    assert next(lines) == b"one"
    kube.exec(home, name, "touch", "/tmp/go")
    assert list(lines) == [b"two"]


def test_the_logs_of_the_one_before(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    text = "hostname; test -e /v/again && exec sleep 1000; touch /v/again; exit 1"
    body = pod(name, BUSYBOX, *script(text), volumes=[{"name": "v", "emptyDir": {}}])
    body["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    kube.create(home, body)
    path = kube.path("pods", home, name)
    kube.object(path, lambda p: (p["status"].get("containerStatuses") or [{}])[0].get("restartCount"), 40)
    assert kube.logs(home, name, previous="true") == f"{name}\n"
    other = kube.name("p")
    kube.run(home, pod(other, BUSYBOX, "sleep", "1000"))
    status = kube.refusal("GET", kube.path("pods", home, other, "log"), params={"previous": "true"})
    assert (status["code"], status["reason"]) == (400, "BadRequest")
    assert status["message"] == f'previous terminated container "c" in pod "{other}" not found'


def test_the_logs_of_one_that_has_not_started(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, "example.invalid/none:1"))
    path = kube.path("pods", home, name)
    kube.object(path, lambda p: p["status"].get("containerStatuses"), 30)
    status = kube.refusal("GET", f"{path}/log")
    assert (status["code"], status["reason"]) == (400, "BadRequest")
    assert status["message"].startswith(f'container "c" in pod "{name}" is waiting to start: ')


def test_the_logs_of_one_that_runs_nowhere(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, schedulerName="nobody"))
    answer = kube.raw("GET", kube.path("pods", home, name, "log"))
    assert (answer.status_code, answer.text) == (204, "")


@pytest.mark.parametrize(
    ("params", "field"),
    [({"tailLines": -1}, "tailLines"), ({"sinceSeconds": 0}, "sinceSeconds"), ({"limitBytes": 0}, "limitBytes")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_log_options_that_cannot_be(
    kube: KubeCluster, home: str, counter: str, params: dict[str, int], field: str
) -> None:
    status = kube.refusal("GET", kube.path("pods", home, counter, "log"), params=params | {"container": "c"})
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == [field]


def test_kubectl_reads_the_logs_of_a_deployment(kube: KubeCluster, ns: str) -> None:
    body = deployment("talker", 2, BUSYBOX)
    body["spec"]["template"]["spec"]["containers"][0]["command"] = list(script("echo hello; exec sleep 1000"))
    kube.create(ns, body)
    kube.ready_pods(ns, 2, app="talker")
    until(lambda: kube.kubectl("logs", "-n", ns, "deployment/talker").out.endswith("hello\n"), 30)
    told = until(lambda: len(t := kube.kubectl("logs", "-n", ns, "-l", "app=talker", "--prefix").lines) == 2 and t, 30)
    assert all(re.fullmatch(r"\[pod/talker-[a-z0-9]+-[a-z0-9]+/c\] hello", line) for line in told)


# -- exec ------------------------------------------------------------------------------------------------------------


def test_exec_keeps_both_outputs_apart(kube: KubeCluster, home: str, counter: str) -> None:
    done = kube.exec(home, counter, *script("echo out; echo err >&2; exit 3"), container="c", check=False)
    assert (done.out, done.err, done.code) == ("out\n", "err\n", 3)


def test_exec_with_an_input(kube: KubeCluster, home: str, counter: str) -> None:
    with kube.streaming() as core:
        socket = stream(
            core.connect_get_namespaced_pod_exec, counter, home, container="c", stdin=True, stdout=True, stderr=True,
            command=list(script("read line; echo got $line")), tty=False, _preload_content=False,
        )  # fmt: skip
        socket.write_stdin("hello\n")
        assert told(socket).out == "got hello\n"


def test_exec_of_what_is_not_there(kube: KubeCluster, home: str, counter: str) -> None:
    done = kube.kubectl("exec", "-n", home, counter, "-c", "c", "--", "/no/such/command", check=False)
    assert done.code in (126, 127, 1)
    assert "/no/such/command" in done.err
    assert "no such file or directory" in done.err


def test_kubectl_exec(kube: KubeCluster, home: str, counter: str) -> None:
    assert kube.kubectl("exec", "-n", home, counter, "-c", "other", "--", "hostname").text == counter
    done = kube.kubectl("exec", "-i", "-n", home, counter, "-c", "c", "--", "cat", stdin="through\n")
    assert done.out == "through\n"
    done = kube.kubectl("exec", "-n", home, counter, "-c", "c", "--", "sh", "-c", "exit 7", check=False)
    assert done.code == 7
    assert "command terminated with exit code 7" in done.err


def test_exec_in_what_is_not_there(kube: KubeCluster, home: str, counter: str) -> None:
    path = kube.path("pods", home, counter, "exec")
    status = kube.refusal("GET", path, params={"command": "ls", "stdout": "1", "container": "third"})
    assert status["code"] == 400
    assert "container third is not valid for pod counter" in status["message"] or (
        "container not found" in status["message"]
    )


def test_exec_needs_a_stream(kube: KubeCluster, home: str, counter: str) -> None:
    answer = kube.raw("GET", kube.path("pods", home, counter, "exec"), params={"command": "ls", "container": "c"})
    assert answer.status_code in (400, 422)


def test_exec_in_a_pod_that_has_ended(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, BUSYBOX, "true", restartPolicy="Never"))
    kube.ended(home, name)
    done = kube.kubectl("exec", "-n", home, name, "--", "ls", check=False)
    assert done.code == 1
    assert "cannot exec into a container in a completed pod; current phase is Succeeded" in done.err


def test_kubectl_copies(kube: KubeCluster, home: str, counter: str) -> None:
    # `kubectl cp` is exec with tar; where there is no tar, cat does it. The shell keeps its stdout open meanwhile:
    # containerd closes the input of a command whose output has ended, read or not (containerd/containerd#13934).
    text = "cat > /tmp/copied; echo done"
    told = kube.kubectl("exec", "-i", "-n", home, counter, "-c", "c", "--", *script(text), stdin="text").text
    assert told == "done"
    assert kube.exec(home, counter, "cat", "/tmp/copied", container="c").out == "text"


# -- attach ----------------------------------------------------------------------------------------------------------


def test_attach(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    body = pod(name, BUSYBOX, *script("while read line; do echo heard $line; done"), restartPolicy="Never")
    body["spec"]["containers"][0] |= {"stdin": True, "stdinOnce": True}
    kube.run(home, body)
    with kube.streaming() as core:
        socket = stream(
            core.connect_get_namespaced_pod_attach, name, home, stdin=True, stdout=True, stderr=True, tty=False,
            _preload_content=False,
        )  # fmt: skip
        socket.write_stdin("hello\n")
        heard = ""
        for _ in range(20):
            socket.update(timeout=1)
            heard += socket.read_stdout() if socket.peek_stdout() else ""
            if heard:
                break
        socket.close()
    assert heard == "heard hello\n"
    assert until(lambda: kube.logs(home, name), 30) == "heard hello\n"  # the log has a way of its own


def test_kubectl_runs_and_takes_away(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    done = kube.kubectl(
        "run", name, "-n", home, "--image", BUSYBOX, "--image-pull-policy=IfNotPresent", "--rm", "-i",
        "--restart=Never", "--quiet", "--", "sh", "-c", "read line; echo heard $line", stdin="hello\n",
    )  # fmt: skip
    assert "heard hello" in done.out
    kube.gone(kube.path("pods", home, name))


# -- port-forward ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def web(cluster: KubeCluster, home: str) -> str:
    cluster.create(home, service("web", ports=[{"port": 8000, "targetPort": 80}]))
    cluster.run(home, pod("web", WHOAMI))
    cluster.object(cluster.path("endpoints", home, "web"), lambda e: (e.get("subsets") or [{}])[0].get("addresses"))
    return "web"


def test_the_official_client_forwards_a_port(kube: KubeCluster, home: str, web: str) -> None:
    with kube.streaming() as core:
        forward = portforward(core.connect_get_namespaced_pod_portforward, web, home, ports="80")
        connection = forward.socket(80)
        connection.setblocking(True)
        connection.settimeout(10)
        connection.sendall(b"GET / HTTP/1.0\r\nHost: web\r\n\r\n")
        answer = b""
        while b"Hostname" not in answer:
            more = connection.recv(4096)
            assert more, answer
            answer += more
        connection.close()
        assert forward.error(80) is None
    assert b"Hostname: web" in answer


@pytest.fixture
def forwarded(kube: KubeCluster, home: str, web: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A URL at which kubectl forwards to something of the namespace."""
    target, port = request.param
    process = kube.start("port-forward", "-n", home, target, f":{port}", "--address", "127.0.0.1")
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> 80", line)
        assert found, line
        yield f"http://127.0.0.1:{found.group(1)}/"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("forwarded", [("pod/web", 80), ("service/web", 8000)], ids=["pod", "service"], indirect=True)
def test_kubectl_forwards_a_port(kube: KubeCluster, forwarded: str) -> None:
    for _ in range(3):
        assert requests.get(forwarded, timeout=10).text.splitlines()[0] == "Hostname: web"


def test_a_port_where_nobody_listens(kube: KubeCluster, home: str, web: str) -> None:
    process = kube.start("port-forward", "-n", home, "pod/web", ":81", "--address", "127.0.0.1")
    try:
        assert process.stdout
        port = int(re.findall(r"127\.0\.0\.1:(\d+)", process.stdout.readline())[0])
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.settimeout(10)
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            try:
                assert connection.recv(100) == b""
            except ConnectionError:
                pass
        said = ""
        while "refused" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
    finally:
        process.kill()
        process.wait()


# -- the proxy of the API server -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["pods/web:80/proxy/", "services/web:8000/proxy/"])
def test_the_api_server_is_a_proxy(kube: KubeCluster, home: str, web: str, path: str) -> None:
    answer = kube.raw("GET", f"/api/v1/namespaces/{home}/{path}")
    assert answer.status_code == 200
    assert "Hostname: web" in answer.text
