"""A stream of records gives the same whichever engine maps it, and the choice of an engine is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from kerege.cli import main
from kerege.semantics import compile_record
from kerege.semantics.engines import batches as engines_batches
from kerege.semantics.engines.batches import Asked, Batches
from kerege.semantics.errors import EngineMissing, TableInvalid
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import TargetField

from .engine_cases import TRAPS
from .support import small_pack
from .test_engines import mapping_of

MAPPING = mapping_of(
    [
        TargetField("number", ir.Number(ir.Field("a")), "quarantine"),
        TargetField("code", ir.Recode(ir.Field("b"), "t:quarantine-exact")),
        TargetField("text", ir.Collapse(ir.Field("a"))),
    ]
)
RECORDS: list[dict[str, str | None]] = [{"a": t, "b": TRAPS[-n]} for n, t in enumerate(TRAPS) if "\0" not in t]
NIGHTLY = "N_SPR;FIO;DATA_R;POL;OBLAST;PIN;DATA_VYD;STATUS\n" + "".join(
    f"V{n};Асанов Бек;2019-03-{n:02};муж;Атлантида;;2026-01-10;Д\n" for n in range(1, 13)
)


@pytest.mark.parametrize("asked", ["auto", "python", "duckdb", "polars"])
def test_every_engine_answers_record_by_record_what_the_python_function_does_over_batches(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines_batches, "BATCH_CELLS", 150)
    monkeypatch.setattr(engines_batches, "FEW", 60)
    pack = small_pack()
    mapper = compile_record(MAPPING, pack)
    law = [mapper(record) for record in RECORDS]
    batches = Batches(MAPPING, small_pack(), asked)
    assert list(batches(iter(RECORDS))) == law
    assert batches.used == {"polars" if asked == "auto" else asked: len(RECORDS)}


def test_few_records_are_mapped_by_the_python_function_and_it_is_said() -> None:
    batches = Batches(MAPPING, small_pack())
    assert len(list(batches(RECORDS[:3]))) == 3
    assert batches.told().startswith("3 by python (chosen by size: python up to 100,000 records, polars beyond")
    assert Batches(MAPPING, small_pack(), "polars").told() == "no records"


def test_the_stream_is_read_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines_batches, "BATCH_CELLS", 20)
    monkeypatch.setattr(engines_batches, "FEW", 5)
    taken = 0

    def records() -> Iterator[dict[str, str | None]]:
        nonlocal taken
        for record in RECORDS:
            taken += 1
            yield record

    done = Batches(MAPPING, small_pack(), "polars")(records())
    next(done)
    assert taken == 10


def test_half_of_a_surrogate_pair_is_mapped_by_python_unless_an_engine_was_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines_batches, "BATCH_CELLS", 20)
    monkeypatch.setattr(engines_batches, "FEW", 5)
    records: list[dict[str, str | None]] = [{"a": "7", "b": "1"}] * 12 + [{"a": "secret\ud800", "b": None}]
    batches = Batches(MAPPING, small_pack())
    assert [m.values["number"] for m in batches(records)] == ["7"] * 12 + [None]
    assert batches.used == {"polars": 10, "python": 3}
    with pytest.raises(TableInvalid, match="row 12, column a: half of a surrogate pair") as error:
        list(Batches(MAPPING, small_pack(), "polars")(records))
    assert "secret" not in str(error.value)


def test_postgresql_without_a_database_is_refused_before_anything_is_read() -> None:
    with pytest.raises(EngineMissing, match="postgresql"):
        Batches(MAPPING, small_pack(), "postgresql")


# --- the commands -----------------------------------------------------------------------------------------------------------------


def kerege(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def nightly(tmp_path: Path) -> Path:
    path = tmp_path / "vaccinations.csv"
    path.write_text(NIGHTLY + "#ROWS;12\n", "utf-8-sig")
    return path


def test_map_gives_the_same_document_by_every_engine_and_names_it(nightly: Path) -> None:
    plain = kerege("map", "kg:health.vaccination", nightly)
    assert "12 by python (chosen by size" in plain.stderr
    for engine in ("python", "polars"):
        result = kerege("map", "kg:health.vaccination", nightly, "--engine", engine)
        assert result.exit_code == 0
        assert orjson.loads(result.stdout) == orjson.loads(plain.stdout)
        assert f"  12 by {engine}\n" in result.stderr


def test_harmonise_gives_the_same_files_by_every_engine_and_names_it(nightly: Path, tmp_path: Path) -> None:
    written = set()
    for engine in ("auto", "duckdb", "polars"):
        out = tmp_path / f"{engine}.csv"
        result = kerege("harmonise", nightly, "--mapping", "kg:health.vaccination", "--out", out, "--engine", engine)
        assert result.exit_code == 0, result.output
        assert f"Mapped: 12 by {'python' if engine == 'auto' else engine}" in result.stdout
        written.add(out.read_bytes())
    assert len(written) == 1
    told = kerege("harmonise", nightly, "--mapping", "kg:health.vaccination", "--out", tmp_path / "j.csv", "--json")
    assert orjson.loads(told.stdout)["engines"] == {"python": 12}


def test_an_engine_that_is_not_there_is_told_and_nothing_is_written(nightly: Path, tmp_path: Path) -> None:
    out, mapping = tmp_path / "out.csv", ("--mapping", "kg:health.vaccination")
    missing = kerege("harmonise", nightly, *mapping, "--out", out, "--engine", "postgresql")
    assert missing.exit_code != 0
    assert "--database postgresql://" in missing.output
    nobody = "postgresql://someone:secret@127.0.0.1:1/none"
    silent = kerege("harmonise", nightly, *mapping, "--out", out, "--engine", "postgresql", "--database", nobody)
    assert silent.exit_code != 0
    assert "a database that answers" in silent.output
    assert "secret" not in silent.output
    assert kerege("map", mapping[1], nightly, "--engine", "spark").exit_code == 2
    assert kerege("map", mapping[1], nightly, "--database", nobody).exit_code == 2
    assert not out.exists()
