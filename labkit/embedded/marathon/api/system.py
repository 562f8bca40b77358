"""``/v2/info``, ``/v2/leader``, ``/v2/plugins``, ``/ping``, ``/metrics`` and what there is not."""

from __future__ import annotations

from labkit.embedded.marathon.api.answers import Answer, Json, Refused, Request, Route
from labkit.embedded.marathon.core import conditions as c
from labkit.embedded.marathon.core.options import VERSION

ABDICATION_DELAY = 0.5  # seconds: the answer goes out first


async def info(request: Request) -> Answer:
    marathon, term, options = request.marathon, request.term, request.term.options
    specs = options.specs
    config: Json = {
        "access_control_allow_origin": None,
        "checkpoint": options.checkpoint,
        "decline_offer_duration": int(options.decline_offer_duration * 1000),
        "default_network_name": specs.default_network_name,
        "env_vars_prefix": options.matching.env_vars_prefix or None,
        "executor": options.matching.executor,
        "failover_timeout": int(options.failover_timeout),
        "features": sorted(specs.features),
        "framework_name": options.framework_name,
        "ha": True,
        "hostname": marathon.host_port.rpartition(":")[0],
        "launch_token": None,
        "launch_token_refresh_interval": None,
        "leader_proxy_connection_timeout_ms": 5000,
        "leader_proxy_read_timeout_ms": 10000,
        "local_port_max": specs.local_port_max,
        "local_port_min": specs.local_port_min,
        "master": f"zk://{marathon.zk_hosts}/mesos",
        "max_instances_per_offer": options.max_instances_per_offer,
        "mesos_bridge_name": specs.mesos_bridge_name,
        "mesos_heartbeat_failure_threshold": 5,
        "mesos_heartbeat_interval": 15000,
        "mesos_leader_ui_url": term.mesos_leader_url,
        "mesos_role": specs.mesos_role,
        "mesos_user": options.mesos_user or None,
        "new_group_enforce_role": "top" if specs.new_group_enforce_role else "off",
        "min_revive_offers_interval": int(options.min_revive_offers_interval * 1000),
        "offer_matching_timeout": 3000,
        "on_elected_prepare_timeout": 180000,
        "reconciliation_initial_delay": int(options.reconciliation_initial_delay * 1000),
        "reconciliation_interval": int(options.reconciliation_interval * 1000),
        "scale_apps_initial_delay": int(options.scale_apps_initial_delay * 1000),
        "scale_apps_interval": int(options.scale_apps_interval * 1000),
        "store_cache": True,
        "task_launch_confirm_timeout": int(options.task_launch_confirm_timeout * 1000),
        "task_launch_timeout": int(options.task_launch_timeout * 1000),
        "task_lost_expunge_initial_delay": int(options.expunge_interval * 1000),
        "task_lost_expunge_interval": int(options.expunge_interval * 1000),
        "task_reservation_timeout": 20000,
        "webui_url": f"http://{marathon.host_port}",
        "maintenance_mode": True,
    }
    zookeeper: Json = {
        "zk": f"zk://{marathon.zk_hosts}/marathon",
        "zk_compression": False,
        "zk_compression_threshold": 65536,
        "zk_connection_timeout": 10000,
        "zk_max_node_size": 1024000,
        "zk_max_versions": options.zk_max_versions,
        "zk_session_timeout": int(options.zk_session_timeout * 1000),
        "zk_timeout": 10000,
    }
    return Answer(
        {
            "name": "marathon",
            "version": VERSION,
            "buildref": "labkit",
            "elected": marathon.is_leader,
            "leader": marathon.leader or marathon.host_port,
            "frameworkId": term.framework_id,
            "marathon_config": config,
            "zookeeper_config": zookeeper,
            "http_config": {"http_port": options.port, "https_port": None},
        }
    )


async def leader(request: Request) -> Answer:
    return Answer({"leader": request.marathon.leader or request.marathon.host_port})


async def abdicate(request: Request) -> Answer:
    request.term.clock.call_later(ABDICATION_DELAY, request.marathon.give_up)
    return Answer({"message": "Leadership abdicated"})


async def plugins(request: Request) -> Answer:
    return Answer({"plugins": []})


async def no_pods(request: Request) -> Answer:
    """There are no pods here, so a list of them is empty; anything else says so."""
    if request.raw.method == "GET" and request.raw.path.rstrip("/") in ("/v2/pods", "/v2/pods/::status"):
        return Answer([])
    if request.raw.method == "HEAD":
        return Answer(status=501)
    raise Refused(501, "Pods are not implemented by the embedded Marathon")


async def metrics(request: Request) -> Answer:
    """Some of the gauges and counters of ``docs/docs/metrics.md``, under their names."""
    term = request.term
    instances = list(term.tracker.by_id.values())
    gauges = {
        "marathon.apps.active.gauge": len(term.groups.root.all_apps),
        "marathon.groups.active.gauge": sum(1 for _ in term.groups.root.all_groups()),
        "marathon.deployments.active.gauge": len(term.deployments.running),
        "marathon.instances.running.gauge": sum(each.condition == c.RUNNING for each in instances),
        "marathon.instances.staged.gauge": sum(each.condition == c.STAGING for each in instances),
        "marathon.leadership.duration.gauge.seconds": round(term.clock.time() - term.began_at, 3),
        "marathon.uptime.gauge.seconds": round(term.clock.time() - request.marathon.started_at, 3),
    }
    return Answer(
        {
            "version": "4.0.0",
            "gauges": {name: {"value": value} for name, value in gauges.items()},
            "counters": {"marathon.events.published.counter": {"count": term.bus.published}},
            "histograms": {},
            "meters": {},
            "timers": {},
        }
    )


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Marathon</title></head><body><h1>Marathon</h1>
<p>This is the embedded Marathon of a sandbox. It has no graphical interface of its own: the dashboard in the notebook
shows its apps. Its API is below <a href="/v2/apps">/v2/apps</a>.</p>
<table border="1"><tr><th>App</th><th>Running</th><th>Instances</th></tr>{rows}</table></body></html>
"""


async def page(request: Request) -> Answer:
    term = request.term
    rows = "".join(
        f"<tr><td>{app.id}</td><td>{sum(each.running for each in term.tracker.of_app(app.id))}</td>"
        f"<td>{app.instances}</td></tr>"
        for app in term.groups.root.all_apps.values()
    )
    return Answer(_PAGE.replace("{rows}", rows).encode(), content_type="text/html; charset=utf-8")


ROUTES: list[Route] = [
    ("GET", r"/v2/info/?", info),
    ("GET", r"/v2/leader/?", leader),
    ("DELETE", r"/v2/leader/?", abdicate),
    ("GET", r"/v2/plugins/?", plugins),
    ("GET", r"/metrics/?", metrics),
    ("GET", r"/(?:ui/?)?", page),
    *((method, r"/v2/pods(?:/.*)?", no_pods) for method in ("GET", "HEAD", "POST", "PUT", "DELETE")),
]
