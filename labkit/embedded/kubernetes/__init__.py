"""An embedded Kubernetes: API server, controllers, scheduler, kubelets and the network, in one process a sandbox."""

VERSION = "v1.36.1"
