#!/bin/sh
# A virtual environment for Schemathesis, which asks every address of /api/v1/ what its OpenAPI document does not promise
# (tests/outside/api_schemathesis.py). It is not used by Kerege itself.
set -eu
PY="${PY:-python3.11}"
HERE="$(cd "$(dirname "$0")/../.." && pwd)/.venv/outside-schemathesis"
[ -f "$HERE/.ready" ] && exit 0
"$PY" -m venv "$HERE"
"$HERE/bin/python" -m pip install -q "schemathesis==4.32.5"
touch "$HERE/.ready"
echo "$HERE: schemathesis"
