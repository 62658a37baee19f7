"""`kerege reference`: reference datasets, their versions, and publishing them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerege.cli.reasons import names_nobody
from kerege.cli.telling import counted, worded
from kerege.ground import clock
from kerege.web.installation import open_database

if TYPE_CHECKING:
    from kerege.catalogue.reference.doings import Owned
    from kerege.catalogue.reference.make import Content


@click.group()
def reference() -> None:
    """Reference datasets: list, put a version forward, publish it, compare two."""


@reference.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
def list_(as_json: bool) -> None:
    """Every reference dataset with its versions."""
    open_database()
    from kerege.catalogue.reference import doings as published

    views = published.datasets()
    if as_json:
        click.echo(json.dumps([v.as_dict() for v in views], ensure_ascii=False, indent=1))
        return
    if not views:
        click.echo("None yet. The first is put forward with: kerege reference propose REF_ID --codelist ID")
    for view in views:
        click.echo(f"{view.ref_id}  {view.title['en']}  ({view.organisation}, {view.unit})")
        for version in view.versions:
            gone = f"  withdrawn: {version.withdrawn_reason}" if version.withdrawn else ""
            click.echo(
                f"    {version.version:12} {version.rows:7} {worded(version.rows, 'row'):<4}  "
                f"{clock.local_text(version.published_at)}  {version.digest[:12]}{gone}"
            )


def _described(command: Callable[..., None]) -> Callable[..., None]:
    """The options by which `propose` and `publish` say what is meant; said alike, they mean the same content."""
    options = (
        click.argument("ref_id"),
        click.option("--codelist", default="", metavar="ID", help="Made from this code list, as it is in force."),
        click.option("--crosswalk", default="", metavar="ID", help="Made from this crosswalk, as it is in force."),
        click.option(
            "--mapping", default="", metavar="ID",
            help="Made from a table that kerege harmonise --mapping wrote; needs --table and --key.",
        ),
        click.option("--table", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="The harmonised CSV."),
        click.option("--key", multiple=True, help="Column that names a row (repeat for several)."),
        click.option("--columns", multiple=True, help="Publish only this column (repeat)."),
        click.option("--version", default="", help="The version."),
        click.option("--organisation", default="", metavar="CODE", help="Member code of the owner; a later version keeps it."),
        click.option("--unit", default="", help="The post or unit that answers; a later version keeps it."),
        click.option("--legal-basis", default="", help="The act and article; a later version keeps it."),
        click.option("--frequency", default="AS_NEEDED", show_default=True, help="How often it changes, a code of the EU frequency list."),
        click.option("--theme", default="GOVE", show_default=True, help="A code of the EU data theme list."),
        click.option("--by", default="", help="Who does it."),
        click.option("--reason", callback=names_nobody, default="", help="Why this version."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@reference.command()
@_described
def propose(ref_id: str, version: str, by: str, reason: str, **told: Any) -> None:
    """Put a version's content forward; it is what is submitted and approved (kerege lifecycle), and nothing else is published as that version."""
    open_database()
    from kerege.catalogue.reference import proposals as reference_proposals

    content, owned = _asked(ref_id, **told)
    if not (version and by and reason):
        raise click.UsageError("Putting forward needs --version, --by and --reason.")
    bound = reference_proposals.propose(owned, content, version, by, reason, clock.now())
    click.echo(f"{ref_id} {version}: {counted(len(content.rows), 'row')}, digest {bound[:12]}, put forward by {by}.")
    click.echo(
        f"Next: kerege lifecycle act submit reference {ref_id} {version} --by NAME --reason WHY; somebody else approves it."
    )


@reference.command()
@_described
@click.option("--note", callback=names_nobody, default="", help="What consumers should know of this version.")
@click.option("--plan", is_flag=True, help="Show what would change; write nothing.")
def publish(ref_id: str, version: str, by: str, reason: str, note: str, plan: bool, **told: Any) -> None:
    """Publish a version as it was put forward, submitted and approved (kerege lifecycle): as files and to the exchange."""
    open_database()
    from kerege.catalogue.reference import doings as published
    from kerege.cli.ownership import ledger

    content, owned = _asked(ref_id, **told)
    found = published.plan(ref_id, content)
    click.echo(
        f"{counted(len(content.rows), 'row')}, digest {content.digest[:12]}: "
        f"{len(found.added)} new, {len(found.changed)} changed, {len(found.removed)} gone"
    )
    if plan:
        click.echo(
            f"Nothing was written. Put it forward with: kerege reference propose {ref_id}, and the same options."
        )
        return
    if not (version and by and reason):
        raise click.UsageError("Publishing needs --version, --by and --reason.")
    with ledger() as log:
        made = published.publish(owned, content, version, by, reason, clock.now(), note=note, ledger=log)
    for file in made.files:
        click.echo(f"    {file['name']:40} {file['bytes']:9} bytes  sha256 {file['sha256'][:16]}")
    click.echo(f"Published {ref_id} {made.version}: {published.default_folder() / ref_id / made.version}")


def _asked(
    ref_id: str, codelist: str, crosswalk: str, mapping: str, table: Path | None, key: tuple[str, ...], columns: tuple[str, ...],
    organisation: str, unit: str, legal_basis: str, frequency: str, theme: str,
) -> tuple[Content, Owned]:  # fmt: skip
    if sum(map(bool, (codelist, crosswalk, mapping))) != 1 or bool(mapping) != bool(table):
        raise click.UsageError(
            "Give one of --codelist ID, --crosswalk ID, or --mapping ID with --table FILE and --key."
        )
    from kerege.catalogue.reference.doings import Owned

    content = _content(ref_id, codelist, crosswalk, mapping, table, key, columns)
    return content, Owned(ref_id, organisation, unit, legal_basis, None, frequency, theme)


def _content(
    ref_id: str, codelist: str, crosswalk: str, mapping: str, table: Path | None, key: tuple[str, ...], columns: tuple[str, ...]
) -> Content:  # fmt: skip
    from kerege.catalogue.packs import current_pack, pack_in_force
    from kerege.catalogue.reference import make

    if codelist:
        return make.of_codelist(pack_in_force(), codelist)
    if crosswalk:
        return make.of_crosswalk(pack_in_force(), crosswalk)
    assert table is not None, "checked before"
    return make.of_table(current_pack(), ref_id, mapping, table, key, columns, table.name)


@reference.command()
@click.argument("ref_id")
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="The whole difference as JSON.")
def diff(ref_id: str, old: str, new: str, as_json: bool) -> None:
    """What differs between two published versions."""
    open_database()
    from kerege.catalogue.reference import doings as published

    found = published.diff(ref_id, old, new)
    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=1))
        return
    for sign, keys in (("+", found.added), ("-", found.removed)):
        for one in keys:
            click.echo(f"{sign} {' '.join(map(str, one))}")
    for one, changed in found.changed:
        click.echo(f"~ {' '.join(map(str, one))}: {', '.join(changed)}")
    if found.empty:
        click.echo("No difference.")
