"""The register's picture, signed by the network's authority and put where nodes fetch it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kerege.exchange.ids import DataServiceId, ServerId, SubsystemId
from kerege.ground.text import Text
from kerege.membership import doings, queries
from kerege.membership.errors import PublishFailed
from kerege.membership.models import Publication
from kerege.membership.publish import DIRECTORY, GENERATIONS_KEPT, node_publisher
from kerege.node.network import NetworkPlan, PlannedMember, PlannedServer, lay_out

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
POPULATION = SubsystemId("KG", "GOV", "70000002", "population")
ADMISSION = SubsystemId("KG", "GOV", "70000003", "admission")
NODE = ServerId("KG", "GOV", "70000003", "node-edu")
NAME = Text(ky="Мүчө", ru="Участник", en="Member")
PLAN = NetworkPlan(
    "KG",
    "http://127.0.0.1:1/internalconf",
    (
        PlannedMember(POPULATION.member, "Population", ("population",)),
        PlannedMember(ADMISSION.member, "Education", ("admission",)),
    ),
    (PlannedServer(NODE, (ADMISSION, POPULATION), (), 1, 2, 3),),
)


def register() -> None:
    for subsystem in (POPULATION, ADMISSION):
        doings.register_member(subsystem.member, NAME, NOW)
        doings.register_subsystem(subsystem, NOW)
    doings.register_server(NODE, "127.0.0.1", NOW)
    for subsystem in (POPULATION, ADMISSION):
        doings.host_client(NODE, subsystem)


@pytest.mark.django_db
def test_what_is_published_is_signed_and_holds_the_registers_rules(ledger: Any, tmp_path: Path) -> None:
    register()
    persons = DataServiceId("KG", "GOV", "70000002", "population", "persons")
    doings.grant_right(ADMISSION, persons, NOW + timedelta(days=9), ledger=ledger, now=NOW)
    lay_out(tmp_path / "network", PLAN, NOW)
    publisher = node_publisher(tmp_path / "network", PLAN)
    served = tmp_path / "served"
    for minutes in range(GENERATIONS_KEPT + 2):
        doings.publish_configuration(served, NOW + timedelta(minutes=minutes), publisher, ledger)
    assert (served / DIRECTORY).read_bytes()
    generations = list(served.glob("V*/*"))
    assert len(generations) == GENERATIONS_KEPT
    rules = [f for f in served.rglob("*") if f.is_file() and b'"bindings"' in f.read_bytes()]
    assert rules
    assert all(str(persons).encode() in f.read_bytes() for f in rules)
    assert not list(served.rglob(".*"))
    assert queries.network_view(NOW).version == 1


@pytest.mark.django_db
def test_a_plan_with_a_stranger_in_it_is_not_signed(ledger: Any, tmp_path: Path) -> None:
    doings.register_member(POPULATION.member, NAME, NOW)
    lay_out(tmp_path / "network", PLAN, NOW)
    with pytest.raises(PublishFailed, match="KG/GOV/70000002/population"):
        doings.publish_configuration(tmp_path / "served", NOW, node_publisher(tmp_path / "network", PLAN), ledger)
    assert not (tmp_path / "served").exists()
    assert not Publication.objects.exists()
