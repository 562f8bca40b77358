"""What kubeadm adds to a new cluster: kube-proxy, CoreDNS, and the ConfigMaps that say how it was made."""

from __future__ import annotations

from labkit.embedded.kubernetes import VERSION, kinds
from labkit.embedded.kubernetes.bootstrap.statics import REGISTRY
from labkit.embedded.kubernetes.bootstrap.system import ensure
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import Registry

SYSTEM = "kube-system"
COREDNS = f"{REGISTRY}/coredns/coredns:v1.13.1"
KUBE_PROXY = f"{REGISTRY}/kube-proxy:{VERSION}"
PAUSE = f"{REGISTRY}/pause:3.10.1"

COREFILE = """.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
"""


def put(registry: Registry, *, name: str, address: str, dns: str, services: str, pods: str) -> None:
    """Make what is missing. ``dns`` is the cluster DNS' address, ``services`` and ``pods`` are ranges of them."""
    server = f"https://{address}:6443"
    rows: list[tuple[Kind, Json]] = [
        (kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "kube-proxy"}}),
        (kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "coredns"}}),
        (kinds.CONFIG_MAPS, _config("kubeadm-config", ClusterConfiguration=_cluster(name, services, pods))),
        (kinds.CONFIG_MAPS, _config("kubelet-config", kubelet=_kubelet(dns))),
        (kinds.CONFIG_MAPS, _config("coredns", Corefile=COREFILE)),
        (
            kinds.CONFIG_MAPS,
            _config("kube-proxy", labels={"app": "kube-proxy"},
                    **{"config.conf": _proxy(pods), "kubeconfig.conf": _proxy_kubeconfig(server)}),
        ),
        (kinds.DAEMON_SETS, _kube_proxy()),
        (kinds.DEPLOYMENTS, _coredns()),
        (kinds.SERVICES, _dns_service(dns)),
    ]  # fmt: skip
    for kind, obj in rows:
        ensure(registry, kind, SYSTEM, obj, "kubeadm")


def _config(name: str, *, labels: Json | None = None, **data: str) -> Json:
    return {"metadata": {"name": name, **({"labels": labels} if labels else {})}, "data": data}


def _cluster(name: str, services: str, pods: str) -> str:
    return (
        f"apiServer: {{}}\napiVersion: kubeadm.k8s.io/v1beta4\ncertificatesDir: /etc/kubernetes/pki\n"
        f"clusterName: {name}\ncontrollerManager: {{}}\ndns: {{}}\netcd:\n  local:\n    dataDir: /var/lib/etcd\n"
        f"imageRepository: {REGISTRY}\nkind: ClusterConfiguration\nkubernetesVersion: {VERSION}\nnetworking:\n"
        f"  dnsDomain: cluster.local\n  podSubnet: {pods}\n  serviceSubnet: {services}\nscheduler: {{}}\n"
    )


def _kubelet(dns: str) -> str:
    return (
        "apiVersion: kubelet.config.k8s.io/v1beta1\nclusterDNS:\n"
        f"- {dns}\nclusterDomain: cluster.local\nkind: KubeletConfiguration\nnodeStatusUpdateFrequency: 10s\n"
        "rotateCertificates: true\nstaticPodPath: /etc/kubernetes/manifests\n"
    )


def _proxy(pods: str) -> str:
    return (
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nbindAddress: 0.0.0.0\nclientConnection:\n"
        f"  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf\nclusterCIDR: {pods}\nkind: KubeProxyConfiguration\n"
        "mode: iptables\nnodePortAddresses: null\n"
    )


def _proxy_kubeconfig(server: str) -> str:
    secret = "/var/run/secrets/kubernetes.io/serviceaccount"
    return (
        f"apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority: {secret}/ca.crt\n"
        f"    server: {server}\n  name: default\ncontexts:\n- context:\n    cluster: default\n    namespace: default\n"
        "    user: default\n  name: default\ncurrent-context: default\nusers:\n- name: default\n  user:\n"
        f"    tokenFile: {secret}/token\n"
    )


def _kube_proxy() -> Json:
    labels = {"k8s-app": "kube-proxy"}
    container = {
        "name": "kube-proxy",
        "image": KUBE_PROXY,
        "imagePullPolicy": "IfNotPresent",
        "command": [
            "/usr/local/bin/kube-proxy",
            "--config=/var/lib/kube-proxy/config.conf",
            "--hostname-override=$(NODE_NAME)",
        ],
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "securityContext": {"privileged": True},
        "volumeMounts": [{"name": "kube-proxy", "mountPath": "/var/lib/kube-proxy"}],
    }
    return {
        "metadata": {"name": "kube-proxy", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [container],
                    "hostNetwork": True,
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "priorityClassName": "system-node-critical",
                    "serviceAccountName": "kube-proxy",
                    "tolerations": [{"operator": "Exists"}],
                    "volumes": [{"name": "kube-proxy", "configMap": {"name": "kube-proxy"}}],
                },
            },
        },
    }


def _coredns() -> Json:
    labels = {"k8s-app": "kube-dns"}
    apart = {
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]},
            "topologyKey": "kubernetes.io/hostname",
        },
    }
    container = {
        "name": "coredns",
        "image": COREDNS,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        "livenessProbe": {**_probe("/health", 8080), "initialDelaySeconds": 60, "failureThreshold": 5},
        "readinessProbe": _probe("/ready", 8181),
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    return {
        "metadata": {"name": "coredns", "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}},
                    "containers": [container],
                    "dnsPolicy": "Default",
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "priorityClassName": "system-cluster-critical",
                    "serviceAccountName": "coredns",
                    "tolerations": [
                        {"key": "CriticalAddonsOnly", "operator": "Exists"},
                        {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
                    ],
                    "volumes": [
                        {
                            "name": "config-volume",
                            "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]},
                        }
                    ],
                },
            },
        },
    }


def _probe(path: str, port: int) -> Json:
    return {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}}


def _dns_service(dns: str) -> Json:
    labels = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    return {
        "metadata": {
            "name": "kube-dns",
            "labels": labels,
            "annotations": {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"},
        },
        "spec": {
            "clusterIP": dns,
            "clusterIPs": [dns],
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
                {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
            ],
            "selector": {"k8s-app": "kube-dns"},
            "type": "ClusterIP",
        },
    }
