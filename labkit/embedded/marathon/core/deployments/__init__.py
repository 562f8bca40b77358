"""Deployments under way: which apps they lock, and the actions of their steps."""

from __future__ import annotations

from labkit.embedded.marathon.core.deployments.manager import Deployment, Deployments

__all__ = ["Deployment", "Deployments"]
