"""What is there before anybody has made anything: what the API server, and kubeadm after it, put into a new cluster.

``system`` are the API server's own objects, ``statics`` the manifests of the control-plane's static pods, ``addons``
kube-proxy, CoreDNS and kubeadm's ConfigMaps.
"""
