"""The default profile's plug-ins, one a module: what they refuse a node for, in the real words, and how they score.

The words are those of Kubernetes 1.36 (``pkg/scheduler/framework/plugins``); of what 1.20 says differently, each module
tells.
"""
