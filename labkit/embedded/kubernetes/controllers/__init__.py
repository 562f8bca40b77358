"""The loops of kube-controller-manager, one a folder: each watches, decides with a pure function, and writes."""
