#!/bin/sh
# A virtual environment of Spinta's own (Lithuania's data agent), for the tests of the DSA manifest and for the bench beside it.
# It lies in .venv/outside-spinta (git-ignored); its dependencies do not fit ours. uvicorn is needed to serve, and Spinta does not ask for it.
set -eu
PY="${PY:-python3.11}"
HERE="$(cd "$(dirname "$0")/../.." && pwd)/.venv/outside-spinta"
[ -f "$HERE/.ready" ] && exit 0
"$PY" -m venv "$HERE"
"$HERE/bin/python" -m pip install -q "spinta==1.3.1" "uvicorn>=0.39,<1" "httpx>=0.27,<1"
touch "$HERE/.ready"
echo "$HERE: spinta==1.3.1"
