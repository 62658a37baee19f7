"""The real registers that `evaluate` runs on, read from ../shared/data, and their gold: what corresponds to what, by somebody else's word.

The gold is the publishers' own maps, the position of a column in two language editions of one sheet, and records linked by school
number. Nothing here knows the matcher.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from kerege.semantics.suggest.codes import CodeRow

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
UK = DATA / "uk_local_authority"
WALES = DATA / "wales_schools"

# coding -> (the agency's own list as received, code column, label column, kind column or "")
UK_LISTS = {
    "edubase": ("lists/edubase/local-authorities.tsv", "code", "name", ""),
    "food-authority": ("lists/food-standards/local-authorities.tsv", "food-authority", "name", ""),
    "gaz50k": ("lists/gaz50k/local-authorities.tsv", "gaz50k", "name", ""),
    "gss": ("lists/ons-api-admin-areas/ward-hierarchy.tsv", "item-code", "name", "area-type-name"),
    "iso-code": ("lists/iso/second_level_divisions.tsv", "iso-code", "name", "category"),
    "local-custodian": ("lists/geoplace/local-custodian.tsv", "local-custodian", "name", ""),
    "opendatacommunities": ("lists/opendatacommunities/opendatacommunities.tsv", "ONS_Code", "Local_Authority_Name", "LA_Type_Label"),
    "os": ("lists/os-open-names/os.tsv", "os", "name", "type"),
    "registration-district": ("lists/registration-district/registration-district.tsv", "registration-district", "name", ""),
    "snac": ("lists/local-directgov/local-authorities.tsv", "snac", "name", ""),
    "street-administrative-area": (
        "lists/addressbase-street-area/street-administrative-area.tsv", "street-administrative-area", "street-administrative-area", "",
    ),
    "name": ("maps/name.tsv", "name", "name", ""),
}  # fmt: skip

REGISTER = (
    ("local-authority-eng", "local-authority-eng/local-authorities"),
    ("local-authority-nir", "local-authority-nir/local-authorities"),
    ("local-authority-sct", "local-authority-sct/local-authority-sct"),
    ("principal-local-authority", "principal-local-authority/principal-local-authority"),
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [
            {k: v or "" for k, v in r.items() if k}
            for r in csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t")
        ]


def uk_register() -> list[CodeRow]:
    """The register: 444 authorities, in English and where there is one in Welsh, with their type in words."""
    kinds = {
        r["local-authority-type"]: r["name"]
        for r in rows_of(UK / "data/local-authority-type/local-authority-types.tsv")
    }
    rows = []
    for prefix, file in REGISTER:
        for r in rows_of(UK / "data" / f"{file}.tsv"):
            also = tuple(r[c] for c in ("official-name", "name-cy", "official-name-cy") if r.get(c))
            kind = kinds.get(r.get("local-authority-type", ""), "")
            rows.append(CodeRow(f"{prefix}:{r[prefix]}", r["name"], None, also, kind, bool(r["end-date"])))
    return rows


def uk_gold(coding: str, register: list[CodeRow]) -> dict[str, str]:
    """Source code -> register code by the publishers' map. Left out: rows whose code the register does not hold, or that name two.

    The map of name variants was made before many register codes were renamed, and some old codes were given to other authorities since.
    It is brought up to date through three other maps by codes alone (`renamed`), so that no name has a say in the gold for names.
    """
    known = {r.code for r in register}
    now = renamed() if coding == "name" else {}
    found: dict[str, set[str]] = {}
    for r in rows_of(UK / "maps" / f"{coding}.tsv"):
        target = r["local-authority"]
        found.setdefault(r[coding], set()).add(now.get(target, "") if now else target)
    return {code: next(iter(t)) for code, t in found.items() if code and len(t) == 1 and t <= known}


def renamed() -> dict[str, str]:
    """Old register code -> present one: discovery code "WSX-UB" -> county WSX by ISO code -> its SNAC "45" -> SNAC "45UB" -> present code."""
    snac = {r["snac"]: r["local-authority"] for r in rows_of(UK / "maps/snac.tsv") if r["snac"]}
    by_code = {code: number for number, code in snac.items()}
    iso = {r["iso-code"].removeprefix("GB-"): r["local-authority"] for r in rows_of(UK / "maps/iso-code.tsv")}
    present = {}
    for r in rows_of(UK / "maps/discovery.tsv"):
        county, _, rest = r["local-authority-discovery"].partition("-")
        if county not in iso:
            continue
        new = snac.get(by_code.get(iso[county], "?") + rest) if rest else iso[county]
        if new:
            present[r["local-authority"]] = new
    return present


def linked() -> tuple[list[dict[str, str]], list[dict[str, str]], dict[str, dict[str, str]]]:
    """English and Welsh edition and the register's schools by number."""
    return (
        rows_of(WALES / "wales_maintained_en.csv"),
        rows_of(WALES / "wales_maintained_cy.csv"),
        {r["school-wls"]: r for r in rows_of(WALES / "school-wls.tsv")},
    )


def majority(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Gold from linked records: the target nearly all records of a code agree on; codes that split say nothing."""
    votes: dict[str, Counter[str]] = {}
    for a, b in pairs:
        if a and b:
            votes.setdefault(a, Counter())[b] += 1
    return {a: c.most_common(1)[0][0] for a, c in votes.items() if c.most_common(1)[0][1] >= 0.9 * c.total()}
