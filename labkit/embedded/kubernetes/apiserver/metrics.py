"""``/metrics``: a few of the numbers that people look for first, in Prometheus' text format."""

from __future__ import annotations

import resource
from collections import Counter
from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import VERSION, kinds

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.apiserver.server import ApiServer

MIME = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"

Requests = Counter[tuple[str, str, int]]  # verb, resource, HTTP status


def render(server: ApiServer) -> str:
    """The page."""
    lines = [
        "# HELP apiserver_request_total Counter of apiserver requests broken out for each verb, resource and code.",
        "# TYPE apiserver_request_total counter",
    ]
    for (verb, name, code), count in sorted(server.requests.items()):
        lines.append(f'apiserver_request_total{{code="{code}",resource="{name}",verb="{verb}"}} {count}')
    lines += ["# HELP apiserver_longrunning_requests Gauge of all active long-running apiserver requests.",
              "# TYPE apiserver_longrunning_requests gauge",
              f'apiserver_longrunning_requests{{verb="WATCH"}} {len(server.watches)}']  # fmt: skip
    if server.etcd.running:
        lines += ["# HELP apiserver_storage_objects Number of stored objects at the time of last check.",
                  "# TYPE apiserver_storage_objects gauge"]  # fmt: skip
        for kind in kinds.stored():
            count = len(server.etcd.table(kind).records)
            lines.append(f'apiserver_storage_objects{{resource="{kind.resource}"}} {count}')
    used = resource.getrusage(resource.RUSAGE_SELF)
    lines += [
        "# HELP kubernetes_build_info A metric with a constant '1' value labeled by major, minor, git version.",
        "# TYPE kubernetes_build_info gauge",
        f'kubernetes_build_info{{git_version="{VERSION}"}} 1',
        "# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.",
        "# TYPE process_cpu_seconds_total counter",
        f"process_cpu_seconds_total {used.ru_utime + used.ru_stime:.2f}",
    ]
    return "\n".join(lines) + "\n"
