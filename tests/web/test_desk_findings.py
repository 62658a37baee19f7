"""The findings desk as its people see it: an answer can be looked at, whoever else runs a register of that name sees nothing."""

import importlib
import re
from dataclasses import replace

import web_desks as desks
from django.utils import translation
from web_pages import check, signed_in

from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.drift import NOTED
from kerege.catalogue.models import BoardStart, Finding
from kerege.ground import clock
from kerege.ground.errors import KeregeError
from kerege.identity.models import PersonalDataRead
from kerege.ledger.log import Ledger
from kerege.membership.models import Member, Subsystem
from kerege.reconcile import desk_doings, desk_queries
from kerege.reconcile import doings as reconcile
from kerege.reconcile.compare import FieldComparison
from kerege.reconcile.desk_rows import GROUPS
from kerege.reconcile.fields import of_country
from kerege.reconcile.linkage import definition
from kerege.reconcile.models import ClericalDecision, Discrepancy
from kerege.reconcile.persons import Placement
from kerege.reconcile.recording import Course, record_batch
from kerege.reconcile.settle import of_country as rules_of_country
from kerege.web import words
from kerege.web.access import Audience
from kerege.web.desks import desk_findings_words


def drift(home, *details):
    made = desks.plan(desks.register(home))
    doings.apply_plan(made.plan_id, clock.now())
    doings.set_organisation("clinic.csv", "KG/GOV/70000001")
    new = [doings.NewFinding("codes-new", 2, "sex", detail, {"codes": ["X", "Y"]}) for detail in details]
    doings.record_findings("clinic.csv", "clinic", new, clock.now(), found_by="harvest")
    return [f"catalogue-{pk}" for pk in Finding.objects.order_by("pk").values_list("pk", flat=True)]


def test_who_said_corrected_or_refused_is_shown_the_finding_with_what_happened(data_owner, home, network):
    first, second = drift(home, "2 new codes: X, Y", "2 new codes: Y, X")
    for written in ("70000001", "KG/GOV/70000001"):
        listed = check(data_owner.get("/en/desks/findings/", {"owner": written}), "en")
        chosen = {o.get("value") for o in listed.all("option") if "selected" in o}
        assert "KG/GOV/70000001" in chosen
        assert f"/en/desks/findings/{first}/" in {a.get("href") for a in listed.all("a")}
    page = check(data_owner.post(f"/en/desks/findings/{first}/", {"act": "corrected"}, follow=True), "en").text
    assert "Said to be corrected. The evidence is awaited now." in page
    told = {"act": "refused", "reason": "the codes are ours"}
    page = check(data_owner.post(f"/en/desks/findings/{second}/", told, follow=True), "en")
    assert "Refused, with the reason." in page.text
    assert "the codes are ours" in page.text
    assert "act" not in {b.get("name") for b in page.all("button")}


def test_a_finding_of_a_register_whose_name_two_organisations_use_is_no_owners_and_a_steward_answers(
    data_owner, steward, network
):
    Discrepancy.objects.create(
        discrepancy_id="disc-9", run="r", case_id="c", field="surname", left_register="civil", right_register="health",
        cls="conflict", owner="civil", found_at=clock.now(),
    )  # fmt: skip
    sent = {"note_code": "conflict", "sent_by": "steward-9", "now": clock.now()}
    bare = reconcile.send_finding("disc-9", register="civil", **sent)
    assert data_owner.get(f"/en/desks/findings/{bare}/").status_code == 200
    other = Member.objects.create(
        code="KG/COM/80000001", name_ky="x", name_ru="x", name_en="x", registered_at=clock.now()
    )
    Subsystem.objects.create(code="KG/COM/80000001/civil", member=other, registered_at=clock.now())
    assert data_owner.get(f"/en/desks/findings/{bare}/").status_code == 404
    assert data_owner.post(f"/en/desks/findings/{bare}/", {"act": "acknowledged"}).status_code == 404
    assert "Nothing waits" in check(data_owner.get("/en/desks/findings/"), "en").text
    told = {
        who: check(client.get("/en/desks/"), "en").text for who, client in (("owner", data_owner), ("steward", steward))
    }
    waits = {who: re.findall(r"without an owner (\d+) open", " ".join(text.split())) for who, text in told.items()}
    assert waits == {"owner": ["0"], "steward": ["1"]}
    page = steward.post(f"/en/desks/findings/{bare}/", {"act": "acknowledged"}, follow=True)
    assert "Acknowledged" in check(page, "en").text
    whole = reconcile.send_finding("disc-9", register="KG/GOV/70000001/civil", **sent)
    assert data_owner.get(f"/en/desks/findings/{whole}/").status_code == 200


def test_a_clerk_of_no_organisation_is_refused_and_whoever_has_one_reads_on_the_linkages_own_basis(
    clerk, home, monkeypatch
):
    known = definition.by_id("kg:persons")
    monkeypatch.setattr(definition, "by_id", lambda _: replace(known, legal_basis="Law on linkage, article 9"))
    task = desks.pair(home)
    desks.grant(home, "clerk-2", Audience.CLERK)
    offered = [check(c.get(f"/ru/desks/pairs/{task}/"), "ru").all("button") for c in (signed_in("clerk-2"), clerk)]
    assert ["open" in {b.get("value") for b in buttons} for buttons in offered] == [False, True]
    page = check(signed_in("clerk-2").post(f"/ru/desks/pairs/{task}/", {"do": "open"}, follow=True), "ru").text
    assert "reconcile.reader_unknown" in page
    assert "АСАНОВ" not in page.upper()
    assert not PersonalDataRead.objects.exists()
    assert "Law on linkage, article 9" in check(clerk.post(f"/en/desks/pairs/{task}/", {"do": "open"}), "en").text
    reads = PersonalDataRead.objects.values_list("member", "legal_basis").distinct()
    assert list(reads) == [("KG/GOV/70000003/desk", "Law on linkage, article 9")]


ENGLISH = re.compile(r"\b(?:the|of|codes|column|values|owner|seen|again|empty|has|no)\b", re.IGNORECASE)


def test_a_finding_is_told_in_the_language_of_the_page_whatever_found_it(steward, home, db):
    drift(home)
    facts = {
        "codes-new": {"codes": ["X"]}, "codes-gone": {"codes": ["X"]}, "shape-changed": {"masks": ["Аа 99"]}, "emptied": {"nulls": 120},
        "type-changed": {"was": "integer", "now": "text"}, "identifier-changed": {"was": "pin", "now": ""},
        "date-format-changed": {"was": "%Y", "now": "%d"}, "declared-type-changed": {"was": "CHAR(1)", "now": "INT"},
    }  # fmt: skip
    kinds = sorted({*NOTED, *GROUPS})
    new = [
        doings.NewFinding(
            kind, 1, "sex", f"x has no target in {desks.WALK}" if kind == "code-unknown" else "the reason of the change", facts.get(kind, {})
        )
        for kind in kinds
    ]  # fmt: skip
    doings.record_findings("clinic.csv", "clinic", new, clock.now(), found_by="harvest")
    Finding.objects.filter(kind__in=["emptied", *GROUPS]).update(
        settled_at=clock.now(), evidence="the column has an owner"
    )
    for row in Finding.objects.all():
        for language in ("ky", "ru", "en"):
            with translation.override(language):
                assert language == "en" or desk_findings_words.name(row.kind) != row.kind
                told = desk_findings_words.detail(row.kind, row.facts, row.detail)
                assert told
                assert bool(ENGLISH.search(told)) is (language == "en"), (row.kind, told)
        if row.kind in ("codes-new", "emptied", "code-unknown"):
            page = check(steward.get(f"/ru/desks/findings/catalogue-{row.pk}/"), "ru").text
            assert "the reason" not in page
            assert "the column" not in page
    with translation.override("ru"):
        assert desk_findings_words.detail("codes-new", {"codes": list("abcdefghijklmnop")}, "").endswith("l … (+4)")
        assert (
            desk_findings_words.detail("identifier-changed", {"was": "pin", "now": ""}, "")
            == "персональный номер → нет"
        )


# What no doing of a desk raises: tables harmonised, linked or compared by the command line, exports and answers to programs, messages.
NOT_AT_A_DESK = {
    "catalogue.code_twice", "catalogue.code_unknown", "catalogue.code_without_counterpart", "catalogue.column_vanished",
    "catalogue.crosswalk_needs_cells", "catalogue.crosswalk_needs_day", "catalogue.export_invalid", "catalogue.impact_unknown",
    "catalogue.key_duplicate", "catalogue.manifest_invalid", "catalogue.output_column_taken", "catalogue.output_exists",
    "catalogue.reconciliation_invalid", "catalogue.reconciliation_slow", "catalogue.search_not_built", "catalogue.shapes_missing",
    "catalogue.source_code_unknown",
    "reconcile.bulk_table_invalid", "reconcile.linkage_table_invalid", "reconcile.model_invalid", "reconcile.placing_runs",
    "reconcile.column_missing", "reconcile.split_refused", "reconcile.table_unreadable", "reconcile.training_impossible",
    "identity.access_refused", "identity.grant_refused", "identity.not_known",
    "ledger.index_out_of_range", "ledger.note_invalid", "ledger.witness_refused",
    "semantics.codelist_too_large", "semantics.date_invalid", "semantics.engine_missing", "semantics.okpo_invalid", "semantics.phone_invalid",
    "semantics.pin_invalid", "semantics.question_unreadable", "semantics.table_invalid",
}  # fmt: skip
NEVER_AT_A_DESK = (
    "semantics.payload_",
    "catalogue.reference_",
)  # families; references are published by the command line
AT_A_DESK = {
    "catalogue.reference_refused",
    "membership.not_registered",
    "membership.contract_invalid",
    "membership.other_owner",
}


def codes(room):
    importlib.import_module(f"kerege.{room}.errors")
    waiting, found = [KeregeError], set()
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if one.__module__.startswith(f"kerege.{room}."):
            found.add(one.code)
    return {code for code in found if code.startswith(f"{room}.")}


def test_every_code_that_can_reach_a_desk_has_words_and_no_word_is_for_a_code_that_is_gone():
    known = set().union(
        *(codes(room) for room in ("catalogue", "reconcile", "identity", "ledger", "semantics", "membership"))
    )
    assert known >= NOT_AT_A_DESK | AT_A_DESK
    asked = {c for c in known - NOT_AT_A_DESK if not c.startswith((*NEVER_AT_A_DESK, "membership."))} | AT_A_DESK
    worded = {key.removeprefix("desk-error.") for key in words.catalogue() if key.startswith("desk-error.")} - {"other"}
    assert sorted(asked - worded) == []
    assert sorted(worded - known) == []


def test_a_pair_is_decided_after_both_records_were_shown_and_its_reason_has_nothing_of_them(clerk, home, db):
    address = f"/en/desks/pairs/{desks.pair(home)}/"
    said = {"do": "decide", "verdict": "same", "reason": "both name the same act"}
    assert "decide" not in {b.get("value") for b in check(clerk.get(address), "en").all("button")}
    assert "open both records first" in check(clerk.post(address, said, follow=True), "en").text
    assert "decide" in {b.get("value") for b in check(clerk.post(address, {"do": "open"}), "en").all("button")}
    for told in (
        "Асанованын кызы",
        "asanova is one",
        "born 15.09.2019",
        "2019-09-15 in both",
        "pin 115 092 019 000 17",
    ):
        page = check(clerk.post(address, said | {"reason": told}, follow=True), "en")
        assert "without numbers or names of persons" in page.text, told
        assert told not in page.text
    assert "Асан" not in str(dict(clerk.session))
    assert not ClericalDecision.objects.exists()
    assert "The decision was taken down" in check(clerk.post(address, said, follow=True), "en").text


def test_no_desk_keeps_a_reason_that_names_a_person(steward, home, db):
    page = steward.post("/en/desks/board/", {"do": "start", "reason": "asked by 0555 12 34 56"}, follow=True)
    assert "without numbers or names of persons" in check(page, "en").text
    assert "0555" not in page.content.decode()
    assert not BoardStart.objects.exists()


def test_a_decision_that_contradicts_others_is_shown_with_both_and_nothing_is_joined(clerk, home, db):
    civil, health, emis = (("civil", "a" * 64), ("health", "b" * 64), ("emis", "c" * 64))
    now = clock.now()
    for ref, key in ((civil, "person-a"), (health, "person-b"), (emis, "person-c")):
        desk_doings.place_record(ref, Placement("new", key, (), ()), now)
    apart, one, last = (
        desk_doings.ask("kg:persons", "1", *refs, why="rival", now=now)
        for refs in ((civil, emis), (civil, health), (health, emis))
    )
    desk_doings.decide(apart, verdict="different", reason="two passports", by="clerk-9", now=now)
    with Ledger.open(home / "ledger") as ledger:
        desk_doings.decide_and_join(one, verdict="same", reason="one mother", by="clerk-9", ledger=ledger, now=now)
    answer = clerk.post(
        f"/en/desks/pairs/{last}/", {"do": "decide", "verdict": "same", "reason": "one address"}, follow=True
    )
    page = check(answer, "en").text
    assert "Nothing was joined" in page
    assert "two passports" in page
    assert "one address" in page
    assert desk_doings.key_book().of(civil) != desk_doings.key_book().of(emis)
    for language, said in (("ky", "карама-каршы"), ("ru", "противоречат"), ("en", "contradict")):
        for task in (last, apart):
            assert said in check(clerk.get(f"/{language}/desks/pairs/{task}/"), language).text
    assert last in check(clerk.get("/en/desks/pairs/?standing=disputed"), "en").text
    desks.grant(home, "clerk-2", Audience.CLERK)
    other = signed_in("clerk-2")
    ended = other.post(
        f"/en/desks/pairs/{last}/", {"do": "decide", "verdict": "different", "reason": "looked again"}, follow=True
    )
    assert ended.status_code == 200
    assert desk_queries.desk_queue() == []


def test_what_a_run_sent_is_answered_by_the_registers_owner_and_withdrawn_by_a_steward(data_owner, steward, network):
    found = [
        FieldComparison("sex", "population", "civil", "conflict"),
        FieldComparison("pin", "civil", "population", "conflict"),
    ]
    course = Course(rules_of_country(), {})
    record_batch({"e" * 64: found}, of_country(), run="bulk-1", now=clock.now(), course=course)
    told = {f.register: f for f in desk_queries.findings(clock.now())}
    assert set(told) == {"population", "civil"}
    mine, other = told["civil"].finding_id, told["population"].finding_id
    page = check(data_owner.post(f"/en/desks/findings/{mine}/", {"act": "in_work"}, follow=True), "en")
    assert "in work" in page.text
    assert "e" * 64 in page.text, "the pair of records, as the file of cases names it"
    assert "No rule settles it" not in page.text
    for language, rule in (
        ("ky", "көчүрмөнү жүргүзгөнгө"),
        ("ru", "источника истины"),
        ("en", "The source of truth's value counts"),
    ):
        assert rule in check(data_owner.get(f"/{language}/desks/findings/{mine}/"), language).text
    assert data_owner.get(f"/en/desks/findings/{other}/").status_code == 404
    assert data_owner.post(f"/en/desks/findings/{mine}/", {"act": "withdrawn", "reason": "no"}).status_code == 403
    page = steward.post(
        f"/en/desks/findings/{other}/", {"act": "withdrawn", "reason": "the link was wrong"}, follow=True
    )
    assert "Withdrawn" in check(page, "en").text
