"""Commands of the catalogue: harvest, apply, profile, suggest, crosswalk, harmonise.

Only `harvest`, `apply` and `harmonise --record` open the hub's database; the others work on files and registers alone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table as Grid

from kerege.catalogue.errors import TableEmpty
from kerege.catalogue.harvest import Harvest, Options, harvest_source
from kerege.catalogue.plans import Change, describe
from kerege.catalogue.profile import as_column, profile_table, sketch
from kerege.catalogue.sources import Source, Table, open_source
from kerege.catalogue.sources.base import pick
from kerege.cli.reading import reading_of, reading_options, split_source
from kerege.ground import clock


def _open(source: str, raw: dict[str, Any]) -> tuple[Source, Table]:
    text, tables = split_source(source)
    opened = open_source(text, reading_of(raw, tables))
    return opened, pick(opened, tables[0] if tables else None)


def _hub() -> None:
    """Django with its database ready; a fresh home folder gets its tables."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kerege.web.settings")
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    django.setup()
    if connection.vendor == "sqlite":
        Path(settings.HOME).mkdir(parents=True, exist_ok=True)
    if "catalogue_plan" not in connection.introspection.table_names():
        call_command("migrate", verbosity=0)


def _show_remarks(source: str, remarks: Iterable[tuple[str, str]]) -> None:
    for table, remark in remarks:
        click.echo(f"note     {source}, table {table}: {remark}.", err=True)
        click.echo("         If its sender counts the rows (#ROWS;<n>), read it with --counted.", err=True)


def _show_harvest(found: Harvest, seconds: float) -> None:
    _show_remarks(found.source, found.remarks)
    click.echo(
        f"{len(found.tables)} tables, {found.columns} columns read, {found.values_told} code values told, "
        f"no other values copied ({seconds:.1f} s)"
    )


def _show_changes(changes: Sequence[Change], most: int = 200) -> None:
    for change in changes[:most]:
        name = f"{change.table}.{change.column}" if change.column else change.table
        click.echo(f"{change.sign} {name:32} {change.kind}: {change.reason}")
    if len(changes) > most:
        click.echo(f"  and {len(changes) - most} more")


@click.command()
@click.argument("source", required=False)
@click.option(
    "--plan", "mode", flag_value="plan", default="plan", help="Read and store a plan; change nothing (default)."
)
@click.option("--apply", "plan_id", default="", metavar="PLAN", help="Apply a stored plan to the catalogue.")
@click.option("--list", "mode", flag_value="list", help="List the plans that wait.")
@click.option("--key", multiple=True, help="Column that names a record (repeat for several).")
@click.option("--share", multiple=True, help="Column whose values the owner allows into the catalogue.")
@click.option(
    "--k", type=click.IntRange(1), default=5, show_default=True, help="Values fewer records share are withheld."
)
@click.option("--accept-empty", is_flag=True, help="Take an empty delivery for what it is.")
@reading_options
def harvest(
    source: str | None,
    mode: str,
    plan_id: str,
    key: tuple[str, ...],
    share: tuple[str, ...],
    k: int,
    accept_empty: bool,
    **raw: Any,
) -> None:
    """Read a register and plan what the catalogue would learn; apply the plan later."""
    _hub()
    from kerege.catalogue import doings, queries
    from kerege.catalogue.models import Plan

    if plan_id:
        _applied(plan_id, source or "")
        return
    if mode == "list":
        for plan in Plan.objects.filter(status=Plan.OPEN).order_by("made_at"):
            view = queries.plan_view(plan)
            click.echo(f"{view.plan_id}  {clock.iso(view.made_at)}  {view.source}  {len(view.changes)} changes")
        return
    if not source:
        raise click.UsageError("Name a source: a file or a postgresql:// URL.")
    text, tables = split_source(source)
    options = Options(reading_of(raw, tables), k, share, key)
    began = time.perf_counter()
    with Console(stderr=True).status(f"reading {Path(text).name if '://' not in text else 'the register'}") as status:
        found = harvest_source(text, options, lambda name: status.update(f"reading {name}"))
    location = "" if "://" in text else str(Path(text).resolve())
    plan = doings.make_plan(found, options, clock.now(), location=location, accept_empty=accept_empty)
    changes = queries.plan_view(plan).changes
    _show_harvest(found, time.perf_counter() - began)
    _show_changes(changes)
    if not changes:
        click.echo("No difference to what the catalogue knows.")
    else:
        again = f" {source.partition('@')[0].split('//')[0]}//..." if "://" in text else ""
        click.echo(f"Nothing changed. Apply with: kerege apply {plan.plan_id}{again}")


@click.command(name="apply")
@click.argument("plan_id")
@click.argument("source", required=False, default="")
def apply_plan(plan_id: str, source: str) -> None:
    """Apply a harvest plan, if nothing changed since it was made."""
    _hub()
    _applied(plan_id, source)


def _applied(plan_id: str, source: str) -> None:
    from kerege.catalogue import doings

    changes = doings.apply_plan(plan_id, clock.now(), source=split_source(source)[0])
    _show_changes(changes)
    click.echo(f"Applied {plan_id}: {len(changes)} changes.")


@click.command()
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="The whole profile as JSON.")
@click.option("--share", multiple=True, help="Column whose values may be shown.")
@click.option("--key", multiple=True, help="Column that names a record; a repeated key is an error.")
@click.option(
    "--k", type=click.IntRange(1), default=5, show_default=True, help="Values fewer records share are withheld."
)
@reading_options
def profile(source: str, as_json: bool, share: tuple[str, ...], key: tuple[str, ...], k: int, **raw: Any) -> None:
    """Show what a register holds, in masks and counts; stores nothing."""
    text, tables = split_source(source)
    began = time.perf_counter()
    found = harvest_source(text, Options(reading_of(raw, tables), k, share, key))
    if as_json:
        _show_remarks(found.source, found.remarks)
        click.echo(json.dumps([t.as_dict() for t in found.tables], ensure_ascii=False, indent=1))
        return
    console = Console()
    for table in found.tables:
        note = f", sample of {table.rows}" if table.sampled else ""
        grid = Grid(
            "column",
            "what",
            "filled",
            "distinct",
            "length",
            "masks",
            "codes",
            title=f"{table.name}: {table.total_rows} rows{note}",
        )
        for f in table.fields:
            codes = ", ".join(f"{c} ({n})" for c, n in f.codes[:6]) + (
                f" and {len(f.codes) - 6} more" if len(f.codes) > 6 else ""
            )
            withheld = f" [{f.codes_withheld} withheld]" if f.codes_withheld else ""
            grid.add_row(
                f.name, describe(f), str(f.rows - f.nulls), str(f.distinct), f"{f.min_length}-{f.max_length}",
                "  ".join(f"{m} {n / 10:.0f}%" for m, n in f.masks[:3]), (codes + withheld).replace("[", "\\["),
            )  # fmt: skip
        console.print(grid)
    if any(f.codes_withheld for table in found.tables for f in table.fields):
        click.echo(
            f"[n withheld]: n more values that fewer than {k} records share, which could tell of a person; see --k."
        )
    _show_harvest(found, time.perf_counter() - began)


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="Candidates per column.")
@click.option("--json", "as_json", is_flag=True)
@reading_options
def suggest(source: str, target: str, top: int, as_json: bool, **raw: Any) -> None:
    """Suggest which columns of SOURCE mean which columns of TARGET (compares values only as keyed hashes, kept by nobody)."""
    from kerege.semantics.suggest_columns import suggest_columns

    key = os.urandom(16)
    left, right = _columns(source, key, raw), _columns(target, key, raw)
    found = suggest_columns(left, right, top=top)
    if as_json:
        lines = []
        for s in found:
            told = [
                {"column": c.column, "table": c.table, "score": c.score, "why": dict(c.witnesses)} for c in s.candidates
            ]
            lines.append({"column": s.column, "table": s.table, "candidates": told})
        click.echo(json.dumps(lines, ensure_ascii=False, indent=1))
        return
    for s in found:
        click.echo(f"{s.table}.{s.column}")
        for c in s.candidates:
            why = ", ".join(f"{w} {v:.2f}" for w, v in c.witnesses[:3])
            click.echo(f"    {c.score:.2f}  {c.table}.{c.column}  ({why})")
    click.echo("Suggestions only: a person decides which are right.")


def _columns(source: str, key: bytes, raw: dict[str, Any]) -> list[Any]:
    text, tables = split_source(source)
    opened = open_source(text, reading_of(raw, tables))
    columns = []
    for table in opened.tables():
        rows = list(table.rows())
        if not rows:
            continue
        found = profile_table(
            table.name,
            table.heads,
            enumerate(rows),
            total_rows=table.total_rows,
            sampled=table.sampled,
            source=opened.name,
        )
        columns += [
            as_column(f, table.name, sketch(values, key))
            for f, values in zip(found.fields, zip(*rows, strict=True), strict=True)
        ]
    if not columns:
        raise TableEmpty(source=opened.name, table=tables[0] if tables else "any", before="")
    return columns


@click.group()
def crosswalk() -> None:
    """Suggest, review and write crosswalks between two code lists (SSSOM TSV)."""


@crosswalk.command("suggest")
@click.argument("source")
@click.argument("target")
@click.option("--code", required=True, help="Column of SOURCE that holds the code.")
@click.option("--label", default="", help="Column of SOURCE that holds its label.")
@click.option("--parent", default="", help="Column of SOURCE that holds the parent's code.")
@click.option("--kind", default="", help="Column of SOURCE that says what the code is (district, village, ...).")
@click.option("--to-code", required=True, help="Column of TARGET that holds the code.")
@click.option("--to-label", default="", help="Column of TARGET that holds its label.")
@click.option("--to-also", multiple=True, help="Further label columns of TARGET (other languages, long names).")
@click.option("--to-parent", default="", help="Column of TARGET that holds the parent's code.")
@click.option("--to-kind", default="", help="Column of TARGET that says what the code is.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="New SSSOM TSV file.")
@click.option("--id", "crosswalk_id", default="", help="Identifier of the crosswalk; default: the file's name.")
@click.option("--merge-labels", is_flag=True, help="One code with two labels names one thing (two languages).")
@click.option("--policy", default="quarantine", show_default=True, help="What happens to an unmapped code.")
@reading_options
def crosswalk_suggest(
    source: str, target: str, code: str, label: str, parent: str, kind: str, to_code: str, to_label: str, to_also: tuple[str, ...],
    to_parent: str, to_kind: str, out: Path, crosswalk_id: str, merge_labels: bool, policy: str, **raw: Any,
) -> None:  # fmt: skip
    """Suggest a crosswalk from SOURCE's codes to TARGET's and write it; what is not sure stays open in it."""
    from kerege.catalogue import crosswalks
    from kerege.semantics.suggest_codes import suggest_codes

    left, left_table = _open(source, raw)
    right, right_table = _open(target, raw)
    own = crosswalks.code_rows(
        left.name, left_table, code, label=label, parent=parent, kind=kind, merge_labels=merge_labels
    )
    theirs = crosswalks.code_rows(
        right.name,
        right_table,
        to_code,
        label=to_label,
        parent=to_parent,
        kind=to_kind,
        also=to_also,
        merge_labels=merge_labels,
    )
    suggestions = suggest_codes(own, theirs)
    name = crosswalk_id or out.name.removesuffix(".tsv").removesuffix(".sssom")
    made = crosswalks.crosswalk_from(
        name, own, theirs, suggestions, policy=_policy(policy), subject_source=left.name, object_source=right.name
    )
    crosswalks.write(made, out)
    queue = crosswalks.open_codes(made)
    alone = sum(all(row.object is None for row in rows) for rows in queue.values())
    click.echo(f"{len(made.rows) - sum(map(len, queue.values())):6} accepted")
    click.echo(f"{len(queue):6} open" + (f" ({alone} with nothing alike)" if alone else ""))
    click.echo(f"Written: {out}." + (f" See the open ones with: kerege crosswalk open {out}" if queue else ""))


def _policy(text: str) -> str:
    from kerege.semantics.crosswalk import Policy

    try:
        return str(Policy.parse(text))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--policy") from error


@crosswalk.command("open")
@click.argument("file", type=click.Path(path_type=Path))
def crosswalk_open(file: Path) -> None:
    """Show the codes nobody settled yet, with their candidates."""
    from kerege.catalogue import crosswalks

    queue = crosswalks.open_codes(crosswalks.read(file))
    for code, rows in queue.items():
        click.echo(f"{code}  {rows[0].subject_label}  ({rows[0].comment.removeprefix('open: ')})")
        for row in rows:
            if row.object is not None:
                click.echo(f"    {row.confidence or 0:.2f}  {row.object}  {row.object_label}")
    click.echo(f"{len(queue)} open.")


@crosswalk.command("accept")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("code")
@click.argument("target")
@click.option("--by", required=True, help="Post or unit that decides.")
@click.option("--new-target", is_flag=True, help="TARGET is meant although the file names it nowhere yet.")
def crosswalk_accept(file: Path, code: str, target: str, by: str, new_target: bool) -> None:
    """Say that CODE means TARGET."""
    from kerege.catalogue import crosswalks

    walk = crosswalks.read(file)
    crosswalks.write(crosswalks.accept(walk, code, target, by, new_target=new_target), file, replace_file=True)
    if not any(row.subject == code for row in walk.rows):
        click.echo(f"note     {file} had no code {code} before.", err=True)
    click.echo(f"{code} -> {target}, said by {by}.")


@crosswalk.command("refuse")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("code")
@click.argument("target", required=False)
@click.option("--by", required=True, help="Post or unit that decides.")
def crosswalk_refuse(file: Path, code: str, target: str | None, by: str) -> None:
    """Say that CODE does not mean TARGET; without TARGET, that it has no counterpart."""
    from kerege.catalogue import crosswalks

    crosswalks.write(crosswalks.refuse(crosswalks.read(file), code, target, by), file, replace_file=True)
    click.echo(f"{code} is not {target}, said by {by}." if target else f"{code} has no counterpart, said by {by}.")


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
@click.option("--key", multiple=True, help="Column that names a record; a repeated key stops the run.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--record", is_flag=True, help="Record unmapped codes as findings in the catalogue.")
@reading_options
def harmonise(
    source: str, pairs: tuple[str, ...], mapping: str, out: Path, policy: str, key: tuple[str, ...], as_json: bool, record: bool, **raw: Any,
) -> None:  # fmt: skip
    """Translate SOURCE into a new file, by crosswalks or by a mapping, with a count for every unmapped code."""
    from kerege.catalogue import crosswalks
    from kerege.catalogue import harmonise as engine

    if bool(pairs) == bool(mapping):
        raise click.UsageError("Give either --column COLUMN:CROSSWALK or --mapping ID.")
    raw["rows"] = 1 << 62  # a file is translated whole
    if mapping:
        _map(source, mapping, out, as_json, raw)
        return
    steps = []
    for pair in pairs:
        column, _, file = pair.partition(":")
        name, _, new = column.partition("=")
        if not file:
            raise click.BadParameter("write COLUMN:CROSSWALK or COLUMN=NEW:CROSSWALK", param_hint="--column")
        walk = crosswalks.read(Path(file))
        walk = engine.with_policy(walk, _policy(policy)) if policy else walk
        steps.append(engine.Step(name, walk, new or name, file))
    opened, table = _open(source, raw)
    report = engine.harmonise(opened, table, steps, out, key=key)
    _show_remarks(opened.name, opened.remarks.items())
    if record:
        _record(opened.name, table.name, report)
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False, indent=1))
        return
    click.echo(
        f"{report.read} rows read, {report.written} written ({report.flagged} flagged), {report.quarantined} put aside"
    )
    for step in report.steps:
        click.echo(
            f"{step.column}: {step.mapped} mapped, {step.empty} empty, {step.unmapped.total()} unmapped (policy {step.policy})"
        )
        for value, n in step.unmapped.most_common(20):
            click.echo(f"    {n:8}  {value[:40]}")
    if report.quarantined:
        click.echo(f"Put aside: {engine.quarantine_path(out)}")


def _map(source: str, mapping: str, out: Path, as_json: bool, raw: dict[str, Any]) -> None:
    import kerege.country
    from kerege.catalogue.mapped import map_table
    from kerege.ground import settings
    from kerege.semantics.pack import load_pack

    folder = Path(next(iter(kerege.country.__path__))) / settings.get("country")
    data = settings.get("country_data")
    pack = load_pack(folder, data_dir=Path(data) if data else None)
    raw["counted"] = raw["counted"] or bool(pack.mapping(mapping).source.trailer)
    opened, table = _open(source, raw)
    report = map_table(opened, table, pack, mapping, out)
    _show_remarks(opened.name, opened.remarks.items())
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False, indent=1))
        return
    verdicts = ", ".join(f"{n} {v}" for v, n in sorted(report.verdicts.items()))
    click.echo(f"{report.read} records read by {report.mapping} {report.version}: {verdicts}")
    for (name, code), n in report.problems.most_common():
        click.echo(f"    {n:8}  {name}: {code}")
    for (name, code), n in report.unmapped.most_common(20):
        click.echo(f"    {n:8}  {name}: unmapped {code}")


def _record(source: str, table: str, report: Any) -> None:
    _hub()
    from kerege.catalogue import doings

    new = [
        doings.NewFinding("code-unknown", n, step.column, f"{value[:40]} has no target in {step.crosswalk}")
        for step in report.steps
        for value, n in step.unmapped.most_common(200)
    ]
    doings.record_findings(source, table, new, clock.now(), found_by="harmonise")
