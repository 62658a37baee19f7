"""From a payload's bytes to flat records of text: JSON, XML and CSV, by a mapping's `source` section.

Strict where it protects: half a file, a wrong encoding, a header twice, a column that vanished, a fault in place of an answer, an outsized
cell, a NUL, a DTD or an entity stop the whole payload with an error that says where. Lenient where registers are: columns nobody asked
for, keys left out of single JSON objects. What the cells mean is the mapping's pipelines' to say.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import lru_cache
from typing import Any, Final

import orjson
from lxml import etree

from kerege.ground.text import counted
from kerege.semantics.errors import (
    PayloadBroken,
    PayloadColumns,
    PayloadEncoding,
    PayloadIncomplete,
    PayloadRefused,
    SemanticsError,
)
from kerege.semantics.mappings.documents import Mapping, Source

CELL_MAXIMUM: Final = 131_072  # characters; a cell beyond it stops the payload (a quote never closed swallows a file)
Record = dict[str, str | None]
_BOM: Final = b"\xef\xbb\xbf"
_ALL_TEXT: Final = {str}
_NONE: Final[set[str]] = set()
_FAMILY: Final = {"json": "json", "xml": "xml", "soap+xml": "xml", "csv": "csv"}


def decode(payload: bytes, content_type: str, mapping: Mapping) -> list[Record]:
    """The payload's records, one dict of cells each, in order."""
    source = mapping.source
    said = _family(content_type)
    if said is not None and said != source.format:
        reason = f"the content type says {said}"
        raise PayloadBroken(format=source.format.upper(), reason=reason, where="the content type")
    records = list(_READERS[source.format](payload, mapping))
    # a cell has no more characters than the payload has bytes, and JSON writes a NUL in one way only
    if source.format != "json" or source.encoding == "utf-16" or len(payload) > CELL_MAXIMUM or b"\\u0000" in payload:
        _check_cells(records)
    return records


@lru_cache(maxsize=256)
def _family(content_type: str) -> str | None:
    subtype = content_type.partition(";")[0].strip().lower().partition("/")[2]
    return "html" if subtype == "html" else _FAMILY.get(subtype) or _FAMILY.get(subtype.rpartition("+")[2])


def _check_cells(records: list[Record]) -> None:
    for number, record in enumerate(records, start=1):
        for cell, value in record.items():
            if value is None:
                continue
            if len(value) > CELL_MAXIMUM:
                reason = f"a cell of {len(value)} characters; at most {CELL_MAXIMUM} are taken"
                raise PayloadRefused(reason=reason, record=number, field=cell)
            if "\0" in value:
                raise PayloadRefused(reason="a NUL character inside a cell", record=number, field=cell)


def _text(payload: bytes, source: Source) -> str:
    encoding = source.encoding
    try:
        return payload.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        if _cut(error):
            raise PayloadIncomplete(reason=f"it ends inside a letter, after byte {error.start}") from error
        offset = f"{error.start}"
        if encoding != "utf-16":
            begin = payload.rfind(b"\n", 0, error.start) + 1
            offset += f" (line {payload.count(bytes([10]), 0, error.start) + 1}"
            if source.format == "csv":
                offset += f", column {payload.count(source.delimiter.encode(encoding), begin, error.start) + 1}"
            offset += ")"
        raise PayloadEncoding(expected=encoding, offset=offset) from error


def _cut(error: UnicodeDecodeError) -> bool:
    """Whether the bytes are good as far as they go and stop inside a letter."""
    return error.reason in ("unexpected end of data", "truncated data")


def _vanished(cells: list[str], mapping_id: str) -> PayloadColumns:
    reason = f"none of the records has {', '.join(cells)}"
    return PayloadColumns(reason=reason, mapping=mapping_id, cells=tuple(cells))


def _check_vanished(records: list[Record], present: Set[str], source: Source, mapping_id: str) -> None:
    gone = [cell for cell in source.cells if cell not in present and cell not in source.optional]
    if records and gone:
        raise _vanished(gone, mapping_id)


# --- JSON -------------------------------------------------------------------------------------------------------------------------


def _json(payload: bytes, mapping: Mapping) -> list[Record]:
    source = mapping.source
    if source.encoding == "utf-8" and not payload.startswith(_BOM):
        try:
            return _json_records(orjson.loads(payload), mapping)
        except orjson.JSONDecodeError:
            pass  # read again as text, to say what is wrong with it
    return _json_records(_json_document(payload, source), mapping)


def _json_document(payload: bytes, source: Source) -> Any:
    text = _text(payload, source)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if not text.strip() or error.pos >= len(text.rstrip()) or "end of data" in error.msg:
            raise PayloadIncomplete(
                reason=f"the JSON text ends at character {len(text)}, in the middle of it"
            ) from error
        where = f"line {error.lineno}, column {error.colno}"
        raise PayloadBroken(format="JSON", reason="it does not parse", where=where) from error


def _json_records(document: Any, mapping: Mapping) -> list[Record]:
    source, flat = mapping.source, mapping.json_flat
    found: list[Record] = []
    absent: set[str] | None = None  # cells that no record has had so far
    for number, item in enumerate(_json_items(document, source, mapping.id), start=1):
        if not isinstance(item, dict):
            raise PayloadBroken(format="JSON", reason="a record is not an object", where=f"record {number}")
        if flat is not None:
            record = {cell: item.get(key) for cell, key in flat}
            if {value.__class__ for value in record.values()} == _ALL_TEXT:  # as most are: nothing is missing
                found.append(record)
                absent = _NONE
                continue
        record, missing = _json_record(item, mapping.json_paths, number)
        found.append(record)
        absent = set(missing) if absent is None else absent.intersection(missing)
    if absent:
        _check_vanished(found, source.cells.keys() - absent, source, mapping.id)
    return found


def _json_items(document: Any, source: Source, mapping_id: str) -> list[Any]:
    here = document
    for key in source.records.split(".") if source.records else ():
        if not isinstance(here, dict) or key not in here:
            if source.one and isinstance(document, dict):
                return [document]
            raise PayloadColumns(reason=f"there is no {source.records} in the answer", mapping=mapping_id)
        here = here[key]
    if isinstance(here, list):
        return here
    if source.one and isinstance(here, dict):
        return [here]
    raise PayloadBroken(format="JSON", reason="a list of records was expected", where=source.records or "the top")


def _json_record(
    item: dict[str, Any], paths: Sequence[tuple[str, tuple[str, ...]]], number: int
) -> tuple[Record, list[str]]:
    """The record's cells, and those it does not have."""
    record: Record = {}
    missing: list[str] = []
    for cell, path in paths:
        value: Any = item
        for key in path:
            if not isinstance(value, dict) or key not in value:
                value = None
                missing.append(cell)
                break
            value = value[key]
        record[cell] = value if value is None or value.__class__ is str else _json_text(value, cell, number)
    return record, missing


def _json_text(value: Any, cell: str, number: int) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise PayloadRefused(reason="a list or object stands where a plain value was agreed", record=number, field=cell)


# --- XML --------------------------------------------------------------------------------------------------------------------------


def _xml(payload: bytes, mapping: Mapping) -> Iterator[Record]:
    source, mapping_id = mapping.source, mapping.id
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(payload, parser)
    except etree.XMLSyntaxError as error:
        raise _xml_error(error, payload.rstrip(b" \t\r\n\0")) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise PayloadRefused(reason="it carries a document type declaration", record=0, field="(document)")
    container, _, name = source.records.rpartition("/")
    above = [root] if not container else [e for e in _elements(root) if _is(e, container, source)]
    if not above:
        fault = next((e for e in _elements(root) if etree.QName(e).localname == "Fault"), None)
        if fault is not None:
            raise PayloadBroken(format="XML", reason="the provider answered with a SOAP fault", where="soap:Fault")
        raise PayloadColumns(reason=f"there is no element {container}", mapping=mapping_id)
    found: list[Record] = []
    present: set[str] = set()
    for element in (e for part in above for e in (part if container else _elements(part)) if _is(e, name, source)):
        found.append(_xml_record(element, source, present, len(found) + 1))
    _check_vanished(found, present, source, mapping_id)
    return iter(found)


def _xml_error(error: etree.XMLSyntaxError, payload: bytes) -> SemanticsError:
    line, column = error.position if error.position else (0, 0)
    said = str(error.msg or "")
    cut = not payload.endswith(b">") and payload.lstrip().startswith(b"<")
    if not payload or "Premature end" in said or "Document is empty" in said:
        return PayloadIncomplete(reason=f"the XML ends at line {line}, in the middle of it")
    if "encod" in said.lower() or "not proper UTF-8" in said:
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError as undecoded:
            if _cut(undecoded):
                return PayloadIncomplete(reason=f"the XML ends at line {line}, inside a letter")
        return PayloadEncoding(expected="XML's declared", offset=f"{column} of line {line}")
    if cut:
        return PayloadIncomplete(reason=f"the XML ends at line {line}, in the middle of it")
    if "huge" in said.lower() or "too long" in said.lower():
        return PayloadRefused(reason="a text beyond what is taken", record="?", field=f"line {line}")
    return PayloadBroken(format="XML", reason="it does not parse", where=f"line {line}, column {column}")


def _elements(root: Any) -> Iterator[Any]:
    return (e for e in root.iter() if isinstance(e.tag, str))


def _is(element: Any, name: str, source: Source) -> bool:
    if not isinstance(element.tag, str):
        return False
    tag = etree.QName(element)
    return tag.localname == name and (not source.namespace or tag.namespace == source.namespace)


def _xml_record(element: Any, source: Source, present: set[str], number: int) -> Record:
    record: Record = {}
    below = _children(element, source)
    for cell, path in source.cells.items():
        value = _xml_value(element, below, path, source, (number, cell))
        if value is not None:
            present.add(cell)
        record[cell] = value
    return record


def _children(element: Any, source: Source) -> dict[str, list[Any]]:
    """The child elements by local name, of the agreed namespace when there is one."""
    prefix = f"{{{source.namespace}}}" if source.namespace else ""
    out: dict[str, list[Any]] = {}
    for child in element:
        tag = child.tag
        if isinstance(tag, str) and tag.startswith(prefix):
            out.setdefault(tag.rpartition("}")[2], []).append(child)
    return out


def _xml_value(element: Any, below: dict[str, list[Any]], path: str, source: Source, at: tuple[int, str]) -> str | None:
    here, children = element, below
    for step in path.split("/"):
        if step.startswith("@"):
            attribute: str | None = here.get(step[1:])
            return attribute
        matching = children.get(step)
        if matching is None:
            return None
        if len(matching) > 1:
            raise PayloadRefused(reason="an element that may stand once stands twice", record=at[0], field=at[1])
        here = matching[0]
        children = _children(here, source) if "/" in path else {}
    if len(here):
        if any(isinstance(child.tag, str) for child in here):
            raise PayloadRefused(reason="elements stand where plain text was agreed", record=at[0], field=at[1])
        if any(child.tag is etree.Entity for child in here):
            raise PayloadRefused(reason="an entity reference inside a cell", record=at[0], field=at[1])
        return "".join(here.itertext(etree.Element))
    return here.text or ""


# --- CSV --------------------------------------------------------------------------------------------------------------------------


def _csv(payload: bytes, mapping: Mapping) -> Iterator[Record]:
    source, mapping_id = mapping.source, mapping.id
    text = _text(payload, source)
    if not text.strip():
        raise PayloadIncomplete(reason="it is empty, not even a header")
    if "\0" in text:
        at = text.index("\0")
        line, column = text.count("\n", 0, at) + 1, text.count(source.delimiter, text.rfind("\n", 0, at) + 1, at)
        raise PayloadRefused(reason="a NUL character", record=f"in line {line}", field=_head(text, source, column))
    rows, lines = _csv_rows(text, source)
    header = [name.strip() for name in rows[0]]
    twice = sorted({name for name in header if header.count(name) > 1 and name in source.cells.values()})
    if twice:
        raise PayloadColumns(reason=f"the header names {', '.join(twice)} twice", mapping=mapping_id)
    gone = [path for cell, path in source.cells.items() if path not in header and cell not in source.optional]
    if gone:
        raise PayloadColumns(reason=f"the header lacks {', '.join(gone)}", mapping=mapping_id, cells=tuple(gone))
    body, numbers = rows[1:], lines[1:]
    if source.trailer:
        body, numbers = _check_trailer(body, numbers, source)
    place = {cell: header.index(path) for cell, path in source.cells.items() if path in header}
    for row, line in zip(body, numbers, strict=True):
        if len(row) != len(header):
            reason = f"{counted(len(header), 'cell')} expected, {len(row)} came"
            last = header[min(len(row), len(header)) - 1]
            raise PayloadBroken(format="CSV", reason=reason, where=f"line {line}, last readable column {last}")
    return ({cell: row[place[cell]] if cell in place else None for cell in source.cells} for row in body)


def _csv_rows(text: str, source: Source) -> tuple[list[list[str]], list[int]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=source.delimiter, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    begun = 0  # lines before the row that is being read
    try:
        for row in reader:
            begun = reader.line_num
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        limit = csv.field_size_limit()
        start, column = _trouble(text, begun, source, limit)
        name = _head(text, source, column)
        if "field limit" in str(error):
            reason = f"a cell of more than {limit} characters, or a quote that is never closed"
            raise PayloadRefused(reason=reason, record=f"from line {start}", field=name) from error
        if "unexpected end" in str(error):
            reason = f"a quote is still open at its end; it opens in line {start}, column {name}"
            raise PayloadIncomplete(reason=reason) from error
        raise PayloadBroken(format="CSV", reason=str(error), where=f"line {start}, column {name}") from error
    return rows, lines


def _trouble(text: str, begun: int, source: Source, limit: int) -> tuple[int, int]:
    """(line, column from 0) of the cell at which the csv module gave up, in the row after the first `begun` lines.

    That is the cell that outgrows `limit`, has something after its closing quote, or is never closed.
    """
    start, column, size = begun + 1, 0, 0
    state = "new"  # new, plain, quoted, closed
    for line, written in enumerate(io.StringIO(text, newline=""), start=1):
        for character in written if line > begun else "":
            size += 1
            if state == "quoted":
                state = "closed" if character == '"' else state
            elif character == source.delimiter or character in "\r\n":
                column = column + 1 if character == source.delimiter else 0
                start, size, state = line if character == source.delimiter else line + 1, 0, "new"
            elif character == '"' and state in ("new", "closed"):
                state = "quoted"
            elif state == "closed":
                return start, column
            else:
                state = "plain"
            if size > limit:
                return start, column
    return start, column


def _head(text: str, source: Source, column: int) -> str:
    """The name of a column by its place, or the place where the header has none."""
    try:
        header = next(csv.reader(io.StringIO(text[:CELL_MAXIMUM], newline=""), delimiter=source.delimiter))
    except (StopIteration, csv.Error):
        return str(column + 1)
    return header[column].strip() if column < len(header) and header[column].strip() else str(column + 1)


def _check_trailer(body: list[list[str]], lines: list[int], source: Source) -> tuple[list[list[str]], list[int]]:
    """The rows before the trailer; the trailer must be the last line and count them right."""
    places = [n for n, row in enumerate(body) if row[0] == source.trailer]
    if not places:
        raise PayloadIncomplete(reason=f"the last line {source.trailer} with the number of rows is missing")
    first = places[0]
    if first != len(body) - 1:
        raise PayloadBroken(format="CSV", reason="rows stand after the last line", where=f"line {lines[first + 1]}")
    said = body[first][1].strip() if len(body[first]) > 1 else ""
    if said != str(first):
        raise PayloadIncomplete(reason=f"its last line says {said[:12] or 'nothing'} rows, {first} are there")
    return body[:first], lines[:first]


_READERS: Final[dict[str, Callable[[bytes, Mapping], Iterable[Record]]]] = {"json": _json, "xml": _xml, "csv": _csv}
