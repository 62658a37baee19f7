"""What a desk's page costs does not grow with what waits behind it: as many questions for many things as for a few; bounds are told."""

import json
from datetime import timedelta

import web_desks as desks
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from web_pages import check

from kerege.catalogue.board import doings as board
from kerege.catalogue.codes import decisions
from kerege.catalogue.contracts import drafts as contract_drafts
from kerege.catalogue.inventory import plans_left
from kerege.catalogue.lifecycle.queries import LEADS_TO
from kerege.catalogue.lifecycle.rules import TRANSITIONS
from kerege.catalogue.models import (
    CodeSuggestion,
    ContractVersion,
    CrosswalkVersion,
    Dataset,
    Deprecation,
    Field,
    Finding,
    LifecycleAction,
    Plan,
    RegisterRequest,
)
from kerege.catalogue.requests import doings as requests
from kerege.catalogue.search import index as search_index
from kerege.ground import clock
from kerege.semantics.suggest.evidence import CandidateSet, Evidenced


def asked(client, address):
    with CaptureQueriesContext(connection) as seen:
        assert client.get(address).status_code == 200
    return len(seen)


def acted(kind, thing, version, *actions):
    now = clock.now()
    return [
        LifecycleAction(
            kind=kind, subject=thing, version=version, number=n, action=action, by=f"person-{n}", reason="r", at=now, digest="0" * 64
        )
        for n, action in enumerate(actions, start=1)
    ]  # fmt: skip


def contracts(dataset, first, last, *actions):
    """Contracts with two versions each; the first has gone through `actions` and, if deprecated, has a clock."""
    now = clock.now()
    document = contract_drafts.document(dataset, "kg:c", "1.0.0", now)
    document["team"] = {"name": "Registry"}
    names = [f"kg:c{n:05}" for n in range(first, last)]
    ContractVersion.objects.bulk_create(
        ContractVersion(
            contract=name, version=version, document={**document, "id": name, "version": version}, fingerprint="0" * 64, dataset=dataset,
            added_at=now, added_by="x",
        )
        for name in names for version in ("1.0.0", "1.1.0")
    )  # fmt: skip
    LifecycleAction.objects.bulk_create(row for name in names for row in acted("contract", name, "1.0.0", *actions))
    if "deprecate" in actions:
        Deprecation.objects.bulk_create(
            Deprecation(contract=row, announced_at=now, ends_at=now + timedelta(days=9), reason="r", by="x")
            for row in ContractVersion.objects.filter(contract__in=names, version="1.0.0")
        )


PUBLISHED = ("submit", "approve", "publish")


def test_the_list_of_contracts_costs_the_same_for_two_hundred_as_for_six(steward, dataset):
    contracts(dataset, 0, 6, *PUBLISHED, "deprecate")
    few = asked(steward, "/en/desks/contracts/")
    contracts(dataset, 6, 205, *PUBLISHED)
    contracts(dataset, 205, 215, *PUBLISHED, "deprecate", "retire")
    assert asked(steward, "/en/desks/contracts/") <= few
    text = check(steward.get("/en/desks/contracts/"), "en").text
    assert "kg:c00005 1.0.0" in text, "a clock that runs is told however many contracts there are"
    assert "kg:c00205 1.0.0" not in text, "one that is over with its version is not"
    assert "1.0.0 deprecated 1.1.0 draft" in text
    assert "Registry" in text


def test_the_list_of_crosswalks_costs_the_same_for_a_hundred_as_for_three(steward, home, db):
    def make(first, last):
        names = [f"kg:w{n:05}--x" for n in range(first, last)]
        CrosswalkVersion.objects.bulk_create(
            CrosswalkVersion(
                crosswalk=name, version="1.0.0", policy="reject", rows=0, digest="0" * 64, content="", imported_by="x", imported_at=clock.now()
            )
            for name in names
        )  # fmt: skip
        LifecycleAction.objects.bulk_create(row for n in names for row in acted("crosswalk", n, "1.0.0", "submit"))

    make(0, 3)
    few = [asked(steward, f"/en/desks/{path}") for path in ("crosswalks/", "suggestions/", "")]
    make(3, 120)
    assert [asked(steward, f"/en/desks/{path}") for path in ("crosswalks/", "suggestions/", "")] == few
    text = check(steward.get("/en/desks/crosswalks/"), "en").text
    assert "kg:w00003--x 1.0.0 submitted" in text


def ask(name):
    told = {p: {"ky": "Реестр", "ru": "Реестр", "en": f"Register {name}"} for p in ("name", "purpose")}
    return requests.ask(
        name, "establish", {**told, "legislations": [{"name": "Law 1"}]}, organisation="70000003", by="owner-1", reason="on paper now",
        now=clock.now(),
    )  # fmt: skip


def review(request, *decisions_):
    for role, decision in zip(request.reviewers, decisions_, strict=False):
        requests.review(request.request_id, role, by=f"of {role}", decision=decision, reason="read it", now=clock.now())


def test_the_list_of_requests_costs_the_same_for_sixty_as_for_four_and_begins_with_what_is_open(steward, home, db):
    review(ask("m1"), "positive", "positive", "positive")
    review(ask("m2"), "negative")
    review(ask("z1"), "positive")
    ask("z2")
    assert requests.open_registers() == ["z1", "z2"]
    page = check(steward.get("/en/desks/requests/"), "en").text
    assert [page.index(f"Register {name} ") for name in ("z1", "z2", "m1", "m2")] == sorted(
        page.index(f"Register {name} ") for name in ("z1", "z2", "m1", "m2")
    )
    assert "2 requests" in check(steward.get("/en/desks/"), "en").text, "one of the two has a review and still waits"
    few = [asked(steward, f"/en/desks/{path}") for path in ("requests/", "")]
    row = RegisterRequest.objects.get(register="z2")
    RegisterRequest.objects.bulk_create(
        RegisterRequest(
            request_id=f"request-{n}", register=f"a{n:03}", number=1, kind=row.kind, description=row.description, by=row.by,
            organisation=row.organisation, reason=row.reason, reviewers=row.reviewers, due=row.due, at=row.at, digest="0" * 64,
        )
        for n in range(60)
    )  # fmt: skip
    assert [asked(steward, f"/en/desks/{path}") for path in ("requests/", "")] == few


def test_every_dataset_can_be_found_and_marked_however_many_there_are(steward, dataset):
    def more(first, last):
        Dataset.objects.bulk_create(
            Dataset(source="big.db", kind="sqlite", table=f"t{n:04}", rows=1, profile=dataset.profile, harvested_at=clock.now())
            for n in range(first, last)
        )  # fmt: skip

    def offered(**query):
        page = check(steward.get("/en/desks/board/", query), "en")
        return [o["value"] for o in page.all("option") if o.get("value")], page

    board.start("the plan", by="steward-1", now=clock.now())
    more(0, 70)
    search_index.rebuild()
    last = Dataset.objects.get(table="t0069")
    first, page = offered()
    assert len(first) == 50
    assert str(last.pk) not in first
    assert "The list holds 50 of 71 now" in page.text
    assert offered(find="t0069")[0][0] == str(last.pk)
    assert offered(find="no such thing at all")[0] == []
    steward.post("/en/desks/board/", {"do": "mark", "dataset": last.pk, "reason": "births"})
    assert str(last.pk) not in offered(find="t0069")[0]
    board.unmark_critical("big.db", "t0069", reason="a slip", by="steward-1", now=clock.now())
    assert offered(find="t0069")[0][0] == str(last.pk), "what was taken off the board can be marked again"
    few = asked(steward, "/en/desks/board/"), asked(steward, f"/en/desks/contracts/?dataset={last.pk}")
    more(70, 300)
    assert (asked(steward, "/en/desks/board/"), asked(steward, f"/en/desks/contracts/?dataset={last.pk}")) == few
    assert str(last.pk) in [
        o["value"]
        for o in check(steward.get(f"/en/desks/contracts/?dataset={last.pk}"), "en").all("option")
        if "selected" in o
    ]


def test_measuring_and_accepting_what_is_sure_cost_the_same_for_eighty_as_for_two(home, db):
    def run(first, last):
        sets = [
            CandidateSet(f"c{n}", (Evidenced("1", 0.9, 0.9, 9, 0.9),), "accept", "labels") for n in range(first, last)
        ]
        decisions.keep_suggestions(desks.WALK, decisions.new_run(), sets, {}, {}, clock.now())
        rows = CodeSuggestion.objects.filter(code__in=[s.source_code for s in sets]).prefetch_related("candidates")
        with CaptureQueriesContext(connection) as seen:
            assert decisions.accept_sure(rows, "steward-1", clock.now()) == last - first
            measured = decisions.measure(desks.WALK)
        return len(seen), measured.codes, measured.hit1, measured.wrong

    assert run(0, 2)[1:] == (2, 1.0, 0)
    few = run(2, 4)[0]
    assert run(4, 84) == (few, 84, 1.0, 0)


def test_two_thousand_rows_ask_no_more_questions_than_twenty(steward, dataset):
    def asked_of_all():
        paths = ("suggestions/", f"suggestions/codes/{desks.WALK}/", "findings/", "")
        return {path: asked(steward, f"/en/desks/{path}") for path in paths}

    desks.suggest(extra=20)
    made = [
        Finding(dataset=dataset, kind="emptied", detail=str(n), found_by="harvest", found_at=clock.now())
        for n in range(2000)
    ]
    Finding.objects.bulk_create(made[:20])
    few = asked_of_all()
    desks.suggest(extra=2000)
    Finding.objects.bulk_create(made[20:])
    many = asked_of_all()
    assert {path: n for path, n in many.items() if n > few[path]} == {}


def test_who_applied_a_plan_is_written_with_the_plan(steward, home):
    made = desks.plan(desks.register(home))
    with CaptureQueriesContext(connection) as seen:
        plans_left.apply_at_desk(made.plan_id, "steward-1", clock.now())
    assert Plan.objects.get().decided_by == "steward-1"
    assert seen.captured_queries[-1]["sql"].startswith("RELEASE SAVEPOINT"), "nothing is written after the transaction"


def test_every_action_leads_to_one_state_whatever_it_began_from():
    assert all(LEADS_TO[action] is state for allowed in TRANSITIONS.values() for action, state in allowed.items())


def test_a_contract_is_pasted_whole_or_refused_in_words(steward, dataset):
    page = check(steward.get("/en/desks/contracts/"), "en")
    [form] = [
        f for f in page.all("form") if f.get("enctype") == "multipart/form-data"
    ]  # else a letter of ours is six bytes
    [field] = [f for f in page.all("textarea") if f["id"] == "document"]
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    assert int(field["maxlength"]) == most
    document = contract_drafts.document(dataset, "kg:long", "1.0.0", clock.now())
    document["description"] = {"purpose": "ө" * (most // 2 - 4000)}
    text = json.dumps(document, ensure_ascii=False)
    assert (
        "The contract was kept"
        in check(steward.post("/en/desks/contracts/", {"do": "paste", "document": text}, follow=True), "en").text
    )
    assert ContractVersion.objects.get().document["description"] == document["description"]
    answer = steward.post("/ru/desks/contracts/", {"do": "paste", "document": text + "ө" * 5000})
    assert answer.status_code == 413
    assert f"не больше {most // 1024} КБ" in check(answer, "ru").text
    assert form


def test_a_dataset_of_many_columns_gets_its_owners_a_hundred_at_a_time(steward, dataset):
    like = dataset.fields.get(name="sex")
    Field.objects.bulk_create(
        Field(dataset=dataset, name=f"c{n:04}", position=10 + n, profile={**like.profile, "name": f"c{n:04}"}) for n in range(240)
    )  # fmt: skip
    address = f"/en/desks/owners/{dataset.pk}/"
    page = check(steward.get(address), "en")
    ticked = [i["value"] for i in page.all("input") if i.get("name") == "columns"]
    assert (len(ticked), len([r for r in page.all("th") if r.get("scope") == "row"])) == (100, 100)
    assert "The first 100 of 245 without an owner" in page.text
    assert "(245)" in page.text  # reasons against publishing, of which thirty are spelled out
    told = {
        "do": "name",
        "organisation": "70000001",
        "unit": "registry",
        "legal_basis": "Law 5, article 1",
        "columns": ticked,
    }
    page = check(steward.post(address, told, follow=True), "en")
    assert "The owner was named" in page.text
    assert "The first 100 of 145 without an owner" in page.text
    assert "c0239" in check(steward.get(address, {"page": 3}), "en").text
