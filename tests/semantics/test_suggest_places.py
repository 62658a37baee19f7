from kerege.semantics.normalise.gazetteer import Gazetteer, Place
from kerege.semantics.suggest.codes import CodeRow
from kerege.semantics.suggest.places import suggest_places

PLACES = Gazetteer(
    [
        Place("01", "region", "Нарынская область", None),
        Place("02", "region", "Баткенская область", None),
        Place("0101", "district", "Ат-Башынский район", "01"),
        Place("0102", "district", "г. Нарын", "01"),
        Place("0103", "district", "Нарынский район", "01"),
        Place("0201", "district", "Баткенский район", "02"),
        Place("010101", "village", "Ак-Жар", "0101"),
        Place("010102", "village", "Достук", "0101"),
        Place("010301", "village", "Достук", "0103"),
        Place("020101", "village", "Жаны-Жер", "0201"),
        Place("020102", "village", "Джаны-Джер", "0201"),
    ]
)


def decided(rows):
    return {
        s.source_code: (s.decision, s.best if s.decision == "accept" else None) for s in suggest_places(rows, PLACES)
    }


def test_names_that_repeat_are_told_apart_by_their_parents():
    found = decided(
        [
            CodeRow("A", "Narynskaia oblast"),
            CodeRow("A1", "At-Bashyn rayonu", "A"),
            CodeRow("A2", "Naryn raionu", "A"),
            CodeRow("A1x", "Dostuk", "A1"),
            CodeRow("A2x", "Dostuk", "A2"),
        ]
    )
    assert found["A1x"] == ("accept", "010102")
    assert found["A2x"] == ("accept", "010301")


def test_a_city_is_not_the_district_around_it():
    found = decided(
        [CodeRow("A", "Naryn oblusu"), CodeRow("A1", "g. Naryn", "A"), CodeRow("A2", "Narynskiy rayon", "A")]
    )
    assert found["A1"] == ("accept", "0102")
    assert found["A2"] == ("accept", "0103")


def test_two_villages_of_one_sound_under_one_parent_stay_open():
    found = decided(
        [CodeRow("B", "Batken oblast"), CodeRow("B1", "Batkenskiy rayon", "B"), CodeRow("B1x", "Jany-Jer", "B1")]
    )
    assert found["B1x"] == ("unsure", None)


def test_what_lies_below_an_open_parent_stays_open():
    found = decided([CodeRow("Z", "Atlantis"), CodeRow("Z1", "At-Bashyn rayonu", "Z")])
    assert found == {"Z": ("none", None), "Z1": ("none", None)}


def test_the_last_two_left_over_are_not_matched_by_elimination():
    found = decided(
        [
            CodeRow("A", "Naryn oblusu"),
            CodeRow("A1", "At-Bashyn rayonu", "A"),
            CodeRow("A1x", "Dostuk", "A1"),
            CodeRow("A1y", "Tash-Rabat", "A1"),
        ]
    )
    assert found["A1x"][0] == "accept"
    assert found["A1y"] == ("none", None)


def test_a_tree_that_turns_in_a_circle_ends():
    assert decided([CodeRow("A", "Naryn oblusu", "B"), CodeRow("B", "Batken oblast", "A")]) == {
        "A": ("none", None),
        "B": ("none", None),
    }


def test_a_unit_named_twice_as_its_own_only_child_is_offered_its_parents_and_never_accepted():
    city = Gazetteer([Place("03", "region", "г. Ош", None), Place("0301", "district", "Токойский район", "03")])
    whole, child = suggest_places([CodeRow("O", "g. Osh"), CodeRow("O1", "Osh shaary", "O")], city)
    assert (whole.decision, whole.best) == ("accept", "03")
    assert (child.decision, child.reason, child.candidates[0].code) == ("unsure", "same-as-parent", "03")
