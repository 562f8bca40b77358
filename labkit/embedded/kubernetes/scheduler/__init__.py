"""kube-scheduler: gives every pending pod a node, or says why it has none.

``scheduler.py`` is the shell: it watches, keeps the ``queue`` and the ``cluster``, asks for a decision, writes it down.
Everything that decides is pure: ``plugins/`` hold the filters and scores, ``profile.py`` is their table, ``decide.py``
goes through it, ``ranking.py`` does the same for many alike pods, ``preemption.py`` looks for whom to push aside.
"""

from __future__ import annotations

from labkit.embedded.kubernetes.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
