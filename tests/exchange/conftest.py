"""What the exchange tests share: the vectors' folder, and a small test authority made once."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kerege.exchange.globalconf import GlobalGroup, Member, SecurityServer, SharedParameters, Source, Subsystem
from kerege.exchange.ids import ClientId, MemberId, ServerId
from kerege.exchange.pki import TestAuthority

sys.path.insert(0, str(Path(__file__).parent))  # for soap_samples
VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "xroad"
# An OCSP answer is produced at the real moment, which must not be after NOW however long the tests before took.
NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)


@pytest.fixture(scope="session")
def vectors() -> Path:
    if not VECTORS.is_dir():
        pytest.skip(f"not there: {VECTORS}")
    return VECTORS


@pytest.fixture(scope="session")
def authority() -> TestAuthority:
    return TestAuthority.create("KG", NOW)


@pytest.fixture(scope="session")
def shared(authority: TestAuthority) -> SharedParameters:
    edu, pop = MemberId("KG", "GOV", "70000003"), MemberId("KG", "GOV", "70000002")
    return SharedParameters(
        instance="KG",
        authorities=(authority.approved("http://127.0.0.1:1/ocsp"),),
        members=(
            Member(edu, "Билим & илим <министрлиги>", (Subsystem("emis", "EMIS"), Subsystem("admission", "admission"))),
            Member(pop, "Population", (Subsystem("population", "population"),)),
        ),
        servers=(
            SecurityServer(
                ServerId.parse("KG/GOV/70000003/node-edu"),
                "127.0.0.1",
                frozenset({"aGFzaA=="}),
                (ClientId.parse("KG/GOV/70000003/emis"), ClientId.parse("KG/GOV/70000003/admission")),
            ),
            SecurityServer(
                ServerId.parse("KG/GOV/70000002/node-reg"),
                "127.0.0.2",
                frozenset({"b3RoZXI="}),
                (ClientId.parse("KG/GOV/70000002/population"),),
                maintenance="back at noon",
            ),
        ),
        groups=(GlobalGroup("schools", "All schools", frozenset({ClientId.parse("KG/GOV/70000003/emis")})),),
        member_classes=(("GOV", "Government"),),
        ocsp_freshness_seconds=1800,
        sources=(Source("cs", (authority.configuration.certificate,)),),
    )
