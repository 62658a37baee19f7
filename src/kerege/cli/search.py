"""`kerege search`: find datasets, fields, concepts, code lists, codes, crosswalks, owners and contracts."""

from __future__ import annotations

import json

import click

from kerege.cli.telling import counted
from kerege.web.installation import open_database


@click.command()
@click.argument("words", nargs=-1)
@click.option(
    "--kind",
    default="",
    help="Only hits of this kind: dataset, field, concept, codelist, code, crosswalk, owner, contract.",
)
@click.option("--organisation", default="", metavar="CODE", help="Only what this organisation runs.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="Most hits shown.")
@click.option("--rebuild", is_flag=True, help="Make the whole index anew first.")
@click.option("--json", "as_json", is_flag=True, help="Hits, facets and highlights as JSON.")
def search(words: tuple[str, ...], kind: str, organisation: str, limit: int, rebuild: bool, as_json: bool) -> None:
    """Search the catalogue in Kyrgyz, Russian, English or Latin letters."""
    open_database()
    from kerege.catalogue.search import index as search_index
    from kerege.catalogue.search import questions as finder

    if rebuild:
        click.echo(f"{counted(search_index.rebuild(), 'entry')} indexed", err=True)
        if not words:
            return
    if not words:
        raise click.UsageError("Name what to look for, or --rebuild the index.")
    if kind and kind not in finder.KINDS:
        raise click.BadParameter(f"one of {', '.join(finder.KINDS)}", param_hint="--kind")
    found = finder.search(" ".join(words), finder.Filters((kind,) if kind else (), organisation), limit=limit)
    if as_json:
        names = finder.places(found.hits)
        hits = [
            {"kind": h.kind, "key": h.key, "name": names.get((h.kind, h.key), h.key), "title": h.title, "note": h.note, "score": h.score}
            for h in found.hits
        ]  # fmt: skip
        told = {"total": found.total, "every_word": found.every, "facets": found.facets, "hits": hits}
        click.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    if not found.hits:
        click.echo("Nothing found. If the catalogue changed behind the hub's back: kerege search --rebuild")
        return
    if not found.every:
        click.echo("Nothing has all of these words; with some of them:")
    places = finder.places(found.hits)
    for hit in found.hits:
        marked = "".join(f"[{piece}]" if answers else piece for piece, answers in hit.marked("en"))
        click.echo(f"{hit.kind:10} {places.get((hit.kind, hit.key), hit.key):40} {marked}")
    click.echo(f"{found.total} in all: " + ", ".join(f"{k} {n}" for k, n in found.facets["kind"].items()))
