"""What changes at the clerical desk: pairs are asked about, opened (which leaves a trace), decided. And what changes about person keys.

Values of persons are never kept here: a task has weights and levels. Whoever opens one is shown the canonical values side by side, fetched
for that moment by `values_of`, and the read of both persons' data is written down first (`identity.record_reads`); without that nothing is shown.
Records are named by pseudonyms of their numbers; so that the persons themselves find such a read, it is written down about them too, as soon as
their number is known (`about_of`), and still before anything is shown. Merges and splits go into the ledger by their keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from kerege.ground.clock import require_utc
from kerege.ground.ids import new_id
from kerege.identity import doings as identity
from kerege.identity import receipts
from kerege.identity.reads import Read
from kerege.reconcile import desk, desk_contests, persons
from kerege.reconcile.desk_contests import standing as standing_of
from kerege.reconcile.desk_contests import words_of
from kerege.reconcile.desk_queries import with_standing
from kerege.reconcile.errors import DecisionRefused, KeyUnknown, ReaderUnknown, TaskSettled, TaskUnknown
from kerege.reconcile.link import Entry
from kerege.reconcile.linkage.definition import LinkageDefinition
from kerege.reconcile.linkage.model import Model
from kerege.reconcile.linkage.weights import Waterfall, explain
from kerege.reconcile.models import ClericalDecision, ClericalTask, KeyDecision, PersonKey, PersonRecord

Values = Mapping[str, str | None]
ValuesOf = Callable[[str, str], Values]  # register, record's pseudonym -> canonical values, fetched now
AboutOf = Callable[
    [Values], str | None
]  # canonical values -> the pseudonym under which the person finds reads (of the PIN); None: no PIN


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks, for which subsystem, why and on which legal basis."""

    person: str
    member: str
    purpose: str
    legal_basis: str


@dataclass(frozen=True, slots=True)
class SideBySide:
    """A task as a clerk sees it: both records' canonical values and how the weight came about. Never stored."""

    task_id: str
    left: Values
    right: Values
    left_register: str
    right_register: str
    waterfall: Mapping[str, Any]
    standing: str


def ask(
    definition: str, version: str, left: persons.RecordRef, right: persons.RecordRef, *, why: str, now: datetime,
    waterfall: Waterfall | None = None, double_review: bool = False,
) -> str:  # fmt: skip
    """Put a pair of records before the clerks; the same pair is asked once, whoever stands left. Gives the task's number."""
    if left == right:
        raise ValueError("a record is not asked about beside itself")
    first, second = sorted((left, right))
    row, _ = ClericalTask.objects.get_or_create(
        definition=definition, left_register=first[0], left_ref=first[1], right_register=second[0], right_ref=second[1],
        defaults={
            "task_id": new_id("pair"), "definition_version": version, "why": why, "asked_at": require_utc(now),
            "weight": waterfall.weight if waterfall else None, "probability": waterfall.probability if waterfall else None,
            "waterfall": waterfall.as_dict() if waterfall else {}, "double_review": double_review,
        },
    )  # fmt: skip
    return str(row.task_id)


def open_task(
    task_id: str, reader: Reader, values_of: ValuesOf, ledger: receipts.LedgerWriter, now: datetime, *,
    about_of: AboutOf | None = None,
) -> SideBySide:  # fmt: skip
    """Show a clerk both records; the reads are written down first: about the records, and about the persons once their numbers are known.

    Raises TaskUnknown, ReaderUnknown when it is not known for whom `reader` reads, RecordUnavailable where `values_of` does, and ReadIncomplete
    of `identity`; then nothing is shown.
    """
    row = _task(task_id)
    if reader.member.count("/") != 3 or not all(reader.member.split("/")):
        raise ReaderUnknown(person=reader.person, member=reader.member or "none is named")
    sides = ((row.left_register, row.left_ref), (row.right_register, row.right_ref))
    _traced(reader, sides, ledger, now)
    left, right = (dict(values_of(*side)) for side in sides)
    if about_of is not None:
        known = [
            (side[0], about) for side, values in zip(sides, (left, right), strict=True) if (about := about_of(values))
        ]
        _traced(reader, known, ledger, now)
    return SideBySide(task_id, left, right, row.left_register, row.right_register, row.waterfall, standing_of(row))


def _traced(reader: Reader, about: Sequence[tuple[str, str]], ledger: receipts.LedgerWriter, now: datetime) -> None:
    """Write down that `reader` reads these: (register, pseudonym)."""
    reads = [
        Read(
            member=reader.member, reader=reader.person, about=ref, purpose=reader.purpose, legal_basis=reader.legal_basis,
            data_service=f"reconcile/desk/{register}", message_id="", at=now, channel="desk",
        )
        for register, ref in about
    ]  # fmt: skip
    identity.record_reads(reads, ledger, now)


@transaction.atomic
def decide(task_id: str, *, verdict: str, reason: str, by: str, now: datetime) -> str:
    """Take down a clerk's decision; gives where the task stands then. Raises TaskUnknown, TaskSettled, DecisionRefused."""
    row = _task(task_id)
    words, standing = words_of(row), standing_of(row)
    if standing in desk.VERDICTS:
        raise TaskSettled(task=task_id, status=standing)
    why = desk.refusal(words, verdict, reason, by)
    if why:
        raise DecisionRefused(task=task_id, reason=why)
    ClericalDecision.objects.create(task=row, verdict=verdict, reason=reason, by=by.strip(), at=require_utc(now))
    return standing_of(row)


# --- person keys ------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def place_record(record: persons.RecordRef, placement: persons.Placement, now: datetime) -> str:
    """Give a record its key. A record that has one keeps it, whatever is said now. Gives the key it has."""
    known = PersonRecord.objects.filter(register=record[0], record_ref=record[1]).select_related("key").first()
    if known is not None:
        return str(known.key.key)
    if placement.kind == persons.EXISTING:
        key = _key(placement.key)
    else:
        key = PersonKey.objects.create(key=placement.key, made_at=require_utc(now))
    PersonRecord.objects.create(
        register=record[0], record_ref=record[1], key=key, reasons=list(placement.reasons), placed_at=now
    )
    return str(key.key)


@transaction.atomic
def place_and_ask(
    record: persons.RecordRef,
    entry: Entry,
    known: Mapping[str, Sequence[Entry]],
    definition: LinkageDefinition,
    *,
    model: Model | None = None,
    everybody: bool = False,
    refs: Mapping[str, Sequence[persons.RecordRef]] | None = None,
    now: datetime,
) -> persons.Placement:
    """Place a new record against known persons (`persons.place`) and keep its key; where it is unsure, ask the clerks about each candidate.

    model  with one, each question carries the weight of the record of the candidate that is asked about, explained
    refs   which records the entries of `known` are, in the same order; then it is the likeliest that is asked about
    A record that has a key already keeps it and is not asked about again. Raises KeyUnknown for a candidate that has no record.
    """
    there = PersonRecord.objects.filter(register=record[0], record_ref=record[1]).select_related("key").first()
    if there is not None:
        return persons.Placement(persons.EXISTING, str(there.key.key), (), ("known_already",))
    placement = persons.place(entry, known, everybody=everybody)
    place_record(record, placement, now)
    if placement.kind != persons.UNSURE:
        return placement
    for key in placement.candidates:
        other, told = _likeliest(key, entry, known[key], refs[key] if refs is not None else None, definition, model)
        ask(
            definition.id, definition.version, record, other, why="unsure", now=now, waterfall=told,
            double_review=definition.double_review,
        )  # fmt: skip
    return placement


def _likeliest(
    key: str, entry: Entry, entries: Sequence[Entry], refs: Sequence[persons.RecordRef] | None,
    definition: LinkageDefinition, model: Model | None,
) -> tuple[persons.RecordRef, Waterfall | None]:  # fmt: skip
    """Which record of a candidate the clerks are asked about, and how that very pair weighs; of equals the first by its reference.

    Without `refs` nobody knows which entry is which record, so no weight is told unless the candidate has one record only.
    """
    weighed = [explain(definition, model, entry.values, one.values) for one in entries] if model is not None else None
    if refs is not None:
        if len(refs) != len(entries) or not refs:
            raise ValueError("refs and known go together, entry by entry")
        order = sorted(range(len(refs)), key=lambda n: (-weighed[n].weight if weighed else 0.0, refs[n]))
        return refs[order[0]], weighed[order[0]] if weighed else None
    records = sorted(key_book().records(key))
    if not records:
        raise KeyUnknown(key=key)
    return records[0], weighed[0] if weighed and len(records) == len(entries) == 1 else None


@transaction.atomic
def decide_and_join(
    task_id: str, *, verdict: str, reason: str, by: str, ledger: receipts.LedgerWriter, now: datetime
) -> str:
    """`decide`, and what it settles as `same` is joined with it: both stand afterwards, or neither does. Gives where the task stands then:
    `disputed`, and no key is joined, where it contradicts what was settled of other pairs (`desk_contests`)."""
    standing = decide(task_id, verdict=verdict, reason=reason, by=by, now=now)
    row = _task(task_id)
    if standing == desk.SAME:
        join_settled(task_id, by=by, ledger=ledger, now=now)
    elif standing == desk.DIFFERENT:
        desk_contests.inside(row, key_book(lock=True), now)
    if standing in desk.VERDICTS:
        for other in desk_contests.related(row):  # what this stood against may be joined now
            if standing_of(_task(other)) == desk.SAME and not _parted(_task(other)):
                join_settled(other, by=by, ledger=ledger, now=now)
    return standing_of(row)


def join_waiting(*, by: str, ledger: receipts.LedgerWriter, now: datetime) -> int:
    """Join every pair that clerks settled as `same` and that is not joined: a record that got its key after the words, or decisions that were
    taken without joining. What was parted since stays parted, and what contradicts a settled `different` is contested, as is a `different` about
    records that were placed with one key since. Each is one transaction; gives how many were joined."""
    book, joined = key_book(), 0
    for row in with_standing(ClericalTask.objects.all()).filter(stands=desk.SAME).order_by("pk"):
        keys = {book.of((row.left_register, row.left_ref)), book.of((row.right_register, row.right_ref))}
        if None in keys or len(keys) == 1 or _parted_since(row, book, [key for key in keys if key is not None]):
            continue
        joined += join_settled(row.task_id, by=by, ledger=ledger, now=now) is not None
        book = key_book()
    for row in with_standing(ClericalTask.objects.all()).filter(stands=desk.DIFFERENT, contested=None).order_by("pk"):
        with transaction.atomic():
            desk_contests.inside(row, book, now)
    return joined


@transaction.atomic
def join_settled(task_id: str, *, by: str, ledger: receipts.LedgerWriter, now: datetime) -> str | None:
    """Carry out what clerks settled: `same` merges the two records' keys, the elder key kept, with the clerks' reasons. Gives the kept key,
    or None where nothing is to be done (another verdict, one key already, or somebody settled that the two are different persons: then the
    contradiction is put before the clerks). Raises TaskUnknown, DecisionRefused while it is not settled,
    or when the two were parted again after the clerks' words: what was decided last holds."""
    row = _task(task_id)
    standing = standing_of(row)
    if standing not in desk.VERDICTS:
        raise DecisionRefused(task=task_id, reason=f"it is {standing}, not settled")
    book = key_book(lock=True)
    keys = [book.of((row.left_register, row.left_ref)), book.of((row.right_register, row.right_ref))]
    if standing != desk.SAME or None in keys or keys[0] == keys[1]:
        return None
    if _parted_since(row, book, [key for key in keys if key is not None]):
        raise DecisionRefused(
            task=task_id, reason="their keys were parted after it was settled; merge them with a reason"
        )
    if desk_contests.contest_join(row, book, [key for key in keys if key is not None], now):
        return None
    elder, younger = PersonKey.objects.filter(key__in=keys).order_by("made_at", "pk").values_list("key", flat=True)
    reason = f"{task_id}: " + "; ".join(word.reason for word in words_of(row) if word.verdict == desk.SAME)
    merge_keys(elder, younger, reason=reason[:400], by=by, ledger=ledger, now=now)
    return str(elder)


@transaction.atomic
def merge_keys(kept: str, joined: str, *, reason: str, by: str, ledger: receipts.LedgerWriter, now: datetime) -> str:
    """Two keys are one person: `joined` stands for `kept` from now on, and both stay known. Raises KeyUnknown, MergeRefused."""
    _reason("keys", reason)
    book = key_book(lock=True)
    changed = book.merge(kept, joined)
    a, b = book.present(kept), book.present(joined)
    _apply(book, changed)
    return _decided("merge", a, b, (), reason, by, ledger, now)


@transaction.atomic
def take_back_merge(joined: str, *, reason: str, by: str, ledger: receipts.LedgerWriter, now: datetime) -> str:
    """A merge was wrong: `joined` means again whom it meant before. Raises KeyUnknown, SplitRefused."""
    _reason("keys", reason)
    book = key_book(lock=True)
    changed = book.unmerge(joined)
    _apply(book, changed)
    return _decided("unmerge", book.stands_for[joined], joined, (), reason, by, ledger, now)


@transaction.atomic
def split_key(
    key: str,
    records: Sequence[persons.RecordRef],
    *,
    reason: str,
    by: str,
    ledger: receipts.LedgerWriter,
    now: datetime,
) -> str:
    """Some records of a key are another person's: they get a new key, which is given back. Raises KeyUnknown, SplitRefused."""
    _reason("keys", reason)
    book, new = key_book(lock=True), persons.new_key()
    book.split(key, records, new)
    old = _key(key)
    made = PersonKey.objects.create(key=new, made_at=require_utc(now), split_from=old)
    for register, ref in records:
        PersonRecord.objects.filter(register=register, record_ref=ref, key=old).update(key=made)
    _decided("split", key, new, records, reason, by, ledger, now)
    return new


def key_book(*, lock: bool = False) -> persons.KeyBook:
    """All keys as the pure value they are decided on."""
    keys = PersonKey.objects.select_for_update() if lock else PersonKey.objects
    rows = list(keys.order_by("pk").values_list("pk", "key", "stands_for_id"))
    names = {pk: key for pk, key, _ in rows}
    home = {(r, ref): names[k] for r, ref, k in PersonRecord.objects.values_list("register", "record_ref", "key_id")}
    return persons.KeyBook(home, {key: names[to] for _, key, to in rows if to}, frozenset(names.values()))


def _apply(before: persons.KeyBook, after: persons.KeyBook) -> None:
    for name in before.keys:
        if before.stands_for.get(name) != after.stands_for.get(name):
            to = after.stands_for.get(name)
            PersonKey.objects.filter(key=name).update(stands_for=_key(to) if to else None)


def _decided(
    kind: str, key: str, other: str, records: Sequence[persons.RecordRef], reason: str, by: str,
    ledger: receipts.LedgerWriter, now: datetime,
) -> str:  # fmt: skip
    decision = new_id("keys")
    KeyDecision.objects.create(
        decision_id=decision, kind=kind, key=key, other=other, records=[list(r) for r in records], reason=reason, by=by,
        at=require_utc(now),
    )  # fmt: skip
    body = {"decision": decision, "kind": kind, "key": key, "other": other, "records": len(records), "by": by}
    receipts.write(
        ledger, "person-keys", body, now
    )  # last: the ledger forgets nothing, so what is rolled back never stands in it
    return decision


def _reason(what: str, reason: str) -> None:
    if not reason.strip() or len(reason) > 400:
        raise DecisionRefused(task=what, reason="a reason of 1 to 400 characters is needed")


def _key(name: str) -> PersonKey:
    row = PersonKey.objects.filter(key=name).first()
    if row is None:
        raise KeyUnknown(key=name)
    return row


def _task(task_id: str) -> ClericalTask:
    row = ClericalTask.objects.select_for_update().filter(task_id=task_id).first() if _in_transaction() else None
    row = row or ClericalTask.objects.filter(task_id=task_id).first()
    if row is None:
        raise TaskUnknown(task=task_id)
    return row


def _parted_since(row: ClericalTask, book: persons.KeyBook, keys: Sequence[str]) -> bool:
    """Whether a merge was taken back, or a key split, that concerns these keys, after the task's last word."""
    last = ClericalDecision.objects.filter(task=row).order_by("-pk").values_list("at", flat=True).first()
    names = {name for key in keys for name in (key, *book.aliases(key))}
    parted = KeyDecision.objects.filter(kind__in=("unmerge", "split"), at__gte=last)
    return any(names & {key, other} for key, other in parted.values_list("key", "other"))


def _in_transaction() -> bool:
    return bool(transaction.get_connection().in_atomic_block)


def _parted(row: ClericalTask) -> bool:
    book = key_book()
    keys = (book.of((row.left_register, row.left_ref)), book.of((row.right_register, row.right_ref)))
    return _parted_since(row, book, [key for key in keys if key is not None])
