"""A person's key: random, never moved by what arrives later, merged and split only by explicit decisions. Pure.

A *key book* says which key each record was given and which key stands for another. New records are placed against known ones, one by one,
and what is known is never clustered again:

- a record that is surely one person's, by `link` (a usable PIN equal, names that do not contradict), gets that person's key;
- a record that may be somebody's, or is surely of two keys at once, or would bring together records that contradict each other (one PIN under
  two names), gets a key of its own *and* a question for the desk: nothing is guessed, and a later `merge` loses nothing;
- a record that is surely nobody's gets a key of its own.

Names and a date alone never place a record by themselves, unless the caller says that everybody is known (`everybody`): else the namesake
who would have made it doubtful may simply not have arrived yet, and the outcome would depend on the order of arrival.
`merge` makes one key stand for the other; both stay known for ever. `split` takes records of a key to a new one, or takes a merge back, after
which everything is as before. Source: Splink's discussions 820 and 1112 (what users of bulk linkage miss); decision 0143.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kerege.reconcile.errors import KeyUnknown, MergeRefused, SplitRefused
from kerege.reconcile.link import DIFFERENT, SAME, Entry, Linked, Unsure, pick, pin_relation, same_person

RecordRef = tuple[str, str]  # register, and a keyed pseudonym of the record's number there
KEY_PREFIX: Final = "person-"
_KEY_BYTES: Final = 16

EXISTING: Final = "existing"
NEW: Final = "new"
UNSURE: Final = "unsure"


def new_key() -> str:
    """A random key (128 bits): nothing about the person can be read off it, and it cannot be guessed."""
    return KEY_PREFIX + secrets.token_hex(_KEY_BYTES)


@dataclass(frozen=True, slots=True)
class KeyBook:
    """Which key each record has, and which key stands for another. Never changed; every change gives a new book.

    home        record -> the key it was given
    stands_for  key -> the key it was merged into
    """

    home: Mapping[RecordRef, str]
    stands_for: Mapping[str, str]
    keys: frozenset[str]

    def __post_init__(self) -> None:
        for key in self.stands_for:
            seen = {key}
            while (key := self.stands_for.get(key, "")) and key not in seen:
                seen.add(key)
            if key:
                raise ValueError("keys stand for one another in a circle")

    @classmethod
    def empty(cls) -> KeyBook:
        return cls({}, {}, frozenset())

    def present(self, key: str) -> str:
        """The key that `key` stands for now; itself when it stands for none. Raises KeyUnknown."""
        if key not in self.keys:
            raise KeyUnknown(key=key)
        while key in self.stands_for:
            key = self.stands_for[key]
        return key

    def of(self, record: RecordRef) -> str | None:
        """The present key of a record; None when it was never placed."""
        home = self.home.get(record)
        return None if home is None else self.present(home)

    def aliases(self, key: str) -> frozenset[str]:
        """Every other key that means the same person as `key`."""
        present = self.present(key)
        return frozenset(k for k in self.keys if k != key and self.present(k) == present)

    def records(self, key: str) -> frozenset[RecordRef]:
        """Every record of the person."""
        present = self.present(key)
        return frozenset(record for record, home in self.home.items() if self.present(home) == present)

    def with_record(self, record: RecordRef, key: str) -> KeyBook:
        """The book with one more record. A record that is known keeps its key: a correction of its values never moves it."""
        if record in self.home:
            return self
        return replace(self, home={**self.home, record: key}, keys=self.keys | {key})

    def merge(self, kept: str, joined: str) -> KeyBook:
        """`joined`, and whoever it stands for, from now on mean `kept`. Raises KeyUnknown, MergeRefused."""
        a, b = self.present(kept), self.present(joined)
        if a == b:
            raise MergeRefused(key=kept, other=joined, reason="they mean one person already")
        return replace(self, stands_for={**self.stands_for, b: a})

    def unmerge(self, joined: str) -> KeyBook:
        """Take back that `joined` stands for another key: both mean what they did before. Raises KeyUnknown, SplitRefused."""
        if joined not in self.keys:
            raise KeyUnknown(key=joined)
        if joined not in self.stands_for:
            raise SplitRefused(key=joined, reason="it stands for no other key")
        return replace(self, stands_for={k: v for k, v in self.stands_for.items() if k != joined})

    def split(self, key: str, records: Iterable[RecordRef], new: str) -> KeyBook:
        """Take some of the records given to `key` itself to the key `new`. Raises KeyUnknown, SplitRefused."""
        own = {record for record, home in self.home.items() if home == key}
        taken = set(records)
        if key not in self.keys:
            raise KeyUnknown(key=key)
        if not taken or not taken < own or new in self.keys:
            reason = "some of its own records, not all, are to be named, and a key that is new"
            raise SplitRefused(key=key, reason=reason)
        moved = {record: new if record in taken else home for record, home in self.home.items()}
        return replace(self, home=moved, keys=self.keys | {new})


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a new record goes. `candidates`: present keys it may or does fit, for the desk when `kind` is unsure."""

    kind: str
    key: str
    candidates: tuple[str, ...]
    reasons: tuple[str, ...]


def place(
    entry: Entry,
    known: Mapping[str, Sequence[Entry]],
    *,
    everybody: bool = False,
    rivals_of: Callable[[str], Sequence[Entry]] | None = None,
    make_key: Callable[[], str] = new_key,
) -> Placement:
    """Which key a new record gets.

    known      present key -> the records of that person, for every person whom the record could be of (the caller's blocking)
    everybody  whether `known` holds every person who could be meant: only then may names and a date alone place a record
    rivals_of  with `everybody`: the entries of all others born that day; by default those of the other known keys
    """
    sure: list[str] = []
    maybe: list[str] = []
    bridged: list[str] = []
    reasons: list[str] = []
    for key in sorted(known):
        rivals: Sequence[Entry] | None = None
        if everybody:
            others = [other for k, entries in sorted(known.items()) if k != key for other in entries]
            rivals = rivals_of(key) if rivals_of is not None else others
        picked = pick(known[key], [entry], rivals)
        reasons.extend(getattr(picked, "reasons", ()))
        if isinstance(picked, Linked) and (why := _bridged(entry, known[key])):
            bridged.append(key)
            reasons.append(f"{UNSURE}:{why}")
        elif isinstance(picked, Linked):
            sure.append(key)
        elif isinstance(picked, Unsure) and not _only_namesake(entry, known[key]):
            maybe.append(key)
    if len(sure) == 1 and not bridged:
        # who else may be meant is told, but does not undo what is sure
        return Placement(EXISTING, sure[0], tuple(maybe), tuple(reasons))
    if not sure and not maybe and not bridged:
        return Placement(NEW, make_key(), (), tuple(reasons))
    return Placement(UNSURE, make_key(), tuple(sorted(sure + bridged)) or tuple(maybe), tuple(reasons))


def _bridged(entry: Entry, entries: Sequence[Entry]) -> str:
    """Why a record that fits one of a person's records contradicts another; empty when it does not, or when a clerk had joined records
    that contradict each other in the same way before.

    Else the record that arrives last would decide who is one person: A fits B, B fits C, and A and C have one PIN under two names.
    """
    fits = [one for one in entries if same_person(one, entry).verdict == SAME]
    for other in entries:
        if (why := _contradicts(entry, other)) and not all(_contradicts(one, other) for one in fits):
            return why
    return ""


def _contradicts(a: Entry, b: Entry) -> str:
    link = same_person(a, b)
    if link.verdict == SAME:
        return ""
    if "pin_equal" in link.reasons and "name_different" in link.reasons:
        return "+".join(link.reasons)
    return "+".join(link.reasons) if link.verdict == DIFFERENT and link.strong else ""


def _only_namesake(entry: Entry, entries: Sequence[Entry]) -> bool:
    """Whether all that could join the two is a name under another PIN: a namesake, and no question for anybody."""
    return all(pin_relation(entry, other) == "far" for other in entries)
