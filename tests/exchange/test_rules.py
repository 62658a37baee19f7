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
    assert FULL.mapping_for(REGISTER, "/institution_students") == "kg:education.pupil"
    assert FULL.mapping_for(REGISTER, "/institution_students/search") == "kg:education.pupil"
    assert {FULL.mapping_for(REGISTER, path) for path in ("", "/", "/search")} == {"kg:all"}
    assert FULL.mapping_for(REGISTER, "/institution_students2") == "kg:all"
    assert FULL.mapping_for(DataServiceId.parse("KG/GOV/1/a/b"), "/") is None


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
