"""Codes are accepted only where nothing speaks against it; everything else stays a question."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.semantics.suggest import codes as engine
from kerege.semantics.suggest.codes import CodeRow, Suggestion, only_accepted, reopened, suggest_codes
from kerege.semantics.suggest.text import fold, read_label


def rows(*labels: str) -> list[CodeRow]:
    return [CodeRow(f"c{i}", label) for i, label in enumerate(labels)]


def one(label: str, *targets: str) -> Suggestion:
    return suggest_codes([CodeRow("s", label)], rows(*targets))[0]


def test_one_name_in_three_scripts_and_habits_folds_to_one_key() -> None:
    assert fold("Жайылский") == fold("Jayylskiy") == fold("Zhaiylskii")
    assert read_label("с. Ак-Суу").key == read_label("Ak-Suu").key == read_label("Аксу").key


def test_the_same_name_in_another_script_is_accepted() -> None:
    found = one("Jayyl district", "Московский район", "Жайылский район", "с. Жайыл")
    assert (found.best, found.decision, found.reason) == ("c1", "accept", "same-name")


def test_a_word_that_has_no_partner_stops_the_acceptance_however_alike_the_rest_is() -> None:
    found = one("North Ayrshire", "South Ayrshire", "East Lothian")
    assert found.best == "c0"
    assert (found.decision, found.reason) == ("unsure", "word-unexplained")


def test_a_name_inside_a_longer_name_is_not_that_name() -> None:
    assert one("Suffolk", "West Suffolk").decision == "unsure"
    assert one("Moscow region north", "Moscow").decision != "accept"


def test_a_misspelling_is_accepted_when_no_list_knows_the_misspelt_word() -> None:
    found = one("Stafordshire Moorlands", "Staffordshire Moorlands", "Derbyshire Dales")
    assert (found.decision, found.best) == ("accept", "c0")


def test_two_words_that_both_exist_are_never_spellings_of_each_other() -> None:
    source = [CodeRow("a", "Dutton"), CodeRow("b", "Sutton")]
    found = suggest_codes(source, [CodeRow("t", "Sutton")])
    assert only_accepted(found) == {"b": "t"}


def test_two_equal_candidates_are_never_settled_by_chance() -> None:
    found = one("Ак-Суу", "Ак-Суу", "Ак-Суу")
    assert (found.decision, found.reason) == ("unsure", "too-close-to-call")


def test_the_kind_of_place_settles_a_tie_and_a_contradicting_kind_stops_the_acceptance() -> None:
    assert one("Нарын шаары", "Нарынский район", "г. Нарын").best == "c1"
    against = one("Ош облусу", "г. Ош")
    assert (against.decision, against.reason) == ("unsure", "kind-differs")


def test_a_village_is_looked_for_inside_its_settled_district() -> None:
    source = [CodeRow("D1", "Jayyl district"), CodeRow("D2", "Moskva rayonu"), CodeRow("V", "Ak-Suu", parent="D1")]
    target = [
        CodeRow("1", "Жайылский район"),
        CodeRow("2", "Сокулукский район"),
        CodeRow("11", "с. Ак-Суу", parent="1"),
        CodeRow("21", "с. Ак-Суу", parent="2"),
    ]
    found = {s.source_code: s for s in suggest_codes(source, target)}
    assert (found["V"].best, found["V"].decision) == ("11", "accept")
    assert found["D2"].decision != "accept"


def test_a_place_known_to_lie_in_another_district_is_not_accepted() -> None:
    source = [CodeRow("D", "Жайыл району"), CodeRow("V", "Көк-Жар", parent="D")]
    target = [
        CodeRow("1", "Жайылский район"), CodeRow("2", "Сокулукский район"), CodeRow("21", "Кок-Жар", parent="2"),
    ]  # fmt: skip
    found = suggest_codes(source, target)[1]
    assert (found.decision, found.reason) == ("unsure", "outside-parent")


def test_trees_with_equally_many_levels_are_matched_level_by_level() -> None:
    source = [CodeRow("D", "Кемин району"), CodeRow("A", "Чым-Коргон айыл аймагы", parent="D")]
    target = [
        CodeRow("1", "Кеминский район"),
        CodeRow("11", "Чым-Коргонский айылный аймак", parent="1"),
        CodeRow("9", "Чым-Коргон"),
    ]
    assert only_accepted(suggest_codes(source, target)) == {"D": "1", "A": "11"}


def test_three_agreeing_children_speak_for_a_parent_whose_name_does_not() -> None:
    villages = ("Беловодское", "Петровка", "Садовое")
    source = [CodeRow("D", "Moskva rayonu"), *(CodeRow(f"v{i}", v, parent="D") for i, v in enumerate(villages))]
    target = [CodeRow("1", "Московский район"), *(CodeRow(f"1{i}", v, parent="1") for i, v in enumerate(villages))]
    parent = suggest_codes(source, target)[0]
    assert (parent.best, parent.decision, parent.reason) == ("1", "accept", "children-agree")


def test_a_child_of_an_unsettled_root_stays_open_even_when_its_name_is_alone_in_the_country() -> None:
    source = [CodeRow("D", "Unknown land"), CodeRow("V", "Беловодское", parent="D")]
    target = [CodeRow("1", "Московский район"), CodeRow("11", "Беловодское", parent="1")]
    assert suggest_codes(source, target)[1].reason == "parent-open"


def test_a_tree_with_a_loop_neither_hangs_nor_crashes() -> None:
    source = [CodeRow("a", "Alpha", parent="b"), CodeRow("b", "Beta", parent="a")]
    assert len(suggest_codes(source, rows("Alpha", "Beta"))) == 2


def test_empty_lists_and_empty_labels_give_no_suggestion() -> None:
    assert suggest_codes([], rows("Alpha")) == []
    assert one("", "Alpha").decision == "none"
    assert suggest_codes(rows("Alpha"), [])[0].decision == "none"


def test_numbers_are_never_taken_for_misspelt_numbers() -> None:
    assert one("School 12", "School 13").decision == "unsure"


def test_a_label_in_the_second_language_of_the_target_counts() -> None:
    target = [CodeRow("t", "Isle of Anglesey", also=("Sir Ynys Môn",)), CodeRow("u", "Gwynedd")]
    assert only_accepted(suggest_codes([CodeRow("s", "Ynys Môn")], target)) == {"s": "t"}


def test_a_reopened_suggestion_keeps_its_candidates() -> None:
    found = one("Alpha", "Alpha")
    again = reopened(found, "steward-doubts")
    assert (again.decision, again.reason, again.candidates) == ("unsure", "steward-doubts", found.candidates)


names = st.lists(
    st.text("абвгдежкмнопрстуыө", min_size=4, max_size=9),
    min_size=1,
    max_size=12,
    unique_by=lambda n: read_label(n).key,
)


@settings(max_examples=40, deadline=None)
@given(names, st.randoms(use_true_random=False))
def test_a_list_matched_with_itself_in_any_order_is_never_matched_wrong(labels: list[str], dice: object) -> None:
    source = [CodeRow(f"s{i}", label) for i, label in enumerate(labels)]
    target = [CodeRow(f"t{i}", label) for i, label in enumerate(labels)]
    dice.shuffle(target)  # type: ignore[attr-defined]
    for s in suggest_codes(source, target):
        assert s.decision == "accept"
        assert s.best == "t" + s.source_code[1:]


@settings(max_examples=40, deadline=None)
@given(names, st.integers(0, 11))
def test_a_code_whose_counterpart_is_missing_is_never_given_to_another_name(labels: list[str], gone: int) -> None:
    gone %= len(labels)
    target = [CodeRow(f"t{i}", label) for i, label in enumerate(labels) if i != gone]
    source = [CodeRow(f"s{i}", label) for i, label in enumerate(labels)]
    for s in suggest_codes(source, target):
        if s.source_code != f"s{gone}" and s.decision == "accept":
            assert s.best == "t" + s.source_code[1:]
    lost = suggest_codes(source, target)[gone]
    # what is accepted for the lost one can only be a spelling that differs in one letter or so, never an equal name
    assert lost.reason != "same-name"


def test_the_same_input_gives_the_same_answer() -> None:
    source, target = rows("Alpha beta", "Gamma", "Delta"), rows("Gama", "Alfa beta", "Delta")
    assert suggest_codes(source, target) == suggest_codes(source, target)


def test_where_a_code_belongs_is_found_without_a_walk_over_the_whole_list() -> None:
    rows = [
        CodeRow("r", "Region"),
        CodeRow("d", "District", "r"),
        CodeRow("v", "Village", "d"),
        CodeRow("lost", "Lost", "nowhere"),
    ]
    left = engine._prepare(rows)
    left.entries.clear()  # what it asks was made once for the list
    homes = [engine._settled_home(row, left, {"r": "R"}) for row in rows]
    assert homes == [None, "R", "R", None]
    round_about = engine._prepare([CodeRow("a", "A", "b"), CodeRow("b", "B", "a")])
    assert engine._settled_home(CodeRow("a", "A", "b"), round_about, {}) is None
