from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.fieldselectors import parse_fields
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json

POD: Json = {
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {"nodeName": "n1", "restartPolicy": "Always", "serviceAccountName": "default"},
    "status": {"phase": "Running", "podIP": "10.0.0.1"},
}


@pytest.mark.parametrize(
    ("kind", "text", "obj", "yes"),
    [
        (kinds.PODS, "spec.nodeName=n1", POD, True),
        (kinds.PODS, "spec.nodeName=", POD, False),
        (kinds.PODS, "spec.nodeName!=n2,status.phase==Running", POD, True),
        (kinds.PODS, "status.podIPs=10.0.0.1", POD, True),
        (kinds.PODS, "spec.hostNetwork=false", POD, True),
        (kinds.PODS, "status.nominatedNodeName=", POD, True),
        (kinds.PODS, "metadata.namespace=default,metadata.name=b", POD, False),
        (kinds.NODES, "spec.unschedulable=false", {"metadata": {"name": "n"}, "spec": {}}, True),
        (kinds.NODES, "spec.unschedulable=true", {"metadata": {}, "spec": {"unschedulable": True}}, True),
        (kinds.SECRETS, "type=Opaque", {"metadata": {}, "type": "Opaque"}, True),
        (kinds.SERVICES, "spec.clusterIP=None", {"metadata": {}, "spec": {"clusterIP": "None"}}, True),
        (kinds.JOBS, "status.successful=0", {"metadata": {}, "status": {}}, True),
        (kinds.NAMESPACES, "status.phase=Active", {"metadata": {}, "status": {"phase": "Active"}}, True),
        (
            kinds.EVENTS,
            "involvedObject.kind=Pod,reason!=Killing,source=kubelet",
            {
                "metadata": {},
                "involvedObject": {"kind": "Pod"},
                "reason": "Started",
                "source": {"component": "kubelet"},
            },
            True,
        ),
        (kinds.CONFIG_MAPS, "metadata.name=a\\,b\\=c\\\\", {"metadata": {"name": "a,b=c\\"}}, True),
        (kinds.CONFIG_MAPS, "", {"metadata": {}}, True),
        (kinds.CONFIG_MAPS, ",,", {"metadata": {}}, True),
    ],
)
def test_what_it_selects(kind: Kind, text: str, obj: Json, yes: bool) -> None:
    assert parse_fields(kind, text).matches(obj) is yes


# As kind's API server said them.
@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (kinds.PODS, "foo=bar", "field label not supported: foo"),
        (kinds.PODS, "foo", "invalid selector: 'foo'; can't understand 'foo'"),
        (
            kinds.DEPLOYMENTS,
            "foo=bar",
            '"foo" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        (kinds.JOBS, "foo=bar", 'field label "foo" not supported for batchv1.Job'),
        (kinds.EVENTS, "involvedObject.foo=x", "field label not supported: involvedObject.foo"),
        (kinds.NODES, "metadata.namespace=x", "field label not supported: metadata.namespace"),
        (kinds.PODS, "metadata.name=a=b", "invalid field selector: unescaped character in value: 61"),
        (kinds.PODS, "metadata.name=a\\b", "invalid field selector: invalid escape sequence: \\b"),
        (kinds.PODS, "metadata.name=a\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_what_is_none(kind: Kind, text: str, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_fields(kind, text)
    assert str(caught.value) == words


def test_what_must_be() -> None:
    selector = parse_fields(kinds.PODS, "spec.nodeName=n1,metadata.name!=a")
    assert selector.exact("spec.nodeName") == "n1"
    assert selector.exact("metadata.name") is None
    assert str(selector) == "metadata.name!=a,spec.nodeName=n1"


@given(st.text(alphabet="a\\,=! .", max_size=12))
def test_any_value_can_be_asked_for(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
    selector = parse_fields(kinds.CONFIG_MAPS, f"metadata.name={escaped}")
    assert selector.exact("metadata.name") == value
    assert parse_fields(kinds.CONFIG_MAPS, str(selector)).exact("metadata.name") == value


@given(st.text(alphabet="a\\,=!", max_size=12))
def test_any_text_is_a_selector_or_refused(text: str) -> None:
    try:
        selector = parse_fields(kinds.CONFIG_MAPS, text)
    except BadRequest:
        return
    assert parse_fields(kinds.CONFIG_MAPS, str(selector)).terms == selector.terms
