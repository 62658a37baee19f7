"""What several tests of the semantics room need: the country pack, a small made-up pack, dirty cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from kerege.semantics import CodeList, Concept, Crosswalk, Pack, Policy, load_pack
from kerege.semantics.crosswalks.sssom import Condition, Row
from kerege.semantics.errors import CodeListUnknown, CrosswalkUnknown
from kerege.semantics.normalise.folding import WHITESPACE
from kerege.semantics.normalise.gazetteer import Gazetteer, read_places

PROJECT = Path(__file__).resolve().parents[2]
COUNTRY = PROJECT / "src" / "kerege" / "country" / "kg"
SHARED = PROJECT.parent / "shared"


@cache
def country_pack() -> Pack:
    """The pack as it ships: top levels of the area tree only."""
    return load_pack(COUNTRY)


@cache
def full_pack() -> Pack | None:
    """The pack with the full area tree, or None where the shared data is not there."""
    folder = SHARED / "data" / "kg"
    return load_pack(COUNTRY, data_dir=folder) if (folder / "soate.csv").is_file() else None


@cache
def top_gazetteer() -> Gazetteer:
    return Gazetteer(sorted(read_places(COUNTRY / "soate-top.csv"), key=lambda p: p.level != "region"))


def _crosswalk(name: str, policy: str, match: str = "exact") -> Crosswalk:
    rows = (Row("М", "1"), Row("Ж", "2"), Row("Чуй облусу", "3"), Row("два", "4"), Row("два", "5"), Row("пусто", None))
    return Crosswalk(name, rows, policy=Policy.parse(policy), match=match)  # type: ignore[arg-type]


@dataclass
class SmallPack:
    """Made-up lists with every policy and both ways of matching."""

    codelists: dict[str, CodeList] = field(default_factory=dict)
    crosswalks: dict[str, Crosswalk] = field(default_factory=dict)

    def codelist(self, list_id: str) -> CodeList:
        if list_id not in self.codelists:
            raise CodeListUnknown(id=list_id, known="")
        return self.codelists[list_id]

    def crosswalk(self, crosswalk_id: str) -> Crosswalk:
        if crosswalk_id not in self.crosswalks:
            raise CrosswalkUnknown(id=crosswalk_id, known="")
        return self.crosswalks[crosswalk_id]

    @property
    def gazetteer(self) -> Gazetteer:
        return top_gazetteer()


POLICIES = ("reject", "quarantine", "pass-and-flag", "null-and-flag", "default 9")


def small_pack() -> SmallPack:
    grades = CodeList(
        "t:list",
        (
            Concept("1", {"ky": "биринчи", "ru": "Первый", "en": "first"}),
            Concept("2", {"ru": "второй"}, (("", "Вторая"),), broader="1"),
            Concept("Ж", {"en": "the same"}),
            Concept("07", {"en": "The  same"}),
        ),
    )
    walks = [_crosswalk(f"t:{p.split()[0]}-{m}", p, m) for p in POLICIES for m in ("exact", "folded")]
    dated = (
        Row("М", "old", valid_to=date(2019, 12, 31)),
        Row("М", "new", valid_from=date(2020, 1, 1)),
        Row("Ж", "any"),
        Row("Ж", "of Чуй", conditions=(Condition("b", ("Чуй облусу",)),)),
        Row(
            "07",
            "then",
            valid_from=date(2019, 1, 1),
            valid_to=date(2019, 12, 31),
            conditions=(Condition("b", ("1", "2")),),
        ),
        Row("2", "wide"),
        Row("2", "narrow", valid_from=date(2019, 1, 1), conditions=(Condition("b", ("1", "2")),)),
    )
    walks += [Crosswalk(f"t:dated-{m}", dated, policy=Policy.parse("default 9"), match=m) for m in ("exact", "folded")]
    return SmallPack({grades.id: grades}, {walk.id: walk for walk in walks})


_CHARACTERS = st.characters(exclude_categories=("Cs",))
_KNOWN = """М|Ж|1|2|07|007|два|пусто|Чуй  ОБЛУСУ|чүй облусу|Первый|second|THE SAME|вторая
2019-02-29|2020-02-29|31.12.2019|1.2.2020|01/02/2020|20200101|29022020|2020-01-01T10:00:00Z
20101201500001|2 0101 2015 00001|1-31021990-12345|30101201500001|+996 555 123 456|0555123456
Асанов Азамат Бакытович|АЗАМАТ БАКЫТ УУЛУ|Aigerim Bakyt kyzy|Сары-Бай уулу|Өмүрзакова Айгүл
г. Бишкек, ул. Токтогула, д. 125, кв. 14|Бишкек ш., Токтогул көч. 125-14|Toktogul st. 125 apt 14, Bishkek
Чуйская обл.|Ош|41711000000000|41700000000021|ab-12/3|АВ 123|1 234 567|000|'); DROP TABLE x; --
й|и\u0306|Ё|е\u0308|İi|ß|ﬁ|Ǆ|ſ|Ω|𝐀𐐀|👩\u200d👩\u200d👧|e\u0301\u0323|\u00adшы\u200dк|Ҋ|ẞ"""
_LIKELY = st.sampled_from(_KNOWN.replace("\n", "|").split("|"))


def _mixed() -> st.SearchStrategy[str]:
    """Likely text with something done to it: case, blanks, marks, doubling."""

    def spoil(parts: tuple[str, str, str, int]) -> str:
        text, before, after, how = parts
        changed = (text, text.upper(), text.lower(), text.swapcase(), text + " " + text, text[::-1])[how]
        return before + changed + after

    blank = st.text(st.sampled_from(WHITESPACE + "-.,"), max_size=3)
    return st.tuples(_LIKELY, blank, blank, st.integers(0, 5)).map(spoil)


LONG = st.one_of(
    st.tuples(_LIKELY, st.integers(1, 5000)).map(lambda p: (p[0] * p[1])[:5000]),
    st.integers(4990, 5010).map(lambda n: "a" * n),
    st.just(" \u2003" * 2600),
)
CELLS = st.one_of(
    st.none(),
    st.text(_CHARACTERS, max_size=12),
    st.text(st.sampled_from(WHITESPACE), max_size=4),
    _LIKELY,
    _mixed(),
    _mixed(),
    LONG,
)

# Every kind of dirt at least once, whatever is drawn: rows for tests that try few examples.
DIRT: tuple[str | None, ...] = (
    None,
    "",
    *_KNOWN.replace("\n", "|").split("|"),
    *WHITESPACE,
    *(blank + "М" + blank for blank in WHITESPACE),
    "М" * 5001,
    "a" * 5000,
    " \u2003" * 2600,
)
