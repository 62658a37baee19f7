"""What both ends of a Kerege link share: messages put on it and taken off it, and what there is room for."""

import pytest

from kerege.exchange import linkmessages as lm
from kerege.exchange import multipart
from kerege.exchange.errors import ContentTypeInvalid, MimeMalformed
from kerege.node.link import incoming, outgoing
from kerege.node.message import Extras, Message

TYPE = (b"content-type", b"text/xml; charset=UTF-8")


def test_a_soap_message_comes_off_the_link_as_it_was_put_on_it() -> None:
    message = Message(multipart.SOAP, b"<x/>", headers=(TYPE, (b"content-id", b"<root>")))
    extras = Extras("multipart/related; boundary=b", '"urn:a"', "r-1")
    put, large = outgoing(3, message, extras, 0)
    came, beside = incoming(put)
    assert (large, came.content, came.headers, beside) == ([], message.content, message.headers, extras)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        (b"part-content-transfer-encoding", b"quoted-printable", MimeMalformed),
        (b"part-Content-Transfer-Encoding", b"base64", MimeMalformed),
        (b"part-content-type", b"multipart/mixed; boundary=x", ContentTypeInvalid),
        (b"part-content-id", b"<a>\r\ncontent-transfer-encoding: base64", MimeMalformed),
    ],
)
def test_a_node_cannot_say_that_the_envelope_is_read_otherwise(name: bytes, value: bytes, error: type) -> None:
    with pytest.raises(error):
        incoming(lm.LinkMessage(1, multipart.SOAP, b"<x/>", (), ((name, value),)))


def test_headers_of_the_part_that_mean_nothing_go_no_further() -> None:
    headers = ((b"part-x-own", b"1"), (b"part-" + TYPE[0], TYPE[1]), (b"unknown", b"2"))
    assert incoming(lm.LinkMessage(1, multipart.SOAP, b"<x/>", (), headers))[0].headers == (TYPE,)
    assert incoming(lm.LinkMessage(1, multipart.REST_REQUEST, b"GET", (), headers))[0].headers == ()
