"""Suggestions and what stewards decided on them, both kept: the truth against which suggesting is measured later.

A suggestion is kept as it was said, before anybody decided; a decision is kept as it was taken, also one that overturns an earlier one. Nothing
here changes a crosswalk's rows: that is `crosswalks.accept` and `refuse`, which the edge calls beside `decide`. `measure` compares: how often the
accepted target stood first or among the first five, and how often the engine had accepted by itself what a steward then refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from kerege.catalogue.codes.versions import load_crosswalk
from kerege.catalogue.errors import CodeListVersionUnknown, DecisionRefused
from kerege.catalogue.models import CodeDecision, CodeSuggestion, SuggestedTarget
from kerege.ground.clock import require_utc
from kerege.ground.ids import new_id
from kerege.semantics.suggest.evidence import CandidateSet, without

ACCEPTED, REFUSED, NO_COUNTERPART = CodeDecision.ACCEPTED, CodeDecision.REFUSED, CodeDecision.NO_COUNTERPART
_LONGEST: Final = 200
_LOCK: Final = 0x6B636F64  # PostgreSQL's advisory locks of this doing; SQLite has one writer at a time
UNDO: Final = timedelta(minutes=15)


def new_run() -> str:
    """A name for one run of suggesting."""
    return new_id("run")


@transaction.atomic
def keep_suggestions(
    crosswalk: str,
    run: str,
    sets: Sequence[CandidateSet],
    labels: dict[str, str],
    targets: dict[str, str],
    now: datetime,
) -> int:
    """Keep what one run of suggesting said; returns how many codes. A code too long for the catalogue is left out and not counted.

    run      a name of the run; the same run twice is refused by the database
    labels, targets   code to label of either side, so that a desk can show them without the lists
    """
    made = [
        CodeSuggestion(
            crosswalk=crosswalk, run=run, code=s.source_code, label=labels.get(s.source_code, "")[:500], said=s.decision,
            reason=s.reason, made_at=require_utc(now),
        )
        for s in sets
        if len(s.source_code) <= _LONGEST
    ]  # fmt: skip
    CodeSuggestion.objects.bulk_create(made, batch_size=500)
    rows = {r.code: r for r in CodeSuggestion.objects.filter(run=run)}
    SuggestedTarget.objects.bulk_create(
        [
            SuggestedTarget(
                suggestion=rows[s.source_code], rank=rank, target=c.code, label=targets.get(c.code, "")[:500],
                score=c.strength, evidence=c.evidence(),
            )
            for s in sets
            if s.source_code in rows
            for rank, c in enumerate(s.candidates, start=1)
            if len(c.code) <= _LONGEST
        ],
        batch_size=500,
    )  # fmt: skip
    return len(made)


@transaction.atomic
def decide(
    crosswalk: str, code: str, verdict: str, by: str, now: datetime, *, target: str = "", reason: str = "",
    replaced: Mapping[str, str] | None = None,
) -> CodeDecision:  # fmt: skip
    """Keep a steward's decision on `code`, tied to the newest suggestion for it.

    verdict   accepted (with target), refused (with target) or no-counterpart (without)
    reason    needed only to overturn what somebody else decided on the same code
    replaced  what the decision took the place of outside of here (`codes.column_desk`)

    Raises DecisionRefused: nobody decides, a target is missing or too much, or an earlier decision is overturned without a reason; also one
    that was taken at this very moment.
    """

    def refuse(why: str) -> DecisionRefused:
        return DecisionRefused(code_given=repr(code[:40]), crosswalk=crosswalk, reason=why)

    if not by.strip():
        raise refuse("it does not say who decides")
    if verdict not in (ACCEPTED, REFUSED, NO_COUNTERPART):
        raise refuse(f"{verdict!r} is not accepted, refused or no-counterpart")
    if bool(target) == (verdict == NO_COUNTERPART):
        raise refuse("no-counterpart has no target" if target else f"{verdict} needs a target")
    _one_at_a_time(crosswalk)
    earlier = _standing(crosswalk, code)
    against = (verdict == ACCEPTED and earlier and (earlier.verdict, earlier.target) != (ACCEPTED, target)) or (
        verdict != ACCEPTED and earlier is not None and earlier.verdict == ACCEPTED and target in ("", earlier.target)
    )
    if against and earlier is not None and earlier.by != by.strip() and not reason.strip():
        said = f"{earlier.verdict} {earlier.target}".strip()
        raise refuse(f"{earlier.by} decided otherwise ({said}) and no reason is given")
    if verdict == ACCEPTED and not reason.strip():
        told = CodeDecision.objects.filter(crosswalk=crosswalk, code=code, target=target, verdict=REFUSED)
        other = told.exclude(by=by.strip()).order_by("-pk").first()
        if other is not None:
            raise refuse(f"{other.by} refused {target} and no reason is given")
    return CodeDecision.objects.create(
        crosswalk=crosswalk, code=code, verdict=verdict, target=target, by=by.strip(), reason=reason.strip(),
        suggestion=CodeSuggestion.objects.filter(crosswalk=crosswalk, code=code).order_by("-pk").first(),
        at=require_utc(now), replaced=dict(replaced or {}),
    )  # fmt: skip


def _one_at_a_time(*crosswalks: str) -> None:
    """Until the transaction ends nobody else decides on codes of these crosswalks: a code that nobody decided on has no row to hold."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for name in sorted(set(crosswalks)):  # in one order, so that two never wait for each other
                cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK, name])


@transaction.atomic
def accept_sure(suggestions: Iterable[CodeSuggestion], by: str, now: datetime) -> int:
    """Accept the first candidate of suggestions nobody decided on, in one go, each as this person's decision; returns how many.

    suggestions   with their candidates fetched before; what somebody refused is left out: that is not overturned in bulk
    """
    asked = list(suggestions)
    _one_at_a_time(*(s.crosswalk for s in asked))
    told = set(
        CodeDecision.objects.select_for_update()
        .filter(crosswalk__in={s.crosswalk for s in asked}, code__in=[s.code for s in asked])
        .values_list("crosswalk", "code", "verdict", "target")
    )
    settled = {(walk, code) for walk, code, verdict, _ in told if verdict != REFUSED}
    made = []
    for suggestion in asked:
        first, key = next(iter(suggestion.candidates.all()), None), (suggestion.crosswalk, suggestion.code)
        if first is not None and key not in settled and (*key, REFUSED, first.target) not in told:
            made.append(
                CodeDecision(
                    crosswalk=suggestion.crosswalk, code=suggestion.code, verdict=ACCEPTED, target=first.target, by=by.strip(),
                    suggestion=suggestion, at=require_utc(now),
                )
            )  # fmt: skip
    CodeDecision.objects.bulk_create(made, batch_size=500)
    return len(made)


@transaction.atomic
def take_back(decision_id: int, by: str, now: datetime, *, crosswalk: str, code: str) -> CodeDecision:
    """Undo a slip: take one's own newest decision on `code` out again, within `UNDO` of taking it; returns it as it was.

    Raises DecisionRefused, also for a decision on something else.

    A slip of the finger is no truth, so it is not kept; anything older stands and is overturned by another decision, with a reason.
    """
    _one_at_a_time(crosswalk)
    row = CodeDecision.objects.select_for_update().filter(pk=decision_id).first()
    why = ""
    if row is None or (row.crosswalk, row.code) != (crosswalk, code):
        why, row = "there is no such decision on it any more", None
    elif row.by != by.strip():
        why = f"{row.by} took it; only who decided can take it back"
    elif require_utc(now) - row.at > UNDO:
        why = f"it is older than {UNDO.seconds // 60} minutes; decide anew, with a reason"
    elif CodeDecision.objects.filter(crosswalk=row.crosswalk, code=row.code, pk__gt=row.pk).exists():
        why = "somebody decided on the code after it"
    elif row.written_in_id is not None:
        why = "it stands in a version of the crosswalk; decide anew, with a reason"
    if row is None or why:
        raise DecisionRefused(code_given=repr(code[:40]), crosswalk=crosswalk, reason=why)
    CodeDecision.objects.filter(pk=row.pk).delete()
    return row


def not_denied(crosswalk: str, sets: Sequence[CandidateSet]) -> list[CandidateSet]:
    """What is suggested, without what stands already as not so: rows of the newest version that say Not or found no term, and decisions.

    A target that was refused and then accepted after all is suggested as any other.
    """
    known: Callable[[str, str], bool]
    try:
        known = load_crosswalk(crosswalk).denies
    except CodeListVersionUnknown:
        known = _nothing_denied
    last: dict[tuple[str, str], str] = {}
    taken = CodeDecision.objects.filter(crosswalk=crosswalk).order_by("pk")
    for code, target, verdict in taken.values_list("code", "target", "verdict"):
        last[code, target] = verdict
        if verdict == ACCEPTED:
            last[code, ""] = verdict  # it has a counterpart after all

    def denied(code: str, target: str) -> bool:
        said = last.get((code, target))
        return said != ACCEPTED if said is not None else known(code, target)

    return without(sets, denied)


def _nothing_denied(_code: str, _target: str) -> bool:
    return False


def _standing(crosswalk: str, code: str) -> CodeDecision | None:
    """The newest decision that settles the code (a refusal of one target settles nothing)."""
    rows = CodeDecision.objects.filter(crosswalk=crosswalk, code=code).exclude(verdict=REFUSED)
    return rows.order_by("-pk").first()


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One decision with what had been suggested: the decision's target among the candidates (`rank`, None: not there)."""

    crosswalk: str
    code: str
    label: str
    verdict: str
    target: str
    by: str
    reason: str
    at: datetime
    said: str
    said_reason: str
    first: str
    rank: int | None

    def as_dict(self) -> dict[str, Any]:
        out = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return out | {"at": self.at.isoformat()}


def decisions(crosswalk: str = "", *, most: int = 10_000) -> list[DecisionView]:
    """Kept decisions, newest first; three queries for any number."""
    rows = CodeDecision.objects.order_by("-pk").select_related("suggestion").prefetch_related("suggestion__candidates")
    return [_view(row) for row in (rows.filter(crosswalk=crosswalk) if crosswalk else rows)[:most]]


def _view(row: CodeDecision) -> DecisionView:
    suggestion = row.suggestion
    ranked = list(suggestion.candidates.all()) if suggestion is not None else []
    return DecisionView(
        row.crosswalk, row.code, suggestion.label if suggestion else "", row.verdict, row.target, row.by, row.reason, row.at,
        suggestion.said if suggestion else "", suggestion.reason if suggestion else "", ranked[0].target if ranked else "",
        next((c.rank for c in ranked if c.target == row.target), None) if row.target else None,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """Suggesting against the kept decisions. Shares are None where nothing was decided.

    codes            codes with a standing decision and a suggestion before it
    with_target      of these, accepted with a target: `hit1` and `hit5` are shares of them
    accepted_alone   suggestions the engine had accepted by itself; `wrong` of them a steward decided otherwise
    """

    codes: int
    with_target: int
    hit1: float | None
    hit5: float | None
    accepted_alone: int
    wrong: int
    wrong_rate: float | None

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def measure(crosswalk: str = "") -> Measured:
    """hit@1, hit@5 and the rate of wrong acceptances over the decisions that stand (per code the newest that settles it); two queries.

    A refusal alone settles no code, but it is a wrong acceptance when it refuses what the engine had accepted by itself.
    """
    rows = CodeDecision.objects.exclude(suggestion=None)
    rows = rows.filter(crosswalk=crosswalk) if crosswalk else rows
    settling = rows.exclude(verdict=REFUSED)
    same = settling.filter(crosswalk=OuterRef("crosswalk"), code=OuterRef("code"))
    after = same.filter(pk__gt=OuterRef("pk"))
    ranks = SuggestedTarget.objects.filter(suggestion=OuterRef("suggestion"), target=OuterRef("target"))
    hit, alone = Q(verdict=ACCEPTED), Q(suggestion__said="accept")
    found = (
        settling.filter(~Exists(after))
        .annotate(rank=Subquery(ranks.values("rank")[:1]), first=Coalesce(_first("suggestion"), Value("")))
        .aggregate(
            codes=Count("pk"), with_target=Count("pk", filter=hit), hit1=Count("pk", filter=hit & Q(rank=1)),
            hit5=Count("pk", filter=hit & Q(rank__lte=5)), alone=Count("pk", filter=alone),
            wrong=Count("pk", filter=alone & ~Q(target=F("first"))),
        )
    )  # fmt: skip
    refused_alone = _refused_alone(rows.filter(verdict=REFUSED).filter(~Exists(same)))
    alone_count, wrong = found["alone"] + refused_alone, found["wrong"] + refused_alone
    return Measured(
        found["codes"], found["with_target"], _share(found["hit1"], found["with_target"]),
        _share(found["hit5"], found["with_target"]), alone_count, wrong, _share(wrong, alone_count),
    )  # fmt: skip


def _first(suggestion: str) -> Subquery:
    """The first candidate's target of the suggestion under that name."""
    return Subquery(
        SuggestedTarget.objects.filter(suggestion=OuterRef(suggestion)).order_by("rank").values("target")[:1]
    )


def _refused_alone(rows: QuerySet[CodeDecision]) -> int:
    """Codes of which a refusal speaks against what the newest suggestion would have accepted by itself."""
    newest = CodeSuggestion.objects.filter(crosswalk=OuterRef("crosswalk"), code=OuterRef("code"))
    newest = newest.order_by("-pk")
    found = rows.annotate(
        newest=Subquery(newest.values("pk")[:1]), said=Subquery(newest.values("said")[:1]), first=_first("newest")
    )
    return found.filter(said="accept", target=F("first")).values("crosswalk", "code").distinct().count()


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


@dataclass(frozen=True, slots=True)
class OpenSuggestion:
    """A code that waits for a steward: its candidates with rank, label, score and evidence, as the desk shows them."""

    crosswalk: str
    code: str
    label: str
    said: str
    reason: str
    made_at: datetime
    candidates: tuple[dict[str, Any], ...]


def waiting(crosswalk: str = "", *, most: int = 200) -> list[OpenSuggestion]:
    """Newest suggestions that no decision settled yet, unsure ones first; two queries, which read no more than `most` of them."""
    same = {"crosswalk": OuterRef("crosswalk"), "code": OuterRef("code")}
    later = CodeSuggestion.objects.filter(**same, pk__gt=OuterRef("pk"))
    settled = CodeDecision.objects.filter(**same).exclude(verdict=REFUSED)
    rows = CodeSuggestion.objects.filter(~Exists(later), ~Exists(settled)).prefetch_related("candidates")
    rows = rows.filter(crosswalk=crosswalk) if crosswalk else rows
    found = rows.order_by("-said", "crosswalk", "code")  # unsure, none, accept
    return [
        OpenSuggestion(
            r.crosswalk, r.code, r.label, r.said, r.reason, r.made_at,
            tuple({"rank": c.rank, "target": c.target, "label": c.label, "score": c.score, "evidence": c.evidence} for c in r.candidates.all()),
        )
        for r in found[:most]
    ]  # fmt: skip
