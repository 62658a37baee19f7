"""What a registered node asks to have changed: its own things only, signed by who must sign, in X-Road's form."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from kerege.cli.node_request import KINDS as TYPED
from kerege.exchange import certs, management, management_proof, management_read
from kerege.exchange.errors import ManagementRequestInvalid
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import ClientId, MemberId, ServerId, SubsystemId
from kerege.exchange.management import Kind, ManagementRequest
from kerege.exchange.pki import TestAuthority
from kerege.exchange.trust import Trust
from kerege.node.asking import changes, registration
from kerege.node.asking.changes import Wish
from kerege.node.asking.submitting import MANAGE_PATH, REGISTERED, Outcome, Papers
from kerege.node.config import load
from kerege.node.errors import CertificateRevoked, KeyNotReady, RequestNotMade
from kerege.node.keys.pairs import load_keys
from kerege.node.network import NetworkPlan, PlannedMember, PlannedServer, lay_out, shared_parameters

NOW = datetime.now(UTC).replace(microsecond=0)


def now() -> datetime:
    """When something is checked: an OCSP answer says when it was truly made, which may be long after these tests were read."""
    return datetime.now(UTC)


SCHEMA = Path(__file__).parents[4] / "shared/vectors/xroad/xsd/request.xsd"
EDU, POP, CIVIL = (MemberId("KG", "GOV", code) for code in ("70000003", "70000002", "70000001"))
SERVER = ServerId.parse(f"{EDU}/node-edu")
EMIS, POPULATION = SubsystemId.parse(f"{EDU}/emis"), SubsystemId.parse(f"{POP}/population")
PROVIDER = ClientId.parse("KG/GOV/70000000/management")
ELSEWHERE = SubsystemId.parse(f"{CIVIL}/acts")
PLAN = NetworkPlan(
    "KG",
    "http://127.0.0.1:1/internalconf",
    (PlannedMember(EDU, "Education", ("emis",)), PlannedMember(POP, "Population", ("population",))),
    (PlannedServer(SERVER, (EMIS, POPULATION), (), 1, 2, 3),),
)


@dataclass
class Desk:
    """A node of two members with its papers, and the configuration it is in."""

    papers: Papers
    shared: SharedParameters
    authority: TestAuthority

    def ask(self, kind: Kind, **said: object) -> management_proof.Submission:
        asked = changes.asked_of(Wish(kind, **said), self.papers, self.shared)  # type: ignore[arg-type]
        assert asked.path == MANAGE_PATH
        return asked.submission

    def refusal(self, kind: Kind, **said: object) -> str:
        with pytest.raises(RequestNotMade) as refused:
            self.ask(kind, **said)
        assert str(kind) in refused.value.text
        return str(refused.value.params["reason"])


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("changes")
    made = lay_out(folder, PLAN, NOW)
    authority = TestAuthority.load(made.authority)
    config = load(made.nodes["node-edu"].config)
    keys = load_keys(config)
    answers = {
        certs.der_sha256(one.certificate): authority.ocsp_response(one.certificate, NOW)
        for one in keys.signers.values()
    }
    shared = shared_parameters(folder, PLAN)
    shutil.rmtree(folder)  # files are not looked at again
    return Desk(Papers(config, keys, answers, PROVIDER), shared, authority)


@pytest.fixture
def desk(laid: Desk) -> Desk:
    return replace(laid)


def old_certificate(desk: Desk) -> bytes:
    """An authentication certificate that is registered for the server and not the one in use."""
    der = certs.der(desk.authority.auth_certificate(SERVER, "Education", NOW).certificate)
    (server,) = desk.shared.servers
    hashes = server.auth_cert_hashes | {certs.auth_hashes(der)[0]}
    desk.shared = replace(desk.shared, servers=(replace(server, auth_cert_hashes=hashes),))
    return der


def every_kind(desk: Desk) -> list[tuple[Kind, dict[str, object], ManagementRequest, MemberId]]:
    """Each kind with what is said, what is to be asked, and who is to sign."""
    der = old_certificate(desk)
    emis, population, owner = EMIS.client, POPULATION.client, ClientId.parse(str(POP))

    def asked(kind: Kind, **fields: object) -> ManagementRequest:
        return ManagementRequest(kind, SERVER, **fields)  # type: ignore[arg-type]

    name = "Билим & <EMIS>"
    return [
        (kind, said, asked(kind, **(fields or said)), signer)
        for kind, said, fields, signer in (
            (Kind.CLIENT_REG, {"client": population, "name": name}, None, POP),
            (Kind.CLIENT_DELETION, {"client": population}, None, EDU),
            (Kind.CLIENT_DISABLE, {"client": population}, None, POP),
            (Kind.CLIENT_ENABLE, {"client": emis}, None, EDU),
            (Kind.CLIENT_RENAME, {"client": emis, "name": name}, None, EDU),
            (Kind.AUTH_CERT_DELETION, {"certificate": der}, None, EDU),
            (Kind.OWNER_CHANGE, {"owner": POP}, {"client": owner}, POP),
            (Kind.ADDRESS_CHANGE, {"address": "node.edu.kg"}, None, EDU),
            (Kind.MAINTENANCE_ENABLE, {"message": "back at noon"}, None, EDU),
            (Kind.MAINTENANCE_DISABLE, {}, None, EDU),
        )
    ]


def test_every_kind_is_asked_for_and_verifies_with_the_member_that_must_sign_it(desk: Desk) -> None:
    kinds = every_kind(desk)
    assert {kind for kind, *_ in kinds} == set(changes.KINDS)
    for kind, said, request, signer in kinds:
        proof = management_proof.verify(desk.ask(kind, **said), Trust(desk.shared), now())
        assert proof.envelope.request == request
        assert (proof.envelope.sender, proof.envelope.provider) == (ClientId.parse(str(EDU)), PROVIDER)
        assert proof.signer == signer, kind


@pytest.mark.vectors
def test_every_kind_is_valid_against_x_roads_schema(desk: Desk) -> None:
    if not SCHEMA.exists():
        pytest.skip(f"not there: {SCHEMA}")
    schema = etree.XMLSchema(etree.parse(str(SCHEMA)))
    for kind, said, *_ in every_kind(desk):
        (element,) = etree.fromstring(desk.ask(kind, **said).soap).find("{*}Body")
        assert etree.QName(element).localname == kind
        schema.assertValid(element)


def test_the_command_knows_every_kind_by_x_roads_word() -> None:
    assert sorted(TYPED) == sorted(map(str, changes.KINDS))


def test_two_requests_for_the_same_are_two_messages(desk: Desk) -> None:
    assert desk.ask(Kind.MAINTENANCE_DISABLE).soap != desk.ask(Kind.MAINTENANCE_DISABLE).soap


def test_only_deletions_go_unsigned_and_only_when_that_is_wished(desk: Desk) -> None:
    for kind, said, request, _ in every_kind(desk):
        if kind not in management.PLAIN:
            assert "only deletions" in desk.refusal(kind, unsigned=True, **said)
            continue
        submission = desk.ask(kind, unsigned=True, **said)
        assert (submission.owner, submission.ocsp) == (None, None)
        proof = management_proof.verify(submission, Trust(desk.shared), now())
        assert (proof.signer, proof.envelope.request) == (None, request)


@pytest.mark.parametrize(
    "kind",
    [Kind.CLIENT_REG, Kind.CLIENT_DELETION, Kind.CLIENT_DISABLE, Kind.CLIENT_ENABLE, Kind.CLIENT_RENAME],
)
def test_nothing_is_asked_of_a_client_of_others(desk: Desk, kind: Kind) -> None:
    named = {"name": "x"} if kind is Kind.CLIENT_RENAME else {}
    assert "neither among clients" in desk.refusal(kind, client=ELSEWHERE.client, **named)


def test_a_client_that_is_registered_here_and_no_longer_in_the_file_can_be_taken_back(desk: Desk) -> None:
    (server,) = desk.shared.servers
    desk.shared = replace(desk.shared, servers=(replace(server, clients=(*server.clients, ELSEWHERE.client)),))
    proof = management_proof.verify(desk.ask(Kind.CLIENT_DELETION, client=ELSEWHERE.client), Trust(desk.shared), now())
    assert proof.signer == EDU
    with pytest.raises(KeyNotReady, match=str(CIVIL)):  # what its own member must sign is not for this node
        desk.ask(Kind.CLIENT_DISABLE, client=ELSEWHERE.client)


def test_a_client_that_is_disabled_is_still_this_nodes(desk: Desk) -> None:
    (server,) = desk.shared.servers  # the configuration no longer lists a disabled client
    desk.shared = replace(desk.shared, servers=(replace(server, clients=()),))
    assert desk.ask(Kind.CLIENT_ENABLE, client=EMIS.client).owner is not None


def test_a_certificate_must_be_one_registered_for_this_server(desk: Desk) -> None:
    der = certs.der(desk.authority.auth_certificate(SERVER, "Education", NOW).certificate)
    assert "not one registered" in desk.refusal(Kind.AUTH_CERT_DELETION, certificate=der)
    (server,) = desk.shared.servers
    others = replace(server, id=ServerId.parse(f"{POP}/node-two"), auth_cert_hashes=frozenset(certs.auth_hashes(der)))
    desk.shared = replace(desk.shared, servers=(server, others))
    assert "not one registered" in desk.refusal(Kind.AUTH_CERT_DELETION, certificate=der)


def test_the_certificate_in_use_is_let_go_only_when_that_is_said(desk: Desk) -> None:
    der = certs.der(desk.papers.keys.auth.certificate)
    assert "--in-use" in desk.refusal(Kind.AUTH_CERT_DELETION, certificate=der)
    assert desk.ask(Kind.AUTH_CERT_DELETION, certificate=der, in_use=True).owner is not None
    assert "clientDisable takes no --in-use" in desk.refusal(Kind.CLIENT_DISABLE, client=EMIS.client, in_use=True)


def test_a_new_owner_is_another_registered_member_whose_signing_key_is_here(desk: Desk) -> None:
    assert "owns KG/GOV/70000003/node-edu already" in desk.refusal(Kind.OWNER_CHANGE, owner=EDU)
    assert "no signing key of KG/GOV/70000001" in desk.refusal(Kind.OWNER_CHANGE, owner=CIVIL)
    desk.shared = replace(desk.shared, members=desk.shared.members[:1])
    assert "not registered as a member" in desk.refusal(Kind.OWNER_CHANGE, owner=POP)


@pytest.mark.parametrize("address", ["10.0.0.1", "2001:db8::1", "node", "node-1.edu.kg", "xn--e1afmkfd.kg"])
def test_an_address_is_a_host_name_or_an_ip_address(desk: Desk, address: str) -> None:
    assert management_read.parse(desk.ask(Kind.ADDRESS_CHANGE, address=address).soap).request.address == address


@pytest.mark.parametrize(
    "address", ["", "http://node.kg", "node.kg:5500", "node .kg", "-node.kg", "300.1.1.1", "a..kg", "a." * 127 + "kg"]
)
def test_what_is_no_address_is_not_sent(desk: Desk, address: str) -> None:
    assert "host name or an IP address" in desk.refusal(Kind.ADDRESS_CHANGE, address=address)


def test_each_kind_is_told_what_it_needs_and_nothing_else(desk: Desk) -> None:
    kinds = every_kind(desk)
    known: dict[str, object] = {name: value for _, said, *_ in kinds for name, value in said.items()}
    for kind, said, *_ in kinds:
        for name in set(known) - set(said):
            if (kind, name) != (Kind.CLIENT_REG, "name"):
                assert f"{kind} takes no --{name}" in desk.refusal(kind, **said, **{name: known[name]})
        for name in set(said) - {"message"}:
            if (kind, name) != (Kind.CLIENT_REG, "name"):
                rest = {key: value for key, value in said.items() if key != name}
                assert f"it needs --{name}" in desk.refusal(kind, **rest)
    assert management_read.parse(desk.ask(Kind.MAINTENANCE_ENABLE).soap).request.message is None
    assert "kerege node register" in desk.refusal(Kind.AUTH_CERT_REG)


@pytest.mark.parametrize("name", ["", "   ", "x" * 1025, "a\x00b"])
def test_a_text_that_a_request_cannot_hold_is_refused_here(desk: Desk, name: str) -> None:
    with pytest.raises(ManagementRequestInvalid):
        desk.ask(Kind.CLIENT_RENAME, client=EMIS.client, name=name)


def test_only_a_subsystem_has_a_name_to_change(desk: Desk) -> None:
    member = ClientId.parse(str(EDU))
    desk.papers = replace(desk.papers, config=replace(desk.papers.config, members={EDU: None}))  # type: ignore[dict-item]
    with pytest.raises(ManagementRequestInvalid, match="only a subsystem"):
        desk.ask(Kind.CLIENT_RENAME, client=member, name="x")


def test_without_an_ocsp_answer_or_with_a_revoked_certificate_nothing_is_signed(desk: Desk) -> None:
    papers = desk.papers
    desk.papers = replace(papers, answers={})
    with pytest.raises(KeyNotReady, match="no OCSP answer"):
        desk.ask(Kind.MAINTENANCE_DISABLE)
    der = papers.keys.signers[EDU].certificate.public_bytes(Encoding.DER)
    desk.papers = replace(papers, keys=replace(papers.keys, revoked={der: "the certificate is revoked since noon"}))
    with pytest.raises(CertificateRevoked, match="revoked since noon"):
        desk.ask(Kind.MAINTENANCE_DISABLE)
    assert desk.ask(Kind.CLIENT_DISABLE, client=POPULATION.client).owner is not None  # the other member's key signs on


def test_the_operator_is_told_what_is_left_to_do_where_something_is(desk: Desk) -> None:
    told = {kind: changes.afterwards(request) for kind, _, request, _ in every_kind(desk)}
    assert "server: KG/GOV/70000002/node-edu" in told[Kind.OWNER_CHANGE]
    assert "take KG/GOV/70000002/population out of clients" in told[Kind.CLIENT_DELETION]
    assert told[Kind.CLIENT_RENAME] == ""


def test_the_address_of_a_registration_is_checked_like_that_of_a_change(desk: Desk) -> None:
    with pytest.raises(RequestNotMade, match="without scheme and port"):
        list(registration.requests_of(desk.papers, "https://node.edu.example:5500"))


def test_what_is_registered_otherwise_is_told_with_the_way_to_change_it(desk: Desk) -> None:
    (server,) = desk.shared.servers
    there = replace(desk.shared, servers=(replace(server, address="localhost", clients=(POPULATION.client,)),))

    def told(kind: Kind, already: str = REGISTERED, **said: object) -> str:
        request = ManagementRequest(kind, SERVER, **said)  # type: ignore[arg-type]
        return registration.otherwise(Outcome(request, None, already=already), there)

    wish = {"address": "node.edu.example"}
    moved = f"{SERVER} is registered at localhost; to change it: kerege node request addressChange --address node.edu.example"
    assert told(Kind.AUTH_CERT_REG, **wish) == moved
    assert told(Kind.AUTH_CERT_REG, "asked for already", **wish) == ""
    assert told(Kind.AUTH_CERT_REG, address="LOCALHOST") == ""
    assert f"request clientEnable --client {EMIS}" in told(Kind.CLIENT_REG, client=EMIS.client)
    assert told(Kind.CLIENT_REG, client=POPULATION.client) == ""


@pytest.mark.parametrize(
    ("kind", "unsigned", "words"),
    [
        (Kind.CLIENT_DISABLE, False, "It comes into force with the next configuration, unless"),
        (Kind.MAINTENANCE_ENABLE, False, "It comes into force with the next configuration, unless"),
        (Kind.CLIENT_DELETION, False, "It comes into force with the next configuration, unless"),
        (Kind.CLIENT_DELETION, True, "It waits: an operator of the central services must approve what is not signed."),
        (Kind.CLIENT_REG, False, "It waits until an operator of the central services approves it, unless"),
        (Kind.OWNER_CHANGE, False, "It waits until an operator of the central services approves it, unless"),
        (Kind.AUTH_CERT_DELETION, False, "It waits until an operator of the central services approves it, unless"),
    ],
)
def test_of_a_request_that_was_taken_it_is_said_whether_an_operator_must_look(
    kind: Kind, unsigned: bool, words: str
) -> None:
    assert changes.comes_when(Wish(kind, unsigned=unsigned)).startswith(words)
