"""Same person? Deterministic linkage with reasons: same, different, or unsure. Pure.

Looked at: the PIN (usable only when its embedded date and sex do not contradict its own record), the date of birth, the sex,
and the names by their keys (`semantics.normalise.names.compare`). The rules err towards *unsure*, because a person can settle that and
nobody can undo a decision taken on a stranger's record:

- An equal PIN is proof only while the names do not contradict it. A PIN that is missing, or differs by a slip of the pen (up to two
  edits), proves nothing. A PIN that differs by more, beside the same name and date, is a namesake or a wrong PIN: unsure.
- A record in which exactly this person's PIN is written is never said to be another's, even where the PIN contradicts the record's
  own date or sex: one of the two is miswritten, and it need not be the PIN.
- Name and date alone are proof only when nobody else fits: `pick` is given the *rivals*, the other people born that day, and
  a record that fits a rival as well is unsure; one that fits a rival better is the rival's.
- "Nobody's record" is said only when every candidate surely belongs to someone else.

Twins (same date, near PINs, names alike) and two children of one name and date are the cases this was written for.
docs/decisions/0071 says why rules and not weights. Blocking, that is finding the candidates, is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rapidfuzz.distance import OSA

from kerege.semantics.normalise import names

SAME: Final = "same"
DIFFERENT: Final = "different"
UNSURE: Final = "unsure"

PIN_SLIP: Final = 2  # edits (a digit, a missing or doubled one, a transposition) that a slip of the pen explains


@dataclass(frozen=True, slots=True)
class Entry:
    """One record about a person in canonical form. `flagged`: (field, problem code) pairs of its translation.

    `source`: the register's own cells of the record, where the message brought them; never looked at in linking.
    """

    values: Mapping[str, str | None]
    flagged: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    source: Mapping[str, str | None] | None = field(default=None, compare=False)

    def get(self, name: str) -> str | None:
        value = self.values.get(name)
        return value if value else None

    @property
    def usable_pin(self) -> str | None:
        """The PIN, unless its mapping found that it contradicts the record it stands in."""
        if any(name == "pin" for name, _ in self.flagged):
            return None
        return self.get("pin")

    def with_pin(self, pin: str) -> Entry:
        """The same record with a PIN that is known from elsewhere to be this person's."""
        kept = frozenset(item for item in self.flagged if item[0] != "pin")
        return replace(self, values={**self.values, "pin": pin}, flagged=kept)


@dataclass(frozen=True, slots=True)
class Link:
    """Whether two records are of one person. `strong`: rests on more than names, so no rival need explain it."""

    verdict: str
    strong: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Linked:
    """These records are surely the person's, and no other candidate may be."""

    records: tuple[Entry, ...]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoneThere:
    """Every candidate surely belongs to someone else."""

    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsure:
    """`sure` records are the person's, `maybe` ones may be. `rivals_needed`: knowing who else was born that day may settle it."""

    sure: tuple[Entry, ...]
    maybe: tuple[Entry, ...]
    reasons: tuple[str, ...] = ()
    rivals_needed: bool = False


Picked = Linked | NoneThere | Unsure


def pin_relation(left: Entry, right: Entry) -> str:
    """`equal`, `near` (a slip of the pen apart), `far` or `unknown` (one is missing or contradicts its own record)."""
    a, b = left.usable_pin, right.usable_pin
    if a is None or b is None:
        return "unknown"
    if a == b:
        return "equal"
    return "near" if OSA.distance(a, b, score_cutoff=PIN_SLIP) <= PIN_SLIP else "far"


def date_relation(a: str | None, b: str | None) -> str:
    """`equal`, `near` (one digit, a transposition, or day and month changed round), `far` or `unknown`, of two ISO dates."""
    if not a or not b:
        return "unknown"
    if a == b:
        return "equal"
    if a[:4] == b[:4] and a[5:7] == b[8:10] and a[8:10] == b[5:7]:
        return "near"
    return "near" if OSA.distance(a, b, score_cutoff=1) <= 1 else "far"


def _sex_relation(left: Entry, right: Entry) -> str:
    a, b = left.get("sex"), right.get("sex")
    if a not in {"1", "2"} or b not in {"1", "2"}:
        return "unknown"
    return "equal" if a == b else "contradict"


def clearly_other(left: Entry, right: Entry) -> bool:
    """Whether at least two of the three parts of the name are unlike: more than one miswritten value can explain."""
    match = names.compare(left.values, right.values)
    return sum(reason.endswith("unlike") for reason in match.reasons) >= 2 and match.verdict == "different"


def name_relation(left: Entry, right: Entry) -> tuple[str, float]:
    """`same`, `similar`, `different` or `unknown`, with the score. An absent patronymic does not make a name another one."""
    if not any(left.get(k) for k in _NAME_KEYS) or not any(right.get(k) for k in _NAME_KEYS):
        return "unknown", 0.0
    match = names.compare(left.values, right.values)
    return str(match.verdict), float(match.score)


_NAME_KEYS: Final = ("surname_key", "given_name_key")


def same_person(left: Entry, right: Entry) -> Link:
    """Whether two records are of one person, on what stands in them alone."""
    pin = pin_relation(left, right)
    born = date_relation(left.get("birth_date"), right.get("birth_date"))
    sex = _sex_relation(left, right)
    name, _ = name_relation(left, right)
    reasons = (f"pin_{pin}", f"date_{born}", f"sex_{sex}", f"name_{name}")
    verdict, strong = _judge(pin, born, sex, name)
    if verdict == DIFFERENT and same_pin_written(left, right):
        return Link(UNSURE, False, (*reasons, "pin_written_equal"))
    return Link(verdict, strong, reasons)


def same_pin_written(left: Entry, right: Entry) -> bool:
    """Whether one PIN stands in both, also where a mapping flagged that it contradicts its own record."""
    return left.get("pin") is not None and left.get("pin") == right.get("pin")


def _judge(pin: str, born: str, sex: str, name: str) -> tuple[str, bool]:
    """The table of the rules above: (verdict, strong)."""
    if pin == "equal":
        if name in {"different", "unknown"}:
            return UNSURE, False
        if name == "same" or (born in {"equal", "unknown"} and sex != "contradict"):
            return SAME, True
        return UNSURE, False
    if name == "unknown":
        return (DIFFERENT, True) if born == "far" else (UNSURE, False)
    if name == "different":
        return DIFFERENT, born == "far" or pin == "far" or sex == "contradict"
    if born == "far":
        if name == "same" and pin == "near":
            return UNSURE, False
        return DIFFERENT, name != "same" or pin == "far"  # a whole name under another date: let its own people claim it
    if name == "same" and born == "equal" and sex != "contradict" and pin != "far":
        return SAME, False
    if name == "similar" and (sex == "contradict" or pin == "far"):
        return DIFFERENT, False
    return UNSURE, False


def pick(me: Sequence[Entry], candidates: Sequence[Entry], rivals: Sequence[Entry] | None = None) -> Picked:
    """Which candidates are this person's.

    me          views of the person that are already known to be of one person (the civil record first)
    candidates  every record that could be the person's: the caller's blocking must not leave one out
    rivals      everybody else born that day whom any register of people knows; None: not looked up, then nothing that rests on
                names alone is settled and the answer says that rivals would help
    """
    sure: list[Entry] = []
    maybe: list[Entry] = []
    reasons: list[str] = []
    rivals_needed = False
    for candidate in candidates:
        link = _best(me, candidate)
        if link.strong and link.verdict != UNSURE:
            verdict = link.verdict
        elif rivals is None:
            verdict, rivals_needed = UNSURE, True
        else:
            verdict = _among_rivals(link, candidate, rivals)
            if verdict == DIFFERENT and any(same_pin_written(view, candidate) for view in me):
                verdict = UNSURE
        if verdict == SAME:
            sure.append(candidate)
        elif verdict == UNSURE:
            maybe.append(candidate)
        if verdict != DIFFERENT:
            reasons.append(f"{verdict}:{'+'.join(link.reasons)}")
    if maybe:
        return Unsure(tuple(sure), tuple(maybe), tuple(reasons), rivals_needed)
    if sure:
        return Linked(tuple(sure), tuple(reasons))
    return NoneThere(tuple(reasons))


def _best(me: Sequence[Entry], candidate: Entry) -> Link:
    """The judgement over all views of the person: one view that fits is enough, all must agree that it is another.

    A PIN that is far from one view's outweighs the names of all: that view has the PIN the others lack.
    """
    links = [same_person(view, candidate) for view in me]
    same = [link for link in links if link.verdict == SAME]
    strong = next((link for link in same if link.strong), None)
    if strong is not None:
        return strong
    if same:
        return next((Link(UNSURE, False, link.reasons) for link in links if "pin_far" in link.reasons), same[0])
    if links and all(link.verdict == DIFFERENT for link in links):
        return next((link for link in links if not link.strong), links[0])
    return next((link for link in links if link.verdict == UNSURE), Link(UNSURE, False, ("no_view",)))


def _among_rivals(link: Link, candidate: Entry, rivals: Sequence[Entry]) -> str:
    """The verdict on a candidate that names alone do not settle, knowing everybody else who was born that day."""
    others = [same_person(rival, candidate) for rival in rivals]
    if any(other.verdict == SAME and other.strong for other in others):
        return DIFFERENT  # someone else's PIN and name stand in it
    fits_other = any(other.verdict == SAME for other in others)
    if link.verdict == SAME:
        return UNSURE if fits_other else SAME
    if fits_other:
        return DIFFERENT  # it fits a rival outright and me at best roughly
    if link.verdict == DIFFERENT and any(other.verdict == UNSURE for other in others):
        return DIFFERENT  # it fits a rival roughly and me not at all
    return UNSURE  # it fits nobody born that day: it may be mine, under a name written very badly


def pick_one(me: Sequence[Entry], candidates: Sequence[Entry], *, same_wins: bool = False) -> Picked:
    """Which record of a register with *one record per person* is this person's: the records are each other's rivals.

    An equal PIN settles it. Names and date alone settle it when no other record may be meant; or, with `same_wins`, when one name
    is the same and the others only similar: for candidates already known to be of one family, such as twins.
    """
    links = [(_best(me, candidate), candidate) for candidate in candidates]
    same = [(link, c) for link, c in links if link.verdict == SAME]
    strong = [(link, c) for link, c in same if link.strong]
    maybe = [(link, c) for link, c in links if link.verdict == UNSURE]
    reasons = tuple(f"{link.verdict}:{'+'.join(link.reasons)}" for link, _ in (*(strong or same), *maybe))
    if len(strong) == 1 or (not strong and len(same) == 1 and (same_wins or not maybe)):
        return Linked(((strong or same)[0][1],), reasons)
    if same or maybe:
        return Unsure((), tuple(c for _, c in (*same, *maybe)), reasons)
    return NoneThere(reasons)
