from pathlib import Path

import pytest
from lxml import etree

from kerege.exchange import confdir, confwrite, globalconf
from kerege.exchange.errors import ConfigurationMalformed
from kerege.exchange.globalconf import PrivateParameters, SharedParameters
from kerege.exchange.ids import ClientId, SubsystemId
from kerege.exchange.pki import TestAuthority


def test_what_is_written_reads_back_equal(shared: SharedParameters) -> None:
    assert globalconf.parse_shared(confwrite.build_shared(shared)) == shared


def test_questions_are_answered_from_the_parameters(shared: SharedParameters) -> None:
    provider = SubsystemId.parse("KG/GOV/70000002/population")
    assert [s.id.server for s in shared.servers_of(provider)] == ["node-reg"]
    assert shared.servers_of(SubsystemId.parse("KG/GOV/70000002/other")) == ()
    assert shared.is_registered(ClientId.parse("KG/GOV/70000003/admission"))
    assert not shared.is_registered(ClientId.parse("KG/GOV/70000003/other"))
    assert shared.groups_of(ClientId.parse("KG/GOV/70000003/emis")) == {"schools"}
    server = shared.server_by_auth_hash(("nothing", "b3RoZXI="))
    assert server is not None
    assert server.maintenance == "back at noon"


def schema_of(vectors: Path, name: str) -> etree.XMLSchema:
    """X-Road's schemas name their identifiers' schema by a place of their own; the vectors keep it elsewhere."""

    class Resolver(etree.Resolver):
        def resolve(self, url: str, public: str, context: object) -> object:
            if url.endswith("identifiers.xsd"):
                return self.resolve_filename(str(vectors / "xsd/identifiers.xsd"), context)
            return None

    parser = etree.XMLParser()
    parser.resolvers.add(Resolver())
    return etree.XMLSchema(etree.parse(str(vectors / "globalconf/xsd/globalconf" / name), parser))


@pytest.mark.vectors
def test_what_is_written_is_valid_against_x_roads_schema(
    shared: SharedParameters, authority: TestAuthority, vectors: Path
) -> None:
    schema = schema_of(vectors, "v6/shared-parameters.xsd")
    schema.assertValid(etree.fromstring(confwrite.build_shared(shared)))
    private = PrivateParameters("KG", SubsystemId.parse("KG/GOV/70000000/management"), "https://cs:4001/")
    data = confwrite.build_private(private, authority.ca.certificate)
    schema = schema_of(vectors, "v3/private-parameters.xsd")
    schema.assertValid(etree.fromstring(data))
    assert globalconf.parse_private(data) == private


@pytest.mark.vectors
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_every_version_of_x_roads_parameters_is_read(vectors: Path, version: int) -> None:
    found = globalconf.parse_shared(
        (vectors / f"globalconf/dirs/globalconf_good_v{version}/EE/shared-params.xml").read_bytes()
    )
    assert found.instance == "EE"
    assert found.members
    assert found.servers
    again = globalconf.parse_shared(confwrite.build_shared(found))
    assert [s.clients for s in again.servers] == [s.clients for s in found.servers]


@pytest.mark.vectors
@pytest.mark.parametrize("version", [3, 4, 5, 6])
def test_real_parameters_name_members_servers_and_authorities(vectors: Path, version: int) -> None:
    (file,) = (vectors / f"globalconf/signed/V{version}").glob("*/shared-params.xml")
    found = globalconf.parse_shared(file.read_bytes())
    assert found.instance == ("CS" if version == 3 else "DEV")
    for server in found.servers:
        assert found.member(server.id.owner) is not None
        assert len(server.auth_cert_hashes) == 1
        assert found.server_by_auth_hash(tuple(server.auth_cert_hashes)) is not None
        for client in server.clients:
            assert server in found.servers_of(SubsystemId.parse(str(client)))
    assert found.authorities[0].top.responders[0].url.startswith("http://")
    assert found.ocsp_freshness_seconds == 3600


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<conf>",
        b"<other/>",
        b"<conf/>",
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><conf>&b;</conf>',
        b"<conf><instanceIdentifier>KG</instanceIdentifier><approvedCA/></conf>",
        b"<conf><instanceIdentifier>KG</instanceIdentifier><securityServer><owner>id9</owner></securityServer></conf>",
        b"<conf><instanceIdentifier>KG</instanceIdentifier></conf>",
    ],
)
def test_half_a_configuration_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationMalformed):
        globalconf.parse_shared(data)


@pytest.mark.vectors
def test_a_malformed_vector_is_refused(vectors: Path) -> None:
    with pytest.raises(ConfigurationMalformed):
        globalconf.parse_shared((vectors / "globalconf/dirs/globalconf_malformed/foo/shared-params.xml").read_bytes())


def test_the_identifiers_of_parts_have_file_names() -> None:
    assert set(confdir.FILE_NAMES) == {confdir.SHARED, confdir.PRIVATE, confdir.RULES}
