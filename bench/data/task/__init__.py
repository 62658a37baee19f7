"""The peers' task: a made-up legacy register of persons, the same for every engine and peer (../shared/reference/datafirst.md, 3.1).

Twelve columns of text as an old register writes them: names in mixed case that have lost ё, ө, ү or ң, three formats of dates, PINs with dashes or
Twelve columns of text as an old register writes them: names in mixed case that have lost ё, ө, ү or ң, three formats of dates, PINs with dashes
Nobody in it exists. The same number of rows and seed give the same rows, whatever the machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HERE: Final = Path(__file__).parent
ROW_GROUP: Final = 100_000  # a Parquet file of one row group is read by one core
SEED: Final = 20261122
COLUMNS: Final = (
    *("id", "pin", "surname", "given", "birth_date", "sex", "marital", "citizenship", "district"),
    *("document", "address", "updated_at"),
)
FIELDS: Final = (
    *("id", "pin", "surname", "given_name", "patronymic", "name_key", "birth_date", "sex", "marital", "citizenship"),
    *("district", "document", "locality", "street", "house", "flat", "updated_at"),
)
UNMAPPED_SHARE: Final = 0.03

_SURNAMES: Final = [
    "Асанов",
    "Өмүрзаков",
    "Токтогулов",
    "Жээнбеков",
    "Бөрүбаев",
    "Сыдыков",
    "Үсөнбаев",
    "Кыдыралиев",
    "Мамбетов",
    "Эшимов",
    "Исаков",
    "Тургунбаев",
    "Чоңбаев",
    "Төлөгөнов",
    "Абдыкеримов",
    "Семёнов",
    "Иванов",
    "Ким",
    "Соловьёв",
    "Ахматов",
    "Шеңгелов",
    "Дүйшөев",
    "Орозбеков",
    "Нурматов",
    "Касымов",
    "Байтөрөев",
    "Жумабаев",
    "Алымкулов",
    "Раимбеков",
    "Петров",
]
_GIVEN: Final = [
    "Азамат",
    "Нурбек",
    "Бакыт",
    "Өмүрбек",
    "Үлан",
    "Чыңгыз",
    "Тилек",
    "Эрлан",
    "Семён",
    "Данияр",
    "Айгүл",
    "Гүлнара",
    "Жаңыл",
    "Айжан",
    "Бүбүсара",
    "Нургүл",
    "Чолпон",
    "Мээрим",
    "Алёна",
    "Фатима",
]
_FATHERS: Final = [
    "Бакытович",
    "Асанович",
    "Өмүрбекович",
    "Токтогулович",
    "Алексеевич",
    "Бакытовна",
    "Асановна",
    "Үсөновна",
    "Жаңыбековна",
    "Алёшевна",
    "Төлөнович",
    "Кубанычовна",
]
_TOWNS: Final = [
    "Бишкек",
    "Ош",
    "Жалал-Абад",
    "Кара-Суу",
    "Каракол",
    "Талас",
    "Нарын",
    "Баткен",
    "Өзгөн",
    "Токмок",
    "Кара Балта",
    "Көк-Жаңгак",
    "Беш-Күңгөй",
    "Чоң Алай",
]
_STREETS: Final = [
    "Токтогула",
    "Исанова",
    "Ленина",
    "Манаса",
    "Киевская",
    "Ахунбаева",
    "Жибек Жолу",
    "Московская",
    "Абдрахманова",
    "Чүй",
    "Раззакова",
    "Айтматова",
    "Фрунзе",
    "Боконбаева",
    "Өмүралиева",
    "Суюмбаева",
    "Горького",
    "Садырбаева",
    "Көк-Жар",
    "Ала-Тоо",
    "Байтик Баатыра",
    "Тыныстанова",
    "Юдахина",
    "Шабдан Баатыра",
]
_SEXES: Final = ("М", "Ж", "муж", "жен", "Э", "А")
_MARITAL: Final = ("Х", "Б", "Р", "В", "0")
CITIZENS: Final = (
    "КЫРГЫЗСТАН",
    "Кыргызстан",
    "Россия",
    "РОССИЯ",
    "Казахстан",
    "Өзбекстан",
    "Узбекистан",
    "Таджикистан",
)
_LOSSES: Final = str.maketrans("ёөүңЁӨҮҢ", "еоунЕОУН")


def _variants(words: list[str]) -> list[str]:
    """Every word in three cases, with its letters and without those the old typewriters lacked."""
    spoilt = [*words, *(w.translate(_LOSSES) for w in words)]
    return [*spoilt, *(w.upper() for w in spoilt), *(w.lower() for w in spoilt)]


class _Maker:
    def __init__(self, rows: int, seed: int) -> None:
        self.rows, self.random = rows, np.random.Generator(np.random.PCG64(seed))

    def pick(self, words: list[str] | tuple[str, ...], weights: list[float] | None = None) -> Any:
        if weights is None:
            at = self.random.integers(0, len(words), self.rows)
        else:
            at = np.searchsorted(np.cumsum(weights) / sum(weights), self.random.random(self.rows), side="right")
        return pa.array(words).take(pa.array(at))

    def share(self, part: float) -> Any:
        return pa.array(self.random.random(self.rows) < part)

    def number(self, low: int, high: int) -> Any:
        return pa.array(self.random.integers(low, high, self.rows))

    def style(self, *made: Any) -> Any:
        """One of the columns for each row."""
        return pc.choose(self.number(0, len(made)), *made)


def _join(*parts: Any, between: str = "") -> Any:
    return pc.binary_join_element_wise(*parts, between)


def _text(number: Any, width: int = 0) -> Any:
    made = pc.cast(number, pa.string())
    return pc.utf8_lpad(made, width, "0") if width else made


def make(rows: int, seed: int = SEED) -> pa.Table:
    """The register: `rows` rows, columns `COLUMNS`, all text."""
    m = _Maker(rows, seed)
    year, month, day = _text(m.number(1940, 2021), 4), _text(m.number(1, 13), 2), _text(m.number(1, 29), 2)
    born = m.style(
        *(
            _join(day, month, year, between="."),
            _join(year, month, day, between="-"),
            _join(day, month, year, between="/"),
        )
    )
    born = pc.if_else(m.share(0.004), "00.00.0000", born)
    sex_at = m.number(0, 2)
    serial = _text(m.number(0, 100_000), 5)
    head = _join(_text(pc.add(sex_at, 1)), day, month)
    pin = m.style(
        *(_join(head, year, serial), _join(head, year, serial, between="-"), _join(head, year, serial, between=" "))
    )
    pin = pc.if_else(m.share(0.005), _join(head, year), pin)
    given = _join(m.pick(_variants(_GIVEN)), m.pick(_variants(_FATHERS)), between=" ")
    given = pc.if_else(m.share(0.05), m.pick(_variants(_GIVEN)), given)
    number7 = _text(m.number(0, 10_000_000), 7)
    document = m.style(*(_join(s, number7) for s in ("AN", "АН ", "an-", "ID ", "№ ID")))
    marital = pc.if_else(m.share(UNMAPPED_SHARE), m.pick(("9", "гр")), m.pick(_MARITAL))
    areas = tuple(f"Р-{n:02}" for n in range(1, 61))
    district = pc.if_else(m.share(UNMAPPED_SHARE), m.pick(("Р-99", "Р-77")), m.pick(areas))
    stamp = _join(
        _join(_text(m.number(2005, 2026)), _text(m.number(1, 13), 2), _text(m.number(1, 29), 2), between="-"),
        _join(_text(m.number(0, 24), 2), _text(m.number(0, 60), 2), _text(m.number(0, 60), 2), between=":"),
        between=" ",
    )
    columns = [
        _join("R", _text(pa.array(np.arange(1, rows + 1)), 8)), pin, m.pick(_variants(_SURNAMES)), given, born,
        m.pick(_SEXES, [0.3, 0.3, 0.15, 0.15, 0.07, 0.03]), marital, m.pick(CITIZENS), district, document, _addresses(m), stamp,
    ]  # fmt: skip
    return pa.table(columns, names=list(COLUMNS))


def _addresses(m: _Maker) -> Any:
    """Four styles: Russian with every part marked, Russian in short, Kyrgyz with every part marked, Kyrgyz in short."""
    town, street = m.pick(_TOWNS), m.pick(_STREETS)
    house = _join(_text(m.number(1, 300)), m.pick(("", "", "", "", "а", "Б")))
    flat = _text(m.number(1, 120))
    whole = m.share(0.6)
    with_flat = (_join(", кв. ", flat), _join("-", flat), _join(", ", flat, "-батир"), _join(", ", flat, "-бат."))
    tails = [pc.if_else(whole, tail, "") for tail in with_flat]
    city, village = m.pick(("г. ", "гор. ", "Г.")), m.pick(("с. ", "с."))
    return m.style(
        _join(city, town, ", ул. ", street, ", д. ", house, tails[0]),
        _join(village, town, ", ул.", street, " ", house, tails[1]),
        _join(town, " ш., ", street, " көч., ", house, "-үй", tails[2]),
        _join(town, " айылы ", street, " көчөсү ", house, tails[3]),
    )


def write(path: Path, rows: int, seed: int = SEED) -> None:
    """The register as a Parquet file with row groups of at most `ROW_GROUP` rows."""
    pq.write_table(make(rows, seed), path, row_group_size=ROW_GROUP, compression="snappy")


def bench_pack() -> Any:
    """The mapping of the task with its crosswalks, as a pack that engines take."""
    from kerege.semantics.crosswalks.sssom import read_sssom
    from kerege.semantics.mappings.documents import read_mapping
    from kerege.semantics.normalise.gazetteer import Gazetteer
    from kerege.semantics.pack import Pack

    mapping = read_mapping(HERE / "mapping.yaml")
    walks = {walk.id: walk for walk in map(read_sssom, sorted((HERE / "crosswalks").glob("*.sssom.tsv")))}
    return Pack(HERE, {}, walks, {mapping.id: mapping}, Gazetteer([]))
