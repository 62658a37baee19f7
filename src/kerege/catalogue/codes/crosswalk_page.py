"""A page of a crosswalk's table at the desk: how every code stands, and the rows of those on the page.

A version is one document, read once and kept (`crosswalk_desk.base_of`). What was suggested and decided since is in the database: of all of it only
codes and verdicts are read, to count and to order; suggestions with their candidates, and decisions, only for the codes of the page.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Count, Sum

from kerege.catalogue.codes import crosswalk_desk as desk
from kerege.catalogue.codes import decisions
from kerege.catalogue.codes.crosswalk_desk import STATES, TableRow
from kerege.catalogue.codes.crosswalks import OPEN
from kerege.catalogue.models import CodeSuggestion, UnmappedCode
from kerege.semantics.crosswalks.sssom import LEXICAL, Crosswalk, Row

_ORDER = ("unmapped", "open", "accepted", "refused")


@dataclass(frozen=True, slots=True)
class TablePage:
    """`lines` of the page, `total` of the state that was asked for, `counts` of every state.

    walk      the newest version (or the one named) with its policy; without rows where there is none
    changed   whether something was suggested or decided that it does not have
    """

    lines: tuple[TableRow, ...]
    total: int
    counts: dict[str, int]
    walk: Crosswalk
    changed: bool


class _Decision(NamedTuple):
    code: str
    target: str
    verdict: str
    by: str


def page(crosswalk: str, state: str = "", version: str = "", *, start: int = 0, size: int | None = None) -> TablePage:
    """The lines of one state (of all when none is named): those without a row first, then open, accepted, refused, each by code.

    version   that version's own rows, whatever was decided and suggested since
    """
    base = desk.base_of(crosswalk, version)
    own = bool(version) and base is not None
    states, changed = _states(crosswalk, version if own else "", own)
    unmapped = [line for line in _unmapped(crosswalk) if states.get(line.code, "open") == "open"]
    counts = Counter(states.values()) + Counter(unmapped=len(unmapped))
    wanted: list[TableRow | str] = []
    for name in _ORDER:
        if state in ("", name):
            wanted += (
                unmapped if name == "unmapped" else sorted(code for code, stands in states.items() if stands == name)
            )
    shown = wanted[start : None if size is None else start + size]
    codes = [one for one in shown if isinstance(one, str)]
    rows = desk.rows_of(crosswalk, version) if own else desk.worked_rows(crosswalk, codes)
    lines = tuple(desk.line(one, rows[one]) if isinstance(one, str) else one for one in shown)
    return TablePage(lines, len(wanted), {name: counts[name] for name in STATES}, base or Crosswalk(crosswalk), changed)


def _states(crosswalk: str, version: str, own: bool) -> tuple[dict[str, str], bool]:
    """How each code stands, and whether anything was suggested or decided since."""
    states = desk.states_of(crosswalk, version)
    if own:
        return states, False
    rows, before = desk.rows_of(crosswalk), len(states)
    states = dict(states)
    for code in CodeSuggestion.objects.filter(crosswalk=crosswalk).order_by().values_list("code", flat=True).distinct():
        states.setdefault(code, "open")
    decided: dict[str, list[_Decision]] = {}
    for values in desk.undone(crosswalk).values_list("code", "target", "verdict", "by"):
        decided.setdefault(values[0], []).append(_Decision(*values))
    for code, taken in decided.items():
        last = taken[-1].verdict
        if last == decisions.ACCEPTED:
            states[code] = "accepted"
        elif last == decisions.NO_COUNTERPART:
            states[code] = "refused"
        else:  # a candidate refused: what stood before may stand still
            found = rows.get(code) or ([Row(code, None, OPEN, LEXICAL)] if code in states else [])
            for one in taken:
                found = desk.with_decision(found, one, {})
            states[code] = desk.line(code, found).state
    return states, bool(decided) or len(states) > before


def _unmapped(crosswalk: str) -> list[TableRow]:
    """Codes that were seen in data and had no target, most records first."""
    seen = (
        UnmappedCode.objects.filter(crosswalk=crosswalk, settled_at=None)
        .values("code").annotate(n=Sum("records"), places=Count("pk")).order_by("-n", "code")
    )  # fmt: skip
    return [TableRow(r["code"], "", "unmapped", records=r["n"], places=r["places"]) for r in seen]
