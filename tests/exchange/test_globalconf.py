import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from kerege.exchange import certs, confdir, confwrite, globalconf
from kerege.exchange.errors import ConfigurationMalformed
from kerege.exchange.globalconf import (
    AcmeServer,
    ApprovedAuthority,
    Authority,
    GlobalGroup,
    Member,
    OcspResponder,
    PrivateParameters,
    SecurityServer,
    SharedParameters,
    Subsystem,
    TimestampAuthority,
)
from kerege.exchange.ids import ClientId, MemberId, ServerId, SubsystemId
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


def full(shared: SharedParameters, authority: TestAuthority) -> SharedParameters:
    """`shared` with everything any version can say."""
    ca = authority.ca.certificate
    paid = Authority(ca, (OcspResponder("http://127.0.0.1:1/a&b", None, "PAID"), OcspResponder("http://x", ca, "FREE")))
    acme = AcmeServer("https://acme/directory", "127.0.0.1,127.0.0.2", "auth", "sign")
    approved = ApprovedAuthority("CA <1>", paid, "a.b.C", (paid,), True, acme, "DER")
    hashes = frozenset(certs.auth_hashes(ca))
    return replace(
        shared,
        authorities=(approved, *shared.authorities),
        timestamping=(TimestampAuthority("TSA", "http://127.0.0.1:2/tsa", ca, "PAID"),),
        servers=tuple(replace(s, auth_cert_hashes=hashes, maintenance="") for s in shared.servers),
    )


@pytest.mark.vectors
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_every_version_written_is_valid_against_its_schema_and_reads_back(
    shared: SharedParameters, authority: TestAuthority, vectors: Path, version: int
) -> None:
    everything = full(shared, authority)
    data = confwrite.build_shared(everything, version)
    schema_of(vectors, f"v{version}/shared-parameters.xsd").assertValid(etree.fromstring(data))
    found = globalconf.parse_shared(data)
    assert found == confwrite.at_version(everything, version)
    assert (found == replace(everything, servers=found.servers)) == (version == 6)


def test_authentication_certificates_are_named_by_sha_1_in_version_2_and_by_sha_256_later(
    shared: SharedParameters, authority: TestAuthority
) -> None:
    new, old = certs.auth_hashes(authority.ca.certificate)
    everything = full(shared, authority)
    for version in globalconf.VERSIONS:
        found = globalconf.parse_shared(confwrite.build_shared(everything, version))
        assert found.servers[0].auth_cert_hashes == {old if version == 2 else new}
    with pytest.raises(ConfigurationMalformed, match="no SHA-1 hash"):
        confwrite.build_shared(shared, 2)


@pytest.mark.parametrize("version", [0, 1, 7])
def test_a_version_that_does_not_exist_is_not_written(shared: SharedParameters, version: int) -> None:
    with pytest.raises(ConfigurationMalformed, match="version"):
        confwrite.build_shared(shared, version)


@pytest.mark.vectors
@pytest.mark.parametrize("version", [2, 3])
def test_private_parameters_are_valid_and_read_back_with_their_partners(
    authority: TestAuthority, vectors: Path, version: int
) -> None:
    ca = authority.ca.certificate
    anchor = globalconf.Anchor("EE", (("http://a/externalconf", ca), ("https://a/externalconf?x=1&y=2", ca)))
    private = PrivateParameters(
        "KG", ClientId.parse("KG/GOV/70000000/management"), "https://cs:4001/", 61, ca, (anchor, anchor)
    )
    data = confwrite.build_private(private)
    schema_of(vectors, f"v{version}/private-parameters.xsd").assertValid(etree.fromstring(data))
    assert globalconf.parse_private(data) == private


@pytest.mark.vectors
def test_optional_parts_are_valid_and_read_back(vectors: Path) -> None:
    monitor = ClientId.parse("KG/GOV/70000000/monitoring")
    for data, schema, parse, expected in (
        (confwrite.build_monitoring(monitor), "monitoring-conf", globalconf.parse_monitoring, monitor),
        (confwrite.build_monitoring(None), "monitoring-conf", globalconf.parse_monitoring, None),
        (confwrite.build_next_update(False), "ocsp-nextupdate-conf", globalconf.parse_next_update, False),
        (confwrite.build_fetch_interval(120), "ocsp-fetchinterval-conf", globalconf.parse_fetch_interval, 120),
    ):
        schema_of(vectors, f"../{schema}.xsd").assertValid(etree.fromstring(data))
        assert parse(data) == expected


@pytest.mark.vectors
def test_x_roads_optional_parts_are_read_and_its_invalid_ones_refused(vectors: Path) -> None:
    folder = vectors / "globalconf"
    assert globalconf.parse_next_update((folder / "valid-nextupdate-params.xml").read_bytes()) is False
    assert globalconf.parse_fetch_interval((folder / "valid-fetchinterval-params.xml").read_bytes()) > 0
    assert globalconf.parse_monitoring((folder / "valid-monitoring-params.xml").read_bytes()) is not None
    for name, parse in (
        ("nextupdate", globalconf.parse_next_update),
        ("fetchinterval", globalconf.parse_fetch_interval),
        ("monitoring", globalconf.parse_monitoring),
    ):
        for kind in ("empty", "invalid")[name == "monitoring" :]:  # monitoring by nobody is allowed
            with pytest.raises(ConfigurationMalformed):
                parse((folder / f"{kind}-{name}-params.xml").read_bytes())


_TEXT = (
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=12).map(str.strip).filter(bool)
)
_CODE = (
    st.text("ABCabc019'()+,-.=? &<>\"ыү", min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda t: t not in {"", ".", ".."})
)


@st.composite
def networks(draw: st.DrawFn) -> SharedParameters:
    classes = draw(st.dictionaries(_CODE, _TEXT, min_size=1, max_size=3))
    members = []
    for code in draw(st.lists(_CODE, unique=True, max_size=4)):
        subsystems = tuple(
            Subsystem(sub, draw(st.none() | _TEXT)) for sub in draw(st.lists(_CODE, unique=True, max_size=3))
        )
        members.append(Member(MemberId("KG", draw(st.sampled_from(sorted(classes))), code), draw(_TEXT), subsystems))
    clients = [
        ClientId(m.id.instance, m.id.member_class, m.id.member_code, code)
        for m in members
        for code in (None, *(s.code for s in m.subsystems))
    ]
    servers = tuple(
        SecurityServer(
            ServerId("KG", m.id.member_class, m.id.member_code, draw(_CODE)),
            draw(st.none() | _TEXT),
            frozenset(certs.auth_hashes(draw(st.binary(max_size=4)))),
            tuple(draw(st.lists(st.sampled_from(clients), unique=True, max_size=4))),
            draw(st.none() | st.just("") | _TEXT),
        )
        for m in members[:2]
    )
    groups = tuple(
        GlobalGroup(
            code, draw(_TEXT), frozenset(draw(st.lists(st.sampled_from(clients), max_size=3)) if clients else ())
        )
        for code in draw(st.lists(_CODE, unique=True, max_size=2))
    )
    return SharedParameters(
        "KG", (), tuple(members), servers, groups, (), tuple(classes.items()), draw(st.integers(0, 10**9))
    )


@given(networks(), st.sampled_from(globalconf.VERSIONS))
@settings(max_examples=60, deadline=None)
def test_any_network_written_in_any_version_reads_back_equal(network: SharedParameters, version: int) -> None:
    assert globalconf.parse_shared(confwrite.build_shared(network, version)) == confwrite.at_version(network, version)


@given(st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_parameters_are_read_or_refused_and_never_anything_else(
    shared: SharedParameters, authority: TestAuthority, data: st.DataObject
) -> None:
    whole = confwrite.build_shared(full(shared, authority))
    at = data.draw(st.integers(0, 20_000)) % len(whole)
    cut = data.draw(st.integers(0, 40))
    damaged = (
        whole[:at]
        + data.draw(st.binary(max_size=6) | st.sampled_from([b"<", b">", b"&#0;", b"&x;", b"/"]))
        + whole[at + cut :]
    )
    with contextlib.suppress(ConfigurationMalformed):
        assert globalconf.parse_shared(damaged).instance


@pytest.mark.vectors
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_every_version_of_x_roads_parameters_is_read(vectors: Path, version: int) -> None:
    found = globalconf.parse_shared(
        (vectors / f"globalconf/dirs/globalconf_good_v{version}/EE/shared-params.xml").read_bytes()
    )
    assert found.instance == "EE"
    assert found.members
    assert found.servers
    found = replace(found, servers=tuple(replace(s, auth_cert_hashes=frozenset()) for s in found.servers))
    again = globalconf.parse_shared(confwrite.build_shared(found, version))
    assert again == confwrite.at_version(found, version)


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
    assert {confdir.SHARED, confdir.PRIVATE, confdir.RULES, confdir.MONITORING} <= set(confdir.FILE_NAMES)
