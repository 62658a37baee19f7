"""The desk of crosswalks: versions made of decisions, and approved by another than who submitted them."""

import json

import web_desks as desks
from web_pages import check

from kerege.catalogue.codes import crosswalk_desk, crosswalk_page, decisions
from kerege.catalogue.codes import versions as codelists
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.ground import clock
from kerege.ledger.log import Ledger
from kerege.semantics.crosswalks.sssom import Crosswalk, Row
from kerege.web.access import Audience


def test_who_submitted_a_crosswalk_cannot_approve_it_whatever_is_posted(steward, people, home):
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
    (home / "demo-people.json").write_text(json.dumps(people), encoding="utf-8")
    desks.grant(home, "steward-1", Audience.REVIEWER)
    page = check(steward.get(address), "en")
    assert "You made or submitted this yourself" in page.text
    assert "approve" not in {b.get("value") for b in page.all("button")}, "nobody is offered what would be refused"
    refused = check(steward.post(address, {**told(), **approve}, follow=True), "en").text
    assert "catalogue.four_eyes" in refused
    assert lifecycle.status(lifecycle.Subject("crosswalk", desks.WALK, "1.0.0")).state == "submitted"


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


def test_decisions_on_columns_are_no_crosswalk(steward, dataset):
    steward.post(
        f"/en/desks/suggestions/columns/{dataset.pk}/", {"column": "pin", "choice": "person.pin", "do": "refuse"}
    )
    for address in ("crosswalks/columns:concepts/", "suggestions/codes/columns:concepts/"):
        assert steward.get(f"/en/desks/{address}").status_code == 404
        assert steward.post(f"/en/desks/{address}", {"do": "version", "version": "1"}).status_code == 404


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
