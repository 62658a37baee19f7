#!/bin/sh
# Other people's tools for code lists and crosswalks, for tests/outside: skosify (SKOS), sssom (SSSOM), pysdmx (SDMX). They lie in
# .venv/outside-codes (git-ignored). skosify is of 2021 and reads with any rdflib; versions are those the tests were written with.
set -eu
PY="${PY:-python3.11}"
HERE="$(cd "$(dirname "$0")/../.." && pwd)/.venv/outside-codes"
mkdir -p "$HERE"
make_one() {
    name="$1"; shift
    [ -f "$HERE/$name/.ready" ] && return 0
    "$PY" -m venv "$HERE/$name"
    "$HERE/$name/bin/python" -m pip install -q "$@"
    touch "$HERE/$name/.ready"
    echo "$HERE/$name: $*"
}
make_one skosify "skosify==2.3.0" "setuptools<81"
make_one sssom "sssom==0.4.21"
make_one sdmx "pysdmx[xml,json]==1.21.0"
