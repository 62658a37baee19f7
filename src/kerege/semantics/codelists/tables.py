"""Code lists as tables: CSV and XLSX in and out, one line per code.

Columns: notation, ky, ru, en and any other language by its tag; alt (alternative labels, `|` between them, `wording@language` where one is said),
broader (several with `|`), related, replaced_by, valid_from, valid_to (yyyy-mm-dd), and the kinds of notes (`definition`, `scopeNote`, ...; of one
language `definition@ky`). Reading needs only `notation`.

**Spreadsheets execute cells.** A cell that begins with `=`, `+`, `-`, `@` or a control character is a formula to Excel and its kin (OWASP, "CSV
injection"). In CSV such a text is written with an apostrophe before it, and reading takes exactly one off again; in XLSX every cell is a text
cell (`inlineStr`) with the quote-prefix style, which no spreadsheet evaluates, also not after an edit (docs/decisions/0119).

**Spreadsheets lose codes.** A notation that arrives as a date ("1-2") or as a number beside codes with leading zeros ("7", "012") is refused
with its row: what it was cannot be known any more. Bounds: `MOST_BYTES` packed and `_UNPACKED` unpacked, `MOST_CODES` rows, `_MOST_CELLS` from the
first cell to the last one (`codelists.sheet_extent`), which is what reading a sheet takes memory for.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kerege.ground.text import LANGUAGES
from kerege.semantics.codelists.codelist import MOST_BYTES, MOST_CODES, NOTE_KINDS, CodeList, Concept, Note
from kerege.semantics.codelists.sheet_extent import COMPOUND, Extent, binary_kind
from kerege.semantics.codelists.spreadsheets import as_meant, neutralised
from kerege.semantics.codelists.xlsx import write_xlsx
from kerege.semantics.errors import CodeListInvalid, CodeListTooLarge

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

_FIXED: Final = ("notation", "alt", "broader", "related", "replaced_by", "valid_from", "valid_to")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_TAGGED: Final = re.compile(r"(?s)(.*)@([a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)?")
_LONGEST_CELL: Final = 32_767  # what a spreadsheet's cell holds
_COLUMNS: Final = 200
_UNPACKED: Final = 4 * MOST_BYTES
_MOST_CELLS: Final = 40 * MOST_CODES  # of all sheets together, the empty ones between filled ones included
Table = Iterator[tuple[int, Sequence[Any]]]


def read_csv(path: Path, list_id: str, title: dict[str, str] | None = None) -> CodeList:
    """A list from a CSV file; separator `,`, `;` or tab by the header."""
    if (size := path.stat().st_size) > MOST_BYTES:
        raise CodeListTooLarge(file=path.name, found=f"{size} bytes", limit=f"{MOST_BYTES} bytes")
    return parse_csv(path.read_bytes(), path.name, list_id, title)


def parse_csv(data: bytes, name: str, list_id: str, title: dict[str, str] | None = None) -> CodeList:
    """A list from the bytes of a CSV file; `name` is used in errors."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CodeListInvalid(file=name, reason=f"byte {error.start} is not UTF-8") from error
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    if text.count("\n") > MOST_CODES:  # told apart from long notes before anything is built of it
        rows = sum(1 for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if cells) - 1
        if rows > MOST_CODES:
            raise CodeListTooLarge(file=name, found=f"{rows} rows", limit=str(MOST_CODES))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)

    def lines() -> Table:
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, [as_meant(c) for c in cells]
        except csv.Error as error:
            raise CodeListInvalid(file=name, reason=f"line {reader.line_num}: {error}") from error

    return CodeList(list_id, tuple(_concepts(lines(), name, "line")), title or {}, source=name)


def read_xlsx(data: bytes, name: str, list_id: str, title: dict[str, str] | None = None) -> CodeList:
    """A list from the first sheet of an XLSX (or ODS) file whose header has a column notation."""
    from python_calamine import CalamineError, CalamineWorkbook

    _check_package(data, name)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for title_of_sheet in book.sheet_names:
            filled = _filled(book.get_sheet_by_name(title_of_sheet), name)
            if filled and "notation" in [str(c).strip() for c in filled[0][1]]:
                break
        else:
            raise CodeListInvalid(file=name, reason="no sheet's first row has a column notation")
    except (CalamineError, OSError, ValueError) as error:
        raise CodeListInvalid(file=name, reason="the spreadsheet cannot be opened") from error
    return CodeList(list_id, tuple(_concepts(_texts(filled, name), name, "row")), title or {}, source=name)


def _filled(sheet: CalamineSheet, name: str) -> list[tuple[int, list[Any]]]:
    """(row number as the spreadsheet shows it, cells) of the rows that are not blank, one row at a time."""
    if sheet.height > MOST_CODES + 1:
        raise CodeListTooLarge(file=name, found=f"{sheet.height} rows", limit=str(MOST_CODES))
    first = sheet.start[0] if sheet.start else 0
    rows = enumerate(sheet.iter_rows(), start=first + 1)
    return [(number, cells) for number, cells in rows if any(c not in (None, "") for c in cells)]


# what zipfile raises of a container: NotImplementedError of a compression it does not know, RuntimeError of an encrypted part
_DAMAGED: Final = (
    zipfile.BadZipFile, OSError, EOFError, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, ValueError, struct.error,
)  # fmt: skip


def _check_package(data: bytes, name: str) -> None:
    """Refuse a container that unpacks to more than a list can need, before anything unpacks it; counted, not believed."""
    if len(data) > MOST_BYTES:
        raise CodeListTooLarge(file=name, found=f"{len(data)} bytes", limit=f"{MOST_BYTES} bytes")
    if kind := binary_kind(data[: len(COMPOUND)]):
        reason = f"it is a binary workbook ({kind}) or one under a password; save it as XLSX without a password"
        raise CodeListInvalid(file=name, reason=reason)
    if not data.startswith(b"PK"):  # a container may stand behind a workbook of another kind, and the other be read
        raise CodeListInvalid(file=name, reason="the spreadsheet's container is damaged or of another kind")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            parts = package.infolist()
            told = sum(part.file_size for part in parts)
            if len(parts) > 10_000 or told > _UNPACKED:
                raise CodeListTooLarge(file=name, found=f"{told} bytes unpacked", limit=f"{_UNPACKED} bytes unpacked")
            if kind := binary_kind(b"", (part.filename for part in parts)):
                raise CodeListInvalid(file=name, reason=f"it is a binary workbook ({kind}); save it as XLSX")
            total = cells = 0
            for part in parts:
                extent = Extent(part.filename)
                with package.open(part) as file:
                    while piece := file.read(1 << 20):
                        total += len(piece)
                        if total > _UNPACKED:
                            raise CodeListTooLarge(
                                file=name, found=f"more than {_UNPACKED} bytes unpacked", limit="less than that"
                            )
                        extent.feed(piece)
                        _check_extent(extent, cells, name)
                extent.close()
                _check_extent(extent, cells, name)
                cells += extent.cells
    except (CodeListTooLarge, CodeListInvalid):
        raise
    except _DAMAGED as error:
        raise CodeListInvalid(file=name, reason="the spreadsheet's container is damaged or of another kind") from error


def _check_extent(extent: Extent, before: int, name: str) -> None:
    if before + extent.cells > _MOST_CELLS:
        reason = (
            f"a sheet reaches to row {extent.rows} and column {extent.columns}, the sheets to more than {_MOST_CELLS} cells, most of them "
            "empty; delete what stands far outside the table (Ctrl+End shows it)"
        )
        raise CodeListInvalid(file=name, reason=reason)


def _texts(rows: Sequence[tuple[int, Sequence[Any]]], name: str) -> Table:
    """Cells as text; a notation that the spreadsheet turned into something else is refused."""
    heads = [str(c).strip() for c in rows[0][1]]
    at = heads.index("notation")
    given = [(number, cells[at]) for number, cells in rows[1:] if at < len(cells)]
    zeros = any(isinstance(value, str) and value.strip()[:1] == "0" and len(value.strip()) > 1 for _, value in given)
    for number, value in given:
        if isinstance(value, dt.date | dt.time | dt.timedelta):
            reason = f"row {number}: the notation arrived as a date; the spreadsheet made one of a code: format the column as text"
            raise CodeListInvalid(file=name, reason=reason)
        if isinstance(value, int | float) and (zeros or float(value) != int(value)):
            reason = f"row {number}: the notation arrived as a number among codes written as text: leading zeros are lost; format the column as text"
            raise CodeListInvalid(file=name, reason=reason)
    for number, cells in rows:
        yield number, [_text(c) for c in cells]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat()
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _concepts(rows: Table, name: str, unit: str) -> Iterator[Concept]:
    _, first = next(rows, (0, ()))
    heads = [str(c).strip() for c in first]
    while heads and not heads[-1]:
        heads.pop()
    if "notation" not in heads:
        raise CodeListInvalid(file=name, reason="the header has no column notation")
    if len(heads) > _COLUMNS or (twice := next((h for h in heads if h and heads.count(h) > 1), None)):
        raise CodeListInvalid(
            file=name, reason="too many columns" if len(heads) > _COLUMNS else f"the column {twice} stands twice"
        )
    unknown = [h for h in heads if h not in _FIXED and _note_of(h) is None and not _LANGUAGE.fullmatch(h)]
    if unknown:
        raise CodeListInvalid(file=name, reason=f"the column {unknown[0]!r} is not one of a code list")
    for number, cells in rows:
        if any(str(c).strip() for c in cells[len(heads) :]) or (unit == "line" and len(cells) != len(heads)):
            raise CodeListInvalid(file=name, reason=f"{unit} {number} has not as many cells as the header")
        try:
            yield _concept({head: str(cell).strip() for head, cell in zip(heads, cells, strict=False) if head})
        except ValueError as error:
            raise CodeListInvalid(file=name, reason=f"{unit} {number}: validity must be written yyyy-mm-dd") from error


def _note_of(head: str) -> tuple[Any, str] | None:
    kind, _, language = head.partition("@")
    return (kind, language) if kind in NOTE_KINDS and (not language or _LANGUAGE.fullmatch(language)) else None


def _concept(row: dict[str, str]) -> Concept:
    first, last = (date.fromisoformat(v) if (v := row.get(k)) else None for k in ("valid_from", "valid_to"))
    above = _split(row.get("broader", ""))
    languages = [*LANGUAGES, *sorted(h for h in row if _LANGUAGE.fullmatch(h) and h not in (*LANGUAGES, "alt"))]
    notes = []
    for head in row:
        if (note := _note_of(head)) is not None:
            notes += [Note(note[0], note[1], text) for text in _split(row[head])]
    notes.sort(key=lambda n: NOTE_KINDS.index(n.kind))
    return Concept(
        notation=row["notation"],
        labels={str(language): row[language] for language in languages if row.get(language)},
        alt_labels=tuple(_alternative(text) for text in _split(row.get("alt", ""))),
        broader=above[0] if above else None,
        valid_from=first,
        valid_to=last,
        notes=tuple(notes),
        also_broader=tuple(above[1:]),
        related=tuple(_split(row.get("related", ""))),
        replaced_by=tuple(_split(row.get("replaced_by", ""))),
    )


def _alternative(text: str) -> tuple[str, str]:
    found = _TAGGED.fullmatch(text)
    return (found[2] or "", found[1].strip()) if found else ("", text)


def _split(cell: str) -> list[str]:
    """Parts between `|`; `\\|` and `\\\\` are the characters themselves."""
    parts, escaped = [""], False
    for character in cell:
        if not escaped and character == "|":
            parts.append("")
        elif not escaped and character == "\\":
            escaped = True
            continue
        else:
            parts[-1] += character
        escaped = False
    return [part.strip() for part in parts if part.strip()]


def _joined(parts: Sequence[str]) -> str:
    return "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)


def table(codelist: CodeList) -> tuple[list[str], Iterator[list[str]]]:
    """(heads, rows) of the list as written; columns that no code fills are left out, but for notation and the three languages."""
    tags = {tag for c in codelist for tag in c.labels}
    if "alt" in tags or any(not _LANGUAGE.fullmatch(tag) for tag in tags):
        raise CodeListInvalid(file=codelist.id, reason="a table needs a language for every label")
    others = sorted(tags - set(LANGUAGES))
    notes = sorted({f"{n.kind}@{n.language}" if n.language else n.kind for c in codelist for n in c.notes})
    heads = [
        "notation",
        *LANGUAGES,
        *others,
        "alt",
        "broader",
        "related",
        "replaced_by",
        "valid_from",
        "valid_to",
        *notes,
    ]
    rows = [_row(concept, heads) for concept in codelist]
    kept = [i for i, head in enumerate(heads) if head in ("notation", *LANGUAGES) or any(row[i] for row in rows)]
    return [heads[i] for i in kept], ([row[i] for i in kept] for row in rows)


def _row(concept: Concept, heads: Sequence[str]) -> list[str]:
    def alternative(language: str, wording: str) -> str:
        return f"{wording}@{language}" if language or _TAGGED.fullmatch(wording) else wording

    cells = {
        "notation": concept.notation,
        "alt": _joined([alternative(*pair) for pair in concept.alt_labels]),
        "broader": _joined(list(concept.above())),
        "related": _joined(concept.related),
        "replaced_by": _joined(concept.replaced_by),
        "valid_from": concept.valid_from.isoformat() if concept.valid_from else "",
        "valid_to": concept.valid_to.isoformat() if concept.valid_to else "",
    }
    for head in heads:
        if (note := _note_of(head)) is not None:
            cells[head] = _joined([n.text for n in concept.notes if (n.kind, n.language) == note])
    return [cells.get(head) or concept.labels.get(head, "") for head in heads]


def write_csv(codelist: CodeList) -> bytes:
    """The list as CSV (UTF-8 with a byte order mark, which Excel needs to see letters), cells neutralised."""
    heads, rows = table(codelist)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([neutralised(cell) for cell in row] for row in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def write_list_xlsx(codelist: CodeList) -> bytes:
    """The list as XLSX: every cell a text, a second sheet with what the list is; the same bytes for the same list."""
    heads, rows = table(codelist)
    body = list(rows)
    for number, row in enumerate(body, start=2):
        if any(len(cell) > _LONGEST_CELL for cell in row):
            reason = f"row {number} has a cell of more than {_LONGEST_CELL} characters, which no spreadsheet holds"
            raise CodeListInvalid(file=codelist.id, reason=reason)
    about = [
        ["id", codelist.id],
        ["version", codelist.version],
        ["publisher", codelist.publisher],
        ["license", codelist.license],
    ]
    about += [[f"title {language}", wording] for language, wording in codelist.title.items()]
    return write_xlsx({"codes": [heads, *body], "about": [["field", "value"], *(r for r in about if r[1])]})
