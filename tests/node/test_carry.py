"""Whose calls a node carries: its own clients', as the configuration in force has them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kerege.exchange.errors import ClientDisabled, ClientUnknown
from kerege.exchange.faults import CLIENT_PROXY, fault_of
from kerege.exchange.globalconf import SecurityServer
from kerege.exchange.ids import ServerId, SubsystemId
from kerege.node.carry import check_client
from kerege.node.rights import not_at

EMIS = SubsystemId.parse("KG/GOV/70000003/emis")
SERVER = ServerId.parse("KG/GOV/70000003/node-edu")


def core(*clients: SubsystemId) -> Any:
    return SimpleNamespace(config=SimpleNamespace(server=SERVER, clients=clients, members={}))


def picture(*at_server: SubsystemId, known: bool = True) -> Any:
    server = SecurityServer(SERVER, None, frozenset(), tuple(one.client for one in at_server))
    return SimpleNamespace(shared=SimpleNamespace(servers=(server,), is_registered=lambda client: known))


def test_a_client_that_its_own_server_no_longer_has_is_refused_before_anything_is_sent() -> None:
    assert check_client(core(EMIS), EMIS.client, picture(EMIS)) == EMIS
    with pytest.raises(ClientDisabled) as refused:
        check_client(core(EMIS), EMIS.client, picture())
    assert "disabled at the central services" in refused.value.text
    assert f"clientEnable --client {EMIS}" in refused.value.next_step
    assert fault_of(refused.value, CLIENT_PROXY).code == "server.clientproxy.unknown_member"


def test_a_client_that_the_file_does_not_name_is_told_that_the_file_may_not_have_been_read_since() -> None:
    with pytest.raises(ClientUnknown) as refused:
        check_client(core(), EMIS.client, picture(EMIS))
    assert "kill -HUP" in refused.value.next_step


def test_a_provider_does_not_blame_the_certificate_for_a_client_that_is_disabled() -> None:
    server = picture().shared.servers[0]
    refused = not_at(EMIS.client, server, picture())
    assert "disabled at the central services" in refused.text
    assert "certificate" not in refused.next_step
    assert "disabled" not in not_at(EMIS.client, server, picture(known=False)).text
