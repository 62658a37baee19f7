#!/bin/sh
# Virtual environments of other people's X-Road libraries, each its own: their dependencies fit neither each other nor ours.
# They lie in .venv/outside (git-ignored). Versions are those the tests were written with; pydantic-xml later than 2.11 breaks the provider library.
set -eu
PY="${PY:-python3.11}"
HERE="$(cd "$(dirname "$0")/../.." && pwd)/.venv/outside"
mkdir -p "$HERE"
make_one() {
    name="$1"; shift
    [ -f "$HERE/$name/.ready" ] && return 0
    "$PY" -m venv "$HERE/$name"
    "$HERE/$name/bin/python" -m pip install -q "$@"
    touch "$HERE/$name/.ready"
    echo "$HERE/$name: $*"
}
make_one pyxroad "pyxroad==1.5.11" "zeep==4.3.3" "lxml>=6.1,<7"
make_one provider "fastapi-xroad-soap==0.4.7" "pydantic-xml==2.11.0" "pydantic==2.8.2" "lxml>=5.2,<6" "uvicorn==0.39.0"
