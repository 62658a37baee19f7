#!/bin/sh
# sh fuzz/run.sh [SECONDS]: every fuzz target for that long (60), one after the other, or those named in TARGETS. atheris lives in an environment of its own
# (.venv/outside/fuzz, git-ignored), which sees the project's packages. Status 1 when anything was found; inputs are then in var/fuzz.
set -u
PY="${PY:-python3.11}"
SECONDS_EACH="${1:-60}"
ROOT="$(cd "$(dirname "$0")/.." && pwd)"
VENV="$ROOT/.venv/outside/fuzz"
OUT="$ROOT/var/fuzz"
mkdir -p "$ROOT/.venv/outside" "$OUT"
if [ ! -f "$VENV/.ready" ]; then
    "$PY" -m venv "$VENV" && "$VENV/bin/python" -m pip install -q "atheris==3.0.0" || exit 2
    touch "$VENV/.ready"
fi
"$ROOT/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
    > "$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/kerege.pth"
export PYTHONPATH="$ROOT/src"
NAMES="${TARGETS:-$("$VENV/bin/python" -c "import sys; sys.path.insert(0, '$ROOT/fuzz'); import targets; print(*targets.TARGETS)")}"
[ -n "$NAMES" ] || exit 2
found=0
for name in $NAMES; do
    if "$VENV/bin/python" "$ROOT/fuzz/one.py" "$name" "$SECONDS_EACH" "$OUT" > "$OUT/$name.log" 2>&1; then
        echo "$name: nothing found in $SECONDS_EACH s"
    else
        found=1
        echo "$name: FOUND, see $OUT/$name.log and the inputs beside it"
        grep -m1 -A12 'Uncaught Python exception' "$OUT/$name.log" || tail -5 "$OUT/$name.log"
    fi
done
exit $found
