"""Codes and columns matched on real registers that nobody here made: `make evaluate`.

Reads ../shared/data (Welsh schools in two languages and two codings; UK local authorities in many codings with hand-made maps) and prints,
per set, how many codes there are in the gold, how many were right at rank 1, accepted right, accepted wrong and left open, and the same of
a plain comparison of labels (`plain_match`), which is what the engine has to be better than; and for columns
hit@1 and hit@5. The gold is never shown to the matcher: it is the publishers' own maps, the position of a column in two language editions
of one sheet, and records linked by school number. Last line: one JSON object. Without the data it says so and ends with status 0.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from real_registers import DATA, UK, UK_LISTS, WALES, linked, majority, rows_of, uk_gold, uk_register

from kerege.catalogue.inventory.profile import as_column, profile_table, sketch
from kerege.catalogue.sources import open_source
from kerege.semantics.suggest.codes import CodeRow, suggest_codes
from kerege.semantics.suggest.columns import ColumnProfile, suggest_columns
from kerege.semantics.suggest.links import induce_from_links


@dataclass
class Score:
    """One set's result. `asked` codes stand in both the gold and the list as received."""

    name: str
    gold: int
    asked: int
    first: int
    right: int
    wrong: int
    beyond: int  # accepted for codes the gold says nothing of
    plain_right: int  # by the baseline (`plain_match`)
    plain_wrong: int
    seconds: float

    @property
    def open(self) -> int:
        return self.asked - self.right - self.wrong

    @property
    def plain_open(self) -> int:
        return self.asked - self.plain_right - self.plain_wrong


def plain_match(source: list[CodeRow], target: list[CodeRow]) -> dict[str, str]:
    """The baseline: a label equal to one of the target's, small and capital letters being the same, accepted when it names one code only.

    It sees the same labels as the engine, the other languages and official names among them, and nothing else.
    """
    named: dict[str, set[str]] = {}
    for row in target:
        for label in (row.label, *row.also):
            named.setdefault(label.strip().casefold(), set()).add(row.code)
    found: dict[str, str] = {}
    for row in source:
        codes = {c for label in (row.label, *row.also) for c in named.get(label.strip().casefold(), ())}
        if len(codes) == 1:
            found[row.code] = next(iter(codes))
    return found


def progress(text: str) -> None:
    """What runs now, on the terminal's last line only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def score(name: str, source: list[CodeRow], target: list[CodeRow], gold: dict[str, str]) -> Score:
    began = time.perf_counter()
    suggestions = suggest_codes(source, target)
    seconds = time.perf_counter() - began
    asked = [s for s in suggestions if s.source_code in gold]
    accepted = [s for s in asked if s.decision == "accept"]
    wrong = [s for s in accepted if s.best != gold[s.source_code]]
    plain = {c: t for c, t in plain_match(source, target).items() if c in gold}
    plain_right = sum(gold[c] == t for c, t in plain.items())
    if os.environ.get("EVALUATE_SHOW"):
        labels = {r.code: r.label for r in source}
        for s in asked:
            if s.best != gold[s.source_code] or s.decision != "accept":
                print(
                    "   ",
                    s.decision,
                    s.reason,
                    labels[s.source_code],
                    "->",
                    s.candidates[:2],
                    "gold",
                    gold[s.source_code],
                )
    return Score(
        name, len(gold), len(asked), sum(s.best == gold[s.source_code] for s in asked), len(accepted) - len(wrong), len(wrong),
        sum(s.decision == "accept" for s in suggestions if s.source_code not in gold), plain_right, len(plain) - plain_right, seconds,
    )  # fmt: skip


def uk_codes() -> list[Score]:
    register = uk_register()
    scores = []
    for coding, (file, code, label, kind) in UK_LISTS.items():
        progress(f"codes: {coding}")
        source: dict[str, CodeRow] = {}
        for r in rows_of(UK / file):
            if r[code] and r[code] not in source:
                source[r[code]] = CodeRow(r[code], r[label], kind=r.get(kind, "") if kind else "")
        scores.append(score(coding, list(source.values()), register, uk_gold(coding, register)))
    return scores


def uk_missing() -> tuple[int, int, list[str], int]:
    """Half of the register taken away (by the parity of a digest of the code): codes whose counterpart is gone, and how many of them
    were accepted for something else all the same, by the engine (with their names) and by the baseline."""
    register = uk_register()
    kept = [r for r in register if hashlib.sha256(r.code.encode()).digest()[0] % 2]
    there = {r.code for r in kept}
    gone = plain = 0
    wrong: list[str] = []
    for coding, (file, code, label, kind) in UK_LISTS.items():
        progress(f"codes without a counterpart: {coding}")
        gold = uk_gold(coding, register)
        source = {
            r[code]: CodeRow(r[code], r[label], kind=r.get(kind, "") if kind else "")
            for r in rows_of(UK / file)
            if r[code]
        }
        matched = plain_match(list(source.values()), kept)
        plain += sum(c in gold and gold[c] not in there for c in matched)
        for s in suggest_codes(list(source.values()), kept):
            if s.source_code in gold and gold[s.source_code] not in there:
                gone += 1
                if s.decision == "accept":
                    wrong.append(f"{coding} {source[s.source_code].label} -> {s.best}")
    return gone, len(wrong), wrong, plain


def wales_codes() -> list[Score]:
    """Labels in the English or the Welsh edition against the register's own codes, which carry both names. Gold: school number."""
    english, welsh, schools = linked()
    authorities = [r for r in uk_register() if r.code.startswith("principal-local-authority:")]
    types = [
        CodeRow(r["school-type-wls"], r["name"], also=(r["name-cy"],) if r["name-cy"] else ())
        for r in rows_of(WALES / "school-type-wls.tsv")
    ]
    scores = []
    for edition, rows, number, authority, kind in (
        ("English", english, "School Number", "Local Authority", "School Type"),
        ("Welsh", welsh, "Rhif yr ysgol", "Awdurdod Lleol", "Math o ysgol"),
    ):
        for what, column, target, field, prefix in (
            ("authority", authority, authorities, "principal-local-authority", "principal-local-authority:"),
            ("school type", kind, types, "school-type-wls", ""),
        ):
            progress(f"codes: Wales, {what}, {edition}")
            pairs = [
                (r[column], prefix + schools[r[number]][field])
                for r in rows
                if r[number] in schools and schools[r[number]][field]
            ]
            source = [CodeRow(v, v) for v in sorted({r[column] for r in rows if r[column]})]
            scores.append(score(f"Wales {what}, {edition}", source, target, majority(pairs)))
    return scores


# Code columns of the English sheet and the place of the same column in the Welsh one; the position is the gold for columns as well.
LINK_COLUMNS = (
    "Local Authority",
    "Sector",
    "Governance - see notes",
    "Welsh Medium Type - see notes",
    "School Type",
    "Religious Character",
)


@dataclass
class LinkScore:
    name: str
    gold: int
    right: int
    wrong: int
    links: int


def codes_by_links() -> list[LinkScore]:
    """English label -> Welsh label, from records linked by number. One half of the schools votes, the other half is the gold."""
    english, welsh, _ = linked()
    by_number = {r["Rhif yr ysgol"]: list(r.values()) for r in welsh}
    scores = []
    for column in LINK_COLUMNS:
        at = list(english[0]).index(column)
        pairs = [(r[column], by_number[r["School Number"]][at]) for r in english if r["School Number"] in by_number]
        voting, judging = pairs[0::2], pairs[1::2]
        gold = majority(judging)
        induced = {i.source_code: i.target for i in induce_from_links(voting) if i.decision == "accept"}
        right = sum(gold[c] == t for c, t in induced.items() if c in gold)
        wrong = sum(gold[c] != t for c, t in induced.items() if c in gold)
        scores.append(LinkScore(column, len(gold), right, wrong, len(voting)))
    return scores


def columns_of(path: Path, key: bytes) -> list[ColumnProfile]:
    """Profiles with a keyed sketch of the values, as `kerege suggest` makes them."""
    table = open_source(str(path)).tables()[0]
    rows = list(table.rows())
    profile = profile_table(table.name, table.heads, enumerate(rows))
    values = list(zip(*rows, strict=True)) or [()] * len(table.heads)
    return [as_column(f, table.name, sketch(values[i], key)) for i, f in enumerate(profile.fields)]


@dataclass
class ColumnScore:
    name: str
    gold: int
    hit1: int
    hit5: int
    of: int


def wales_columns(*, values: bool = True) -> list[ColumnScore]:
    """English sheet -> Welsh sheet (gold: same position), and each edition -> the register (gold: the register's documented fields).

    values   whether the owners let keyed hashes of their values be compared; without, only names, shapes and frequencies speak
    """
    key = os.urandom(16)
    english, welsh = (
        columns_of(WALES / "wales_maintained_en.csv", key),
        columns_of(WALES / "wales_maintained_cy.csv", key),
    )
    register = columns_of(WALES / "school-wls.tsv", key)
    if not values:
        english, welsh, register = (
            [replace(c, values=frozenset()) for c in columns] for columns in (english, welsh, register)
        )
    pairs = {a.name: {b.name} for a, b in zip(english, welsh, strict=True)}
    back = {b.name: {a.name} for a, b in zip(english, welsh, strict=True)}
    documented = {0: {"school-wls"}, 1: {"name", "name-cy"}, 3: {"principal-local-authority"}, 8: {"school-type-wls"}}
    return [
        column_score("Wales sheet, English to Welsh", english, welsh, pairs),
        column_score("Wales sheet, Welsh to English", welsh, english, back),
        column_score(
            "Wales sheet (English) to register", english, register, {english[i].name: t for i, t in documented.items()}
        ),
        column_score(
            "Wales sheet (Welsh) to register", welsh, register, {welsh[i].name: t for i, t in documented.items()}
        ),
    ]


def uk_columns() -> list[ColumnScore]:
    """Each agency's list -> the English register. Gold: the publishers' meta.yml, which says what is the list's name and type column."""
    key = os.urandom(16)
    target = columns_of(UK / "data/local-authority-eng/local-authorities.tsv", key)
    meaning = {"name": {"name"}, "type": {"local-authority-type"}}
    total = ColumnScore("UK lists (name, type) to register", 0, 0, 0, len(target))
    for meta in sorted((UK / "lists").glob("*/meta.yml")):
        files = sorted(meta.parent.glob("*.tsv"))
        if len(files) != 1:
            continue
        progress(f"columns: {meta.parent.name}")
        source = columns_of(files[0], key)
        told = dict(line.split(": ", 1) for line in meta.read_text().splitlines() if ": " in line)
        names = {c.name.replace("-", "_"): c.name for c in source}
        gold = {
            names[c]: meaning[w]
            for w, c in ((w, told[w].strip().replace("-", "_")) for w in meaning if w in told)
            if c in names
        }
        one = column_score(meta.parent.name, source, target, gold)
        total.gold, total.hit1, total.hit5 = total.gold + one.gold, total.hit1 + one.hit1, total.hit5 + one.hit5
    return [total]


def column_score(
    name: str, source: list[ColumnProfile], target: list[ColumnProfile], gold: dict[str, set[str]]
) -> ColumnScore:
    result = ColumnScore(name, len(gold), 0, 0, len(target))
    for suggestion in suggest_columns(source, target, top=5):
        if suggestion.column in gold:
            ranked = [c.column for c in suggestion.candidates]
            result.hit1 += bool(ranked) and ranked[0] in gold[suggestion.column]
            result.hit5 += any(c in gold[suggestion.column] for c in ranked)
            if os.environ.get("EVALUATE_SHOW") and ranked[0] not in gold[suggestion.column]:
                print(
                    "   ", suggestion.column, [(c.column, c.score, c.witnesses[:3]) for c in suggestion.candidates[:3]]
                )
    return result


def main() -> int:
    if not UK.is_dir() or not WALES.is_dir():
        print(f"not there: {DATA} (real registers for the evaluation); nothing was measured")
        return 0
    codes = [*uk_codes(), *wales_codes()]
    gone, astray, examples, plain_astray = uk_missing()
    links = codes_by_links()
    columns = [*wales_columns(), *uk_columns()]
    progress("")
    print(
        "Codes by label        gold  asked  right first  accepted right  accepted wrong  left open  not in gold  plain right  wrong  open  seconds"
    )
    for s in codes:
        print(
            f"{s.name:28}{s.gold:5}{s.asked:7}{s.first:9} {s.first / s.asked:4.0%}{s.right:11} {s.right / s.asked:4.0%}"
            f"{s.wrong:15}{s.open:12}{s.beyond:12}"
            f"{s.plain_right:10} {s.plain_right / s.asked:4.0%}{s.plain_wrong:7}{s.plain_open:6}{s.seconds:9.1f}"
        )
    asked, first, right, wrong = (sum(getattr(s, f) for s in codes) for f in ("asked", "first", "right", "wrong"))
    plain_right, plain_wrong = (sum(getattr(s, f) for s in codes) for f in ("plain_right", "plain_wrong"))
    print(
        f"{'all':28}{sum(s.gold for s in codes):5}{asked:7}{first:9} {first / asked:4.0%}{right:11} {right / asked:4.0%}{wrong:15}"
        f"{asked - right - wrong:12}{'':12}{plain_right:10} {plain_right / asked:4.0%}{plain_wrong:7}{asked - plain_right - plain_wrong:6}"
    )
    print("not asked: discovery (a list of codes without labels), website (addresses, not codes)")
    print(
        f"half of the register taken away: {gone} codes without a counterpart, {astray} accepted all the same "
        f"{examples[:5] or ''}(plain: {plain_astray})"
    )
    print("\nCodes by linked records (English label to Welsh label; half of the schools vote, half judge)")
    for link in links:
        print(
            f"{link.name:32} gold {link.gold:3}  right {link.right:3}  wrong {link.wrong:2}  open {link.gold - link.right - link.wrong:2}"
        )
    print("\nColumns                             gold  of columns  hit@1        hit@5")
    for c in columns:
        print(f"{c.name:36}{c.gold:4}{c.of:10}{c.hit1:9} {c.hit1 / c.gold:4.0%}{c.hit5:8} {c.hit5 / c.gold:4.0%}")
    gold, hit1, hit5 = (sum(getattr(c, f) for c in columns) for f in ("gold", "hit1", "hit5"))
    print(f"{'all':36}{gold:4}{'':10}{hit1:9} {hit1 / gold:4.0%}{hit5:8} {hit5 / gold:4.0%}\n")
    print("The same Welsh columns when no values are compared (not in the figures below)")
    for c in wales_columns(values=False):
        print(f"{c.name:36}{c.gold:4}{c.of:10}{c.hit1:9} {c.hit1 / c.gold:4.0%}{c.hit5:8} {c.hit5 / c.gold:4.0%}")
    print()
    result = {
        "codes_right_first": round(first / asked, 4),
        "codes_wrong_accepted": wrong + astray + sum(x.wrong for x in links),
        "columns_hit1": round(hit1 / gold, 4),
        "columns_hit5": round(hit5 / gold, 4),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
