"""Several instances at once: each certificate is held against its own instance's authorities, each question against its own list."""

import hashlib
from dataclasses import replace

import pytest

from kerege.exchange import certs
from kerege.exchange.errors import CertificateInvalid, PartnerUnavailable, SignerWrong
from kerege.exchange.federation import FederatedParameters, FederatedTrust
from kerege.exchange.globalconf import GlobalGroup, Member, SecurityServer, SharedParameters, Subsystem
from kerege.exchange.ids import ClientId, MemberId, ServerId, SubsystemId
from kerege.exchange.pki import KeyPair, TestAuthority
from kerege.exchange.xades import Signer

from .conftest import NOW

EE = MemberId("EE", "GOV", "1")
NODE = ServerId("EE", "GOV", "1", "node")
SUB = SubsystemId("EE", "GOV", "1", "sub")


@pytest.fixture(scope="module")
def foreign() -> TestAuthority:
    return TestAuthority.create("EE", NOW)


@pytest.fixture(scope="module")
def auth(foreign: TestAuthority) -> KeyPair:
    return foreign.auth_certificate(NODE, "EE", NOW)


@pytest.fixture(scope="module")
def partner(foreign: TestAuthority, auth: KeyPair) -> SharedParameters:
    hashes = frozenset(certs.auth_hashes(auth.certificate)[:1])
    return SharedParameters(
        "EE",
        (foreign.approved("http://127.0.0.1:1/ocsp"),),
        (Member(EE, "One", (Subsystem("sub"),)),),
        (SecurityServer(NODE, "ee.example", hashes, (SUB.client,)),),
        groups=(GlobalGroup("theirs", "", frozenset({ClientId.parse("KG/GOV/70000003/emis")})),),
        ocsp_freshness_seconds=1,
    )


@pytest.fixture(scope="module")
def both(shared: SharedParameters, partner: SharedParameters) -> FederatedParameters:
    return FederatedParameters.of(shared, {"EE": partner}, {"LV": "it hangs"})


def test_each_instance_answers_for_its_own(both: FederatedParameters, partner: SharedParameters) -> None:
    assert both.servers_of(SUB) == partner.servers
    assert both.is_registered(SUB.client)
    assert both.member(EE) == partner.members[0]
    assert both.is_registered(ClientId.parse("KG/GOV/70000003/emis"))
    assert both.server_by_auth_hash(tuple(partner.servers[0].auth_cert_hashes)) == partner.servers[0]
    assert not both.is_registered(ClientId.parse("FI/GOV/1"))
    assert both.servers_of(SubsystemId.parse("FI/GOV/1/x")) == ()
    assert both.member(MemberId("FI", "GOV", "1")) is None


def test_a_partners_groups_count_nothing_here(both: FederatedParameters) -> None:
    assert both.groups_of(ClientId.parse("KG/GOV/70000003/emis")) == {"schools"}


def test_a_closed_partner_says_why(both: FederatedParameters) -> None:
    for ask in (
        lambda: both.servers_of(SubsystemId.parse("LV/GOV/1/x")),
        lambda: both.is_registered(ClientId.parse("LV/GOV/1")),
        lambda: both.member(MemberId("LV", "GOV", "1")),
    ):
        with pytest.raises(PartnerUnavailable, match="LV: it hangs"):
            ask()


def signed(authority: TestAuthority, member: MemberId) -> tuple[bytes, bytes]:
    pair = authority.sign_certificate(member, "One", "node", NOW)
    signer = Signer(pair.key, pair.certificate)
    signer.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    message = b"message"
    return signer.sign(hashlib.sha512(message).digest(), (), NOW).xml, message


def test_a_partners_member_is_believed_by_its_own_authority(both: FederatedParameters, foreign: TestAuthority) -> None:
    trust = FederatedTrust.of(both, {})
    xml, message = signed(foreign, EE)
    trust.check_signature(xml, message, (), None, EE, NOW)
    with pytest.raises(SignerWrong):
        trust.check_signature(xml, message, (), None, MemberId("EE", "GOV", "2"), NOW)


def test_a_partners_authority_never_vouches_for_a_member_here(
    both: FederatedParameters, foreign: TestAuthority
) -> None:
    edu = MemberId("KG", "GOV", "70000003")
    xml, message = signed(foreign, edu)
    with pytest.raises(CertificateInvalid):
        FederatedTrust.of(both, {}).check_signature(xml, message, (), None, edu, NOW)


def test_an_authority_here_never_vouches_for_a_partners_member(
    both: FederatedParameters, authority: TestAuthority
) -> None:
    xml, message = signed(authority, EE)
    with pytest.raises(CertificateInvalid):
        FederatedTrust.of(both, {}).check_signature(xml, message, (), None, EE, NOW)


def test_a_partners_server_is_held_against_its_own_authorities_and_our_freshness(
    both: FederatedParameters, foreign: TestAuthority, auth: KeyPair
) -> None:
    trust = FederatedTrust.of(both, {})
    answer = foreign.ocsp_response(auth.certificate, NOW)
    trust.check_auth(auth.certificate, (answer,), NOW)
    assert trust.trusts["EE"].freshness == trust.freshness
    stranger = foreign.auth_certificate(NODE, "EE", NOW)  # of the partner's authority, but no server's
    with pytest.raises(CertificateInvalid):
        trust.check_auth(stranger.certificate, (foreign.ocsp_response(stranger.certificate, NOW),), NOW)


def test_what_was_checked_is_kept_as_long_as_nothing_changed(
    both: FederatedParameters, shared: SharedParameters, partner: SharedParameters
) -> None:
    first = FederatedTrust.of(both, {})
    again = FederatedTrust.of(both, first.trusts)
    assert again.trusts["KG"] is first.trusts["KG"]
    assert again.trusts["EE"] is first.trusts["EE"]
    changed = FederatedParameters.of(shared, {"EE": replace(partner, members=())}, {})
    third = FederatedTrust.of(changed, first.trusts)
    assert third.trusts["KG"] is first.trusts["KG"]
    assert third.trusts["EE"] is not first.trusts["EE"]
    without = FederatedTrust.of(both, first.trusts, verify_next_update=False)
    assert not without.trusts["EE"].verify_next_update
    assert not without.verify_next_update
