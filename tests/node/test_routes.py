"""Which servers are asked, in which order, and which are known to answer."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kerege.exchange.errors import MaintenanceMode, MemberUnknown, ServerUnknown
from kerege.exchange.globalconf import SecurityServer, SharedParameters
from kerege.exchange.ids import ClientId, DataServiceId, MemberId, ServerId
from kerege.node.conf.keeper import Picture
from kerege.node.config_types import Address, Peer
from kerege.node.message import REST, Asked
from kerege.node.routes import Routes

PROVIDER = ClientId.parse("KG/GOV/70000002/population")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")


def server(code: str, maintenance: str | None = None, *clients: ClientId) -> SecurityServer:
    found = SecurityServer(
        ServerId.parse(f"KG/GOV/70000002/{code}"), f"{code}.example", frozenset(), clients or (PROVIDER,)
    )
    return replace(found, maintenance=maintenance)


def picture(*servers: SecurityServer) -> Picture:
    shared = SharedParameters("KG", (), (), servers, ())
    return cast(Picture, SimpleNamespace(shared=shared))


def asked(named: ServerId | None = None, service: DataServiceId = SERVICE) -> Asked:
    return Asked(REST, ClientId.parse("KG/GOV/70000003/admission"), service, named, "m", "r", "GET", "/")


def routes(peers: dict[ServerId, Peer] | None = None) -> Routes:
    config = SimpleNamespace(peers=peers or {}, peer_port=5500, peer_ocsp_port=5577)
    return Routes(cast(Any, config))


def codes(found: list[SecurityServer]) -> list[str]:
    return [one.id.server for one in found]


def test_the_server_that_answered_last_is_asked_first() -> None:
    one, two, three = server("one"), server("two"), server("three")
    all_of = picture(one, two, three)
    known = routes()
    assert sorted(codes(known.servers(asked(), all_of))) == ["one", "three", "two"]
    known.answered(PROVIDER, two.id)
    found = known.servers(asked(), all_of)
    assert codes(found)[0] == "two"
    assert known.known(PROVIDER, found[0].id)


def test_a_server_that_answered_and_is_in_maintenance_makes_no_other_one_known() -> None:
    """The others are to be tried at once, as if none had ever answered."""
    one, two = server("one"), server("two", "upgrade")
    known = routes()
    known.answered(PROVIDER, two.id)
    found = known.servers(asked(), picture(one, two, server("three")))
    assert sorted(codes(found)) == ["one", "three"]
    assert not known.known(PROVIDER, found[0].id)


def test_a_named_server_is_the_only_one_and_must_serve_the_provider() -> None:
    one, two = server("one"), server("two")
    assert codes(routes().servers(asked(two.id), picture(one, two))) == ["two"]
    with pytest.raises(ServerUnknown):
        routes().servers(asked(ServerId.parse("KG/GOV/70000002/four")), picture(one, two))


def test_nobody_registered_and_everybody_in_maintenance_are_told_apart() -> None:
    with pytest.raises(MemberUnknown):
        routes().servers(asked(), picture())
    with pytest.raises(MaintenanceMode, match="until noon"):
        routes().servers(asked(), picture(server("one", "until noon")))
    with pytest.raises(MaintenanceMode, match="until noon"):
        routes().servers(asked(server("one").id), picture(server("one", "until noon"), server("two")))


def test_an_address_of_the_nodes_own_file_goes_before_the_configurations() -> None:
    one = server("one")
    assert routes().address(one) == Address("one.example", 5500)
    assert routes().ocsp_address(one) == Address("one.example", 5577)
    own = routes({one.id: Peer(Address("10.0.0.1", 1), None)})
    assert own.address(one) == Address("10.0.0.1", 1)
    assert own.ocsp_address(one) is None


def test_a_member_is_served_at_the_servers_it_owns() -> None:
    service = DataServiceId(MemberId.parse("KG/GOV/70000002").instance, "GOV", "70000002", None, "listMethods")
    assert codes(routes().servers(asked(service=service), picture(server("one")))) == ["one"]
