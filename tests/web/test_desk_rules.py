"""The desks' rules: deny by default, two people, the owner's own findings, evidence only, slips undone, lists that stay cheap."""

from datetime import timedelta
from html import escape

import pytest
import web_desks as desks
from django.db import connection
from django.test.utils import CaptureQueriesContext
from web_pages import check, signed_in

from kerege.catalogue.codes import crosswalk_desk, crosswalk_page, decisions, unmapped, unplaced
from kerege.catalogue.codes import versions as codelists
from kerege.catalogue.errors import DecisionRefused
from kerege.catalogue.inventory import doings
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import CodeDecision, ConceptLink, Dataset, Finding, Owner, Plan
from kerege.ground import clock
from kerege.ledger.log import Ledger
from kerege.reconcile import desk_findings
from kerege.reconcile import doings as reconcile
from kerege.reconcile.models import Discrepancy
from kerege.semantics.crosswalks.sssom import Crosswalk, Row
from kerege.semantics.suggest.evidence import CandidateSet, Evidenced
from kerege.web.access import Audience

PATHS = (
    "",
    "harvests/",
    "suggestions/",
    "crosswalks/",
    "findings/",
    "contracts/",
    "board/",
    "board/print/",
    "requests/",
)


@pytest.fixture
def dataset(home, db):
    made = desks.plan(desks.register(home))
    doings.apply_plan(made.plan_id, clock.now())
    doings.set_organisation("clinic.csv", "70000001")
    return Dataset.objects.get()


@pytest.mark.parametrize("language", ["ky", "ru", "en"])
def test_every_desk_is_whole_when_nothing_waits(steward, language):
    for path in PATHS:
        response = steward.get(f"/{language}/desks/{path}")
        assert response.status_code == 200, path
        assert response.headers["Cache-Control"] == "no-store"
        check(response, language)


def test_a_stewards_role_without_the_right_opens_no_desk(people, db):
    client = signed_in("steward-1")
    assert {client.get(f"/en/desks/{path}").status_code for path in PATHS} == {403}
    assert "this desk needs a right of its own" in check(client.get("/en/desks/"), "en").text


def test_the_clerical_desk_is_for_clerks_alone(steward, clerk):
    assert steward.get("/en/desks/pairs/").status_code == 403
    assert clerk.get("/en/desks/pairs/").status_code == 200
    assert clerk.get("/en/desks/findings/").status_code == 403


def test_a_reviewer_may_look_at_a_plan_and_not_apply_it(reviewer, home):
    made = desks.plan(desks.register(home))
    assert reviewer.get(f"/en/desks/harvests/{made.plan_id}/").status_code == 200
    assert reviewer.post(f"/en/desks/harvests/{made.plan_id}/", {"do": "apply"}).status_code == 403
    assert Plan.objects.get().status == "open"


def test_a_plan_is_left_with_a_reason_and_cannot_be_applied_after(steward, home):
    made = desks.plan(desks.register(home))
    address = f"/en/desks/harvests/{made.plan_id}/"
    assert "catalogue.action_incomplete" in check(steward.post(address, {"do": "leave"}, follow=True), "en").text
    left = check(steward.post(address, {"do": "leave", "reason": "a test file"}, follow=True), "en").text
    assert "The plan was left" in left
    assert "a test file" in left
    assert "catalogue.plan_done" in check(steward.post(address, {"do": "apply"}, follow=True), "en").text
    assert not Dataset.objects.exists()


def test_a_plan_whose_file_changed_is_refused_in_the_language_of_the_page(steward, home):
    file = desks.register(home)
    made = desks.plan(file)
    desks.register(home, rows=61)
    page = check(steward.post(f"/ru/desks/harvests/{made.plan_id}/", {"do": "apply"}, follow=True), "ru").text
    assert "План устарел" in page
    assert "catalogue.plan_stale" in page


def test_the_page_says_that_the_server_cannot_read_a_file_that_moved(steward, home):
    file = desks.register(home)
    made = desks.plan(file)
    file.rename(home / "elsewhere.csv")
    page = check(steward.get(f"/en/desks/harvests/{made.plan_id}/"), "en")
    assert "cannot read it" in page.text
    assert "apply" not in {b.get("value") for b in page.all("button")}


def test_who_submitted_a_crosswalk_cannot_approve_it_whatever_is_posted(steward, people, home):
    from kerege.web.access import Audience

    desks.suggest()
    for code, target in (("М", "1"), ("Ж", "2")):
        decisions.decide(desks.WALK, code, "accepted", "steward-1", clock.now(), target=target)
    crosswalk_desk.make_version(desks.WALK, "1.0.0", "reject", "steward-1", clock.now())
    address = f"/en/desks/crosswalks/{desks.WALK}/"

    def told():
        page = check(steward.get(address), "en")
        return {i["name"]: i["value"] for i in page.all("input") if i.get("name") in ("version", "seen")}

    approve = {"action": "approve", "reason": "mine"}
    steward.post(address, {**told(), "action": "submit", "reason": "done"})
    assert steward.post(address, {**told(), **approve}).status_code == 403
    people["people"][2]["roles"].append("reviewer")  # even with both roles and both rights
    (home / "demo-people.json").write_text(__import__("json").dumps(people), encoding="utf-8")
    desks.grant(home, "steward-1", Audience.REVIEWER)
    page = check(steward.get(address), "en")
    assert "You made or submitted this yourself" in page.text
    assert "approve" not in {b.get("value") for b in page.all("button")}, "nobody is offered what would be refused"
    refused = check(steward.post(address, {**told(), **approve}, follow=True), "en").text
    assert "catalogue.four_eyes" in refused
    assert lifecycle.status(lifecycle.Subject("crosswalk", desks.WALK, "1.0.0")).state == "submitted"


def test_a_slip_is_taken_back_by_its_own_hand_within_minutes_only(home, db):
    desks.suggest()
    now = clock.now()
    made = decisions.decide(desks.WALK, "М", "accepted", "one", now, target="2")
    for by, at in (("two", now), ("one", now + timedelta(minutes=16))):
        with pytest.raises(decisions.DecisionRefused):
            decisions.take_back(made.pk, by, at, crosswalk=desks.WALK, code="М")
    for crosswalk, code in ((desks.WALK, "Ж"), ("kg:other", "М")):
        with pytest.raises(decisions.DecisionRefused, match="no such decision on it"):
            decisions.take_back(made.pk, "one", now, crosswalk=crosswalk, code=code)
    decisions.take_back(made.pk, "one", now + timedelta(minutes=14), crosswalk=desks.WALK, code="М")
    assert not CodeDecision.objects.exists()


def test_a_decision_after_it_keeps_a_decision_from_being_taken_back(home, db):
    now = clock.now()
    first = decisions.decide(desks.WALK, "М", "refused", "one", now, target="2")
    decisions.decide(desks.WALK, "М", "accepted", "one", now, target="1")
    with pytest.raises(decisions.DecisionRefused, match="somebody decided"):
        decisions.take_back(first.pk, "one", now, crosswalk=desks.WALK, code="М")


def test_a_refused_candidate_is_not_offered_again(home, db):
    desks.suggest()
    decisions.decide(desks.WALK, "Ж", "refused", "one", clock.now(), target="2")
    [item] = [i for i in crosswalk_desk.queue(desks.WALK)[0] if i.code == "Ж"]
    assert [c["target"] for c in item.candidates] == ["1"]


def test_a_new_version_holds_the_decisions_and_leaves_the_old_one_as_it_was(home, db):
    desks.suggest()
    now = clock.now()
    decisions.decide(desks.WALK, "М", "accepted", "one", now, target="1")
    crosswalk_desk.make_version(desks.WALK, "1.0.0", "reject", "one", now)
    decisions.decide(desks.WALK, "Ж", "no-counterpart", "one", clock.now())
    crosswalk_desk.make_version(desks.WALK, "1.0.1", "default 9", "one", clock.now())
    assert codelists.load_crosswalk(desks.WALK, "1.0.0").table == {"М": "1"}
    newest = codelists.load_crosswalk(desks.WALK)
    assert (newest.version, str(newest.policy), newest.table) == ("1.0.1", "default 9", {"М": "1"})
    assert crosswalk_page.page(desks.WALK).counts == {"open": 0, "accepted": 1, "refused": 1, "unmapped": 0}


def test_undoing_a_columns_meaning_takes_its_link_away(steward, dataset):
    address = f"/en/desks/suggestions/columns/{dataset.pk}/"
    steward.post(address, {"column": "pin", "choice": "person.pin", "do": "accept"})
    assert ConceptLink.objects.get().concept == "person.pin"
    number = CodeDecision.objects.get().pk
    assert (
        "undone"
        in check(steward.post(address, {"do": "undo", "number": number, "what": "pin"}, follow=True), "en").text
    )
    assert not ConceptLink.objects.exists()


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


def test_two_thousand_rows_ask_no_more_questions_than_twenty(steward, dataset):
    def asked():
        counted = {}
        for path in ("suggestions/", f"suggestions/codes/{desks.WALK}/", "findings/", ""):
            with CaptureQueriesContext(connection) as seen:
                assert steward.get(f"/en/desks/{path}").status_code == 200
            counted[path] = len(seen)
        return counted

    desks.suggest(extra=20)
    made = [
        Finding(dataset=dataset, kind="emptied", detail=str(n), found_by="harvest", found_at=clock.now())
        for n in range(2000)
    ]
    Finding.objects.bulk_create(made[:20])
    few = asked()
    desks.suggest(extra=2000)
    Finding.objects.bulk_create(made[20:])
    many = asked()
    assert {path: n for path, n in many.items() if n > few[path]} == {}


def test_a_form_without_its_token_changes_nothing(people, home, db):
    from django.test import Client

    from kerege.web.access import Audience

    desks.grant(home, "steward-1", Audience.STEWARD)
    client = Client(enforce_csrf_checks=True)
    client.get("/en/sign-in/")
    token = client.cookies["csrftoken"].value
    client.post("/en/sign-in/", {"person": "steward-1", "csrfmiddlewaretoken": token})
    made = desks.plan(desks.register(home))
    address = f"/en/desks/harvests/{made.plan_id}/"
    refused = client.post(address, {"do": "apply"})
    assert refused.status_code == 403
    assert "The page is out of date" in check(refused, "en").text, "the right is there: the token is what is missing"
    assert Plan.objects.get().status == "open"
    [token] = {
        i["value"] for i in check(client.get(address), "en").all("input") if i.get("name") == "csrfmiddlewaretoken"
    }
    assert client.post(address, {"do": "apply", "csrfmiddlewaretoken": token}).status_code == 302
    assert Plan.objects.get().status == "applied"


def test_accepting_all_that_is_sure_never_takes_a_target_somebody_refused(steward, dataset):
    desks.suggest()
    decisions.decide(desks.WALK, "М", decisions.REFUSED, "steward-2", clock.now(), target="1")
    steward.post(f"/en/desks/suggestions/codes/{desks.WALK}/", {"do": "sure"})
    assert not CodeDecision.objects.filter(verdict=decisions.ACCEPTED).exists()


def test_what_somebody_else_refused_is_accepted_with_a_reason_only(db):
    desks.suggest()
    decisions.decide(desks.WALK, "М", decisions.REFUSED, "steward-2", clock.now(), target="1")
    with pytest.raises(DecisionRefused, match="steward-2 refused 1"):
        decisions.decide(desks.WALK, "М", decisions.ACCEPTED, "steward-1", clock.now(), target="1")
    decisions.decide(
        desks.WALK, "М", decisions.ACCEPTED, "steward-1", clock.now(), target="1", reason="the act says so"
    )
    assert CodeDecision.objects.filter(verdict=decisions.ACCEPTED).count() == 1


def test_no_attribute_chosen_names_no_owner(steward, dataset):
    told = {"do": "name", "organisation": "70000001", "unit": "registry", "legal_basis": "Law 5, article 1"}
    page = steward.post(f"/en/desks/owners/{dataset.pk}/", told, follow=True)
    assert "No field was chosen" in check(page, "en").text
    assert not Owner.objects.exists()


def test_two_records_of_one_register_stand_side_by_side_each_with_its_own_values(clerk, home, db):
    task = desks.pair_of_one(home)
    page = clerk.post(f"/en/desks/pairs/{task}/", {"do": "open"})
    text = check(page, "en").text
    assert "АСАНОВА" in text.upper()
    assert "БЕКОВА" in text.upper()


def test_a_post_that_asks_for_nothing_reads_nobody(clerk, home, db):
    task = desks.pair_of_one(home)
    page = clerk.post(f"/en/desks/pairs/{task}/", {"do": "x"})
    assert "АСАНОВА" not in check(page, "en").text.upper()


def test_a_decision_is_undone_on_the_page_of_its_own_crosswalk_or_column_only(steward, dataset):
    desks.suggest()
    codes, columns = f"/en/desks/suggestions/codes/{desks.WALK}/", f"/en/desks/suggestions/columns/{dataset.pk}/"
    steward.post(columns, {"column": "pin", "choice": "person.pin", "do": "accept"})
    steward.post(codes, {"code": "М", "choice": "1", "do": "accept"})
    column, code = CodeDecision.objects.order_by("pk")
    for address, number, what in ((codes, column.pk, column.code), (codes, code.pk, "Ж"), (columns, column.pk, "sex")):
        page = steward.post(address, {"do": "undo", "number": number, "what": what}, follow=True)
        assert "catalogue.decision_refused" in check(page, "en").text
    assert CodeDecision.objects.count() == 2
    assert ConceptLink.objects.get().concept == "person.pin"
    steward.post(codes, {"do": "undo", "number": code.pk, "what": "М"})
    assert CodeDecision.objects.get() == column


def test_decisions_on_columns_are_no_crosswalk(steward, dataset):
    steward.post(
        f"/en/desks/suggestions/columns/{dataset.pk}/", {"column": "pin", "choice": "person.pin", "do": "refuse"}
    )
    for address in ("crosswalks/columns:concepts/", "suggestions/codes/columns:concepts/"):
        assert steward.get(f"/en/desks/{address}").status_code == 404
        assert steward.post(f"/en/desks/{address}", {"do": "version", "version": "1"}).status_code == 404


def test_a_refused_concept_is_shown_and_not_chosen_beforehand(steward, dataset):
    address = f"/en/desks/suggestions/columns/{dataset.pk}/"

    def chosen():
        page = check(steward.get(address), "en")
        first = [i for i in page.all("input") if i.get("type") == "radio" and i["id"].startswith("c1-")]
        return [i["value"] for i in first], [i["value"] for i in first if "checked" in i]

    assert chosen()[1] == ["person.pin"]
    steward.post(address, {"column": "pin", "choice": "person.pin", "do": "refuse"})
    offered, before = chosen()
    assert offered[0] == "person.pin"
    assert "person.pin" not in before


def test_the_queue_stays_on_its_page_and_steps_back_where_that_is_empty(steward, home):
    desks.suggest(extra=9)
    address = f"/en/desks/suggestions/codes/{desks.WALK}/?page=2"
    assert "М" in check(steward.get(address), "en").text
    answer = steward.post(address, {"code": "М", "choice": "1", "do": "accept"})
    assert answer.headers["Location"].endswith("?page=2")
    assert steward.get(address, follow=True).redirect_chain[0][0].endswith(f"/{desks.WALK}/")


def test_a_code_whose_candidates_nothing_tells_apart_has_none_chosen_and_asks_why(steward, home, db):
    found = tuple(Evidenced(target, 1.0, 1.0, 0, 0.0) for target in ("1", "2"))
    sets = [CandidateSet("М", found, "unsure", "close"), CandidateSet("Ж", found[:1], "unsure", "close")]
    decisions.keep_suggestions(desks.WALK, decisions.new_run(), sets, {}, {"1": "male"}, clock.now())
    address = f"/en/desks/suggestions/codes/{desks.WALK}/"
    before = check(steward.get(address), "en")
    assert [a["id"] for a in before.all("input") if "checked" in a] == ["c1-1"]  # of Ж, which has one candidate
    page = check(steward.post(address, {"code": "М", "do": "accept"}, follow=True), "en")
    assert "no candidate is chosen" in page.text
    page = check(steward.post(address, {"code": "М", "choice": "1", "do": "accept"}, follow=True), "en")
    assert "the reason is missing" in page.text
    assert [a["name"] for a in page.all("input") if "autofocus" in a] == ["reason"]
    steward.post(address, {"code": "М", "choice": "1", "do": "accept", "reason": "the form's order"})
    page = check(steward.get(address), "en")
    assert "already the target of М" in page.text
    assert not [a for a in page.all("input") if "checked" in a]


def test_a_code_that_no_crosswalk_knows_is_decided_where_its_finding_and_the_home_page_lead(steward, home, db):
    rows = (Row("ЖАЛАЛ-АБАД", "417030", literal=True, object_label="Jalal-Abad"), Row("НАРЫН", "417040", literal=True))
    codelists.import_crosswalk(Crosswalk(desks.WALK, rows, version="1"), "unit", clock.now())
    desks.lay_work(home)
    now = clock.now()
    unmapped.keep_unmapped(desks.WALK, "1", "clinic2.csv#clinic2.sex", {"ЖАЛАЛАБАД": 9, "Асанова Айпери": 1}, now)
    address = f"/en/desks/suggestions/codes/{desks.WALK}/"
    finding = Finding.objects.filter(kind="code-unknown").first()
    assert {"href": address, "class": "button"} in check(
        steward.get(f"/en/desks/findings/catalogue-{finding.pk}/"), "en"
    ).all("a")
    page = check(steward.get(address), "en")
    assert "Codes that are not shown" in page.text
    assert {a["value"] for a in page.all("input") if a.get("name") == "code" and "value" in a} >= {"X"}
    met = unplaced.met(desks.WALK)
    assert unplaced.count() == len(met)
    near = {one.code: [c["target"] for c in one.candidates] for one in unplaced.tasks(desks.WALK)}
    assert near["ЖАЛАЛАБАД"][0] == "417030"
    steward.post(address, {"code": "X", "target": "417040", "do": "accept", "reason": "the register's own shorthand"})
    assert "X" not in {row["code"] for row in unplaced.met(desks.WALK)}
    worked = crosswalk_desk.working(desks.WALK)
    assert worked.table["X"] == "417040"
    assert all(row.literal for row in worked.rows if row.subject == "X")


def test_an_approved_version_waits_for_nobody_and_can_be_published(steward, people, home, db):
    desks.grant(home, "reviewer-1", Audience.REVIEWER)
    desks.suggest()
    decisions.decide(desks.WALK, "М", "accepted", "one", clock.now(), target="1")
    crosswalk_desk.make_version(desks.WALK, "1", "reject", "one", clock.now())
    subject, address = lifecycle.Subject("crosswalk", desks.WALK, "1"), f"/en/desks/crosswalks/{desks.WALK}/?version=1"
    with Ledger.open(home / "ledger") as ledger:
        lifecycle.act(subject, "submit", "one", "ready", clock.now(), ledger=ledger)
        assert "It waits for a reviewer" in check(steward.get(address), "en").text
        lifecycle.act(subject, "approve", "reviewer-1", "read", clock.now(), ledger=ledger)
    told = check(steward.get(address), "en").text
    assert "It waits for a reviewer" not in told


def test_a_reviewer_is_led_to_the_version_that_waits_with_the_form_and_the_labels(reviewer, home, db):
    rows = (Row("М", "1"), Row("z", "41721000000000", justification="semapv:LexicalMatching"))
    codelists.import_crosswalk(Crosswalk(desks.WALK, rows, version="1", object_source="kg:sex"), "unit", clock.now())
    desks.suggest()
    address = f"/ru/desks/crosswalks/{desks.WALK}/"
    with Ledger.open(home / "ledger") as ledger:
        lifecycle.act(
            lifecycle.Subject("crosswalk", desks.WALK, "1"), "submit", "one", "ready", clock.now(), ledger=ledger
        )
    page = check(reviewer.get(address), "ru")
    assert "approve" in {b.get("value") for b in page.all("button")}
    assert {"class": "button button--quiet", "href": "#life"} in page.all("a")
    assert "мужской" in page.text.lower()
    assert "Ош" in page.text
    assert "машина" in page.text
    assert "approve" not in {b.get("value") for b in check(reviewer.get(f"{address}?version="), "ru").all("button")}


def test_a_data_owner_is_led_to_the_own_fields(data_owner, home, db, network):
    (card,) = [a for a in check(data_owner.get("/en/desks/"), "en").all("a") if "organisations/" in a.get("href", "")]
    assert check(data_owner.get(card["href"]), "en").text


def test_a_pasted_contract_that_is_refused_stays_where_it_was_typed_and_the_line_is_named(steward, dataset):
    text = "kind: DataContract\nid: [a\nversion: <1>\n"
    page = steward.post("/en/desks/contracts/", {"do": "paste", "document": text, "about": "clinic.csv#clinic"})
    told = check(page, "en")
    assert page.status_code == 200
    assert "line 3" in told.text
    assert escape(text) in page.content.decode()
    assert [a["value"] for a in told.all("input") if a.get("name") == "about"] == ["clinic.csv#clinic"]
    assert "line 3" not in check(steward.get("/en/desks/contracts/"), "en").text
    assert [a["label"] for a in told.all("optgroup")] == ["clinic.csv"]
