"""One API server, through the official client's own transport: requests that end in time, errors in its own words.

The client's generated models are not used: a picture of a thousand pods would spend most of its time making objects of
which it reads ten fields.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from labkit.errors import ClusterError

Json = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"


class ApiError(ClusterError):
    """What the API server refused, in its words; ``reason`` is its own (``NotFound``, ``TooManyRequests``…)."""

    def __init__(self, message: str, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Gone(ApiError):
    """The watch's history does not go back that far: list again."""


class Connection:
    """An API server by its kubeconfig. Connects when it is first used; may be used from several threads."""

    def __init__(self, kubeconfig: str, timeout: float = 5.0) -> None:
        self._kubeconfig = kubeconfig
        self._timeout = timeout
        self._api: Any = None
        self._lock = threading.Lock()
        self._closed = False

    @property
    def client(self) -> Any:
        """The ``kubernetes.client.ApiClient``."""
        with self._lock:
            if self._api is None:
                from kubernetes import config

                try:
                    self._api = config.new_client_from_config(config_file=self._kubeconfig, persist_config=False)
                except (config.ConfigException, OSError, ValueError) as error:
                    raise ClusterError(f"the kubeconfig cannot be used: {error}") from error
                # A server that is off must be found out in seconds, not after urllib3's usual three tries.
                self._api.rest_client.pool_manager.connection_pool_kw["retries"] = False
            return self._api

    @property
    def host(self) -> str:
        return str(self.client.configuration.host)

    def get(self, path: str, params: Mapping[str, Any] | None = None, timeout: float | None = None) -> Json:
        return self.send("GET", path, params, timeout=timeout)

    def text(self, path: str) -> str:
        """The answer of ``/livez`` and its like. Raises :class:`ApiError` with it when it is not 200."""
        response = self._open("GET", path, None, None, "application/json", self._timeout, stream=False)
        words = response.data.decode("utf-8", "replace")
        if response.status >= 400:
            failed = ", ".join(line[3:].split(" ")[0] for line in words.splitlines() if line.startswith("[-]"))
            raise ApiError(f"the API server is not well: {failed or words[:200]}", response.status)
        return str(words)

    def post(self, path: str, body: Json) -> Json:
        return self.send("POST", path, None, body)

    def patch(self, path: str, body: Any, kind: str = STRATEGIC_PATCH) -> Json:
        return self.send("PATCH", path, None, body, kind)

    def put(self, path: str, body: Json) -> Json:
        return self.send("PUT", path, None, body)

    def delete(self, path: str, body: Json | None = None) -> Json:
        return self.send("DELETE", path, None, body)

    def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float | None = None,
    ) -> Json:
        """One request and its JSON answer. Raises :class:`ApiError`, also when nobody answers (``status`` 0)."""
        response = self._open(method, path, params, body, content_type, timeout or self._timeout, stream=False)
        if response.status >= 400:
            raise _refused(response.status, response.data)
        found: Json = orjson.loads(response.data) if response.data else {}
        return found

    def watch(self, path: str, version: str, seconds: float) -> Iterator[Json]:
        """The events after ``version``, for so many seconds at most. Raises :class:`Gone` when it is too old."""
        params = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": int(seconds),
        }
        response = self._open("GET", path, params, None, "application/json", seconds + 15, stream=True)
        try:
            if response.status >= 400:
                raise _refused(response.status, response.read())
            rest = b""
            while chunk := response.read1():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if not line:
                        continue
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        raise _refused(int(event["object"].get("code") or 500), orjson.dumps(event["object"]))
                    yield event
        except ApiError:
            raise
        except Exception as error:  # urllib3's and the socket's own: the connection is gone
            if self._closed:
                return
            raise ApiError(_unreachable(self.host, error)) from error
        finally:
            response.close()

    def _open(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        body: Any,
        content_type: str,
        timeout: float,
        *,
        stream: bool,
    ) -> Any:
        import urllib3

        api = self.client
        headers = {**api.default_headers, "Accept": "application/json"}
        for auth in api.configuration.auth_settings().values():  # asked each time: tokens are renewed
            if auth["in"] == "header" and auth["value"]:
                headers[auth["key"]] = auth["value"]
        payload = None
        if body is not None:
            headers["Content-Type"] = content_type
            payload = orjson.dumps(body)
        url = api.configuration.host + path
        if params:
            from urllib.parse import urlencode

            url += "?" + urlencode(params)
        try:
            return api.rest_client.pool_manager.request(
                method,
                url,
                body=payload,
                headers=headers,
                timeout=urllib3.Timeout(connect=min(timeout, 3.0), read=timeout),
                preload_content=not stream,
                retries=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(_unreachable(api.configuration.host, error)) from error

    def close(self) -> None:
        self._closed = True
        with self._lock:
            if self._api is not None:
                self._api.rest_client.pool_manager.clear()
                self._api.close()
                self._api = None


def _unreachable(host: str, error: BaseException) -> str:
    """As kubectl says it: ``The connection to the server … was refused``."""
    where = host.partition("://")[2] or host
    if "refused" in str(error).lower():
        return f"The connection to the server {where} was refused - did you specify the right host or port?"
    if "timed out" in str(error).lower():
        return f"Unable to connect to the server {where}: it does not answer"
    return f"Unable to connect to the server {where}: {str(error).splitlines()[0][:200]}"


def _refused(status: int, data: bytes) -> ApiError:
    reason = ""
    try:
        told = orjson.loads(data)
        message, reason = str(told.get("message") or ""), str(told.get("reason") or "")
    except (orjson.JSONDecodeError, AttributeError):
        message = data.decode("utf-8", "replace").strip()[:300]
    kind = Gone if status == 410 else ApiError
    return kind(message or f"the API server answered {status}", status, reason)
