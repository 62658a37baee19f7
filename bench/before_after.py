"""`docs/before-and-after.md`, written from measured figures: a simulated pair of a million records whose truth is known, and a run of the demo.

    python bench/before_after.py --demo FIGURES.json [--rows 1000000]

FIGURES.json is what `kerege demo --once --json FIGURES.json` wrote. CPU seconds are of this process, all threads.
"""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from kerege.demo.pairs import agencies
from kerege.reconcile import bulk, workload
from kerege.reconcile.compare import CLASSES

PAGE = Path(__file__).parents[1] / "docs" / "before-and-after.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, required=True, help="what `kerege demo --once --json FILE` wrote")
    parser.add_argument("--rows", type=int, default=1_000_000, help="records of the simulated pair")
    parser.add_argument("--out", type=Path, default=PAGE, help="where the page goes")
    options = parser.parse_args()
    figures = json.loads(options.demo.read_text(encoding="utf-8"))
    page = "\n".join([HEAD, *simulated(options.rows), "", *of_demo(figures), ""])
    aside = options.out.with_suffix(".new")
    aside.write_text(page, encoding="utf-8")
    aside.replace(options.out)
    print(f"{options.out} written")


HEAD = """# The work of reconciling, before and after

Written by `bench/before_after.py` from measured figures; do not edit by hand. *Before*: what a careful script over the values as the registers write
them would send to a person (trimmed, capitals aside). *After*: what is left once values are harmonised. *True*: flagged and really different.
*Missed*: really different and not flagged. *Not comparable*: a code without counterpart, or a value nobody can read; a number of its own, because a
missing mapping would else look like success. What each class means: [reference](reference/reconcile.md).
"""


def simulated(rows: int) -> Iterable[str]:
    """The pair with injected truth, compared in bulk."""
    connection = duckdb.connect()
    differing = agencies.tables(connection, rows)
    compared = agencies.compared_fields()
    left, right = agencies.sides(agencies.pack())
    began = _cpu()
    result = bulk.compare_tables(connection, left, right, "links", compared.pairs[0], compared, into="compared")
    middle = _cpu()
    measured = workload.of_table(connection, "compared", left.register, right.register, result.fields, "truth")
    done = _cpu()
    yield f"## A pair of {rows:,} records, conflicts put in on purpose\n"
    yield (
        "An agency's table with conventions of the nineties beside the register of record; in half a per cent of records each the given "
        "name, date of birth, marital status or district\nreally differs, and one marital code was never mapped (`kerege.demo.pairs.agencies`). "
        f"{differing:,} fields really differ. Mapping both tables and comparing them took\n{middle - began:.1f} CPU-seconds, counting "
        f"{done - middle:.1f}.\n"
    )
    yield from _table([(m.field or "**records**", m.as_dict()) for m in measured])
    yield "\nEnded in which class:\n"
    counts = {name: {cls: result.tallies[name, cls] for cls in CLASSES} for name in result.fields}
    yield from _classes(counts)


def of_demo(figures: dict[str, Any]) -> Iterable[str]:
    """The demo's run: who decides, and the work by pair of registers."""
    total = figures["applications"]
    yield f"## The demo: {total:,} applications to grade 1, seed {figures['seed']}\n"
    yield "| | integration only | data first |"
    yield "|---|---:|---:|"
    names = {
        "straight_through": "decided straight through", "manual": "sent to manual reconciliation",
        "asked_again": "asked the citizen again", "wrong_automatic": "wrong automatic decisions",
    }  # fmt: skip
    for key, name in names.items():
        cells = [
            f"{figures[way][key]:,} ({100 * figures[way][key] / total:.1f} %)"
            for way in ("integration_only", "data_first")
        ]
        yield f"| {name} | {cells[0]} | {cells[1]} |"
    yield "\nWhole records by pair of registers, service `grade1-admission`. The demo knows the truth of decisions (above), not of every field in"
    yield "every register, so true and missed are not told here:\n"
    rows = [(f"{m['left']} ~ {m['right']}", m) for m in figures["workload"] if not m["field"]]
    yield from _table(rows)
    yield "\nFields over all pairs, by class. The demo's registers send no earlier values, so an address that was left unchanged after a move is a"
    yield "conflict there, not a stale copy:\n"
    yield from _classes(figures["fields"])


def _table(rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterable[str]:
    yield "| | compared | flagged before | flagged after | true before | true after | missed before | missed after | not comparable |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for name, m in rows:
        before, after = m["before"], m["after"]
        cells = [m["compared"]]
        cells += [way[key] for key in ("flagged", "true", "missed") for way in (before, after)]
        cells.append(after["not_comparable"])
        yield f"| {name} | " + " | ".join("not known" if c is None else f"{c:,}" for c in cells) + " |"


def _classes(counts: dict[str, dict[str, int]]) -> Iterable[str]:
    yield "| field | " + " | ".join(name.replace("_", " ") for name in CLASSES) + " |"
    yield "|---|" + "---:|" * len(CLASSES)
    for field, found in counts.items():
        yield f"| {field} | " + " | ".join(f"{found.get(cls, 0):,}" for cls in CLASSES) + " |"


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
