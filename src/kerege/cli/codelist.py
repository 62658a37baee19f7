"""`kerege codelist`: code lists of the country pack, in files and in the catalogue: list, show, check, compare, export, import.

A LIST is written as an id of the pack (`kg:sex`), a version in the catalogue (`kg:sex@2`, `kg:sex@` for the newest, `kg:sex@in-force` for the one
that everybody is shown) or a file's path. Only `import`, `list --versions` and ids with `@` open the hub's database.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from kerege.cli.semantics import open_pack
from kerege.cli.telling import counted, worded
from kerege.semantics.codelists.codelist import CodeList, Finding
from kerege.semantics.codelists.files import FORMATS, Format, file_findings, format_of, read_codelist, write_codelist
from kerege.semantics.codelists.skos import RDF_SUFFIXES

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SHOWN = 20
IN_FORCE = "in-force"


@click.group()
def codelist() -> None:
    """Code lists: list, show, check, compare, export, import."""


def find_list(name: str, list_id: str = "") -> CodeList:
    """The list a person named: a file, a version in the catalogue (`id@version`), or a list of the pack."""
    if Path(name).is_file():
        return read_codelist(Path(name), list_id)
    if "@" in name:
        from kerege.web.installation import open_database

        open_database()
        from kerege.catalogue.codes.versions import load_codelist
        from kerege.catalogue.packs import pack_in_force

        found, _, version = name.rpartition("@")
        return pack_in_force().codelist(found) if version == IN_FORCE else load_codelist(found, version)
    return open_pack().codelist(name)


@codelist.command("list")
@click.option(
    "--versions", is_flag=True, help="The versions in the catalogue instead, with their state in the life cycle."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def codelist_list(versions: bool, as_json: bool) -> None:
    """Every code list with its number of codes, every crosswalk with its rows and policy, every mapping with its version."""
    if versions:
        _list_versions(as_json)
        return
    pack = open_pack()
    if as_json:
        lists = [
            {"id": i, "codes": len(c), "version": c.version, "title": c.title}
            for i, c in sorted(pack.codelists.items())
        ]
        walks = [{"id": i, "rows": len(w.rows), "policy": str(w.policy)} for i, w in sorted(pack.crosswalks.items())]
        click.echo(json.dumps({"codelists": lists, "crosswalks": walks}, ensure_ascii=False, indent=2))
        return
    for list_id, found in sorted(pack.codelists.items()):
        click.echo(
            f"code list  {list_id:<40} {len(found):>5} {worded(len(found), 'code'):<5}  {found.title.get('en', '')}"
        )
    for walk_id, walk in sorted(pack.crosswalks.items()):
        click.echo(
            f"crosswalk  {walk_id:<40} {len(walk.rows):>5} {worded(len(walk.rows), 'row'):<4}   unmapped: {walk.policy}"
        )
    for mapping_id in sorted(pack.mappings):
        fields = len(pack.mapping(mapping_id).fields)
        click.echo(f"mapping    {mapping_id:<40} {fields:>5} {worded(fields, 'field'):<6} {pack.version(mapping_id)}")


def _list_versions(as_json: bool) -> None:
    from kerege.web.installation import open_database

    open_database()
    from kerege.catalogue.codes.queries import versions

    found = versions()
    if as_json:
        click.echo(json.dumps([v.as_dict() for v in found], ensure_ascii=False, indent=2))
        return
    for v in found:
        click.echo(f"{v.kind:<10} {v.id:<40} {v.version:<12} {v.size:>6}  {v.state:<10} by {v.imported_by}")
    click.echo(f"{counted(len(found), 'version')}.")


@codelist.command("show")
@click.argument("list_id", metavar="LIST")
@click.option("--language", type=click.Choice(["ky", "ru", "en"]), default="en", help="Language of the labels.")
@click.option("--tree", is_flag=True, help="Show what is below what.")
def codelist_show(list_id: str, language: str, tree: bool) -> None:
    """The codes of one list with their labels."""
    found = find_list(list_id)
    for concept in found:
        depth = len(found.ancestors(concept.notation)) if tree else 0
        days = (
            f"  [{concept.valid_from or '...'} to {concept.valid_to or '...'}]"
            if concept.valid_from or concept.valid_to
            else ""
        )
        click.echo(f"{'  ' * depth}{concept.notation:<16} {concept.label(language)}{days}")


@codelist.command("check")
@click.argument("files", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def codelist_check(files: tuple[str, ...], as_json: bool) -> None:
    """Check code lists (files or lists of the catalogue; without FILES the whole pack) for what breaks them in use.

    Duplicate codes, missing labels, loops with their whole way round, codes out of the list, labels of two kinds, validity that ends before it
    begins. RDF files are asked as they stand. Ends with status 1 when a list has an error; warnings alone do not fail.
    """
    checked = [(name, *_checked(name)) for name in files] if files else _pack_checked()
    if as_json:
        told = [
            {"list": name, "codes": codes, "findings": [f.as_dict() for f in found]} for name, codes, found in checked
        ]
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        for name, codes, found in checked:
            click.echo(f"{name}: {counted(codes, 'code')}, {counted(len(found), 'finding')}")
            for finding in found[:_SHOWN]:
                about = f"{finding.notation or '(list)'}{f' <{finding.iri}>' if finding.iri else ''}"
                click.echo(f"  {finding.severity:<8} {finding.code:<18} {about}: {finding.message}")
            if len(found) > _SHOWN:
                click.echo(f"  ... and {len(found) - _SHOWN} more")
    if any(f.severity == "error" for _, _, found in checked for f in found):
        raise SystemExit(1)


def _pack_checked() -> list[tuple[str, int, tuple[Finding, ...]]]:
    pack = open_pack()
    checked = []
    for found in pack.codelists.values():
        file = pack.folder / "codelists" / found.source
        read = RDF_SUFFIXES.get(file.suffix.lower()) is not None and file.is_file()
        checked.append((found.id, *(_checked(str(file)) if read else (len(found), _all_findings(found)))))
    return checked


def _all_findings(found: CodeList) -> tuple[Finding, ...]:
    """What the list in memory and its graph show, each fault once."""
    from kerege.semantics.codelists.integrity import AGREED, check_list

    graph = (f for f in check_list(found) if f.code not in AGREED and f.code != "label_twice")
    both = [*found.check(), *(replace(f, iri="") for f in graph)]  # the list has no IRIs of its own to be found by
    return tuple(sorted(both, key=lambda f: f.severity != "error"))


def _checked(name: str) -> tuple[int, tuple[Finding, ...]]:
    path = Path(name)
    kind = RDF_SUFFIXES.get(path.suffix.lower())
    if kind is not None and path.is_file():
        from kerege.semantics.codelists.integrity import check_file

        data = path.read_bytes()
        found = check_file(data, path.name, kind)
        if not any(f.code == "scheme_missing" for f in found):
            return len(find_list(name)), found
        return 0, found
    listed = find_list(name)
    return len(listed), _all_findings(listed)


@codelist.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def codelist_diff(old: str, new: str, as_json: bool) -> None:
    """What two versions differ in, code by code. Ends with status 1 when a change can make right values wrong."""
    from kerege.semantics.codelists.diff import diff_codelists

    changes = diff_codelists(find_list(old), find_list(new))
    if as_json:
        click.echo(json.dumps([c.as_dict() for c in changes], ensure_ascii=False, indent=2))
    else:
        for c in changes:
            mark = "!" if c.breaking else " "
            click.echo(f"{mark} {c.kind:<13} {c.notation:<16} {' -> '.join(p for p in (c.before, c.after) if p)}")
        click.echo(f"{counted(len(changes), 'change')}, {sum(c.breaking for c in changes)} of them breaking.")
    if any(c.breaking for c in changes):
        raise SystemExit(1)


@codelist.command("export")
@click.argument("list_id", metavar="LIST")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), help="Format; seen from the ending of --out when not given."
)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@click.option("--replace", is_flag=True, help="Write over a file that is there.")
def codelist_export(list_id: str, format_: Format | None, out: Path, replace: bool) -> None:
    """Write a list as SKOS (Turtle, RDF/XML, JSON-LD), SDMX (2.1, 3.0), XLSX or CSV."""
    from kerege.catalogue.files import bytes_written_whole
    from kerege.ground import clock

    kind = format_ or format_of(out.name)
    found = find_list(list_id)
    bytes_written_whole(out, write_codelist(found, kind, clock.now()), replace=replace)
    click.echo(f"{counted(len(found), 'code')} of {found.id} as {kind}: {out}")


@codelist.command("import")
@click.argument("file", type=_FILE)
@click.option(
    "--id", "list_id", default="", help="Id of the list, for formats that carry none (CSV, XLSX) or to give another."
)
@click.option("--version", default="", help="Version, where the file carries none.")
@click.option("--title", multiple=True, metavar="LANGUAGE=TEXT", help="Title, for formats that carry none.")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), help="Format; seen from the file's ending when not given."
)
@click.option("--by", required=True, help="Post or unit that imports.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def codelist_import(
    file: Path, list_id: str, version: str, title: tuple[str, ...], format_: Format | None, by: str, as_json: bool
) -> None:
    """Keep FILE as a version of a list in the catalogue, with what it changes; a list with errors is refused whole."""
    from kerege.ground import clock
    from kerege.web.installation import open_database

    found = read_codelist(file, list_id, format_)
    faults = file_findings(file.read_bytes(), file.name, format_)
    titles = dict(part.split("=", 1) for part in title if "=" in part)
    if len(titles) != len(title):
        raise click.BadParameter("written ky=TEXT", param_hint="--title")
    found = replace(found, version=version or found.version, title=titles or found.title)
    open_database()
    from kerege.catalogue.codes.versions import import_codelist

    done = import_codelist(found, by, clock.now(), origin=file.name, findings=faults)
    if as_json:
        click.echo(json.dumps(done.as_dict(), ensure_ascii=False, indent=2))
        return
    said = "kept" if done.new else "was there already, nothing written"
    click.echo(
        f"{done.id} {done.version}: {counted(done.codes, 'code')}, {said}."
        + (f" Follows {done.follows}." if done.follows else "")
    )
    for c in done.changes[:_SHOWN]:
        click.echo(
            f"  {'!' if c.breaking else ' '} {c.kind:<13} {c.notation:<16} {' -> '.join(p for p in (c.before, c.after) if p)}"
        )
    _more(done.changes, "change")
    if done.warnings:
        click.echo(f"  {counted(len(done.warnings), 'warning')}: kerege codelist check {file}")
    if done.new:
        click.echo(
            f"Publish it with: kerege lifecycle act submit codelist {done.id} {done.version} --by NAME --reason WHY"
        )


def _more(found: tuple[Any, ...], what: str) -> None:
    if len(found) > _SHOWN:
        click.echo(f"  ... and {len(found) - _SHOWN} more {worded(len(found) - _SHOWN, what)}")
