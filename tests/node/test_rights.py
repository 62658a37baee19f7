"""Rights of the node's own file beside those of the signed configuration."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kerege.cli.network_rights import grant
from kerege.exchange.errors import AccessDenied
from kerege.exchange.globalconf import GlobalGroup, SharedParameters
from kerege.exchange.ids import ClientId, DataServiceId, ServerId, SubsystemId
from kerege.exchange.rules import Right, Rules
from kerege.node.conf.keeper import Picture
from kerege.node.config_types import LocalGroup, LocalRight, Service
from kerege.node.message import REST, Asked
from kerege.node.rights import Rights

NOW = datetime.now(UTC)
ADMISSION, EMIS = ClientId.parse("KG/GOV/70000003/admission"), ClientId.parse("KG/GOV/70000003/emis")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
SERVER = ServerId.parse("KG/GOV/70000002/node-reg")


def picture(*rights: Right, groups: tuple[GlobalGroup, ...] = ()) -> Picture:
    shared = SharedParameters("KG", (), (), (), groups)
    return cast(Picture, SimpleNamespace(shared=shared, rules=Rules("KG", 1, rights=rights)))


def own(*rights: LocalRight, members: frozenset[ClientId] = frozenset()) -> Rights:
    service = Service(SERVICE, "http://127.0.0.1/", 1.0, rights=rights)
    groups = {"CLERKS": LocalGroup("CLERKS", "clerks", members)}
    return Rights(cast(Any, SimpleNamespace(server=SERVER, services={SERVICE: service}, local_groups=groups)))


def may(rights: Rights, seen: Picture, client: ClientId = ADMISSION, method: str = "GET", path: str = "/x") -> bool:
    asked = Asked(REST, client, SERVICE, None, "m", "r", method, path)
    try:
        rights.check(asked, seen, NOW)
    except AccessDenied:
        return False
    return True


def test_a_refusal_names_the_server_that_refused_and_both_places_where_a_right_is_granted() -> None:
    with pytest.raises(AccessDenied) as refused:
        own().check(Asked(REST, ADMISSION, SERVICE, None, "m", "r", "GET", "/x"), picture(), NOW)
    assert f"the server {SERVER} refused" in refused.value.text
    assert f"services.{SERVICE}.rights in the file of the node {SERVER}" in refused.value.next_step
    assert f"kerege network grant {ADMISSION} {SERVICE} --until DAY --by NAME" in refused.value.next_step


def next_step(client: ClientId, *rights: LocalRight, method: str = "GET") -> str:
    with pytest.raises(AccessDenied) as refused:
        own(*rights).check(Asked(REST, client, SERVICE, None, "m", "r", method, "/x/21201199001234"), picture(), NOW)
    return refused.value.next_step


def test_the_command_that_grants_the_right_can_be_typed_as_the_refusal_says_it() -> None:
    for step in (
        next_step(ADMISSION),
        next_step(ADMISSION, LocalRight(str(ADMISSION), "GET", "/**"), method="POST"),
        next_step(ADMISSION, LocalRight(str(ADMISSION), "GET", "/y")),
    ):
        typed = step.partition("kerege network grant ")[2].removesuffix(".").replace(" DAY ", " 2027-12-31 ")
        grant.make_context("grant", typed.split())  # raises what is missing or unknown
        SubsystemId.parse(typed.split()[0])
        assert "21201199001234" not in step


def test_a_right_for_another_method_or_other_paths_is_told_with_what_is_missing() -> None:
    method = next_step(ADMISSION, LocalRight(str(ADMISSION), "GET", "/**"), method="POST")
    assert f"grant {ADMISSION} {SERVICE} --method POST --until DAY" in method
    assert "grants a right for the method POST" in method
    assert f"grant {ADMISSION} {SERVICE} --path PATH --until DAY" in next_step(
        ADMISSION, LocalRight(str(ADMISSION), "GET", "/y")
    )


def test_to_a_member_which_can_hold_no_right_no_grant_is_named() -> None:
    step = next_step(ClientId.parse("KG/GOV/70000003"))
    assert "network grant" not in step
    assert "in the name of one of its subsystems" in step


def test_without_a_right_nobody_may() -> None:
    assert not may(own(), picture())


def test_a_right_of_the_file_counts_beside_those_of_the_configuration() -> None:
    rights = own(LocalRight(str(EMIS)))
    signed = picture(Right("r", SubsystemId.parse(str(ADMISSION)), SERVICE, "*", "/**", NOW + timedelta(days=1)))
    assert may(rights, signed)
    assert may(rights, signed, EMIS)
    assert not may(own(), signed, EMIS)


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("GET", "/a/b", True), ("POST", "/a/b", False), ("GET", "/a", False), ("GET", "/a/b/c", False),
])  # fmt: skip
def test_a_right_may_be_for_a_method_and_paths(method: str, path: str, allowed: bool) -> None:
    assert may(own(LocalRight(str(ADMISSION), "GET", "/a/*")), picture(), method=method, path=path) is allowed


def test_a_local_group_is_no_global_one_of_the_same_code_and_the_other_way_round() -> None:
    everyone = (GlobalGroup("CLERKS", "global", frozenset({EMIS})),)
    local = own(LocalRight("local:CLERKS"), members=frozenset({ADMISSION}))
    assert may(local, picture(groups=everyone))
    assert not may(local, picture(groups=everyone), EMIS)
    of_all = own(LocalRight("group:CLERKS"), members=frozenset({ADMISSION}))
    assert may(of_all, picture(groups=everyone), EMIS)
    assert not may(of_all, picture(groups=everyone))


def test_another_configuration_is_merged_anew() -> None:
    rights = own(LocalRight(str(EMIS)))
    signed = picture(Right("r", SubsystemId.parse(str(ADMISSION)), SERVICE, "*", "/**", NOW + timedelta(days=1)))
    assert may(rights, signed)
    assert not may(rights, picture())
    assert may(rights, picture(), EMIS)
