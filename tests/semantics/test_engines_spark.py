"""The same promise on Spark: a real cluster of two workers on this machine gives the cells that the Python function gives.

Run by `make spark`; in `make test` it is skipped, because a cluster takes a minute of two cores.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools.spark_cluster import Cluster, cluster, there

from kerege.semantics import Pack, load_pack
from kerege.semantics.engines import door as engines
from kerege.semantics.engines.celldiff import compare
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import Mapping

from .engine_cases import TRAPS, every_operator, trap_frame, used
from .support import COUNTRY, small_pack
from .test_engines import mapping_of

ASKED = os.environ.get("KEREGE_SPARK") == "1"
pytestmark = [
    pytest.mark.skipif(bool(there()) or not ASKED, reason=there() or "not asked for: make spark"),
    pytest.mark.timeout(600),
]
PARTS = 3
SMALL = {"spark.sql.shuffle.partitions": "4", "spark.sql.adaptive.enabled": "false"}  # a cluster of two cores


def fresh_pack() -> Pack:
    """The small pack in the class that travels: Spark's own Python knows the project, not its tests."""
    small = small_pack()
    return Pack(COUNTRY, small.codelists, small.crosswalks, {}, small.gazetteer)


@pytest.fixture(scope="module")
def spark() -> Iterator[Cluster]:
    with cluster(workers=2) as made:
        yield made


def held(spark: Cluster, mapping: Mapping, frame: pl.DataFrame) -> None:
    """Cells, verdicts and counters of the cluster are those of the Python function."""
    mine, theirs = fresh_pack(), fresh_pack()
    law = engines.run("python", mapping, mine, frame)
    found, told = spark.mapped(mapping, theirs, frame)
    diff = compare({"python": law.frame, "spark": found}, values=True)
    assert diff.different == 0, "\n".join(diff.lines())
    assert (told["rows"], told["verdicts"]) == (len(frame), dict(law.verdicts))
    assert told["unmapped"] == engines.unmapped_of(mine, mapping)


def test_the_cluster_has_two_workers(spark: Cluster) -> None:
    assert spark.workers() == 2
    assert spark.url.startswith("spark://127.0.0.1:")


def test_every_operator_is_tried() -> None:
    assert used(mapping_of(every_operator())) == set(ir.OPERATORS)


@pytest.mark.parametrize("part", range(PARTS))
def test_two_workers_give_the_cells_of_the_python_function_on_hard_data(spark: Cluster, part: int) -> None:
    fields = [f for f in every_operator() if f.name != "again"]
    held(spark, mapping_of(fields[part::PARTS]), trap_frame([t + "\u00a0" + t for t in TRAPS if len(t) < 60]))


def test_the_job_a_country_submits_gives_the_same_from_the_packs_own_files(spark: Cluster, tmp_path: Path) -> None:
    pack = load_pack(COUNTRY)
    mapping = pack.mapping("kg:population.person")
    texts: list[str | None] = [*TRAPS, None, ""]
    turned = {cell: texts[n * 11 :] + texts[: n * 11] for n, cell in enumerate(mapping.cells)}
    frame = pl.DataFrame(turned, schema=dict.fromkeys(mapping.cells, pl.String)).with_row_index("place")
    tmp_path.chmod(0o755)
    source, into = tmp_path / "rows.parquet", tmp_path / "mapped"
    frame.write_parquet(source)
    options = ["--country", str(COUNTRY), "--mapping", mapping.id, "--source", str(source), "--into", str(into)]
    told = spark.submit([*options, "--row", "place"], settings=SMALL)
    law = engines.run("python", mapping, pack, frame)
    diff = compare({"python": law.frame, "spark": engines.as_result(pl.read_parquet(into / "*.parquet"))})
    assert diff.different == 0, "\n".join(diff.lines())
    assert (told["rows"], told["verdicts"], told["unmapped"]) == (len(frame), dict(law.verdicts), pack.unmapped())
    assert told["version"] == pack.version(mapping.id)
    with pytest.raises(RuntimeError, match="PATH_ALREADY_EXISTS"):
        spark.submit([*options, "--row", "place"], seconds=120)  # never over what is there, and told before any work
    shutil.rmtree(into)
