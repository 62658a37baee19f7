"""Semantics: what registers mean. Mappings, code lists, crosswalks and named normalisers, run per message and per table alike.

An engine: takes values, returns values; no Django, no database server, no network. The names below are its face.

    pack = load_pack(country_dir, data_dir=..., overlay=...)
    translate(pack, "kg:civil.birth-record", payload, "text/xml").records
    compile_record(pack.mapping(id), pack)({"Fam": "АСАНОВ", ...}).values
    compile_duckdb(pack.mapping(id), pack).run(connection, "relation")
"""

from __future__ import annotations

from kerege.semantics.codelists.codelist import CodeList, Concept
from kerege.semantics.crosswalks.sssom import Crosswalk, Policy
from kerege.semantics.engines.emit_duckdb import DuckTable, TableResult, compile_duckdb
from kerege.semantics.engines.emit_python import Mapped, Mapper, compile_record
from kerege.semantics.kg import okpo, pin
from kerege.semantics.mappings.documents import Mapping
from kerege.semantics.mappings.problems import Problem
from kerege.semantics.mappings.translate import CANONICAL, Translation, translate
from kerege.semantics.normalise import addresses, dates, names
from kerege.semantics.pack import Pack, load_pack

__all__ = [
    "CANONICAL",
    "CodeList",
    "Concept",
    "Crosswalk",
    "DuckTable",
    "Mapped",
    "Mapper",
    "Mapping",
    "Pack",
    "Policy",
    "Problem",
    "TableResult",
    "Translation",
    "addresses",
    "compile_duckdb",
    "compile_record",
    "dates",
    "load_pack",
    "names",
    "okpo",
    "pin",
    "translate",
]
