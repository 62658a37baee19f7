"""A table of dirty rows and the contract it breaks, for the counting oracles. Deterministic: the same rows each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

ROWS = 120_000


def write_table(path: Path, rows: int = ROWS) -> None:
    """A Parquet file of `rows` rows: typed columns and texts, some of every kind of dirt."""
    with duckdb.connect() as db:
        db.execute(
            f"""
            COPY (
              SELECT
                CASE WHEN hash(i, 1) % 50 = 0 THEN NULL WHEN hash(i, 2) % 40 = 0 THEN 'P' || i
                     ELSE lpad(CAST(21203198000000 + (i - hash(i, 3) % 20 // 19) AS VARCHAR), 14, '0') END AS pin,
                CASE hash(i, 4) % 30 WHEN 0 THEN NULL WHEN 1 THEN '7' WHEN 2 THEN 'М' ELSE CAST(1 + hash(i, 5) % 2 AS VARCHAR) END AS sex,
                CASE WHEN hash(i, 6) % 60 = 0 THEN '' WHEN hash(i, 7) % 70 = 0 THEN 'Ө'
                     WHEN hash(i, 8) % 80 = 0 THEN repeat('Ызатбек', 8) ELSE 'Асанова' END AS surname,
                CASE WHEN hash(i, 9) % 25 = 0 THEN NULL ELSE CAST(hash(i, 10) % 14 AS INTEGER) - 1 END AS grade,
                CAST(hash(i, 11) % 1200 AS DOUBLE) / 10 AS share,
                CASE WHEN hash(i, 12) % 90 = 0 THEN NULL ELSE 'n' || (hash(i, 13) % 100000) END AS note,
                CASE hash(i, 14) % 10 WHEN 0 THEN 'n/a' WHEN 1 THEN NULL ELSE 'x' END AS phone
              FROM range({rows}) AS t(i)
            ) TO '{path}' (FORMAT parquet)
            """
        )


def contract(path: str) -> dict[str, Any]:
    """The contract, with the table as its server."""
    return {
        "kind": "DataContract", "apiVersion": "v3.1.0", "id": "dirty", "version": "1.0.0", "status": "active", "name": "dirty",
        "servers": [{"server": "local", "type": "local", "path": path, "format": "parquet"}],
        "schema": [{"name": "dirty", "physicalType": "table", "properties": [
            {"name": "pin", "logicalType": "string", "physicalType": "VARCHAR", "required": True, "unique": True,
             "logicalTypeOptions": {"pattern": "^[12][0-9]{13}$"}},
            {"name": "sex", "logicalType": "string", "physicalType": "VARCHAR", "required": True, "quality": [
                {"type": "library", "metric": "invalidValues", "arguments": {"validValues": ["1", "2"]}, "mustBe": 0}]},
            {"name": "surname", "logicalType": "string", "physicalType": "VARCHAR", "logicalTypeOptions": {"minLength": 2, "maxLength": 40}},
            {"name": "grade", "logicalType": "integer", "physicalType": "INTEGER", "logicalTypeOptions": {"minimum": 0, "maximum": 11}},
            {"name": "share", "logicalType": "number", "physicalType": "DOUBLE", "logicalTypeOptions": {"maximum": 100}},
            {"name": "note", "logicalType": "string", "physicalType": "VARCHAR", "quality": [
                {"type": "library", "metric": "nullValues", "mustBe": 0}]},
            {"name": "phone", "logicalType": "string", "physicalType": "VARCHAR", "quality": [
                {"type": "library", "metric": "missingValues", "arguments": {"missingValues": ["n/a", None]}, "mustBe": 0}]},
        ], "quality": [{"type": "library", "metric": "rowCount", "mustBeGreaterThan": 0}]}],
    }  # fmt: skip
