import pytest

from kerege.demo.world.model import PersonName
from kerege.demo.world.naming import load_stems, patronymic, surname


def name(root="Асан", style="ov", father="Бакыт", patronymic_style="ovich"):
    return PersonName(root, style, "Нурлан", father, patronymic_style)


@pytest.mark.parametrize(
    ("root", "man", "woman"),
    [("Асан", "Асанов", "Асанова"), ("Төлөбай", "Төлөбаев", "Төлөбаева"), ("Муса", "Мусаев", "Мусаева"), ("Кеңеш", "Кеңешев", "Кеңешева")],
)  # fmt: skip
def test_a_surname_is_declined_by_its_last_letter_and_the_sex(root, man, woman):
    assert (surname(name(root), "M"), surname(name(root), "F")) == (man, woman)


def test_a_patronymic_has_a_russian_and_a_kyrgyz_style():
    assert patronymic(name(), "M") == "Бакытович"
    assert patronymic(name(), "F") == "Бакытовна"
    assert patronymic(name(patronymic_style="uulu"), "M") == "Бакыт уулу"
    assert patronymic(name(), "F", "uulu") == "Бакыт кызы"
    assert patronymic(name(father="Бекбай"), "M") == "Бекбаевич"


def test_who_is_named_after_the_father_alone_has_no_patronymic_besides():
    own = name(root="Бакыт", style="uulu")
    assert (surname(own, "M"), surname(own, "F"), patronymic(own, "M")) == ("Бакыт уулу", "Бакыт кызы", "")


def test_the_stems_are_many_have_no_doubles_and_kyrgyz_letters():
    stems = load_stems()
    for names in (stems.male, stems.female, stems.surnames, stems.streets):
        assert len(names) == len(set(names)) >= 40
        assert sum(bool(set(n.lower()) & set("ңөү")) for n in names) >= 8
    assert all(len(set(pair)) == 2 for pairs in stems.twins.values() for pair in pairs)
