"""``/v2/deployments`` and ``/v2/queue``: ``DeploymentsResource.scala``, ``QueueResource.scala``."""

from __future__ import annotations

from labkit.embedded.marathon import planning
from labkit.embedded.marathon.api.answers import Answer, Request, Route, deployed, not_found
from labkit.embedded.marathon.events import stamp
from labkit.embedded.marathon.specs import Group


async def index(request: Request) -> Answer:
    return Answer([each.as_json() for each in request.term.deployments.running.values()])


async def cancel(request: Request) -> Answer:
    """Undo it by another deployment, which is answered; ``force``: only stop it where it is."""
    term, id = request.term, request.match["id"]
    deployment = term.deployments.running.get(id)
    if deployment is None:
        raise not_found(f"DeploymentPlan {id} does not exist")
    if request.flag("force"):
        await term.deployments.cancel(id)
        return Answer(status=202)

    def change(root: Group, version: str) -> Group:
        return planning.revert(deployment.plan, root, version)

    return deployed(await term.groups.update("/", change, force=True))


async def queue(request: Request) -> Answer:
    term = request.term
    offers = "lastUnusedOffers" in request.queries("embed")
    found = []
    for entry in term.queue.entries.values():
        app = entry.app
        item = {
            # Without the ``role`` of 1.11: the client on PyPI fails on what it does not know, and the app has it.
            "count": len(entry.waiting),
            "delay": term.queue.delay(entry),
            "since": stamp(entry.since),
            "processedOffersSummary": entry.statistics.summary_json(),
            "app": app.to_json(),
        }
        if offers:
            item["lastUnusedOffers"] = entry.statistics.unused_offers_json()
        found.append(item)
    return Answer({"queue": found})


async def reset_delay(request: Request) -> Answer:
    app_id = request.path_id()
    entry = request.term.queue.entries.get(app_id)
    if entry is None:
        raise not_found(f"Application {app_id} not found in tasks queue.")
    request.term.queue.reset_delay(entry.app)
    return Answer(status=204)


ROUTES: list[Route] = [
    ("GET", r"/v2/deployments/?", index),
    ("DELETE", r"/v2/deployments/(?P<id>[^/]+)", cancel),
    ("GET", r"/v2/queue/?", queue),
    ("DELETE", r"/v2/queue/(?P<id>.+)/delay", reset_delay),
]
