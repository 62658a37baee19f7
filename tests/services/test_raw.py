"""The agencies' own messages: read whole or refused whole."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kerege.services import raw
from kerege.services.errors import NightlyListIncomplete, PayloadUnreadable
from kerege.services.evidence import Answer, soap_request

HEAD = "N_SPR;FIO;DATA_R;POL;OBLAST;PIN;DATA_VYD;STATUS\n"
ROW = "02-1;Асанов Үсөн;2019-05-03;муж;Чуй облусу;;2024-01-01;Д\n"


def births(inner: str) -> bytes:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<ListBirthsResponse xmlns="urn:kg:zags:v2">{inner}</ListBirthsResponse></s:Body></s:Envelope>'
    ).encode()


def test_births_are_rows_by_their_own_field_names_and_none_is_an_answer() -> None:
    assert raw.births(births("<Birth><Fam>АСАНОВ</Fam><Pin/></Birth>")) == ({"Fam": "АСАНОВ", "Pin": ""},)
    assert raw.births(births("")) == ()


@pytest.mark.parametrize(
    "body", [b"", b"<html", births("")[:-40], b"<a/>", soap_request("urn:x", "ListBirths", "A", "1")]
)
def test_a_cut_or_foreign_xml_message_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadUnreadable):
        raw.births(body)


def test_a_soap_fault_is_no_answer() -> None:
    fault = (
        births("").replace(b"ListBirthsResponse xmlns", b"s:Fault xmlns").replace(b"/ListBirthsResponse", b"/s:Fault")
    )
    with pytest.raises(PayloadUnreadable, match="fault"):
        raw.births(fault)


def test_an_xml_bomb_is_refused_without_being_expanded() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;">]><a>&z;</a>'
    with pytest.raises(PayloadUnreadable):
        raw.births(bomb)


def test_json_answers_of_items_and_of_data_read_alike() -> None:
    assert raw.json_rows(b'{"items":[{"pin":"1","address":{"soate":"2"}}]}') == ({"pin": "1", "soate": "2"},)
    assert raw.json_rows(b'{"items":[]}') == ()
    assert raw.json_rows(b'{"data":[{"capacity":30,"street":null}],"total":1}') == ({"capacity": "30", "street": None},)


@pytest.mark.parametrize("body", [b"", b"[1", b"[]", b'{"error":"x"}', b'{"data":[{"a":1}],"total":2}'])
def test_a_cut_json_message_or_a_wrong_total_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadUnreadable):
        raw.json_rows(body)


def test_the_nightly_list_is_read_only_when_its_last_line_counts_it_right() -> None:
    rows = raw.nightly_list(("\ufeff" + HEAD + ROW + "#ROWS;1\n").encode())
    assert rows[0]["FIO"] == "Асанов Үсөн"
    for broken in (HEAD + ROW, HEAD + ROW + "#ROWS;2\n", "", HEAD + ROW[:20]):
        with pytest.raises(NightlyListIncomplete):
            raw.nightly_list(broken.encode())
    with pytest.raises(NightlyListIncomplete, match="UTF-8"):
        raw.nightly_list((HEAD + ROW.replace("Үсөн", "Усон") + "#ROWS;1\n").encode("cp1251"))


def test_an_incomplete_list_reaches_the_case_as_an_unreadable_answer() -> None:
    answer = Answer(200, datetime(2026, 1, 1, tzinfo=UTC), body=HEAD.encode())
    with pytest.raises(PayloadUnreadable, match="last line"):
        raw.decode("child.vaccination", answer)
