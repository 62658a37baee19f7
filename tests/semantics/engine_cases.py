"""Hard data for all engines: every operator over cells chosen to break them, beside what Hypothesis finds."""

# ruff: noqa: E501  traps of one kind in one line

from __future__ import annotations

import polars as pl

from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import Mapping, TargetField
from kerege.semantics.normalise import dates
from kerege.semantics.normalise.folding import WHITESPACE

from .patterns_support import ADDRESS, HOUSE
from .support import POLICIES

# What breaks engines: case traps, blanks of all kinds, marks, look-alikes, dates at their edges, quotes, controls, digits of other scripts.
TRAPS = (
    *("İ", "ı", "ß", "ẞ", "ǰ", "ŉ", "ΐ", "ﬁ", "Ǆ", "ǅ", "ſ", "K", "Å", "Ω", "Ꭰ", "ꭰ", "Ⓐ", "𐐀", "𐐨", "Ҋ", "Ӏ", "ӏ", "Σ", "ς", "ΑΣ"),
    *("ңөү", "ҢӨҮ", "Өмүр", "ёЁ", "й", "и\u0306", "Й", "И\u0306", "е\u0308", "e\u0301\u0323", "\u0301", "а\u0301б", "\u00adшы\u200dк"),
    *(f"{blank}а{blank}{blank}б{blank}" for blank in WHITESPACE),
    *("\u180eа\u180e", "\u200cа\u200c", "а\u3164б", "а\u00adб", "а\x00б", "\x00", "\x01\x7f", "а\x0b\x0cб", "\x0c\x0bа", "\x85", "\ufeffа", "а\ufffd", "\uffff"),
    *("'", "''", '"', '""', "\\", "\\n", "\\'", "%s", "%", "$1", "\\1", "{0}", "$$", "--", "/*", "a'b''c", "E'x'", "а`б", "a,b;c\td", "=1+1", "NULL", "null", "\\N"),
    *("0", "00", "007", "000000000000000000", "0000000000000000001", "999999999999999999", "1 234 567", "1\u00a0234", "-5", "+5", "1.0", "1e3", "٣", "１２", "१", "²", "12٣"),
    *("2000-02-29", "1900-02-29", "2100-02-29", "2020-02-30", "2021-04-31", "1799-12-31", "1800-01-01", "2199-12-31", "2200-01-01", "0000-00-00", "2020-13-01"),
    *("29.02.2020", "29.02.2021", "9.2.2020", "29.2.2020", "09.02.2020", ".2.2020", "9..2020", "1.1.20201", "31/12/1999", "31-12-1999", "1999.12.31", "20200229", "29022020"),
    *("20202020", "2020-01-01T10:00", "2020-01-01 10:00:00+06", "2020-01-01\n", "2020-01-01\n10", "2020-01-01Z", "\n2020-01-01", "2020-01-01T", "٢٠٢٠-٠١-٠١", "２０２０-01-01"),
    *("20101201500001", "2 0101 2015 00001", "1-31021990-12345", "12902202012345", "12902202112345", "30101201500001", "2010120150000１", "20101201500001\n"),
    *("АВ-12", "AB 12", "аb№12", "АВС", "ABC", "CНE", "Ж", "ж", " Ж ", "М", "м", "M", "два", "пусто", "Чуй  ОБЛУСУ", "чүй облусу", "the same", "THE\u00a0SAME", "07", "1", "2"),
    *("Асанов Азамат Бакытович", "АЗАМАТ БАКЫТ УУЛУ", "Сары-Бай уулу", "г. Бишкек, ул. Токтогула, д. 125, кв. 14", "Бишкек ш., Исанова көч. 125-14", "ул. Исанова көч."),
    *("+996 555 123 456", "0555123456", "👩\u200d👩\u200d👧", "👧" * 12, "а" * 39 + "👧👧", "x" * 45, "ж" * 4999, "ж" * 5000, "ж" * 5001, " " * 5001, "а б" * 1600),
)  # fmt: skip


def every_operator() -> list[TargetField]:
    """A field for each operator and each way it can be set, over the cells `a` and `b`, with one use of its problems in every branch."""
    a, b = ir.Field("a"), ir.Field("b")
    plain: list[ir.Expr] = [
        op(a) for op in (ir.Trim, ir.Collapse, ir.Upper, ir.Lower, ir.Fold, ir.Number, ir.NameCase, ir.StreetKey)
    ]
    plain += [ir.Remove(a, "а-'%\0"), ir.Remove(a, " "), ir.Take(a, 1, 3), ir.Take(a, 4, 2), ir.Take(a, 39, 40)]
    plain += [ir.Pad(a, 5, fill) for fill in ("0", "'", "👧", "\u0306")]
    plain += [ir.Split(a, on, part) for on in (" ", "-", "''", "аб", "\u0306") for part in (1, 2, -1, -2)]
    plain += [ir.ParseDate(a, (name,)) for name in dates.FORMATS] + [ir.ParseDate(a, tuple(reversed(dates.FORMATS)))]
    plain += [ir.Code(a, alphabet, length) for alphabet in ("digits", "latin", "cyrillic") for length in (None, 2, 14)]
    lists: list[ir.Expr] = [
        ir.Recode(a, f"t:{p.split()[0]}-{match}") for p in POLICIES for match in ("exact", "folded")
    ]
    lists += [
        ir.Lookup(a, "t:list", by, give)
        for by in ("notation", "wording")
        for give in ("notation", "broader", "ky", "ru", "en")
    ]
    lists += [ir.Member(a, "t:list")]
    grammars: list[ir.Expr] = [ir.NamePart(a, part) for part in ("surname", "given_name", "patronymic")]
    grammars += [ir.NameKey(a, kind) for kind in ("surname", "given_name", "patronymic", "father_in_surname", "full")]
    grammars += [ir.AddressPart(a, part) for part in ("settlement", "street", "house", "flat", "soate")]
    grammars += [ir.PlaceCode(a, "name"), ir.PlaceCode(a, "code", "region"), ir.Phone(a)]
    grammars += [ir.Extract(a, pattern, part) for pattern in (ADDRESS, HOUSE) for part in pattern.parts]
    date = ir.ParseDate(b, ("dd.mm.yyyy", "yyyy-mm-dd"))
    lists += [ir.RecodeAsOf(ir.Together((a, date, b)), walk, ("b",)) for walk in ("t:dated-exact", "t:dated-folded")]
    lists += [ir.RecodeAsOf(ir.Together((a, ir.Const(""), b)), "t:dated-exact", ("b",))]
    lists += [
        ir.LookupAsOf(ir.Together((a, date)), "t:list", by, give)
        for by in ("notation", "wording")
        for give in ("notation", "ru")
    ]
    recode = ir.Recode(ir.Collapse(b), "t:quarantine-folded")
    trees: list[ir.Expr] = [
        ir.Pin(a, date, recode),
        ir.Pin(ir.Fold(a)),
        ir.Concat((ir.Trim(a), ir.Const("'x\\"), b), " ' "),
        ir.Concat((a, b), ""),
        ir.Coalesce((date, recode, ir.Const("нет"))),
        ir.Coalesce((ir.Number(b), ir.Trim(a))),
        ir.When(a, ("М", "x'y", "\\", "İ"), date, recode),
        ir.When(ir.Number(a), (), ir.Number(b)),
        ir.Trim(ir.NameCase(ir.Upper(ir.NamePart(ir.Collapse(a), "surname")))),
        ir.NameKey(ir.NamePart(a, "given_name"), "given_name"),
        ir.Const(""),
    ]
    fields = [TargetField(f"f{n}", expr) for n, expr in enumerate([*plain, *lists, *grammars, *trees])]
    fields += [
        TargetField("again", ir.Upper(ir.Target("f0")), "quarantine"),
        TargetField("must", ir.Number(b), "reject"),
    ]
    return fields


def trap_frame(extra: list[str | None], *, nul: bool = True) -> pl.DataFrame:
    """Two columns: every trap beside another, nulls and empty texts among them; `nul` keeps the cells PostgreSQL cannot hold."""
    found: list[str | None] = [*TRAPS, None, "", *extra]
    cells = found if nul else [c if c is None else c.replace("\0", "") for c in found]
    shifted = [*cells[7:], *cells[:7]]
    return pl.DataFrame({"a": cells, "b": shifted}, schema={"a": pl.String, "b": pl.String})


def used(mapping: Mapping) -> set[str]:
    """The names of the operators that a mapping uses."""
    return {node.name for f in mapping.fields for node in f.expr.walk()}
