from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.exchange import mime
from kerege.exchange.bodies import Attachment, Spool, body_bytes
from kerege.exchange.mimewrite import boundary_in, joined, related
from kerege.exchange.parts import SOAP, XOP
from kerege.exchange.soap_errors import MimeMalformed

TEXT = ((b"Content-Type", b"text/plain"), (b"Content-ID", b"<1@x>"))


def test_a_message_without_attachments_keeps_its_own_content_type() -> None:
    assert related("text/xml; charset=utf-8", SOAP, (), b"<x/>", ()) == ("text/xml; charset=utf-8", [b"<x/>"])
    assert related("", SOAP, (), b"<x/>", ())[0] == "text/xml; charset=UTF-8"
    assert related("text/html", SOAP, (), b"<x/>", ())[0] == "text/xml; charset=UTF-8"
    assert related("text/xml\r\nX: y", SOAP, (), b"<x/>", ())[0] == "text/xml; charset=UTF-8"


def test_the_senders_boundary_is_used_again_also_for_a_lonely_soap_part() -> None:
    original = 'Multipart/Related; start-info="application/soap+xml"; type="application/xop+xml"; boundary="jetty"'
    headers = ((b"Content-Type", b'application/xop+xml; type="application/soap+xml"'), (b"Content-ID", b"<foo>"))
    outer, pieces = related(original, XOP, headers, b"<x/>", (Attachment(TEXT, b"foobar"),))
    assert outer == original
    found = mime.read(outer, b"".join(joined(pieces)))
    assert (found.kind, found.headers, found.soap) == (XOP, headers, b"<x/>")
    assert found.attachments == (Attachment(TEXT, b"foobar"),)
    _, pieces = related('multipart/related; boundary="b"', SOAP, (), b"<x/>", ())
    assert b"".join(joined(pieces)) == b"--b\r\nContent-Type: text/xml; charset=UTF-8\r\n\r\n<x/>\r\n--b--\r\n"


def test_a_start_parameter_finds_its_part_again_when_the_headers_were_lost() -> None:
    outer, pieces = related(
        'multipart/related; boundary=b; start="<root@x>"; type="application/xop+xml"', XOP, (), b"<x/>", ()
    )
    assert (b"Content-ID", b"<root@x>") in mime.read(outer, b"".join(joined(pieces))).headers


def test_attachments_without_a_multipart_content_type_get_one_that_says_what_they_are() -> None:
    headers = ((b"Content-Type", b"application/xop+xml"), (b"Content-ID", b"<foo>"))
    outer, pieces = related("", XOP, headers, b"<x/>", (Attachment(TEXT, b"y"),))
    assert outer.startswith(
        'multipart/related; type="application/xop+xml"; start="<foo>"; start-info="text/xml"; boundary="xrel'
    )
    assert mime.read(outer, b"".join(joined(pieces))).attachments == (Attachment(TEXT, b"y"),)


@pytest.mark.parametrize("body", [b"--b", b"--b\r\nContent-Type: a/b\r\n\r\nsmuggled", b"x\n--b--", b"x\r\n--bcd"])
def test_a_boundary_that_another_server_names_may_not_open_a_part_that_was_not_signed(body: bytes) -> None:
    with pytest.raises(MimeMalformed, match="inside a part"):
        related("multipart/related; boundary=b", SOAP, (), b"<x/>", (Attachment(TEXT, body),))
    with pytest.raises(MimeMalformed, match="inside a part"):
        related("multipart/related; boundary=b", SOAP, (), body, ())


def test_a_boundary_is_found_across_the_pieces_of_a_spool(tmp_path: Path) -> None:
    for before in range(262_136, 262_148):
        with Spool.of([b"x" * before, b"\r\n--boundary", b"y" * 10], tmp_path) as spool:
            assert boundary_in("boundary", spool)
            assert not boundary_in("boundarx", spool)


@pytest.mark.parametrize("headers", [((b"A\r\nB", b"c"),), ((b"A", b"b\r\nC: d"),), ((b"A: x", b"b"),)])
def test_a_header_cannot_become_two(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    with pytest.raises(MimeMalformed):
        related("multipart/related; boundary=b", SOAP, (), b"<x/>", (Attachment(headers, b""),))


@given(st.binary(max_size=60), st.lists(st.binary(max_size=60), max_size=3), st.booleans())
def test_what_is_written_is_read_the_same(soap: bytes, bodies: list[bytes], named: bool) -> None:
    original = "multipart/related; boundary=unlikely-boundary" if named else ""
    attachments = tuple(Attachment(TEXT, body) for body in bodies)
    outer, pieces = related(original, SOAP, (), soap, attachments)
    found = mime.read(outer, b"".join(map(body_bytes, pieces)))
    assert (found.soap, found.attachments, found.unfinished) == (soap, attachments, False)
