"""The demo's network: five members, two nodes, who may call what, and which mapping each answer goes through.

Registered in `membership`, laid out by `node.network`, published as signed configuration the nodes fetch from the hub. Rights are
exactly what the admission service and the contract-test runner need; everything else is denied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import kerege.country
from kerege.exchange.ids import DataServiceId, MemberId, ServerId, SubsystemId
from kerege.ground import settings
from kerege.ground.text import Text
from kerege.identity.receipts import LedgerWriter
from kerege.membership import doings
from kerege.node.network import (
    NetworkPlan,
    PlannedMember,
    PlannedServer,
    PlannedService,
    TranslationPlan,
)

_FOLDER: Final = Path(next(iter(kerege.country.__path__))) / settings.get("country") / "contracts"
INSTANCE: Final = "KG"
PUBLIC_SERVICE: Final = "grade1-admission"

ADMISSION: Final = SubsystemId.parse("KG/GOV/70000003/admission")
RUNNER: Final = SubsystemId.parse("KG/GOV/70000003/contract-tests")
# Registered subsystems without any right: the denial probes call as them.
STRANGERS: Final = tuple(
    SubsystemId.parse(f"KG/GOV/{path}") for path in ("70000001/civil", "70000002/population", "70000004/health")
)
STRANGER: Final = STRANGERS[-1]

BIRTHS: Final = DataServiceId.parse("KG/GOV/70000001/civil/birth-records")
PERSONS: Final = DataServiceId.parse("KG/GOV/70000002/population/persons")
EMIS: Final = DataServiceId.parse("KG/GOV/70000003/emis/register")
VACCINATIONS: Final = DataServiceId.parse("KG/GOV/70000004/health/vaccinations")
DATA_SERVICES: Final = (BIRTHS, PERSONS, EMIS, VACCINATIONS)

NODE_EDU: Final = ServerId.parse("KG/GOV/70000003/node-edu")
NODE_REG: Final = ServerId.parse("KG/GOV/70000002/node-reg")

MEMBERS: Final[dict[str, tuple[Text, tuple[str, ...]]]] = {
    "70000000": (
        Text(ky="Борбордук кызматтар", ru="Центральные службы", en="Central services"),
        ("management",),
    ),
    "70000001": (
        Text(ky="Жарандык абал актыларынын реестри", ru="Реестр актов гражданского состояния", en="Civil registry"),
        ("civil",),
    ),
    "70000002": (
        Text(ky="Калктын реестри", ru="Реестр населения", en="Population register"),
        ("population",),
    ),
    "70000003": (
        Text(ky="Агартуу министрлиги", ru="Министерство просвещения", en="Ministry of Education"),
        ("emis", "admission", "contract-tests"),
    ),
    "70000004": (
        Text(ky="Саламаттык сактоо министрлиги", ru="Министерство здравоохранения", en="Ministry of Health"),
        ("health",),
    ),
}

# Which answers translate by which mapping. The country pack has a data contract for each (rules, mode, legal basis), which is put in force by
# the catalogue's life cycle (`publishing`) and reaches the nodes in the signed configuration.
CONTRACTS: Final[tuple[tuple[DataServiceId, str, str], ...]] = (
    (BIRTHS, "/", "kg:civil.birth-record"),
    (PERSONS, "/", "kg:population.person"),
    (EMIS, "/institution_students", "kg:education.pupil"),
    (EMIS, "/institutions", "kg:education.school"),
    (EMIS, "/institution_places", "kg:education.places"),
    (EMIS, "/institution_catchments", "kg:education.catchment"),
    (EMIS, "/area_administratives", "kg:education.area"),
    (VACCINATIONS, "/", "kg:health.vaccination"),
)


def contract_file(mapping: str) -> Path:
    """The country pack's data contract of a mapping's canonical records."""
    return _FOLDER / f"{mapping.partition(':')[2]}.odcs.yaml"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens on the loopback address."""

    hub: int
    edu: tuple[int, int, int]  # client, server, admin
    reg: tuple[int, int, int]


def plan(ports: Ports, urls: Mapping[str, str], pack: Path, data: Path | None, overlay: Path) -> NetworkPlan:
    """The network as `node.network` lays it out. `urls`: the agencies' own addresses, by agency."""
    member = {code: MemberId(INSTANCE, "GOV", code) for code in MEMBERS}
    civil, population, health = (
        SubsystemId.parse(f"KG/GOV/{path}") for path in ("70000001/civil", "70000002/population", "70000004/health")
    )
    emis = EMIS.provider
    return NetworkPlan(
        instance=INSTANCE,
        configuration_url=f"http://127.0.0.1:{ports.hub}/internalconf",
        members=tuple(PlannedMember(member[c], name.en, subsystems) for c, (name, subsystems) in MEMBERS.items()),
        servers=(
            PlannedServer(
                NODE_EDU,
                (emis, ADMISSION, RUNNER),
                (PlannedService(EMIS, urls["education"]),),
                *ports.edu,
            ),
            PlannedServer(
                NODE_REG,
                (civil, population, health),
                (
                    PlannedService(BIRTHS, urls["civil"]),
                    PlannedService(PERSONS, urls["population"]),
                    PlannedService(VACCINATIONS, urls["health"]),
                ),
                *ports.reg,
            ),
        ),
        valid_for=timedelta(hours=1),
        poll_seconds=5.0,
        translation=TranslationPlan(str(pack), str(data) if data else None, str(overlay)),
    )


def register(network: NetworkPlan, now: datetime, ledger: LedgerWriter) -> None:
    """Write the network into the hub's register: members, subsystems, servers, rights. Contracts come with their publication."""
    for code, (name, subsystems) in MEMBERS.items():
        member = MemberId(INSTANCE, "GOV", code)
        doings.register_member(member, name, now)
        for subsystem in subsystems:
            doings.register_subsystem(SubsystemId.parse(f"{member}/{subsystem}"), now)
    for server in network.servers:
        doings.register_server(server.id, f"{server.host}:{server.server_port}", now)
        for client in server.clients:
            doings.host_client(server.id, client)
    doings.register_public_service(PUBLIC_SERVICE, ADMISSION)
    until = now + timedelta(days=365)
    for holder in (ADMISSION, RUNNER):
        for data_service in DATA_SERVICES:
            doings.grant_right(holder, data_service, until, ledger=ledger, now=now)
