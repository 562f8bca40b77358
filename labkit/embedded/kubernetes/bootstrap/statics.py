"""The manifests of the control-plane's static pods, as kubeadm writes them into ``/etc/kubernetes/manifests``."""

from __future__ import annotations

from labkit.embedded.kubernetes import VERSION
from labkit.embedded.kubernetes.objects import Json

REGISTRY = "registry.k8s.io"
ETCD_VERSION = "3.6.6-0"
STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def image(name: str) -> str:
    """The image of a component."""
    return f"{REGISTRY}/etcd:{ETCD_VERSION}" if name == "etcd" else f"{REGISTRY}/{name}:{VERSION}"


def _flags(name: str, node: str, address: str, services: str, pods: str) -> list[str]:
    pki = "/etc/kubernetes/pki"
    flags: dict[str, dict[str, str]] = {
        "etcd": {
            "advertise-client-urls": f"https://{address}:2379",
            "client-cert-auth": "true",
            "data-dir": "/var/lib/etcd",
            "initial-cluster": f"{node}=https://{address}:2380",
            "listen-client-urls": f"https://127.0.0.1:2379,https://{address}:2379",
            "name": node,
        },
        "kube-apiserver": {
            "advertise-address": address,
            "allow-privileged": "true",
            "authorization-mode": "Node,RBAC",
            "client-ca-file": f"{pki}/ca.crt",
            "enable-admission-plugins": "NodeRestriction",
            "etcd-servers": "https://127.0.0.1:2379",
            "secure-port": "6443",
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
            "service-account-signing-key-file": f"{pki}/sa.key",
            "service-cluster-ip-range": services,
            "tls-cert-file": f"{pki}/apiserver.crt",
            "tls-private-key-file": f"{pki}/apiserver.key",
        },
        "kube-controller-manager": {
            "allocate-node-cidrs": "true",
            "bind-address": "127.0.0.1",
            "cluster-cidr": pods,
            "controllers": "*,bootstrapsigner,tokencleaner",
            "kubeconfig": "/etc/kubernetes/controller-manager.conf",
            "leader-elect": "true",
            "root-ca-file": f"{pki}/ca.crt",
            "service-cluster-ip-range": services,
            "use-service-account-credentials": "true",
        },
        "kube-scheduler": {
            "bind-address": "127.0.0.1",
            "kubeconfig": "/etc/kubernetes/scheduler.conf",
            "leader-elect": "true",
        },
    }
    return [name, *(f"--{flag}={value}" for flag, value in flags[name].items())]


_REQUESTS: dict[str, Json] = {
    "etcd": {"cpu": "100m", "memory": "100Mi"},
    "kube-apiserver": {"cpu": "250m"},
    "kube-controller-manager": {"cpu": "200m"},
    "kube-scheduler": {"cpu": "100m"},
}
_ADVERTISED = {
    "etcd": ("kubeadm.kubernetes.io/etcd.advertise-client-urls", "https://{address}:2379"),
    "kube-apiserver": ("kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint", "{address}:6443"),
}


def manifest(name: str, node: str, address: str, services: str, pods: str) -> Json:
    """The manifest of one component on one control-plane machine. ``services`` and ``pods`` are address ranges."""
    metadata: Json = {
        "name": name,
        "namespace": "kube-system",
        "labels": {"component": name, "tier": "control-plane"},
    }
    if name in _ADVERTISED:
        key, value = _ADVERTISED[name]
        metadata["annotations"] = {key: value.format(address=address)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "containers": [
                {
                    "name": name,
                    "image": image(name),
                    "imagePullPolicy": "IfNotPresent",
                    "command": _flags(name, node, address, services, pods),
                    "resources": {"requests": _REQUESTS[name]},
                }
            ],
            "hostNetwork": True,
            "priority": 2000001000,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        },
    }
