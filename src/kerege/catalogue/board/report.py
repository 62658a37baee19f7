"""The board to print: one whole HTML page, or plain text, in one of three languages. Nothing is fetched from anywhere when it is opened.

The page has a language, headings in order, tables with captions and scoped heads, figures as text beside every colour, and rules for paper
(A4, rows not torn apart, heads repeated). Every value is escaped; the page has no script.
"""

from __future__ import annotations

from datetime import date, timedelta
from html import escape
from typing import Final

from kerege.catalogue.board.doings import Board, last_day
from kerege.catalogue.board.rules import DatasetLine, DayPoint, Measure
from kerege.catalogue.board.words import say, step_text
from kerege.ground.clock import BISHKEK
from kerege.ground.text import LANGUAGES

_STYLE: Final = """
:root { color-scheme: light; }
body { font: 11pt/1.45 "Noto Sans", "PT Sans", "Segoe UI", Arial, sans-serif; color: #1e2528; background: #fff; margin: 2rem auto;
  max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } 
h2 { font-size: 1.2rem; margin: 1.6rem 0 .5rem; border-bottom: 3px solid #972d1b; padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.1rem 0 .3rem; overflow-wrap: anywhere; }
p { margin: .25rem 0; } .soft { color: #515b5f; } .big { font-size: 1.25rem; font-weight: 600; }
table { border-collapse: collapse; width: 100%; margin: .4rem 0 .8rem; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { border: 1px solid #8d8170; padding: .25rem .5rem; text-align: left; vertical-align: top; } thead th { background: #f3eee4; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.yes { background: #e2f0ea; } .no { background: #f8e7e1; } ol { margin: .2rem 0 .8rem 1.3rem; padding: 0; } li { margin: .2rem 0; }
code { font: .9em "Noto Sans Mono", Consolas, monospace; overflow-wrap: anywhere; } svg { max-width: 100%; height: auto; }
.sign { margin-top: 2.5rem; display: flex; gap: 3rem; } .sign p { border-top: 1px solid #1e2528; padding-top: .3rem; flex: 1; }
@page { size: A4; margin: 16mm 14mm; }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 9.5pt; } thead { display: table-header-group; }
  tr, .keep, li { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .yes, .no, thead th { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


def as_html(view: Board, language: str) -> str:
    """The report as a page; `language` one of ky, ru, en."""
    assert language in LANGUAGES
    parts = [
        "<!doctype html>", f'<html lang="{language}">', "<head>", '<meta charset="utf-8">',
        f"<title>{_e(say('title', language))}: {_e(_day(view, language))}</title>",
        '<meta name="viewport" content="width=device-width, initial-scale=1">', f"<style>{_STYLE}</style>", "</head>",
        "<body>", "<main>", f"<h1>{_e(say('title', language))}</h1>",
        f'<p class="big">{_e(_day(view, language))}</p>',
        *(f'<p class="soft">{_e(line)}</p>' for line in _head(view, language)),
        *_totals(view, language), *_pace(view, language), *_datasets(view, language), *_interims(view, language),
        *_history(view, language),
        f'<div class="sign keep"><p>{_e(say("signature", language))}</p><p>{_e(say("signature", language))}</p></div>',
        "</main>", "</body>", "</html>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def as_text(view: Board, language: str) -> str:
    """The same as plain text, at most about a hundred columns where names allow."""
    title = say("title", language)
    lines = [title, "=" * len(title), _day(view, language), *_head(view, language), ""]
    for m in Measure:
        total, rule = view.totals[m], view.rules[m]
        done = say("of", language, done=total.done, total=total.total)
        sets = say("of", language, done=total.datasets, total=total.of)
        lines.append(f"{rule.text.in_(language):24} {done:>18}   {say('datasets_complete', language)}: {sets}")
    lines += [
        "",
        say("complete_all", language, done=view.complete, of=len(view.lines)),
        *pace_lines(view, language),
        "",
    ]
    for line in view.lines:
        lines.append(line.facts.dataset)
        lines.append("    " + say("critical_because", language, reason=line.facts.reason, by=line.facts.marked_by))
        counts = (f"{view.rules[m].text.in_(language)} {c.done}/{c.total}" for m, c in line.counts.items())
        lines.append("    " + "; ".join(counts))
        for number, step in enumerate(line.steps, start=1):
            lines.append(f"    {number}. {step_text(step, language)}")
            lines += [f"       $ {step.command}"] if step.command else []
    lines += [] if view.lines else [say("no_datasets", language)]
    if view.interims:
        lines += ["", say("interims", language), *(f"    {t}" for t in _terms(view, language))]
    if view.history:
        lines += ["", say("history", language)]
        for point in view.history:
            counts = (f"{view.rules[m].text.in_(language)} {c[0]}/{c[1]}" for m, c in point.counts.items())
            lines.append(f"    {shown_date(point.day)}  " + "; ".join(counts))
    return "\n".join(lines) + "\n"


def pace_lines(view: Board, language: str) -> list[str]:
    """The pace needed, the pace seen, and whether it is enough, a sentence each."""
    needed, seen = view.pace.needed, view.pace.seen
    if needed == 0:
        return [say("pace_nothing", language)]
    left = view.total - view.done
    first = (
        say("pace_over", language, n=left)
        if needed is None
        else say("pace_needed", language, n=_tenths(needed, language))
    )
    if seen is None:
        return [first, say("pace_unknown", language)]
    told = [first, say("pace_seen", language, n=_tenths(seen, language))]
    if view.pace.enough is not None:
        told.append(say("enough" if view.pace.enough else "too_slow", language))
    return told


def shown_date(day: date) -> str:
    return f"{day:%d.%m.%Y}"


def _tenths(value: int, language: str) -> str:
    sign = "\N{MINUS SIGN}" if value < 0 else ""
    return f"{sign}{abs(value) // 10}{'.' if language == 'en' else ','}{abs(value) % 10}"


def _day(view: Board, language: str) -> str:
    if view.day < 1:
        return say("not_begun", language, date=shown_date(view.started_on))
    if view.day > view.days:
        return say("over", language, days=view.day - view.days)
    return say("day_of", language, day=view.day, days=view.days)


def _head(view: Board, language: str) -> list[str]:
    last = last_day(view)
    return [
        say("from_to", language, first=shown_date(view.started_on), last=shown_date(last)),
        say("begun_by", language, by=view.by, reason=view.reason),
        say("as_of", language, at=f"{view.at.astimezone(BISHKEK):%d.%m.%Y %H:%M}"),
        say("own_facts", language),
    ]


def _totals(view: Board, language: str) -> list[str]:
    heads = ("measure", "done", "datasets_complete", "complete_from", "what")
    rows = []
    for m in Measure:
        total, rule = view.totals[m], view.rules[m]
        done = say("of", language, done=total.done, total=total.total)
        sets = say("of", language, done=total.datasets, total=total.of)
        shade = "yes" if total.of and total.datasets == total.of else "no"
        rows.append(
            f'<tr><th scope="row">{_e(rule.text.in_(language))}</th><td class="n">{_e(done)}</td>'
            f'<td class="n {shade}">{_e(sets)}</td><td class="n">{rule.complete_at} %</td>'
            f"<td>{_e(rule.meaning.in_(language))}</td></tr>"
        )
    return [
        f"<h2>{_e(say('together', language))}</h2>",
        f"<p>{_e(say('complete_all', language, done=view.complete, of=len(view.lines)))}</p>",
        *_table(say("together", language), [say(h, language) for h in heads], rows),
    ]


def _pace(view: Board, language: str) -> list[str]:
    return [f"<h2>{_e(say('pace', language))}</h2>", *(f"<p>{_e(t)}</p>" for t in pace_lines(view, language))]


def _datasets(view: Board, language: str) -> list[str]:
    parts = [f"<h2>{_e(say('datasets', language))}</h2>"]
    if not view.lines:
        return [*parts, f"<p>{_e(say('no_datasets', language))}</p>"]
    heads = [say("dataset", language), *(view.rules[m].text.in_(language) for m in Measure)]
    parts += _table(say("datasets", language), heads, [_row(line, language) for line in view.lines])
    for line in view.lines:
        facts = line.facts
        parts += [
            '<section class="keep">', f"<h3>{_e(facts.dataset)}</h3>",
            f"<p>{_e(say('organisation', language))}: {_e(facts.organisation or '–')}</p>",
            f"<p>{_e(say('critical_because', language, reason=facts.reason, by=facts.marked_by))}</p>",
        ]  # fmt: skip
        interim = sum(a.interim for a in facts.attributes)
        owned = view.rules[Measure.OWNED].text.in_(language)
        parts += [f"<p>{_e(owned)}, {_e(say('interim_of', language, n=interim))}</p>"] if interim else []
        findings = sum(facts.findings.values())
        parts += [f"<p>{_e(say('findings', language, n=findings))}</p>"] if findings else []
        if line.steps:
            parts.append(f"<p>{_e(say('next', language))}:</p><ol>")
            for step in line.steps:
                command = f"<br><code>{_e(step.command)}</code>" if step.command else ""
                parts.append(f"<li>{_e(step_text(step, language))}{command}</li>")
            parts.append("</ol>")
        else:
            parts.append(f"<p>{_e(say('nothing_next', language))}</p>")
        parts.append("</section>")
    return parts


def _row(line: DatasetLine, language: str) -> str:
    cells = []
    for m in Measure:
        c = line.counts[m]
        waits = m is Measure.HARMONISED and not c.complete and c.done == c.total
        word = say("waits" if waits else "yes" if c.complete else "no", language)
        cells.append(
            f'<td class="n {"yes" if c.complete else "no"}">{c.done}/{c.total}<br><small>{_e(word)}</small></td>'
        )
    return f'<tr><th scope="row">{_e(line.facts.dataset)}</th>{"".join(cells)}</tr>'


def _interims(view: Board, language: str) -> list[str]:
    if not view.interims:
        return []
    return [
        f"<h2>{_e(say('interims', language))}</h2>",
        "<ul>",
        *(f"<li>{_e(t)}</li>" for t in _terms(view, language)),
        "</ul>",
    ]


def _terms(view: Board, language: str) -> list[str]:
    return [
        f"{i.dataset}.{i.column}: {i.tenure.who}, {say('ran_out' if i.state == 'ran-out' else 'ends_soon', language, n=abs(i.days))}; "
        + say("names_lasting", language, who=i.tenure.names_lasting)
        for i in view.interims
    ]


def _history(view: Board, language: str) -> list[str]:
    if not view.history:
        return []
    heads = [say("date", language), *(view.rules[m].text.in_(language) for m in Measure)]
    rows = []
    for point in view.history:
        cells = (point.counts.get(m, (0, 0, 0)) for m in Measure)
        told = "".join(f'<td class="n">{done}/{total}</td>' for done, total, _ in cells)
        rows.append(f'<tr><th scope="row">{shown_date(point.day)}</th>{told}</tr>')
    return [
        f"<h2>{_e(say('history', language))}</h2>",
        *_chart(view, language),
        *_table(say("history", language), heads, rows),
    ]


def _chart(view: Board, language: str) -> list[str]:
    """Done by day over the whole plan, with the straight line that would be in time; a picture of the table beneath it."""
    width, height, left, low = 720, 180, 8, 160
    span = max(view.days - 1, 1)
    top = max([view.total, *(p.done for p in view.history), 1])

    def place(day: date, done: float) -> str:
        x = left + (width - 2 * left) * min(max((day - view.started_on) / timedelta(days=1), 0), span) / span
        return f"{x:.1f},{low - (low - 12) * done / top:.1f}"

    first: DayPoint = view.history[0]
    begin, end = shown_date(view.started_on), shown_date(last_day(view))
    line = f"{place(first.day, first.done)} {place(last_day(view), view.total)}"
    dots = [place(p.day, p.done).split(",") for p in view.history]
    label = _e(say("chart", language))
    return [
        f'<svg class="keep" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{label}">',
        f'<line x1="{left}" y1="{low}" x2="{width - left}" y2="{low}" stroke="#8d8170"/>',
        f'<polyline points="{line}" fill="none" stroke="#b8740b" stroke-dasharray="6 5" stroke-width="2"/>',
        f'<polyline points="{" ".join(map(",".join, dots))}" fill="none" stroke="#972d1b" stroke-width="3"/>',
        *(f'<circle cx="{x}" cy="{y}" r="3.5" fill="#972d1b"/>' for x, y in dots),
        f'<text x="{left}" y="{height - 4}" font-size="12">{begin}</text>',
        f'<text x="{width - left}" y="{height - 4}" font-size="12" text-anchor="end">{end}</text>',
        "</svg>",
    ]


def _table(caption: str, heads: list[str], rows: list[str]) -> list[str]:
    head = "".join(f'<th scope="col">{_e(h)}</th>' for h in heads)
    return [f"<table><caption>{_e(caption)}</caption><thead><tr>{head}</tr></thead><tbody>", *rows, "</tbody></table>"]


def _e(text: str) -> str:
    return escape(text, quote=True)
