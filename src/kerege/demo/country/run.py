"""The country in a box, from generating its people to the last figure: agencies, nodes, hub, gate, applications, documents.

One pass, top to bottom; each step is a function that takes the running `Country` and reports what it saw. The registers are reached
only through the nodes. The truth is written to a folder of its own and read back by nobody but `score`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import urllib3
from django.db import DatabaseError

import kerege.country
from kerege.catalogue.contracts.ended import end_what_is_over
from kerege.demo.agencies.running import Agency, start_all
from kerege.demo.agencies.write import write_agencies
from kerege.demo.country import network
from kerege.demo.country.options import Options
from kerege.demo.country.report import Report
from kerege.demo.processes import Processes, free_port
from kerege.demo.world import World, generate, load_dirt, write_truth
from kerege.exchange.trust import Trust
from kerege.ground import settings
from kerege.ground.clock import now
from kerege.ground.errors import KeregeError
from kerege.ledger import Ledger, open_signing
from kerege.membership.doings import publish_configuration
from kerege.membership.publish import node_publisher
from kerege.node.network import LaidOut, NetworkPlan, lay_out, shared_parameters
from kerege.semantics.pack import Pack, load_pack
from kerege.services.definitions import AdmissionDefinition
from kerege.services.evidence import ExchangeClient
from kerege.services.node_client import NodeClient

_SIGN_AGAIN: Final = timedelta(minutes=1)  # as the hub does where it signs itself
PACK: Final = Path(next(iter(kerege.country.__path__)))


@dataclass
class Country:
    """Everything that is up, and what the steps found."""

    options: Options
    report: Report
    world: World
    processes: Processes
    agencies: dict[str, Agency]
    plan: NetworkPlan
    laid_out: LaidOut
    ledger: Ledger
    hub_url: str
    started: datetime
    pack: Pack

    @property
    def trust(self) -> Trust:
        """What the published configuration lets one believe."""
        return Trust(shared_parameters(self.options.network, self.plan))

    @property
    def edu(self) -> str:
        """The consumer's node, for its clients."""
        return self.laid_out.nodes[network.NODE_EDU.server].client_url

    @property
    def reg(self) -> str:
        return self.laid_out.nodes[network.NODE_REG.server].client_url

    def client(self, url: str, subsystem: str) -> ExchangeClient:
        """A client of the node at `url`, calling as `subsystem`."""
        return NodeClient(url, subsystem, user="demo", workers=self.options.workers)

    def reload_pack(self) -> None:
        """Read the country pack again, with what stands in the overlay by now."""
        self.pack = load_pack(PACK / settings.get("country"), data_dir=self.options.data, overlay=self.options.overlay)

    def sign(self) -> None:
        """Sign the network as registered now; nodes fetch it when they next ask."""
        publisher = node_publisher(self.options.network, self.plan)
        end_what_is_over(now(), ledger=self.ledger)
        publish_configuration(self.options.home / "globalconf", now(), publisher, self.ledger)

    def publish(self) -> None:
        """Sign the network as registered now, and have every node fetch it at once."""
        self.sign()
        self.refresh()

    def stay_up(self, wait: Callable[[float], object]) -> None:
        """Sign anew, long before it expires, what the nodes obey, until `wait`, which is given seconds, returns something true.

        What is decided at the desks meanwhile reaches the nodes so. The hub does not sign here: the keys are the test network's.
        """
        while not wait(min(_SIGN_AGAIN, self.plan.valid_for / 3).total_seconds()):
            try:
                self.sign()
            except (KeregeError, OSError, DatabaseError) as problem:
                self.report.say(f"the configuration was not signed anew, which is tried again: {problem}")

    def refresh(self) -> None:
        for node in self.laid_out.nodes.values():
            answer = urllib3.request("POST", f"{node.admin_url}/refresh", timeout=30.0, retries=False)
            if answer.status != 200:
                raise RuntimeError(f"the node {node.id} did not take the configuration: {answer.data.decode()}")


@contextlib.contextmanager
def raise_country(options: Options, report: Report) -> Iterator[Country]:
    """Generate, write, start: agencies, hub and nodes are up inside the block and ended after it.

    `ready.make_ready(options)` comes first: it makes the folders and the hub's database.
    """
    started = now()
    with report.step("A synthetic country, its registers and their dirt"):
        soate = options.data / "soate.csv" if options.data else None
        world = generate(
            options.seed,
            load_dirt(options.dirt),
            soate_csv=soate,
            persons=options.persons,
            applications=options.applications,
        )
        write_agencies(world, options.agencies)
        write_truth(world, options.truth, agencies=options.agencies)
    with contextlib.ExitStack() as stack:
        with report.step("Four agencies, each with its own process, database and interface"):
            agencies = stack.enter_context(start_all(options.agencies, database=options.database))
        processes = stack.enter_context(Processes(options.logs))
        with report.step("The hub, two nodes, the network and its signed configuration"):
            country = _network(options, report, world, processes, agencies, started)
            stack.callback(country.ledger.close)
        yield country


def _network(
    options: Options, report: Report, world: World, processes: Processes, agencies: dict[str, Agency], started: datetime
) -> Country:
    ports = network.Ports(
        hub=options.port or free_port(),
        edu=(free_port(), free_port(), free_port()),
        reg=(free_port(), free_port(), free_port()),
    )
    addresses = {
        "civil": "/ws",
        "population": "/api/persons",
        "education": "/api/v5",
        "health": "/nightly/vaccinations.csv",
    }
    urls = {name: agency.url.rstrip("/") + addresses[name] for name, agency in agencies.items()}
    pack_folder = PACK / settings.get("country")
    plan = network.plan(ports, urls, pack_folder, options.data, options.overlay)
    laid_out = lay_out(options.network, plan, now())
    ledger = open_signing(options.home)
    pack = load_pack(pack_folder, data_dir=options.data, overlay=options.overlay)
    hub_url = f"http://127.0.0.1:{ports.hub}"
    country = Country(options, report, world, processes, agencies, plan, laid_out, ledger, hub_url, started, pack)
    network.register(plan, now(), ledger)
    publish_configuration(options.home / "globalconf", now(), node_publisher(options.network, plan), ledger)
    hub = processes.start("hub", ["kerege", "hub", "--port", str(ports.hub)], environ=hub_environment(options))
    processes.wait_for("hub", hub, f"{hub_url}/health")
    nodes = {
        code: processes.start(code, ["kerege", "node", "--config", str(node.config)])
        for code, node in laid_out.nodes.items()
    }
    for code, process in nodes.items():
        processes.wait_for(code, process, f"{laid_out.nodes[code].admin_url}/health")
    return country


def hub_environment(options: Options) -> dict[str, str]:
    """What the hub is told: its home, and the country's full lists where the demo has them, so that villages have names there too."""
    told = {"KEREGE_HOME": str(options.home)}
    return told | ({"KEREGE_COUNTRY_DATA": str(options.data.absolute())} if options.data else {})


def first_birth_date(definition: AdmissionDefinition) -> date:
    """The earliest birth date a contract test asks for: of a child who is just not too old in the year of admission."""
    day = definition.rules.age_on
    return day.replace(year=day.year - definition.rules.age_under) + timedelta(days=1)


def write_summary(country: Country, summary: dict[str, Any]) -> None:
    """Put the summary where the hub reads it, and where the run was told to."""
    text = json.dumps(summary, ensure_ascii=False, indent=1)
    for path in filter(None, (country.options.home / "summary.json", country.options.json)):
        aside = path.with_name(f".{path.name}.new")
        aside.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text + "\n", encoding="utf-8")
        aside.replace(path)
