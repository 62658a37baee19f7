"""What is counted of contracts, told, and kept over restarts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange.ids import DataServiceId
from kerege.exchange.rules import WireContract
from kerege.node.contracts import counts as module
from kerege.node.contracts.counts import ContractCounts, Count
from kerege.node.contracts.which import Examined

SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
CONTRACT = WireContract(SERVICE, "/x", "kg:m", mode="warn")
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@dataclass
class Done:
    mapping_version: str = "1+abc"
    withheld: list[int] = field(default_factory=lambda: [1, 2])


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


def broken(**fields: int) -> Examined:
    return Examined({(name, "required_missing"): count for name, count in fields.items()})


def test_the_report_says_what_became_of_the_answers_and_which_fields_broke(tmp_path: Path) -> None:
    counts = ContractCounts(tmp_path, Clock())
    counts.note(CONTRACT, replace(broken(pin=3, sex=1), done=Done()))  # type: ignore[arg-type]
    counts.note(CONTRACT, broken(pin=1))
    counts.note(CONTRACT, Examined({("name", "name_unsure"): 5}))
    counts.note(CONTRACT, Examined(unchecked="too large"))
    counts.note_refused(CONTRACT)
    (row,) = counts.report()["contracts"]
    assert {name: row[name] for name in ("answers", "broken", "refused", "unchecked", "withheld")} == {
        "answers": 4, "broken": 2, "refused": 1, "unchecked": 1, "withheld": 2,
    }  # fmt: skip
    assert row["fields"] == [
        {"field": "name", "kind": "name_unsure", "values": 5, "answers": 1},
        {"field": "pin", "kind": "required_missing", "values": 4, "answers": 2},
        {"field": "sex", "kind": "required_missing", "values": 1, "answers": 1},
    ]
    assert (row["mapping_version"], row["unchecked_reason"], row["mode"]) == ("1+abc", "too large", "warn")


def test_counts_go_on_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    first = ContractCounts(tmp_path, clock)
    first.note(CONTRACT, replace(broken(pin=3), done=Done()))  # type: ignore[arg-type]
    first.note_refused(CONTRACT)
    asyncio.run(first.save())
    second = ContractCounts(tmp_path, clock)
    assert second.report() == first.report()
    second.note(CONTRACT, broken(pin=1))
    assert second.report()["contracts"][0]["fields"][0]["values"] == 4


def test_a_file_that_cannot_be_read_is_kept_aside_and_said(tmp_path: Path) -> None:
    (tmp_path / "contracts.json").write_text('{"contracts": [{"service": 1')
    counts = ContractCounts(tmp_path, Clock())
    assert counts.report()["contracts"] == []
    assert (tmp_path / "contracts.json.unreadable").read_text().startswith('{"contracts"')
    assert any("began anew" in said for said in counts.warnings())


def test_what_cannot_be_written_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = ContractCounts(tmp_path, Clock())
    counts.note(CONTRACT, broken(pin=1))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_durable", full)
        asyncio.run(counts.save())
    assert any("No space left" in said for said in counts.warnings())
    asyncio.run(counts.save())
    assert len(orjson.loads((tmp_path / "contracts.json").read_bytes())["contracts"]) == 1


def test_other_terms_are_another_contract(tmp_path: Path) -> None:
    counts = ContractCounts(tmp_path, Clock())
    counts.note(CONTRACT, broken(pin=1))
    counts.note(replace(CONTRACT, mode="refuse"), broken(pin=1))
    assert [row["mode"] for row in counts.report()["contracts"]] == ["refuse", "warn"]
    assert counts.totals()["answers"] == 2


@pytest.mark.parametrize(("mode", "said"), [("observe", 0), ("warn", 1), ("refuse", 1)])
def test_health_warns_of_breaches_of_the_last_hour_where_somebody_wanted_to_know(
    tmp_path: Path, mode: str, said: int
) -> None:
    clock = Clock()
    counts = ContractCounts(tmp_path, clock)
    counts.note(replace(CONTRACT, mode=mode), broken(pin=1))
    assert len(counts.warnings()) == said
    clock.now += timedelta(minutes=61)
    assert counts.warnings() == []
    counts.note(replace(CONTRACT, mode=mode), Examined(unchecked="no pack"))
    assert any("no pack" in one for one in counts.warnings())


def test_fields_without_end_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_FIELDS", 3)
    count = Count(NOW)
    for number in range(10):
        count.add(broken(**{f"f{number}": 1}), NOW)
    assert len(count.fields) == 4
    assert count.fields["(others)", "more"] == (7, 7)


LOOKS = st.lists(
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["k", "name_unsure"])), st.integers(1, 9), max_size=3
    )
)


@given(LOOKS)
@settings(max_examples=100, deadline=None)
def test_counts_add_up_and_come_back_from_their_written_form(looks: list[dict[tuple[str, str], int]]) -> None:
    count = Count(NOW)
    for one in looks:
        count.add(Examined(one), NOW)
    assert count.answers == len(looks)
    assert count.broken == sum(any(kind == "k" for _, kind in one) for one in looks)
    assert sum(values for values, _ in count.fields.values()) == sum(sum(one.values()) for one in looks)
    assert Count.of(orjson.loads(orjson.dumps(count.as_dict()))) == count
