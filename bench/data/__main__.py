"""`make bench-data`: what the data side costs, beside peers and the floor, in one run.

Each part is a module of this folder with `run(quick: bool) -> dict[str, float | None]`: it prints its own table and gives its figures; None
where something it needs is not there, which it says. The last line is one JSON object of all of them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

PARTS = {
    "mapping": ("duckdb_vs_hand_sql", "vs_spinta", "vs_linkml_map", "message_us"),
    "profiling": ("profile_source_cpu_s",),
    "linkage": ("febrl4_no_id_f1",),
    "engines": ("engine_cell_diffs",),
    "search": ("search_p95_ms", "dcat_check_cpu_s"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="parts, with commas between them: " + ", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="small tables, to see that it runs; no figures to quote")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(PARTS)
    result: dict[str, float | None] = {}
    for name in chosen:
        print(f"\n=== {name}", flush=True)
        found = importlib.import_module(f"bench.data.{name}").run(options.quick)
        result |= {key: found.get(key) for key in PARTS[name]}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
