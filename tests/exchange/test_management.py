"""Management requests: what is built reads back and verifies; whoever else signs, or signs nothing, is refused for that reason."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from kerege.exchange import certs, faults, management, management_wire
from kerege.exchange.errors import (
    CertificateInvalid,
    ExchangeError,
    ManagementRefused,
    ManagementRequestInvalid,
    RevocationUnknown,
)
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import ClientId, MemberId, ServerId
from kerege.exchange.management import Kind, ManagementRequest, Submission
from kerege.exchange.pki import KeyPair, TestAuthority
from kerege.exchange.trust import Trust

from .conftest import NOW

SERVER = ServerId("KG", "GOV", "70000003", "node-edu")
OWNER = ClientId("KG", "GOV", "70000003")
EMIS = ClientId("KG", "GOV", "70000003", "emis")
PROVIDER = ClientId("KG", "GOV", "70000000", "management")


@pytest.fixture(scope="module", params=["ec", "rsa"])
def keys(request: pytest.FixtureRequest, authority: TestAuthority) -> dict[str, KeyPair]:
    return {
        "owner": authority.sign_certificate(SERVER.owner, "Edu", "node-edu", NOW, request.param),
        "other": authority.sign_certificate(MemberId("KG", "GOV", "70000002"), "Pop", "node-edu", NOW, request.param),
        "auth": authority.auth_certificate(SERVER, "Edu", NOW, request.param),
    }


@pytest.fixture(scope="module")
def trust(shared: SharedParameters) -> Trust:
    return Trust(shared)


def asked(kind: Kind, certificate: bytes | None = None) -> ManagementRequest:
    fields: dict[str, object] = {}
    if kind in management.OF_CLIENT:
        fields["client"] = OWNER if kind is Kind.OWNER_CHANGE else EMIS
    if kind in {Kind.AUTH_CERT_REG, Kind.AUTH_CERT_DELETION}:
        fields["certificate"] = certificate
    if kind in {Kind.ADDRESS_CHANGE, Kind.AUTH_CERT_REG}:
        fields["address"] = "node.edu.kg"
    if kind in {Kind.CLIENT_REG, Kind.CLIENT_RENAME}:
        fields["name"] = "Билим & <EMIS>"
    if kind is Kind.MAINTENANCE_ENABLE:
        fields["message"] = "back at noon"
    return ManagementRequest(kind, SERVER, **fields)


def submitted(
    request: ManagementRequest, keys: dict[str, KeyPair], authority: TestAuthority, by: str = "owner"
) -> Submission:
    soap = management.build(request, OWNER, PROVIDER, "id-1")
    pair = keys[by]
    auth = None
    if request.kind is Kind.AUTH_CERT_REG:
        auth = management.sign(soap, keys["auth"].key, keys["auth"].certificate)
    return Submission(
        soap,
        management.sign(soap, pair.key, pair.certificate),
        authority.ocsp_response(pair.certificate, NOW),
        auth,
    )


@pytest.mark.parametrize("kind", list(Kind))
def test_every_request_reads_back_and_verifies_with_its_signer(
    kind: Kind, keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    request = asked(kind, certs.der(keys["auth"].certificate))
    submission = submitted(request, keys, authority)
    assert management_wire.split(*management_wire.join(submission)) == submission
    proof = management.verify(submission, trust, NOW)
    assert proof.envelope == management.Envelope(request, OWNER, PROVIDER, "id-1")
    assert proof.signer == SERVER.owner
    assert (proof.auth_certificate == keys["auth"].certificate) == (kind is Kind.AUTH_CERT_REG)


@pytest.mark.vectors
@pytest.mark.parametrize("kind", list(Kind))
def test_every_request_and_reply_is_valid_against_x_roads_schema(
    kind: Kind, keys: dict[str, KeyPair], vectors: Path
) -> None:
    schema = etree.XMLSchema(etree.parse(str(vectors / "xsd/request.xsd")))
    soap = management.build(asked(kind, certs.der(keys["auth"].certificate)), OWNER, PROVIDER)
    (element,) = etree.fromstring(soap).find("{*}Body")
    schema.assertValid(element)
    reply = management.build_reply(soap, 17)
    assert management.parse_reply(reply) == 17
    (element,) = etree.fromstring(reply).find("{*}Body")
    assert etree.QName(element).localname == f"{kind}Response"
    element.tag = element.tag.removesuffix("Response")
    schema.assertValid(element)


@pytest.mark.parametrize("kind", list(Kind))
def test_only_deletions_may_come_unsigned_and_then_nobody_is_named_as_signer(
    kind: Kind, keys: dict[str, KeyPair], trust: Trust
) -> None:
    plain = Submission(management.build(asked(kind, certs.der(keys["auth"].certificate)), OWNER, PROVIDER))
    assert management_wire.split(*management_wire.join(plain)) == plain
    if kind in management.PLAIN:
        assert management.verify(plain, trust, NOW).signer is None
    else:
        with pytest.raises(ManagementRequestInvalid, match="must be signed"):
            management.verify(plain, trust, NOW)


@pytest.mark.parametrize("kind", list(Kind))
def test_another_members_signature_is_refused(
    kind: Kind, keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    request = asked(kind, certs.der(keys["auth"].certificate))
    with pytest.raises(ManagementRequestInvalid, match="signed by KG/GOV/70000002"):
        management.verify(submitted(request, keys, authority, "other"), trust, NOW)


def test_a_signature_over_other_bytes_is_refused(
    keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    good = submitted(asked(Kind.CLIENT_REG), keys, authority)
    with pytest.raises(ManagementRequestInvalid, match="does not hold"):
        management.verify(replace(good, soap=good.soap.replace(b"emis", b"emis2")), trust, NOW)


def test_the_named_algorithm_is_the_one_that_is_checked(
    keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    good = submitted(asked(Kind.CLIENT_REG), keys, authority)
    assert good.owner is not None
    for name, reason in (
        (good.owner.algorithm.replace("512", "256"), "does not hold"),
        ("SHA1withRSA", "not known"),
        ("MD5withRSA", "not known"),
        ("SHA512withDSA", "does not go with"),
        ("", "not known"),
    ):
        with pytest.raises(ManagementRequestInvalid, match=reason):
            management.verify(replace(good, owner=replace(good.owner, algorithm=name)), trust, NOW)


def test_a_certificate_that_is_revoked_unknown_or_for_other_use_is_refused(
    keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    good = submitted(asked(Kind.ADDRESS_CHANGE), keys, authority)
    certificate = keys["owner"].certificate
    with pytest.raises(RevocationUnknown, match="revoked"):
        management.verify(replace(good, ocsp=authority.ocsp_response(certificate, NOW, NOW)), trust, NOW)
    with pytest.raises(ManagementRequestInvalid, match="OCSP"):
        management.verify(replace(good, ocsp=None), trust, NOW)
    stranger = TestAuthority.create("KG", NOW)
    pair = stranger.sign_certificate(SERVER.owner, "Edu", "node-edu", NOW)
    forged = replace(good, owner=management.sign(good.soap, pair.key, pair.certificate))
    with pytest.raises(CertificateInvalid, match="no approved"):
        management.verify(forged, trust, NOW)
    auth = management.sign(good.soap, keys["auth"].key, keys["auth"].certificate)
    with pytest.raises(CertificateInvalid, match="not for signing"):
        management.verify(replace(good, owner=auth), trust, NOW)


def test_an_auth_cert_reg_needs_the_key_of_the_certificate_in_it(
    keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    good = submitted(asked(Kind.AUTH_CERT_REG, certs.der(keys["auth"].certificate)), keys, authority)
    with pytest.raises(ManagementRequestInvalid, match="authentication key"):
        management.verify(replace(good, auth=None), trust, NOW)
    other = authority.auth_certificate(SERVER, "Edu", NOW)
    with pytest.raises(ManagementRequestInvalid, match="not the one in it"):
        management.verify(replace(good, auth=management.sign(good.soap, other.key, other.certificate)), trust, NOW)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"<x:id>id-1</x:id>", b"", "exactly one <id>"),
        (b"clientReg", b"clientDance", "no management service"),
        (b"<ns2:serviceCode>clientReg", b"<ns2:serviceCode>clientDeletion", "another service"),
        (b"<x:subsystemName>", b"<x:client/><x:subsystemName>", "each once"),
        (b"<ns2:serverCode>node-edu</ns2:serverCode>", b"", "exactly one serverCode"),
        (b"node-edu", b"..", "dot segment"),
        (b"node-edu", b"a/b", "U\\+002F|parts"),
        (b"<?xml", b"<!DOCTYPE a><?xml", "DOCTYPE|well-formed"),
        (b"s:Body", b"s:Bodi", "envelope"),
    ],
)
def test_a_malformed_request_is_refused_for_its_reason(old: bytes, new: bytes, reason: str) -> None:
    soap = management.build(asked(Kind.CLIENT_REG), OWNER, PROVIDER, "id-1")
    with pytest.raises(ManagementRequestInvalid, match=reason):
        management.parse(soap.replace(old, new))


def test_a_fault_is_told_with_its_reason() -> None:
    fault = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/><s:Body><s:Fault>'
        b"<faultcode>Server.X</faultcode><faultstring>No such server.</faultstring></s:Fault></s:Body></s:Envelope>"
    )
    with pytest.raises(ManagementRefused, match=r"\(Server.X\): No such server\."):
        management.parse_reply(fault)
    for data in (b"", b"<html/>", b"x" * 9):
        with pytest.raises(ManagementRefused, match="their answer"):
            management.parse_reply(data)


def test_a_fault_of_central_services_has_no_header_and_is_told_with_code_words_and_advice() -> None:
    fault = faults.Fault(
        "server.managementservice.invalid_request", "It does\x1b fit.", "membership.x: Mend it.", "", "1"
    )
    with pytest.raises(ManagementRefused) as told:
        management.parse_reply(faults.to_soap(fault))
    assert told.value.params["fault_code"] == "server.managementservice.invalid_request"
    assert told.value.text.endswith("(server.managementservice.invalid_request): It does? fit.")
    assert told.value.params["detail"] == "membership.x: Mend it."


def test_a_reply_without_a_number_or_a_fault_is_refused() -> None:
    body = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>'
    with pytest.raises(ManagementRefused, match="no request number"):
        management.parse_reply(body)


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_submission_is_refused_or_proves_the_same(
    authority: TestAuthority, trust: Trust, data: st.DataObject
) -> None:
    pair = _pair(authority)
    soap = management.build(asked(Kind.CLIENT_REG), OWNER, PROVIDER, "id-1")
    whole = Submission(
        soap, management.sign(soap, pair.key, pair.certificate), authority.ocsp_response(pair.certificate, NOW)
    )
    kind, body = management_wire.join(whole)
    at, cut = data.draw(st.integers(0, 3000)) % len(body), data.draw(st.integers(0, 20))
    damaged = body[:at] + data.draw(st.binary(max_size=5)) + body[at + cut :]
    try:
        proof = management.verify(management_wire.split(kind, damaged), trust, NOW)
    except ExchangeError:
        return
    assert proof.envelope.request == asked(Kind.CLIENT_REG)
    assert proof.signer == SERVER.owner


_PAIRS: dict[int, KeyPair] = {}


def _pair(authority: TestAuthority) -> KeyPair:
    return _PAIRS.setdefault(id(authority), authority.sign_certificate(SERVER.owner, "Edu", "node-edu", NOW))
