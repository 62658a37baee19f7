#!/bin/sh
# LinkML-Map in a virtual environment of its own, .venv/outside-linkml (git-ignored): the peer that bench/data/mapping.py measures beside Spinta.
set -eu
PY="${PY:-python3.11}"
HERE="$(cd "$(dirname "$0")/../.." && pwd)/.venv/outside-linkml"
[ -f "$HERE/.ready" ] && exit 0
"$PY" -m venv "$HERE"
"$HERE/bin/python" -m pip install -q "linkml-map==0.5.4" "orjson"
touch "$HERE/.ready"
echo "$HERE: linkml-map 0.5.4"
