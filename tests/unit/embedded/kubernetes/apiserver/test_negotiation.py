"""Accept and Content-Type."""

from __future__ import annotations

import pytest

from labkit.embedded.kubernetes.apiserver.negotiation import Form, NoSuchForm, accepted, body_type, patch_type
from labkit.embedded.kubernetes.errors import NotAcceptable, StatusError

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("", Form()),
        ("*/*", Form()),
        ("application/json", Form()),
        ("application/vnd.kubernetes.protobuf, application/json", Form()),
        (f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", Form(as_kind="Table")),
        ("application/json;as=Table;v=v1;g=foo,application/json", Form()),
        ("application/yaml", Form("application/yaml")),
        ("application/json;q=0.5, application/yaml", Form("application/yaml")),
        ("application/json;pretty=1", Form(pretty=True)),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
            Form(as_kind="PartialObjectMetadataList"),
        ),
    ],
)
def test_the_best_form_is_chosen(header: str, form: Form) -> None:
    assert accepted(header) == form


def test_forms_that_are_not_there() -> None:
    with pytest.raises(NoSuchForm, match=r"^406: Not Acceptable$"):
        accepted("text/plain")
    with pytest.raises(NotAcceptable, match="only the following media types are accepted: application/json, "):
        accepted("application/json;as=Foo;g=meta.k8s.io;v=v1")
    with pytest.raises(NotAcceptable):
        accepted("application/vnd.kubernetes.protobuf")


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        (None, "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf"),
    ],
)
def test_bodies(header: str | None, media_type: str) -> None:
    assert body_type(header) == media_type


def test_bodies_that_cannot_be_read() -> None:
    words = (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )
    with pytest.raises(StatusError) as caught:
        body_type("text/plain")
    assert (caught.value.code, caught.value.message) == (415, words)
    with pytest.raises(StatusError) as caught:
        patch_type("application/json")
    assert (caught.value.code, caught.value.message) == (415, "415: Unsupported Media Type")
