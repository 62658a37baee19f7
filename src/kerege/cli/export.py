"""`kerege export` and `kerege import`: the catalogue in other people's formats, and what can be read back.

DCAT-AP 3, DSA and RIHA are written from the hub's catalogue, and hold only what may leave (`catalogue.exports.publication`); SKOS and SSSOM are
the versions in force of code lists and crosswalks; ODCS comes from the contracts. Written to standard output or, whole or not at all, to `--out`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from kerege.cli.telling import counted
from kerege.web.installation import open_database

_OUT = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="New file instead of standard output."
)
_HUB = click.option(
    "--hub",
    default="",
    metavar="URL",
    help="Address under which the hub is reached; without it, what needs an address is left out.",
)


@click.group()
def export() -> None:
    """Write the catalogue in DCAT-AP 3, SKOS, SSSOM, ODCS, Spinta's DSA or RIHA's card."""


@click.group(name="import")
def import_() -> None:
    """Read what others wrote."""


def _give(data: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    from kerege.catalogue.files import written_whole

    with written_whole(out) as file:
        file.write(data.decode())
    click.echo(f"{counted(len(data), 'byte')} written to {out}", err=True)


def _addresses(hub: str) -> Any:
    from kerege.web.api.catalogue_addresses import addresses, is_root

    if hub and not is_root(hub):
        raise click.BadParameter("write scheme and host, such as https://hub.example", param_hint="--hub")
    return addresses(hub) if hub else None


@export.command()
@click.option(
    "--format", "form", type=click.Choice(["turtle", "jsonld", "rdfxml"]), default="turtle", show_default=True
)
@click.option(
    "--check",
    "shapes",
    type=click.Path(path_type=Path, file_okay=False),
    help="Hold the export against the DCAT-AP shapes in this folder.",
)
@_HUB
@_OUT
def dcat(form: str, shapes: Path | None, hub: str, out: Path | None) -> None:
    """The catalogue as DCAT-AP 3; with --check validated, and nothing written when there is a violation."""
    open_database()
    from kerege.catalogue.exports import dcat as writer

    graph = writer.export(addresses=_addresses(hub))
    if graph.unreachable:
        shown = ", ".join(sorted(graph.unreachable)[:5]) + (", ..." if len(graph.unreachable) > 5 else "")
        click.echo(f"left out   {len(graph.unreachable)} without an address (give --hub URL): {shown}", err=True)
    data = writer.serialise(graph, form)
    if shapes is not None:
        from kerege.catalogue.exports import dcat_check

        found = dcat_check.check(data, shapes, form)
        for line in found.violations:
            click.echo(f"violation  {line}", err=True)
        rest = ", ".join(f"{name} {n}" for name, n in found.warnings.items()) or "none"
        click.echo(
            f"{counted(found.shapes, 'shape')}, {counted(found.violation_count, 'violation')}; recommended but not told: {rest}",
            err=True,
        )
        if found.violation_count:
            sys.exit(1)
    _give(data, out)


@export.command()
@click.argument("codelist")
@_OUT
def skos(codelist: str, out: Path | None) -> None:
    """A code list as SKOS (Turtle): the version in force, the country pack's where none was published."""
    open_database()
    from kerege.catalogue.packs import pack_in_force
    from kerege.semantics.codelists.skos import write_turtle

    _give(write_turtle(pack_in_force().codelist(codelist)), out)


@export.command()
@click.argument("crosswalk")
@_OUT
def sssom(crosswalk: str, out: Path | None) -> None:
    """A crosswalk as SSSOM (TSV): the version in force, the country pack's where none was published."""
    open_database()
    from kerege.catalogue.packs import pack_in_force
    from kerege.semantics.crosswalks.sssom import write_sssom

    _give(write_sssom(pack_in_force().crosswalk(crosswalk)), out)


@export.command()
@click.argument("contract")
@_OUT
def odcs(contract: str, out: Path | None) -> None:
    """A data contract as ODCS 3.1 (YAML), by its id: the version in force, the country pack's where there is none."""
    open_database()
    from kerege.catalogue.exports.odcs import contract_yaml

    _give(contract_yaml(contract), out)


@export.command()
@click.option(
    "--mapping", "mappings", multiple=True, metavar="ID", help="Only these mappings of the country pack (repeat)."
)
@click.option(
    "--source",
    default="",
    metavar="URL",
    help="Address of the register in Spinta's words, such as sqlite:///register.db.",
)
@_OUT
def dsa(mappings: tuple[str, ...], source: str, out: Path | None) -> None:
    """The pack's mappings as a DSA manifest that Spinta serves."""
    from kerege.catalogue.exports import dsa as writer
    from kerege.catalogue.packs import current_pack

    data, left = writer.write(current_pack(), mappings, source)
    for line in left:
        click.echo(f"left out   {line}", err=True)
    _give(data, out)


@export.command()
@click.argument("register")
@_HUB
@_OUT
def riha(register: str, hub: str, out: Path | None) -> None:
    """The card of one register as RIHA has it (JSON), by its organisation's member code."""
    open_database()
    from kerege.catalogue.exports import riha as writer

    _give(json.dumps(writer.card(register, _addresses(hub)), ensure_ascii=False, indent=1).encode() + b"\n", out)


@import_.command(name="dsa")
@click.argument("manifest", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Everything that was read, as JSON.")
@click.option(
    "--codelists",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the manifest's enums as code lists (CSV).",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    help="New folder for drafts: code lists, crosswalks and mappings, and what was left out.",
)
def import_dsa(manifest: Path, as_json: bool, codelists: Path | None, into: Path | None) -> None:
    """Read a DSA manifest: its models, what is private, its enums; with --into as drafts for a country pack."""
    from kerege.catalogue.exports import dsa_draft, dsa_read

    found = dsa_read.read(manifest)
    if into is not None:
        drafts = dsa_draft.write(found, into)
        for line in drafts.left:
            click.echo(f"left out   {line}", err=True)
        kinds = [
            sum(path.startswith(kind) for path in drafts.files) for kind in ("mappings", "crosswalks", "codelists")
        ]
        drafted = f"{counted(kinds[0], 'mapping')}, {counted(kinds[1], 'crosswalk')}, {counted(kinds[2], 'code list')}"
        click.echo(
            f"{drafted} drafted in {into}; {counted(len(drafts.left), 'thing')} left out (left-out.txt)", err=True
        )
    if codelists is not None:
        for path in dsa_read.write_codelists(found, codelists):
            click.echo(f"written    {path}", err=True)
    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=1))
        return
    for model in found.models:
        click.echo(f"{model.name}  from {model.source or '-'}")
        for one in model.properties:
            notes: list[Any] = [one.type, f"from {one.source}" if one.source else "no source", one.access or "-"]
            notes += [f"{counted(len(one.enum), 'code')}"] if one.enum else []
            click.echo(f"    {one.name:28} {', '.join(notes)}")
