"""marathon-lb: a load balancer that follows Marathon's apps and events.

``labels``, ``ports``, ``groups`` and ``apps`` make services of the JSON of apps (pure); ``routes`` says which request
goes where; ``haproxy`` writes HAProxy's configuration of that and runs it, ``balancer`` is labkit's own balancer for
machines without HAProxy; ``source`` reads Marathon, ``server`` puts it together on a machine.
"""

from labkit.embedded.marathon.discovery.lb.server import MarathonLb, Options
from labkit.embedded.marathon.discovery.lb.source import HttpMarathon, LocalMarathon, Marathon

__all__ = ["HttpMarathon", "LocalMarathon", "Marathon", "MarathonLb", "Options"]
