"""The node and the real semantics engine with the real country pack: verified bytes in, canonical records out."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from box import Box, base_rules
from kerege.node.contracts.translate import CANONICAL
from kerege.node.network import TranslationPlan

pytestmark = pytest.mark.journey

PERSON = {
    "pin": "21203198000017",
    "lastName": "Асанов",
    "firstName": "Бакыт",
    "middleName": "Токтогулович",
    "dob": "1980-03-12",
    "gender": "M",
    "address": {"soate": "41703000000000", "text": "г. Бишкек, ул. Токтогула, д. 5, кв. 7"},
    "registeredSince": "2001-05-09",
}


def test_a_persons_record_comes_canonical_with_its_original_named(new_box: Callable[..., Box]) -> None:
    box = new_box(translation=TranslationPlan("kg"))
    box.publish(replace(base_rules(), contracts=()), refresh=False)
    box.publish(base_rules(), refresh=False)
    for code in ("node-edu", "node-reg"):
        box.start(code)
    for code in ("node-edu", "node-reg"):
        box.wait(code)
    body = orjson.dumps(PERSON)
    box.agency.answer = (200, {"Content-Type": "application/json"}, body)
    answer = box.call("/12345", headers={"Accept": CANONICAL})
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == CANONICAL
    (record,) = answer.json["records"]  # type: ignore[misc]
    assert (record["surname"], record["birth_date"], record["sex"]) == ("Асанов", "1980-03-12", "1")
    assert answer.json["mapping"]["id"] == "kg:population.person"  # type: ignore[index]
    original = answer.json["original"]
    assert original["sha256"] == hashlib.sha256(body).hexdigest()  # type: ignore[index]
    assert original["message_id"] == answer.headers["x-road-id"]  # type: ignore[index]
    assert "sources" not in answer.json  # type: ignore[operator]
    (cells,) = box.call("/12345", headers={"Accept": f"{CANONICAL}; sources=1"}).json["sources"]  # type: ignore[misc]
    assert (cells["lastName"], cells["gender"], cells["address"]) == ("Асанов", "M", PERSON["address"]["text"])  # type: ignore[index]
    assert box.call("/12345").body == body  # without the header, the provider's own bytes
