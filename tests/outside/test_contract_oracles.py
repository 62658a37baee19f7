"""Great Expectations and datacontract-cli, which share no code with us or each other, count the same violations in the same 120,000 dirty rows."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kerege.catalogue.contracts.checks import check
from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.message import compile_message

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venv"
_spec = importlib.util.spec_from_file_location("contract_dirty", HERE / "contract_dirty.py")
assert _spec is not None
assert _spec.loader is not None
dirty = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(dirty)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("oracle") / "dirty.parquet"
    dirty.write_table(path)
    (path.parent / "dirty.odcs.yaml").write_text(odcs.dumps(odcs.parse(dirty.contract(str(path)))), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def counted(table: Path) -> dict[str, int]:
    """Our own counts, by `field rule`."""
    contract = odcs.read(table.parent / "dirty.odcs.yaml")
    report = check(contract, str(table), lambda name: frozenset(), datetime(2026, 11, 22, tzinfo=UTC))
    assert report.rows == dirty.ROWS >= 100_000
    return {f"{field} {rule}": count for (field, rule), count in report.counts().items()}


def told_by(environment: str, script: str, *arguments: str) -> Any:
    python = ENVIRONMENTS / environment / "bin/python"
    if not (ENVIRONMENTS / environment / ".ready").exists():
        pytest.skip(f"not there: make outside-data ({environment})")
    quiet = {
        "HOME": str(Path(arguments[0]).parent),
        "PATH": os.environ["PATH"],
        "GX_ANALYTICS_ENABLED": "false",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run([python, HERE / script, *arguments], capture_output=True, text=True, timeout=240, env=quiet)
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert found, done.stderr[-2000:]
    return json.loads(found[-1].removeprefix("RESULT "))


def test_great_expectations_counts_what_we_count(table: Path, counted: dict[str, int]) -> None:
    theirs = told_by("outside-gx", "contract_by_gx.py", str(table))
    assert len(theirs) == 11
    assert theirs == {name: counted[name] for name in theirs}
    assert set(counted) - set(theirs) == {"phone missingValues"}, "it has no question for values that stand for none"


OF_THEIRS = {
    "field_required": "required", "field_unique": "unique", "field_regex": "pattern", "field_min_length": "minLength",
    "field_max_length": "maxLength", "field_minimum": "minimum", "field_maximum": "maximum", "field_invalid_values": "validValues",
    "field_null_values": "required", "field_missing_values": "missingValues",
}  # fmt: skip


def test_datacontract_cli_counts_what_we_count(table: Path, counted: dict[str, int]) -> None:
    checks = told_by("outside-datacontract", "contract_by_datacontract.py", str(table.parent / "dirty.odcs.yaml"))
    theirs = {}
    for one in checks:
        if one["type"] in OF_THEIRS:
            told = one["diagnostics"]  # of duplicates it compares the number of values, and tells the rows besides
            theirs[f"{one['field']} {OF_THEIRS[one['type']]}"] = told.get("failed_rows", told["value"])
    assert theirs == counted


def test_the_message_checker_counts_what_the_table_check_counts(table: Path, counted: dict[str, int]) -> None:
    import duckdb

    with duckdb.connect() as db:
        cursor = db.execute(f"SELECT * FROM '{table}' LIMIT 20000")
        names = [column[0] for column in cursor.description or ()]
        records = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        db.execute(f"COPY (SELECT * FROM '{table}' LIMIT 20000) TO '{table.parent / 'part.parquet'}' (FORMAT parquet)")
    contract = odcs.read(table.parent / "dirty.odcs.yaml")
    part = check(
        contract, str(table.parent / "part.parquet"), lambda name: frozenset(), datetime(2026, 11, 22, tzinfo=UTC)
    )
    found = compile_message(contract).check_all(records)
    assert found.counts == part.counts()
    assert len(found.broken) == part.broken_rows
