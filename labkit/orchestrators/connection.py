"""One Docker endpoint, through docker-py: requests that end in time, and errors in the words a person knows."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from labkit.errors import ClusterError

if TYPE_CHECKING:
    import docker


class Outcome(IntEnum):
    """How an endpoint answered the last time, best first: the order in which managers are asked."""

    OK = 0
    UNTRIED = 1
    NO_LEADER = 2
    NOT_MANAGER = 3
    REFUSED = 4
    HANGING = 5


class EndpointError(ClusterError):
    """A request that an endpoint did not fulfil."""

    def __init__(self, message: str, outcome: Outcome = Outcome.OK, status: int = 0) -> None:
        super().__init__(message)
        self.outcome = outcome  # OK: it works as a manager; this request was just wrong
        self.status = status


# What tells a manager without a leader, or a Docker host that manages nothing, from one that refused a request.
_SIGNS = (
    ("does not have a leader", Outcome.NO_LEADER),
    ("no elected cluster leader", Outcome.NO_LEADER),
    ("raft: proposal dropped", Outcome.NO_LEADER),
    ("lost quorum", Outcome.NO_LEADER),
    ("context deadline exceeded", Outcome.NO_LEADER),
    ("This node is not a swarm manager", Outcome.NOT_MANAGER),
    ("not part of a swarm", Outcome.NOT_MANAGER),
    ("Swarm is encrypted and needs to be unlocked", Outcome.NOT_MANAGER),
)


def _client_arguments(env: Mapping[str, str]) -> dict[str, Any]:
    """docker-py's arguments for an environment as the docker CLI understands it."""
    import docker

    host = env.get("DOCKER_HOST") or None
    tls: Any = False
    if env.get("DOCKER_TLS_VERIFY") and host:
        folder = env.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")
        files = {name: os.path.join(folder, f"{name}.pem") for name in ("ca", "cert", "key")}
        tls = docker.tls.TLSConfig(client_cert=(files["cert"], files["key"]), ca_cert=files["ca"], verify=True)
    arguments: dict[str, Any] = {"base_url": host, "tls": tls, "version": "auto"}
    if host and host.startswith("ssh://"):
        arguments["use_ssh_client"] = True  # the user's own ssh, with its agent and its config
    return arguments


def _api_client(timeout: float | None, arguments: Mapping[str, Any]) -> docker.APIClient:
    """docker-py's low-level client, which believes the CA of this endpoint whatever the machine's own is.

    In requests, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE (set on many a company's machine) win over a session's CA, and an
    engine whose certificate is its own is then refused.
    """
    import docker

    class Api(docker.APIClient):
        def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
            chosen = self.verify if verify is None else verify
            return super().merge_environment_settings(url, proxies, stream, chosen, cert)

    return Api(timeout=timeout, **arguments)  # type: ignore[arg-type]


def docker_client(env: Mapping[str, str], timeout: float = 60.0) -> docker.DockerClient:
    """A ``docker.DockerClient`` for an environment; ClusterError if nobody answers there."""
    import docker

    try:
        arguments = _client_arguments(env)
        # With a version given it asks nobody anything before its low-level client is replaced.
        client = docker.DockerClient(**{**arguments, "version": "1.41"})
        client.api.close()
        client.api = _api_client(int(timeout), arguments)
        return client
    except docker.errors.DockerException as error:
        raise ClusterError(f"Cannot connect to the Docker daemon at {env.get('DOCKER_HOST')}: {error}") from error


class Connection:
    """A machine's Docker endpoint. Connects when it is first used; may be used from several threads."""

    def __init__(self, name: str, env: Mapping[str, str], timeout: float) -> None:
        self.name = name
        self.host = env.get("DOCKER_HOST", "")
        self.outcome = Outcome.UNTRIED
        self.asked_at = 0.0  # monotonic; of those that hang the one that was left alone longest is asked first
        self._env = env
        self._timeout = timeout
        self._api: Any = None
        self._lock = threading.Lock()

    def _client(self) -> Any:

        with self._lock:
            if self._api is None:
                api = _api_client(self._timeout, _client_arguments(self._env))
                if self.host.startswith("unix:"):
                    api.trust_env = False  # no proxy and no ~/.netrc is looked up for every request on a socket
                self._api = api
            return self._api

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> bytes:
        """The body of ``GET path``."""
        return self._send("GET", path, params, None)

    def get_json(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return json.loads(self.get(path, params))

    def post(self, path: str, params: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """The JSON answer of ``POST path``, None if there is none."""
        raw = self._send("POST", path, params, body)
        return json.loads(raw) if raw.strip() else None

    def delete(self, path: str) -> None:
        self._send("DELETE", path, None, None)

    def _send(self, method: str, path: str, params: Mapping[str, Any] | None, body: Any) -> bytes:
        import docker
        import requests

        self.asked_at = time.monotonic()
        try:
            api = self._client()
            response = api.request(
                method, f"{api.base_url}/v{api.api_version}{path}", params=params, json=body, timeout=self._timeout
            )
        except requests.exceptions.Timeout as error:
            self.outcome = Outcome.HANGING
            raise EndpointError(self._silent(), self.outcome) from error
        except (requests.exceptions.RequestException, docker.errors.DockerException, OSError) as error:
            self.outcome = Outcome.HANGING if "timed out" in str(error).lower() else Outcome.REFUSED
            why = (
                self._silent()
                if self.outcome is Outcome.HANGING
                else f"Cannot connect to the Docker daemon at {self.host} ({self.name}). Is the docker daemon running?"
            )
            raise EndpointError(why, self.outcome) from error
        if response.status_code >= 400:
            message = _message(response)
            found = next((outcome for sign, outcome in _SIGNS if sign in message), Outcome.OK)
            self.outcome = found
            raise EndpointError(message, found, response.status_code)
        self.outcome = Outcome.OK
        content: bytes = response.content
        return content

    def _silent(self) -> str:
        # A real manager that knows of no leader answers after 20 s only.
        return f"{self.name} did not answer within {self._timeout:g} s; it hangs, or its swarm has no leader just now"

    def events(self) -> Any:
        """docker-py's stream of this machine's events, with a ``close()`` that another thread may call."""

        # A client of its own, without a read timeout: a quiet cluster says nothing for hours.
        arguments = _client_arguments(self._env)
        arguments["version"] = self._client().api_version
        api = _api_client(None, arguments)
        return api.events()

    def close(self) -> None:
        with self._lock:
            if self._api is not None:
                self._api.close()
                self._api = None


def _message(response: Any) -> str:
    try:
        message = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text.strip() or f"{response.status_code} {response.reason}"
    return str(message)
