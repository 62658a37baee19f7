"""Contracts as they are kept: what may still change under a number, what is found by its name, what is read anew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from contract_births import ME, NOW, OTHER, made, put

from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.contracts import queries as contract_queries
from kerege.catalogue.errors import ContractUnknown, ContractVersionTaken
from kerege.catalogue.models import Dataset, LifecycleAction
from kerege.catalogue.packs import current_pack
from kerege.catalogue.search.items import contract_items
from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.contract import Contract

pytestmark = pytest.mark.django_db


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


def test_what_others_rely_on_is_not_changed_under_its_number(dataset: Dataset) -> None:
    contracts.add(made(), ME, NOW)
    contracts.add(made(name="Acts of birth"), ME, NOW)
    assert contracts.find("kg:birth").name == "Acts of birth", "a draft may change"
    put(made(name="Acts of birth"))
    with pytest.raises(ContractVersionTaken):
        contracts.add(made(name="Births again"), ME, NOW)
    contracts.add(made(name="Acts of birth"), ME, NOW)


def test_an_unknown_contract_names_the_known(dataset: Dataset) -> None:
    contracts.add(made(), ME, NOW)
    with pytest.raises(ContractUnknown, match="kg:birth"):
        contracts.find("kg:none")


def test_a_contract_that_changes_has_no_other_parsed_again(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        contracts.add(made(id=f"t:c{n}"), ME, NOW)
        contracts.add(made("1.1.0", id=f"t:c{n}"), ME, NOW + timedelta(days=1))
    list(contract_items(current_pack()))
    parsed: list[str] = []
    real = odcs.parse

    def told(document: Any, name: str) -> Contract:
        parsed.append(name)
        return real(document, name)

    monkeypatch.setattr(odcs, "parse", told)
    contracts.add(made("1.1.0", id="t:c1", name="Other"), ME, NOW + timedelta(days=2))
    found = {i.key: i.names for i in contract_items(current_pack())}
    assert [name for name in parsed if name.startswith("t:")] == ["t:c1 1.1.0"]
    assert [found[f"t:c{n}"][1] for n in range(3)] == ["Births", "Other", "Births"]
