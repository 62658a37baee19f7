"""`kerege map query`: a canonical question as SQL; `kerege map explain`: which rule made a value.

`kerege impact`: what rests on a code, field, crosswalk, code list, mapping or cell.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import click

from kerege.cli.semantics import content_type, map_files, open_pack
from kerege.cli.telling import agreed, counted

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _MapGroup(click.Group):
    """`kerege map MAPPING FILES` translates, as ever; a subcommand's name in place of a mapping's asks for that."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or map_files

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return map_files.name, map_files, args

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] != "--help":
            args = ["files", *args]
        return super().parse_args(ctx, args)


@click.group("map", cls=_MapGroup)
def map_group() -> None:
    """Translate files with a mapping: kerege map MAPPING FILES. Subcommands look into one."""


map_group.add_command(map_files, "files")


@map_group.command("query")
@click.argument("mapping")
@click.argument("question")
@click.option("--dialect", type=click.Choice(["duckdb", "postgresql"]), default="postgresql", show_default=True)
@click.option("--table", default="register", show_default=True, help="The agency's table, dots part schema and table.")
@click.option("--headers", is_flag=True, help="Columns are called as the mapping's source says, not as its cells.")
def query_source(
    mapping: str, question: str, dialect: Literal["duckdb", "postgresql"], table: str, headers: bool
) -> None:
    """The SQL that asks an agency's own table a canonical QUESTION: 'sex=1 and birth_date from 2019-01-01 to 2019-12-31'.

    It finds every record asked for, perhaps more; the last line says whether the question is to be asked again of the mapped records.
    """
    from kerege.semantics.mappings.pushback import push
    from kerege.semantics.mappings.pushback_sql import query
    from kerege.semantics.mappings.questions import read_question

    pack = open_pack()
    found = pack.mapping(mapping)
    pushed = push(read_question(question, [f.name for f in found.fields]), found, pack)
    click.echo(query(pushed, found, table, dialect, found.source.cells if headers else None) + ";")
    if pushed.residual is not None:
        click.echo("-- To be checked on the mapped records too: others may come with them.")
    else:
        click.echo("-- Exact: these records and no others.")


@map_group.command("explain")
@click.argument("file", type=_FILE)
@click.argument("mapping")
@click.option(
    "--row", type=click.IntRange(min=1), default=1, show_default=True, help="Which record of the file, from 1."
)
@click.option("--field", required=True, help="The canonical field whose value is explained.")
@click.option("--values", is_flag=True, help="Show values; without it masks (9 for digits, A and a for letters).")
@click.option("--json", "as_json", is_flag=True, help="The trace as JSON.")
def explain_value(file: Path, mapping: str, row: int, field: str, values: bool, as_json: bool) -> None:
    """Which rule made this value: every operator that ran for FIELD of one record, with the crosswalk's row or policy that decided."""
    from kerege.semantics.mappings.lineage import explain
    from kerege.semantics.mappings.shape import decode

    pack = open_pack()
    found = pack.mapping(mapping)
    if field not in {f.name for f in found.fields}:
        raise click.UsageError(f"{mapping} makes no field {field}; it makes: {', '.join(f.name for f in found.fields)}")
    records = decode(file.read_bytes(), content_type(file), found)
    if row > len(records):
        raise click.UsageError(f"{file.name} has {counted(len(records), 'record')}; record {row} was asked for")
    lineage = explain(found, pack, records[row - 1], field, pack.version(mapping))
    lineage = lineage if values else lineage.masked()
    if as_json:
        click.echo(json.dumps(lineage.as_dict(), ensure_ascii=False, indent=2))
        return
    click.echo(f"{field} of record {row} = {_shown(lineage.value)}   by {lineage.mapping} {lineage.version}")
    for step in lineage.steps:
        given = ", ".join(map(_shown, step.given))
        line = (
            f"{'  ' * (step.depth + 1)}{step.operator} {step.argument}".rstrip()
            + f": {given + ' -> ' if step.given else ''}{_shown(step.gave)}"
        )
        click.echo(line + (f"   problem: {step.problem}" if step.problem else ""))
        if step.rule is not None:
            rule = step.rule.as_dict()
            click.echo("  " * (step.depth + 2) + "; ".join(f"{key} {value}" for key, value in rule.items()))
    if not values:
        click.echo("Values are masked; --values shows them to whom may see them.")


def _shown(value: str | None) -> str:
    return "(none)" if value is None else repr(value)


@click.command("impact")
@click.argument("kind", type=click.Choice(["code", "codelist", "crosswalk", "field", "cell", "mapping"]))
@click.argument("key", nargs=-1, required=True)
@click.option(
    "--action",
    type=click.Choice(["change", "remove", "add"]),
    default="change",
    show_default=True,
    help="What is meant to happen to it.",
)
@click.option("--pack-only", is_flag=True, help="Only what the country pack says; no database is opened.")
@click.option("--json", "as_json", is_flag=True, help="The hits as JSON.")
def impact_of(kind: str, key: tuple[str, ...], action: Any, pack_only: bool, as_json: bool) -> None:
    """What breaks if this changes, before it is published: KIND and KEY (of a code LIST CODE, of a field or cell MAPPING NAME).

    Ends with status 1 when something breaks.
    """
    if not pack_only:
        from kerege.web.installation import open_database

        open_database()
    from kerege.catalogue.mappings.impact import asked, reach

    found = asked(open_pack(), kind, " ".join(key), action, database=not pack_only)
    told = reach(found, database=not pack_only)
    if as_json:
        hits = [
            {
                "kind": h.node.kind,
                "key": h.node.key,
                "severity": h.severity,
                "reason": h.reason,
                "path": [str(n) for n in h.path],
            }
            for h in found.hits
        ]
        document = {
            "change": str(found.change.what),
            "action": action,
            "publishable": found.publishable,
            "hits": hits,
            **told.as_dict(),
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        counts = {s: sum(h.severity == s for h in found.hits) for s in ("breaks", "changes", "notice")}
        click.echo(
            f"{action} {found.change.what}: {counts['breaks']} {agreed(counts['breaks'], 'breaks', 'break')}, "
            f"{counts['changes']} {agreed(counts['changes'], 'changes', 'change')}, {counts['notice']} to be told"
        )
        for hit in found.hits:
            over = " < ".join(str(n) for n in reversed(hit.path[1:-1]))
            click.echo(f"  {hit.severity:<8} {hit.node!s:<44} {hit.reason}" + (f"  (over {over})" if over else ""))
        for one in told.affected:
            about = " of a sample" if one.sampled else ""
            led = f" (codes that {', '.join(one.by)} leads to it)" if one.by else ""
            click.echo(
                f"  {counted(one.records, 'record')}{about} {agreed(one.records, 'has', 'have')} it: {one.dataset}, {one.field}{led}"
            )
        for line in told.unseen:
            click.echo(f"  Not looked at: {line}")
        click.echo(
            "Nothing breaks: it can be published."
            if found.publishable
            else "Do not publish yet: ask the owners of what breaks."
        )
    if not found.publishable:
        raise SystemExit(1)
