"""A harvest plan and a column's profile are told in the page's language: every sentence that the catalogue writes is known."""

import re

import pytest
from django.utils import translation

from kerege.catalogue.inventory import plans
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.inventory.plans import Change
from kerege.web import plan_words

HEADER = "pin,born,sex,region,note\n"
LATIN = re.compile(r"[a-z]{4,}")


def harvested(folder, rows, header=HEADER):
    path = folder / "clinic.csv"
    path.write_text(header + "".join(rows), encoding="utf-8")
    return harvest_source(str(path), Options(share=("sex", "region"))).tables


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What plans say of a register that was new, then changed in many ways, then lost a table."""
    folder = tmp_path_factory.mktemp("plans")
    first = [f"1{n % 28 + 1:02}0{n % 9 + 1}2019{n:05},{n % 28 + 1:02}.0{n % 9 + 1}.2019,{'МЖ'[n % 2]},{n % 3},а{n}\n" for n in range(90)]  # fmt: skip
    before = harvested(folder, first)
    second = [f"{n},2019-0{n % 9 + 1}-{n % 28 + 1:02},{'МX'[n % 2]},{n % 3 + 5},\n" for n in range(40)]
    after = harvested(folder, second, header="pin,born,sex,region,other\n")
    third = harvested(folder, second, header="pin,born,sex,region,note\n")
    out = []
    for old, new in (((), before), (before, after), (before, third), (before, ())):
        out += plans.diff("clinic.csv", old, new)
    return out


def test_no_sentence_of_a_plan_is_left_in_english(written):
    kinds = {change.kind for change in written}
    assert {"table-new", "table-vanished", "column-new", "column-vanished", "codes-new", "codes-gone", "rows-changed",
            "type-changed", "emptied"} <= kinds  # fmt: skip
    for change in written:
        told = []
        for language in ("ky", "ru"):
            with translation.override(language):
                told.append(plan_words.change(change.kind, change.reason))
        assert all(told), change
        assert not any(LATIN.search(one.replace("yyyy", "")) for one in told), (change, told)
        with translation.override("en"):
            assert plan_words.change(change.kind, change.reason) == change.reason


@pytest.mark.parametrize(
    ("change", "russian"),
    [
        (Change("~", "codes-gone", "t", "c", "12 codes no longer seen: А, Б and 4 more"), "Больше не встречаются коды (12): А, Б … (+4)"),
        (Change("~", "type-changed", "t", "c", "integer -> text"), "целое число → текст"),
        (Change("~", "identifier-changed", "t", "c", "none -> pin"), "нет → персональный номер"),
        (Change("~", "rows-changed", "t", "", "rows 90 -> 40: more than half are gone, look before applying"),
         "строк: 90 → 40; исчезло больше половины, посмотрите до применения"),
        (Change("+", "column-new", "t", "c", "date 99.99.9999, 7 % empty, looks like a code list of 3, likely personal data"),
         "дата 99.99.9999, пусто: 7 %, похоже на справочник, кодов: 3, вероятно, персональные данные"),
        (Change("~", "personal-changed", "t", "c", "not likely personal any more"), "больше не похоже на персональные данные"),
        (Change("~", "key-changed", "t", "", "key was none, is pin, sex"), "нет → pin, sex"),
        (Change("~", "never-heard-of", "t", "c", "something new in English"), ""),
    ],
)  # fmt: skip
def test_a_reason_keeps_its_figures_and_codes(change, russian):
    with translation.override("ru"):
        assert plan_words.change(change.kind, change.reason) == russian
