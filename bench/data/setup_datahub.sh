#!/bin/sh
# A virtual environment of DataHub's own, for bench/data/profiling.py to measure beside ours what profiling costs the register.
# It lies in .venv/outside-datahub (git-ignored). Neither is used by Kerege itself.
set -eu
PY="${PY:-python3.11}"
HERE="$(cd "$(dirname "$0")/../.." && pwd)/.venv/outside-datahub"
[ -f "$HERE/.ready" ] && exit 0
"$PY" -m venv "$HERE"
"$HERE/bin/python" -m pip install -q "acryl-datahub[postgres]==1.7.0.17"
touch "$HERE/.ready"
echo "$HERE: acryl-datahub 1.7.0.17"
