"""The clerical desk: are these two records of one person? Weights first; values only when somebody asks to see them, and that is written down.

The queue and a task's page show how the weight came about, without values. The values are shown as the answer to a form, side by side with the
class of each field, after both reads were committed to the ledger; they stand in no address, are not kept and not cached.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from kerege.catalogue.errors import ReasonNamesPerson
from kerege.ground import clock
from kerege.ground.errors import KeregeError
from kerege.ledger.log import Ledger
from kerege.reconcile import desk, desk_doings, desk_queries, registers
from kerege.reconcile.compare import AGREE, RecordView, compare_views
from kerege.reconcile.desk_queries import TaskRow
from kerege.reconcile.errors import PairNotOpened, RecordUnavailable
from kerege.reconcile.fields import of_country
from kerege.reconcile.linkage import definition
from kerege.semantics.normalise.folding import latin_key
from kerege.semantics.normalise.gazetteer import kind_of
from kerege.services.as_written import beside
from kerege.web import labels, reading, values
from kerege.web.desks.desk_common import attempt, back, me, names, one_of, pages, posted, refused, show

_SEEN: Final = "pairs_seen"
MOST_SEEN: Final = 20  # pairs a session remembers as opened
_COMMON: Final = frozenset(
    {"sex", "status", "language", "region_soate", "region", "soate", "area_soate"}
)  # they name nobody
_WORD: Final = re.compile(r"[^\W\d_]+")
_NUMBER: Final = re.compile(r"\d(?:[\s./()-]{0,2}\d)+")
STANDINGS = (desk.OPEN, desk.SECOND, desk.DISPUTED)


def listing(request: HttpRequest) -> HttpResponse:
    """What waits, nearest to even odds first; what one has decided oneself is marked and waits for another."""
    standing = one_of(request.GET.get("standing", ""), (*STANDINGS, *desk.VERDICTS))
    total = desk_queries.desk_total(standing=standing or None)
    page = pages(request, total, standing=standing)
    person = me(request).id
    shown = desk_queries.desk_queue(standing=standing or None, offset=page.start, limit=page.size)
    context = {
        "rows": [
            {"row": r, "mine": person in r.decided_by, "left": labels.register(r.left_register), "right": labels.register(r.right_register)}
            for r in shown
        ],
        "weighed": any(r.weight is not None for r in shown),
        "pages": page, "total": total, "standings": (*STANDINGS, *desk.VERDICTS), "chosen": standing,
    }  # fmt: skip
    return show(request, "desks/desk_pairs.html", context)


def one(request: HttpRequest, task_id: str) -> HttpResponse:
    row = _task(task_id)
    if request.method == "POST" and posted(request, "do") == "decide":
        return _decide(request, row)
    context = _context(request, row)
    if request.method == "POST" and posted(request, "do") == "open" and not context["settled"]:
        try:
            context |= _opened(request, row)
        except KeregeError as error:
            refused(request, error)
            return back("desks-pair", task_id)
    return show(request, "desks/desk_pair.html", context)


def _task(task_id: str) -> TaskRow:
    found = desk_queries.task(task_id)
    if found is None:
        raise Http404
    return found


def _context(request: HttpRequest, row: TaskRow) -> dict[str, Any]:
    against = desk_queries.contradictions(row.task_id)
    called = names([*row.decided_by, *(word.by for other in against for word in other.words)])
    return {
        "row": row, "left": labels.register(row.left_register), "right": labels.register(row.right_register), "opened": False,
        "mine": me(request).id in row.decided_by, "by": [called.get(b, b) for b in row.decided_by],
        "settled": row.standing in desk.VERDICTS, "steps": _waterfall(row.waterfall), "verdicts": desk.VERDICTS,
        "readable": _readable(row),
        "may_decide": row.task_id in _seen(request) or not _readable(row), "reads_for": _subsystem(me(request).member), "weight": row.weight,
        "probability": row.probability,
        "said": [_word(word, called) for word in row.words] if against or row.contested else [], "contested": row.contested,
        "against": [
            {"task": o.task_id, "left": labels.register(o.left_register), "right": labels.register(o.right_register), "standing": o.standing,
             "words": [_word(word, called) for word in o.words]}
            for o in against
        ],
    }  # fmt: skip


def _word(word: desk.Word, called: dict[str, str]) -> dict[str, str]:
    return {"verdict": word.verdict, "by": called.get(word.by, word.by), "reason": word.reason}


def _readable(row: TaskRow) -> bool:
    """Whether this installation may fetch both records: asked before anything is read or written."""
    try:
        return {row.left_register, row.right_register} <= set(registers.configured(Path(settings.HOME)))
    except KeregeError:
        return False


def _opened(request: HttpRequest, row: TaskRow) -> dict[str, Any]:
    """Both records side by side; the reads are in the ledger before a value is shown, on the legal basis of the linkage that asks."""
    pack, home = values.pack(), Path(settings.HOME)
    if pack is None:
        raise RecordUnavailable(register=row.left_register, reason="the country pack cannot be read")
    basis = definition.by_id(row.definition).legal_basis
    sides = desk_queries.sides(row.task_id)
    fetch = registers.Fetched(home, pack, wanted=sides, written=beside)
    person = me(request)
    reader = desk_doings.Reader(person.id, _subsystem(person.member), f"linkage/{row.definition}", basis)
    with Ledger.open(reading.ledger_folder()) as ledger:
        desk_doings.open_task(row.task_id, reader, fetch, ledger, clock.now(), about_of=registers.about_of(home))
    left, right = (fetch.views[side] for side in sides)
    _remember(request, row, (left, right))
    return {"opened": True, "fields": _fields(left, right), "legal_basis": basis}


def _subsystem(member: str) -> str:
    """For which subsystem a clerk reads: the own one, or the desk of the own member; "" where no member is known, for which nothing is opened."""
    parts = member.split("/")
    return f"{member}/desk" if len(parts) == 3 and all(parts) else member


def _fields(left: RecordView, right: RecordView) -> list[dict[str, Any]]:
    """Each compared field: both values in words, as written, and the class."""
    out = []
    compared = of_country()
    for spec in compared.fields.values():
        names_of = (spec.name if spec.name in (v.canonical or {}) else spec.key_of(v.register) for v in (left, right))
        pair = [
            ((v.canonical or {}).get(name), name, (v.raw or {}).get(spec.name))
            for v, name in zip((left, right), names_of, strict=True)
        ]
        if all(value is None and not raw for value, _, raw in pair):
            continue
        cls = compare_views(left, right, spec, compared).cls
        out.append(
            {
                "title": spec.titles, "cls": cls, "agrees": cls in AGREE,
                "sides": [
                    {"value": values.shown("person", name, value), "written": raw if raw and raw != value else ""} for value, name, raw in pair
                ],
            }
        )  # fmt: skip
    return out


def _waterfall(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Each step of the weight with where its bar begins and how wide it is, in per cent of the whole reach."""
    if not told:
        return []
    steps = [("", told.get("prior", 0.0), 0.0, None, None)] + [
        (s["comparison"], s["weight"], s["rarity"], s["titles"], s["words"]) for s in told.get("steps", ())
    ]
    reach, at = [0.0], 0.0
    for _, weight, rarity, _, _ in steps:
        at += weight + rarity
        reach.append(at)
    low, high = min(reach), max(reach)
    width = (high - low) or 1.0

    def per_cent(value: float) -> str:
        return f"{(value - low) / width * 100:.2f}%"

    out = []
    for place, (name, weight, rarity, titles, words) in enumerate(steps):
        begin, end = reach[place], reach[place + 1]
        out.append(
            {
                "name": name, "titles": titles, "words": words, "weight": weight + rarity, "rarity": rarity,
                "x": per_cent(min(begin, end)), "w": f"{max(abs(end - begin) / width * 100, 0.4):.2f}%", "zero": per_cent(0.0),
                "kind": "for" if end >= begin else "against", "sum": end,
            }
        )  # fmt: skip
    return out


def _remember(request: HttpRequest, row: TaskRow, views: Sequence[RecordView]) -> None:
    """That this person was shown the two records, with keyed traces of what stood there: enough to see it in a reason, not to read it."""
    said = [
        str(value)
        for view in views
        for told in (view.canonical or {}, view.raw or {})
        for name, value in told.items()
        if value and name not in _COMMON
    ]
    traces = sorted(set(_traces(word for value in said for word in _words(value))))
    kept = {**_seen(request), row.task_id: traces}
    request.session[_SEEN] = dict(list(kept.items())[-MOST_SEEN:])


def _seen(request: HttpRequest) -> dict[str, list[str]]:
    found = request.session.get(_SEEN)
    return found if isinstance(found, dict) else {}


def _words(text: str) -> Iterator[str]:
    """What a text may name a person by: names however spelt and bent (their beginning), and numbers and dates however they are cut."""
    for word in _WORD.findall(text):
        key = latin_key(word)
        if len(key) >= 4 and kind_of(word) is None:
            yield key[:5]
    for number in _NUMBER.findall(text):
        digits = "".join(c for c in number if c.isdecimal())
        if len(digits) >= 5:
            yield digits
            if len(digits) == 8:
                yield digits[4:] + digits[2:4] + digits[:2]  # a day written the other way round


def _traces(words: Iterable[str]) -> Iterator[str]:
    return (salted_hmac("kerege.pair", word).hexdigest()[:16] for word in words)


def _decide(request: HttpRequest, row: TaskRow) -> HttpResponse:
    verdict, reason, by = posted(request, "verdict", 20), posted(request, "reason", 400), me(request).id

    def doing() -> str:
        seen = _seen(request).get(row.task_id)
        if seen is None and _readable(row):
            raise PairNotOpened(task=row.task_id)
        if seen and set(seen) & set(_traces(_words(reason))):
            raise ReasonNamesPerson(field="reason", what="something that stands in the two records")
        with Ledger.open(reading.ledger_folder()) as ledger:
            return desk_doings.decide_and_join(
                row.task_id, verdict=verdict, reason=reason, by=by, ledger=ledger, now=clock.now()
            )

    standing = attempt(request, doing, "pairs.decided")
    if standing == desk.DISPUTED:  # what it contradicts, or who said otherwise, stands on its own page
        attempt(request, lambda: standing, "pairs.disputed")
    if standing is None or standing == desk.DISPUTED:
        return back("desks-pair", row.task_id)
    following = desk_queries.desk_queue(not_by=by, limit=1)
    return back("desks-pair", following[0].task_id) if following else back("desks-pairs")
