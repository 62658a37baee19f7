"""Commands of the catalogue: harvest, apply, usage, findings, profile, suggest (`crosswalk` and `harmonise` are modules of their own).

Only `harvest`, `apply`, `usage` and `findings` open the hub's database; the others work on files and registers alone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table as Grid

from kerege.catalogue.errors import TableEmpty
from kerege.catalogue.inventory.harvest import Harvest, Options, harvest_source
from kerege.catalogue.inventory.plans import Change, describe
from kerege.catalogue.inventory.profile import as_column, profile_table, sketch
from kerege.catalogue.sources import Reading, open_source
from kerege.cli.reading import (
    counted,
    printable,
    reading_of,
    reading_options,
    show_remarks,
    split_source,
)
from kerege.ground import clock
from kerege.web.installation import open_database


def _show_harvest(found: Harvest, seconds: float) -> None:
    show_remarks(found.source, found.remarks)
    click.echo(
        f"{counted(len(found.tables), 'table')}, {counted(found.columns, 'column')} read, {counted(found.values_told, 'code value')} told, "
        f"no other values copied ({seconds:.1f} s)"
    )
    click.echo(f"cost to the source: {found.cost.text}")
    if found.usage:
        consumers = {u.consumer for u in found.usage}
        calls = sum(u.calls for u in found.usage)
        click.echo(f"{counted(calls, 'call')} by {counted(len(consumers), 'consumer')} counted, names of fields only")


def _show_changes(changes: Sequence[Change], most: int = 200) -> None:
    for change in changes[:most]:
        name = printable(f"{change.table}.{change.column}" if change.column else change.table)
        click.echo(f"{change.sign} {name:32} {change.kind}: {printable(change.reason)}")
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
@click.option("--json", "as_json", is_flag=True, help="The plan, and what it cost the source, as JSON.")
@reading_options
def harvest(
    source: str | None,
    mode: str,
    plan_id: str,
    key: tuple[str, ...],
    share: tuple[str, ...],
    k: int,
    accept_empty: bool,
    as_json: bool,
    **raw: Any,
) -> None:
    """Read a register, a description or an exchange node and plan what the catalogue would learn; apply the plan later."""
    open_database()
    from kerege.catalogue.inventory import doings, queries
    from kerege.catalogue.models import Plan

    if plan_id:
        _applied(plan_id, source or "")
        return
    if mode == "list":
        for plan in Plan.objects.filter(status=Plan.OPEN).order_by("made_at"):
            view = queries.plan_view(plan)
            click.echo(
                f"{view.plan_id}  {clock.local_text(view.made_at)}  {view.source}  {counted(len(view.changes), 'change')}"
            )
        return
    if not source:
        raise click.UsageError(
            "Name a source: a file, a folder of Parquet, a postgresql:// or mysql:// URL, or node://FILE."
        )
    text, tables = split_source(source)
    options = Options(replace(reading_of(raw, tables), k=k), k, share, key)
    local = "://" not in text or text.startswith("node://")
    if text.startswith("node://"):
        options = replace(options, reading=_since_last(text, options.reading))
    began = time.perf_counter()
    with Console(stderr=True).status(f"reading {Path(text).name if '://' not in text else 'the register'}") as status:
        found = harvest_source(text, options, lambda name: status.update(f"reading {name}"))
    location = ""  # a database is named anew when applying: its URL may hold an account
    if local:
        scheme, mark, path = text.rpartition("://")
        location = scheme + mark + str(Path(path).resolve())
    plan = doings.make_plan(found, options, clock.now(), location=location, accept_empty=accept_empty)
    changes = queries.plan_view(plan).changes
    if as_json:
        told = {"plan": plan.plan_id, "source": found.source, "kind": found.kind, "cost": found.cost.as_dict()}
        more = {"changes": [c.as_dict() for c in changes], "usage": [u.as_dict() for u in found.usage]}
        click.echo(json.dumps({**told, **more}, ensure_ascii=False, indent=1))
        return
    _show_harvest(found, time.perf_counter() - began)
    _show_changes(changes)
    if not changes and not found.usage:
        click.echo("No difference to what the catalogue knows.")
    else:
        again = "" if local else f" {source.partition('@')[0].split('//')[0]}//..."
        click.echo(f"Nothing changed. Apply with: kerege apply {plan.plan_id}{again}")


def _since_last(text: str, reading: Reading) -> Reading:
    """Traffic of a node is counted from where it was counted before up to now."""
    from kerege.catalogue.inventory.usage import counted_until
    from kerege.catalogue.sources.nodes import window

    since, until = window(counted_until(open_source(text, reading).name), clock.now())
    return replace(reading, since=since, until=until)


@click.command()
@click.option("--consumer", default="", help="Only what this subsystem called.")
@click.option(
    "--service", default="", help="Only this data service, or all of a provider's by the beginning of its name."
)
@click.option("--field", default="", help="Only where answers had this field.")
@click.option("--json", "as_json", is_flag=True)
def usage(consumer: str, service: str, field: str, as_json: bool) -> None:
    """Who uses what: consumers, data services and the fields they were given, as harvested from exchange nodes."""
    open_database()
    from kerege.catalogue.inventory.usage import who_uses

    found = who_uses(consumer=consumer, service=service, field=field)
    if as_json:
        click.echo(json.dumps([u.as_dict() for u in found], ensure_ascii=False, indent=1))
        return
    for use in found:
        failed = f", {use.failed} failed" if use.failed else ""
        click.echo(f"{use.consumer} -> {use.service} {use.endpoint}".rstrip())
        click.echo(
            f"    {counted(use.calls, 'call')}{failed}, {clock.local_text(use.first_at)} to {clock.local_text(use.last_at)}"
        )
        if use.fields:
            click.echo("    fields: " + ", ".join(f"{f.name} ({f.answers})" for f in use.fields))
        if use.withheld:
            click.echo(f"    and {counted(use.withheld, 'field')} too few answers had to be named")
    if not found:
        click.echo("No use is known. Harvest an exchange node: kerege harvest node:///path/to/node.yaml")


@click.command()
@click.option("--source", default="", help="Only of this source.")
@click.option("--owner", default="", help="Only those this organisation answers for (its member code).")
@click.option("--settled", is_flag=True, help="Those that were closed, with the evidence.")
@click.option("--json", "as_json", is_flag=True)
def findings(source: str, owner: str, settled: bool, as_json: bool) -> None:
    """What harvests and runs found that somebody should look at, and who answers for it."""
    open_database()
    from kerege.catalogue.inventory.findings import findings as told

    found = told(clock.now(), source=source, owner=owner, settled=settled)
    if as_json:
        click.echo(json.dumps([f.as_dict() for f in found], ensure_ascii=False, indent=1))
        return
    for f in found:
        place = f"{f.source}#{f.table}" + (f".{f.column}" if f.column else "")
        click.echo(f"{f.kind}  {printable(place)}  ({f.answers.en})")
        click.echo(f"    {printable(f.detail)}" + (f"; closed: {f.evidence}" if f.evidence else ""))
    if not found:
        click.echo("Nothing is closed yet." if settled else "Nothing is open.")


@click.command(name="apply")
@click.argument("plan_id")
@click.argument("source", required=False, default="")
def apply_plan(plan_id: str, source: str) -> None:
    """Apply a harvest plan, if nothing changed since it was made."""
    open_database()
    _applied(plan_id, source)


def _applied(plan_id: str, source: str) -> None:
    from kerege.catalogue.inventory import doings

    changes = doings.apply_plan(plan_id, clock.now(), source=split_source(source)[0])
    _show_changes(changes)
    click.echo(f"Applied {plan_id}: {counted(len(changes), 'change')}.")


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
        show_remarks(found.source, found.remarks)
        click.echo(json.dumps([t.as_dict() for t in found.tables], ensure_ascii=False, indent=1))
        return
    console = Console()
    for table in found.tables:
        note = f", sample of {table.rows}" if table.sampled else ""
        heads = ("column", "what", "filled", "distinct", "length", "masks", "codes")
        grid = Grid(*heads, title=f"{printable(table.name)}: {counted(table.total_rows, 'row')}{note}")
        for f in table.fields:
            codes = ", ".join(f"{c} ({n})" for c, n in f.codes[:6]) + (
                f" and {len(f.codes) - 6} more" if len(f.codes) > 6 else ""
            )
            withheld = f" [{f.codes_withheld} withheld]" if f.codes_withheld else ""
            grid.add_row(
                printable(f.name).replace("[", "\\["), describe(f), str(f.rows - f.nulls), str(f.distinct), f"{f.min_length}-{f.max_length}",
                "  ".join(f"{m} {n / 10:.0f}%" for m, n in f.masks[:3]).replace("[", "\\["), (codes + withheld).replace("[", "\\["),
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
    from kerege.semantics.suggest.columns import suggest_columns

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
        click.echo(f"{s.table}.{s.column}" + ("" if s.candidates else "  (nothing alike)"))
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
