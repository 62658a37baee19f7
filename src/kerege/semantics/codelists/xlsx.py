"""Writing XLSX files that hold text and nothing else (ECMA-376 part 1, the least a workbook needs): no formula, no date, no number can be in them.

Each cell is an inline string under a style with `quotePrefix`, so that a spreadsheet shows `=1+1` and leading zeros as they are and keeps them so
after an edit. The same bytes for the same tables (fixed times in the container). Reading is python-calamine's. See docs/decisions/0119.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REL: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
# characters XML 1.0 cannot hold are written _xHHHH_, as ST_Xstring has it; so is an underscore that would read as such
_UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_STYLES: Final = (
    f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="49" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1" applyNumberFormat="1"/>'
    '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" quotePrefix="1" applyNumberFormat="1" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)


def write_xlsx(sheets: Mapping[str, Sequence[Sequence[str]]]) -> bytes:
    """A workbook with the sheets in order; the first row of each is its header (bold, kept in view).

    Raises ValueError for a sheet name that Excel refuses (empty, beyond 31 characters, one of `[]:*?/\\`).
    """
    for name in sheets:
        if not 0 < len(name) <= 31 or set(name) & set("[]:*?/\\"):
            raise ValueError(f"{name!r} is no name for a sheet")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for part, text in _parts(sheets):
            entry = zipfile.ZipInfo(part, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, _HEAD + text)
    return out.getvalue()


def _parts(sheets: Mapping[str, Sequence[Sequence[str]]]) -> list[tuple[str, str]]:
    spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    types = [("xl/workbook.xml", f"{spreadsheet}.sheet.main+xml"), ("xl/styles.xml", f"{spreadsheet}.styles+xml")]
    types += [(f"xl/worksheets/sheet{n}.xml", f"{spreadsheet}.worksheet+xml") for n in range(1, len(sheets) + 1)]
    overrides = "".join(f'<Override PartName="/{part}" ContentType="{kind}"/>' for part, kind in types)
    listed = "".join(f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(sheets, 1))
    tied = "".join(
        f'<Relationship Id="rId{n}" Type="{_REL}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    styles = f'<Relationship Id="rId{len(sheets) + 1}" Type="{_REL}/styles" Target="styles.xml"/>'
    return [
        (
            "[Content_Types].xml",
            f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
            f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>{overrides}</Types>',
        ),
        (
            "_rels/.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" Type="{_REL}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        ),
        ("xl/workbook.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_REL}"><sheets>{listed}</sheets></workbook>'),
        (
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships">{tied}{styles}</Relationships>',
        ),
        ("xl/styles.xml", _STYLES),
        *((f"xl/worksheets/sheet{n}.xml", _sheet(rows)) for n, rows in enumerate(sheets.values(), 1)),
    ]


def _sheet(rows: Sequence[Sequence[str]]) -> str:
    pane = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    out = [
        f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">{pane}</sheetView></sheetViews><sheetData>'
    ]
    for number, row in enumerate(rows, start=1):
        style = ' s="1"' if number == 1 else ' s="0"'
        out.append(f'<row r="{number}">')
        for column, text in enumerate(row):
            if text:
                fit = escape(_UNFIT.sub(lambda m: f"_x{ord(m[0]):04X}_", text))
                out.append(
                    f'<c r="{_letters(column)}{number}" t="inlineStr"{style}><is><t xml:space="preserve">{fit}</t></is></c>'
                )
        out.append("</row>")
    out.append("</sheetData></worksheet>")
    return "".join(out)


def _letters(column: int) -> str:
    name = ""
    column += 1
    while column:
        column, digit = divmod(column - 1, 26)
        name = chr(65 + digit) + name
    return name
