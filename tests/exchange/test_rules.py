from datetime import datetime, timedelta

import orjson
import pytest

from kerege.exchange import rules
from kerege.exchange.errors import ConfigurationMalformed
from kerege.exchange.ids import DataServiceId, SubsystemId
from kerege.exchange.rules import Binding, Permit, Right, Rules, WireContract

from .conftest import NOW

ADMISSION = SubsystemId.parse("KG/GOV/70000003/admission")
REGISTER = DataServiceId.parse("KG/GOV/70000003/emis/register")
FULL = Rules(
    "KG",
    7,
    rights=(Right("r1", ADMISSION, REGISTER, "GET", "/x/*", NOW), Right("r2", "group:schools", REGISTER)),
    bindings=(Binding(ADMISSION, "grade1-admission"),),
    permits=(Permit("p1", ADMISSION, "grade1-admission", "open", NOW + timedelta(days=1), "сынак"),),
    contracts=(
        WireContract(REGISTER, "/", "kg:all"),
        WireContract(REGISTER, "/institution_students", "kg:education.pupil"),
    ),
)

PERMIT = {"id": "p", "client": "KG/GOV/1/a", "public_service": "s", "state": "open", "reason": ""}


def test_rules_written_read_back_equal_and_equal_rules_give_equal_bytes() -> None:
    assert rules.parse(rules.build(FULL)) == FULL
    assert rules.build(rules.parse(rules.build(FULL))) == rules.build(FULL)


def test_the_longest_prefix_on_a_segment_border_names_the_mapping() -> None:
    def mapping(path: str) -> str | None:
        found = FULL.contract_for(REGISTER, path, "GET")
        return None if found is None else found.mapping

    assert mapping("/institution_students") == "kg:education.pupil"
    assert mapping("/institution_students/search") == "kg:education.pupil"
    assert {mapping(path) for path in ("", "/", "/search")} == {"kg:all"}
    assert mapping("/institution_students2") == "kg:all"
    assert FULL.contract_for(DataServiceId.parse("KG/GOV/1/a/b"), "/", "GET") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"extra": 1}, "unknown key 'extra'"),
        ({"version": "7"}, "version"),
        ({"version": True}, "version"),
        ({"rights": [{}]}, r"rights\[0\]"),
        ({"rights": None}, "rights"),
        ({"permits": [{**PERMIT, "state": "ajar", "valid_until": "2027-01-01T00:00:00Z"}]}, "open or closed"),
        ({"permits": [{**PERMIT, "state": "open", "valid_until": "2027-01-01T00:00:00"}]}, "time zone"),
        ({"permits": [{**PERMIT, "state": "open", "valid_until": None}]}, "missing"),
        ({"bindings": [{"client": "KG/GOV/1", "public_service": "s"}]}, "parts"),
        ({"contracts": [{"service": "KG/GOV/1/a/b", "path": "/", "mapping": "m", "x": 1}]}, "unknown key"),
    ],
)  # fmt: skip
def test_a_rule_half_understood_is_refused_by_name(change: dict[str, object], words: str) -> None:
    data = {**orjson.loads(rules.build(FULL)), **change}
    with pytest.raises(ConfigurationMalformed, match=words):
        rules.parse(orjson.dumps(data))


def test_a_rule_that_makes_no_sense_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="group:"):
        Right("r", "schools", REGISTER)
    with pytest.raises(ValueError, match="begins with /"):
        Right("r", ADMISSION, REGISTER, path="x")
    with pytest.raises(ValueError, match="aware"):
        Right("r", ADMISSION, REGISTER, valid_until=datetime(2027, 1, 1))


def test_a_right_is_on_a_service_code_whatever_its_version() -> None:
    first, second = (DataServiceId.parse(f"KG/GOV/70000002/population/getPerson/v{n}") for n in (1, 2))
    for named in (first, first.unversioned):
        granted = Rules("KG", 1, rights=(Right("r", ADMISSION, named),))
        assert [r.id for r in granted.rights_for(first)] == ["r"]
        assert granted.rights_for(second) == granted.rights_for(first.unversioned) == granted.rights_for(first)


TERMS = WireContract(REGISTER, "/x", "", rules.PROVIDER, rules.REFUSE, rules.NEVER, "POST", '{"type":"object"}')


def test_a_contracts_terms_are_written_and_read_back_and_what_is_as_it_always_was_is_left_out() -> None:
    both = Rules("KG", 1, contracts=(TERMS, WireContract(REGISTER, "/", "kg:all")))
    assert rules.parse(rules.build(both)) == both
    first, second = orjson.loads(rules.build(both))["contracts"]
    assert second == {"service": str(REGISTER), "path": "/", "mapping": "kg:all"}  # what older nodes read
    assert (first["schema"], first["at"], first["mode"]) == ({"type": "object"}, "provider", "refuse")


def test_a_document_from_before_there_were_terms_is_still_read() -> None:
    old = {"service": str(REGISTER), "path": "/", "mapping": "kg:all"}
    data = {**orjson.loads(rules.build(Rules("KG", 3))), "contracts": [old]}
    (found,) = rules.parse(orjson.dumps(data)).contracts
    assert (found.at, found.mode, found.translate, found.method, found.schema) == (
        "consumer",
        "observe",
        "asked",
        "*",
        "",
    )


def test_a_contract_for_one_method_goes_before_one_for_all_and_the_longest_path_before_both() -> None:
    every, posted, deep = (
        WireContract(REGISTER, "/a/", "m:every"),
        WireContract(REGISTER, "/a", "m:posted", method="POST"),
        WireContract(REGISTER, "/a/b", "m:deep"),
    )
    held = Rules("KG", 1, contracts=(every, posted, deep))
    asked = {
        (path, verb): held.contract_for(REGISTER, path, verb) for path in ("/a", "/a/b") for verb in ("GET", "POST")
    }
    assert asked == {("/a", "GET"): every, ("/a", "POST"): posted, ("/a/b", "GET"): deep, ("/a/b", "POST"): deep}
    assert held.contract_for(REGISTER, "/ab", "GET") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"at": "both"}, "at is one of"),
        ({"mode": "off"}, "mode is one of"),
        ({"translate": "maybe"}, "translate is one of"),
        ({"method": "GE T"}, "method"),
        ({"translate": "always", "mapping": ""}, "needs a mapping"),
        ({"schema": {"minimum": 0.5}}, "floats"),
        ({"schema": []}, "schema"),
        ({"schema": {"description": "x" * rules.LARGEST_SCHEMA}}, "beyond"),
    ],
)
def test_terms_that_make_no_sense_are_refused_with_the_reason(change: dict[str, object], words: str) -> None:
    contract = {"service": str(REGISTER), "path": "/", "mapping": "m", **change}
    data = {**orjson.loads(rules.build(Rules("KG", 3))), "contracts": [contract]}
    with pytest.raises(ConfigurationMalformed, match=words):
        rules.parse(orjson.dumps(data))
