import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kerege.demo.agencies.civil import NS, SOAP, read_question, write_births

FIELDS = [
    "ActNo",
    "ActDate",
    "Fam",
    "Imya",
    "Otch",
    "DataRozhd",
    "Pol",
    "Pin",
    "MatPin",
    "MatFio",
    "OtPin",
    "OtFio",
    "Oblast",
]


def envelope(inner):
    return f'<s:Envelope xmlns:s="{SOAP}" xmlns:z="{NS}"><s:Body>{inner}</s:Body></s:Envelope>'.encode()


def ask(http, agency, body, content_type="text/xml; charset=utf-8"):
    return http.request("POST", agency.url + "/ws", body=body, headers={"Content-Type": content_type})


def births(answer):
    root = etree.fromstring(answer.data)
    return [{etree.QName(e).localname: e.text or "" for e in birth} for birth in root.iter(f"{{{NS}}}Birth")]


@pytest.mark.parametrize("criterion", ["ParentPin", "ChildPin", "BirthDate"])
def test_births_are_found_by_parent_by_child_and_by_day_field_for_field(running, world, http, criterion):
    records = [r.row for r in world.registers["civil.births"]]
    one = next(r for r in records if r["Pin"] and r["MatPin"])
    value = {"ParentPin": one["MatPin"], "ChildPin": one["Pin"], "BirthDate": one["DataRozhd"]}[criterion]
    answer = ask(
        http, running["civil"], envelope(f"<z:ListBirths><z:{criterion}>{value}</z:{criterion}></z:ListBirths>")
    )
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    fields = {"ParentPin": ("MatPin", "OtPin"), "ChildPin": ("Pin",), "BirthDate": ("DataRozhd",)}[criterion]
    expected = [dict(r) for r in records if value in [r[f] for f in fields]]
    found = births(answer)
    assert sorted(found, key=lambda b: b["ActNo"]) == sorted(expected, key=lambda b: b["ActNo"])
    assert list(found[0]) == FIELDS


def test_nobody_found_is_an_empty_list_and_no_fault(running, http):
    answer = ask(
        http, running["civil"], envelope("<z:ListBirths><z:ChildPin>10101190000000</z:ChildPin></z:ListBirths>")
    )
    assert answer.status == 200
    assert births(answer) == []


SECRET = "99999999999991234"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<not-xml",
        b"<a/>",
        envelope(""),
        envelope("<z:ListBirths/>"),
        envelope(f"<z:ListBirths><z:ChildPin>{SECRET}</z:ChildPin></z:ListBirths>"),
        envelope(f"<z:ListBirths><z:Name>{SECRET}</z:Name></z:ListBirths>"),
        envelope("<z:ListBirths><z:BirthDate>2020-01-05</z:BirthDate></z:ListBirths>"),
        envelope("<z:ListBirths><z:BirthDate>31.02.2020</z:BirthDate></z:ListBirths>"),
        envelope("<z:ListBirths><z:ChildPin>' OR 1=1 --</z:ChildPin></z:ListBirths>"),
        envelope("<z:ListBirths><z:ChildPin>٢٢٢٢٢٢٢٢٢٢٢٢٢٢</z:ChildPin></z:ListBirths>"),
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        + envelope("<z:ListBirths><z:ChildPin>&x;</z:ChildPin></z:ListBirths>"),
    ],
)
def test_a_bad_request_is_a_soap_fault_that_repeats_nothing(running, http, body):
    answer = ask(http, running["civil"], body)
    assert answer.status == 500
    root = etree.fromstring(answer.data)
    assert root.findtext(f"{{{SOAP}}}Body/{{{SOAP}}}Fault/faultcode") == "soap:Client"
    assert SECRET.encode() not in answer.data
    assert b"root:" not in answer.data


def test_another_path_method_or_content_type_is_refused(running, http):
    assert http.request("GET", running["civil"].url + "/").status == 404
    assert http.request("GET", running["civil"].url + "/ws").status == 405
    assert ask(http, running["civil"], envelope(""), "application/json").status == 500


def test_the_service_describes_itself(running, http):
    answer = http.request("GET", running["civil"].url + "/ws?wsdl")
    root = etree.fromstring(answer.data)
    assert root.get("targetNamespace") == NS
    names = {e.get("name") for e in root.iter("{http://www.w3.org/2001/XMLSchema}element")}
    assert set(FIELDS) <= names


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fall(body):
    assert isinstance(read_question(body), str | tuple)


def test_names_with_markup_in_them_stay_names():
    row = tuple(["<b>&\"'"] + [""] * 12)
    assert births(type("A", (), {"data": write_births([row]).encode()}))[0]["ActNo"] == "<b>&\"'"
