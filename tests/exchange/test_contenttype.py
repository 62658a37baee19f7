import pytest

from kerege.exchange.contenttype import content_type
from kerege.exchange.soap_errors import ContentTypeInvalid


def test_media_type_and_parameter_names_are_in_lower_case_and_values_as_they_came() -> None:
    found = content_type('Multipart/Related; Type="application/xop+xml"; BOUNDARY="a b;\\"c"; start=<x@y>;; ')
    assert found.media_type == "multipart/related"
    assert found.parameters == {"type": "application/xop+xml", "boundary": 'a b;"c', "start": "<x@y>"}


@pytest.mark.parametrize(
    "boundary", ["jetty1", "----=_Part_0_1.2", "MIMEBoundaryurn_uuid_0F", "a'()+_,-./:=?b", "x" * 200]
)
def test_a_boundary_of_rfc_2046_is_taken(boundary: str) -> None:
    assert content_type(f'multipart/related; boundary="{boundary}"').boundary == boundary


@pytest.mark.parametrize(
    "text",
    ["", "blah", "text", "text/", "a b/c", "text/xml; x", 'text/xml; a="b', "text/xml; a=b; A=c", "text/xml; a=b c"],
)
def test_a_header_that_two_readers_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(ContentTypeInvalid):
        content_type(text)


@pytest.mark.parametrize(
    "text",
    ["", "; boundary=", '; boundary=""', '; boundary="a "', '; boundary="a\\nb\u00e4"', "; boundary=" + "x" * 201],
)
def test_a_boundary_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ContentTypeInvalid):
        _ = content_type("multipart/related" + text).boundary
