"""What stands around an envelope and is not signed: no reader may see another envelope through it."""

import email
from email.message import Message as MimeMessage

import pytest
from soap_samples import envelope

from kerege.exchange import mime, soap, soappart
from kerege.exchange.bodies import Attachment
from kerege.exchange.mimewrite import related
from kerege.exchange.parts import SOAP, XOP
from kerege.exchange.soap_errors import ContentTypeInvalid, MimeMalformed

TYPE = "multipart/related; boundary=b"


def multipart(*headers: bytes, soap: bytes = b"<soap/>", more: bytes = b"") -> bytes:
    lines = b"".join(header + b"\r\n" for header in (b"Content-Type: text/xml", *headers))
    return b"--b\r\n" + lines + b"\r\n" + soap + b"\r\n" + more + b"--b--\r\n"


@pytest.mark.parametrize("value", [b"quoted-printable", b"base64", b"Base64", b"x-uuencode", b"8bit (base64)", b""])
def test_an_envelope_that_a_mime_reader_would_decode_is_refused(value: bytes) -> None:
    with pytest.raises(MimeMalformed, match="7bit, 8bit or binary"):
        mime.read(TYPE, multipart(b"content-TRANSFER-encoding: " + value))
    with pytest.raises(MimeMalformed, match="7bit, 8bit or binary"):
        soappart.kept(SOAP, ((b"Content-Transfer-Encoding", value),))


@pytest.mark.parametrize("value", [b"7bit", b"8Bit", b"BINARY"])
def test_an_encoding_that_changes_nothing_goes_on(value: bytes) -> None:
    found = mime.read(TYPE, multipart(b"Content-Transfer-Encoding: " + value))
    assert (b"Content-Transfer-Encoding", value) in found.headers


def test_what_goes_on_is_read_by_a_mime_reader_as_the_same_envelope() -> None:
    escaped = envelope(body="<getPerson>=3C!--</getPerson>")
    parts = mime.read(TYPE, multipart(b"Content-Transfer-Encoding: 8bit", soap=escaped))
    outer, pieces = related(TYPE, parts.kind, parts.headers, parts.soap, parts.attachments)
    read = email.message_from_bytes(b"Content-Type: " + outer.encode() + b"\r\n\r\n" + b"".join(map(bytes, pieces)))  # type: ignore[arg-type]
    (part,) = read.get_payload()
    assert isinstance(part, MimeMessage)
    assert part.get_payload(decode=True) == escaped


def test_headers_of_the_soap_part_that_mean_nothing_to_soap_go_no_further() -> None:
    found = mime.read(
        TYPE, multipart(b"Content-ID: <root>", b"Content-Encoding: gzip", b"X-Part: 1", b"MIME-Version: 1.0")
    )
    assert found.headers == ((b"Content-Type", b"text/xml"), (b"Content-ID", b"<root>"))


@pytest.mark.parametrize(
    "headers",
    [
        ((b"Content-Type", b"text/xml"), (b"content-type", b"text/xml; charset=utf-8")),
        ((b"Content-ID", b"<a>\r\nContent-Transfer-Encoding: base64"),),
        ((b"Content-ID", b"<a>\nContent-Transfer-Encoding: base64"),),
    ],
)
def test_a_header_that_stands_twice_or_holds_another_is_refused(headers: mime.Headers) -> None:
    with pytest.raises(MimeMalformed):
        soappart.kept(SOAP, headers)


@pytest.mark.parametrize("value", [b"application/xop+xml", b"multipart/mixed; boundary=x", b"text/plain", b""])
def test_a_part_whose_content_type_is_not_what_the_message_came_as_is_refused(value: bytes) -> None:
    with pytest.raises(ContentTypeInvalid):
        soappart.kept(SOAP, ((b"Content-Type", value),))
    assert soappart.kept(XOP, ((b"Content-Type", b"Application/XOP+xml; type=a"),))


@pytest.mark.parametrize("charset", ["utf-7", "UTF-16", "hz-gb-2312", "iso-2022-jp", "shift_jis", "x"])
def test_a_charset_in_which_ascii_is_something_else_is_refused_wherever_it_is_said(charset: str) -> None:
    said = soappart.charsets(f"text/xml; charset={charset}", ())
    assert said == soappart.charsets(TYPE, ((b"Content-Type", b"text/xml; charset=" + charset.encode()),)) == (charset,)
    with pytest.raises(ContentTypeInvalid, match="charset"):
        soap.parse(envelope(), charset=charset)


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", "us-ascii", "ASCII", "latin1", "ISO8859-1", "cp1251", "koi8-r"])
def test_a_charset_in_which_ascii_is_ascii_may_be_said_of_an_envelope_in_ascii(charset: str) -> None:
    assert isinstance(soap.parse(envelope(), charset=charset), soap.SoapMessage)


def test_a_charset_is_looked_for_where_a_reader_would_find_it() -> None:
    assert soappart.charsets("text/xml", ((b"Content-Type", b"text/xml; charset=a"),)) == ("a",)
    assert soappart.charsets("text/html; charset=b", ()) == ()  # not written again
    assert soappart.charsets("multipart/related; boundary=b; charset=c", ()) == ()
    assert soappart.charsets("text/xml; charset=d", ((b"Content-Type", b"text/xml; charset=e"),)) == ("d", "e")


ROOT = b"Content-ID: <root>"
EVIL = b"--b\r\nContent-Type: text/xml\r\nContent-ID: <evil>\r\n\r\n<other/>\r\n"


@pytest.mark.parametrize(
    ("start", "headers"),
    [
        ('"<evil>"', (ROOT,)),
        ('"evil"', (ROOT,)),
        ('"<evil>"', ()),
        ('"<EVIL>"', ()),
        ('"<nothing>"', (ROOT,)),
        ('"<evil>"', (b"Content-ID: <evil>",)),
    ],
)
def test_a_start_parameter_cannot_make_an_attachment_the_envelope(start: str, headers: tuple[bytes, ...]) -> None:
    content_type = f"{TYPE}; start={start}"
    with pytest.raises(MimeMalformed, match="start"):
        mime.read(content_type, multipart(*headers, more=EVIL))
    own = tuple((b"Content-ID", header.partition(b": ")[2]) for header in headers)
    attachment = Attachment(((b"Content-Type", b"text/xml"), (b"Content-ID", b"<evil>")), b"<other/>")
    with pytest.raises(MimeMalformed, match="start"):
        related(content_type, SOAP, own, b"<soap/>", (attachment,))


def test_a_start_parameter_that_names_the_envelope_is_right() -> None:
    for start in ('"<root>"', "root"):
        assert mime.read(f"{TYPE}; start={start}", multipart(ROOT, more=EVIL)).soap == b"<soap/>"
    assert mime.read(f'{TYPE}; start="<root>"', multipart()).soap == b"<soap/>"
