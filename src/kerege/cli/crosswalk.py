"""`kerege crosswalk`: suggest, review and write crosswalks between two code lists. Files only; no database is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kerege.cli.reading import open_table, policy_of, reading_options


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

    left, left_table = open_table(source, raw)
    right, right_table = open_table(target, raw)
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
        name, own, theirs, suggestions, policy=policy_of(policy), subject_source=left.name, object_source=right.name
    )
    crosswalks.write(made, out)
    queue = crosswalks.open_codes(made)
    alone = sum(all(row.object is None for row in rows) for rows in queue.values())
    click.echo(f"{len(made.rows) - sum(map(len, queue.values())):6} accepted")
    click.echo(f"{len(queue):6} open" + (f" ({alone} with nothing alike)" if alone else ""))
    click.echo(f"Written: {out}." + (f" See the open ones with: kerege crosswalk open {out}" if queue else ""))


@crosswalk.command("open")
@click.argument("file", type=click.Path(path_type=Path))
def crosswalkopen_table(file: Path) -> None:
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
