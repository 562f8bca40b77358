"""Rules of ``metadata`` and of label selectors (``apimachinery/pkg/api/validation/objectmeta.go``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labkit.embedded.kubernetes import selectors
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    forbidden,
    invalid,
    not_negative,
    required,
    too_long,
    unchanged,
)
from labkit.embedded.kubernetes.validation.formats import Form

ANNOTATIONS_LIMIT = 256 * 1024
MANAGER_LIMIT = 128
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
# Set by the registry alone; a change of one is a mistake of whoever wrote the object.
_FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def complain(form: Form, value: str, path: str, out: Causes) -> None:
    """Every complaint that a form has about a string, as an invalid value."""
    for words in form(value):
        out.append(invalid(path, value, words))


def metadata(meta: Json, name: Form, namespaced: bool, out: Causes) -> None:
    """The metadata of a new object, whose name must have that form."""
    generate = meta.get("generateName")
    if generate:
        for words in formats.prefixed(name, generate):
            out.append(invalid("metadata.generateName", generate, words))
    own = meta.get("name")
    if not own:
        out.append(required("metadata.name", "name or generateName is required"))
    else:
        complain(name, own, "metadata.name", out)
    namespace = meta.get("namespace")
    if namespaced:
        if not namespace:
            out.append(required("metadata.namespace"))
        else:
            complain(formats.dns_label, namespace, "metadata.namespace", out)
    elif namespace:
        out.append(forbidden("metadata.namespace", "not allowed on this type"))
    not_negative(meta.get("generation"), "metadata.generation", out)
    _common(meta, {}, out)
    finalizers(meta.get("finalizers") or (), "metadata.finalizers", out)


def metadata_update(new: Json, old: Json, out: Causes) -> None:
    """Metadata that takes the place of ``old``. What is the same was checked when it came."""
    if new == old:
        return
    if old.get("deletionTimestamp"):
        extra = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if extra:
            shown = ", ".join(f'"{name}"' for name in extra)
            out.append(
                forbidden(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, "
                    f"found new finalizers []string{{{shown}}}",
                )
            )
    if (new.get("generation") or 0) < (old.get("generation") or 0):
        out.append(invalid("metadata.generation", new.get("generation") or 0, "must not be decremented"))
    for key in _FIXED:
        value = new.get(key)
        if value != old.get(key) and (value or key in ("name", "deletionTimestamp", "deletionGracePeriodSeconds")):
            unchanged(value, old.get(key), f"metadata.{key}", out)
    _common(new, old, out)
    if new.get("finalizers") is not old.get("finalizers"):
        for index, name in enumerate(new.get("finalizers") or ()):
            _standard_finalizer(name, f"metadata.finalizers[{index}]", out)


def _common(meta: Json, old: Json, out: Causes) -> None:
    """What is checked of metadata at any time, but for what is shared with the old one."""
    found = meta.get("labels")
    if found and found is not old.get("labels"):
        check_labels(found, "metadata.labels", out)
    found = meta.get("annotations")
    if found and found is not old.get("annotations"):
        check_annotations(found, "metadata.annotations", out)
    found = meta.get("ownerReferences")
    if found and found is not old.get("ownerReferences"):
        owner_references(found, "metadata.ownerReferences", out)
    found = meta.get("managedFields")
    if found and found is not old.get("managedFields"):
        managed_fields(found, "metadata.managedFields", out)


def check_labels(found: Mapping[str, str], path: str, out: Causes) -> None:
    for key, value in found.items():
        complain(formats.qualified_name, key, path, out)
        complain(formats.label_value, value, path, out)


def check_annotations(found: Mapping[str, str], path: str, out: Causes) -> None:
    size = 0
    for key, value in found.items():
        for words in formats.qualified_name(key.lower()):
            out.append(invalid(path, key, words))
        size += len(key) + len(value)
    # len() counts characters; bytes are counted only where there may be too many of them
    if size * 4 > ANNOTATIONS_LIMIT:
        size = sum(len(key.encode()) + len(value.encode()) for key, value in found.items())
        if size > ANNOTATIONS_LIMIT:
            out.append(too_long(path, ANNOTATIONS_LIMIT))


def owner_references(found: Sequence[Json], path: str, out: Causes) -> None:
    controller = ""
    for index, owner in enumerate(found):
        at = f"{path}[{index}]"
        version = owner.get("apiVersion") or ""
        if not version:
            out.append(required(f"{at}.apiVersion", "must not be empty"))
        elif version.count("/") > 1 or not version.rpartition("/")[2]:
            out.append(invalid(f"{at}.apiVersion", version, "must be <group>/<version> or <version>"))
        for key in ("kind", "name", "uid"):
            if not owner.get(key):
                out.append(required(f"{at}.{key}", "must not be empty"))
        if version == "v1" and owner.get("kind") == "Event":
            out.append(invalid(at, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            this = f"{owner.get('kind', '')}/{owner.get('name', '')}"
            if controller:
                detail = (
                    'Only one reference can have Controller set to true. Found "true" in references '
                    f"for {controller} and {this}"
                )
                out.append(invalid(path, list(found), detail))
            else:
                controller = this


def managed_fields(found: Sequence[Json], path: str, out: Causes) -> None:
    for index, entry in enumerate(found):
        at = f"{path}[{index}]"
        operation = entry.get("operation") or ""
        if operation not in ("Apply", "Update"):
            out.append(invalid(f"{at}.operation", operation, "must be `Apply` or `Update`"))
        kind = entry.get("fieldsType")
        if kind and kind != "FieldsV1":
            out.append(invalid(f"{at}.fieldsType", kind, "must be `FieldsV1`"))
        field_manager(entry.get("manager") or "", f"{at}.manager", out)
        if len(entry.get("subresource") or "") > 256:
            out.append(too_long(f"{at}.subresource", 256))


def field_manager(name: str, path: str, out: Causes) -> None:
    """The name of a field manager: also the query parameter ``fieldManager``."""
    if len(name) > MANAGER_LIMIT:
        out.append(too_long(path, MANAGER_LIMIT))
    if not name.isprintable():
        for place, char in enumerate(name):
            if not char.isprintable():
                out.append(invalid(path, name, f"invalid character U+{ord(char):04X} (at position {place})"))


def finalizers(found: Sequence[str], path: str, out: Causes) -> None:
    for name in found:
        complain(formats.qualified_name, name, path, out)
    if "orphan" in found and "foregroundDeletion" in found:
        out.append(invalid(path, list(found), "finalizer orphan and foregroundDeletion cannot be both set"))
    for index, name in enumerate(found):
        _standard_finalizer(name, f"{path}[{index}]", out)


def _standard_finalizer(name: str, path: str, out: Causes) -> None:
    if "/" not in name and name not in _STANDARD_FINALIZERS:
        out.append(invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"))


def namespace_finalizers(found: Sequence[str], path: str, out: Causes) -> None:
    """``spec.finalizers`` of a namespace."""
    for name in found:
        complain(formats.qualified_name, name, path, out)
        _standard_finalizer(name, path, out)


def has_label(meta: Json, key: str, wanted: str, path: str, out: Causes) -> None:
    """Metadata must carry a label with that value."""
    found = (meta.get("labels") or {}).get(key)
    if found is None:
        out.append(required(f"{path}.labels[{key}]", f"must be '{wanted}'"))
    elif found != wanted:
        out.append(invalid(f"{path}.labels[{key}]", meta["labels"], f"must be '{wanted}'"))


# -- label selectors


def label_selector(selector: Json | None, path: str, out: Causes) -> None:
    if not selector:
        return
    check_labels(selector.get("matchLabels") or {}, f"{path}.matchLabels", out)
    for index, term in enumerate(selector.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{index}]"
        operator, values = term.get("operator") or "", term.get("values") or ()
        if operator in ("In", "NotIn"):
            if not values:
                out.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                out.append(
                    forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
                )
        else:
            out.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
        complain(formats.qualified_name, term.get("key") or "", f"{at}.key", out)
        for place, value in enumerate(values):
            complain(formats.label_value, value, f"{at}.values[{place}]", out)


def is_empty_selector(selector: Json | None) -> bool:
    """Whether a selector that is there asks for nothing, and so selects everything."""
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))


def selects(selector: Json | None, found: Mapping[str, str] | None) -> bool | None:
    """Whether labels match a LabelSelector; None if it is malformed, and so can be asked nothing."""
    try:
        return selectors.of(selector).matches(found or {})
    except selectors.SelectorError:
        return None
