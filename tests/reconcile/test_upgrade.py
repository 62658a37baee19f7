"""A hub with data is brought to the newest schema: what stood there means what it meant, and nobody is late with what is settled."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from kerege.catalogue.models import CodeDecision
from kerege.reconcile import desk_findings, desk_queries, doings
from kerege.reconcile.compare import FieldComparison
from kerege.reconcile.desk_rows import DISCREPANCY, Which
from kerege.reconcile.fields import of_country
from kerege.reconcile.models import Discrepancy

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD = [("reconcile", "0003_catalogue_finding_acts"), ("catalogue", "0011_search_ids")]


@pytest.fixture
def database(tmp_path: Path, django_db_blocker: Any) -> Iterator[Any]:
    """A database of its own, empty, as the default one for one test: the migrations' own functions work on that."""
    usual = connections["default"]
    told = deepcopy(usual.settings_dict)
    name = told["NAME"] = "kerege_upgrade" if usual.vendor == "postgresql" else str(tmp_path / "old.sqlite3")
    with django_db_blocker.unblock():
        if usual.vendor == "postgresql":
            with usual._nodb_cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {name}")
                cursor.execute(f"CREATE DATABASE {name}")
        own = type(usual)(told, "default")
        connections["default"] = own
        try:
            yield own
        finally:
            own.close()
            connections["default"] = usual
            if usual.vendor == "postgresql":
                with usual._nodb_cursor() as cursor:
                    cursor.execute(f"DROP DATABASE {name}")


def lay_duplicates(apps: Any) -> None:
    """Three fields that two runs queued at once, and what registers were told of the second rows."""
    discrepancy, finding = (
        apps.get_model("reconcile", "Discrepancy").objects,
        apps.get_model("reconcile", "Finding").objects,
    )
    act = apps.get_model("reconcile", "FindingAct").objects

    def row(number: str, field: str, status: str) -> Any:
        return discrepancy.create(
            discrepancy_id=number, run=f"run-{number}", case_id="case-1", field=field, left_register="civil",
            right_register="population", cls="conflict", owner="civil", status=status, found_at=NOW,
        )  # fmt: skip

    def told(number: str, about: Any, register: str) -> Any:
        return finding.create(
            finding_id=number, discrepancy=about, register=register, note_code="x", sent_by="officer-1", sent_at=NOW,
            due_at=NOW + timedelta(days=5),
        )  # fmt: skip

    row("sex-1", "sex", "open")
    moved = told("moved", row("sex-2", "sex", "with_owner"), "population")
    act.create(finding=moved, act="in_work", by="population-1", at=NOW)
    told("stays", row("pin-1", "pin", "with_owner"), "civil")
    told("withdrawn", row("pin-2", "pin", "with_owner"), "civil")
    row("surname-1", "surname", "open")
    ended = told("refused", row("surname-2", "surname", "with_owner"), "population")
    act.create(finding=ended, act="refused", by="population-1", at=NOW, reason="right as it is")


def lay_decisions(apps: Any) -> None:
    """A crosswalk in two versions, and decisions before and after the newer one was kept."""
    version, decision = (
        apps.get_model("catalogue", "CrosswalkVersion").objects,
        apps.get_model("catalogue", "CodeDecision").objects,
    )
    for number in (1, 2):
        version.create(
            crosswalk="kg:walk", version=f"{number}.0.0", policy="reject", rows=1, digest=str(number) * 64, content="x",
            imported_by="steward-1", imported_at=NOW + timedelta(days=number),
        )  # fmt: skip
    for code, days in (("A", 0), ("B", 2), ("C", 3)):
        decision.create(
            crosswalk="kg:walk", code=code, verdict="accepted", target="1", by="s", at=NOW + timedelta(days=days)
        )
    decision.create(crosswalk="kg:other", code="A", verdict="accepted", target="1", by="s", at=NOW)


def test_an_older_hub_keeps_what_it_knew_and_no_finding_waits_on_what_was_queued_twice(database: Any) -> None:
    executor = MigrationExecutor(database)
    executor.migrate(OLD)
    old = executor.loader.project_state(OLD).apps
    lay_duplicates(old)
    lay_decisions(old)

    executor = MigrationExecutor(database)
    executor.migrate(executor.loader.graph.leaf_nodes())

    later = NOW + timedelta(days=400)
    found = {f.finding_id: (f.status, f.overdue, f.discrepancy_id) for f in desk_queries.findings(later)}
    assert found == {
        "moved": ("in_work", True, "sex-1"),
        "stays": ("sent", True, "pin-1"),
        "withdrawn": ("withdrawn", False, "pin-2"),
        "refused": ("refused", False, "surname-2"),
    }
    withdrawn = next(f for f in desk_queries.findings(later) if f.finding_id == "withdrawn")
    assert withdrawn.reason == "the same as pin-1"
    stands = dict(Discrepancy.objects.values_list("discrepancy_id", "status"))
    assert {number for number, status in stands.items() if status == "with_owner"} == {"sex-1", "pin-1"}
    assert stands["surname-1"] == "open"
    agreed = [FieldComparison(field, "civil", "population", "equal") for field in ("sex", "pin", "surname")]
    doings.record_comparisons({"case-1": agreed}, of_country("kg"), run="after", now=later)
    assert desk_findings.total(later, Which(group=DISCREPANCY)) == 0, "all that waited was closed by evidence"

    written = {
        (d.crosswalk, d.code): d.written_in.version if d.written_in else None for d in CodeDecision.objects.all()
    }
    assert written == {
        ("kg:walk", "A"): "2.0.0",
        ("kg:walk", "B"): "2.0.0",
        ("kg:walk", "C"): None,
        ("kg:other", "A"): None,
    }
