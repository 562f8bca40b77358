"""What one sees of a volume with ``ls -la``: the kubelet's links and directories, modes, groups."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.kubelets import Cluster, log_of, pod_of, shell

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kubelet.atomic import Atomic, Made, directory_name
from labkit.embedded.kubernetes.kubelet.mounted import Below, empty_dir, part
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.files import Files
from labkit.embedded.runtime.nodes import node

NAME = "..2026_11_23_10_00_00.1"
WHERE = "/var/run/secrets/kubernetes.io/serviceaccount"
ACCESS: Json = {
    "name": "kube-api-access-1",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]
    },
}


def volume(**more: Any) -> Atomic:
    return Atomic({"a": b"A", "conf/app/x.ini": b"X", "key": node(b"K", 0o400)}, NAME, **more)


def seen(layer: Any) -> Files:
    return Files({}, {}, mounts={"/v": layer})


def test_the_time_is_in_the_directorys_name() -> None:
    assert re.fullmatch(r"\.\.2026_11_23_10_00_00\.\d{1,10}", directory_name(1_795_428_000.25, "uid/v"))
    assert directory_name(1_795_428_000.25, "uid/v") != directory_name(1_795_428_000.25, "uid/w")


@pytest.mark.parametrize(
    ("path", "mode", "target"),
    [
        ("", "drwxrwxrwx", ""), (f"/{NAME}", "drwxr-xr-x", ""), ("/..data", "lrwxrwxrwx", NAME),
        ("/a", "lrwxrwxrwx", "..data/a"), ("/key", "lrwxrwxrwx", "..data/key"), ("/conf", "lrwxrwxrwx", "..data/conf"),
        ("/..data/a", "-rw-r--r--", ""), ("/..data/key", "-r--------", ""), ("/conf/app", "drwxr-xr-x", ""),
        ("/conf/app/x.ini", "-rw-r--r--", ""),
    ],
)  # fmt: skip
def test_each_entry(path: str, mode: str, target: str) -> None:
    status = seen(volume()).status(f"/v{path}", follow=False)
    assert (status.text, status.target) == (mode, target)


def test_every_name_is_found_and_no_other() -> None:
    layer = volume()
    assert sorted(layer) == sorted([
        "/", "/..data", f"/{NAME}/", f"/{NAME}/conf/", f"/{NAME}/conf/app/", f"/{NAME}/a", f"/{NAME}/key",
        f"/{NAME}/conf/app/x.ini", "/a", "/key", "/conf",
    ])  # fmt: skip
    assert all(path in layer and layer[path] is not None for path in layer)
    for path in ("", "/conf/app", "/nope", f"/{NAME}/nope", f"/{NAME}/nope/", "/..data/a", "/app", NAME, 7):
        assert path not in layer
    assert seen(layer).glob("/v/*", "/") == ["/v/a", "/v/conf", "/v/key"]


@pytest.mark.parametrize(
    ("path", "mode", "gid"),
    [
        ("", "drwxrwsrwt", 2000), ("/..data/", "drwxr-sr-x", 2000), ("/conf/app", "drwxr-sr-x", 2000),
        ("/a", "-rw-r--r--", 2000), ("/key", "-r--r-----", 2000),
    ],
)  # fmt: skip
def test_the_groups_volume(path: str, mode: str, gid: int) -> None:
    files = seen(volume(tmpfs=True, gid=2000))
    assert (files.status(f"/v{path}").text, files.status(f"/v{path}").gid) == (mode, gid)
    assert files.status("/v/a", follow=False).gid == gid


def test_a_tmpfs_counts_its_names() -> None:
    assert [seen(volume(tmpfs=where)).status("/v").size for where in (True, False)] == [20 * 7, 4096]


def test_a_change_turns_all_of_it_at_once() -> None:
    layer = volume()
    files = seen(layer)
    layer.publish(dict(layer.files), "..later")
    assert files.readlink("/v/..data") == NAME  # nothing new: the directory stays
    layer.publish({"a": b"new", "more": b"M"}, "..later")
    assert files.listdir("/v") == ["..data", "..later", "a", "more"]
    assert (files.read("/v/a"), files.listdir("/v/..data")) == (b"new", ["a", "more"])


@pytest.mark.parametrize(
    ("below", "found"),
    [
        ("a", {"": b"A"}), ("..data/a", {"": b"A"}), ("conf", {"/": b"", "/app/x.ini": b"X"}),
        ("/conf/app/", {"/": b"", "/x.ini": b"X"}), ("nope", {"/": b""}),
    ],
)  # fmt: skip
def test_a_sub_path_is_what_was_there_then(below: str, found: dict[str, bytes]) -> None:
    layer = volume()
    mounted = layer.at(below)
    layer.publish({"a": b"new"}, "..later")
    assert dict(mounted) == found
    with pytest.raises(OSError, match="Read-only"):
        mounted["/x"] = b""


def test_nothing_is_made_before_it_is_read() -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"secret"

    files = seen(Atomic({"token": Made(make, 0o600, 7)}, NAME))
    assert files.listdir("/v") == [NAME, "..data", "token"]
    assert files.readlink("/v/token") == "..data/token"
    assert made == []
    status = files.status("/v/token")
    assert (status.text, status.uid, status.size, files.read("/v/token")) == ("-rw-------", 7, 6, b"secret")


def test_a_part_of_a_volume_that_may_be_written() -> None:
    layer = empty_dir("", None)
    files = Files({}, {}, mounts={"/sub": part(layer, "x"), "/all": layer})
    assert files.status("/sub").text == files.status("/all").text == "drwxrwxrwx"
    files.write("/sub/f", b"1")
    assert files.read("/all/x/f") == b"1"
    one = Files({}, {"/etc/f": b"image"}, mounts={"/etc/f": part(layer, "x/f")})
    one.write("/etc/f", b"2")
    assert files.read("/all/x/f") == b"2"
    everything: dict[str, bytes | None] = {"/data/f": b"3"}
    assert seen(Below(everything, "/")).read("/v/data/f") == b"3"
    assert seen(empty_dir("Memory", 5)).status("/v").text == "drwxrwsrwt"


# by kubelet and shell -----------------------------------------------------------------------------------------


def given(cluster: Cluster) -> None:
    objects: list[tuple[Any, Json]] = [
        (kinds.CONFIG_MAPS, {"kind": "ConfigMap", "data": {"run": "echo hi", "word": "old"}}),
        (kinds.SECRETS, {"kind": "Secret", "data": {"pass": "c2VzYW1l"}}),
    ]
    for kind, body in objects:
        cluster.registry.create(kind, "default", {"apiVersion": "v1", "metadata": {"name": "it"}, **body})


VOLUMES: list[Json] = [
    {"name": "c", "configMap": {"name": "it", "items": [{"key": "run", "path": "bin/run", "mode": 0o755}]}},
    {"name": "s", "secret": {"secretName": "it", "defaultMode": 0o400}},
    {"name": "p", "projected": {"defaultMode": 0o440, "sources": [{"secret": {"name": "it"}}]}},
    {
        "name": "d",
        "downwardAPI": {"items": [{"path": "n", "mode": 0o600, "fieldRef": {"fieldPath": "metadata.name"}}]},
    },
    {"name": "e", "emptyDir": {}},
    {"name": "m", "emptyDir": {"medium": "Memory"}},
    ACCESS,
]
MOUNTS: list[Json] = [
    *({"name": name, "mountPath": f"/{name}"} for name in "cspdem"),
    {"name": ACCESS["name"], "mountPath": WHERE, "readOnly": True},
]


async def said(cluster: Cluster, script: str, **security: int) -> list[str]:
    given(cluster)
    await cluster.kubelet()
    main = shell(script, volumeMounts=MOUNTS)
    pod = pod_of("look", main, volumes=VOLUMES, restartPolicy="Never")
    if security:
        pod["spec"]["securityContext"] = security
    await cluster.run(pod, 4)
    return (await log_of(cluster, "look")).splitlines()


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("/c/bin/run; /s/pass; stat -Lc '%a %n' /c /c/bin /c/bin/run", ["hi", "sh: /s/pass: Permission denied",
            "777 /c", "755 /c/bin", "755 /c/bin/run"]),
        ("stat -Lc '%A %n' /s /s/pass /p /p/pass /d /d/n /e /m", ["drwxrwxrwt /s", "-r-------- /s/pass",
            "drwxrwxrwt /p", "-r--r----- /p/pass", "drwxrwxrwt /d", "-rw------- /d/n", "drwxrwxrwx /e",
            "drwxrwxrwt /m"]),
        ("ls -la /s | grep -v [.][.] | cut -c1-43,57-", ["total 4",
            "drwxrwxrwt    3 root     root           100 ."]),
        ("ls -la /s | grep pass | cut -c1-43,57-", ["lrwxrwxrwx    1 root     root            11 pass -> ..data/pass"]),
        (f"ls {WHERE}; cat {WHERE}/token; readlink {WHERE}/..data | cut -c1-3; stat -Lc %A {WHERE}/token",
            ["ca.crt", "namespace", "token", "token of look..2", "-rw-r--r--"]),
        ("for d in c s p d; do echo x > /$d/new; touch /$d/..data/x; done; rm /s/pass; chmod 777 /c/bin/run", [
            *(line for d in "cspd" for line in (f"sh: can't create /{d}/new: Read-only file system",
                f"touch: /{d}/..data/x: Read-only file system")),
            "rm: can't remove '/s/pass': Read-only file system", "chmod: /c/bin/run: Read-only file system"]),
        ("mount | grep -E '/(c|s|e|m) '", ["/dev/vda1 on /c type ext4 (ro,relatime)",
            "tmpfs on /s type tmpfs (ro,relatime)",
            "/dev/vda1 on /e type ext4 (rw,relatime)", "tmpfs on /m type tmpfs (rw,relatime)"]),
    ],
)  # fmt: skip
async def test_what_one_sees(cluster: Cluster, script: str, lines: list[str]) -> None:
    assert await said(cluster, script) == lines


async def test_what_fs_group_and_user_change(cluster: Cluster) -> None:
    script = (
        "id; cd /e; touch f; mkdir g; ln -s f l; touch g/h; touch /m/x; stat -c '%A %u %g %n' . * g/h /m/x; "
        f"stat -Lc '%A %u %g %n' /s /s/pass {WHERE}/token {WHERE}/ca.crt"
    )
    assert await said(cluster, script, runAsUser=1000, fsGroup=2000) == [
        "uid=1000 gid=0(root) groups=0(root),2000",
        "drwxrwsrwx 0 2000 .", "-rw-r--r-- 1000 2000 f", "drwxr-sr-x 1000 2000 g", "lrwxrwxrwx 1000 2000 l",
        "-rw-r--r-- 1000 2000 g/h", "-rw-r--r-- 1000 2000 /m/x", "drwxrwsrwt 0 2000 /s", "-r--r----- 0 2000 /s/pass",
        f"-rw-r----- 1000 2000 {WHERE}/token", f"-rw-r--r-- 0 2000 {WHERE}/ca.crt",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("security", "read"), [({}, "sesame"), ({"runAsUser": 1000}, ""), ({"runAsUser": 1000, "fsGroup": 2000}, "sesame")]
)
async def test_who_may_read_a_secret(cluster: Cluster, security: dict[str, int], read: str) -> None:
    refused = [] if read else ["cat: can't open '/s/pass': Permission denied"]
    script = "cat /s/pass; echo bye > /dev/termination-log; exit 1"
    assert await said(cluster, script, **security) == ([read] if read else refused)
    assert cluster.container("look")["state"]["terminated"]["message"] == "bye\n"


async def test_the_kubelet_reads_what_others_may_not(cluster: Cluster) -> None:
    await cluster.kubelet()
    script = "echo bye > /e/said; chmod 0 /e/said; cat /e/said; exit 1"
    mounts = [{"name": "e", "mountPath": "/e"}]
    main = shell(script, volumeMounts=mounts, terminationMessagePath="/e/said", securityContext={"runAsUser": 1000})
    pod = pod_of("look", main, volumes=[{"name": "e", "emptyDir": {}}], restartPolicy="Never")
    await cluster.run(pod, 4)
    assert await log_of(cluster, "look") == "cat: can't open '/e/said': Permission denied\n"
    assert cluster.container("look")["state"]["terminated"]["message"] == "bye\n"


async def test_a_script_that_may_not_be_run_does_not_start(cluster: Cluster) -> None:
    given(cluster)
    await cluster.kubelet()
    main = {**shell("", volumeMounts=[{"name": "v", "mountPath": "/v"}]), "command": ["/v/run"], "args": []}
    pod = pod_of("look", main, volumes=[{"name": "v", "configMap": {"name": "it"}}], restartPolicy="Never")
    await cluster.run(pod, 4)
    state = cluster.container("look")["state"]["terminated"]
    assert (state["reason"], state["exitCode"]) == ("StartError", 128)
    assert 'exec: "/v/run": permission denied: unknown' in state["message"]


async def test_a_changed_source_is_a_new_directory(cluster: Cluster) -> None:
    given(cluster)
    await cluster.kubelet()
    script = "while true; do echo $(ls -a /v | grep 20) $(cat /v/word) $(cat /one); sleep 30; done"
    mounts = [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/one", "subPath": "word"}]
    volumes = [{"name": "v", "configMap": {"name": "it"}}]
    await cluster.run(pod_of("look", shell(script, volumeMounts=mounts), volumes=volumes), 100)
    cluster.registry.modify(kinds.CONFIG_MAPS, "default", "it", lambda obj: {**obj, "data": {"word": "new"}})
    await cluster.clock.advance(100)
    rows = [line.split() for line in (await log_of(cluster, "look")).splitlines()]
    assert {len(row) for row in rows} == {3}  # one directory at a time
    first, *_, last = rows
    assert (first[1:], last[1:]) == (["old", "old"], ["new", "old"])
    assert first[0] < last[0]
    assert len({row[0] for row in rows}) == 2  # looking alone makes none


async def test_a_token_stays_until_most_of_its_time_is_over(cluster: Cluster) -> None:
    asked: list[str] = []

    def token(pod: Json, audience: str, seconds: float) -> str:
        asked.append(audience)
        return f"token {len(asked)}"

    await cluster.kubelet()
    cluster.parts.token = token
    mine = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]}}
    mounts = [{"name": ACCESS["name"], "mountPath": "/a"}, {"name": "t", "mountPath": "/t"}]
    main = shell("while true; do echo $(cat /a/token) $(cat /t/t); sleep 1000; done", volumeMounts=mounts)
    await cluster.run(pod_of("look", main, volumes=[ACCESS, mine]), 4)
    await cluster.clock.advance(2500)
    assert (await log_of(cluster, "look")).splitlines() == ["token 1 token 2"] * 3
    await cluster.clock.advance(1000)
    assert (await log_of(cluster, "look")).splitlines()[-1] == "token 3 token 4"
    assert asked == ["", "vault", "", "vault"]
