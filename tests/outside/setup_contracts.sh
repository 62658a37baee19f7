#!/bin/sh
# Virtual environments of two tools that check data against contracts, as counting oracles for ours (tests/outside/test_contract_oracles.py).
# Each has its own: datacontract-cli pins a DuckDB older than ours. Neither is used by Kerege itself.
set -eu
PY="${PY:-python3.11}"
HERE="$(cd "$(dirname "$0")/../.." && pwd)/.venv"
make_one() {
    name="$1"; shift
    [ -f "$HERE/outside-$name/.ready" ] && return 0
    "$PY" -m venv "$HERE/outside-$name"
    "$HERE/outside-$name/bin/python" -m pip install -q "$@"
    touch "$HERE/outside-$name/.ready"
    echo "$HERE/outside-$name: $*"
}
make_one gx "great_expectations==1.24.0" "pandas" "pyarrow"
make_one datacontract "datacontract-cli[duckdb]==1.2.8"
