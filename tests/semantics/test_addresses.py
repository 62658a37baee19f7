"""Addresses: three languages, both orders, one key."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kerege.semantics.normalise import addresses

from .support import full_pack, top_gazetteer

TOKTOGUL_125_14 = [
    "г. Бишкек, ул. Токтогула, д. 125, кв. 14",
    "г.Бишкек ул.Токтогула д.125 кв.14",
    "ГОРОД БИШКЕК, УЛИЦА ТОКТОГУЛА, ДОМ 125, КВАРТИРА 14",
    "Бишкек ш., Токтогул көч. 125-14",
    "Бишкек шаары, Токтогул көчөсү, 125-үй, 14-батир",
    "Bishkek shaary, Toktogul köchösü, 125-üy, 14-batir",
    "Bishkek shaary, Toktogul kochosu, 125-ui, 14-batir",
    "Toktogul st. 125 apt 14, Bishkek",
    "125 Toktogul Street, apt. 14, Bishkek city",
    "g. Bishkek, ul. Toktogula, d. 125, kv. 14",
    "Бишкек, Токтогула 125-14",
    "Бишкек, Токтогула 125, кв14",
]


@pytest.mark.parametrize("text", TOKTOGUL_125_14)
def test_one_address_in_any_writing_is_one_address(text: str) -> None:
    found = addresses.parse(text, top_gazetteer())
    assert (found.street_key, found.house, found.flat, found.soate) == ("toktogul", "125", "14", "41711000000000")


@pytest.mark.parametrize(
    ("ru", "ky", "latin"),
    [
        ("ул. Токтогула", "Токтогул көчөсү", "Toktogul st."),
        ("ул. Абая", "Абай көч.", "Abai street"),
        ("ул. Горького", "Горький көчөсү", "Gorky st."),
        ("ул. Манаса", "Манас көчөсү", "Manas st"),
        ("просп. Чуй", "Чүй проспектиси", "Chuy ave"),
        ("ул. Киевская", "Киев көчөсү", "Kiev st."),
        ("ул. Чокморова", "Чокморов көч.", "Chokmorov street"),
        ("ул. 7 апреля", "7 апрель көчөсү", "7 aprel st"),
        ("ул. Жибек-Жолу", "Жибек Жолу көчөсү", "Jibek Jolu st."),
        ("ул. Ч. Айтматова", "Айтматов көч.", "Aitmatov st."),
    ],
)
def test_a_street_has_one_key_in_three_languages(ru: str, ky: str, latin: str) -> None:
    keys = {text: addresses.parse(f"{text}, 5").street_key for text in (ru, ky, latin)}
    assert len(set(keys.values())) == 1, keys


def test_a_lane_or_a_block_is_not_the_street_of_its_name() -> None:
    keys = {addresses.parse(t).street_key for t in ("ул. Асанбай 5", "пер. Асанбай 5", "мкр. Асанбай, д. 5")}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("text", "house", "flat"),
    [
        ("ул. Абая, 12 А", "12a", None),
        ("Абай көч. 12-а", "12a", None),
        ("Abai st. 12a", "12a", None),
        ("ул. Горького 1/2", "1/2", None),
        ("ул. Советская 5 корп 2", "5/2", None),
        ("Кунгой 20А-21", "20a", "21"),
        ("ул. Абая д. 012", "12", None),
        ("Лебединовка, 12-5", "12", "5"),
        ("7 мкр, д. 3, кв. 40", "3", "40"),
    ],
)
def test_house_and_flat_have_one_form(text: str, house: str, flat: str | None) -> None:
    found = addresses.parse(text)
    assert (found.house, found.flat) == (house, flat)


def test_the_house_number_is_the_leading_number() -> None:
    assert addresses.parse("ул. Абая, 12а").house_number == 12
    assert addresses.parse("ул. Абая").house_number is None


def test_places_are_told_apart_by_their_markers() -> None:
    found = addresses.parse("Чуйская обл., Аламудунский р-н, с. Лебединовка, ул. Ленина, 12")
    assert (found.region, found.district, found.settlement, found.settlement_kind) == (
        "Чуйская",
        "Аламудунский",
        "Лебединовка",
        "village",
    )
    assert not found.rest


def test_a_village_is_found_in_its_district_and_not_where_there_are_several() -> None:
    pack = full_pack()
    if pack is None:
        pytest.skip("not there: ../shared/data/kg/soate.csv")
    for text in (
        "Чуйская обл., Аламудунский р-н, с. Лебединовка, ул. Ленина, 12",
        "Чүй облусу, Аламүдүн району, Лебединовка айылы, Ленин көчөсү, 12-үй",
        "Chüy oblusu, Alamüdün raionu, Lebedinovka aiyly, Lenin köchösü, 12-üy",
        "Лебединовка, Ленина 12",
    ):
        assert addresses.parse(text, pack.gazetteer).soate == "41708203831010", text
    assert addresses.parse("с. Ак-Суу, ул. Манаса 15", pack.gazetteer).soate is None


def test_an_unknown_village_does_not_become_its_district() -> None:
    found = addresses.parse("Чуйская обл., Аламудунский р-н, с. Нетакого, ул. Ленина, 12", top_gazetteer())
    assert found.soate is None


def test_a_city_is_meant_before_the_region_of_its_name() -> None:
    assert addresses.parse("Талас, Манас 5", top_gazetteer()).soate == "41707400000010"
    assert addresses.parse("Бишкек, Ленинский, Ахунбаев 3-4", top_gazetteer()).soate == "41711201000000"


@given(st.text(max_size=80))
@example("\xad")
def test_any_text_can_be_taken_apart(text: str) -> None:
    found = addresses.parse(text)
    assert found == addresses.parse(text)
    assert found.street_key is None or found.street_key
    assert found.house is None or found.house == addresses.house_form(found.house)


STREETS = st.sampled_from(["Токтогул", "Манас", "Ахунбаев", "Ысык-Көл", "Ала-Тоо", "Жибек-Жолу", "Байтик"])


@given(STREETS, st.integers(1, 400), st.one_of(st.none(), st.integers(1, 200)))
def test_writing_an_address_and_reading_it_gives_it_back(street: str, house: int, flat: int | None) -> None:
    official = f"г. Бишкек, ул. {street}, д. {house}" + (f", кв. {flat}" if flat else "")
    kyrgyz = f"Бишкек ш., {street} көчөсү, {house}-үй" + (f", {flat}-батир" if flat else "")
    short = f"Бишкек, {street} {house}" + (f"-{flat}" if flat else "")
    read = [addresses.parse(text) for text in (official, kyrgyz, short)]
    assert {(a.street_key, a.house, a.flat) for a in read} == {
        (addresses.street_key(street), str(house), str(flat) if flat else None)
    }
