"""A cluster as its APIs tell of it: three agents, Marathon with two apps, a batch framework."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

MARATHON, BATCH = "fw-marathon", "fw-batch"
UUID = "3b2f6c1e-aaaa-11ee-bbbb-0242ac110002"


def agent(number: int, **more: Any) -> Json:
    return {
        "id": f"S{number}", "hostname": f"127.9.0.{20 + number}", "pid": f"slave(1)@127.9.0.{20 + number}:5051",
        "active": True, "version": "1.11.0",
        "attributes": {"machine": f"agent-{number}", "rack": f"rack-{number}", "zone": "abc"[number - 1]},
        "resources": {"cpus": 4.0, "mem": 4096.0, "disk": 10000.0, "ports": "[31000-31999]"},
        **more,
    }  # fmt: skip


def task(task_id: str, framework: str, where: str, state: str = "TASK_RUNNING", at: float = 100.0, **more: Any) -> Json:
    status = {"state": state, "timestamp": at, "message": more.pop("message", "")}
    return {
        "id": task_id, "name": more.pop("name", "web"), "framework_id": framework, "slave_id": where, "state": state,
        "resources": {"cpus": 0.5, "mem": 128.0}, "statuses": [status], **more,
    }  # fmt: skip


def web(number: int) -> str:
    return f"prod_web.instance-{number}b2f6c1e-aaaa-11ee-bbbb-0242ac110002._app.1"


def state(**more: Any) -> Json:
    return {
        "version": "1.11.0",
        "flags": {"zk": "zk://127.9.0.11:2181/mesos"},
        "slaves": [agent(1), agent(2), agent(3)],
        "frameworks": [
            {
                "id": MARATHON, "name": "marathon", "roles": ["*"], "active": True, "connected": True,
                "used_resources": {"cpus": 1.0, "mem": 256.0}, "offered_resources": {}, "offers": [],
                "tasks": [task(web(1), MARATHON, "S1"), task(web(2), MARATHON, "S2")],
                "completed_tasks": [
                    task(f"prod_web.instance-{n:08x}-aaaa-11ee-bbbb-0242ac110002._app.1", MARATHON, "S3", "TASK_FAILED",
                         float(n), message="Command exited with status 1")
                    for n in range(40)
                ],
                "unreachable_tasks": [],
            },
            {
                "id": BATCH, "name": "batch", "roles": ["batch"], "active": True, "connected": True,
                "used_resources": {"cpus": 3.0, "mem": 1024.0}, "offered_resources": {"cpus": 3.0, "mem": 2048.0},
                "offers": [{"id": "O1", "framework_id": BATCH, "slave_id": "S3",
                            "resources": {"cpus": 3.0, "mem": 2048.0}}],
                "tasks": [task("job-1", BATCH, "S3", name="job 1")],
            },
        ],
        **more,
    }  # fmt: skip


ROLES: Json = {"roles": [{"name": "*", "weight": 1.0}, {"name": "batch", "weight": 2.0}]}
INFO: Json = {"frameworkId": MARATHON, "name": "marathon", "version": "1.11.24"}

APPS: Json = {
    "apps": [
        {
            "id": "/prod/web", "instances": 4, "cpus": 5.0, "mem": 128.0, "labels": {"HAPROXY_GROUP": "external"},
            "container": {"type": "DOCKER", "docker": {"image": "traefik/whoami:v1.10"},
                          "portMappings": [{"containerPort": 80, "servicePort": 10000}]},
            "healthChecks": [{"protocol": "HTTP", "path": "/"}], "dependencies": ["/prod/db"],
            "constraints": [["rack", "UNIQUE"]],
        },
        {"id": "/prod/db", "instances": 1, "cmd": "sleep 1000", "cpus": 0.1, "mem": 32, "portDefinitions": []},
    ]
}  # fmt: skip

TASKS: Json = {
    "tasks": [
        {"id": web(1), "appId": "/prod/web", "host": "127.9.0.21", "ports": [31001], "slaveId": "S1",
         "healthCheckResults": [{"alive": True, "taskId": web(1)}]},
        {"id": web(2), "appId": "/prod/web", "host": "127.9.0.22", "ports": [31002], "slaveId": "S2",
         "healthCheckResults": [{"alive": False, "consecutiveFailures": 3, "lastFailureCause": "503"}]},
    ]
}  # fmt: skip

QUEUE: Json = {
    "queue": [
        {
            "count": 2, "app": APPS["apps"][0], "delay": {"timeLeftSeconds": 0, "overdue": True},
            "processedOffersSummary": {
                "processedOffersCount": 9, "unusedOffersCount": 9,
                "rejectSummaryLastOffers": [
                    {"reason": "UnfulfilledRole", "declined": 0, "processed": 3},
                    {"reason": "UnfulfilledConstraint", "declined": 1, "processed": 3},
                    {"reason": "InsufficientCpus", "declined": 2, "processed": 2},
                ],
            },
            "lastUnusedOffers": [
                {"timestamp": "2024-01-01T00:00:01Z", "reason": ["InsufficientCpus"],
                 "offer": {"id": "O7", "agentId": "S1", "resources": [{"name": "cpus", "role": "*", "scalar": 3.5}]}},
                {"timestamp": "2024-01-01T00:00:02Z", "reason": ["UnfulfilledConstraint"],
                 "offer": {"id": "O8", "agentId": "S2", "resources": [{"name": "cpus", "role": "*", "scalar": 3.5}]}},
            ],
        }
    ]
}  # fmt: skip

DEPLOYMENTS: list[Json] = [
    {
        "id": "d1", "affectedApps": ["/prod/web", "/prod/db"], "currentStep": 1, "totalSteps": 2,
        "currentActions": [{"action": "ScaleApplication", "app": "/prod/web"}],
    }
]  # fmt: skip

HAPROXY = (
    "# pxname,svname,qcur,status,addr\n"
    "prod_web_10000,FRONTEND,,OPEN,\n"
    "prod_web_10000,127_9_0_21_31001,0,UP,127.9.0.21:31001\n"
    "prod_web_10000,127_9_0_22_31002,0,DOWN,\n"
    "prod_web_10000,BACKEND,0,UP,\n"
    "stats,FRONTEND,,OPEN,\n"
)

DNS: Json = {
    "frameworks": [
        {"name": "marathon", "tasks": [{"name": "web-prod", "id": web(1), "records": [
            {"name": "web-prod.marathon.mesos.", "host": "127.9.0.21", "rtype": "A"},
            {"name": "web-prod-x1-s1.marathon.mesos.", "host": "127.9.0.21", "rtype": "A"},
            {"name": "_web-prod._tcp.marathon.mesos.", "host": "web-prod-x1-s1.marathon.mesos:31001", "rtype": "SRV"},
        ]}]},
    ]
}  # fmt: skip
