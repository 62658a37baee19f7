"""The encoding of a text that is not UTF-8: told by its letters, in capitals too."""

from __future__ import annotations

import pytest

from kerege.catalogue.sources.encodings import likely_encoding

WORDS = (
    "АСАНОВ БАКЫТ", "УСУБАЛИЕВА АЙЖАН", "БИШКЕК ШААРЫ", "ЫСЫК-КОЛ ОБЛУСУ", "КАРАКОЛ", "ОШСКАЯ ОБЛАСТЬ", "ФАМИЛИЯ;ИМЯ;ОТЧЕСТВО",
    "ЖАЛАЛ-АБАД", "СВИДЕТЕЛЬСТВО О РОЖДЕНИИ", "МУЖСКОЙ", "ДЖУМАБЕКОВ", "ТОКТОГУЛ", "ЭРКЕК;АЯЛ", "ШКОЛА № 5", "ЧУЙ ОБЛУСУ",
)  # fmt: skip


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "cp866"])
def test_words_are_told_by_how_frequent_their_letters_are_whatever_their_case(encoding: str) -> None:
    told = [
        likely_encoding(f"701;{written};x".encode(encoding, errors="ignore"))
        for word in WORDS
        for written in (word, word.lower(), word.title())
    ]
    assert all(encoding in names for names in told), "it is the only one offered, or one of two"
    assert sum(names == encoding for names in told) >= 0.9 * len(told)


def test_two_encodings_that_are_nearly_as_likely_are_both_offered() -> None:
    assert likely_encoding("ОЛ".encode("cp1251")) == "cp1251 or --encoding koi8-r"
    assert likely_encoding("МУЖСКОЙ".encode("koi8-r")) == "koi8-r or --encoding cp1251"


def test_letters_inside_latin_words_are_no_cyrillic() -> None:
    assert likely_encoding("Müller;Zürich".encode("latin-1")) == "latin-1"
