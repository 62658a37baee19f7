"""From suggestions to a crosswalk people stand behind: suggest, accept, refuse; kept as SSSOM TSV (`semantics.crosswalks.sssom`).

Accepted suggestions are exact matches with their likeness as confidence. Open ones are kept in the same file as `skos:relatedMatch`, a
predicate that translates nothing, so the desk's queue travels with the crosswalk. A refusal is kept as well, so that nobody is asked twice.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kerege.catalogue.errors import CodeTwice, CrosswalkBroken, SourceCodeUnknown, TableEmpty, TargetUnknown
from kerege.catalogue.files import written_whole
from kerege.catalogue.inventory.tables import column_index
from kerege.catalogue.sources.base import Table
from kerege.semantics.crosswalks.sssom import LEXICAL, MANUAL, Crosswalk, Policy, Row, read_sssom, write_sssom
from kerege.semantics.errors import CrosswalkInvalid
from kerege.semantics.pack import Pack
from kerege.semantics.suggest.codes import CodeRow, Suggestion
from kerege.semantics.suggest.links import Induced, induce_from_links

OPEN: Final = "skos:relatedMatch"
EXACT: Final = "skos:exactMatch"
_AUTHOR: Final = "kerege:suggest"
_NOT: Final = "Not"
LINKED: Final = "semapv:InstanceBasedMatching"


@dataclass(frozen=True, slots=True)
class Known:
    """Codes that are known beside the file's own rows: of the two code lists, or from what was suggested and decided before."""

    codes: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()


_NOTHING_MORE: Final = Known()


def known_of_lists(crosswalk: Crosswalk, pack: Pack) -> Known:
    """The codes of the lists between which the crosswalk is, as far as the country pack has them."""

    def codes(name: str) -> frozenset[str]:
        return frozenset(c.notation for c in pack.codelists[name]) if name in pack.codelists else frozenset()

    return Known(codes(crosswalk.subject_source), codes(crosswalk.object_source))


def code_rows(
    source: str, table: Table, code: str, *, label: str = "", parent: str = "", kind: str = "", also: Sequence[str] = (),
    merge_labels: bool = False,
) -> list[CodeRow]:  # fmt: skip
    """The codes of a table: from a list (one row per code, with label) or a register (values repeat; the label must then agree).

    Raises ColumnVanished, TableEmpty, and CodeTwice when one code stands with two labels, unless `merge_labels` says that both name the
    same thing (a list that gives two languages in two rows).
    """
    at = {name: column_index(source, table, name) for name in (code, label, parent, kind, *also) if name}
    found: dict[str, tuple[int, CodeRow]] = {}
    for number, row in table.numbered():
        value = (row[at[code]] or "").strip()
        if not value:
            continue

        def cell(name: str, row: Sequence[str | None] = row) -> str:
            return (row[at[name]] or "").strip() if name else ""

        entry = CodeRow(
            value,
            cell(label) if label else value,
            cell(parent) or None,
            tuple(c for c in map(cell, also) if c),
            cell(kind),
        )
        first, known = found.setdefault(value, (number, entry))
        if label and known.label != entry.label:
            if not merge_labels:
                raise CodeTwice(source=source, row=number, column=code, first=first)
            found[value] = first, replace(known, also=tuple(dict.fromkeys((*known.also, entry.label))))
    if not found:
        raise TableEmpty(source=source, table=table.name, before=f" with a value in {code}")
    return [entry for _, entry in found.values()]


def induced_from(path: Path) -> list[Induced]:
    """What linked records say: a CSV file with a header, a source code and a target code in the first two columns of each line.

    Raises CrosswalkBroken with the row for a line that has not two cells or is not UTF-8.
    """
    pairs = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, cells in enumerate(csv.reader(file), start=1):
                if len(cells) < 2:
                    raise CrosswalkBroken(file=path.name, row=number, column="?", reason="two cells were expected")
                if number > 1:
                    pairs.append((cells[0].strip(), cells[1].strip()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CrosswalkBroken(file=path.name, row="?", column="?", reason="not a CSV file in UTF-8") from error
    return induce_from_links(pairs)


def crosswalk_from(
    crosswalk_id: str, source: Sequence[CodeRow], target: Sequence[CodeRow], suggestions: Sequence[Suggestion], *,
    policy: str = "quarantine", subject_source: str = "", object_source: str = "", candidates: int = 3,
) -> Crosswalk:  # fmt: skip
    """A crosswalk of suggestions: accepted ones translate, open ones carry up to `candidates` candidates each and translate nothing."""
    labels = {row.code: row.label for row in source}
    names = {row.code: row.label for row in target}
    rows = []
    for s in suggestions:
        justification = LINKED if s.reason in ("linked-records", "labels-and-links") else LEXICAL
        base = Row(s.source_code, None, OPEN, justification, labels.get(s.source_code, ""), author=_AUTHOR)
        if s.decision == "accept" and s.best is not None:
            rows.append(_towards(base, s.candidates[0].code, s.candidates[0].score, names, EXACT, s.reason))
        elif s.decision == "unsure":
            rows += [
                _towards(base, c.code, c.score, names, OPEN, f"open: {s.reason}") for c in s.candidates[:candidates]
            ]
        else:
            rows.append(replace(base, comment=f"open: {s.reason}"))
    return Crosswalk(crosswalk_id, tuple(rows), subject_source, object_source, Policy.parse(policy))


def _towards(base: Row, code: str, score: float, names: dict[str, str], predicate: str, why: str) -> Row:
    confidence = round(min(1.0, max(0.0, score)), 4)
    return replace(
        base, object=code, predicate=predicate, object_label=names.get(code, ""), confidence=confidence, comment=why
    )


def accept(
    crosswalk: Crosswalk,
    code: str,
    target: str,
    by: str,
    *,
    known: Known = _NOTHING_MORE,
    new_code: bool = False,
    new_target: bool = False,
) -> Crosswalk:
    """A person says `code` means `target`: every open candidate and older match of the code gives way; refusals of others stay.

    Raises SourceCodeUnknown and TargetUnknown for what neither a row of the crosswalk names nor `known`, which is mostly a typing error,
    unless `new_code`, `new_target`.
    """
    _require_code(crosswalk, code, known, new_code)
    targets = {r.object for r in crosswalk.rows if r.object is not None} | known.targets
    if target not in targets and not new_target:
        raise TargetUnknown(target=repr(target), known=len(targets), crosswalk=crosswalk.id, code_given=repr(code))
    kept = [r for r in crosswalk.rows if r.subject != code or _refused(r)]
    if not any(r.subject == code for r in crosswalk.rows):
        label, target_label = "", ""
    else:
        label = next((r.subject_label for r in crosswalk.rows if r.subject == code and r.subject_label), "")
        target_label = next((r.object_label for r in crosswalk.rows if r.object == target and r.object_label), "")
    kept = [r for r in kept if not (r.subject in (code, "") and r.object == target)]  # also that nothing is `target`
    row = Row(code, target, EXACT, MANUAL, label, target_label, confidence=1.0, reviewer=by)
    return replace(crosswalk, rows=(*kept, row), unmapped=Counter())


def refuse(
    crosswalk: Crosswalk,
    code: str,
    target: str | None,
    by: str,
    *,
    known: Known = _NOTHING_MORE,
    new_code: bool = False,
) -> Crosswalk:
    """A person says `code` does not mean `target`; with `target` None, that it has no counterpart at all. Raises SourceCodeUnknown."""
    _require_code(crosswalk, code, known, new_code)
    label = next((r.subject_label for r in crosswalk.rows if r.subject == code and r.subject_label), "")
    if target is None:
        kept = [r for r in crosswalk.rows if r.subject != code]
        row = Row(code, None, EXACT, MANUAL, label, reviewer=by, comment="no counterpart")
        return replace(crosswalk, rows=(*kept, row), unmapped=Counter())
    kept = [r for r in crosswalk.rows if not (r.subject == code and r.object == target)]
    row = Row(code, target, EXACT, MANUAL, label, reviewer=by, predicate_modifier=_NOT)
    if not any(r.subject == code and not _refused(r) for r in kept):
        kept.append(Row(code, None, OPEN, MANUAL, label, comment="open: every candidate refused"))
    return replace(crosswalk, rows=(*kept, row), unmapped=Counter())


def _require_code(crosswalk: Crosswalk, code: str, known: Known, new_code: bool) -> None:
    key = crosswalk.key(code)
    codes = {crosswalk.key(r.subject) for r in crosswalk.rows if r.subject} | {crosswalk.key(c) for c in known.codes}
    if key not in codes and not new_code:
        raise SourceCodeUnknown(code_given=repr(code[:40]), known=len(codes), crosswalk=crosswalk.id)


def _refused(row: Row) -> bool:
    return row.predicate_modifier == _NOT


def open_codes(crosswalk: Crosswalk) -> dict[str, list[Row]]:
    """Codes nobody settled yet, with their candidates, best first."""
    settled = {r.subject for r in crosswalk.rows if r.translates or (r.object is None and r.predicate == EXACT)}
    queue: dict[str, list[Row]] = {}
    for row in crosswalk.rows:
        if row.predicate == OPEN and row.subject not in settled:
            queue.setdefault(row.subject, []).append(row)
    return queue


def read(path: Path) -> Crosswalk:
    """A crosswalk file; what is wrong with it is told with its line."""
    try:
        return read_sssom(path)
    except FileNotFoundError as error:
        raise CrosswalkBroken(file=str(path), row="?", column="?", reason="there is no such file") from error
    except CrosswalkInvalid as error:
        line, reason = error.params.get("line", "?"), error.params.get("reason", "")
        raise CrosswalkBroken(file=path.name, row=line, column="?", reason=reason) from error


def write(crosswalk: Crosswalk, path: Path, *, replace_file: bool = False) -> None:
    """The crosswalk at `path`, whole or not at all."""
    with written_whole(path, replace=replace_file) as file:
        file.write(write_sssom(crosswalk).decode())
