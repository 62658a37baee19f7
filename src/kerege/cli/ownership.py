"""`kerege owner`, `kerege truth`: who owns an attribute, which attribute decides.

Works on the hub's database and the ledger in the home folder. Who acts is given by `--by`: the command line trusts whoever may run it on this
machine; the rules (one owner at a time, hand-over by the present one, four eyes) hold all the
same. `kerege lifecycle` is `cli.lifecycle`, `kerege register` `cli.register`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kerege.cli.reasons import names_nobody
from kerege.cli.telling import counted
from kerege.ground import clock, settings
from kerege.web.installation import open_database

if TYPE_CHECKING:
    from kerege.ledger.log import Ledger

_F = TypeVar("_F", bound=Callable[..., Any])


class Day(click.ParamType[datetime]):
    """A day by the calendar people read (its first instant), or an instant with its time zone."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"expected a day such as 2026-11-22 or an instant such as 2026-11-22T09:00:00Z, got {value}")
        return (found if found.tzinfo else found.replace(tzinfo=clock.BISHKEK)).astimezone(UTC)


DAY = Day()


@contextmanager
def ledger() -> Iterator[Ledger]:
    """The hub's database opened, and its ledger, whose head is signed when the command is done."""
    open_database()
    from kerege.ledger import open_signing

    with open_signing(Path(settings.get("home")).absolute()) as log:
        yield log
        log.sign_head(clock.now())


def dataset_of(text: str) -> tuple[str, str]:
    """`SOURCE#TABLE` as the catalogue names a dataset."""
    source, mark, table = text.rpartition("#")
    if not (mark and source and table):
        raise click.BadParameter("write SOURCE#TABLE, as kerege owner show lists it", param_hint="DATASET")
    return source, table


def told(value: Any) -> None:
    """Print as JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1))


def _who(function: _F) -> _F:
    for option in (
        click.option("--legal-basis", required=True, help="The act and article."),
        click.option("--unit", required=True, help="The post or unit that answers, not a person's name."),
        click.option("--organisation", required=True, help="Member code of the owner, such as 70000001."),
        click.option("--column", "columns", multiple=True, help="The attribute; repeat for several."),
        click.argument("dataset"),
    ):
        function = option(function)
    return function


@click.group()
def owner() -> None:
    """Who owns an attribute: show, name, interim, hand-over, end, roles."""


@owner.command()
@click.argument("dataset", default="")
@click.option("--column", default="", help="One attribute's whole history.")
@click.option("--organisation", default="", help="What one organisation owns.")
@click.option("--as-of", type=DAY, default=None, help="As of a day instead of now.")
@click.option("--json", "as_json", is_flag=True, help="One JSON value instead of text.")
def show(dataset: str, column: str, organisation: str, as_of: datetime | None, as_json: bool) -> None:
    """Owners of DATASET (SOURCE#TABLE), or of all datasets in numbers; interim terms that end soon or ran out."""
    open_database()
    from kerege.catalogue.errors import DatasetUnknown
    from kerege.catalogue.models import Dataset
    from kerege.catalogue.ownership import queries

    moment = as_of or clock.now()
    if column:
        history = queries.owner_history(*dataset_of(dataset), column)
        _history(history, as_json)
        return
    if organisation:
        held = queries.holdings(organisation, moment)
        if as_json:
            told([{"dataset": name, **a.as_dict()} for name, a in held])
        else:
            for name, a in held:
                click.echo(f"{name}.{a.column}{'  (interim)' if a.owner and a.owner.interim else ''}")
            click.echo(f"{organisation} owns {counted(len(held), 'attribute')}.")
        return
    if dataset:
        source, table = dataset_of(dataset)
        row = Dataset.objects.filter(source=source, table=table).first()
        if row is None:
            raise DatasetUnknown(what="dataset", name=dataset)
        view = queries.ownership_of(row.pk, moment)
        if as_json:
            told(view.as_dict())
            return
        for a in view.attributes:
            who = (
                f"{a.owner.who}{' (interim)' if a.owner.interim else ''}, {a.owner.legal_basis}"
                if a.owner
                else "NOBODY"
            )
            decides = f"  decides for {', '.join(a.truth_of)}" if a.truth_of else ""
            click.echo(f"{a.column:30} {who}{decides}")
        may = "may be published" if view.verdict else "may not be published: " + "; ".join(view.verdict.reasons)
        click.echo(f"{view.owned} of {len(view.attributes)} owned; {may}")
        return
    views = queries.ownership_overview(moment)
    terms = queries.interims(moment)
    if as_json:
        told({"datasets": [v.as_dict() for v in views], "interims": [i.as_dict() for i in terms]})
        return
    for v in views:
        click.echo(
            f"{v.owned:4} of {len(v.attributes):4} owned{f', {v.interim} interim' if v.interim else ''}  {v.dataset}"
        )
    for i in terms:
        if i.state != "running":
            when = (
                f"ends in {counted(i.days, 'day')}"
                if i.state == "ends-soon"
                else f"ran out {counted(-i.days, 'day')} ago"
            )
            click.echo(
                f"interim  {i.dataset}.{i.column}: {i.tenure.who} {when}; {i.tenure.names_lasting} must name the lasting owner"
            )


def _history(history: Any, as_json: bool) -> None:
    if as_json:
        told([t.as_dict() for t in history])
        return
    for t in history:
        period = t.tenure.period
        until = clock.local_text(period.until) if period.until else "now"
        ended = f"; ended by {t.ended_by}: {t.ended_reason} ({t.ended_basis})" if t.ended_by else ""
        interim = f" (interim; {t.tenure.names_lasting} names the lasting one)" if t.tenure.interim else ""
        click.echo(
            f"{clock.local_text(period.since)} to {until}  {t.tenure.who}{interim}, {t.tenure.legal_basis}{ended}"
        )


@owner.command()
@_who
@click.option("--since", type=DAY, default=None, help="From which day on; now when not given.")
@click.option("--by", required=True, help="Who names it.")
def name(
    dataset: str,
    columns: tuple[str, ...],
    organisation: str,
    unit: str,
    legal_basis: str,
    since: datetime | None,
    by: str,
) -> None:
    """Name the owner of DATASET's attributes; without --column of every one that nobody owns."""
    source, table = dataset_of(dataset)
    with ledger() as log:
        from kerege.catalogue.ownership import face as ownership

        named = ownership.name_owners(
            source, table, organisation, unit, legal_basis, clock.now(), columns=columns, since=since, by=by, ledger=log
        )
    click.echo(f"{organisation} {unit} owns {counted(len(named), 'more attribute')} of {dataset}.")


@owner.command()
@_who
@click.option("--until", type=DAY, required=True, help="The last day of the term.")
@click.option("--names-lasting", required=True, help="Who must name the lasting owner.")
@click.option("--by", required=True, help="Who names it.")
def interim(
    dataset: str, columns: tuple[str, ...], organisation: str, unit: str, legal_basis: str, until: datetime,
    names_lasting: str, by: str,
) -> None:  # fmt: skip
    """Name an owner for the time being, with the last day of the term and who must name the lasting one."""
    source, table = dataset_of(dataset)
    last = until + timedelta(days=1) if until.astimezone(clock.BISHKEK).time().isoformat() == "00:00:00" else until
    with ledger() as log:
        from kerege.catalogue.ownership import face as ownership

        named = ownership.name_interims(
            source, table, organisation, unit, legal_basis, clock.now(), until=last, names_lasting=names_lasting,
            columns=columns, by=by, ledger=log,
        )  # fmt: skip
    click.echo(
        f"{organisation} {unit} owns {counted(len(named), 'attribute')} of {dataset} up to and including {clock.last_day(last)}; "
        f"{names_lasting} names the lasting owner."
    )


@owner.command("hand-over")
@_who
@click.option("--by", required=True, help="The present owner's member code, or who must name the lasting owner.")
def hand_over(dataset: str, columns: tuple[str, ...], organisation: str, unit: str, legal_basis: str, by: str) -> None:
    """Hand attributes over to the next owner; without --column all that --by may hand over."""
    source, table = dataset_of(dataset)
    with ledger() as log:
        from kerege.catalogue.ownership import face as ownership

        done = ownership.hand_over_several(
            source, table, organisation, unit, legal_basis, clock.now(), by=by, columns=columns, ledger=log
        )
    click.echo(f"{by} handed {counted(len(done), 'attribute')} of {dataset} over to {organisation} {unit}.")


@owner.command()
@click.argument("dataset")
@click.option("--column", required=True, help="The attribute.")
@click.option("--legal-basis", required=True, help="The act and article.")
@click.option("--reason", callback=names_nobody, required=True, help="Why; no personal data.")
@click.option("--by", required=True, help="Who ends it.")
def end(dataset: str, column: str, legal_basis: str, reason: str, by: str) -> None:
    """End an attribute's owner without a next one: it cannot be published any more."""
    source, table = dataset_of(dataset)
    with ledger() as log:
        from kerege.catalogue.ownership import face as ownership

        row = ownership.end_owner(source, table, column, legal_basis, reason, clock.now(), by=by, ledger=log)
    click.echo(f"{row} no longer owns {dataset}.{column}; nobody does.")


@owner.command()
@click.option("--language", type=click.Choice(["ky", "ru", "en"]), default="en", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON value instead of text.")
def roles(language: str, as_json: bool) -> None:
    """The country's words for who does what, and which of them nobody has confirmed yet."""
    from kerege.catalogue.ownership.roles import load_roles

    found = load_roles()
    if as_json:
        told([r.as_dict() for r in found.roles.values()])
        return
    for role in found.roles.values():
        note = "" if role.confirmed else f"  [to be confirmed: {role.note}]"
        click.echo(f"{role.id:28} {role.text.in_(language)}: {role.meaning.in_(language)} ({role.source}){note}")


@click.group()
def truth() -> None:
    """Which attribute decides for a concept, by what law: show, declare, end."""


@truth.command("show")
@click.argument("concept", default="")
@click.option("--as-of", type=DAY, default=None, help="As of a day instead of now.")
@click.option("--json", "as_json", is_flag=True, help="One JSON value instead of text.")
def show_truth(concept: str, as_of: datetime | None, as_json: bool) -> None:
    """The source of truth of CONCEPT, or of every concept. Status 1 when CONCEPT has none."""
    open_database()
    from kerege.catalogue.ownership import face as ownership
    from kerege.catalogue.ownership.queries import concept_truths

    moment = as_of or clock.now()
    found = [c for c in concept_truths(moment) if not concept or c.concept == concept]
    if as_json:
        told([c.as_dict() for c in found])
    for c in found if not as_json else ():
        where = "nothing decides" if c.truth is None else f"{c.truth.dataset}.{c.truth.column}, {c.truth.legal_basis}"
        click.echo(f"{c.concept:30} {where}")
    if concept and ownership.source_of_truth(concept, moment) is None:
        raise SystemExit(1)


@truth.command()
@click.argument("concept")
@click.argument("dataset")
@click.option("--column", required=True, help="The attribute that decides.")
@click.option("--legal-basis", required=True, help="The act and article.")
@click.option("--since", type=DAY, default=None, help="From which day on; now when not given.")
@click.option("--replace", is_flag=True, help="End the present declaration where this one begins.")
@click.option("--by", required=True, help="Who declares it.")
def declare(
    concept: str, dataset: str, column: str, legal_basis: str, since: datetime | None, replace: bool, by: str
) -> None:
    """Declare which attribute of DATASET decides for CONCEPT."""
    source, table = dataset_of(dataset)
    with ledger() as log:
        from kerege.catalogue.ownership import face as ownership

        row = ownership.declare_source_of_truth(
            concept, source, table, column, legal_basis, clock.now(), since=since, replace=replace, by=by, ledger=log
        )
    click.echo(f"{dataset}.{column} decides for {concept} from {clock.local_text(row.since)} on.")


@truth.command("end")
@click.argument("concept")
@click.option("--legal-basis", required=True, help="The act and article.")
@click.option("--reason", callback=names_nobody, required=True, help="Why.")
@click.option("--by", required=True, help="Who ends it.")
def end_truth(concept: str, legal_basis: str, reason: str, by: str) -> None:
    """End CONCEPT's source of truth without a next one."""
    with ledger() as log:
        from kerege.catalogue.ownership import face as ownership

        ownership.end_source_of_truth(concept, legal_basis, reason, clock.now(), by=by, ledger=log)
    click.echo(f"Nothing decides for {concept} any more.")
