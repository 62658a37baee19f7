#!/bin/sh
# A virtual environment of its own for Apache Spark (.venv/outside-spark): PySpark brings the whole of Spark, and Java 17 or later must be there.
# Called by `make spark`; tests and benches that need it say "not there: make spark".
set -eu
PY="${PY:-python3.11}"
ROOT="$(cd "$(dirname "$0")/.." && pwd)"
HERE="$ROOT/.venv/outside-spark"
command -v java >/dev/null || { echo "Spark needs Java 17 or later: apt-get install openjdk-17-jre-headless" >&2; exit 1; }
[ -f "$HERE/.ready" ] && exit 0
"$PY" -m venv "$HERE"
# What the semantics engine itself imports, in the versions of the project's own lock file.
sed -n 's/^\([a-z0-9._-]*==[^ ;]*\).*/\1/p' "$ROOT/requirements/lock.txt" > "$HERE/constraints.txt"
"$HERE/bin/python" -m pip install -q -c "$HERE/constraints.txt" pyarrow pandas numpy duckdb orjson lxml pyyaml phonenumbers pyoxigraph rapidfuzz python-stdnum jsonschema-rs psutil
"$HERE/bin/python" -m pip install -q "pyspark==4.3.0"
printf '%s\n' "$ROOT/src" > "$HERE/lib/python3.11/site-packages/kerege.pth"
touch "$HERE/.ready"
echo "$HERE: pyspark"
