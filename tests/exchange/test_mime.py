import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from soap_samples import envelope

from kerege.exchange import mime, parts
from kerege.exchange.bodies import Attachment, Spool, body_bytes, body_sha512
from kerege.exchange.errors import ExchangeError, MessageTooLarge
from kerege.exchange.mime import MimeLimits
from kerege.exchange.multipart import Part
from kerege.exchange.soap_errors import ContentTypeInvalid, MimeMalformed, SoapMissing

TYPE = "multipart/related; boundary=b"
SOAP_PART = b"--b\r\nContent-Type: text/xml\r\n\r\n<soap/>\r\n"
TEXT = b"--b\r\nContent-Type: text/plain\r\n\r\n"
END = b"--b--\r\n"


def bodies(parts_read: mime.SoapParts) -> list[bytes]:
    return [body_bytes(attachment.body) for attachment in parts_read.attachments]


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_bodies_are_kept_to_the_byte_whatever_ends_lines(end: bytes) -> None:
    data = (SOAP_PART + TEXT + b"one\r\n\r\n" + TEXT + b"\r\n" + TEXT + b"three\r\n" + END).replace(b"\r\n", end)
    found = mime.read(TYPE, data)
    assert (found.soap, bodies(found)) == (b"<soap/>", [b"one" + end, b"", b"three"])


def test_a_delimiter_straight_after_the_blank_line_is_an_empty_body() -> None:
    assert bodies(
        mime.read(
            TYPE, SOAP_PART + b"--b\r\nContent-Type: text/plain\r\n\r\n--b\r\nContent-Type: a/b\r\n\r\nx\r\n" + END
        )
    ) == [b"", b"x"]


def test_a_preamble_an_epilogue_and_padding_after_the_boundary_are_passed_over() -> None:
    data = b"this is MIME\r\n" + SOAP_PART.replace(b"--b\r\n", b"--b  \t\r\n") + b"--b-- \r\nafter\r\n--b\r\n"
    assert mime.read(TYPE, data).soap == b"<soap/>"
    assert mime.read(TYPE, SOAP_PART + b"--b--").soap == b"<soap/>"


def test_text_xml_is_the_soap_alone() -> None:
    found = mime.read("text/xml; charset=utf-8", b"<x/>")
    assert (found.kind, found.charset, found.soap, found.attachments) == (b"text/xml", "utf-8", b"<x/>", ())


@pytest.mark.parametrize("text", ["application/soap+xml", "multipart/mixed; boundary=b", "text/plain", ""])
def test_another_content_type_is_refused(text: str) -> None:
    with pytest.raises(ContentTypeInvalid):
        mime.read(text, SOAP_PART + END)


def test_a_multipart_without_a_part_has_no_soap() -> None:
    for data in (b"", b"nothing here", END):
        with pytest.raises(SoapMissing):
            mime.read(TYPE, data)


@pytest.mark.parametrize(
    "data",
    [
        SOAP_PART + TEXT + b"cut",
        SOAP_PART + b"--b\r\nContent-Type: text/pl",
        SOAP_PART[:-5],
        SOAP_PART + TEXT + b"x\r\n--bc\r\n" + END,  # a reader that compares only the beginning sees a boundary
        SOAP_PART + b"--b\r\nno header\r\n\r\nx\r\n" + END,
        SOAP_PART + b"--b\r\nContent-Type: a/b\r\nX: \x00\r\n\r\nx\r\n" + END,
        SOAP_PART + b"--b\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\nx\r\n" + END,
        SOAP_PART + b"--b\r\nContent-Type: a/b\r\n--b--\r\n\r\nx",
        SOAP_PART + b"--b\r\nContent-Type: a/b\r\n" + b"X-%d: y\r\n" * 1 % 1 + b"".join(b"H%d: y\r\n" % n for n in range(60)) + b"\r\nx\r\n" + END,
    ],
)  # fmt: skip
def test_what_is_cut_or_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(MimeMalformed):
        mime.read(TYPE, data)


def test_a_part_without_a_content_type_is_refused() -> None:
    for data in (SOAP_PART + b"--b\r\nX: y\r\n\r\nx\r\n" + END, SOAP_PART + b"--b\r\n\r\nx\r\n" + END):
        with pytest.raises(ContentTypeInvalid):
            mime.read(TYPE, data)


def test_a_message_cut_anywhere_is_refused_or_told_to_be_unfinished() -> None:
    data = SOAP_PART + TEXT + b"one\r\n" + END
    for size in range(len(data) - 4):
        try:
            found = mime.read(TYPE, data[:size])
        except (MimeMalformed, SoapMissing, ContentTypeInvalid):
            continue
        assert found.unfinished, size


def test_more_parts_than_the_limit_are_refused_also_when_they_stand_in_one_another() -> None:
    limits = MimeLimits(parts=3)
    with pytest.raises(MimeMalformed, match="more than 3"):
        mime.read(TYPE, SOAP_PART + (TEXT + b"x\r\n") * 3 + END, limits)
    inner = (
        b"--b\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
        + b"--i\r\nContent-Type: a/b\r\n\r\nx\r\n" * 3
        + b"--i--\r\n\r\n"
    )
    with pytest.raises(MimeMalformed, match="more than"):
        mime.read(TYPE, SOAP_PART + TEXT + b"y\r\n" + inner + END, limits)


def test_multiparts_in_one_another_are_opened_but_not_for_ever() -> None:
    data = b"--i0\r\nContent-Type: text/plain\r\n\r\ndeep\r\n--i0--\r\n"
    for depth in range(1, 3):
        data = b"--i%d\r\nContent-Type: multipart/mixed; boundary=i%d\r\n\r\n%b\r\n--i%d--\r\n" % (
            depth,
            depth - 1,
            data,
            depth,
        )
    outer = b"--b\r\nContent-Type: multipart/mixed; boundary=i%d\r\n\r\n"
    found = mime.read(
        TYPE, SOAP_PART + outer % 1 + data[data.index(b"--i1") : data.index(b"--i2--") - 2] + b"\r\n" + END
    )
    assert bodies(found) == [b"deep"]
    with pytest.raises(MimeMalformed, match="deep"):
        mime.read(TYPE, SOAP_PART + outer % 2 + data + b"\r\n" + END)


def test_a_header_block_beyond_the_limit_is_refused_while_it_arrives() -> None:
    with pytest.raises(MessageTooLarge):
        mime.read(TYPE, SOAP_PART + b"--b\r\nX: " + b"y" * 20_000, MimeLimits(header_block=1000))


def test_a_soap_part_or_attachment_beyond_its_limit_is_refused() -> None:
    data = SOAP_PART + TEXT + b"x" * 5000 + b"\r\n" + END
    with pytest.raises(MessageTooLarge):
        mime.read(TYPE, data, MimeLimits(soap=3))
    with pytest.raises(MessageTooLarge):
        mime.read(TYPE, data, MimeLimits(attachment=4000))


def test_a_big_attachment_goes_to_disk_and_keeps_its_digest(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    data = Spool.of([SOAP_PART, TEXT, content, b"\r\n", TEXT, b"small\r\n", END], tmp_path)
    found = mime.read(TYPE, data, MimeLimits(memory=1000, spool=tmp_path))
    big, small = found.attachments
    assert isinstance(big.body, Spool)
    assert small.body == b"small"
    assert big.sha512 == body_sha512(content)
    assert big.body.read() == content


tricky = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--", b"b", b"--c", b"x", b"\r\n--", b"\r\n\r\n", b"\x00"]), max_size=12
).map(b"".join)
lines = st.lists(
    st.tuples(
        st.sampled_from([b"Content-ID", b"X-A", b"content-transfer-encoding"]),
        st.sampled_from([b"", b"<a@b>", b"x y", "é".encode()]),
    ),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


@given(st.lists(st.tuples(lines, tricky), max_size=4), st.integers(1, 7))
def test_attachments_written_between_servers_are_read_the_same_however_they_are_cut(
    rows: list[tuple[list[tuple[bytes, bytes]], bytes]], step: int
) -> None:
    sent = tuple(Attachment(((b"Content-Type", b"a/b"), *headers), body) for headers, body in rows) or (
        Attachment(((b"Content-Type", b"a/b"),), b""),
    )
    data = b"".join(map(body_bytes, parts.encode_message("xtopx", parts.SOAP, envelope(), sent, None, b"s")))
    start = data.index(b"boundary=xatt")
    boundary = data[start + 9 : data.index(b"\r\n", start)]
    nested = data[data.index(b"\r\n\r\n", start) + 4 : data.index(b"\r\n--xtopx", start)]
    reader = mime._Reader(boundary.decode(), MimeLimits())
    for at in range(0, len(nested), step):
        reader.feed(nested[at : at + step])
    assert reader.finish() == (list(sent), False)
    whole = Part(b"multipart/mixed", {b"content-type": b"multipart/mixed; boundary=" + boundary}, nested)
    assert mime.decode_nested(whole) == sent


@given(st.binary(max_size=200).map(lambda noise: SOAP_PART + noise))
def test_noise_is_read_or_refused_and_never_fails_otherwise(data: bytes) -> None:
    with contextlib.suppress(ExchangeError):
        mime.read(TYPE, data)


def test_nested_attachments_that_are_cut_are_refused() -> None:
    cut = Part(b"multipart/mixed", {b"content-type": b"multipart/mixed; boundary=b"}, TEXT + b"x\r\n--b")
    with pytest.raises(MimeMalformed):
        mime.decode_nested(cut)
    with pytest.raises(ContentTypeInvalid):
        mime.decode_nested(Part(b"multipart/mixed", {}, b""))
