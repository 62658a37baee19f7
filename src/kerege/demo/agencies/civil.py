"""The civil registry: an old SOAP 1.1 service over acts of birth, Cyrillic capitals, `dd.mm.yyyy`, sex `М`/`Ж`.

`POST /ws` with `{urn:kg:zags:v2}ListBirths` holding exactly one of ParentPin, ChildPin, BirthDate; anything else is a SOAP fault without
the values asked for. `GET /ws?wsdl` describes it. Database: SQLite, one wide table of acts, as such systems have.
"""

from __future__ import annotations

import re
import sqlite3
from datetime import datetime
from typing import Final
from xml.sax.saxutils import escape

from lxml import etree

from kerege.demo.agencies.errors import AgencyDataMissing
from kerege.demo.agencies.process import Arguments, Opened, serve
from kerege.demo.agencies.server import Request, Response, problem

NS: Final = "urn:kg:zags:v2"
SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
DATABASE: Final = "zags.sqlite3"
COLUMNS: Final = (
    ("ActNo", "nomer_akta"), ("ActDate", "data_akta"), ("Fam", "fam"), ("Imya", "imya"), ("Otch", "otch"),
    ("DataRozhd", "data_rozhd"), ("Pol", "pol"), ("Pin", "pin"), ("MatPin", "mat_pin"), ("MatFio", "mat_fio"),
    ("OtPin", "ot_pin"), ("OtFio", "ot_fio"), ("Oblast", "oblast"),
)  # fmt: skip
SCHEMA: Final = (
    "CREATE TABLE akt_rozhd (id INTEGER PRIMARY KEY, nomer_akta TEXT NOT NULL UNIQUE, data_akta TEXT NOT NULL,"
    " fam TEXT NOT NULL, imya TEXT NOT NULL, otch TEXT NOT NULL, data_rozhd TEXT NOT NULL, pol TEXT NOT NULL,"
    " pin TEXT NOT NULL, mat_pin TEXT NOT NULL, mat_fio TEXT NOT NULL, ot_pin TEXT NOT NULL, ot_fio TEXT NOT NULL,"
    " oblast TEXT NOT NULL);"
    "CREATE INDEX akt_pin ON akt_rozhd (pin); CREATE INDEX akt_mat ON akt_rozhd (mat_pin);"
    "CREATE INDEX akt_ot ON akt_rozhd (ot_pin); CREATE INDEX akt_data ON akt_rozhd (data_rozhd);"
)
_SELECT: Final = (
    "SELECT nomer_akta, data_akta, fam, imya, otch, data_rozhd, pol, pin, mat_pin, mat_fio, ot_pin, ot_fio, oblast"
    " FROM akt_rozhd WHERE "
)
_QUERIES: Final = {
    "ParentPin": _SELECT + "mat_pin = ?1 OR ot_pin = ?1 ORDER BY id",
    "ChildPin": _SELECT + "pin = ?1 ORDER BY id",
    "BirthDate": _SELECT + "data_rozhd = ?1 ORDER BY id",
}
_TAGS: Final = tuple(tag for tag, _ in COLUMNS)
_HEAD: Final = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n<soap:Envelope xmlns:soap="{SOAP}"><soap:Body>'
    f'<ListBirthsResponse xmlns="{NS}">'
)
_TAIL: Final = "</ListBirthsResponse></soap:Body></soap:Envelope>"
_XML: Final = "text/xml; charset=utf-8"


class CivilRegistry:
    """Answers over one read-only SQLite connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __call__(self, request: Request) -> Response:
        if request.path != "/ws":
            return problem(404, "The service is at /ws.")
        if request.method == "GET" and "wsdl" in request.query:
            return Response(200, WSDL.encode(), _XML)
        if request.method != "POST":
            return problem(405, "The service takes POST.")
        if not request.content_type.startswith(("text/xml", "application/soap+xml")):
            return fault("Client", "The content type must be text/xml.")
        asked = read_question(request.body)
        if isinstance(asked, str):
            return fault("Client", asked)
        rows = self._connection.execute(_QUERIES[asked[0]], (asked[1],))
        return Response(200, write_births(rows.fetchall()).encode(), _XML)


def read_question(body: bytes) -> tuple[str, str] | str:
    """The criterion and its value; or, as one string, what is wrong with the request."""
    # A parser of its own each time: no entities, no network, no deep trees (lxml keeps state in a parser).
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return "The request is not well-formed XML."
    if getattr(root.getroottree().docinfo, "doctype", ""):
        return "A document type declaration is not accepted."
    if root.tag != f"{{{SOAP}}}Envelope":
        return "The root element must be a SOAP 1.1 Envelope."
    question = root.find(f"{{{SOAP}}}Body/{{{NS}}}ListBirths")
    if question is None:
        return f"The body must hold ListBirths of {NS}."
    criteria = [child for child in question if isinstance(child.tag, str)]
    if len(criteria) != 1 or etree.QName(criteria[0]).localname not in _QUERIES:
        return "Exactly one of ParentPin, ChildPin and BirthDate is needed."
    if etree.QName(criteria[0]).namespace not in (NS, None):
        return f"The criterion must be of {NS}."
    name, value = etree.QName(criteria[0]).localname, (criteria[0].text or "").strip()
    if name == "BirthDate":
        try:
            datetime.strptime(value, "%d.%m.%Y")  # noqa: DTZ007  a calendar day, no instant
        except ValueError:
            return "BirthDate must be a day written dd.mm.yyyy."
        if len(value) != 10:
            return "BirthDate must be a day written dd.mm.yyyy."
    elif not re.fullmatch(r"[0-9]{14}", value):
        return f"{name} must have 14 digits."
    return name, value


def write_births(rows: list[tuple[str, ...]]) -> str:
    births = (
        "<Birth>"
        + "".join(
            f"<{tag}>{escape(value)}</{tag}>" if value else f"<{tag}/>" for tag, value in zip(_TAGS, row, strict=True)
        )
        + "</Birth>"
        for row in rows
    )
    return _HEAD + "".join(births) + _TAIL


def fault(code: str, text: str) -> Response:
    """A SOAP 1.1 fault, status 500 as the protocol wants."""
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<soap:Envelope xmlns:soap="{SOAP}"><soap:Body><soap:Fault>'
        f"<faultcode>soap:{code}</faultcode><faultstring>{escape(text)}</faultstring></soap:Fault></soap:Body></soap:Envelope>"
    )
    return Response(500, body.encode(), _XML)


def _wsdl() -> str:
    birth = "".join(f'<s:element name="{tag}" type="s:string"/>' for tag in _TAGS)
    choice = "".join(f'<s:element name="{name}" type="s:string"/>' for name in _QUERIES)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:t="{NS}"'
        f' xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:s="http://www.w3.org/2001/XMLSchema" targetNamespace="{NS}">'
        f'<types><s:schema targetNamespace="{NS}" elementFormDefault="qualified">'
        f'<s:element name="ListBirths"><s:complexType><s:choice>{choice}</s:choice></s:complexType></s:element>'
        f'<s:element name="ListBirthsResponse"><s:complexType><s:sequence><s:element name="Birth" minOccurs="0"'
        f' maxOccurs="unbounded"><s:complexType><s:sequence>{birth}</s:sequence></s:complexType></s:element></s:sequence>'
        f"</s:complexType></s:element></s:schema></types>"
        f'<message name="In"><part name="body" element="t:ListBirths"/></message>'
        f'<message name="Out"><part name="body" element="t:ListBirthsResponse"/></message>'
        f'<portType name="Zags"><operation name="ListBirths"><input message="t:In"/><output message="t:Out"/></operation></portType>'
        f'<binding name="ZagsSoap" type="t:Zags"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>'
        f'<operation name="ListBirths"><soap:operation soapAction=""/><input><soap:body use="literal"/></input>'
        f'<output><soap:body use="literal"/></output></operation></binding>'
        f'<service name="Zags"><port name="ZagsSoap" binding="t:ZagsSoap"><soap:address location="/ws"/></port></service></definitions>'
    )


WSDL: Final = _wsdl()


def open_agency(given: Arguments) -> Opened:
    path = given.folder / DATABASE
    if not path.exists():
        raise AgencyDataMissing(agency="civil", file=path)
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, cached_statements=16)
    return Opened(CivilRegistry(connection), f"SQLite {sqlite3.sqlite_version}", connection.close)


if __name__ == "__main__":
    serve("civil", open_agency)
