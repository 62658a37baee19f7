"""Pipelines of a mapping document: lists of steps in YAML, read into the intermediate form, every argument checked.

The grammar is documented in docs/reference/semantics.md; a test holds that page to the operators read here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kerege.semantics.mappings import ir
from kerege.semantics.mappings.reading import Reader
from kerege.semantics.normalise import dates
from kerege.semantics.normalise.codes import LETTERS


def pipeline(raw: Any, at: Reader, above: tuple[str, ...]) -> ir.Expr:
    """The tree of one pipeline; `above` are the canonical fields a `target` step may name."""
    steps = raw if isinstance(raw, list) else [raw]
    if not steps:
        raise at.wrong("the pipeline is empty")
    expr: ir.Expr | None = None
    for step in steps:
        name, argument = _step(step, at)
        expr = _first(name, argument, at, above) if expr is None else _next(name, argument, expr, at, above)
    assert expr is not None
    return expr


def _step(step: Any, at: Reader) -> tuple[str, Any]:
    if isinstance(step, str):
        return step, None
    if isinstance(step, dict) and len(step) == 1:
        name, argument = next(iter(step.items()))
        return str(name), argument
    raise at.wrong(f"a step is an operator's name, or one operator with its argument; got {step!r}")


def _first(name: str, argument: Any, at: Reader, above: tuple[str, ...]) -> ir.Expr:
    if name == "field" and isinstance(argument, str):
        return ir.Field(argument)
    if name == "target" and isinstance(argument, str):
        if argument not in above:
            raise at.wrong(f"target {argument} is not a field above this one")
        return ir.Target(argument)
    if name == "const" and isinstance(argument, str):
        return ir.Const(argument)
    if name == "coalesce" and isinstance(argument, list) and argument:
        return ir.Coalesce(tuple(pipeline(part, at, above) for part in argument))
    if name == "concat" and isinstance(argument, dict):
        at.only(argument, {"parts", "with"})
        parts = tuple(pipeline(part, at, above) for part in argument.get("parts") or ())
        if not parts:
            raise at.wrong("concat needs parts")
        return ir.Concat(parts, at.text(argument, "with", " "))
    if name == "when" and isinstance(argument, dict):
        return _when(argument, at, above)
    known = "field, target, const, coalesce, concat, when"
    raise at.wrong(f"a pipeline begins with one of {known} and its argument; {name!r} came")


def _when(argument: dict[str, Any], at: Reader, above: tuple[str, ...]) -> ir.Expr:
    at.only(argument, {"test", "in", "then", "else"})
    values = argument.get("in") or []
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise at.wrong("`in` of when must be a list of texts")
    if "test" not in argument or "then" not in argument:
        raise at.wrong("when needs test and then")
    other = pipeline(argument["else"], at, above) if argument.get("else") is not None else None
    test, then = (pipeline(argument[key], at, above) for key in ("test", "then"))
    return ir.When(test, tuple(values), then, other)


_BARE: Final[dict[str, Callable[[ir.Expr], ir.Expr]]] = {
    "trim": ir.Trim,
    "collapse": ir.Collapse,
    "upper": ir.Upper,
    "lower": ir.Lower,
    "fold": ir.Fold,
    "number": ir.Number,
    "pin": ir.Pin,
    "phone": ir.Phone,
    "name_case": ir.NameCase,
    "street_key": ir.StreetKey,
}


def _next(name: str, argument: Any, of: ir.Expr, at: Reader, above: tuple[str, ...]) -> ir.Expr:
    if argument is None and name in _BARE:
        return _BARE[name](of)
    build = _ARGUED.get(name)
    if build is None:
        raise at.wrong(
            f"unknown operator {name!r}, or one that only begins a pipeline; known: {', '.join(sorted(ir.OPERATORS))}"
        )
    return build(of, argument, at, above)


Builder = Callable[[ir.Expr, Any, Reader, tuple[str, ...]], ir.Expr]


def _options(name: str, argument: Any, at: Reader, known: set[str]) -> dict[str, Any]:
    if not isinstance(argument, dict):
        raise at.wrong(f"{name} takes {', '.join(sorted(known))}")
    # YAML 1.1 reads a bare `on` as true
    options: dict[str, Any] = {"on" if key is True else key: value for key, value in argument.items()}
    at.only(options, known)
    return options


def _remove(of: ir.Expr, argument: Any, at: Reader, _: tuple[str, ...]) -> ir.Expr:
    if not isinstance(argument, str) or not argument:
        raise at.wrong("remove takes the characters to remove")
    return ir.Remove(of, argument)


def _split(of: ir.Expr, argument: Any, at: Reader, _: tuple[str, ...]) -> ir.Expr:
    options = _options("split", argument, at, {"on", "part"})
    part = at.whole(options.get("part"), "part")
    if part == 0:
        raise at.wrong("part counts from 1, or from the end with -1")
    return ir.Split(of, at.text(options, "on"), part)


def _extract(of: ir.Expr, argument: Any, at: Reader, _: tuple[str, ...]) -> ir.Expr:
    options = _options("extract", argument, at, {"pattern", "part"})
    pattern = at.patterns.get(at.text(options, "pattern"))
    if pattern is None:
        raise at.wrong(f"there is no such pattern; known: {', '.join(at.patterns) or 'none'}")
    return ir.Extract(of, pattern, at.one_of(options.get("part"), pattern.parts, "part"))


def _take(of: ir.Expr, argument: Any, at: Reader, _: tuple[str, ...]) -> ir.Expr:
    options = _options("take", argument, at, {"start", "length"})
    start, length = at.whole(options.get("start"), "start"), at.whole(options.get("length"), "length")
    if start < 1 or length < 1:
        raise at.wrong("start and length count from 1")
    return ir.Take(of, start, length)


def _pad(of: ir.Expr, argument: Any, at: Reader, _: tuple[str, ...]) -> ir.Expr:
    options = _options("pad", argument, at, {"width", "with"})
    width, fill = at.whole(options.get("width"), "width"), at.text(options, "with", "0")
    if len(fill) != 1 or not 1 <= width <= 1000:
        raise at.wrong("pad takes a width of up to 1000 and one character")
    return ir.Pad(of, width, fill)


def _parse_date(of: ir.Expr, argument: Any, at: Reader, _: tuple[str, ...]) -> ir.Expr:
    formats = [argument] if isinstance(argument, str) else argument
    if not isinstance(formats, list) or not formats or set(formats) - set(dates.FORMATS):
        raise at.wrong(f"parse_date takes formats out of: {', '.join(dates.FORMATS)}")
    return ir.ParseDate(of, tuple(formats))


def _code(of: ir.Expr, argument: Any, at: Reader, _: tuple[str, ...]) -> ir.Expr:
    options = _options("code", argument, at, {"alphabet", "length"})
    alphabet = at.one_of(options.get("alphabet", "latin"), tuple(LETTERS), "alphabet")
    length = at.whole(options["length"], "length") if "length" in options else None
    return ir.Code(of, alphabet, length)


def _pin(of: ir.Expr, argument: Any, at: Reader, above: tuple[str, ...]) -> ir.Expr:
    options = _options("pin", argument, at, {"birth_date", "sex"})
    named = {key: _first("target", value, at, above) for key, value in options.items()}
    return ir.Pin(of, named.get("birth_date"), named.get("sex"))


def _phone(of: ir.Expr, argument: Any, at: Reader, _: tuple[str, ...]) -> ir.Expr:
    if not isinstance(argument, str) or len(argument) != 2:
        raise at.wrong("phone takes the two letters of a country")
    return ir.Phone(of, argument)


def _recode(of: ir.Expr, argument: Any, at: Reader, above: tuple[str, ...]) -> ir.Expr:
    if isinstance(argument, str) and argument:
        return ir.Recode(of, argument)
    options = _options("recode", argument, at, {"crosswalk", "as_of", "given"})
    day = _first("target", options["as_of"], at, above) if "as_of" in options else ir.Const("")
    given = options.get("given") or {}
    if not isinstance(given, dict) or not all(isinstance(cell, str) for cell in given):
        raise at.wrong("`given` of recode maps cells of the crosswalk's conditions to pipelines")
    values = tuple(pipeline(steps, at, above) for steps in given.values())
    return ir.RecodeAsOf(ir.Together((of, day, *values)), at.text(options, "crosswalk"), tuple(given))


def _lookup(of: ir.Expr, argument: Any, at: Reader, above: tuple[str, ...]) -> ir.Expr:
    options = _options("lookup", argument, at, {"codelist", "by", "give", "as_of"})
    by = at.one_of(options.get("by", "notation"), ("notation", "wording"), "by")
    give = at.one_of(options.get("give", "notation"), ("notation", "broader", "ky", "ru", "en"), "give")
    codelist = at.text(options, "codelist")
    if "as_of" in options:
        day = _first("target", options["as_of"], at, above)
        return ir.LookupAsOf(ir.Together((of, day)), codelist, by, give)
    return ir.Lookup(of, codelist, by, give)


def _member(of: ir.Expr, argument: Any, at: Reader, _: tuple[str, ...]) -> ir.Expr:
    if not isinstance(argument, str) or not argument:
        raise at.wrong("member takes the id of a code list")
    return ir.Member(of, argument)


def _named(kind: type[ir.Expr], attribute: str) -> Builder:
    """A builder for operators that take one word out of a fixed list."""
    known: tuple[str, ...] = {
        "part": ("surname", "given_name", "patronymic"),
        "kind": ("surname", "given_name", "patronymic", "father_in_surname", "full"),
        "address": ("region", "district", "community", "settlement", "street", "street_key", "house", "flat", "soate"),
    }[attribute]

    def build(of: ir.Expr, argument: Any, at: Reader, _: tuple[str, ...]) -> ir.Expr:
        make: Any = kind
        built: ir.Expr = make(of, at.one_of(argument, known, kind.name))
        return built

    return build


def _place(of: ir.Expr, argument: Any, at: Reader, _: tuple[str, ...]) -> ir.Expr:
    options = _options("place", argument, at, {"by", "level"})
    by = at.one_of(options.get("by", "name"), ("name", "code"), "by")
    level = options.get("level")
    if level is not None:
        at.one_of(level, ("region", "district", "community", "village"), "level")
    return ir.PlaceCode(of, by, level)


_ARGUED: Final[dict[str, Builder]] = {
    "remove": _remove,
    "split": _split,
    "extract": _extract,
    "take": _take,
    "pad": _pad,
    "parse_date": _parse_date,
    "code": _code,
    "pin": _pin,
    "phone": _phone,
    "recode": _recode,
    "lookup": _lookup,
    "member": _member,
    "name_part": _named(ir.NamePart, "part"),
    "name_key": _named(ir.NameKey, "kind"),
    "address_part": _named(ir.AddressPart, "address"),
    "place": _place,
}
