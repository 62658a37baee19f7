"""The program to submit to a Spark cluster: one mapping over Parquet files, into Parquet files.

    spark-submit --master spark://HOST:7077 spark_job.py --country FOLDER --mapping ID --source IN --into OUT

Prints one JSON line: rows, verdicts, problems per field and code, unmapped codes per crosswalk. No value of the register leaves the cluster but
unmapped codes, which a steward must see. `--into` must not be there yet: a half result never stands under a whole one's name. How to go
to a real cluster, with what on which machine: docs/how-to/spark.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kerege.semantics.engines.emit_spark import compile_spark
from kerege.semantics.pack import load_pack


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="spark_job", description="One mapping over Parquet files on Spark.")
    parser.add_argument("--country", type=Path, required=True, help="the country pack's folder")
    parser.add_argument("--country-data", type=Path, help="folder with the full soate.csv")
    parser.add_argument("--overlay", type=Path, help="folder with the installation's own crosswalks")
    parser.add_argument("--mapping", required=True, help="the mapping's id")
    parser.add_argument("--source", required=True, help="Parquet files that every executor can read: a path or URL")
    parser.add_argument("--into", required=True, help="where the result's Parquet files go; must not be there")
    parser.add_argument("--row", help="column that is the row's place or number; without it the place as read")
    return parser


def run(spark: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Map, write and count; the counts as a document."""
    _refuse_taken(spark, options.into)
    pack = load_pack(options.country, data_dir=options.country_data, overlay=options.overlay)
    table = compile_spark(pack.mapping(options.mapping), pack)
    done = table.run(spark.read.parquet(options.source), row=options.row)
    done.frame.write.mode("error").parquet(options.into)
    done.frame.unpersist()
    problems: dict[str, dict[str, int]] = {}
    for (field, code), times in sorted(done.problems.items()):
        problems.setdefault(field, {})[code] = times
    return {
        "mapping": options.mapping,
        "version": pack.version(options.mapping),
        "rows": done.rows,
        "verdicts": dict(done.verdicts),
        "problems": problems,
        "unmapped": pack.unmapped(),
    }


def _refuse_taken(spark: Any, into: str) -> None:
    """Before hours of work, not after them: the writer would refuse it too."""
    path = spark._jvm.org.apache.hadoop.fs.Path(into)
    if path.getFileSystem(spark._jsc.hadoopConfiguration()).exists(path):
        raise SystemExit(f"PATH_ALREADY_EXISTS: --into {into} is there; a result is never written over another")


def main() -> int:
    options = arguments().parse_args()
    from pyspark.sql import SparkSession  # type: ignore[import-not-found]

    spark = SparkSession.builder.appName(f"kerege {options.mapping}").getOrCreate()
    try:
        sys.stdout.write(json.dumps(run(spark, options), ensure_ascii=False) + "\n")
    finally:
        spark.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
