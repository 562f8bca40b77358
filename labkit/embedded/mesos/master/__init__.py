"""The Mesos master."""

from labkit.embedded.mesos.master.answers import Answer
from labkit.embedded.mesos.master.master import Master
from labkit.embedded.mesos.master.options import Options
from labkit.embedded.mesos.master.subscription import Subscription

__all__ = ["Answer", "Master", "Options", "Subscription"]
