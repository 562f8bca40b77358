"""The parameters of operations: what each verb reads from the path and the query."""

from __future__ import annotations

from labkit.embedded.kubernetes.objects import Json

_TYPES: dict[str, Json] = {
    "string": {"type": "string", "uniqueItems": True},
    "boolean": {"type": "boolean", "uniqueItems": True},
    "integer": {"type": "integer", "uniqueItems": True},
}


def _query(name: str, sort: str, description: str, **schema: object) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": {**_TYPES[sort], **schema}}


def _path(name: str, description: str) -> Json:
    return {"name": name, "in": "path", "description": description, "required": True, "schema": _TYPES["string"]}


NAME = _path("name", "name of the object")
PATH = _path("path", "path to the resource")
NAMESPACE = _path("namespace", "object name and auth scope, such as for teams and projects")

PRETTY = _query("pretty", "string", "Whether to indent the output: 'true' or '1'. Browsers and curl get it by default.")
_DRY_RUN = _query(
    "dryRun", "string", "With 'All' everything is done but storing the result. Nothing else is allowed.", enum=["All"]
)
_MANAGER = _query(
    "fieldManager", "string", "Who is recorded as the manager of what this changes. At most 128 printable characters."
)
_VALIDATION = _query(
    "fieldValidation",
    "string",
    "What to do about unknown and duplicate fields: Ignore drops them, Warn (the default) also says so, "
    "Strict refuses the request.",
    enum=["Ignore", "Warn", "Strict"],
)
_FORCE = _query("force", "boolean", "Take over fields that other managers own. For apply patches only.")

GET = (PRETTY,)
WRITE = (_DRY_RUN, _MANAGER, _VALIDATION)
PATCH = (*WRITE, _FORCE)
SELECT = (
    _query("continue", "string", "Where a list that was cut by its limit goes on; from the last answer's metadata."),
    _query("fieldSelector", "string", "Which objects to list or watch, by their fields."),
    _query("labelSelector", "string", "Which objects to list or watch, by their labels."),
    _query("limit", "integer", "How many objects to list at most; the answer says where the list goes on."),
    _query("resourceVersion", "string", "Since when to watch, or how old a list may be."),
    _query("resourceVersionMatch", "string", "How a list goes by resourceVersion: Exact or NotOlderThan."),
    _query("sendInitialEvents", "boolean", "Begin a watch with events for all objects that are there."),
    _query("timeoutSeconds", "integer", "When to end a list or watch."),
)
LIST = (
    _query("allowWatchBookmarks", "boolean", "Whether a watch may have events of type BOOKMARK."),
    *SELECT,
    _query("watch", "boolean", "Watch for changes instead of listing."),
)
DELETE = (
    _DRY_RUN,
    _query("gracePeriodSeconds", "integer", "How long it may take until it is gone; zero is at once."),
    _query("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
    _query(
        "propagationPolicy", "string", "What becomes of what belongs to it: 'Orphan', 'Background' or 'Foreground'."
    ),
)

_CONTAINER = _query("container", "string", "Which container; the first one, or the annotated one, by default.")
_STREAMS = tuple(_query(name, "boolean", f"Whether to redirect {name}.") for name in ("stderr", "stdin", "stdout"))
_PROXIED = (_query("path", "string", "The path of the URL to ask for, from the root of what is proxied to."),)
_TTY = _query("tty", "boolean", "Whether to allocate a terminal.")

# (resource, sub-resource) → what it reads from the query.
CONNECT: dict[tuple[str, str], tuple[Json, ...]] = {
    ("pods", "log"): (
        _CONTAINER,
        _query("follow", "boolean", "Go on as the log grows."),
        _query("insecureSkipTLSVerifyBackend", "boolean", "Of no meaning here."),
        _query("limitBytes", "integer", "How many bytes to give at most."),
        PRETTY,
        _query("previous", "boolean", "The log of the container's run before this one."),
        _query("sinceSeconds", "integer", "Only what is newer than so many seconds."),
        _query("stream", "string", "Which stream: All, Stdout or Stderr."),
        _query("tailLines", "integer", "How many lines from the end."),
        _query("timestamps", "boolean", "Put a time before every line."),
    ),
    ("pods", "exec"): (
        _query("command", "string", "The command and its arguments, each a parameter of its own; no shell."),
        _CONTAINER,
        *_STREAMS,
        _TTY,
    ),
    ("pods", "attach"): (_CONTAINER, *_STREAMS, _TTY),
    ("pods", "proxy"): _PROXIED,
    ("services", "proxy"): _PROXIED,
    ("pods", "portforward"): (_query("ports", "integer", "Which ports of the pod; for WebSockets."),),
}
