"""A server, its keys and a request of every kind; shared by the tests of management requests."""

import pytest

from kerege.exchange import management, management_proof
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import ClientId, MemberId, ServerId
from kerege.exchange.management import Kind, ManagementRequest
from kerege.exchange.management_proof import Submission
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
        auth = management_proof.sign(soap, keys["auth"].key, keys["auth"].certificate)
    return Submission(
        soap,
        management_proof.sign(soap, pair.key, pair.certificate),
        authority.ocsp_response(pair.certificate, NOW),
        auth,
    )
