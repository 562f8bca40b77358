"""What a list or a watch asks for: namespace, label selector, field selector, put together once."""

from __future__ import annotations

from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.etcd import Scope
from labkit.embedded.kubernetes.etcd.hub import Matches
from labkit.embedded.kubernetes.etcd.table import INDEXED
from labkit.embedded.kubernetes.fieldselectors import FieldSelector, parse_fields
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.selectors import Selector, SelectorError
from labkit.embedded.kubernetes.selectortext import parse

Selection = Scope


def selection(
    kind: Kind, namespace: str, labels: str | Selector | None = None, fields: str | FieldSelector | None = None
) -> Selection:
    """The selection as the store's indexes want it: one name and one node are taken out of the field selector.

    Raises :class:`BadRequest` in the words of the real parsers.
    """
    if isinstance(labels, str):
        try:
            labels = parse(labels)
        except SelectorError as error:
            raise BadRequest(str(error)) from None
    if isinstance(fields, str):
        fields = parse_fields(kind, fields)
    name = index = ""
    by_index = False
    if fields is not None and not fields.empty:
        name = fields.exact("metadata.name") or ""
        if kind in INDEXED:
            value = fields.exact(INDEXED[kind][0])
            index, by_index = value or "", value is not None
        if not namespace and kind.namespaced:
            namespace = fields.exact("metadata.namespace") or ""
    return Scope(namespace, name, index, by_index, _matcher(labels, fields))


def _matcher(labels: Selector | None, fields: FieldSelector | None) -> Matches | None:
    by_labels = labels is not None and not labels.empty
    by_fields = fields is not None and not fields.empty
    if by_labels and by_fields:
        assert labels is not None
        assert fields is not None
        selects, matches = labels.selects, fields.matches
        return lambda obj: selects(obj) and matches(obj)
    if by_labels:
        assert labels is not None
        return labels.selects
    if by_fields:
        assert fields is not None
        return fields.matches
    return None
