"""`kerege lifecycle`: how versions stand, what the next step would break, who approved what is published; and to take the step."""

from __future__ import annotations

import click

from kerege.cli.ownership import ledger, told
from kerege.cli.reasons import names_nobody
from kerege.ground import clock
from kerege.web.installation import open_database


@click.group()
def lifecycle() -> None:
    """The approval of what is published, version by version: show, act."""


@lifecycle.command("show")
@click.argument("kind", default="")
@click.argument("thing", default="")
@click.argument("version", default="")
@click.option("--state", default="", help="Only versions in this state.")
@click.option("--json", "as_json", is_flag=True, help="One JSON value instead of text.")
def show_lifecycle(kind: str, thing: str, version: str, state: str, as_json: bool) -> None:
    """Every version somebody acted on (of a KIND, of one THING); with VERSION all its actions."""
    open_database()
    from kerege.catalogue.codes.consequences import CODELIST, hits_of
    from kerege.catalogue.lifecycle import doings as cycle

    if version:
        subject = cycle.Subject(kind, thing, version)
        done, stands = cycle.history(subject), cycle.status(subject)
        ahead = {a.value: cycle.breaks(subject, a) for a in stands.allowed}
        if as_json:
            broken = {action: [str(b) for b in breaks] for action, breaks in ahead.items() if breaks}
            told({**stands.as_dict(), "history": [a.as_dict() for a in done], "breaks": broken})
            return
        for a in done:
            click.echo(f"{clock.local_text(a.at)}  {a.action.value:10} {a.by}: {a.reason}")
        click.echo(f"{subject} is {stands.state.value}; allowed: {', '.join(stands.allowed) or 'nothing'}")
        for action, breaks in ahead.items():
            for one in breaks:
                click.echo(f"  {action} would break: {one}")
            for hit in hits_of(subject, cycle.Action(action)) if kind == CODELIST else ():
                click.echo(f"    {hit.severity:8} {hit.node}: {hit.reason}")
        return
    if state and state not in set(cycle.State):
        raise click.BadParameter(f"states are {', '.join(cycle.State)}", param_hint="--state")
    found = cycle.subjects(kind, state or None, thing)
    if as_json:
        told([s.as_dict() for s in found])
        return
    for s in found:
        click.echo(f"{s.state.value:10} {s.subject}")


@lifecycle.command()
@click.argument("action")
@click.argument("kind")
@click.argument("thing")
@click.argument("version")
@click.option("--by", required=True, help="Who acts.")
@click.option("--reason", callback=names_nobody, required=True, help="Why; no personal data.")
@click.option(
    "--accept",
    "accepting",
    callback=names_nobody,
    default="",
    help="Why what the action breaks is accepted; kept with the action.",
)
@click.option(
    "--with", "after", nargs=3, multiple=True, metavar="KIND THING VERSION",
    help="Publish this approved version too, after it and in one transaction, or none of them; may be given again.",
)  # fmt: skip
def act(
    action: str, kind: str, thing: str, version: str, by: str, reason: str, accepting: str,
    after: tuple[tuple[str, str, str], ...],
) -> None:  # fmt: skip
    """Do ACTION (submit, approve, return, publish, deprecate ...) on a VERSION of a THING of a KIND."""
    from kerege.catalogue.lifecycle.rules import Subject

    try:
        subject, *others = (Subject(*one) for one in ((kind, thing, version), *after))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if others and action != "publish":
        raise click.UsageError("--with is for publish")
    with ledger() as log:
        from kerege.catalogue.lifecycle import doings as cycle
        from kerege.catalogue.lifecycle import together

        now = clock.now()
        if others:
            together.publish([subject, *others], by, reason, now, accepting=accepting, ledger=log)
            for one in (subject, *others):
                click.echo(f"{one} is published.")
            return
        done = cycle.act(subject, action, by, reason, now, ledger=log, accepting=accepting)
    click.echo(f"{subject} is {done.leads_to.value}.")
