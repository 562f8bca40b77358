"""What a master is started with, as the flags of ``mesos-master``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from labkit.embedded.runtime.durations import HOUR, MINUTE

PORT = 5050


@dataclass(frozen=True, slots=True)
class Options:
    """A master's flags; times in sandbox seconds.

    ``restart_after``: a master that loses its leadership ends itself, and whoever supervises it starts it again after
    this time (systemd's ``RestartSec``); None leaves that to somebody else.
    """

    port: int = PORT
    cluster: str = ""
    quorum: int = 2
    zk: str = "zk://localhost:2181/mesos"
    zk_path: str = "/mesos"
    allocation_interval: float = 1.0
    agent_ping_timeout: float = 15.0
    max_agent_ping_timeouts: int = 5
    agent_reregister_timeout: float = 600.0
    heartbeat_interval: float = 15.0
    offer_timeout: float | None = None
    max_completed_frameworks: int = 50
    restart_after: float | None = 1.0
    zk_session_timeout: float = 10.0
    weights: dict[str, float] = field(default_factory=dict)

    def flags(self) -> dict[str, Any]:
        """As ``/flags`` shows them: every value is text."""
        shown: dict[str, Any] = {
            "agent_ping_timeout": duration(self.agent_ping_timeout),
            "agent_reregister_timeout": duration(self.agent_reregister_timeout),
            "allocation_interval": duration(self.allocation_interval),
            "allocator": "hierarchical",
            "authenticate_agents": "false",
            "authenticate_frameworks": "false",
            "authenticate_http_frameworks": "true",
            "authenticate_http_readonly": "true",
            "authenticate_http_readwrite": "true",
            "authenticators": "crammd5",
            "authorizers": "local",
            "filter_gpu_resources": "true",
            "framework_sorter": "drf",
            "help": "false",
            "hostname_lookup": "false",
            "http_authenticators": "basic",
            "initialize_driver_logging": "true",
            "logbufsecs": "0",
            "logging_level": "INFO",
            "max_agent_ping_timeouts": str(self.max_agent_ping_timeouts),
            "max_completed_frameworks": str(self.max_completed_frameworks),
            "max_completed_tasks_per_framework": "1000",
            "max_unreachable_tasks_per_framework": "1000",
            "memory_profiling": "false",
            "min_allocatable_resources": "cpus:0.01|mem:32",
            "port": str(self.port),
            "publish_per_framework_metrics": "true",
            "quiet": "false",
            "quorum": str(self.quorum),
            "recovery_agent_removal_limit": "100%",
            "registry": "replicated_log",
            "registry_fetch_timeout": "1mins",
            "registry_gc_interval": "15mins",
            "registry_max_agent_age": "2weeks",
            "registry_max_agent_count": "102400",
            "registry_store_timeout": "20secs",
            "registry_strict": "false",
            "require_agent_domain": "false",
            "role_sorter": "drf",
            "root_submissions": "true",
            "user_sorter": "drf",
            "version": "false",
            "zk": self.zk,
            "zk_session_timeout": duration(self.zk_session_timeout),
        }
        if self.cluster:
            shown["cluster"] = self.cluster
        if self.offer_timeout is not None:
            shown["offer_timeout"] = duration(self.offer_timeout)
        return shown


def duration(seconds: float) -> str:
    """As stout's ``Duration`` prints itself: ``15secs``, ``10mins``, ``500ms``."""
    if seconds and seconds < 1:
        return f"{seconds * 1000:g}ms"
    for unit, name in ((HOUR, "hrs"), (MINUTE, "mins")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g}{name}"
    return f"{seconds:g}secs"
