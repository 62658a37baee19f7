"""`kerege harmonise`: a register's table translated into a new file, by crosswalks or by a mapping of the country pack.

Works on files and registers alone; only `--record` opens the hub's database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerege.cli.engines import engine_options, mapping_engine
from kerege.cli.reading import open_table, policy_of, reading_options, show_remarks
from kerege.cli.telling import counted
from kerege.ground import clock
from kerege.web.installation import open_database

if TYPE_CHECKING:
    from kerege.catalogue.sources import Source, Table
    from kerege.semantics.crosswalks.sssom import Crosswalk


@click.command()
@click.argument("source")
@click.option(
    "--column",
    "pairs",
    multiple=True,
    metavar="COLUMN[=NEW]:CROSSWALK",
    help="Translate COLUMN by a crosswalk file (repeat).",
)
@click.option("--mapping", default="", metavar="ID", help="Run a whole mapping of the country pack instead.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="New CSV file.")
@click.option("--policy", default="", help="Policy for unmapped codes instead of the crosswalk's own.")
@click.option(
    "--as-of",
    default="",
    metavar="COLUMN",
    help="Column of the record's date, or one day (yyyy-mm-dd), for crosswalks with validity.",
)
@click.option(
    "--given",
    "cells",
    multiple=True,
    metavar="NAME=COLUMN",
    help="Column of a cell that a crosswalk's conditions name otherwise (repeat).",
)
@click.option("--key", multiple=True, help="Column that names a record; a repeated key stops the run.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--record", is_flag=True, help="Record unmapped codes as findings in the catalogue.")
@engine_options
@reading_options
def harmonise(
    source: str, pairs: tuple[str, ...], mapping: str, out: Path, policy: str, as_of: str, cells: tuple[str, ...], key: tuple[str, ...],
    as_json: bool, record: bool, engine: str, database: str, **raw: Any,
) -> None:  # fmt: skip
    """Translate SOURCE into a new file, by crosswalks or by a mapping, with a count for every unmapped code."""
    from kerege.catalogue.codes import crosswalks
    from kerege.catalogue.mappings import harmonise as crosswalking

    if bool(pairs) == bool(mapping):
        raise click.UsageError("Give either --column COLUMN:CROSSWALK or --mapping ID.")
    raw["rows"] = raw["sample"] = 1 << 62  # a file is translated whole
    if mapping and (as_of or cells):
        raise click.UsageError("--as-of and --given are for --column; a mapping says itself which cells it reads.")
    if mapping:
        _map(source, mapping, out, as_json, raw, (engine, database), record)
        return
    if engine != "auto" or database:
        raise click.UsageError("--engine and --database are for --mapping; crosswalks have one engine.")
    steps = []
    for pair in pairs:
        column, _, file = pair.partition(":")
        name, _, new = column.partition("=")
        if not file:
            raise click.BadParameter("write COLUMN:CROSSWALK or COLUMN=NEW:CROSSWALK", param_hint="--column")
        walk = crosswalks.read(Path(file))
        walk = crosswalking.with_policy(walk, policy_of(policy)) if policy else walk
        steps.append(crosswalking.Step(name, walk, new or name, file))
    if any("=" not in pair for pair in cells):
        raise click.BadParameter("write NAME=COLUMN", param_hint="--given")
    given = crosswalking.Given(as_of, dict(pair.split("=", 1) for pair in cells))
    opened, table = open_table(source, raw)
    if record:
        _require_known(opened, table)
    report = crosswalking.harmonise(opened, table, steps, out, key=key, given=given)
    show_remarks(opened.name, opened.remarks.items())
    if record:
        for done, count in zip(steps, report.steps, strict=True):
            values = count.mapped + count.unmapped.total() + count.undecided.total()
            _record(opened, table, done.column, done.crosswalk, count.unmapped, values, bool(count.undecided))
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False, indent=1))
        return
    click.echo(
        f"{counted(report.read, 'row')} read, {report.written} written ({report.flagged} flagged), {report.quarantined} put aside"
    )
    for step in report.steps:
        click.echo(
            f"{step.column}: {step.mapped} mapped, {step.empty} empty, {step.unmapped.total()} unmapped (policy {step.policy})"
        )
        for why, n in sorted(step.undecided.items()):
            click.echo(f"    {n:8}  known code, {why}")
        for value, n in step.unmapped.most_common(20):
            click.echo(f"    {n:8}  {value[:40]}")
    if report.quarantined:
        click.echo(f"Put aside: {crosswalking.quarantine_path(out)}")


def _map(
    source: str, mapping: str, out: Path, as_json: bool, raw: dict[str, Any], by: tuple[str, str], record: bool
) -> None:
    import kerege.country
    from kerege.catalogue.mappings.mapped import map_table
    from kerege.ground import settings
    from kerege.semantics.pack import load_pack

    folder = Path(next(iter(kerege.country.__path__))) / settings.get("country")
    data = settings.get("country_data")
    pack = load_pack(folder, data_dir=Path(data) if data else None)
    raw["counted"] = raw["counted"] or bool(pack.mapping(mapping).source.trailer)
    opened, table = open_table(source, raw)
    if record:
        _require_known(opened, table)
    with mapping_engine(*by, source) as made:
        batches = made(pack, mapping)
        report = map_table(opened, table, pack, mapping, out, batches)
    show_remarks(opened.name, opened.remarks.items())
    if record:
        for (crosswalk, column), codes in report.recoded.items():
            _record(opened, table, column, pack.crosswalk(crosswalk), codes, report.filled[column])
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False, indent=1))
        return
    verdicts = ", ".join(f"{n} {v}" for v, n in sorted(report.verdicts.items()))
    click.echo(f"{counted(report.read, 'record')} read by {report.mapping} {report.version}: {verdicts}")
    click.echo(f"Mapped: {batches.told()}")
    for (name, code), n in report.problems.most_common():
        click.echo(f"    {n:8}  {name}: {code}")
    for (name, code), n in report.unmapped.most_common(20):
        click.echo(f"    {n:8}  {name}: unmapped {code}")


def _require_known(source: Source, table: Table) -> None:
    """Codes are recorded of what the catalogue knows; asked before a long run."""
    open_database()
    from kerege.catalogue.inventory import doings

    doings.record_findings(source.name, table.name, (), clock.now(), found_by="harmonise")


def _record(
    source: Source, table: Table, column: str, crosswalk: Crosswalk, codes: Mapping[str, int], values: int, undecided: bool = False,
) -> None:  # fmt: skip
    """Keep the codes that `crosswalk` did not know among `values` of `column`. A whole run of the one in force settles what it met no more."""
    from kerege.catalogue.codes.unmapped import keep_unmapped, speaks

    whole = values and not table.sampled and table.name not in source.cut and speaks(crosswalk)
    keep_unmapped(
        crosswalk.id, "", f"{source.name}#{table.name}.{column}", codes, clock.now(),
        whole=f"not met among the {counted(values, 'value')} of a whole run" if whole else "", ran=crosswalk, undecided=undecided,
    )  # fmt: skip
