"""The findings desk's list is filtered, ordered and cut in the database and says what one finding says; a shared name is nobody's."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kerege.catalogue import models as catalogue
from kerege.membership.models import Member, Subsystem
from kerege.reconcile import answering, desk, desk_findings, desk_queries
from kerege.reconcile import findings as life
from kerege.reconcile.desk_rows import NOBODY, Which
from kerege.reconcile.fields import ComparedFields, RegisterSpec
from kerege.reconcile.models import (
    CatalogueFindingAct,
    ClericalDecision,
    ClericalTask,
    Discrepancy,
    Finding,
    FindingAct,
)
from kerege.reconcile.settle import STEWARD
from kerege.reconcile.settle import of_country as rules_of_country

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 15, 6, tzinfo=UTC)
OLD = NOW - timedelta(days=60)


def dataset(organisation: str = "70000001") -> catalogue.Dataset:
    return catalogue.Dataset.objects.create(
        source="r.csv", kind="csv", table="r", organisation=organisation, profile={}, harvested_at=NOW
    )


def found(of: catalogue.Dataset, at: datetime, kind: str = "emptied", **more: Any) -> catalogue.Finding:
    return catalogue.Finding(dataset=of, kind=kind, found_by="harvest", found_at=at, first_at=at, **more)


def told(register: str, at: datetime, number: int = 0, due: datetime | None = None) -> Finding:
    about = Discrepancy.objects.create(
        discrepancy_id=f"disc-{number}", run="r", case_id=f"case-{number}", field="surname", left_register="civil",
        right_register="health", cls="conflict", owner="civil", found_at=at, status="with_owner",
    )  # fmt: skip
    return Finding.objects.create(
        discrepancy=about, finding_id=f"find-{number}", register=register, note_code="conflict", sent_by="steward-1",
        sent_at=at, due_at=due,
    )  # fmt: skip


def test_an_open_finding_is_listed_first_behind_five_thousand_that_ended() -> None:
    of = dataset()
    catalogue.Finding.objects.bulk_create(found(of, NOW, settled_at=NOW, evidence="gone") for _ in range(5100))
    waits = told("civil", OLD, due=NOW - timedelta(days=1))
    late = catalogue.Finding.objects.create(dataset=of, kind="emptied", found_by="harvest", found_at=OLD, first_at=OLD)
    fresh = catalogue.Finding.objects.create(dataset=of, kind="emptied", found_by="harvest", found_at=NOW, first_at=NOW)
    listed = desk_findings.findings(NOW)
    assert [f.id for f in listed] == [f"catalogue-{late.pk}", waits.finding_id, f"catalogue-{fresh.pk}"]
    assert [f.overdue for f in listed] == [True, True, False]
    assert desk_findings.total(NOW, Which(ended=True)) == 5100
    assert len(desk_findings.findings(NOW, Which(ended=True), offset=5075)) == 25


def test_every_standing_the_database_tells_is_the_one_the_acts_come_to() -> None:
    of, number = dataset(), 0
    acts = (life.ACKNOWLEDGED, life.IN_WORK, life.CORRECTED, life.REFUSED, life.WITHDRAWN)
    kinds, days = ("emptied", "code-unknown"), (OLD, NOW - timedelta(days=9))
    for kind, at, settled, *last in itertools.product(kinds, days, (None, NOW), ("", *acts)):
        row = found(of, at, kind, settled_at=settled)
        row.save()
        for act in filter(None, last):
            CatalogueFindingAct.objects.create(finding=row, act=act, by="x", at=NOW - timedelta(days=1), reason="r")
    again = found(of, NOW)
    again.save()
    CatalogueFindingAct.objects.create(finding=again, act=life.CORRECTED, by="x", at=OLD)
    for number, (last, due) in enumerate(
        itertools.product(((), *((a,) for a in acts), (life.CORRECTED, life.STILL)), (None, OLD, NOW))
    ):
        one = told("civil", OLD, number, due)
        for act in last:
            FindingAct.objects.create(finding=one, act=act, by="x", at=NOW)
    whole = {
        ended: desk_findings.findings(NOW, Which(ended=ended), limit=500) for ended in (False, True)
    }  # each with its own acts
    assert sum(map(len, whole.values())) == 4 * 2 * 6 + 1 + 7 * 3
    for ended, rows in whole.items():
        assert {f.ended for f in rows} == {ended}
        for status in (*life.STATUSES, "overdue"):
            chosen = desk_findings.findings(NOW, Which(ended=ended, status=status), limit=500)
            assert {f.id for f in chosen} == {f.id for f in rows if status == f.status or (status == "overdue" and f.overdue)}  # fmt: skip
        counts = desk_findings.counts(NOW, Which(ended=ended))
        assert (counts.overdue, counts.groups.total()) == (sum(f.overdue for f in rows), len(rows))


def test_a_list_is_narrowed_to_whom_it_is_about() -> None:
    of = dataset()
    field = catalogue.Field.objects.create(dataset=of, name="sex", position=1, profile={})
    catalogue.Owner.objects.create(
        field=field, organisation="70000002", unit="u", legal_basis="l", since=OLD, number=1, named_by="x"
    )
    for one in (None, field):
        found(of, NOW, field=one).save()
    nobody = catalogue.Dataset.objects.create(source="n.csv", kind="csv", table="n", profile={}, harvested_at=NOW)
    found(nobody, NOW).save()
    told("civil", NOW)
    assert desk_findings.counts(NOW).owners == {"70000001": 1, "70000002": 1, "": 1, "civil": 1}
    for owner, expected in (("70000002", "r.csv#r.sex"), (NOBODY, "n.csv#n"), ("civil", "surname")):
        [row] = desk_findings.findings(NOW, Which(owner=owner))
        assert row.place == expected
    mine = frozenset({"70000001", "civil"})
    assert {f.owner for f in desk_findings.findings(NOW, Which(names=mine))} == mine
    assert desk_findings.total(NOW, Which(names=frozenset())) == 0


@pytest.mark.parametrize("outcome", ["", STEWARD])
def test_what_was_sent_before_the_last_day_whose_term_is_over_is_late(outcome: str) -> None:
    terms = rules_of_country().terms
    for hours in range(0, 24 * 15, 7):
        now = NOW + timedelta(hours=hours)
        edge = terms.overdue_before(now, outcome)
        assert terms.due(edge - timedelta(seconds=1), outcome) < now <= terms.due(edge, outcome)


def network(*codes: str) -> None:
    for code in codes:
        whole = "/".join(code.split("/")[:3])
        member, _ = Member.objects.get_or_create(
            code=whole, defaults={"name_ky": "x", "name_ru": "x", "name_en": "x", "registered_at": OLD}
        )
        Subsystem.objects.create(code=code, member=member, registered_at=OLD)


def test_a_register_of_a_name_that_two_organisations_use_is_answered_for_by_neither(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network("KG/GOV/70000001/civil", "KG/GOV/70000001/births", "KG/COM/80000001/civil", "KG/COM/70000001/shop")
    ours = answering.names_of("KG/GOV/70000001")
    assert ours == {"KG/GOV/70000001", "KG/GOV/70000001/civil", "KG/GOV/70000001/births", "births"}
    assert answering.names_of("KG/COM/80000001/civil") == {"KG/COM/80000001", "80000001", "KG/COM/80000001/civil"}
    assert [answering.is_shared(name) for name in ("civil", "births", "70000001", "80000001", "")] == [
        True, False, True, False, False,
    ]  # fmt: skip
    said = ComparedFields("1", {}, (), {"civil": RegisterSpec(subsystem="KG/GOV/70000001/civil")})
    monkeypatch.setattr(answering, "of_country", lambda: said)
    assert "civil" in answering.names_of("KG/GOV/70000001/births")
    assert "civil" not in answering.names_of("KG/COM/80000001")
    assert not answering.is_shared("civil")
    assert answering.names_of("clerk") == frozenset()


def test_every_standing_of_a_pair_the_database_tells_is_the_one_the_words_come_to() -> None:
    words = [()] + [v for n in (1, 2, 3) for v in itertools.product(desk.VERDICTS, repeat=n)]
    for number, (said, double) in enumerate(itertools.product(words, (False, True))):
        task = ClericalTask.objects.create(
            task_id=f"pair-{number}", definition="d", definition_version="1", left_register="a", left_ref=str(number),
            right_register="b", right_ref="1", why="unsure", double_review=double, asked_at=NOW, probability=number / 100,
        )  # fmt: skip
        ClericalDecision.objects.bulk_create(
            ClericalDecision(task=task, verdict=v, reason="r", by=f"clerk-{n}", at=NOW) for n, v in enumerate(said)
        )
    told = {}
    for standing in desk.STANDINGS:
        rows = desk_queries.desk_queue(standing=standing)
        assert {row.standing for row in rows} == {standing}
        assert len(rows) == desk_queries.desk_total(standing=standing)
        told |= {row.task_id: row for row in rows}
    assert len(told) == 2 * len(words)
    waiting = desk_queries.desk_queue()
    open_ones = [row for row in told.values() if row.standing not in desk.VERDICTS]
    nearest = sorted(open_ones, key=lambda r: (abs((r.probability or 0) - 0.5), int(r.task_id[5:])))
    assert [r.task_id for r in waiting] == [r.task_id for r in nearest]
    assert [r.task_id for r in desk_queries.desk_queue(offset=2, limit=3)] == [r.task_id for r in waiting[2:5]]
    assert all("clerk-0" not in r.decided_by for r in desk_queries.desk_queue(not_by="clerk-0"))
    assert len(desk_queries.clerical_truth()) == sum(r.standing in desk.VERDICTS for r in told.values())
