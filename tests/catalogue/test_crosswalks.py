"""A crosswalk is what people stand behind: suggested, accepted, refused, kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kerege.catalogue import errors
from kerege.catalogue.codes import crosswalks
from kerege.catalogue.sources import open_source
from kerege.catalogue.sources.base import pick
from kerege.semantics.crosswalks.sssom import Crosswalk, Row
from kerege.semantics.suggest.codes import CodeRow, suggest_codes

WriteCsv = Callable[..., Path]


def made() -> Crosswalk:
    source = [CodeRow("K1", "Naryn"), CodeRow("K2", "Ak-Suu"), CodeRow("K3", "Zzzz")]
    target = [CodeRow("1", "Нарын"), CodeRow("2", "Ак-Суу"), CodeRow("3", "Ак-Суу")]
    return crosswalks.crosswalk_from("areas", source, target, suggest_codes(source, target))


def test_accepted_suggestions_translate_and_open_ones_do_not() -> None:
    walk = made()
    assert walk.table == {"K1": "1"}
    assert {code: [r.object for r in rows] for code, rows in crosswalks.open_codes(walk).items()} == {
        "K2": ["2", "3"],
        "K3": [None],
    }


def test_a_decision_settles_a_code_and_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "areas.sssom.tsv"
    crosswalks.write(made(), path)
    crosswalks.write(crosswalks.accept(crosswalks.read(path), "K2", "3", "Statistics unit"), path, replace_file=True)
    crosswalks.write(crosswalks.refuse(crosswalks.read(path), "K3", None, "Statistics unit"), path, replace_file=True)
    walk = crosswalks.read(path)
    assert walk.table == {"K1": "1", "K2": "3"}
    assert crosswalks.open_codes(walk) == {}
    assert next(r for r in walk.rows if r.subject == "K2").reviewer == "Statistics unit"


def test_a_refused_candidate_is_not_asked_again_and_an_accepted_code_can_be_refused() -> None:
    walk = crosswalks.refuse(made(), "K2", "2", "unit")
    assert [r.object for r in crosswalks.open_codes(walk)["K2"]] == ["3"]
    walk = crosswalks.refuse(made(), "K1", "1", "unit")
    assert "K1" not in walk.table
    assert "K1" in crosswalks.open_codes(walk)


def test_who_finds_a_code_for_what_had_none_takes_away_what_said_so() -> None:
    walk = crosswalks.accept(
        Crosswalk("w", (Row("", "1"), Row("", "2"), Row("b", None))), "a", "1", "unit", new_code=True
    )
    walk.require_single()
    assert (walk.table, [r.object for r in walk.rows if not r.subject]) == ({"a": "1"}, ["2"])


def test_a_crosswalk_is_not_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "areas.sssom.tsv"
    path.write_text("somebody's work")
    with pytest.raises(errors.OutputExists):
        crosswalks.write(made(), path)
    assert path.read_text() == "somebody's work"
    assert [p.name for p in tmp_path.iterdir()] == ["areas.sssom.tsv"]


def test_a_broken_crosswalk_file_names_its_row(tmp_path: Path) -> None:
    path = tmp_path / "broken.sssom.tsv"
    path.write_text("subject_id\tpredicate_id\tobject_id\ns:1\tskos:exactMatch\t\n")
    with pytest.raises(errors.CrosswalkBroken) as error:
        crosswalks.read(path)
    assert error.value.params["row"] == 2
    with pytest.raises(errors.CrosswalkBroken, match="no such file"):
        crosswalks.read(tmp_path / "none.tsv")


def test_codes_are_taken_from_a_list_or_from_a_register_where_they_repeat(write_csv: WriteCsv) -> None:
    path = write_csv("r.csv", ["code", "label"], [["1", "Ош"], ["2", "Чуй"], ["1", "Ош"], ["", "?"]])
    table = pick(open_source(str(path)))
    assert [r.code for r in crosswalks.code_rows("r.csv", table, "code", label="label")] == ["1", "2"]


def test_a_code_with_two_labels_names_both_rows_unless_they_are_two_languages(write_csv: WriteCsv) -> None:
    path = write_csv("r.csv", ["code", "label"], [["1", "Swansea"], ["1", "Abertawe"]])
    table = pick(open_source(str(path)))
    with pytest.raises(errors.CodeTwice) as error:
        crosswalks.code_rows("r.csv", table, "code", label="label")
    assert (error.value.params["row"], error.value.params["first"]) == (3, 2)
    merged = crosswalks.code_rows("r.csv", table, "code", label="label", merge_labels=True)
    assert merged == [CodeRow("1", "Swansea", also=("Abertawe",))]


def test_a_list_without_codes_and_a_column_that_vanished_are_told(write_csv: WriteCsv) -> None:
    table = pick(open_source(str(write_csv("r.csv", ["code"], [["  "]]))))
    with pytest.raises(errors.TableEmpty):
        crosswalks.code_rows("r.csv", table, "code")
    with pytest.raises(errors.ColumnVanished, match="Columns now: code"):
        crosswalks.code_rows("r.csv", table, "kod")
