"""What a Marathon is started with: the flags of the same names (``MarathonConf.scala`` and its parts). Seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from labkit.embedded.marathon.matching import Context
from labkit.embedded.marathon.specs import Config

VERSION = "1.11.24"
PORT = 8080
DAY = 24 * 3600.0


@dataclass(frozen=True)
class Options:
    """Defaults are the real ones but for those that say otherwise."""

    specs: Config = field(default_factory=Config)
    matching: Context = field(default_factory=Context)
    framework_name: str = "marathon"
    mesos_user: str = ""
    principal: str | None = None
    failover_timeout: float = 7 * DAY
    checkpoint: bool = True
    decline_offer_duration: float = 120.0
    # The real defaults, 5 and 5 s, are for clusters that many frameworks share: here people wait for what they see.
    max_instances_per_offer: int = 1000
    min_revive_offers_interval: float = 1.0
    task_launch_timeout: float = 300.0
    task_launch_confirm_timeout: float = 300.0
    overdue_interval: float = 30.0
    reconciliation_initial_delay: float = 15.0
    reconciliation_interval: float = 600.0
    scale_apps_initial_delay: float = 15.0
    scale_apps_interval: float = 300.0
    expunge_interval: float = 5.0  # really 30 s, after 5 min
    max_running_deployments: int = 100
    zk_session_timeout: float = 10.0
    zk_max_versions: int = 50
    port: int = PORT
