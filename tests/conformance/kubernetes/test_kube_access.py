"""Who may do what: can-i, whoami, tokens of service accounts."""

from __future__ import annotations

import pytest
import requests
from support.kube_cluster import BUSYBOX, Json, KubeCluster, pod
from support.until import until


def token_of(kube: KubeCluster, namespace: str, account: str = "default") -> str:
    answer = kube.raw("POST", kube.path("serviceaccounts", namespace, account, "token"),
                      json={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})  # fmt: skip
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["status"]["token"]
    return token


@pytest.fixture
def account(kube: KubeCluster, home: str) -> requests.Session:
    """A session of the default service account."""
    session = requests.Session()
    session.trust_env = False
    session.verify = kube.api.configuration.ssl_ca_cert
    session.headers["Authorization"] = f"Bearer {token_of(kube, home)}"
    return session


def review(kind: str, **spec: Json) -> Json:
    return {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}


REVIEWS = "/apis/authorization.k8s.io/v1"


def test_the_administrator_may_everything(kube: KubeCluster) -> None:
    asked = review("SelfSubjectAccessReview", resourceAttributes={"verb": "delete", "resource": "nodes"})
    told = kube.raw("POST", f"{REVIEWS}/selfsubjectaccessreviews", json=asked).json()
    assert told["status"]["allowed"] is True
    assert kube.kubectl("auth", "can-i", "delete", "nodes").text.endswith("yes")


@pytest.mark.parametrize(
    ("verb", "resource", "answer"),
    [
        ("list", "pods", "no"),
        ("create", "deployments.apps", "no"),
        ("create", "selfsubjectaccessreviews.authorization.k8s.io", "yes"),
    ],
)
def test_what_a_service_account_may(kube: KubeCluster, home: str, verb: str, resource: str, answer: str) -> None:
    as_account = f"--as=system:serviceaccount:{home}:default"
    done = kube.kubectl("auth", "can-i", verb, resource, "-n", home, as_account, check=False)
    assert done.lines[-1] == answer
    assert done.code == (0 if answer == "yes" else 1)


def test_a_service_account_is_known_by_its_token(kube: KubeCluster, home: str, account: requests.Session) -> None:
    answer = account.get(f"{kube.api.configuration.host}/api/v1/namespaces/{home}/pods")
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
    assert answer.json()["message"] == (
        f'pods is forbidden: User "system:serviceaccount:{home}:default" cannot list resource "pods" in API group "" '
        f'in the namespace "{home}"'
    )
    assert answer.json()["details"] == {"kind": "pods"}


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("GET", "/api/v1/namespaces/{ns}/secrets/a", 'secrets "a" is forbidden: User "{who}" cannot get resource '
         '"secrets" in API group "" in the namespace "{ns}"'),
        ("POST", "/apis/apps/v1/namespaces/{ns}/deployments", 'deployments.apps is forbidden: User "{who}" cannot '
         'create resource "deployments" in API group "apps" in the namespace "{ns}"'),
        ("GET", "/api/v1/nodes", 'nodes is forbidden: User "{who}" cannot list resource "nodes" in API group "" at the '
         "cluster scope"),
        ("GET", "/api/v1/namespaces/{ns}/pods/a/log", 'pods "a" is forbidden: User "{who}" cannot get resource '
         '"pods/log" in API group "" in the namespace "{ns}"'),
        ("GET", "/metrics", 'forbidden: User "{who}" cannot get path "/metrics"'),
    ],
    ids=["get", "create", "at the cluster scope", "a part", "no resource"],
)  # fmt: skip
def test_how_it_is_refused(
    kube: KubeCluster, home: str, account: requests.Session, method: str, path: str, words: str
) -> None:
    url = kube.api.configuration.host + path.format(ns=home)
    answer = account.request(method, url, json={} if method == "POST" else None)
    assert answer.status_code == 403
    assert answer.json()["message"] == words.format(ns=home, who=f"system:serviceaccount:{home}:default")


@pytest.mark.parametrize("path", ["/version", "/healthz", "/api", "/apis", "/apis/apps/v1", "/livez", "/readyz"])
def test_what_everybody_with_a_token_may_read(kube: KubeCluster, account: requests.Session, path: str) -> None:
    assert account.get(kube.api.configuration.host + path).status_code == 200


def test_acting_as_somebody_else(kube: KubeCluster, home: str) -> None:
    headers = {"Impersonate-User": "jane", "Impersonate-Group": "developers"}
    status = kube.refusal("GET", kube.path("pods", home), headers=headers)
    assert status["message"].startswith('pods is forbidden: User "jane" cannot list resource "pods"')


def test_reviews_of_others(kube: KubeCluster, home: str) -> None:
    attributes = {"namespace": home, "verb": "get", "resource": "pods"}
    body: Json = review("SubjectAccessReview", resourceAttributes=attributes)
    body["spec"] |= {"user": "jane", "groups": ["system:masters"]}
    assert kube.raw("POST", f"{REVIEWS}/subjectaccessreviews", json=body).json()["status"]["allowed"] is True
    body["spec"]["groups"] = ["developers"]
    assert kube.raw("POST", f"{REVIEWS}/subjectaccessreviews", json=body).json()["status"]["allowed"] is False


def test_whose_token_it_is(kube: KubeCluster, home: str) -> None:
    body: Json = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    told = kube.raw("POST", path, json=body | {"spec": {"token": token_of(kube, home)}}).json()["status"]
    assert told["authenticated"] is True
    assert told["user"]["username"] == f"system:serviceaccount:{home}:default"
    groups = {"system:serviceaccounts", f"system:serviceaccounts:{home}", "system:authenticated"}
    assert set(told["user"]["groups"]) == groups
    told = kube.raw("POST", path, json=body | {"spec": {"token": "nothing"}}).json()["status"]
    assert not told.get("authenticated")


def test_who_am_i(kube: KubeCluster) -> None:
    kube.needs((1, 28), "whoami")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    told = kube.raw("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", json=body).json()["status"]["userInfo"]
    assert told["username"] == "kubernetes-admin"
    assert "system:authenticated" in told["groups"]
    assert "kubernetes-admin" in kube.kubectl("auth", "whoami").out


def test_a_token_by_kubectl(kube: KubeCluster, home: str) -> None:
    kube.kubectl("create", "serviceaccount", "robot", "-n", home)
    token = kube.kubectl("create", "token", "robot", "-n", home, "--duration=1h").text
    assert token.count(".") == 2
    done = kube.kubectl("get", "pods", "-n", home, f"--token={token}", "--client-certificate=", check=False)
    assert done.code in (0, 1)
    refused = kube.kubectl("create", "token", "robot", "-n", home, "--duration=1s", check=False)
    assert "may not specify a duration less than 10 minutes" in refused.err


def test_a_token_dies_with_its_account(kube: KubeCluster, home: str) -> None:
    name = kube.name("sa")
    kube.create(home, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
    session = requests.Session()
    session.trust_env = False
    session.verify = kube.api.configuration.ssl_ca_cert
    session.headers["Authorization"] = f"Bearer {token_of(kube, home, name)}"
    url = f"{kube.api.configuration.host}/api/v1/namespaces/{home}/pods"
    assert session.get(url).status_code == 403
    kube.delete(kube.path("serviceaccounts", home, name))
    kube.gone(kube.path("serviceaccounts", home, name))
    until(lambda: session.get(url).status_code == 401, 30, "the token is good no more")


def test_a_pod_asks_the_api_server(kube: KubeCluster, home: str) -> None:
    """With the token and the certificate that it finds in its files."""
    name = kube.name("p")
    kube.run(home, pod(name, BUSYBOX, "sleep", "1000"))
    token = kube.exec(home, name, "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token").text
    url = f"{kube.api.configuration.host}/api/v1/namespaces/{home}/pods"
    answer = requests.get(
        url, headers={"Authorization": f"Bearer {token}"}, verify=kube.api.configuration.ssl_ca_cert, timeout=10
    )
    assert answer.status_code == 403
    assert f"system:serviceaccount:{home}:default" in answer.json()["message"]


def test_a_pod_without_a_token(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    found = kube.create(home, pod(name, schedulerName="nobody", automountServiceAccountToken=False))
    assert "volumeMounts" not in found["spec"]["containers"][0]


def test_an_account_that_is_none(kube: KubeCluster, home: str) -> None:
    status = kube.refusal("POST", kube.path("pods", home), json=pod("p", serviceAccountName="nobody"))
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert status["message"] == (
        f'pods "p" is forbidden: error looking up service account {home}/nobody: serviceaccount "nobody" not found'
    )
