"""`kerege reference`: reference datasets, their versions, and publishing them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kerege.ground import clock
from kerege.web.installation import open_database

if TYPE_CHECKING:
    from kerege.catalogue.reference_make import Content


@click.group()
def reference() -> None:
    """Reference datasets: list, publish a version, compare two."""


@reference.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
def list_(as_json: bool) -> None:
    """Every reference dataset with its versions."""
    open_database()
    from kerege.catalogue import reference as published

    views = published.datasets()
    if as_json:
        click.echo(json.dumps([v.as_dict() for v in views], ensure_ascii=False, indent=1))
        return
    for view in views:
        click.echo(f"{view.ref_id}  {view.title['en']}  ({view.organisation}, {view.unit})")
        for version in view.versions:
            gone = f"  withdrawn: {version.withdrawn}" if version.withdrawn else ""
            click.echo(
                f"    {version.version:12} {version.rows:7} rows  {clock.iso(version.published_at)}  {version.digest[:12]}{gone}"
            )


@reference.command()
@click.argument("ref_id")
@click.option("--codelist", default="", metavar="ID", help="Made from this code list of the country pack.")
@click.option("--crosswalk", default="", metavar="ID", help="Made from this crosswalk of the country pack.")
@click.option(
    "--mapping",
    default="",
    metavar="ID",
    help="Made from a table that kerege harmonise --mapping wrote; needs --table and --key.",
)
@click.option("--table", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="The harmonised CSV.")
@click.option("--key", multiple=True, help="Column that names a row (repeat for several).")
@click.option("--columns", multiple=True, help="Publish only this column (repeat).")
@click.option("--version", default="", help="The version to publish.")
@click.option("--organisation", default="", metavar="CODE", help="Member code of the owner.")
@click.option("--unit", default="", help="The post or unit that answers.")
@click.option("--legal-basis", default="", help="The act and article.")
@click.option(
    "--frequency", default="AS_NEEDED", show_default=True, help="How often it changes, a code of the EU frequency list."
)
@click.option("--theme", default="GOVE", show_default=True, help="A code of the EU data theme list.")
@click.option("--by", default="", help="Who publishes.")
@click.option("--reason", default="", help="Why this version.")
@click.option("--note", default="", help="What consumers should know of this version.")
@click.option("--plan", is_flag=True, help="Show what would change; write nothing.")
def publish(
    ref_id: str, codelist: str, crosswalk: str, mapping: str, table: Path | None, key: tuple[str, ...], columns: tuple[str, ...], version: str,
    organisation: str, unit: str, legal_basis: str, frequency: str, theme: str, by: str, reason: str, note: str, plan: bool,
) -> None:  # fmt: skip
    """Publish a version that was submitted and approved (kerege lifecycle), as files and to the exchange."""
    from kerege.cli.ownership import ledger

    if sum(map(bool, (codelist, crosswalk, mapping))) != 1 or bool(mapping) != bool(table):
        raise click.UsageError(
            "Give one of --codelist ID, --crosswalk ID, or --mapping ID with --table FILE and --key."
        )
    open_database()
    from kerege.catalogue import reference as published

    content = _content(ref_id, codelist, crosswalk, mapping, table, key, columns)
    found = published.plan(ref_id, content)
    click.echo(
        f"{len(content.rows)} rows, digest {content.digest[:12]}: {len(found.added)} new, {len(found.changed)} changed, {len(found.removed)} gone"
    )
    if plan:
        click.echo("Nothing was written. Submit and approve it with: kerege lifecycle act, kind reference.")
        return
    if not (version and by and reason):
        raise click.UsageError("Publishing needs --version, --by and --reason.")
    owned = published.Owned(ref_id, organisation, unit, legal_basis, None, frequency, theme)
    with ledger() as log:
        made = published.publish(owned, content, version, by, reason, clock.now(), note=note, ledger=log)
    for file in made.files:
        click.echo(f"    {file['name']:40} {file['bytes']:9} bytes  sha256 {file['sha256'][:16]}")
    click.echo(f"Published {ref_id} {made.version}: {published.default_folder() / ref_id / made.version}")


def _content(
    ref_id: str, codelist: str, crosswalk: str, mapping: str, table: Path | None, key: tuple[str, ...], columns: tuple[str, ...]
) -> Content:  # fmt: skip
    from kerege.catalogue import reference_make as make
    from kerege.catalogue.packs import current_pack

    pack = current_pack()
    if codelist:
        return make.of_codelist(pack, codelist)
    if crosswalk:
        return make.of_crosswalk(pack, crosswalk)
    assert table is not None, "checked before"
    return make.of_table(pack, ref_id, mapping, table, key, columns, table.name)


@reference.command()
@click.argument("ref_id")
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="The whole difference as JSON.")
def diff(ref_id: str, old: str, new: str, as_json: bool) -> None:
    """What differs between two published versions."""
    open_database()
    from kerege.catalogue import reference as published

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
