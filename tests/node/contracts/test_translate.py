import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from box import PERSONS, Box
from kerege.exchange.rules import Rules, WireContract
from kerege.ground.errors import KeregeError
from kerege.node.config import Translation
from kerege.node.contracts.translate import (
    CANONICAL,
    Translator,
    WireTranslation,
    forwarded_accept,
    mapping_of,
    wants_canonical,
    wants_sources,
)
from kerege.node.errors import TranslationFailed, TranslationMissing


@dataclass
class Done:
    records: list[dict[str, str | None]]
    sources: list[dict[str, str | None]]
    problems: list[dict[str, Any]] = field(default_factory=list)
    withheld: list[dict[str, Any]] = field(default_factory=list)
    mapping_id: str = "kg:population.person"
    mapping_version: str = "1"


class Refused(KeregeError):
    code = "test.refused"
    message = "Line {line} is cut."
    hint = "Ask again."


def translator_of(loads: list[Translation]) -> Any:
    def load(translation: Translation) -> Translator:
        loads.append(translation)

        def run(mapping_id: str, payload: bytes, content_type: str) -> Done:
            if payload == b"cut":
                raise Refused(line=3)
            return Done(
                [{"pin": payload.decode(), "n": str(len(loads))}],
                [{"PIN": f" {payload.decode()}"}],
                [{"record": 0, "code": "x"}],
                [{"record": 1}],
            )

        return run

    return load


PLACE = Translation(Path("pack"), None, Path("overlay"), ((PERSONS, "/own", "kg:own"),))
RULES = Rules("KG", 1, contracts=(WireContract(PERSONS, "/api", "kg:population.person"),))


def run(wire: WireTranslation, payload: bytes = b"1", *, sources: bool = False) -> dict[str, Any]:
    found = orjson.loads(wire.run("kg:m", PERSONS, payload, "text/plain", "mid", "rid", sources=sources))
    assert isinstance(found, dict)
    return found


def test_the_translated_message_says_what_it_came_from() -> None:
    wire = WireTranslation(PLACE, translator_of([]))
    wire.reload()
    assert run(wire) == {
        "records": [{"pin": "1", "n": "1"}],
        "problems": [{"record": 0, "code": "x"}],
        "withheld": [{"record": 1}],
        "mapping": {"id": "kg:population.person", "version": "1"},
        "original": {
            "sha256": hashlib.sha256(b"1").hexdigest(),
            "content_type": "text/plain",
            "message_id": "mid",
            "request_id": "rid",
        },
    }


def test_the_registers_own_cells_come_beside_the_records_only_when_asked_for() -> None:
    wire = WireTranslation(PLACE, translator_of([]))
    wire.reload()
    assert "sources" not in run(wire)
    told = run(wire, sources=True)
    assert told["sources"] == [{"PIN": " 1"}]
    assert {key: value for key, value in told.items() if key != "sources"} == run(wire)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (f"{CANONICAL}; sources=1", True),
        (f"text/csv, {CANONICAL.upper()};q=0.9; Sources = 1", True),
        (CANONICAL, False),
        (f"{CANONICAL}; sources=0", False),
        (f"{CANONICAL}; sources=10", False),
        (f"{CANONICAL}, text/csv; sources=1", False),
    ],
)
def test_sources_are_asked_for_by_a_parameter_of_the_canonical_media_type(accept: str, wanted: bool) -> None:
    assert wants_sources(accept) is wanted
    assert wants_canonical(accept)
    assert CANONICAL.encode() not in forwarded_accept(accept)


def test_a_reload_takes_up_a_new_overlay_and_a_broken_one_leaves_the_old() -> None:
    loads: list[Translation] = []
    wire = WireTranslation(PLACE, translator_of(loads))
    wire.reload()
    wire.reload()
    assert run(wire)["records"][0]["n"] == "2"

    def broken(_: Translation) -> Translator:
        raise Refused(line=7)

    wire._loader = broken
    wire.reload()
    assert "Line 7" in str(wire.problem)
    assert run(wire)["records"][0]["n"] == "2"


def test_a_payload_that_cannot_be_translated_is_refused_with_the_reason() -> None:
    wire = WireTranslation(PLACE, translator_of([]))
    wire.reload()
    with pytest.raises(TranslationFailed, match=r"Line 3 is cut\. \[test\.refused\].*request id rid"):
        run(wire, b"cut")


def test_the_signed_rules_name_the_mapping_and_the_nodes_own_file_is_second() -> None:
    wire = WireTranslation(PLACE, translator_of([]))

    def mapping(path: str) -> str:
        return mapping_of(wire.contract_for(PERSONS, path, "GET", RULES), PERSONS, path)

    assert mapping("/api/x") == "kg:population.person"
    assert mapping("/own") == "kg:own"
    with pytest.raises(TranslationMissing) as refused:
        mapping("/21203198000017")
    assert "21203198000017" not in str(refused.value)


def test_a_node_without_translation_says_so() -> None:
    with pytest.raises(TranslationFailed, match="no translation in its configuration"):
        run(WireTranslation(None))


def test_the_canonical_media_type_is_for_the_node_not_for_the_provider() -> None:
    accept = f"text/csv;q=0.5, {CANONICAL};v=1"
    assert wants_canonical(accept)
    assert not wants_canonical("application/json")
    assert forwarded_accept(accept) == b"text/csv;q=0.5"
    assert forwarded_accept(CANONICAL) == b"*/*"


@pytest.mark.journey
def test_a_node_that_cannot_translate_answers_406_or_500_and_originals_still_pass(box: Box) -> None:
    unagreed = box.call("/other", headers={"Accept": CANONICAL})
    assert unagreed.status == 406
    assert "node.translation_missing" in str(unagreed.json["detail"])
    assert box.agency.seen == []  # refused before anything was asked
    unable = box.call("/12345", headers={"Accept": CANONICAL})
    assert unable.status == 500
    assert "node.translation_failed" in str(unable.json["detail"])
    assert box.agency.seen[0].headers["Accept"] == "*/*"
    assert box.call("/12345").status == 200


def test_a_country_pack_that_is_not_there_is_told_by_its_path_and_no_number_of_the_system(tmp_path: Path) -> None:
    def loader(_: Translation) -> Any:
        return (tmp_path / "pack.yaml").read_bytes()

    wire = WireTranslation(Translation(tmp_path, None, None), loader)
    wire.reload()
    assert wire.problem == f"{tmp_path / 'pack.yaml'}: No such file or directory"
