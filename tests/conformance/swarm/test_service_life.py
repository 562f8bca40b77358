"""A service's life: ls, ps, inspect, scale, update, rollback, rm, and the output one waits by."""

from __future__ import annotations

import json
import re

import docker
import pytest
from support.cluster import BUSYBOX, WHOAMI, WHOAMI_NEXT, Cluster
from support.present import requires
from support.until import until

SECOND = 1_000_000_000


@requires("docker-cli")
def test_ls(swarm: Cluster, web: str) -> None:
    form = "{{.Name}}|{{.Mode}}|{{.Replicas}}|{{.Image}}|{{.Ports}}"
    assert f"{web}|replicated|3/3|{WHOAMI}|*:8080->80/tcp" in swarm.cli("service", "ls", "--format", form).lines
    assert swarm.cli("service", "ls").lines[0].split() == ["ID", "NAME", "MODE", "REPLICAS", "IMAGE", "PORTS"]


def test_service_status_counts_tasks(swarm: Cluster, web: str) -> None:
    [service] = swarm.manager.get("/services", status="true", filters=json.dumps({"name": [web]}))
    assert service["ServiceStatus"] == {"RunningTasks": 3, "DesiredTasks": 3, "CompletedTasks": 0}
    [service] = swarm.manager.get("/services", filters=json.dumps({"name": [web]}))
    assert "ServiceStatus" not in service


@requires("docker-cli")
def test_ps(swarm: Cluster, web: str) -> None:
    form = "{{.Name}}|{{.DesiredState}}|{{.Error}}"
    rows = [line.split("|") for line in swarm.cli("service", "ps", web, "--format", form).lines]
    assert [row[0] for row in rows] == [f"{web}.1", f"{web}.2", f"{web}.3"]
    assert all(row[1:] == ["Running", ""] for row in rows)


@requires("docker-cli")
@pytest.mark.parametrize(
    ("filter", "count"),
    [("name={web}.2", 1), ("desired-state=running", 3), ("desired-state=shutdown", 0), ("node=nowhere", None)],
)
def test_ps_filters(swarm: Cluster, web: str, filter: str, count: int | None) -> None:
    done = swarm.cli("service", "ps", "-q", "--filter", filter.format(web=web), web, check=False)
    if count is None:
        assert done.code == 1
    else:
        assert len(done.lines) == count


@requires("docker-cli")
def test_ps_of_a_service_that_is_not_there(swarm: Cluster) -> None:
    done = swarm.cli("service", "ps", "nosuch", check=False)
    assert (done.code, done.err.strip()) == (1, "no such service: nosuch")


@requires("docker-cli")
def test_inspect_by_name_and_id(swarm: Cluster, web: str) -> None:
    service_id = swarm.client.services.get(web).id
    for name in (web, service_id, service_id[:8]):
        [found] = json.loads(swarm.cli("service", "inspect", name).out)
        assert found["ID"] == service_id
    pretty = swarm.cli("service", "inspect", "--pretty", web).out
    for words in ("Name:web", "ServiceMode:Replicated", "Replicas:3", "PublishMode=ingress", "Parallelism:1"):
        assert words in "".join(pretty.split())


@requires("docker-cli")
def test_inspect_a_service_that_is_not_there(swarm: Cluster) -> None:
    done = swarm.cli("service", "inspect", "nosuch", check=False)
    assert done.code == 1
    assert "no such service: nosuch" in done.err


def test_insert_defaults(swarm: Cluster) -> None:
    service = swarm.create(BUSYBOX, command=["sleep", "1000"], stop_grace_period=None, replicas=0)
    plain = swarm.manager.get(f"/services/{service.id}")["Spec"]
    assert "StopGracePeriod" not in plain["TaskTemplate"]["ContainerSpec"]
    full = swarm.manager.get(f"/services/{service.id}", insertDefaults="true")["Spec"]
    assert full["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] == 10 * SECOND
    assert full["TaskTemplate"]["RestartPolicy"] == {"Condition": "any", "Delay": 5 * SECOND, "MaxAttempts": 0}
    for config in (full["UpdateConfig"], full["RollbackConfig"]):
        assert (config["Parallelism"], config["FailureAction"], config["Order"]) == (1, "pause", "stop-first")
        assert (config["Monitor"], config["MaxFailureRatio"]) == (5 * SECOND, 0)


@requires("docker-cli")
def test_scale_up_and_down_through_the_cli(swarm: Cluster) -> None:
    service = swarm.create(replicas=1)
    swarm.running(service, 1)
    printed = swarm.cli("service", "scale", "-d", f"{service.name}=4").out
    assert printed.strip() == f"{service.name} scaled to 4"
    assert [task["Slot"] for task in swarm.running(service, 4)] == [1, 2, 3, 4]
    swarm.cli("service", "scale", "-d", f"{service.name}=2")
    assert len(swarm.running(service, 2)) == 2
    # Slots that are scaled away leave no history behind.
    until(lambda: len(swarm.tasks(service)) == 2, what="two tasks in all")


def test_scale_through_docker_py_writes_defaults_and_so_replaces_tasks(swarm: Cluster) -> None:
    service = swarm.create(replicas=1)
    [before] = swarm.running(service, 1)
    service.reload()
    assert "RestartPolicy" not in service.attrs["Spec"]["TaskTemplate"]
    assert service.scale(3)
    until(lambda: swarm.running(service, 3)[0]["ID"] != before["ID"], 30, "another task in slot 1")
    service.reload()
    assert service.attrs["Spec"]["TaskTemplate"]["RestartPolicy"]["Condition"] == "any"


def test_scaling_replaces_no_task_and_leaves_no_slot_behind(swarm: Cluster) -> None:
    service = swarm.create(replicas=1)
    [before] = swarm.running(service, 1)
    swarm.scale(service, 3)
    assert swarm.running(service, 3)[0]["ID"] == before["ID"]
    swarm.scale(service, 0)
    until(lambda: swarm.tasks(service) == [])


@requires("docker-cli")
def test_several_at_once(swarm: Cluster) -> None:
    one, two = swarm.create(replicas=1), swarm.create(replicas=1)
    swarm.cli("service", "scale", "-d", f"{one.name}=2", f"{two.name}=0")
    swarm.running(one, 2)
    swarm.running(two, 0)


@requires("docker-cli")
def test_a_global_service_is_not_scaled(swarm: Cluster) -> None:
    service = swarm.service_cli("--mode", "global")
    done = swarm.cli("service", "scale", "-d", f"{service['Spec']['Name']}=2", check=False)
    assert done.code == 1
    assert "scale can only be used with replicated or replicated-job mode" in done.out + done.err


@requires("docker-cli")
def test_waiting_shows_the_progress(swarm: Cluster) -> None:
    name = swarm.name()
    done = swarm.cli("service", "create", "--no-resolve-image", "--name", name, "--replicas", "3", WHOAMI)
    assert "overall progress: 0 out of 3 tasks" in done.out
    assert "overall progress: 3 out of 3 tasks" in done.out
    assert "verify: " in done.out
    assert re.search(r"(converged|stable)", done.lines[-1])
    assert done.lines[0] == swarm.client.services.get(name).id


@requires("docker-cli")
def test_an_update_replaces_the_tasks_one_by_one(swarm: Cluster) -> None:
    service = swarm.create(replicas=2, update_config=docker.types.UpdateConfig(parallelism=1, monitor=SECOND // 10))
    before = {task["ID"] for task in swarm.running(service, 2)}
    swarm.cli("service", "update", "-d", "-q", "--no-resolve-image", "--image", WHOAMI_NEXT, service.name)

    def done() -> bool:
        service.reload()
        return service.attrs.get("UpdateStatus", {}).get("State") == "completed"

    until(done, 40, "the update completed")
    after = swarm.running(service, 2)
    assert not before & {task["ID"] for task in after}
    assert {task["Spec"]["ContainerSpec"]["Image"] for task in after} == {WHOAMI_NEXT}
    status = service.attrs["UpdateStatus"]
    assert status["Message"] == "update completed"
    assert status["StartedAt"] <= status["CompletedAt"]
    assert service.attrs["PreviousSpec"]["TaskTemplate"]["ContainerSpec"]["Image"] == WHOAMI
    old = [task for task in swarm.tasks(service) if task["ID"] in before]
    assert {task["DesiredState"] for task in old} == {"shutdown"}


@requires("docker-cli")
def test_rollback_takes_the_previous_spec(swarm: Cluster) -> None:
    service = swarm.create(replicas=1, update_config=docker.types.UpdateConfig(monitor=SECOND // 10),
                           rollback_config=docker.types.RollbackConfig(monitor=SECOND // 10))  # fmt: skip
    swarm.running(service, 1)
    swarm.cli("service", "update", "-d", "-q", "--no-resolve-image", "--image", WHOAMI_NEXT, service.name)

    def image() -> set[str]:
        return {task["Spec"]["ContainerSpec"]["Image"] for task in swarm.running(service, 1)}

    until(lambda: image() == {WHOAMI_NEXT}, 30)
    swarm.cli("service", "rollback", "-d", "-q", service.name)
    until(lambda: image() == {WHOAMI}, 30)

    def state() -> bool:
        service.reload()
        return service.attrs["UpdateStatus"]["State"] == "rollback_completed"

    until(state, 30)
    assert service.attrs["UpdateStatus"]["Message"] == "rollback completed"
    assert service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == WHOAMI


@requires("docker-cli")
def test_a_rollback_without_a_previous_spec(swarm: Cluster, same) -> None:
    service = swarm.create(replicas=1)
    done = swarm.cli("service", "rollback", "-d", service.name, check=False)
    assert done.code == 1
    same(done.error, "no previous spec", id=service.id)


def test_an_update_that_fails_is_paused(swarm: Cluster) -> None:
    service = swarm.create(BUSYBOX, command=["sleep", "1000"], replicas=1)
    swarm.running(service, 1)
    service.update(args=None, command=["false"])

    def state() -> bool:
        service.reload()
        return service.attrs.get("UpdateStatus", {}).get("State") == "paused"

    until(state, 30, "the update paused")
    message = service.attrs["UpdateStatus"]["Message"]
    assert re.fullmatch("update paused due to failure or early termination of task [0-9a-z]{25}", message)


def test_force_update_makes_new_tasks_of_the_same_spec(swarm: Cluster) -> None:
    service = swarm.create(replicas=1)
    [before] = swarm.running(service, 1)
    service.reload()
    assert service.force_update()
    until(lambda: swarm.running(service, 1)[0]["ID"] != before["ID"], 30)
    service.reload()
    assert service.attrs["Spec"]["TaskTemplate"]["ForceUpdate"] == 1


def test_an_update_of_an_older_version(swarm: Cluster, same) -> None:
    service = swarm.create(replicas=1)
    service.reload()
    version, spec = service.version, service.attrs["Spec"]
    swarm.scale(service, 2)
    answer = swarm.manager.raw("POST", f"/services/{service.id}/update", params={"version": version}, json=spec)
    assert answer.status_code == 500
    same(answer.json()["message"], "out of sequence")
    answer = swarm.manager.raw("POST", f"/services/{service.id}/update", params={"version": "abc"}, json=spec)
    assert answer.status_code == 400
    same(answer.json()["message"], "version is no number")


def test_a_service_cannot_be_renamed(swarm: Cluster, same) -> None:
    service = swarm.create(replicas=1)
    service.reload()
    spec = {**service.attrs["Spec"], "Name": swarm.name()}
    answer = swarm.manager.raw("POST", f"/services/{service.id}/update", params={"version": service.version}, json=spec)
    assert answer.status_code == 501
    same(answer.json()["message"], "no renaming")


@requires("docker-cli")
def test_update_flags(swarm: Cluster) -> None:
    service = swarm.service_cli("--replicas", "0", "--env", "A=1", "--label", "x=1")
    name = service["Spec"]["Name"]
    changes = ["--env-add", "B=2", "--env-rm", "A", "--label-add", "y=2", "--label-rm", "x"]
    changes += ["--constraint-add", "node.role==worker", "--limit-cpu", "0.2"]
    swarm.cli("service", "update", "-d", "-q", *changes, name)
    spec = swarm.api.inspect_service(name)["Spec"]
    assert spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["B=2"]
    assert spec["Labels"] == {"y": "2"}
    assert spec["TaskTemplate"]["Placement"]["Constraints"] == ["node.role==worker"]
    assert spec["TaskTemplate"]["Resources"]["Limits"]["NanoCPUs"] == 200_000_000


@requires("docker-cli")
def test_rm_takes_service_tasks_and_containers(swarm: Cluster) -> None:
    service = swarm.create(replicas=2)
    where = [swarm.container_of(task) for task in swarm.running(service, 2)]
    assert swarm.cli("service", "rm", service.name).text == service.name
    with pytest.raises(docker.errors.NotFound):
        swarm.api.inspect_service(service.id)
    until(lambda: swarm.api.tasks(filters={"label": "none"}) == [] and all(
        not host.containers(id=container) for host, container in where), 30, "the containers removed")  # fmt: skip


@requires("docker-cli")
def test_rm_of_a_service_that_is_not_there(swarm: Cluster, same) -> None:
    done = swarm.cli("service", "rm", "nosuch", check=False)
    assert done.code == 1
    assert "service nosuch not found" in done.err


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"name": ["web"]}, True),
        ({"name": ["we"]}, True),  # a prefix is enough
        ({"name": ["eb"]}, False),
        ({"label": ["tier=front"]}, True),
        ({"label": ["tier"]}, True),
        ({"label": ["tier=back"]}, False),
        ({"mode": ["replicated"]}, True),
        ({"mode": ["global"]}, False),
        ({"name": {"web": True}}, True),  # the CLI's form
        ({"label": {"tier=front": True}}, True),
    ],
    ids=str,
)
def test_filters_of_services_in_both_forms(swarm: Cluster, web: str, filters: dict, found: bool) -> None:
    names = [s["Spec"]["Name"] for s in swarm.manager.get("/services", filters=json.dumps(filters))]
    assert (web in names) is found


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"service": ["web"]}, 3),
        ({"service": ["web"], "desired-state": ["running"]}, 3),
        ({"service": ["web"], "desired-state": ["shutdown"]}, 0),
        ({"name": ["web.2"]}, 1),
        ({"service": {"web": True}, "_up-to-date": {"true": True}}, 3),
        ({"label": ["nosuch=1"]}, 0),
        ({"node": ["manager-1", "manager-2", "manager-3", "worker-1", "worker-2"], "service": ["web"]}, 3),
    ],
    ids=str,
)
def test_filters_of_tasks(swarm: Cluster, web: str, filters: dict, count: int) -> None:
    assert len(swarm.manager.get("/tasks", filters=json.dumps(filters))) == count
