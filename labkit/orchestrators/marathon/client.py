"""A small client of Marathon, over requests: what the labs and the dashboard use.

The one on PyPI (``marathon``) still works with it, and has not been maintained for years. This one hides nothing: each
method is one call of the REST API, bodies and answers are its JSON.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from labkit.errors import ClusterError
from labkit.orchestrators.marathon.errors import MarathonError, marathon_error
from labkit.orchestrators.marathon.mesos import MesosClient
from labkit.orchestrators.marathon.servers import Servers
from labkit.orchestrators.marathon.stream import EventStream

Json = dict[str, Any]

_ALL = ("apps.counts", "apps.deployments", "apps.lastTaskFailure")


class MarathonClient:
    """The Marathons of a cluster; each call reaches one that is up, and that one hands it to the leader.

    Raises :class:`~labkit.orchestrators.marathon.MarathonError` with Marathon's own words (``error.status``,
    ``error.details``, ``error.deployments``).

    >>> client = sandbox.client                                                          # doctest: +SKIP
    >>> client.create({"id": "/web", "cmd": "sleep 1000", "cpus": 0.1, "mem": 32})       # doctest: +SKIP
    >>> client.scale("/web", 3)                                                          # doctest: +SKIP

    Args:
        urls: of the Marathons, with credentials inside (``http://user:password@host:8080``).
        mesos_urls: of the masters below them; without, :attr:`mesos` is None.
    """

    def __init__(self, urls: Iterable[str], mesos_urls: Iterable[str] = (), timeout: float = 10.0) -> None:
        self.servers = Servers("Marathon", urls, timeout, marathon_error)
        below = list(mesos_urls)
        self._mesos = MesosClient(below, timeout) if below else None

    @property
    def mesos(self) -> MesosClient:
        """The masters. Raises ClusterError when their URLs are not known (``MESOS_URL``)."""
        if self._mesos is None:
            raise ClusterError("no Mesos master is known here: set MESOS_URL")
        return self._mesos

    # -- any call --------------------------------------------------------------------------------------------------

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of any endpoint: ``get("/v2/info")``."""
        return self.servers.get(path, params or None)

    def send(self, method: str, path: str, json: Any = None, **params: Any) -> Any:
        """Any other call: ``send("PUT", "/v2/groups", {…})``. Booleans become "true" and "false"."""
        query = {key: _text(value) for key, value in params.items() if value is not None and value is not False}
        return self.servers.request(method, path, query or None, json).json()

    # -- apps ------------------------------------------------------------------------------------------------------

    def apps(self, **params: Any) -> list[Json]:
        """All apps: ``apps(label="team==web")``, ``apps(embed="apps.tasks")``."""
        return list(self.get("/v2/apps", **{"embed": _ALL, **params})["apps"])

    def app(self, app_id: str, embed: Iterable[str] = ()) -> Json:
        """One app; 404 when there is none."""
        params = {"embed": list(embed)} if embed else {}
        found: Json = self.get(_app(app_id), **params)["app"]
        return found

    def create(self, app: Mapping[str, Any], *, force: bool = False) -> Json:
        """Makes an app. 409 when it is there already, 422 when it is not valid; the app with its defaults."""
        found: Json = self.send("POST", "/v2/apps", dict(app), force=force)
        return found

    def update(self, app_id: str, changes: Mapping[str, Any], *, force: bool = False) -> str:
        """Changes fields of an app (or makes it); the id of the deployment that this begins."""
        return _deployment(self.send("PUT", _app(app_id), dict(changes), force=force))

    def scale(self, app_id: str, instances: int, *, force: bool = False) -> str:
        """So many instances of an app that is there."""
        try:
            return self.update(app_id, {"instances": instances}, force=force)
        except MarathonError as error:
            if error.status == 422:
                self.app(
                    app_id
                )  # a PUT would have made it: a name with a slip is told as such (404), not as half an app
            raise

    def suspend(self, app_id: str, *, force: bool = False) -> str:
        """Keeps the app and stops all its tasks."""
        return self.scale(app_id, 0, force=force)

    def restart(self, app_id: str, *, force: bool = False) -> str:
        """New tasks for all of them, as the app's upgradeStrategy says."""
        return _deployment(self.send("POST", f"{_app(app_id)}/restart", force=force))

    def delete(self, app_id: str, *, force: bool = False) -> str:
        return _deployment(self.send("DELETE", _app(app_id), force=force))

    def versions(self, app_id: str) -> list[str]:
        """What the app was at earlier times, the newest first."""
        return list(self.get(f"{_app(app_id)}/versions")["versions"])

    def version(self, app_id: str, version: str) -> Json:
        """The app as it was then; hand it to :meth:`update` to go back."""
        found: Json = self.get(f"{_app(app_id)}/versions/{quote(version)}")
        return found

    # -- tasks -----------------------------------------------------------------------------------------------------

    def tasks(self, app_id: str = "") -> list[Json]:
        """Tasks of an app, or of all."""
        return list(self.get(f"{_app(app_id)}/tasks" if app_id else "/v2/tasks")["tasks"])

    def kill(self, task_ids: Iterable[str] | str, *, scale: bool = False, wipe: bool = False) -> None:
        """Kills tasks; Marathon starts others for them unless ``scale``."""
        ids = [task_ids] if isinstance(task_ids, str) else list(task_ids)
        self.send("POST", "/v2/tasks/delete", {"ids": ids}, scale=scale, wipe=wipe)

    # -- groups, deployments, the queue ------------------------------------------------------------------------------

    def groups(self, group_id: str = "/") -> Json:
        """A group with its apps and groups."""
        found: Json = self.get(f"/v2/groups/{quote(group_id.strip('/'))}".rstrip("/"))
        return found

    def update_group(self, group_id: str, group: Mapping[str, Any], *, force: bool = False) -> str:
        path = f"/v2/groups/{quote(group_id.strip('/'))}".rstrip("/")
        return _deployment(self.send("PUT", path, dict(group), force=force))

    def delete_group(self, group_id: str, *, force: bool = False) -> str:
        return _deployment(self.send("DELETE", f"/v2/groups/{quote(group_id.strip('/'))}", force=force))

    def deployments(self) -> list[Json]:
        """Those under way: ``affectedApps``, ``currentActions``, ``currentStep`` of ``totalSteps``."""
        return list(self.get("/v2/deployments"))

    def cancel(self, deployment_id: str, *, force: bool = False) -> None:
        """Ends a deployment by one that undoes it; with ``force`` everything stays as it is at this moment."""
        self.send("DELETE", f"/v2/deployments/{deployment_id}", force=force)

    def settled(self, timeout: float = 60.0) -> bool:
        """Waits until no deployment is under way; False when there still is one after ``timeout`` seconds."""
        until = time.monotonic() + timeout
        while self.deployments():
            if time.monotonic() >= until:
                return False
            time.sleep(0.2)
        return True

    def queue(self, *, embed: bool = True) -> list[Json]:
        """Apps that wait for offers: ``count``, ``delay``, ``processedOffersSummary``, ``lastUnusedOffers``."""
        params = {"embed": "lastUnusedOffers"} if embed else {}
        return list(self.get("/v2/queue", **params)["queue"])

    def reset_delay(self, app_id: str) -> None:
        """Starts an app's tasks at once, however often they failed."""
        self.send("DELETE", f"/v2/queue/{quote(app_id)}/delay")

    # -- the service itself ------------------------------------------------------------------------------------------

    def info(self) -> Json:
        """``version``, ``frameworkId``, ``leader``, its configuration."""
        found: Json = self.get("/v2/info")
        return found

    def leader(self) -> str:
        """The leading Marathon's ``host:port``. 404 when there is none."""
        return str(self.get("/v2/leader")["leader"])

    def abdicate(self) -> None:
        """Has the leading Marathon step down."""
        self.send("DELETE", "/v2/leader")

    def ping(self) -> bool:
        """Whether any Marathon answers."""
        try:
            return self.servers.request("GET", "/ping").status == 200
        except MarathonError:
            return False

    def events(self, *types: str, plan_format: str = "light") -> EventStream:
        """What happens from now on, as dicts with ``eventType``; :meth:`EventStream.close` ends it.

        >>> for event in client.events("status_update_event"): print(event["taskStatus"])  # doctest: +SKIP
        """
        params = [("plan-format", plan_format), *(("event_type", one) for one in types)]
        return EventStream(self.servers, "/v2/events", params)

    def close(self) -> None:
        self.servers.close()
        if self._mesos is not None:
            self._mesos.close()


def _app(app_id: str) -> str:
    return f"/v2/apps/{quote(app_id.strip('/'))}"


def _text(value: Any) -> Any:
    return "true" if value is True else value


def _deployment(told: Any) -> str:
    return str(told.get("deploymentId", "")) if isinstance(told, Mapping) else ""
