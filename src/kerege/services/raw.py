"""The agencies' own messages, decoded as a careful script would: fields by their own names, values as text, nothing harmonised.

Only for the integration-only way, which is what Kerege is measured against. A cut or unreadable message is refused whole. The formats
are the agencies' (docs/reference/agencies.md); their meaning, for the data-first way, is `semantics`'.
"""

from __future__ import annotations

import csv
import io
from typing import Any, Final

import orjson
from lxml import etree

from kerege.services.errors import NightlyListIncomplete, PayloadUnreadable
from kerege.services.evidence import Answer

Row = dict[str, str | None]
_CIVIL: Final = "{urn:kg:zags:v2}"
_TRAILER: Final = "#ROWS;"


def decode(evidence_id: str, answer: Answer) -> tuple[Row, ...]:
    """The rows of a raw answer to `evidence_id`; PayloadUnreadable when it is not what the agency promised."""
    if evidence_id == "child.birth":
        return births(answer.body)
    if evidence_id == "child.vaccination":
        try:
            return nightly_list(answer.body)
        except NightlyListIncomplete as error:
            raise PayloadUnreadable(data_service="health/vaccinations", detail=error.text) from error
    return json_rows(answer.body)


def births(body: bytes) -> tuple[Row, ...]:
    """The `Birth` elements of the civil registry's SOAP answer."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise PayloadUnreadable(data_service="civil/birth-records", detail="it is not XML") from error
    if root.find(".//{http://schemas.xmlsoap.org/soap/envelope/}Fault") is not None:
        raise PayloadUnreadable(data_service="civil/birth-records", detail="it is a SOAP fault")
    if root.find(f".//{_CIVIL}ListBirthsResponse") is None:
        raise PayloadUnreadable(data_service="civil/birth-records", detail="ListBirthsResponse is missing")
    return tuple(
        {etree.QName(cell).localname: (cell.text or "").strip() for cell in birth}
        for birth in root.iter(f"{_CIVIL}Birth")
    )


def json_rows(body: bytes) -> tuple[Row, ...]:
    """The rows of a JSON answer: `items`, or `data` with its `total`; an address object is laid flat."""
    try:
        message: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PayloadUnreadable(data_service="JSON", detail="it is not JSON") from error
    if not isinstance(message, dict):
        raise PayloadUnreadable(data_service="JSON", detail="expected an object")
    rows = message.get("data", message.get("items"))
    total = message.get("total")
    if not isinstance(rows, list):
        raise PayloadUnreadable(data_service="JSON", detail="it has neither data nor items")
    if isinstance(total, int) and total != len(rows):
        raise PayloadUnreadable(data_service="JSON", detail="its total and its rows differ")
    return tuple(_flat(row) for row in rows if isinstance(row, dict))


def _flat(row: dict[str, Any]) -> Row:
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= _flat(value)
        else:
            flat[name] = None if value is None else str(value)
    return flat


def nightly_list(body: bytes) -> tuple[Row, ...]:
    """The rows of the nightly list; refused whole unless its last line counts them right."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NightlyListIncomplete(data_service="health/vaccinations", detail="it is not UTF-8") from error
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines or not lines[-1].startswith(_TRAILER):
        raise NightlyListIncomplete(data_service="health/vaccinations", detail="the last line is no #ROWS count")
    rows = list(csv.DictReader(io.StringIO("\n".join(lines[:-1])), delimiter=";"))
    count = lines[-1].removeprefix(_TRAILER).strip()
    if count != str(len(rows)):
        detail = f"its last line says {count[:12]} rows, it has {len(rows)}"
        raise NightlyListIncomplete(data_service="health/vaccinations", detail=detail)
    return tuple({str(name): value for name, value in row.items() if isinstance(name, str)} for row in rows)
