"""Clerks are asked once, shown values only after the read is written down, and decide; person keys are merged and split with reasons."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from kerege.identity.errors import ReadIncomplete
from kerege.identity.models import PersonalDataRead
from kerege.reconcile import desk_doings, desk_queries, doings, parting, persons
from kerege.reconcile.compare import FieldComparison
from kerege.reconcile.errors import (
    DecisionRefused,
    KeyUnknown,
    MergeRefused,
    ReaderUnknown,
    RecordUnavailable,
    SplitRefused,
    TaskSettled,
    TaskUnknown,
)
from kerege.reconcile.fields import of_country
from kerege.reconcile.link import Entry
from kerege.reconcile.linkage import definition as definitions
from kerege.reconcile.linkage.model import Model, TrainedLevel
from kerege.reconcile.linkage.weights import Waterfall, explain
from kerege.reconcile.models import ClericalTask, KeyDecision
from kerege.reconcile.persons import Placement

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DEFINITION = definitions.of_country("persons", "kg")
MODEL = Model(
    DEFINITION.id, DEFINITION.version, 0.001,
    {c.name: tuple(TrainedLevel(label, 0.5, 0.1) for label in (*(o.label for o in c.levels), "else")) for c in DEFINITION.comparisons},
    {}, 0.0001, (100, 100),
)  # fmt: skip
A, B = ("civil", "a" * 64), ("health", "b" * 64)
READER = desk_doings.Reader("clerk-1", "KG/GOV/70000003/admission", "linkage", "to be confirmed")
VALUES = {"civil": {"surname": "Асанов"}, "health": {"surname": "Асанова"}}


def asked(**more: Any) -> str:
    return desk_doings.ask("kg:persons", "1", A, B, why="rival", now=NOW, waterfall=Waterfall(-10.0, ()), **more)


def test_the_same_pair_is_asked_once_whoever_stands_left() -> None:
    first = asked()
    assert desk_doings.ask("kg:persons", "1", B, A, why="rival", now=NOW) == first
    [row] = desk_queries.desk_queue()
    assert (row.task_id, row.standing, row.weight) == (first, "open", -10.0)


def test_whoever_opens_a_task_leaves_a_trace_of_both_persons_data(ledger: Any) -> None:
    task = asked()
    shown = desk_doings.open_task(task, READER, lambda register, ref: VALUES[register], ledger, NOW)
    assert (shown.left["surname"], shown.right["surname"]) == ("Асанов", "Асанова")
    reads = PersonalDataRead.objects.order_by("pk")
    assert [(r.reader, r.about, r.channel) for r in reads] == [("clerk-1", A[1], "desk"), ("clerk-1", B[1], "desk")]
    assert ledger.kinds() == ["personal-data-reads"]


def test_nothing_is_shown_when_the_read_cannot_be_written_down(ledger: Any) -> None:
    task, fetched = asked(), []
    without = desk_doings.Reader("clerk-1", "KG/GOV/70000003/admission", "linkage", "")
    with pytest.raises(ReadIncomplete):
        desk_doings.open_task(task, without, lambda register, ref: fetched.append(ref) or {}, ledger, NOW)
    assert fetched == []


def test_two_clerks_settle_a_doubly_reviewed_task_and_every_word_is_kept_as_truth() -> None:
    task = asked(double_review=True)
    assert desk_doings.decide(task, verdict="same", reason="same mother", by="clerk-1", now=NOW) == "awaiting_second"
    with pytest.raises(DecisionRefused, match="same person"):
        desk_doings.decide(task, verdict="same", reason="sure", by="clerk-1", now=NOW)
    assert desk_queries.clerical_truth() == []
    assert desk_doings.decide(task, verdict="same", reason="same address", by="clerk-2", now=NOW) == "same"
    assert [(t.left, t.right, t.verdict) for t in desk_queries.clerical_truth()] == [(A, B, "same")]
    assert desk_queries.desk_queue() == []
    with pytest.raises(TaskSettled):
        desk_doings.decide(task, verdict="different", reason="no", by="clerk-3", now=NOW)
    with pytest.raises(TaskUnknown):
        desk_doings.decide("pair-none", verdict="same", reason="x", by="clerk-3", now=NOW)


@pytest.mark.parametrize("again", ["clerk-1", " Clerk-1", "CLERK-1 ", "\uff43lerk-1", "clerk\xa0-1"])
def test_one_person_under_two_spellings_of_a_name_is_no_second_reviewer(again: str) -> None:
    task = asked(double_review=True)
    desk_doings.decide(task, verdict="same", reason="same mother", by="clerk-1", now=NOW)
    with pytest.raises(DecisionRefused, match="same person"):
        desk_doings.decide(task, verdict="same", reason="sure", by=again, now=NOW)
    with pytest.raises(DecisionRefused, match="who decides"):
        desk_doings.decide(task, verdict="same", reason="sure", by=" ", now=NOW)
    assert desk_queries.clerical_truth() == []


def test_the_persons_themselves_find_that_a_clerk_looked_at_their_records(ledger: Any) -> None:
    task = asked()
    fetched = {"civil": {"pin": "1"}, "health": {"pin": None}}
    desk_doings.open_task(
        task, READER, lambda register, ref: fetched[register], ledger, NOW, about_of=lambda v: "c" * 64 if v.get("pin") else None
    )  # fmt: skip
    assert [r.about[0] for r in PersonalDataRead.objects.order_by("pk")] == ["a", "b", "c"]


def test_nothing_is_shown_where_a_record_cannot_be_fetched_and_the_try_is_written_down(ledger: Any) -> None:
    def down(register: str, ref: str) -> dict[str, str | None]:
        raise RecordUnavailable(register=register, reason="its table cannot be reached")

    with pytest.raises(RecordUnavailable):
        desk_doings.open_task(asked(), READER, down, ledger, NOW)
    assert PersonalDataRead.objects.count() == 2


def place_two() -> None:
    for record, key in ((A, "person-a"), (B, "person-b")):
        desk_doings.place_record(record, Placement(persons.NEW, key, (), ()), NOW)


def test_a_merge_taken_back_restores_the_keys_and_both_decisions_stay(ledger: Any) -> None:
    place_two()
    before = desk_doings.key_book()
    desk_doings.merge_keys("person-a", "person-b", reason="one passport", by="clerk-1", ledger=ledger, now=NOW)
    assert desk_doings.key_book().of(B) == "person-a"
    assert desk_doings.key_book().aliases("person-a") == {"person-b"}
    with pytest.raises(MergeRefused):
        desk_doings.merge_keys("person-b", "person-a", reason="again", by="clerk-1", ledger=ledger, now=NOW)
    desk_doings.take_back_merge("person-b", reason="two people after all", by="clerk-2", ledger=ledger, now=NOW)
    assert desk_doings.key_book() == before
    assert [d.kind for d in KeyDecision.objects.order_by("pk")] == ["merge", "unmerge"]
    assert ledger.kinds() == ["person-keys", "person-keys"]
    assert not any(A[1] in str(entry.body) for entry in ledger.entries)


def test_a_split_gives_the_named_records_a_new_key_and_needs_a_reason(ledger: Any) -> None:
    place_two()
    desk_doings.place_record(("emis", "c" * 64), Placement(persons.EXISTING, "person-a", (), ()), NOW)
    with pytest.raises(DecisionRefused, match="reason"):
        desk_doings.split_key("person-a", [("emis", "c" * 64)], reason=" ", by="clerk-1", ledger=ledger, now=NOW)
    new = desk_doings.split_key("person-a", [("emis", "c" * 64)], reason="a twin", by="clerk-1", ledger=ledger, now=NOW)
    book = desk_doings.key_book()
    assert (book.of(("emis", "c" * 64)), book.of(A)) == (new, "person-a")


def test_a_record_placed_again_keeps_its_key() -> None:
    place_two()
    assert desk_doings.place_record(A, Placement(persons.NEW, "person-z", (), ()), NOW) == "person-a"
    assert "person-z" not in desk_doings.key_book().keys


PERSON = {
    "surname_key": "asanov",
    "given_name_key": "bakit",
    "patronymic_key": "sadir",
    "birth_date": "1990-03-12",
    "sex": "1",
}


def test_an_unsure_record_gets_a_key_of_its_own_and_a_question_and_same_joins_them(ledger: Any) -> None:
    known, new = Entry({**PERSON, "pin": "11203199000012"}), Entry({**PERSON, "pin": None})
    first = desk_doings.place_and_ask(A, known, {}, DEFINITION, now=NOW)
    second = desk_doings.place_and_ask(B, new, {first.key: [known]}, DEFINITION, model=MODEL, now=NOW)
    assert (first.kind, second.kind) == (persons.NEW, persons.UNSURE)
    assert second.key != first.key
    [task] = desk_queries.desk_queue()
    assert task.weight is not None
    assert {step["comparison"] for step in task.waterfall["steps"]} == {c.name for c in DEFINITION.comparisons}
    with pytest.raises(DecisionRefused, match="not settled"):
        desk_doings.join_settled(task.task_id, by="clerk-1", ledger=ledger, now=NOW)
    for clerk in ("clerk-1", "clerk-2"):
        desk_doings.decide(task.task_id, verdict="same", reason="one passport", by=clerk, now=NOW)
    assert desk_doings.join_settled(task.task_id, by="clerk-2", ledger=ledger, now=NOW) == first.key
    assert desk_doings.key_book().records(first.key) == {A, B}
    assert "one passport" in KeyDecision.objects.get().reason
    assert desk_doings.place_and_ask(B, new, {}, DEFINITION, now=NOW).reasons == ("known_already",)


def test_a_fault_between_the_words_and_the_joining_takes_both_back(
    ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place_two()
    task = asked()
    said = {"verdict": "same", "reason": "one passport", "by": "clerk-1", "ledger": ledger, "now": NOW}
    with monkeypatch.context() as patched:
        patched.setattr(KeyDecision.objects, "create", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            desk_doings.decide_and_join(task, **said)
    row = desk_queries.task(task)
    assert row is not None
    assert row.standing == "open", "nothing is settled that is not joined"
    assert ledger.kinds() == [], "what was taken back never stands in the ledger"
    assert desk_doings.decide_and_join(task, **said) == "same"
    assert desk_doings.key_book().of(A) == desk_doings.key_book().of(B)
    assert ledger.kinds() == ["person-keys"]


def test_a_pair_settled_before_its_records_had_keys_is_joined_once_they_have(ledger: Any) -> None:
    task = asked()
    desk_doings.decide_and_join(task, verdict="same", reason="one passport", by="clerk-1", ledger=ledger, now=NOW)
    assert desk_doings.join_waiting(by="process:x", ledger=ledger, now=NOW) == 0
    place_two()
    assert desk_doings.join_waiting(by="process:x", ledger=ledger, now=NOW) == 1
    assert desk_doings.key_book().of(A) == desk_doings.key_book().of(B)
    assert desk_doings.join_waiting(by="process:x", ledger=ledger, now=NOW) == 0
    [joined] = {"person-a", "person-b"} - {desk_doings.key_book().of(A)}
    desk_doings.take_back_merge(joined, reason="two passports", by="clerk-2", ledger=ledger, now=NOW)
    assert desk_doings.join_waiting(by="process:x", ledger=ledger, now=NOW) == 0, "what was parted since stays parted"


def test_a_reader_of_no_organisation_is_shown_nothing_and_nothing_is_read(ledger: Any) -> None:
    task = asked()
    for member in ("", "KG/GOV/70000003", "KG/GOV//x"):
        with pytest.raises(ReaderUnknown, match="clerk-1"):
            desk_doings.open_task(task, replace(READER, member=member), lambda *_: 1 / 0, ledger, NOW)
    assert not PersonalDataRead.objects.exists()


def test_a_merge_that_was_taken_back_is_not_made_again_from_the_old_words(ledger: Any) -> None:
    place_two()
    task = asked()
    desk_doings.decide(task, verdict="same", reason="one passport", by="clerk-1", now=NOW)
    kept = desk_doings.join_settled(task, by="clerk-1", ledger=ledger, now=NOW)
    joined = ({"person-a", "person-b"} - {kept}).pop()
    desk_doings.take_back_merge(joined, reason="two passports", by="clerk-2", ledger=ledger, now=NOW)
    before = desk_doings.key_book()
    with pytest.raises(DecisionRefused, match="parted"):
        desk_doings.join_settled(task, by="clerk-1", ledger=ledger, now=NOW)
    assert desk_doings.key_book() == before


def test_the_clerks_are_asked_about_the_likeliest_record_and_its_own_weight_is_told(ledger: Any) -> None:
    near, far = (
        Entry({**PERSON, "pin": "11203199000012"}),
        Entry({**PERSON, "surname_key": "asanof", "pin": "11203199000012"}),
    )
    key = desk_doings.place_and_ask(("emis", "1" * 64), far, {}, DEFINITION, now=NOW).key
    desk_doings.place_and_ask(("emis", "2" * 64), near, {key: [far]}, DEFINITION, now=NOW)
    new, refs = Entry({**PERSON, "pin": None}), {key: [("emis", "1" * 64), ("emis", "2" * 64)]}
    rare = replace(MODEL, levels={**MODEL.levels, "surname_key": tuple(
        TrainedLevel(o.label, 0.9 if o.label == "exact" else 0.05, 0.1) for o in MODEL.levels["surname_key"]
    )})  # fmt: skip
    desk_doings.place_and_ask(A, new, {key: [far, near]}, DEFINITION, model=rare, refs=refs, now=NOW)
    [task] = ClericalTask.objects.all()
    assert {task.left_ref, task.right_ref} == {A[1], "2" * 64}
    assert task.weight == explain(DEFINITION, rare, new.values, near.values).weight
    with pytest.raises(KeyUnknown):
        desk_doings.place_and_ask(B, new, {"person-nobody": [near]}, DEFINITION, now=NOW)
    assert desk_doings.key_book().of(B) is None, "all or nothing"


def test_a_task_holds_no_value_of_a_person() -> None:
    known, new = Entry({**PERSON, "pin": "11203199000012"}), Entry({**PERSON, "pin": None})
    key = desk_doings.place_and_ask(A, known, {}, DEFINITION, now=NOW).key
    desk_doings.place_and_ask(B, new, {key: [known]}, DEFINITION, model=MODEL, now=NOW)
    [row] = ClericalTask.objects.values()
    assert not any(value in str(row) for value in ("asanov", "bakit", "sadir", "1990-03-12", "11203199000012"))


def test_open_discrepancies_of_a_case_are_settled_by_the_countrys_rules() -> None:
    items = [
        FieldComparison("sex", "civil", "population", "conflict"),
        FieldComparison("region", "civil", "health", "code_gap"),
    ]
    doings.record_comparisons({"case-1": items}, of_country("kg"), run="r1", now=NOW)
    found = {s.comparison.field: s for s in desk_queries.settlements("case-1")}
    assert (found["sex"].value_of, found["sex"].rule, found["sex"].legal_basis) == ("civil", "kg:source-of-truth", "")
    assert found["region"].outcome == "steward"


C = ("emis", "c" * 64)
PAIRS = {"A~B": ((A, B), "same"), "B~C": ((B, C), "same"), "A~C": ((A, C), "different")}


def place_three() -> None:
    place_two()
    desk_doings.place_record(C, Placement(persons.NEW, "person-c", (), ()), NOW)


def say(pair: str, verdict: str, by: str, ledger: Any, *, joined: bool = True) -> tuple[str, str]:
    """A clerk's word on a pair, asked before or now; the task and where it stands."""
    task = desk_doings.ask("kg:persons", "1", *PAIRS[pair][0], why="rival", now=NOW)
    if not joined:
        return task, desk_doings.decide(task, verdict=verdict, reason=f"{pair}: {verdict}", by=by, now=NOW)
    return task, desk_doings.decide_and_join(
        task, verdict=verdict, reason=f"{pair}: {verdict}", by=by, ledger=ledger, now=NOW
    )


@pytest.mark.parametrize("order", list(permutations(PAIRS)), ids=" ".join)
def test_what_clerks_called_different_is_overruled_by_no_order_of_others_being_the_same(
    order: tuple[str, ...], ledger: Any
) -> None:
    place_three()
    said = {pair: say(pair, PAIRS[pair][1], "clerk-1", ledger) for pair in order}
    book, last = desk_doings.key_book(), said[order[-1]]
    assert [standing for _, standing in said.values()] == [*(PAIRS[p][1] for p in order[:2]), "disputed"]
    [waiting] = desk_queries.desk_queue(standing="disputed")
    assert waiting.task_id == last[0]
    others = {pair: told for pair, told in said.items() if told != last}
    shown = {one.task_id: one.words[0].verdict for one in desk_queries.contradictions(last[0])}
    if (
        order[-1] == "A~C"
    ):  # the key was there first: it moves by nobody's word, and the question stands beside both that made it
        assert book.of(A) == book.of(B) == book.of(C)
        assert shown == {task: "same" for task, _ in others.values()}
    else:
        assert len({book.of(A), book.of(B), book.of(C)}) == 2
        assert book.of(A) != book.of(C)
        assert shown == {said["A~C"][0]: "different"}
        assert [one.task_id for one in desk_queries.contradictions(said["A~C"][0])] == [last[0]]
    assert desk_doings.join_waiting(by="process:x", ledger=ledger, now=NOW) == 0
    assert desk_doings.key_book() == book
    with pytest.raises(DecisionRefused, match="same person"):
        say(order[-1], "same", "clerk-1", ledger)


def test_who_confirms_the_same_has_the_different_looked_at_again_and_then_all_are_joined(ledger: Any) -> None:
    place_three()
    (different, _), _, (last, standing) = (
        say(pair, PAIRS[pair][1], "clerk-1", ledger) for pair in ("A~C", "A~B", "B~C")
    )
    assert standing == "disputed"
    assert say("B~C", "same", "clerk-2", ledger) == (last, "same")
    assert desk_doings.key_book().of(A) != desk_doings.key_book().of(C)
    assert [row.task_id for row in desk_queries.desk_queue(standing="disputed")] == [different]
    assert say("A~C", "same", "clerk-3", ledger) == (different, "same")
    assert len({desk_doings.key_book().of(record) for record in (A, B, C)}) == 1
    assert {row.verdict for row in desk_queries.clerical_truth()} == {"same"}


def test_where_both_sides_are_confirmed_the_records_stay_apart_and_nobody_is_asked_for_ever(ledger: Any) -> None:
    place_three()
    for pair in ("A~C", "A~B", "B~C"):
        say(pair, PAIRS[pair][1], "clerk-1", ledger)
    say("B~C", "same", "clerk-2", ledger)
    assert say("A~C", "different", "clerk-3", ledger)[1] == "different"
    assert desk_queries.desk_queue() == []
    assert desk_doings.join_waiting(by="process:x", ledger=ledger, now=NOW) == 0
    assert desk_doings.key_book().of(A) != desk_doings.key_book().of(C)


def test_words_said_before_the_records_had_keys_contradict_each_other_once_they_are_placed(ledger: Any) -> None:
    for pair in ("A~C", "A~B", "B~C"):
        say(pair, PAIRS[pair][1], "clerk-1", ledger, joined=False)
    for record in (A, C):  # one usable number: placed with one key
        desk_doings.place_record(
            record, Placement(persons.NEW if record == A else persons.EXISTING, "person-a", (), ()), NOW
        )
    desk_doings.join_waiting(by="process:x", ledger=ledger, now=NOW)
    [waiting] = desk_queries.desk_queue()
    assert (waiting.standing, {waiting.left_register, waiting.right_register}) == ("disputed", {"civil", "emis"})
    assert desk_queries.contradictions(waiting.task_id) == ()
    desk_doings.join_waiting(by="process:x", ledger=ledger, now=NOW)
    assert len(desk_queries.desk_queue()) == 1


@pytest.mark.parametrize("order", [("A~B", "B~C"), ("B~C", "A~B")], ids=" ".join)
def test_who_confirms_that_two_records_of_one_key_are_different_may_part_them_and_the_third_stays_with_one(
    order: tuple[str, ...], ledger: Any
) -> None:
    place_three()
    for pair in order:
        say(pair, "same", "clerk-1", ledger)
    task, _ = say("A~C", "different", "clerk-1", ledger)
    said = {"reason": "two passports", "by": "clerk-3", "ledger": ledger, "now": NOW}
    with pytest.raises(SplitRefused, match="disputed, not different"):
        parting.part(task, **said)
    assert say("A~C", "different", "clerk-2", ledger)[1] == "different"
    with pytest.raises(DecisionRefused, match="reason"):
        parting.part(task, **{**said, "reason": " "})
    parting.part(task, **said)
    book = desk_doings.key_book()
    assert book.of(A) != book.of(C)
    assert book.of(B) in {book.of(A), book.of(C)}
    assert book.of(B) == book.of(A if order[0] == "A~B" else C), "the newest joining is the one taken back"
    assert desk_doings.join_waiting(by="process:x", ledger=ledger, now=NOW) == 0
    with pytest.raises(SplitRefused, match="no key in common"):
        parting.part(task, **said)


def test_records_that_were_placed_with_one_key_are_parted_by_a_new_one(ledger: Any) -> None:
    desk_doings.place_record(A, Placement(persons.NEW, "person-a", (), ()), NOW)
    desk_doings.place_record(C, Placement(persons.EXISTING, "person-a", (), ()), NOW)
    for clerk in ("clerk-1", "clerk-2"):
        task, _ = say("A~C", "different", clerk, ledger)
    new = parting.part(task, reason="twins", by="clerk-2", ledger=ledger, now=NOW)
    assert (desk_doings.key_book().of(A), desk_doings.key_book().of(C)) == ("person-a", new)
    assert [d.kind for d in KeyDecision.objects.all()] == ["split"]
