"""`kerege board`: the 90-day plan as a board; `kerege concept`: what an attribute means, the board's second count."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from kerege.cli.ownership import DAY, dataset_of, told
from kerege.cli.reasons import names_nobody
from kerege.cli.telling import counted
from kerege.ground import clock
from kerege.web.installation import open_database


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@click.option(
    "--print", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write a report to print: FILE.html or FILE.txt."
)  # fmt: skip
@click.option("--language", type=click.Choice(["ky", "ru", "en"]), default="en", show_default=True)
@click.pass_context
def board(ctx: click.Context, as_json: bool, file: Path | None, language: str) -> None:
    """The 90-day plan: critical datasets, what is done, the pace, what to do next."""
    if ctx.invoked_subcommand is not None:
        return
    open_database()
    from kerege.catalogue.board import doings as plan
    from kerege.catalogue.board import report as board_report
    from kerege.catalogue.files import written_whole

    view = plan.board(clock.now())
    if file is not None:
        if file.suffix.lower() not in (".html", ".txt"):
            raise click.BadParameter("the report is FILE.html or FILE.txt", param_hint="--print")
        as_html = file.suffix.lower() == ".html"
        with written_whole(file, replace=True) as out:
            out.write((board_report.as_html if as_html else board_report.as_text)(view, language))
        click.echo(
            f"{file}: day {view.day} of {view.days}, {view.complete} of {counted(len(view.lines), 'dataset')} complete."
        )
    elif as_json:
        told(view.as_dict())
    else:
        click.echo(board_report.as_text(view, language), nl=False)


@board.command()
@click.option("--by", required=True, help="Who begins it.")
@click.option("--reason", callback=names_nobody, required=True, help="The decision it rests on.")
@click.option("--on", type=DAY, default=None, help="The first day; today when not given.")
@click.option("--days", type=click.IntRange(1), default=None, help="How many days; 90 where the country pack says so.")
def start(by: str, reason: str, on: datetime | None, days: int | None) -> None:
    """Begin a board; the newest one begun is the one that runs."""
    open_database()
    from kerege.catalogue.board import doings as plan

    row = plan.start(reason, by=by, now=clock.now(), on=clock.local_date(on) if on else None, days=days)
    click.echo(
        f"The board runs {row}. Mark what is critical with: kerege board mark SOURCE#TABLE --by WHO --reason WHY"
    )


@board.command()
@click.argument("dataset")
@click.option("--by", required=True, help="Who says so.")
@click.option("--reason", callback=names_nobody, required=True, help="Why it is critical.")
def mark(dataset: str, by: str, reason: str) -> None:
    """Mark DATASET (SOURCE#TABLE) as critical."""
    source, table = dataset_of(dataset)
    open_database()
    from kerege.catalogue.board import doings as plan

    plan.mark_critical(source, table, reason=reason, by=by, now=clock.now())
    click.echo(f"{dataset} is on the board.")


@board.command()
@click.argument("dataset")
@click.option("--by", required=True, help="Who says so.")
@click.option("--reason", callback=names_nobody, required=True, help="Why it is not critical.")
def unmark(dataset: str, by: str, reason: str) -> None:
    """Take DATASET off the board; the mark stays as history."""
    source, table = dataset_of(dataset)
    open_database()
    from kerege.catalogue.board import doings as plan

    plan.unmark_critical(source, table, reason=reason, by=by, now=clock.now())
    click.echo(f"{dataset} is no longer on the board.")


@board.command()
def snapshot() -> None:
    """Keep today's counts, and make findings of terms that ran out and of what is published without an owner; once a day."""
    open_database()
    from kerege.catalogue.board import doings as plan

    row = plan.snapshot(clock.now())
    click.echo(f"{row.day}: " + ", ".join(f"{k} {v[0]}/{v[1]}" for k, v in row.counts.items() if isinstance(v, list)))


@click.group()
def concept() -> None:
    """What attributes mean: show, link."""


@concept.command()
@click.argument("words", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON value instead of text.")
def show(words: tuple[str, ...], as_json: bool) -> None:
    """The country pack's concepts; those of whose wording every word is a part."""
    from kerege.catalogue.codes.concepts import load_concepts

    wanted = [w.casefold() for w in words]
    found = [
        c
        for c in load_concepts().values()
        if all(w in " ".join((c.id, *c.text.as_dict().values())).casefold() for w in wanted)
    ]
    if as_json:
        told(
            [{"concept": c.id, "text": c.text.as_dict(), "codelist": c.codelist, "personal": c.personal} for c in found]
        )
        return
    for c in found:
        click.echo(f"{c.id:32} {c.text.en}; {c.text.ru}; {c.text.ky}{f'  [{c.codelist}]' if c.codelist else ''}")


@concept.command()
@click.argument("dataset")
@click.option("--column", required=True, help="The attribute.")
@click.option("--concept", "name", required=True, help="What it means, as kerege concept show lists it.")
@click.option("--by", required=True, help="Who says so.")
def link(dataset: str, column: str, name: str, by: str) -> None:
    """Say what an attribute of DATASET means."""
    source, table = dataset_of(dataset)
    open_database()
    from kerege.catalogue.codes.concepts import load_concepts
    from kerege.catalogue.inventory import doings

    known = load_concepts().get(name)
    doings.link_concept(source, table, column, name, by, clock.now(), codelist=known.codelist if known else "")
    click.echo(f"{dataset}.{column} means {name}.")
