"""For all tests: a ledger that is a list, which can be read back entry by entry; property tests without a stop-watch.

Where tests run in several workers (`make test`), a file's tests stay together: what a file sets up for all its tests (a hub, two nodes,
a browser, a generated world) is set up once and not once a worker, and a file runs in the order in which it reads. The longest files begin first,
so that no worker is left alone with one of them at the end.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import hypothesis
import pytest

from kerege.ground.clock import iso
from kerege.ground.ids import digest


@dataclass(frozen=True)
class ListEntry:
    index: int
    leaf_hash: str
    kind: str
    body: dict[str, Any]


@dataclass
class ListLedger:
    entries: list[ListEntry] = field(default_factory=list)

    def append(self, kind: str, body: dict[str, Any], now: datetime) -> ListEntry:
        leaf = digest({"kind": kind, "body": body, "at": iso(now)})  # refuses what is not canonical JSON
        entry = ListEntry(len(self.entries), leaf, kind, body)
        self.entries.append(entry)
        return entry

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries]


# how long one example takes is the machine's mood, not the code's
hypothesis.settings.register_profile("kerege", deadline=None)
hypothesis.settings.load_profile("kerege")


@pytest.fixture
def ledger() -> ListLedger:
    return ListLedger()


# Longest first, by what they took; a name that is wrong or missing costs balance, nothing else. None of these empties the database.
LONGEST = (
    "box/test_independent.py",
    "box/test_kill.py",
    "outside/test_soap_libraries.py",
    "node/test_faults_nodes.py",
    "node/lane/test_under_way_rights.py",
    "web/test_stewards_day.py",
    "web/test_journey.py",
    "outside/test_contract_oracles.py",
    "box/test_management_over_the_network.py",
    "test_tutorial_data_first.py",
    "services/test_admission_on_a_small_world.py",
    "box/test_central_services.py",
    "node/test_serve.py",
    "test_tutorial_exchange.py",
    "reconcile/test_on_postgresql.py",
    "reconcile/test_bulk.py",
    "node/test_reload.py",
    "node/test_faults_link_answerer.py",
    "node/test_faults_big_bodies.py",
    "test_tutorial.py",
    "demo/country/test_story.py",
    "demo/world/test_build.py",
    "demo/agencies/test_population.py",
    "web/test_access.py",
    "semantics/test_two_engines.py",
    "outside/test_codes_tools.py",
    "semantics/test_engines.py",
    "catalogue/test_search_postgresql.py",
    "catalogue/test_bad_registers.py",
    "node/test_faults_disk.py",
    "node/test_faults_log_memory.py",
    "exchange/test_logwriter.py",
)
_PLACE = {name: number for number, name in enumerate(LONGEST)}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    in_workers = hasattr(config, "workerinput")
    for item in items if in_workers else ():
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_name(item)))
    yield  # the groups are read; tests that empty the database are put behind those that count on what migrations wrote
    if in_workers:
        items.sort(key=lambda item: _PLACE.get(_name(item), len(LONGEST)))


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the collector of garbage need not look at it again and again (a sixth of the time of some)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _name(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0].removeprefix("tests/")
