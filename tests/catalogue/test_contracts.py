"""A contract's way: added, approved by two, published to the nodes, deprecated with a clock, retired when its time is over."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.contracts import drafts as contract_drafts
from kerege.catalogue.contracts import queries as contract_queries
from kerege.catalogue.contracts.clock import FRESH, QUIET, Clock, Use, may_retire
from kerege.catalogue.contracts.ended import BY, end_what_is_over
from kerege.catalogue.errors import (
    ContractPlaceTaken,
    ContractUnknown,
    ContractVersionTaken,
    DeprecationRefused,
    FourEyes,
    LifecycleBlocked,
    LifecycleRefused,
)
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import Dataset, LifecycleAction, NodeReading, Owner, ServiceUse
from kerege.catalogue.packs import current_pack
from kerege.catalogue.search.items import contract_items
from kerege.catalogue.sources.described import Leaf, described_table
from kerege.exchange.ids import MemberId, SubsystemId
from kerege.exchange.rules import PROVIDER, QUARANTINE
from kerege.ground import clock
from kerege.ground.text import Text
from kerege.membership import doings as membership
from kerege.membership.queries import network_view
from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.contract import Contract
from kerege.semantics.contracts.message import compile_message
from kerege.semantics.contracts.odcs import parse
from kerege.semantics.contracts.wire import from_wire
from kerege.semantics.errors import ContractInvalid

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ENDS = datetime(2027, 6, 30, 17, 59, 59, tzinfo=UTC)
SERVICE = "KG/GOV/70000001/civil/birth-records"
ME, OTHER = "a.asanova", "b.bakirov"
DOCUMENT: dict[str, Any] = {
    "kind": "DataContract", "apiVersion": "v3.1.0", "id": "kg:birth", "version": "1.0.0", "status": "active", "name": "Births",
    "team": {"name": "Civil registry", "customProperties": [{"property": "organisation", "value": "70000001"}]},
    "customProperties": [{"property": "legalBasis", "value": "Law on acts of civil status"}, {"property": "mode", "value": "quarantine"}],
    "servers": [{"server": "exchange", "type": "custom", "customProperties": [
        {"property": "dataService", "value": SERVICE}, {"property": "path", "value": "/"}, {"property": "at", "value": "provider"}]}],
    "schema": [{"name": "birth", "customProperties": [{"property": "mapping", "value": "kg:civil.birth-record"}], "properties": [
        {"name": "act_number", "logicalType": "string", "required": True},
        {"name": "sex", "logicalType": "string", "customProperties": [{"property": "codeList", "value": "kg:sex"}]},
    ]}],
}  # fmt: skip

pytestmark = pytest.mark.django_db


def made(version: str = "1.0.0", **change: Any) -> Contract:
    document = copy.deepcopy(DOCUMENT) | {"version": version} | change
    return parse(document)


def without_sex(version: str) -> Contract:
    document = copy.deepcopy(DOCUMENT) | {"version": version}
    document["schema"][0]["properties"].pop()
    return parse(document)


@pytest.fixture
def dataset() -> Dataset:
    for code, subsystem in (("70000001", "civil"), ("70000003", "admission")):
        member = MemberId("KG", "GOV", code)
        membership.register_member(member, Text(ky=code, ru=code, en=code), NOW)
        membership.register_subsystem(SubsystemId.parse(f"{member}/{subsystem}"), NOW)
    row = Dataset.objects.create(
        source="civil.sqlite", kind="sqlite", table="births", rows=1, profile={}, harvested_at=NOW
    )
    for position, name in enumerate(("act_no", "pol")):
        field = row.fields.create(name=name, position=position, profile={})
        Owner.objects.create(
            field=field, organisation="70000001", unit="Registry", legal_basis="Law", since=NOW - timedelta(days=1)
        )
    return row


def put(contract: Contract, *, dataset: str = "civil.sqlite#births", now: datetime = NOW) -> list[Any]:
    contracts.add(contract, ME, now, dataset=dataset)
    what = contracts.subject(contract.id, contract.version)
    lifecycle.act(what, "submit", ME, "new", now)
    lifecycle.act(what, "approve", OTHER, "looked at", now)
    return contracts.publish(contract.id, contract.version, ME, "agreed", now)


def test_a_version_approved_before_it_was_there_takes_no_content(dataset: Dataset) -> None:
    """As a database of an earlier release may hold it: submitting what is not there is refused today."""
    for number, (action, by) in enumerate((("submit", ME), ("approve", OTHER)), start=1):
        LifecycleAction.objects.create(
            kind="contract", subject="kg:birth", version="9.0.0", number=number, action=action, by=by, reason="blind",
            at=NOW, digest="0" * 64,
        )  # fmt: skip
    with pytest.raises(ContractVersionTaken, match="approved already"):
        contracts.add(made("9.0.0"), ME, NOW, dataset="civil.sqlite#births")
    assert contract_queries.contracts(NOW) == []


def test_what_a_contract_is_about_stays_what_was_approved(dataset: Dataset) -> None:
    other = Dataset.objects.create(source="x", kind="csv", table="y", rows=1, profile={}, harvested_at=NOW)
    put(made())
    with pytest.raises(ContractVersionTaken):
        contracts.add(made(), ME, NOW, dataset=str(other))
    assert contracts.find("kg:birth").dataset == dataset


def called(consumer: str = "KG/GOV/70000003/admission", last: datetime = NOW) -> None:
    ServiceUse.objects.create(
        source="node",
        side="provider",
        consumer=consumer,
        service=SERVICE,
        endpoint="GET /",
        calls=7,
        first_at=last,
        last_at=last,
    )


def test_a_published_contract_becomes_what_nodes_get(dataset: Dataset) -> None:
    put(made())
    (wire,) = network_view(NOW).picture.rules(1).contracts
    assert (str(wire.service), wire.path, wire.mapping, wire.at, wire.mode) == (
        SERVICE,
        "/",
        "kg:civil.birth-record",
        PROVIDER,
        QUARANTINE,
    )
    import orjson

    rules = from_wire(orjson.loads(wire.check))
    assert (rules.contract, rules.version) == ("kg:birth", "1.0.0")
    assert [(r.field, r.kind) for r in rules.rules] == [
        ("act_number", "required"), ("act_number", "type"), ("sex", "type"), ("sex", "codes"),
    ]  # fmt: skip
    (row,) = network_view(NOW).picture.contracts
    assert (row.owner, row.legal_basis) == ("70000001", "Law on acts of civil status")


def test_a_contract_with_an_unowned_attribute_is_not_published(dataset: Dataset) -> None:
    dataset.fields.get(name="pol").owners.all().delete()
    with pytest.raises(LifecycleBlocked, match="pol"):
        put(made())
    assert network_view(NOW).picture.contracts == ()


def test_a_contract_of_no_known_dataset_is_not_published(dataset: Dataset) -> None:
    with pytest.raises(LifecycleBlocked, match="which dataset"):
        put(made(), dataset="")


def test_a_contract_that_is_wrong_in_itself_is_not_published(dataset: Dataset) -> None:
    with pytest.raises(LifecycleBlocked, match="names no act"):
        put(made(customProperties=[]))


def test_four_eyes_approve_a_contract(dataset: Dataset) -> None:
    contracts.add(made(), ME, NOW, dataset=str(dataset))
    with pytest.raises(LifecycleRefused):
        contracts.publish("kg:birth", "1.0.0", ME, "now", NOW)
    lifecycle.act(contracts.subject("kg:birth", "1.0.0"), "submit", ME, "new", NOW)
    with pytest.raises(FourEyes):
        lifecycle.act(contracts.subject("kg:birth", "1.0.0"), "approve", ME, "mine", NOW)


def test_whoever_wrote_of_a_contract_does_not_approve_it_whatever_others_wrote_after(dataset: Dataset) -> None:
    what = contracts.subject("kg:birth", "1.0.0")

    def refused(by: str) -> None:
        with pytest.raises(FourEyes, match=f"{by} made it"):
            lifecycle.act(what, "approve", by, "fine", NOW)

    contracts.add(made(), "alice", NOW)
    contracts.add(made(), "bob", NOW, dataset=str(dataset))  # says only what it is about
    assert contracts.find("kg:birth").added_by == "alice"
    contracts.add(made(name="Acts of birth"), "carol", NOW)
    lifecycle.act(what, "submit", "dora", "ready", NOW)
    for one in ("alice", "bob", "carol"):
        refused(one)
    lifecycle.act(what, "approve", "eva", "read", NOW)
    lifecycle.act(what, "return", "eva", "a word is missing", NOW)
    contracts.add(made(name="Acts of birth, all of them"), "bob", NOW)
    lifecycle.act(what, "submit", "dora", "ready again", NOW)
    refused("bob")
    lifecycle.act(what, "approve", "alice", "what I wrote was approved by another before", NOW)


def test_what_others_rely_on_is_not_changed_under_its_number(dataset: Dataset) -> None:
    contracts.add(made(), ME, NOW)
    contracts.add(made(name="Acts of birth"), ME, NOW)
    assert contracts.find("kg:birth").name == "Acts of birth", "a draft may change"
    put(made(name="Acts of birth"))
    with pytest.raises(ContractVersionTaken):
        contracts.add(made(name="Births again"), ME, NOW)
    contracts.add(made(name="Acts of birth"), ME, NOW)


def test_one_place_has_one_contract(dataset: Dataset) -> None:
    put(made())
    with pytest.raises(ContractPlaceTaken, match=r"kg:birth 1\.0\.0"):
        put(made(id="kg:other"))
    assert [v.contract for v in contract_queries.contracts(NOW) if v.state == "published"] == ["kg:birth"]


def test_an_unknown_contract_names_the_known(dataset: Dataset) -> None:
    contracts.add(made(), ME, NOW)
    with pytest.raises(ContractUnknown, match="kg:birth"):
        contracts.find("kg:none")


def test_a_compatible_version_takes_the_place_of_the_one_before(dataset: Dataset) -> None:
    put(made())
    document = copy.deepcopy(DOCUMENT) | {"version": "1.1.0"}
    document["schema"][0]["properties"].append({"name": "surname", "logicalType": "string"})
    put(parse(document), now=NOW + timedelta(hours=1))
    assert lifecycle.in_force("contract", "kg:birth") == "1.1.0"
    assert {v.version: v.state for v in contract_queries.contracts(NOW)} == {
        "1.0.0": "deprecated",
        "1.1.0": "published",
    }
    (wire,) = network_view(NOW).picture.rules(1).contracts
    assert '"version":"1.1.0"' in wire.check


def test_a_version_number_too_small_for_its_changes_is_refused(dataset: Dataset) -> None:
    put(made())
    with pytest.raises(LifecycleBlocked, match="ask for a major version"):
        put(without_sex("1.0.1"))


def test_a_change_that_breaks_consumers_waits_for_the_end_of_the_version_before(dataset: Dataset) -> None:
    put(made())
    with pytest.raises(
        LifecycleBlocked, match=r"breaks consumers of 1\.0\.0 \(birth.sex field_removed\).*never deprecated"
    ):
        put(without_sex("2.0.0"))
    called()
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "sex moves", NOW, successor="2.0.0")
    with pytest.raises(LifecycleBlocked, match="1 use it: KG/GOV/70000003/admission"):
        contracts.publish("kg:birth", "2.0.0", ME, "agreed", NOW) if _approved("2.0.0") else None
    over = ENDS + timedelta(seconds=1)
    contracts.publish("kg:birth", "2.0.0", ME, "agreed", over)
    assert lifecycle.in_force("contract", "kg:birth") == "2.0.0"


def _approved(version: str) -> bool:
    what = contracts.subject("kg:birth", version)
    contracts.add(without_sex(version), ME, NOW, dataset="civil.sqlite#births")
    if lifecycle.status(what).state.value == "draft":
        lifecycle.act(what, "submit", ME, "new", NOW)
        lifecycle.act(what, "approve", OTHER, "looked at", NOW)
    return True


def test_deprecating_notes_whom_it_concerns_by_calls_and_by_rights(dataset: Dataset, ledger: Any) -> None:
    from kerege.exchange.ids import DataServiceId

    put(made())
    called("KG/GOV/70000009/other")
    membership.grant_right(
        SubsystemId.parse("KG/GOV/70000003/admission"), DataServiceId.parse(SERVICE), ENDS, ledger=ledger, now=NOW
    )
    found = contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "sex moves", NOW)
    told = {(n.consumer, n.why, n.calls) for n in found.notices.all()}
    assert told == {("KG/GOV/70000009/other", "calls", 7), ("KG/GOV/70000003/admission", "right", 0)}
    called("KG/GOV/70000008/late")
    assert [n.consumer for n in contracts.note_consumers(found, NOW)] == ["KG/GOV/70000008/late"]
    assert [(c.version, c.days_left) for c in contract_queries.clocks(NOW)[0]] == [("1.0.0", 221)]
    (view,) = contract_queries.contracts(NOW)
    assert view.deprecation is not None
    assert (view.deprecation.days_left, len(view.deprecation.told)) == (221, 3)


def test_a_deprecation_ends_in_the_future(dataset: Dataset) -> None:
    put(made())
    with pytest.raises(DeprecationRefused):
        contracts.deprecate("kg:birth", "1.0.0", NOW, ME, "now", NOW)
    assert contract_queries.contracts(NOW)[0].state == "published"


def test_a_contract_in_use_is_not_retired_before_its_last_second_is_over(dataset: Dataset) -> None:
    put(made())
    called(last=ENDS - timedelta(days=1))
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "old", NOW)
    for early in (ENDS - timedelta(days=1), ENDS, ENDS + timedelta(microseconds=999_999)):
        with pytest.raises(LifecycleBlocked, match="use it"):
            contracts.retire("kg:birth", "1.0.0", ME, "over", early)
        assert len(network_view(NOW).picture.contracts) == 1
    contracts.retire("kg:birth", "1.0.0", ME, "over", ENDS + timedelta(seconds=1))
    assert network_view(NOW).picture.contracts == ()
    assert contract_queries.contracts(NOW)[0].state == "retired"


def test_the_clock_ends_a_version_whose_term_is_over_and_no_node_gets_it(dataset: Dataset, ledger: Any) -> None:
    put(made())
    put(made("1.1.0"), now=NOW + timedelta(hours=1))  # takes the place of the first, which has no term left
    called(last=ENDS)
    contracts.deprecate("kg:birth", "1.1.0", ENDS, ME, "old", NOW + timedelta(hours=2))
    (first,) = end_what_is_over(ENDS + timedelta(microseconds=999_999), ledger=ledger)
    assert first.version == "1.0.0"
    assert len(network_view(NOW).picture.contracts) == 1, "up to its last second, all of it"
    over = ENDS + timedelta(seconds=1)
    assert [v.version for v in end_what_is_over(over, ledger=ledger)] == ["1.1.0"]
    assert network_view(NOW).picture.contracts == ()
    last = lifecycle.history(contracts.subject("kg:birth", "1.1.0"))[-1]
    assert (last.action.value, last.by) == ("retire", BY)
    assert last.reason == "its term ended 2027-06-30T17:59:59Z"
    body = ledger.entries[last.ledger_index]
    assert end_what_is_over(over + timedelta(days=1), ledger=ledger) == []
    assert (body.kind, body.body["by"], body.body["action"]) == ("lifecycle", BY, "retire")


def test_of_two_deprecated_versions_the_one_published_last_is_in_force_everywhere(dataset: Dataset) -> None:
    """Whichever was added or deprecated last: the life cycle, the desk's list and the search say the same."""

    def written(version: str, *actions: str, day: int) -> None:
        done = LifecycleAction.objects.filter(kind="contract", subject="kg:birth", version=version).count()
        for number, action in enumerate(actions, start=done + 1):
            LifecycleAction.objects.create(
                kind="contract", subject="kg:birth", version=version, number=number, action=action, by=ME, reason="r",
                at=NOW + timedelta(days=day), digest="0" * 64,
            )  # fmt: skip

    contracts.add(made("2.0.0", name="Second"), ME, NOW, dataset=str(dataset))
    contracts.add(made("1.1.0", name="First"), ME, NOW + timedelta(days=1), dataset=str(dataset))
    written("1.1.0", "submit", "approve", "publish", day=2)
    written("2.0.0", "submit", "approve", "publish", "deprecate", day=5)
    written("1.1.0", "deprecate", day=9)
    assert lifecycle.in_force("contract", "kg:birth") == "2.0.0"
    (line,) = contract_queries.lines(0, 10)
    assert (line.in_force, line.in_force_state) == ("2.0.0", "deprecated")
    found = {i.key: i.names for i in contract_items(current_pack())}
    assert found["kg:birth"] == ("kg:birth", "Second")


def test_a_contract_that_changes_has_no_other_parsed_again(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        contracts.add(made(id=f"t:c{n}"), ME, NOW)
        contracts.add(made("1.1.0", id=f"t:c{n}"), ME, NOW + timedelta(days=1))
    list(contract_items(current_pack()))
    parsed: list[str] = []
    real = odcs.parse
    monkeypatch.setattr(odcs, "parse", lambda document, name: parsed.append(name) or real(document, name))
    contracts.add(made("1.1.0", id="t:c1", name="Other"), ME, NOW + timedelta(days=2))
    found = {i.key: i.names for i in contract_items(current_pack())}
    assert [name for name in parsed if name.startswith("t:")] == ["t:c1 1.1.0"]
    assert [found[f"t:c{n}"][1] for n in range(3)] == ["Births", "Other", "Births"]


def test_a_deprecation_taken_back_is_ended_by_no_clock(dataset: Dataset) -> None:
    put(made())
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "old", NOW)
    contracts.reinstate("kg:birth", "1.0.0", ME, "needed", NOW)
    assert end_what_is_over(ENDS + timedelta(days=1)) == []
    assert len(network_view(NOW).picture.contracts) == 1


def test_a_contract_nobody_uses_is_retired_at_once_if_that_is_known(dataset: Dataset) -> None:
    put(made())
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "old", NOW)
    with pytest.raises(LifecycleBlocked, match="not known: traffic was never read"):
        contracts.retire("kg:birth", "1.0.0", ME, "unused", NOW)
    NodeReading.objects.create(source="node", read_until=NOW)
    contracts.retire("kg:birth", "1.0.0", ME, "unused", NOW)


def test_a_deprecation_is_taken_back(dataset: Dataset) -> None:
    put(made())
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "old", NOW)
    contracts.reinstate("kg:birth", "1.0.0", ME, "not yet", NOW)
    assert contract_queries.contracts(NOW)[0].state == "published"
    assert contract_queries.clocks(NOW) == ([], 0)
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "now", NOW)


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, MOMENTS, MOMENTS)
def test_the_clock_is_either_running_or_over_and_once_over_stays_over(a: datetime, b: datetime, now: datetime) -> None:
    clock = Clock(min(a, b), max(a, b).replace(microsecond=0) + timedelta(seconds=1))
    assert clock.holds(now) == (now < clock.ends + timedelta(seconds=1))
    assert may_retire(clock, now, [Use("c", "s", 1, now)], now).allowed is not clock.holds(now)
    assert (clock.left(now) > timedelta(0)) <= clock.holds(now)


def test_unknown_use_is_not_no_use() -> None:
    clock = Clock(NOW, ENDS)
    old = Use("c", "s", 1, NOW - QUIET - timedelta(seconds=1))
    assert may_retire(clock, NOW, [old], NOW).allowed
    assert not may_retire(clock, NOW, [old], NOW - FRESH - timedelta(seconds=1)).allowed
    assert not may_retire(clock, NOW, [Use("c", "s", 1, NOW)], NOW).allowed
    assert not may_retire(None, NOW, (), NOW).allowed
    assert may_retire(clock, NOW, (), None, on_the_wire=False).allowed
    with pytest.raises(ValueError, match="after it is announced"):
        Clock(ENDS, NOW)


def test_a_node_that_never_saw_a_contracts_traffic_does_not_tell_that_nobody_uses_it(dataset: Dataset) -> None:
    put(made())
    called(last=NOW - timedelta(days=60))
    NodeReading.objects.create(source="node", read_until=NOW - timedelta(days=50))  # the provider's, not read since
    NodeReading.objects.create(source="another node", read_until=NOW)
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "ends", NOW)
    with pytest.raises(LifecycleBlocked, match="whether somebody uses it is not known"):
        contracts.retire("kg:birth", "1.0.0", ME, "nobody", NOW)
    NodeReading.objects.filter(source="node").update(read_until=NOW)
    contracts.retire("kg:birth", "1.0.0", ME, "nobody", NOW)


def test_the_life_cycle_alone_does_not_publish_deprecate_or_retire_a_contract(dataset: Dataset) -> None:
    contracts.add(made(), ME, NOW, dataset=str(dataset))
    what = contracts.subject("kg:birth", "1.0.0")
    lifecycle.act(what, "submit", ME, "new", NOW)
    lifecycle.act(what, "approve", OTHER, "looked at", NOW)
    with pytest.raises(LifecycleBlocked, match="kerege contract publish"):
        lifecycle.act(what, "publish", ME, "past the nodes", NOW)
    contracts.publish("kg:birth", "1.0.0", ME, "agreed", NOW)
    with pytest.raises(LifecycleBlocked, match="kerege contract deprecate"):
        lifecycle.act(what, "deprecate", ME, "without a clock", NOW)
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "old", NOW)
    for action in ("reinstate", "retire"):
        with pytest.raises(LifecycleBlocked, match=f"kerege contract {action}"):
            lifecycle.act(what, action, ME, "past the clock", ENDS + timedelta(days=1))


def test_a_steward_goes_the_whole_way_on_the_command_line(dataset: Dataset, tmp_path: Any, monkeypatch: Any) -> None:
    import json

    from click.testing import CliRunner

    from kerege.cli import main
    from kerege.semantics.contracts.odcs import dumps

    monkeypatch.setenv("KEREGE_HOME", str(tmp_path))
    file = tmp_path / "births.odcs.yaml"
    file.write_text(dumps(made()), encoding="utf-8")

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["contract", *words])
        assert done.exit_code == code, done.output
        return done.output

    why = ("--by", ME, "--reason", "agreed")
    said = run("publish", str(file), "--dataset", str(dataset), *why)
    assert "contract kg:birth version 1.0.0 is submitted." in said
    assert "kerege lifecycle act approve contract kg:birth 1.0.0" in said
    lifecycle.act(contracts.subject("kg:birth", "1.0.0"), "approve", OTHER, "looked at", clock.now())
    assert SERVICE in run("publish", "kg:birth", "--version", "1.0.0", *why)
    assert json.loads(run("list", "--json"))[0]["state"] == "published"
    assert "act_number" in run("show", "kg:birth")
    assert "in force up to" in run("deprecate", "kg:birth", "1.0.0", "--ends", "2099-12-31", *why)
    (view,) = contract_queries.contracts(NOW)
    assert view.deprecation is not None
    assert view.deprecation.ends_at == datetime(2099, 12, 31, 17, 59, 59, tzinfo=UTC), (
        "a day means all of it, in Bishkek"
    )
    assert "catalogue.lifecycle_blocked" in run("retire", "kg:birth", "1.0.0", *why, code=2)
    assert "without an end" in run("reinstate", "kg:birth", "1.0.0", *why)
    assert "required" in run("schema", "kg:birth")
    births = tmp_path / "births.csv"
    births.write_text("act_number,sex\n1,1\n,1\n", encoding="utf-8")
    assert "BROKEN" in run("check", "kg:birth", str(births), "--record")
    last = contract_queries.contracts(NOW)[0].last_run
    assert last is not None
    assert (last["source"], last["rows"], last["broken_rows"], last["kept"]) == ("births.csv", 2, 1, False)


def described(source: str, kind: str, paths: dict[str, str], **profile: Any) -> Dataset:
    row = Dataset.objects.create(source=source, kind=kind, table="t", rows=0, profile=profile, harvested_at=NOW)
    table = described_table("t", "", [Leaf(path, *declared.split(" ")) for path, declared in paths.items()]).described
    assert table is not None
    for one in table.fields:
        row.fields.create(name=one.name, position=one.position, profile=one.as_dict())
    return row


def test_a_draft_of_a_described_dataset_nests_its_paths_and_can_be_opened_and_checked() -> None:
    api = described("api.yaml", "openapi", {
        "[].pin": "string", "[].data[].code": "string", "[].data[].day": "string date", "[].Birth[]": "integer", "[].mentor": "object",
        "[].marks.*": "number", "[].pair[0]": "string", "[].x": "any",
    }, described=True)  # fmt: skip
    row = contract_drafts.draft(api.pk, "kg:births", "1.0.0", ME, NOW)
    told = contract_queries.show("kg:births", NOW)
    assert not [f for f in told.findings if f.code == "uncompilable"]
    properties = {p["name"]: p for p in row.document["schema"][0]["properties"]}
    assert [p["name"] for p in properties["data"]["items"]["properties"]] == ["code", "day"]
    assert {n: p.get("logicalType") for n, p in properties.items()} == {
        "pin": "string", "data": "array", "Birth": "array", "mentor": "object", "marks": "object", "pair": "array", "x": None,
    }  # fmt: skip
    checker = compile_message(contracts.contract_of(row))
    assert (
        checker(
            {"pin": "1", "data": [{"code": "a", "day": "2026-01-01"}], "Birth": [1], "mentor": {}, "marks": {"m": 5}}
        )
        == ()
    )
    assert [b.field for b in checker({"data": [{"code": 5}]})] == ["data[].code"]


def test_a_column_with_a_dot_in_its_name_is_one_property_of_its_own_column() -> None:
    table = described("a.csv", "csv", {"born.day": "string", "born_day": "string", "[]": "string"})
    row = contract_drafts.draft(table.pk, "kg:a", "1.0.0", ME, NOW)
    found = [(p["name"], p.get("physicalName")) for p in row.document["schema"][0]["properties"]]
    assert found == [("born_day_2", "born.day"), ("born_day", None), ("column", "[]")]


@pytest.mark.parametrize(
    ("contract", "version"), [("!! \u043c\u043e\u0439", "1.0.0"), ("kg:", "1.0.0"), ("kg:a", "abc")]
)
def test_a_draft_that_nobody_could_name_is_not_kept(contract: str, version: str) -> None:
    with pytest.raises(ContractInvalid, match="expected"):
        contract_drafts.draft(described("a.csv", "csv", {"code": "string"}).pk, contract, version, ME, NOW)
    assert contract_queries.contracts(NOW) == []
