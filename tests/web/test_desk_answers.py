"""What becomes of a finding: answered by its owner, closed by no click, back or new when it is seen again, due in working days."""

from datetime import timedelta

import pytest
from web_pages import check

from kerege.catalogue.inventory import doings
from kerege.catalogue.models import Finding
from kerege.ground import clock
from kerege.reconcile import desk_findings
from kerege.reconcile import doings as reconcile
from kerege.reconcile.models import Discrepancy


def finding(dataset, kind="codes-new"):
    doings.record_findings(
        "clinic.csv", "clinic", [doings.NewFinding(kind, 2, "sex", "a detail")], clock.now(), found_by="harvest"
    )
    return f"catalogue-{Finding.objects.get(kind=kind).pk}"


def test_an_owner_answers_the_own_findings_and_sees_no_others(data_owner, dataset, network):
    mine = finding(dataset)
    page = check(data_owner.post(f"/en/desks/findings/{mine}/", {"act": "acknowledged"}, follow=True), "en").text
    assert "Acknowledged" in page
    doings.set_organisation("clinic.csv", "70000009")
    assert data_owner.get(f"/en/desks/findings/{mine}/").status_code == 404
    assert "Nothing waits" in check(data_owner.get("/en/desks/findings/"), "en").text


def test_nobody_closes_a_finding_by_a_click(data_owner, steward, dataset):
    mine = finding(dataset)
    for client in (data_owner, steward):
        assert client.post(f"/en/desks/findings/{mine}/", {"act": "closed", "reason": "done"}).status_code == 403
    with pytest.raises(desk_findings.ActRefused):
        desk_findings.answer(mine, act="closed", by="owner-1", reason="done", now=clock.now())


def test_a_finding_said_to_be_corrected_falls_back_when_it_is_seen_again(dataset):
    mine = finding(dataset)
    now = clock.now()
    assert desk_findings.answer(mine, act="corrected", by="owner-1", now=now) == "corrected"
    doings.record_findings(
        "clinic.csv", "clinic", [doings.NewFinding("codes-new", 2, "sex", "a detail")], now + timedelta(days=1), found_by="harvest"
    )  # fmt: skip
    again = desk_findings.finding(mine, now + timedelta(days=1))
    assert (again.status, again.acts[-1].act) == ("in_work", "still_differs")


def sight(at):
    new = doings.NewFinding("codes-new", 2, "sex", "a detail", {"codes": ["9"]})
    doings.record_findings("clinic.csv", "clinic", [new], at, found_by="harvest")
    return Finding.objects.order_by("-pk").first()


@pytest.mark.parametrize("act", ["refused", "withdrawn"])
def test_what_is_seen_again_after_an_end_is_a_new_finding_that_tells_how_the_last_one_ended(steward, dataset, act):
    now = clock.now()
    old = sight(now - timedelta(days=40))
    desk_findings.answer(f"catalogue-{old.pk}", act=act, by="owner-1", reason="it is meant so", now=now)
    new = sight(now + timedelta(hours=1))
    assert (new.pk != old.pk, new.records, new.facts) == (True, 2, {"codes": ["9"], "before": old.pk})
    assert sight(now + timedelta(hours=2)).pk == new.pk, "one at a time"
    again = desk_findings.finding(f"catalogue-{new.pk}", now + timedelta(hours=2))
    assert (again.status, again.overdue, [a.act for a in again.before]) == ("sent", False, [act])
    waiting = desk_findings.findings(now + timedelta(hours=2))
    assert [f.id for f in waiting] == [again.id]
    page = check(steward.get(f"/en/desks/findings/{again.id}/"), "en").text
    assert f"{act} – owner-1" in page
    assert "it is meant so" in page


def test_the_term_runs_in_working_days_from_the_first_sight(dataset):
    mine = finding(dataset)
    first = desk_findings.finding(mine, clock.now())
    later = clock.now() + timedelta(days=30)
    doings.record_findings(
        "clinic.csv", "clinic", [doings.NewFinding("codes-new", 1, "sex", "a detail")], later, found_by="harvest"
    )
    seen = desk_findings.finding(mine, later)
    assert seen.due_at == first.due_at
    assert seen.overdue
    assert desk_findings.working_days_left(first.due_at, first.sent_at) == 5
    assert desk_findings.working_days_left(first.due_at, later) < 0


def test_only_its_sender_withdraws_a_discrepancys_finding(steward, data_owner, network):
    Discrepancy.objects.create(
        discrepancy_id="disc-9", run="r", case_id="c", field="surname", left_register="civil", right_register="health",
        cls="conflict", owner="civil", found_at=clock.now(),
    )  # fmt: skip
    sent = reconcile.send_finding(
        "disc-9", register="civil", note_code="conflict", sent_by="steward-1", now=clock.now()
    )
    address = f"/en/desks/findings/{sent}/"
    assert data_owner.post(address, {"act": "withdrawn", "reason": "mine"}).status_code == 403
    assert "Withdrawn" in check(steward.post(address, {"act": "withdrawn", "reason": "a slip"}, follow=True), "en").text
