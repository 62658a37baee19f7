"""For tests and benches only: map with a mapping and pack made in Python, which have no files. Arguments: pickle, source, into.

The pickle is one we wrote a moment before; what a country runs is `spark_job`, which reads the pack's own files.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from kerege.semantics.engines.emit_spark import compile_spark

given, source, into = sys.argv[1:4]
mapping, pack = pickle.loads(Path(given).read_bytes())  # noqa: S301 - our own, of a moment before
spark = SparkSession.builder.appName("kerege").getOrCreate()
done = compile_spark(mapping, pack).run(spark.read.parquet(source), row="_place")
done.frame.write.parquet(into)
unmapped = {name: dict(pack.crosswalk(name).unmapped) for name in mapping.crosswalks}
sys.stdout.write(json.dumps({"rows": done.rows, "verdicts": dict(done.verdicts), "unmapped": unmapped}) + "\n")
spark.stop()
