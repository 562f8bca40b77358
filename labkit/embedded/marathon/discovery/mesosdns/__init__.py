"""Mesos-DNS: reads the leading master's state, answers for ``.mesos`` over DNS and HTTP.

As mesosphere/mesos-dns v0.8.0: ``names`` makes labels of task and framework names, ``tasks`` says what the state tells
of a task, ``records`` makes the zone of a state, ``answers`` the answer to a question, ``http`` the API on port 8123,
``server`` runs it all on a machine.
"""

from labkit.embedded.marathon.discovery.mesosdns.config import Config
from labkit.embedded.marathon.discovery.mesosdns.server import MesosDns

__all__ = ["Config", "MesosDns"]
