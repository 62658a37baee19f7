"""What is approved at the desks is what was looked at: a version's own rows, and no other version, request or wording that came meanwhile."""

import json

import pytest
import web_desks as desks
from web_pages import check, signed_in

from kerege.catalogue.codes import crosswalk_desk, decisions
from kerege.catalogue.contracts import drafts as contract_drafts
from kerege.catalogue.inventory import doings
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.doings import Subject
from kerege.catalogue.models import ConceptLink, Dataset, RegisterReview
from kerege.catalogue.ownership import face as ownership
from kerege.catalogue.requests import doings as requests
from kerege.ground import clock
from kerege.web.access import Audience

WALK = f"/en/desks/crosswalks/{desks.WALK}/"
CONTRACT = "/en/desks/contracts/kg:clinic/"
REQUEST = "/en/desks/requests/clinic-register/"
REVIEW = {"do": "review", "role": "coordinating-body", "decision": "positive", "reason": "complete"}


def shown(client, address, **query):
    """The page, and what its form says it was: the hidden fields without the token."""
    page = check(client.get(address, query), "en")
    told = {i["name"]: i["value"] for i in page.all("input") if i.get("type") == "hidden"}
    return page, {name: told[name] for name in ("version", "seen", "request") if name in told}


def post(client, address, told, **fields):
    return check(client.post(address, {**told, **fields}, follow=True), "en")


def state(kind, thing, version):
    return lifecycle.status(Subject(kind, thing, version)).state


@pytest.fixture
def walk(home, db):
    """A crosswalk's first version with one code, submitted; and the other code decided after it."""
    desks.suggest()
    decisions.decide(desks.WALK, "М", "accepted", "steward-1", clock.now(), target="1")
    crosswalk_desk.make_version(desks.WALK, "1.0.0", "reject", "steward-1", clock.now())
    lifecycle.act(Subject("crosswalk", desks.WALK, "1.0.0"), "submit", "steward-1", "one code", clock.now())
    decisions.decide(desks.WALK, "Ж", "accepted", "steward-1", clock.now(), target="2")


def test_a_versions_page_shows_its_own_rows_and_not_what_was_decided_since(reviewer, walk):
    own, told = shown(reviewer, WALK, version="1.0.0")
    assert told["version"] == "1.0.0"
    assert "Open 1 Accepted 1" in own.text
    at_work, told = shown(reviewer, WALK, version="")
    assert "Open 0 Accepted 2" in at_work.text
    assert told == {}, "what is being worked on has nothing to approve"
    assert reviewer.get(WALK, {"version": "9"}).status_code == 404


def test_a_crosswalk_is_approved_in_the_version_that_was_looked_at_though_a_newer_one_came(reviewer, walk):
    _, told = shown(reviewer, WALK, version="1.0.0")
    crosswalk_desk.make_version(desks.WALK, "1.0.1", "reject", "steward-1", clock.now())
    lifecycle.act(Subject("crosswalk", desks.WALK, "1.0.1"), "submit", "steward-1", "both codes", clock.now())
    post(reviewer, WALK, told, action="approve", reason="checked")
    assert state("crosswalk", desks.WALK, "1.0.0") == "approved"
    assert state("crosswalk", desks.WALK, "1.0.1") == "submitted"


@pytest.mark.parametrize("spoiled", [{"seen": ""}, {"version": "1.0.1"}, {"seen": "1-"}])
def test_what_was_seen_of_one_version_approves_no_other(reviewer, walk, spoiled):
    crosswalk_desk.make_version(desks.WALK, "1.0.1", "reject", "steward-1", clock.now())
    lifecycle.act(Subject("crosswalk", desks.WALK, "1.0.1"), "submit", "steward-1", "both codes", clock.now())
    _, told = shown(reviewer, WALK, version="1.0.0")
    page = post(reviewer, WALK, {**told, **spoiled}, action="approve", reason="checked")
    assert "catalogue.lifecycle_raced" in page.text
    assert "Look at the page again" in page.text
    assert {state("crosswalk", desks.WALK, v) for v in ("1.0.0", "1.0.1")} == {"submitted"}


def draft(rows=("pin", "sex")):
    dataset = Dataset.objects.first()
    document = contract_drafts.document(dataset, "kg:clinic", "1.0.0", clock.now())
    table = document["schema"][0]
    table["properties"] = [p for p in table["properties"] if p["name"] in rows]
    return contract_drafts.pasted(json.dumps(document), "steward-1", clock.now(), dataset=str(dataset))


@pytest.fixture
def contract(home, db):
    made = desks.plan(desks.register(home))
    doings.apply_plan(made.plan_id, clock.now())
    draft()
    return Subject("contract", "kg:clinic", "1.0.0")


def test_a_contract_that_was_replaced_while_a_reviewer_read_it_is_not_approved(reviewer, contract):
    lifecycle.act(contract, "submit", "steward-1", "ready", clock.now())
    _, told = shown(reviewer, CONTRACT)
    lifecycle.act(contract, "withdraw", "steward-1", "a column forgotten", clock.now())
    draft(("pin", "sex", "region"))
    lifecycle.act(contract, "submit", "steward-1", "ready now", clock.now())
    page = post(reviewer, CONTRACT, told, action="approve", reason="read")
    assert "Look at the page again" in page.text
    assert "steward-1 did submit" in page.text
    assert lifecycle.status(contract).state == "submitted"
    post(reviewer, CONTRACT, shown(reviewer, CONTRACT)[1], action="approve", reason="read again")
    assert lifecycle.status(contract).state == "approved"


def test_a_draft_that_somebody_replaced_is_submitted_by_nobody_who_saw_the_other(steward, contract):
    _, told = shown(steward, CONTRACT)
    draft(("pin",))
    page = post(steward, CONTRACT, told, action="submit", reason="ready")
    assert "catalogue.lifecycle_raced" in page.text
    assert lifecycle.status(contract).state == "draft"


def ask(kind="establish", **more):
    told = {p: {"ky": "Клиника", "ru": "Клиника", "en": "The clinic"} for p in ("name", "purpose")}
    return requests.ask(
        "clinic-register", kind, {**told, "legislations": [{"name": "Law 1"}], **more}, organisation="70000003", by="owner-1",
        reason="on paper now", now=clock.now(),
    )  # fmt: skip


def test_a_review_is_of_the_request_that_was_shown_and_not_of_the_one_after_it(reviewer, home, db):
    first = ask()
    _, told = shown(reviewer, REQUEST)
    requests.withdraw(first.request_id, by="owner-1", reason="a mistake", now=clock.now())
    second = ask(stored_data=["Names of children"])
    page = post(reviewer, REQUEST, told, **REVIEW)
    assert "Look at the page again" in page.text
    assert not RegisterReview.objects.filter(by="reviewer-1").exists()
    post(reviewer, REQUEST, shown(reviewer, REQUEST)[1], **REVIEW)
    assert [r.by for r in requests.request(second.request_id).reviews] == ["reviewer-1"]


def test_a_review_that_came_meanwhile_is_read_before_the_next_one(reviewer, home, db):
    asked = ask()
    _, told = shown(reviewer, REQUEST)
    requests.review(
        asked.request_id, "statistics-office", by="bekov", decision="positive", reason="fine", terms="yearly", now=clock.now()
    )  # fmt: skip
    page = post(reviewer, REQUEST, told, **REVIEW)
    assert "Look at the page again" in page.text
    assert [r.by for r in requests.request(asked.request_id).reviews] == ["bekov"]


def test_a_reviewer_reads_the_description_that_is_asked_for_and_not_the_one_in_force(reviewer, home, db):
    first = ask()
    for role in first.reviewers:
        requests.review(first.request_id, role, by=f"of {role}", decision="positive", reason="fine", now=clock.now())
    ask("modify", legislations=[{"name": "Law 2 on clinics"}])
    assert "Law 2 on clinics" in shown(reviewer, REQUEST)[0].text


def test_a_datasets_entry_is_approved_as_it_was_seen(people, home, db):
    made = desks.plan(desks.register(home))
    doings.apply_plan(made.plan_id, clock.now())
    dataset = Dataset.objects.get()
    desks.grant(home, "reviewer-1", Audience.REVIEWER)
    entry = Subject("dataset", str(dataset), "1")
    lifecycle.act(entry, "submit", "steward-1", "ready", clock.now())
    client, address = signed_in("reviewer-1"), f"/en/desks/owners/{dataset.pk}/"
    _, told = shown(client, address)
    lifecycle.act(entry, "withdraw", "steward-1", "not yet", clock.now())
    lifecycle.act(entry, "submit", "steward-1", "ready", clock.now())
    assert "Look at the page again" in post(client, address, told, action="approve", reason="read").text
    assert lifecycle.status(entry).state == "submitted"


def test_a_column_that_a_harvest_brought_while_a_reviewer_read_is_not_approved_with_the_rest(people, home, db):
    made = desks.plan(desks.register(home))
    doings.apply_plan(made.plan_id, clock.now())
    dataset = Dataset.objects.get()
    desks.grant(home, "reviewer-1", Audience.REVIEWER)
    entry = Subject("dataset", str(dataset), "1")
    lifecycle.act(entry, "submit", "steward-1", "ready", clock.now())
    client, address = signed_in("reviewer-1"), f"/en/desks/owners/{dataset.pk}/"
    told = shown(client, address)[1]
    dataset.rows += 1
    dataset.save()  # counted anew, which says nothing else
    pin = dataset.fields.get(name="pin")
    for change in (
        lambda: dataset.fields.create(name="diagnosis", position=99, profile=pin.profile),
        lambda: ConceptLink.objects.create(field=pin, concept="person.pin", said_by="x", linked_at=clock.now()),
        lambda: ownership.name_owner(
            dataset.source, dataset.table, "pin", "70000003", "Clinic", "Law 1", clock.now(), by="steward-1"
        ),
    ):
        change()
        assert "Look at the page again" in post(client, address, told, action="approve", reason="read").text
        assert lifecycle.status(entry).state == "submitted"
        told = shown(client, address)[1]
    post(client, address, told, action="approve", reason="read all of it")
    assert lifecycle.status(entry).state == "approved"
