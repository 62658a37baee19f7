"""Owners and sources of truth in the catalogue: named, handed over, ended, asked for as of a day."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from kerege.catalogue import errors
from kerege.catalogue.inventory import doings, queries
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import Dataset, Field, Finding, Owner, SourceOfTruth
from kerege.catalogue.ownership import face as ownership
from kerege.catalogue.ownership.findings import note_findings
from kerege.catalogue.ownership.roles import load_roles
from kerege.catalogue.ownership.rules import Period

NOW = datetime(2026, 10, 1, 9, tzinfo=UTC)
SOURCE, TABLE = "people.csv", "people"
LAW = "Law 5, art. 7"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def dataset(people: Path) -> Dataset:
    plan = doings.make_plan(harvest_source(str(people), Options()), Options(), NOW, location=str(people))
    doings.apply_plan(plan.plan_id, NOW)
    return Dataset.objects.get()


def day(n: float) -> datetime:
    return NOW + timedelta(days=n)


def name(column: str = "pin", organisation: str = "70000001", now: datetime = NOW, **how: Any) -> Owner:
    return ownership.name_owner(SOURCE, TABLE, column, organisation, "Registry", LAW, now, **{"by": "steward-1", **how})


def interim(column: str = "pin", until: float = 30, **how: Any) -> Owner:
    told = {"names_lasting": "70000009", "by": "steward-1", **how}
    return ownership.name_interim(SOURCE, TABLE, column, "70000001", "Registry", LAW, NOW, until=day(until), **told)


def owner_at(n: float, column: str = "pin") -> str | None:
    found = ownership.owner_of(Field.objects.get(name=column).pk, day(n))
    return found.organisation if found else None


def test_a_second_current_owner_is_refused_and_told_who_owns_it_since_when() -> None:
    name()
    with pytest.raises(errors.OwnerTaken) as error:
        name(organisation="70000002", now=day(1))
    assert error.value.params["owner"] == "70000001 Registry, since 2026-10-01T09:00:00Z"
    assert Owner.objects.count() == 1


def test_what_was_refused_for_one_attribute_of_several_stands_nowhere_in_the_ledger(ledger: Any) -> None:
    name("pol")
    for refused in (
        lambda: ownership.name_owners(
            SOURCE, TABLE, "70000002", "Registry", LAW, NOW, columns=["pin", "pol"], ledger=ledger, by="steward-1"
        ),
        lambda: ownership.name_interims(
            SOURCE, TABLE, "70000002", "Registry", LAW, NOW, until=day(9), names_lasting="70000009",
            columns=["pin", "pol"], ledger=ledger, by="steward-1",
        ),
        lambda: ownership.hand_over_several(
            SOURCE, TABLE, "70000002", "Registry", LAW, NOW, by="70000001", columns=["pol", "pin"], ledger=ledger
        ),
    ):  # fmt: skip
        with pytest.raises((errors.OwnerTaken, errors.UnownedAlready)):
            refused()
    assert (Owner.objects.count(), ledger.entries) == (1, [])


def test_every_attribute_of_several_has_its_own_entry_and_knows_it(ledger: Any) -> None:
    rows = ownership.name_owners(
        SOURCE, TABLE, "70000001", "Registry", LAW, NOW, columns=["pin", "pol"], ledger=ledger, by="steward-1"
    )
    rows += ownership.hand_over_several(
        SOURCE, TABLE, "70000002", "Registry", LAW, day(1), by="70000001", columns=["pin"], ledger=ledger
    )
    assert [Owner.objects.get(pk=r.pk).ledger_index for r in rows] == [0, 1, 2]
    assert [e.body["after"] for e in ledger.entries] == ["", "", "70000001 Registry"]


def test_a_source_of_truth_that_takes_anothers_place_says_whose_in_the_ledger(ledger: Any) -> None:
    told = ("pin", "pol")
    for n, column in enumerate(told):
        ownership.declare_source_of_truth(
            "person.pin", SOURCE, TABLE, column, LAW, day(n), replace=True, by="70000001", ledger=ledger
        )
    assert [e.body["instead_of"] for e in ledger.entries] == ["", "people.csv#people.pin"]
    assert list(SourceOfTruth.objects.order_by("number").values_list("ledger_index", flat=True)) == [0, 1]


def test_an_owner_who_is_to_begin_later_already_stands_in_the_way_of_one_without_an_end() -> None:
    name(since=day(10))
    with pytest.raises(errors.OwnerTaken):
        name(organisation="70000002")
    assert (owner_at(9), owner_at(10)) == (None, "70000001")


def test_an_interim_owner_may_fill_the_days_until_the_lasting_one_begins() -> None:
    name(since=day(30), organisation="70000002")
    interim(until=30)
    assert (owner_at(29.9), owner_at(30)) == ("70000001", "70000002")


def test_owners_are_asked_for_as_of_a_day() -> None:
    name(since=day(-100))
    ownership.hand_over(SOURCE, TABLE, "pin", "70000002", "Office", "Law 9, art. 1", day(5), by="70000001")
    assert [owner_at(n) for n in (-101, -100, 4.9, 5)] == [None, "70000001", "70000001", "70000002"]


def test_a_hand_over_by_another_than_the_present_owner_is_refused() -> None:
    name()
    with pytest.raises(errors.HandOverRefused) as error:
        ownership.hand_over(SOURCE, TABLE, "pin", "70000002", "Office", LAW, day(1), by="70000002")
    assert "Only 70000001" in error.value.next_step
    assert owner_at(1) == "70000001"


def test_a_hand_over_without_a_legal_basis_leaves_the_owner_as_it_was() -> None:
    name()
    with pytest.raises(errors.LegalBasisMissing):
        ownership.hand_over(SOURCE, TABLE, "pin", "70000002", "Office", " ", day(1), by="70000001")
    assert Owner.objects.get().until is None


def test_what_nobody_owns_is_not_handed_over_or_ended() -> None:
    with pytest.raises(errors.UnownedAlready):
        ownership.hand_over(SOURCE, TABLE, "pin", "70000002", "Office", LAW, NOW, by="70000001")
    with pytest.raises(errors.UnownedAlready):
        ownership.end_owner(SOURCE, TABLE, "pin", LAW, "closed", NOW, by="70000001")


def test_a_lasting_owner_follows_an_interim_one_by_who_must_name_it_and_by_nobody_else() -> None:
    interim()
    with pytest.raises(errors.HandOverRefused):
        ownership.hand_over(SOURCE, TABLE, "pin", "70000001", "Registry", LAW, day(3), by="70000001")
    ownership.hand_over(SOURCE, TABLE, "pin", "70000002", "Office", LAW, day(3), by="70000009")
    assert [(o.kind, o.until) for o in Owner.objects.order_by("number")] == [("interim", day(3)), ("lasting", None)]


@pytest.mark.parametrize(("until", "names_lasting"), [(0, "x"), (-1, "x"), (91, "x"), (30, " ")])
def test_an_interim_owner_without_an_end_in_reach_or_without_a_successors_namer_is_refused(
    until: float, names_lasting: str
) -> None:
    with pytest.raises(errors.InterimInvalid):
        interim(until=until, names_lasting=names_lasting)
    assert not Owner.objects.exists()


def test_an_interim_that_ran_out_is_a_finding_once_and_settled_when_the_lasting_owner_is_named() -> None:
    interim(until=30)
    assert note_findings(day(29)) == (0, 0)
    assert note_findings(day(30)) == (1, 0)
    assert note_findings(day(31)) == (0, 0)
    found = Finding.objects.get()
    assert (found.kind, found.found_by, found.settled_at) == ("interim-owner-ran-out", "ownership", None)
    assert "70000009 must name the lasting owner" in found.detail
    name(organisation="70000002", now=day(32))
    found = Finding.objects.get()
    assert (found.settled_at, found.evidence) == (day(32), "pin: owned by 70000002 Registry")


def test_an_answer_does_not_make_what_is_wrong_with_ownership_right() -> None:
    interim(until=30)
    note_findings(day(30))
    Finding.objects.update(ended_at=day(31))  # refused by its owner, or withdrawn
    assert note_findings(day(32)) == (1, 0)
    assert note_findings(day(33)) == (0, 0)
    old, new = Finding.objects.order_by("pk")
    assert (new.found_at, new.ended_at, new.facts) == (day(32), None, {"before": old.pk})
    name(organisation="70000002", now=day(34))
    assert not Finding.objects.filter(settled_at=None).exists()


def test_an_ending_is_kept_with_who_why_and_by_what_law() -> None:
    name()
    ownership.end_owner(SOURCE, TABLE, "pin", "Decree 3", "the body was dissolved", day(2), by="70000001")
    row = Owner.objects.get()
    assert (row.until, row.ended_by, row.ended_reason, row.ended_basis) == (
        day(2), "70000001", "the body was dissolved", "Decree 3",
    )  # fmt: skip
    assert owner_at(2) is None


def test_one_owner_is_named_for_all_attributes_nobody_owns_or_for_none() -> None:
    name("fio", "70000002")
    named = ownership.name_owners(SOURCE, TABLE, "70000001", "Registry", LAW, NOW, by="steward-1")
    assert len(named) == 5
    assert owner_at(0, "fio") == "70000002"
    with pytest.raises(errors.OwnerTaken):
        ownership.name_owners(SOURCE, TABLE, "70000003", "Office", LAW, NOW, columns=["region", "fio"], by="steward-1")
    assert Owner.objects.filter(organisation="70000003").count() == 0


def test_an_unowned_attribute_cannot_be_published_neither_asked_nor_done(dataset: Dataset) -> None:
    subject = ownership.dataset_subject(dataset, "1")
    lifecycle.act(subject, "submit", "asanova", "ready", NOW)
    lifecycle.act(subject, "approve", "bekov", "fine", NOW)
    ownership.name_owners(
        SOURCE, TABLE, "70000001", "Registry", LAW, NOW, columns=["pin", "fio", "birth", "pol"], by="steward-1"
    )
    verdict = ownership.may_publish(dataset.pk, NOW)
    assert verdict.reasons == ("region has no owner", "telefon has no owner")
    with pytest.raises(errors.LifecycleBlocked, match="region has no owner; telefon has no owner"):
        lifecycle.act(subject, "publish", "bekov", "now", NOW)
    ownership.name_owners(SOURCE, TABLE, "70000001", "Registry", LAW, NOW, by="steward-1")
    assert ownership.may_publish(dataset.pk, NOW).allowed
    assert lifecycle.act(subject, "publish", "bekov", "now", NOW).leads_to is lifecycle.State.PUBLISHED


def test_a_dataset_published_with_an_interim_owner_may_not_be_once_the_term_ran_out(dataset: Dataset) -> None:
    ownership.name_owners(
        SOURCE,
        TABLE,
        "70000002",
        "Office",
        LAW,
        NOW,
        columns=["fio", "birth", "pol", "region", "telefon"],
        by="steward-1",
    )
    interim(until=30)
    assert ownership.may_publish(dataset.pk, day(29)).allowed
    assert not ownership.may_publish(dataset.pk, day(30))


def test_a_vanished_attribute_needs_no_owner(dataset: Dataset) -> None:
    ownership.name_owners(SOURCE, TABLE, "70000001", "Registry", LAW, NOW, columns=["pin"], by="steward-1")
    dataset.fields.exclude(name="pin").update(vanished=True)
    assert ownership.may_publish(dataset.pk, NOW).allowed


def test_a_dataset_the_catalogue_does_not_hold_is_unknown() -> None:
    with pytest.raises(errors.DatasetUnknown):
        ownership.may_publish(999_999, NOW)


def test_what_binds_is_in_the_ledger(ledger: Any) -> None:
    name(ledger=ledger, by="steward")
    ownership.hand_over(SOURCE, TABLE, "pin", "70000002", "Office", LAW, day(1), by="70000001", ledger=ledger)
    ownership.end_owner(SOURCE, TABLE, "pin", LAW, "closed", day(2), by="70000002", ledger=ledger)
    assert ledger.kinds() == ["owner", "owner", "owner-ended"]
    handed = ledger.entries[1].body
    assert (handed["attribute"], handed["after"], handed["organisation"]) == (
        "people.csv#people.pin", "70000001 Registry", "70000002",
    )  # fmt: skip
    assert [o.ledger_index for o in Owner.objects.order_by("number")] == [0, 1]


def test_a_concept_is_asked_for_as_of_a_day_and_answered_with_register_law_and_owner() -> None:
    name(since=day(-100))
    ownership.declare_source_of_truth("person.pin", SOURCE, TABLE, "pin", LAW, NOW, since=day(-10), by="steward-1")
    assert ownership.source_of_truth("person.pin", day(-11)) is None
    found = ownership.source_of_truth("person.pin", NOW)
    assert found is not None
    assert (found.dataset, found.column, found.legal_basis) == ("people.csv#people", "pin", LAW)
    assert found.owner is not None
    assert found.owner.organisation == "70000001"


def test_a_new_source_of_truth_ends_the_former_at_its_own_beginning(ledger: Any) -> None:
    ownership.declare_source_of_truth("person.pin", SOURCE, TABLE, "pin", LAW, NOW, by="steward-1")
    with pytest.raises(errors.SourceOfTruthTaken):
        ownership.declare_source_of_truth("person.pin", SOURCE, TABLE, "fio", "Law 9", day(5), by="steward-1")
    ownership.declare_source_of_truth(
        "person.pin", SOURCE, TABLE, "fio", "Law 9", day(5), since=day(10), replace=True, ledger=ledger, by="steward-1"
    )
    columns = [ownership.source_of_truth("person.pin", day(n)) for n in (0, 9.9, 10)]
    assert [t.column if t else None for t in columns] == ["pin", "pin", "fio"]
    assert ledger.kinds() == ["source-of-truth"]


def test_a_source_of_truth_is_ended_with_its_legal_basis_and_not_twice() -> None:
    ownership.declare_source_of_truth("person.pin", SOURCE, TABLE, "pin", LAW, NOW, by="steward-1")
    ownership.end_source_of_truth("person.pin", "Law 9", "the register is closed", day(1), by="70000001")
    assert ownership.source_of_truth("person.pin", day(1)) is None
    with pytest.raises(errors.UnownedAlready):
        ownership.end_source_of_truth("person.pin", "Law 9", "again", day(2), by="70000001")


def test_a_unit_that_is_too_long_or_missing_is_refused() -> None:
    for unit in ("", "x" * 201):
        with pytest.raises(errors.OwnershipIncomplete):
            ownership.name_owner(SOURCE, TABLE, "pin", "70000001", unit, LAW, NOW, by="steward-1")


def test_nobody_owns_or_decides_anything_by_an_unnamed_hand(ledger: Any) -> None:
    for by in ("", "  ", "x" * 201):
        for doing in (
            lambda by=by: name(by=by, ledger=ledger),
            lambda by=by: interim(by=by, ledger=ledger),
            lambda by=by: ownership.declare_source_of_truth(
                "person.pin", SOURCE, TABLE, "pin", LAW, NOW, by=by, ledger=ledger
            ),
        ):
            with pytest.raises(errors.OwnershipIncomplete, match="by"):
                doing()
    assert not Owner.objects.exists()
    assert ledger.kinds() == []


def test_the_countrys_roles_have_three_languages_and_say_what_nobody_confirmed() -> None:
    roles = load_roles()
    assert {"owner-of-digital-resource", "holder", "technical-operator", "data-steward"} <= set(roles.roles)
    owner = roles.roles["owner-of-digital-resource"]
    assert owner.text.ru == "Владелец цифрового ресурса"
    assert not owner.confirmed
    assert "to be confirmed" in owner.note
    assert all(r.confirmed or r.note for r in roles.roles.values())
    assert set(roles.requests) == {"establish", "take-into-use", "modify", "close"}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("roles: [{id: a, text: {ky: x, ru: x}, meaning: {ky: x, ru: x, en: x}, source: s, confirmed: true}]", "role a"),
        ("roles: []\nrequests: {close: {text: {ky: a, ru: a, en: a}, reviewers: [ghost], days: 3, confirmed: true}}", "close"),
        ("roles: []\ninterim: {longest_days: soon}", "interim"),
        ("roles: {a: [", "the file"),
    ],
)  # fmt: skip
def test_a_broken_roles_file_names_the_entry(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "roles.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(errors.RolesBroken, match=where):
        load_roles(tmp_path)


def test_a_pack_without_roles_has_none(tmp_path: Path) -> None:
    assert load_roles(tmp_path).roles == {}
    assert load_roles(tmp_path).interim_days == 90


def test_the_database_itself_refuses_a_second_owner_or_source_of_truth_at_one_instant() -> None:
    name(since=day(-10))
    field = Field.objects.get(name="pin")
    later = {"field": field, "number": 2, "organisation": "x", "unit": "x", "legal_basis": "x"}
    with pytest.raises(IntegrityError, match="no_overlap"), transaction.atomic():
        Owner.objects.create(**later, since=day(1), until=day(2))
    Owner.objects.create(**later, since=day(-20), until=day(-10))
    with pytest.raises(IntegrityError, match="no_overlap"), transaction.atomic():
        Owner.objects.filter(number=2).update(until=day(-9))
    ownership.declare_source_of_truth("person.pin", SOURCE, TABLE, "pin", LAW, NOW, by="steward-1")
    with pytest.raises(IntegrityError, match="no_overlap"), transaction.atomic():
        SourceOfTruth.objects.create(
            concept="person.pin", number=2, field=field, legal_basis="x", since=day(1), until=day(2)
        )


def test_the_datasets_page_shows_an_interim_owner_while_the_term_runs_and_no_owner_who_only_begins_later(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    interim(until=30)
    name("fio", since=day(40))
    shown = {}
    for n in (29, 30, 40):
        monkeypatch.setattr("kerege.ground.clock.now", lambda n=n: day(n))
        fields = queries.dataset(dataset.pk).fields
        shown[n] = [f.name for f in fields if f.owner is not None]
    assert shown == {29: ["pin"], 30: [], 40: ["fio"]}


def test_a_published_dataset_that_loses_an_owner_is_a_finding_until_the_attribute_has_one_again(
    dataset: Dataset,
) -> None:
    ownership.name_owners(SOURCE, TABLE, "70000001", "Registry", LAW, NOW, by="steward-1")
    subject = ownership.dataset_subject(dataset, "1")
    for action, by in (("submit", "asanova"), ("approve", "bekov"), ("publish", "bekov")):
        lifecycle.act(subject, action, by, "fine", NOW)
    assert note_findings(NOW) == (0, 0)
    ownership.end_owner(SOURCE, TABLE, "pin", "Decree 3", "dissolved", day(1), by="70000001")
    told = dataset.fields.get(name="telefon").profile | {"name": "email"}
    Field.objects.create(dataset=dataset, name="email", position=9, profile=told)  # a later harvest found it
    assert note_findings(day(1)) == (2, 0)
    assert note_findings(day(1)) == (0, 0)
    assert {f.detail for f in Finding.objects.all()} == {
        "published, and pin has no owner since 2026-10-02T09:00:00Z", "published, and email has no owner",
    }  # fmt: skip
    assert lifecycle.status(subject).state is lifecycle.State.PUBLISHED
    name("email", now=day(2))
    dataset.fields.filter(name="pin").update(vanished=True)
    assert note_findings(day(3)) == (0, 1)
    assert sorted(Finding.objects.values_list("evidence", flat=True)) == [
        "email: owned by 70000001 Registry", "no longer so at 2026-10-04T09:00:00Z",
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_named_handed_over_and_ended_no_instant_ever_has_two_owners_in_the_catalogue(seed: int) -> None:
    dice = random.Random(seed)
    refused = 0
    for _ in range(40):
        now, other = day(dice.randrange(60)), f"7000000{dice.randrange(4)}"
        try:
            match dice.choice(["name", "name later", "interim", "hand over", "end"]):
                case "name":
                    name(organisation=other, now=now)
                case "name later":
                    name(organisation=other, now=now, since=now + timedelta(days=dice.randrange(-30, 30)))
                case "interim":
                    ownership.name_interim(
                        SOURCE, TABLE, "pin", other, "Office", LAW, now, until=now + timedelta(days=dice.randrange(1, 20)),
                        names_lasting="70000000", by="steward-1",
                    )  # fmt: skip
                case "hand over":
                    ownership.hand_over(SOURCE, TABLE, "pin", other, "Office", LAW, now, by="70000000")
                case _:
                    ownership.end_owner(SOURCE, TABLE, "pin", LAW, "over", now, by="70000009")
        except (errors.OwnerTaken, errors.HandOverRefused, errors.UnownedAlready):
            refused += 1
        held = [Period(o.since, o.until) for o in Owner.objects.all()]
        for hour in range(-30 * 24, 100 * 24, 24):
            assert sum(p.covers(day(hour / 24)) for p in held) <= 1
    assert 0 < refused < 40
    assert Owner.objects.count() > 1
    assert sorted(Owner.objects.values_list("number", flat=True)) == list(range(1, Owner.objects.count() + 1))
