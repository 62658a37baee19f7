"""What it takes to publish a contract, what nodes get of it then, and which version of it is in force."""

from __future__ import annotations

import copy
from datetime import timedelta

import orjson
import pytest
from contract_births import DOCUMENT, ENDS, ME, NOW, OTHER, SERVICE, called, made, put, without_sex

from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.contracts import queries as contract_queries
from kerege.catalogue.errors import ContractPlaceTaken, LifecycleBlocked
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import Dataset, LifecycleAction
from kerege.catalogue.packs import current_pack
from kerege.catalogue.search.items import contract_items
from kerege.exchange.rules import PROVIDER, QUARANTINE
from kerege.membership.queries import network_view
from kerege.semantics.contracts.odcs import parse
from kerege.semantics.contracts.wire import from_wire

pytestmark = pytest.mark.django_db


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


def test_one_place_has_one_contract(dataset: Dataset) -> None:
    put(made())
    with pytest.raises(ContractPlaceTaken, match=r"kg:birth 1\.0\.0"):
        put(made(id="kg:other"))
    assert [v.contract for v in contract_queries.contracts(NOW) if v.state == "published"] == ["kg:birth"]


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
