"""Codes that were met in data and no crosswalk knows, as codes to decide: beside what was suggested, with what their spelling is near to.

What `codes.unmapped` keeps as a mask only is no code to decide on: whoever has the register names the code itself at the desk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db.models import Min, Sum

from kerege.catalogue.codes import decisions
from kerege.catalogue.codes.crosswalk_desk import base_of
from kerege.catalogue.codes.decisions import OpenSuggestion
from kerege.catalogue.models import CodeDecision, CodeSuggestion, CrosswalkVersion, UnmappedCode
from kerege.semantics.crosswalks.sssom import OTHERS, Crosswalk, parse_sssom
from kerege.semantics.suggest.codes import CodeRow, suggest_codes

TOP = 5


def met(crosswalk: str) -> list[Mapping[str, Any]]:
    """`code`, `records` and `since` of the codes that wait so: no row of the newest version, no suggestion and no decision is about them."""
    rows = (
        _open(crosswalk)
        .exclude(code__startswith="(")
        .exclude(code=OTHERS)
        .values("code")
        .annotate(n=Sum("records"), since=Min("first_seen"))
        .order_by("-n", "code")
    )
    codes = [row["code"] for row in rows]
    if not codes:
        return []
    suggested = CodeSuggestion.objects.filter(crosswalk=crosswalk, code__in=codes).values_list("code", flat=True)
    decided = CodeDecision.objects.filter(crosswalk=crosswalk, code__in=codes).exclude(verdict=decisions.REFUSED)
    known = base_of(crosswalk)
    there = {*suggested, *decided.values_list("code", flat=True)}
    there |= {row.subject for row in known.rows} if known is not None else set()
    return [row for row in rows if row["code"] not in there]


def masked(crosswalk: str) -> int:
    """How many are kept as masks only."""
    return int(_open(crosswalk).filter(code__startswith="(").values("code").distinct().count())


def _open(crosswalk: str) -> Any:
    return UnmappedCode.objects.filter(crosswalk=crosswalk, settled_at=None)


def count(crosswalks: Sequence[str] = ()) -> int:
    """How many wait so, of every crosswalk or of these."""
    rows = UnmappedCode.objects.filter(settled_at=None).exclude(code__startswith="(")
    rows = rows.filter(crosswalk__in=crosswalks) if crosswalks else rows
    return sum(len(met(name)) for name in rows.order_by("crosswalk").values_list("crosswalk", flat=True).distinct())


def tasks(crosswalk: str, *, start: int = 0, most: int = 10) -> list[OpenSuggestion]:
    """A page of them with candidates: the targets of the wordings and codes that are spelled most alike."""
    rows = met(crosswalk)[start : start + most]
    if not rows:
        return []
    base = base_of(crosswalk)
    refused = set(
        CodeDecision.objects.filter(
            crosswalk=crosswalk, code__in=[row["code"] for row in rows], verdict=decisions.REFUSED
        ).values_list("code", "target")
    )
    newest = CrosswalkVersion.objects.filter(crosswalk=crosswalk).order_by("-pk").values_list("version", "digest")
    targets, labels = _targets(crosswalk, *newest[0]) if base is not None else ((), {})
    found = suggest_codes([CodeRow(row["code"], row["code"]) for row in rows], targets, top=TOP) if targets else ()
    alike = {s.source_code: s.candidates for s in found}
    return [
        OpenSuggestion(
            crosswalk, row["code"], "", "unsure" if alike.get(row["code"]) else "none", "met", _when(row["since"]),
            tuple(
                {"rank": rank, "target": c.code, "label": labels[c.code], "score": c.score, "evidence": {"label": c.score}}
                for rank, c in enumerate(alike.get(row["code"], ()), start=1)
                if (row["code"], c.code) not in refused and not (base is not None and base.denies(row["code"], c.code))
            ),
        )
        for row in rows
    ]  # fmt: skip


def _when(value: Any) -> datetime:
    assert isinstance(value, datetime)
    return value


@lru_cache(maxsize=8)
def _targets(crosswalk: str, version: str, _digest: str) -> tuple[tuple[CodeRow, ...], dict[str, str]]:
    """What the newest version leads to, each under the wordings and codes that lead there, and its label; put together once."""
    row = CrosswalkVersion.objects.get(crosswalk=crosswalk, version=version)
    walk: Crosswalk = parse_sssom(row.content, f"{crosswalk}@{version}")
    wordings: dict[str, list[str]] = {}
    labels: dict[str, str] = {}
    for one in walk.rows:
        if one.object and one.translates:
            labels[one.object] = one.object_label or labels.get(one.object, "")
            said = [one.subject_label or one.subject, one.object_label]
            wordings.setdefault(one.object, []).extend(s for s in said if s)
    rows = [CodeRow(target, said[0], also=tuple(dict.fromkeys(said[1:]))) for target, said in wordings.items()]
    return tuple(rows), labels
