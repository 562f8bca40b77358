"""Objects for the tests of apply."""

NOW = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:01:00Z"
LATEST = "2026-01-01T00:02:00Z"


def deployment(*containers, labels=None, **spec):
    """A Deployment's configuration; containers are names or dicts."""
    found = [{"name": one, "image": "i:1"} if isinstance(one, str) else one for one in containers or ("a",)]
    metadata = {"name": "web", "namespace": "default"}
    if labels is not None:
        metadata["labels"] = labels
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": found}},
            **spec,
        },
    }


def managers(obj):
    """(manager, operation, sub-resource) → its set."""
    return {
        (one["manager"], one["operation"], one.get("subresource", "")): one["fieldsV1"]
        for one in obj["metadata"].get("managedFields", [])
    }


def times(obj):
    return {one["manager"]: one.get("time") for one in obj["metadata"].get("managedFields", [])}


def with_spec(obj, **spec):
    return {**obj, "spec": {**obj["spec"], **spec}}
