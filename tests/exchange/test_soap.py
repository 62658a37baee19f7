import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from soap_samples import CLIENT, FIELDS, ID, SERVICE, VERSION, answer, envelope

from kerege.exchange import soap
from kerege.exchange.errors import ExchangeError, ResponseInconsistent
from kerege.exchange.faults import Fault, to_soap
from kerege.exchange.ids import DataServiceId
from kerege.exchange.soap import SoapMessage
from kerege.exchange.soap_errors import (
    ContentTypeInvalid,
    SoapActionInvalid,
    SoapBodyInvalid,
    SoapBodyMissing,
    SoapHeaderAbsent,
    SoapHeadersInconsistent,
    SoapInvalid,
)
from kerege.exchange.soap_headers import XROAD

SERVER = CLIENT.replace("client", "securityServer").replace("SUBSYSTEM", "SERVER").replace("subsystem", "server")
DIGEST = hashlib.sha512(envelope()).digest()


def message(data: bytes, charset: str = "") -> SoapMessage:
    found = soap.parse(data, charset=charset)
    assert isinstance(found, SoapMessage)
    return found


def test_a_request_is_read_with_its_version_and_its_wrapper() -> None:
    found = soap.check_request(soap.parse(envelope()))
    assert found.header.service == DataServiceId.parse("KG/GOV/70000002/population/getPerson/v1")
    assert (str(found.header.client), found.header.message_id) == ("KG/GOV/70000003/admission", "m-1")
    assert (found.root, found.header.user_id, found.header.issue, found.header.server) == (
        "getPerson",
        "EE123",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not XML"),
        (b"<a", "not well-formed"),
        (b"<a/>", "not a SOAP 1.1 Envelope"),
        (
            envelope().replace(
                b"http://schemas.xmlsoap.org/soap/envelope/", b"http://www.w3.org/2003/05/soap-envelope"
            ),
            "not a SOAP 1.1",
        ),
        (b"<!DOCTYPE a>" + envelope(start=""), "DOCTYPE"),
        (envelope(start='<?xml version="1.0"?><!-- x --><?p?> <!DOCTYPE a [<!ENTITY b "c">]>'), "DOCTYPE"),
        (envelope(start='<?xml version="1.0" encoding="UTF-7"?>'), "encoding"),
        (envelope(start='<?xml version="1.0" encoding="UTF-16"?>', encoding="utf-16"), "not XML"),
        (envelope(start='<?xml version="1.0" encoding="Shift_JIS"?>'), "encoding"),
        (envelope(start='<?xml version="1.1"?>'), "XML 1.0"),
        (envelope(attributes=' soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"'), "rpc"),
        (envelope(body='<getPerson soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/>'), "rpc"),
        (envelope(header="<soap:Header/>" * 2), "something else than one Header"),
        (envelope(header="<x/>"), "something else than one Header"),
        (envelope(body="<a>" * 400 + "</a>" * 400), "not well-formed"),
    ],
)
def test_what_is_not_a_plain_soap_1_1_envelope_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(SoapInvalid, match=reason):
        soap.parse(data)


def test_an_envelope_beyond_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(SoapInvalid, match="larger than 100"):
        soap.parse(envelope(), largest=100)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (envelope(header=""), SoapHeaderAbsent),
        (envelope().replace(b"soap:Body", b"soap:Bode"), SoapBodyMissing),
        (envelope(body=""), SoapBodyInvalid),
        (envelope(body="<getPerson/><getPerson/>"), SoapBodyInvalid),
    ],
)
def test_header_and_body_must_be_there_and_hold_one_element(data: bytes, problem: type[ExchangeError]) -> None:
    with pytest.raises(problem):
        soap.parse(data)


@pytest.mark.parametrize("root", ["getPersonSecret", "getPerso", "GetPerson", "getPersonRequestX", "other"])
def test_a_request_for_one_service_with_the_element_of_another_is_refused(root: str) -> None:
    with pytest.raises(SoapHeadersInconsistent):
        soap.check_request(soap.parse(envelope(body=f"<{root}/>")))


def test_a_request_element_may_end_in_request_as_x_roads_own_tests_have_it() -> None:
    assert soap.check_request(soap.parse(envelope(body="<getPersonRequest/>"))).root == "getPersonRequest"


def test_a_fault_is_no_request() -> None:
    with pytest.raises(SoapInvalid, match="fault"):
        soap.check_request(Fault("CODE", "STRING", "DETAIL"))


def test_a_byte_order_mark_a_declared_encoding_and_markup_in_cdata_may_be() -> None:
    assert message(b"\xef\xbb\xbf" + envelope()).root == "getPerson"
    latin = envelope(
        FIELDS.replace("EE123", "\u00e4"), start='<?xml version="1.0" encoding="ISO-8859-1"?>', encoding="latin-1"
    )
    assert message(latin, "iso-8859-1").header.user_id == "\u00e4"
    cyrillic = envelope(
        FIELDS.replace("EE123", "\u0416"), start="<?xml version='1.0' encoding='windows-1251'?>", encoding="cp1251"
    )
    assert message(cyrillic).header.user_id == "\u0416"
    assert message(envelope(body="<getPerson><![CDATA[<!DOCTYPE html>]]></getPerson>")).root == "getPerson"


def test_a_charset_that_contradicts_the_declared_encoding_is_refused_unless_all_is_ascii() -> None:
    with pytest.raises(ContentTypeInvalid, match="charset"):
        soap.parse(envelope(FIELDS.replace("EE123", "\u00e4")), charset="ISO-8859-1")
    assert message(envelope(), "ISO-8859-1").root == "getPerson"
    assert message(envelope(FIELDS.replace("EE123", "\u00e4")), "utf8").header.user_id == "\u00e4"


# --- the request hash ---


def hashed(data: bytes) -> bytes:
    return soap.with_request_hash(data, DIGEST)


def without_hash(data: bytes) -> bytes:
    return re.sub(rb"\s*<(?:\w+:)?requestHash[^>]*>[^<]*</(?:\w+:)?requestHash>", b"", data)


def test_the_hash_stands_straight_after_id_and_every_other_byte_is_kept() -> None:
    done = hashed(answer())
    value = soap.request_hash(DIGEST)
    assert b'<xroad:id>m-1</xroad:id><xroad:requestHash algorithmId="http://www.w3.org/2001/04/xmlenc#sha512">' in done
    assert without_hash(done) == answer()
    assert message(done).header.request_hash == value


def test_the_hash_takes_the_margin_of_the_id() -> None:
    spaced = answer(FIELDS.replace(ID, "\r\n      " + ID + "\r\n      "))
    assert b"<xroad:id>m-1</xroad:id>\r\n      <xroad:requestHash" in hashed(spaced)


@pytest.mark.parametrize("old", [("", "{}" + ID), ("", ID + "{}"), ("", ID + VERSION + "{}"), ("", "{}" + CLIENT + ID)])
def test_a_hash_that_is_there_already_is_replaced_wherever_it_stood(old: tuple[str, str]) -> None:
    present = '\n <xroad:requestHash algorithmId="SHA-512">b2xk</xroad:requestHash>'
    fields = FIELDS.replace(VERSION, "").replace(CLIENT, "") if "client" in old[1] else FIELDS.replace(VERSION, "")
    fields = fields.replace(ID, old[1].format(present))
    fields += "" if VERSION in old[1] else VERSION
    done = hashed(answer(fields))
    assert done.count(b"requestHash") == 2
    assert message(done).header.request_hash == soap.request_hash(DIGEST)
    assert without_hash(done) == without_hash(answer(fields))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('<id xmlns="http://x-road.eu/xsd/xroad.xsd">m-1</id>', b'<requestHash xmlns="http://x-road.eu/xsd/xroad.xsd"'),
        (
            '<q:id xmlns:q="http://x-road.eu/xsd/xroad.xsd">m-1</q:id>',
            b'<requestHash xmlns="http://x-road.eu/xsd/xroad.xsd"',
        ),
        ("<!-- <xroad:id>x</xroad:id> --><xroad:id\n >m-1</xroad:id >", b"</xroad:id ><xroad:requestHash"),
        (
            "<other a='>' b=\"/>\"><xroad:id>x</xroad:id></other><empty/><xroad:id>m-1</xroad:id>",
            b"m-1</xroad:id><xroad:requestHash",
        ),
        (
            "<![CDATA[<xroad:id>x</xroad:id>]]><?p <xroad:id>?><xroad:id>m-1</xroad:id>",
            b"m-1</xroad:id><xroad:requestHash",
        ),
    ],
)
def test_the_id_is_found_among_what_looks_like_it(field: str, expected: bytes) -> None:
    done = hashed(answer(FIELDS.replace(ID, field)))
    assert expected in done
    assert message(done).header.request_hash == soap.request_hash(DIGEST)
    assert without_hash(done) == answer(FIELDS.replace(ID, field))


def test_a_byte_order_mark_another_encoding_and_a_prefix_in_cyrillic_do_not_move_the_hash() -> None:
    marked = b"\xef\xbb\xbf" + answer()
    assert without_hash(hashed(marked)) == marked
    fields = FIELDS.replace(ID, "<\u0436:id>m-1</\u0436:id>").replace("EE123", "\u0416")
    declared = ' xmlns:\u0436="http://x-road.eu/xsd/xroad.xsd"'
    for kept in ({}, {"start": "<?xml version='1.0' encoding='windows-1251'?>", "encoding": "cp1251"}):
        data = answer(fields, attributes=declared, **kept)
        assert b'<requestHash xmlns="http://x-road.eu/xsd/xroad.xsd" ' in hashed(data)
        assert message(hashed(data)).header.request_hash == soap.request_hash(DIGEST)
        assert without_hash(hashed(data)) == data


def test_a_fault_gets_no_hash() -> None:
    fault = to_soap(Fault("soap:Server", "no", ""))
    assert hashed(fault) == fault


fragments = st.lists(
    st.sampled_from([
        "<!-- -> <x> -->", "<?pi a>b?>", "\n  ", "<x a='\"'/>", '<y b="<"/>'.replace("<\"", "&lt;\""), "<z><w/>t</z>",
        "<![CDATA[</soap:Header>]]>", "<xroad:other>1</xroad:other>", "&amp;", "<n xmlns='urn:n' c = '1' />",
    ]),
    max_size=5,
)  # fmt: skip


@given(fragments, fragments, fragments)
def test_splicing_changes_nothing_else_whatever_stands_around(
    before: list[str], between: list[str], after: list[str]
) -> None:
    fields = "".join((*before, CLIENT, SERVICE, *between, ID, *after, VERSION))
    data = answer(fields)
    done = hashed(data)
    assert message(done).header.request_hash == soap.request_hash(DIGEST)
    assert without_hash(done) == data


pieces = st.sampled_from(
    [
        b"<",
        b">",
        b'"',
        b"<!--",
        b"-->",
        b"]]>",
        b"<?x ",
        b"?>",
        b"\x00",
        b"\xff",
        b"<xroad:id>",
        b"</soap:Header>",
        b"xmlns=''",
    ]
)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), pieces | st.binary(max_size=3)), min_size=1, max_size=4))
def test_a_damaged_answer_is_refused_or_read_and_then_spliced_right(damage: list[tuple[float, int, bytes]]) -> None:
    data = hashed(answer())
    for where, cut, piece in damage:
        at = int(where * len(data))
        data = data[:at] + piece + data[at + cut :]
    try:
        found = soap.parse(data)
    except ExchangeError:
        return
    done = soap.parse(hashed(data))
    assert isinstance(found, Fault) or done.header.request_hash == soap.request_hash(DIGEST)  # type: ignore[union-attr]


# --- answers ---


def header(data: bytes) -> soap.SoapHeader:
    return message(data).header


def test_an_answer_with_the_same_header_and_the_right_hash_is_taken() -> None:
    soap.check_answer(header(envelope()), DIGEST, message(hashed(answer())))
    new_algorithm = hashed(answer()).replace(b"http://www.w3.org/2001/04/xmlenc#sha512", b"SHA-512")
    soap.check_answer(header(envelope()), DIGEST, message(new_algorithm))


def test_an_empty_field_and_an_absent_one_are_alike_in_an_answer() -> None:
    soap.check_answer(header(envelope()), DIGEST, message(hashed(answer(FIELDS + "<xroad:issue/>"))))


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("admission", "emis", "client"),
        (">v1<", ">v2<", "service"),
        ("m-1", "m-2", "id"),
        (">4.0<", ">4.1<", "protocolVersion"),
        ("EE123", "EE124", "userId"),
        (VERSION, VERSION + "<xroad:issue>7</xroad:issue>", "issue"),
        (
            VERSION,
            VERSION
            + '<r:representedParty xmlns:r="http://x-road.eu/xsd/representation.xsd"><r:partyCode>1</r:partyCode></r:representedParty>',
            "representedParty",
        ),
        (VERSION, VERSION + SERVER, "securityServer"),
    ],
)  # fmt: skip
def test_an_answer_that_differs_in_a_field_is_refused(old: str, new: str, field: str) -> None:
    fields = FIELDS.replace(old, new)
    with pytest.raises(ResponseInconsistent, match=f"{field} differs"):
        soap.check_answer(header(envelope()), DIGEST, message(hashed(answer(fields))))


@pytest.mark.parametrize(
    "data",
    [
        answer(),
        soap.with_request_hash(answer(), hashlib.sha512(b"other").digest()),
        hashed(answer()).replace(b"xmlenc#sha512", b"xmlenc#sha256"),
        hashed(answer()).replace(b' algorithmId="http://www.w3.org/2001/04/xmlenc#sha512"', b""),
    ],
)
def test_an_answer_without_the_hash_of_this_very_request_is_refused(data: bytes) -> None:
    with pytest.raises(ResponseInconsistent, match="requestHash differs"):
        soap.check_answer(header(envelope()), DIGEST, message(data))


def test_an_answer_of_another_element_is_refused() -> None:
    with pytest.raises(SoapHeadersInconsistent):
        soap.check_answer_root(message(envelope(body="<otherResponse/>")))


def test_a_providers_fault_answers_any_request() -> None:
    soap.check_answer(header(envelope()), DIGEST, Fault("soap:Server", "no", ""))


# --- SOAPAction ---


@pytest.mark.parametrize("value", [None, "", '""', '"http://example.org/test"', '"urn:foo"'])
def test_a_soap_action_may_be_absent_empty_or_a_quoted_uri(value: str | None) -> None:
    assert soap.check_action(value) == value


@pytest.mark.parametrize(
    "value", ["http://quotes/missing", '"http://extra/quote""', '"spaces "', '"', '"a\r\nb"', '"' + "a" * 3000 + '"']
)
def test_any_other_soap_action_is_refused(value: str) -> None:
    with pytest.raises(SoapActionInvalid):
        soap.check_action(value)


# --- schemas ---


def test_the_request_hash_and_header_we_write_hold_against_the_schemas(vectors: Path) -> None:
    """message.xsd describes client, service, securityServer and id, in this order; the spliced answer is cut down to these."""
    schema = etree.XMLSchema(etree.parse(vectors / "xsd" / "message.xsd"))
    root = etree.fromstring(hashed(answer()))
    found = root.find(f"{{{soap.ENVELOPE}}}Header")
    assert found is not None
    wanted = {"client", "service", "securityServer", "id"}
    header_of = etree.Element("{http://x-road.eu/xsd/xroad.xsd}Header", nsmap=found.nsmap)
    header_of.extend([child for child in found if etree.QName(child).localname in wanted])
    schema.assertValid(header_of)


SECRET = "2120419900001"
FOREIGN = st.lists(
    st.sampled_from([
        f"<!-- {SECRET} -->", f"<?debug {SECRET}?>", f"<w:Security xmlns:w='urn:wsse'><w:Password>{SECRET}</w:Password></w:Security>",
        f"<x xmlns='urn:n' a='{SECRET}'/>", f"<z><Body>{SECRET}</Body><![CDATA[</soap:Header>{SECRET}]]></z>", "\n  ",
        f"<n a=' xmlns:b=\"{XROAD}\"'>{SECRET}</n>",
    ]),
    max_size=4,
).map("".join)  # fmt: skip


@given(FOREIGN, FOREIGN, FOREIGN)
def test_of_a_message_whose_body_is_not_logged_x_roads_own_header_fields_stay_and_nothing_else(
    before: str, between: str, after: str
) -> None:
    whole = envelope(before + CLIENT + SERVICE + between + ID + VERSION + after, f"<getPerson>{SECRET}</getPerson>")
    around = f"<!-- {SECRET} -->".encode()
    whole = whole.replace(b"<soap:Header>", around + f"<soap:Header a='{SECRET}'>".encode())
    whole = whole.replace(b"<soap:Body>", around + f'<soap:Body b="{SECRET}" >'.encode())
    whole = whole.replace(b"</soap:Envelope>", around + b"</soap:Envelope>" + around)
    parsed = message(whole)
    less = soap.header_only(whole)
    assert SECRET.encode() not in less
    with pytest.raises(SoapBodyInvalid):
        soap.parse(less)
    assert message(less.replace(b"<soap:Body/>", b"<soap:Body><getPerson/></soap:Body>")).header == parsed.header
    assert soap.header_only(less) == less


def test_a_security_token_is_not_logged() -> None:
    token = f"<t:securityToken xmlns:t='http://x-road.eu/xsd/security-token.xsd' tokenType='urn:jwt'>{SECRET}</t:securityToken>"
    whole = envelope(CLIENT + SERVICE + ID + token + VERSION)
    assert message(whole).header.token_type == "urn:jwt"
    assert soap.header_only(whole) == soap.header_only(whole.replace(token.encode(), b""))


def test_a_field_in_a_namespace_of_its_own_stays_and_of_what_has_no_body_nothing() -> None:
    own = ID.replace("<xroad:id>", f'<id xmlns="{XROAD}">').replace("</xroad:id>", "</id>")
    assert own.encode() in soap.header_only(envelope(CLIENT + SERVICE + own + VERSION))
    assert soap.header_only(b"<e a='1'><e:Body x='1'/></e>") == b"<e><e:Body/></e>"
    assert soap.header_only(b"<e><h>secret</h></e>") == b""
    assert soap.header_only(b"secret") == b""
