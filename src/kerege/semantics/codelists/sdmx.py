"""Code lists as SDMX structure messages: SDMX-ML 2.1 and 3.0, SDMX-JSON for structures 1.0 and 2.0, in and out.

A list `kg:sex` is the codelist `sex` of agency `kg`. Names carry the labels, descriptions the definitions, `Parent` the broader code. What
SDMX has no place for travels in annotations of our own types (`kerege:validFrom`, `kerege:alt`, ...), which other tools carry along unread.
SDMX allows as ids only letters, digits, `_`, `@`, `$` and `-`: a notation outside that is refused by name, never rewritten. Written after the
SDMX 2.1 and 3.0 information models (sdmx.org); hierarchies over several lists, partial lists and references to other messages are left to
SDMX registries. XML is read without entities, DTD and network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, cast

import orjson
from lxml import etree

from kerege.semantics.codelists.codelist import MOST_BYTES, MOST_CODES, NOTE_KINDS, CodeList, Concept, Note
from kerege.semantics.errors import CodeListInvalid, CodeListTooLarge

SdmxName = Literal["sdmx-ml-2.1", "sdmx-ml-3.0", "sdmx-json-1.0", "sdmx-json-2.0"]
SDMX_FORMATS: Final[tuple[SdmxName, ...]] = ("sdmx-ml-2.1", "sdmx-ml-3.0", "sdmx-json-1.0", "sdmx-json-2.0")
_ID: Final = re.compile(r"[A-Za-z0-9_@$\-]+")
_AGENCY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_\-]*(\.[A-Za-z][A-Za-z0-9_\-]*)*")
_VERSION: Final = re.compile(r"[0-9]+(\.[0-9]+)+")
_NO_AGENCY: Final = "kerege"
_XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_JSON_SCHEMA: Final = {
    "sdmx-json-1.0": "https://raw.githubusercontent.com/sdmx-twg/sdmx-json/master/structure-message/tools/schemas/1.0/sdmx-json-structure-schema.json",
    "sdmx-json-2.0": "https://json.sdmx.org/2.0.0/sdmx-json-structure-schema.json",
}
_UNTITLED: Final = "kerege:untitled"
_OURS: Final = "kerege:"


@dataclass(slots=True)
class _Item:
    """A codelist or a code on its way in or out: what both formats and both levels have."""

    id: str
    names: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    parent: str = ""
    notes: list[tuple[str, str, str]] = field(default_factory=list)  # annotation type, language, text

    def all(self, kind: str) -> list[str]:
        return [text for found, _, text in self.notes if found == _OURS + kind]

    def day(self, kind: str) -> date | None:
        found = self.all(kind)
        return date.fromisoformat(found[0][:10]) if found else None


def write_sdmx(codelist: CodeList, format_: SdmxName = "sdmx-ml-3.0", prepared: datetime | None = None) -> bytes:
    """The list as a structure message; `prepared` is the message's time of making (1970 when not given, so that bytes repeat).

    Raises CodeListInvalid naming the notation that SDMX cannot hold.
    """
    agency, _, name = codelist.id.rpartition(":")
    agency = agency or _NO_AGENCY
    if not _ID.fullmatch(name) or not _AGENCY.fullmatch(agency):
        raise CodeListInvalid(file=codelist.id, reason="its id cannot be an SDMX agency and id")
    for concept in codelist:
        for notation in (concept.notation, *concept.above()):
            if not _ID.fullmatch(notation):
                raise CodeListInvalid(
                    file=codelist.id,
                    reason=f"the notation {notation!r} cannot be an SDMX id (letters, digits, _ @ $ -)",
                )
    top = _list_item(codelist, name)
    codes = [_code_item(concept) for concept in codelist]
    at = (prepared or datetime(1970, 1, 1, tzinfo=UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    version = codelist.version if _VERSION.fullmatch(codelist.version) else "1.0"
    if format_.startswith("sdmx-ml"):
        return _write_xml(top, codes, agency, version, format_ == "sdmx-ml-3.0", at)
    return _write_json(top, codes, agency, version, format_, at)


def _list_item(codelist: CodeList, name: str) -> _Item:
    top = _Item(name, dict(codelist.title), dict(codelist.description))
    if codelist.version == "1.0" or (codelist.version and not _VERSION.fullmatch(codelist.version)):
        top.notes.append((_OURS + "version", "", codelist.version))
    for kind in ("follows", "replaced_by", "publisher", "license"):
        if text := getattr(codelist, kind):
            top.notes.append((_OURS + kind, "", text))
    top.notes += _days(codelist.valid_from, codelist.valid_to)
    return _titled(top)


def _code_item(concept: Concept) -> _Item:
    code = _Item(concept.notation, dict(concept.labels), parent=concept.broader or "")
    code.notes += [(_OURS + "alt", language, wording) for language, wording in concept.alt_labels]
    for note in concept.notes:
        if note.kind == "definition" and note.language and note.language not in code.descriptions:
            code.descriptions[note.language] = note.text
        else:
            code.notes.append((_OURS + note.kind, note.language, note.text))
    for kind, others in (
        ("also_broader", concept.also_broader),
        ("related", concept.related),
        ("replaced_by", concept.replaced_by),
    ):
        code.notes += [(_OURS + kind, "", other) for other in others]
    code.notes += _days(concept.valid_from, concept.valid_to)
    return _titled(code)


def _days(first: date | None, last: date | None) -> list[tuple[str, str, str]]:
    days = (("validFrom", first), ("validThrough", last))
    return [(_OURS + kind, "", day.isoformat()) for kind, day in days if day is not None]


def _titled(item: _Item) -> _Item:
    """SDMX wants a name everywhere; one that nobody gave is the id, and says so."""
    if not item.names:
        item.names = {"en": item.id}
        item.notes.append((_UNTITLED, "", "true"))
    elif "" in item.names:
        raise CodeListInvalid(file=item.id, reason="SDMX needs a language for every name")
    return item


# --- SDMX-ML


def _write_xml(top: _Item, codes: list[_Item], agency: str, version: str, three: bool, at: str) -> bytes:
    release = "v3_0" if three else "v2_1"
    base = f"http://www.sdmx.org/resources/sdmxml/schemas/{release}/"
    spaces = {"mes": base + "message", "str": base + "structure", "com": base + "common"}
    message, structure = f"{{{spaces['mes']}}}", f"{{{spaces['str']}}}"
    root = etree.Element(message + "Structure", nsmap=spaces)
    header = etree.SubElement(root, message + "Header")
    etree.SubElement(header, message + "ID").text = f"{agency}_{top.id}"
    etree.SubElement(header, message + "Test").text = "false"
    etree.SubElement(header, message + "Prepared").text = at
    etree.SubElement(header, message + "Sender", id=agency.replace(".", "_"))
    lists = etree.SubElement(etree.SubElement(root, message + "Structures"), structure + "Codelists")
    found = etree.SubElement(lists, structure + "Codelist", id=top.id, agencyID=agency, version=version)
    _item_xml(found, top, spaces)
    for code in codes:
        element = etree.SubElement(found, structure + "Code", id=code.id)
        _item_xml(element, code, spaces)
        if code.parent:
            parent = etree.SubElement(element, structure + "Parent")
            if three:
                parent.text = code.parent
            else:
                etree.SubElement(parent, "Ref", id=code.parent)
    out: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)
    return out


def _item_xml(element: etree._Element, item: _Item, spaces: Mapping[str, str]) -> None:
    common = f"{{{spaces['com']}}}"
    if item.notes:
        notes = etree.SubElement(element, common + "Annotations")
        for kind, language, text in item.notes:
            note = etree.SubElement(notes, common + "Annotation")
            if not language:
                etree.SubElement(note, common + "AnnotationTitle").text = text
            etree.SubElement(note, common + "AnnotationType").text = kind
            if language:
                etree.SubElement(note, common + "AnnotationText", {_XML_LANG: language}).text = text
    for tag, texts in (("Name", item.names), ("Description", item.descriptions)):
        for language, text in texts.items():
            etree.SubElement(element, common + tag, {_XML_LANG: language}).text = text


def _read_xml(data: bytes, name: str) -> tuple[_Item, list[_Item], str, str]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise CodeListInvalid(file=name, reason=f"not XML ({error})") from error
    if cast(Any, root.getroottree().docinfo).doctype:  # the stubs do not know it
        raise CodeListInvalid(file=name, reason="XML with a document type declaration is not read")
    lists = [e for e in root.iter("{*}Codelist", "{*}CodeList") if isinstance(e.tag, str) and e.get("id")]
    if len(lists) != 1:
        raise CodeListInvalid(file=name, reason=f"one SDMX codelist was expected, there are {len(lists)}")
    (found,) = lists
    codes = found.findall("{*}Code")
    if len(codes) > MOST_CODES:
        raise CodeListTooLarge(file=name, found=f"{len(codes)} codes", limit=str(MOST_CODES))
    return _item_of(found), [_item_of(c) for c in codes], found.get("agencyID", ""), found.get("version", "")


def _item_of(element: etree._Element) -> _Item:
    def texts(tag: str) -> dict[str, str]:
        return {e.get(_XML_LANG, "en"): (e.text or "").strip() for e in element.findall("{*}" + tag)}

    parent = element.find("{*}Parent")
    above = ""
    if parent is not None:
        reference = parent.find("{*}Ref")
        above = (reference.get("id", "") if reference is not None else parent.text or "").strip()
    item = _Item(element.get("id", ""), texts("Name"), texts("Description"), above)
    for note in element.iterfind("{*}Annotations/{*}Annotation"):
        kind = (note.findtext("{*}AnnotationType") or "").strip()
        for text in note.findall("{*}AnnotationText"):
            item.notes.append((kind, text.get(_XML_LANG, "en"), (text.text or "").strip()))
        if title := (note.findtext("{*}AnnotationTitle") or "").strip():
            item.notes.append((kind, "", title))
    return item


# --- SDMX-JSON


def _write_json(top: _Item, codes: list[_Item], agency: str, version: str, format_: SdmxName, at: str) -> bytes:
    languages = sorted({language for item in (top, *codes) for language in item.names})
    found = {**_item_json(top), "agencyID": agency, "version": version, "codes": [_item_json(code) for code in codes]}
    meta = {
        "schema": _JSON_SCHEMA[format_],
        "id": f"{agency}_{top.id}",
        "test": False,
        "prepared": at,
        "contentLanguages": languages,
        "sender": {"id": agency.replace(".", "_")},
    }
    return orjson.dumps({"meta": meta, "data": {"codelists": [found]}}, option=orjson.OPT_INDENT_2) + b"\n"


def _item_json(item: _Item) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": item.id,
        "name": item.names.get("en") or next(iter(item.names.values())),
        "names": item.names,
    }
    if item.descriptions:
        out["description"] = next(iter(item.descriptions.values()))
        out["descriptions"] = item.descriptions
    if item.parent:
        out["parent"] = item.parent
    if item.notes:
        out["annotations"] = [
            {"type": kind, "text": text, "texts": {language: text}} if language else {"type": kind, "title": text}
            for kind, language, text in item.notes
        ]
    return out


def _read_json(data: bytes, name: str) -> tuple[_Item, list[_Item], str, str]:
    try:
        lists = orjson.loads(data)["data"]["codelists"]
        if not isinstance(lists, list) or len(lists) != 1:
            raise CodeListInvalid(file=name, reason="one SDMX codelist was expected")
        found = lists[0]
        codes = found.get("codes") or found.get("items") or []
        if len(codes) > MOST_CODES:
            raise CodeListTooLarge(file=name, found=f"{len(codes)} codes", limit=str(MOST_CODES))
        items = [_item_from(code) for code in codes]
        return _item_from(found), items, str(found.get("agencyID", "")), str(found.get("version", ""))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise CodeListInvalid(file=name, reason="not an SDMX-JSON structure message with data.codelists") from error


def _item_from(raw: Mapping[str, Any]) -> _Item:
    def texts(one: str, many: str) -> dict[str, str]:
        found = raw.get(many) or ({"en": raw[one]} if raw.get(one) else {})
        return {str(language): str(text).strip() for language, text in found.items()}

    item = _Item(
        str(raw["id"]), texts("name", "names"), texts("description", "descriptions"), str(raw.get("parent") or "")
    )
    for note in raw.get("annotations") or ():
        kind = str(note.get("type") or "")
        if title := note.get("title"):
            item.notes.append((kind, "", str(title).strip()))
        for language, text in (note.get("texts") or {}).items():
            item.notes.append((kind, str(language), str(text).strip()))
    return item


# --- both


def read_sdmx(data: bytes, name: str) -> CodeList:
    """A list from a structure message with one codelist; the format is seen from the bytes. `name` is used in errors."""
    if len(data) > MOST_BYTES:
        raise CodeListTooLarge(file=name, found=f"{len(data)} bytes", limit=f"{MOST_BYTES} bytes")
    reader: Callable[[bytes, str], tuple[_Item, list[_Item], str, str]]
    reader = _read_json if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" else _read_xml
    top, codes, agency, version = reader(data, name)
    try:
        return CodeList(
            id=top.id if agency in ("", _NO_AGENCY) else f"{agency}:{top.id}",
            concepts=tuple(_concept_from(code) for code in codes),
            title={} if _unnamed(top) else top.names,
            version=_version(top, version),
            source=name,
            follows=next(iter(top.all("follows")), ""),
            replaced_by=next(iter(top.all("replaced_by")), ""),
            valid_from=top.day("validFrom"),
            valid_to=top.day("validThrough"),
            publisher=next(iter(top.all("publisher")), ""),
            license=next(iter(top.all("license")), ""),
            description=top.descriptions,
        )
    except ValueError as error:
        raise CodeListInvalid(file=name, reason=f"a date is not one ({error})") from error


def _version(top: _Item, declared: str) -> str:
    """The keeper's own numbering where it is no SDMX version; "1.0" is what SDMX puts where nobody said one."""
    return next(iter(top.all("version")), "" if declared == "1.0" else declared)


def _unnamed(item: _Item) -> bool:
    return any(kind == _UNTITLED for kind, _, _ in item.notes)


def _concept_from(code: _Item) -> Concept:
    notes = [Note("definition", language, text) for language, text in code.descriptions.items() if text]
    notes += list(_our_notes(code))
    notes.sort(key=lambda n: NOTE_KINDS.index(n.kind))
    return Concept(
        notation=code.id,
        labels={} if _unnamed(code) else {language: text for language, text in code.names.items() if text},
        alt_labels=tuple((language, text) for kind, language, text in code.notes if kind == _OURS + "alt"),
        broader=code.parent or None,
        valid_from=code.day("validFrom"),
        valid_to=code.day("validThrough"),
        notes=tuple(notes),
        also_broader=tuple(code.all("also_broader")),
        related=tuple(code.all("related")),
        replaced_by=tuple(code.all("replaced_by")),
    )


def _our_notes(code: _Item) -> Iterator[Note]:
    for kind, language, text in code.notes:
        name = kind.removeprefix(_OURS)
        for known in NOTE_KINDS:
            if kind.startswith(_OURS) and name == known:
                yield Note(known, language, text)
