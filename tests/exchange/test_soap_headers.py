import pytest
from soap_samples import CLIENT, FIELDS, ID, SERVICE, VERSION, envelope

from kerege.exchange import soap
from kerege.exchange.errors import ExchangeError, IdentifierInvalid
from kerege.exchange.faults import Fault
from kerege.exchange.soap_errors import (
    SoapFieldDuplicate,
    SoapFieldInvalid,
    SoapFieldMissing,
    SoapIdentifierInvalid,
    SoapVersionUnknown,
)
from kerege.exchange.soap_headers import RepresentedParty, SoapHeader

SERVER = (
    '<xroad:securityServer id:objectType="SERVER"><id:xRoadInstance>KG</id:xRoadInstance><id:memberClass>GOV</id:memberClass>'
    "<id:memberCode>70000002</id:memberCode><id:serverCode>node-reg</id:serverCode></xroad:securityServer>"
)
PARTY = (
    '<r:representedParty xmlns:r="http://x-road.eu/xsd/representation.xsd"><r:partyClass>COM</r:partyClass>'
    "<r:partyCode>42</r:partyCode></r:representedParty>"
)
TOKEN = '<t:securityToken xmlns:t="http://x-road.eu/xsd/security-token.xsd" tokenType="urn:jwt">abc</t:securityToken>'


def read(fields: str) -> SoapHeader:
    found = soap.parse(envelope(fields))
    assert not isinstance(found, Fault)
    return found.header


def test_every_field_of_the_protocol_and_its_extensions_is_read() -> None:
    found = read(FIELDS + SERVER + PARTY + TOKEN + "<xroad:issue>w\nz</xroad:issue><other xmlns='urn:x'/>")
    assert str(found.server) == "KG/GOV/70000002/node-reg"
    assert found.party == RepresentedParty("COM", "42")
    assert (found.token_type, found.issue, found.protocol_version) == ("urn:jwt", "w\nz", "4.0")


def test_a_member_may_ask_and_may_be_asked() -> None:
    member = CLIENT.replace("SUBSYSTEM", "MEMBER").replace("<id:subsystemCode>admission</id:subsystemCode>", "")
    service = SERVICE.replace("<id:subsystemCode>population</id:subsystemCode>", "")
    found = read(member + service + ID + VERSION)
    assert str(found.client) == "KG/GOV/70000003"
    assert str(found.service) == "KG/GOV/70000002//getPerson/v1"


@pytest.mark.parametrize("field", [CLIENT, SERVICE, ID, VERSION])
def test_a_field_that_must_be_there_is_missed_by_its_name(field: str) -> None:
    with pytest.raises(SoapFieldMissing):
        read(FIELDS.replace(field, ""))


@pytest.mark.parametrize(
    "field", [CLIENT, SERVICE, ID, VERSION, SERVER, PARTY, TOKEN, "<xroad:userId/>", "<xroad:issue/>"]
)
def test_a_field_that_comes_twice_is_refused(field: str) -> None:
    fields = FIELDS.replace("<xroad:userId>EE123</xroad:userId>", "")
    with pytest.raises(SoapFieldDuplicate):
        read(fields.replace(field, "") + field + field)


def test_a_part_of_an_identifier_that_comes_twice_is_refused() -> None:
    with pytest.raises(SoapFieldDuplicate, match="memberCode"):
        read(FIELDS.replace("<id:memberCode>70000003", "<id:memberCode>1</id:memberCode><id:memberCode>70000003"))


def test_central_services_are_refused() -> None:
    central = '<xroad:centralService id:objectType="CENTRALSERVICE"/>'
    for fields in (FIELDS + central, FIELDS.replace(SERVICE, central)):
        with pytest.raises(SoapFieldMissing, match="centralService"):
            read(fields)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (' id:objectType="SUBSYSTEM"', ""),
        (' id:objectType="SUBSYSTEM"', ' objectType="SUBSYSTEM"'),
        ('"SUBSYSTEM"', '"SERVER"'),
        ('"SUBSYSTEM"', '"NONSENSE"'),
        ('"SUBSYSTEM"', '"MEMBER"'),
        ("<id:subsystemCode>admission</id:subsystemCode>", ""),
        ("<id:memberCode>70000003</id:memberCode>", ""),
        ("<id:memberCode>70000003</id:memberCode>", "<memberCode>70000003</memberCode>"),
        ("70000003", "7<b/>0000003"),
        ("70000003", "7<!-- -->0000003"),
        ("<id:serviceCode>", "<id:groupCode>g</id:groupCode><id:serviceCode>"),
        ('"SERVICE"', '"MEMBER"'),
    ],
)
def test_an_identifier_must_hold_the_parts_of_its_object_type_and_no_others(old: str, new: str) -> None:
    assert old in FIELDS
    with pytest.raises(SoapIdentifierInvalid):
        read(FIELDS.replace(old, new, 1))


@pytest.mark.parametrize("code", ["", "a/b", "a:b", "..", "a\nb", "x" * 300, "a%2Fb"])
def test_a_part_that_could_pass_for_another_identifier_is_refused(code: str) -> None:
    with pytest.raises(IdentifierInvalid):
        read(FIELDS.replace("70000003", code, 1))


@pytest.mark.parametrize("version", ["3.5", "4", "5.0", "4.0x", "", "4.0.1"])
def test_another_protocol_version_is_refused(version: str) -> None:
    with pytest.raises(SoapVersionUnknown):
        read(FIELDS.replace(">4.0<", f">{version}<"))


@pytest.mark.parametrize("version", ["4.0", "4.1", " 4.0\n"])
def test_version_4_is_spoken(version: str) -> None:
    assert read(FIELDS.replace(">4.0<", f">{version}<")).protocol_version == version.strip()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("m-1", "", SoapFieldMissing),
        ("m-1", "a\tb", SoapFieldInvalid),
        ("m-1", "x" * 256, SoapFieldInvalid),
        ("m-1", "a<!-- -->b", SoapFieldInvalid),
        ("EE123", "<x/>", SoapFieldInvalid),
        ("EE123", "x" * 9000, SoapFieldInvalid),
        (VERSION, VERSION + TOKEN.replace(' tokenType="urn:jwt"', ""), SoapFieldInvalid),
        (VERSION, VERSION + PARTY.replace("<r:partyCode>42</r:partyCode>", ""), SoapFieldMissing),
        (VERSION, VERSION + PARTY.replace("<r:partyCode>", "<x/><r:partyCode>"), SoapFieldInvalid),
        (VERSION, VERSION + "<x/>" * 300, SoapFieldInvalid),
    ],
)
def test_a_value_that_two_readers_could_read_differently_is_refused(
    old: str, new: str, problem: type[ExchangeError]
) -> None:
    with pytest.raises(problem):
        read(FIELDS.replace(old, new, 1))
