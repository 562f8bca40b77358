"""Deployments: one ReplicaSet a template, and the way from the old one to the new one."""

from labkit.embedded.kubernetes.controllers.deployment.controller import DeploymentController

__all__ = ["DeploymentController"]
