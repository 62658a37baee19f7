"""The country's list of compared fields."""

from __future__ import annotations

from pathlib import Path

import pytest

from kerege.reconcile.errors import FieldsInvalid
from kerege.reconcile.fields import load, of_country


def test_every_field_has_an_owner_and_three_titles() -> None:
    compared = of_country("kg")
    assert compared.fields["birth_date"].owner == "civil"
    assert compared.fields["locality"].owner == "population"
    assert all(len({s.titles.ky, s.titles.ru, s.titles.en}) >= 2 for s in compared.fields.values())


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "fields.yaml"
    file.write_text(
        "fields:\n  a: {key: k, owner: o, titles: {ky: x, ru: y}}\npairs:\n  - {left: l, right: r, fields: [b]}\n",
        "utf-8",
    )
    with pytest.raises(FieldsInvalid) as caught:
        load(file)
    assert "fields.a" in str(caught.value)
    assert "unknown: b" in str(caught.value)


@pytest.mark.parametrize("content", ["", "[1]", "fields: {}\n", "{"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "fields.yaml"
    file.write_text(content, "utf-8")
    with pytest.raises(FieldsInvalid, match="fields"):
        load(file)


def test_how_a_register_tells_time_names_known_fields_only(tmp_path: Path) -> None:
    file = tmp_path / "fields.yaml"
    head = "fields:\n  a: {key: k, owner: o, titles: {ky: x, ru: y, en: z}}\npairs:\n  - {left: l, right: r, fields: [a]}\n"
    file.write_text(head + "registers: {o: {as_of: day, since: {a: began}}}\n", "utf-8")
    found = load(file)
    assert (found.as_of_field("o"), found.since_field("o", "a"), found.since_field("l", "a")) == ("day", "began", None)
    file.write_text(head + "registers: {o: {since: {b: began}}}\n", "utf-8")
    with pytest.raises(FieldsInvalid, match=r"registers\.o"):
        load(file)
