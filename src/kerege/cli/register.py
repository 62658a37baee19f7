"""`kerege register`: a register's requests (establish, take into use, modify, close), their reviews, and its state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kerege.cli.ownership import ledger, told
from kerege.cli.reasons import names_nobody
from kerege.ground import clock
from kerege.semantics.bounded_yaml import Bounds, YamlRefused, read_as_1_1
from kerege.web.installation import open_database

_MOST = 256 * 1024  # bytes of a description


@click.group()
def register() -> None:
    """A register's requests and state: request, review, withdraw, show."""


@register.command("request")
@click.argument("name")
@click.argument("kind", type=click.Choice(["establish", "take-into-use", "modify", "close"]))
@click.option(
    "--description", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="YAML or JSON that describes the register; the one that stands when not given.",
)  # fmt: skip
@click.option("--organisation", required=True, help="Member code of the register's owner.")
@click.option("--by", required=True, help="Who asks.")
@click.option("--reason", callback=names_nobody, required=True, help="Why; the act it rests on.")
def ask(name: str, kind: str, file: Path | None, organisation: str, by: str, reason: str) -> None:
    """Ask for the register NAME to be established, taken into use, modified or closed."""
    description = _read(file) if file else None
    with ledger() as log:
        from kerege.catalogue.requests import doings as requests

        made = requests.ask(
            name, kind, description, organisation=organisation, by=by, reason=reason, now=clock.now(), ledger=log
        )
    click.echo(f"{made.request_id}: to be reviewed by {', '.join(made.reviewers)} until {clock.local_text(made.due)}.")


@register.command()
@click.argument("request")
@click.argument("role")
@click.option("--decision", required=True, type=click.Choice(["positive", "negative", "dismissed"]))
@click.option("--by", required=True, help="Who decides.")
@click.option("--reason", callback=names_nobody, required=True, help="Why.")
@click.option("--terms", callback=names_nobody, default="", help="What the approval is bound to.")
def review(request: str, role: str, decision: str, by: str, reason: str, terms: str) -> None:
    """Decide on REQUEST for one reviewer's ROLE."""
    with ledger() as log:
        from kerege.catalogue.requests import doings as requests

        done = requests.review(
            request, role, by=by, decision=decision, reason=reason, terms=terms, now=clock.now(), ledger=log
        )
        stands = requests.register(done.register, clock.now())
    waits = f"; still to be reviewed by {', '.join(done.missing)}" if done.missing else ""
    click.echo(f"{request} is {done.outcome.value}{waits}. {done.register} is {stands.state.value}.")


@register.command()
@click.argument("request")
@click.option("--by", required=True, help="Who made it.")
@click.option("--reason", callback=names_nobody, required=True, help="Why.")
def withdraw(request: str, by: str, reason: str) -> None:
    """Take an open REQUEST back."""
    with ledger() as log:
        from kerege.catalogue.requests import doings as requests

        done = requests.withdraw(request, by=by, reason=reason, now=clock.now(), ledger=log)
    click.echo(f"{request} is {done.outcome.value}.")


@register.command()
@click.argument("name", default="")
@click.option("--json", "as_json", is_flag=True, help="One JSON value instead of text.")
@click.option("--riha", is_flag=True, help="The register as a RIHA card (JSON).")
@click.option("--language", type=click.Choice(["ky", "ru", "en"]), default="en", show_default=True)
def show(name: str, as_json: bool, riha: bool, language: str) -> None:
    """Every register with its state; with NAME its requests and what their reviewers said."""
    open_database()
    from kerege.catalogue.ownership.roles import load_roles
    from kerege.catalogue.requests import doings as requests
    from kerege.catalogue.requests.card import riha_card

    now, roles = clock.now(), load_roles()
    views = [requests.register(name, now)] if name else requests.registers(now)
    if riha or as_json:
        found: list[Any] = [riha_card(v.standing, v.requests, language) if riha else v.as_dict(now) for v in views]
        told(found[0] if name else found)
        return
    for view in views:
        facts = ", ".join(f"{k} {v}" for k, v in view.facts.items())
        click.echo(
            f"{view.register}: {view.state.value}; takes {', '.join(view.standing.allowed) or 'nothing'} ({facts})"
        )
        for r in view.requests if name else ():
            late = "  OVERDUE" if r.overdue(now) else ""
            click.echo(
                f"  {clock.local_text(r.at)}  {r.kind.value:14} {r.request_id}  {r.outcome.value}{late}: {r.reason}"
            )
            for v in r.reviews:
                terms = f"; terms: {v.terms}" if v.terms else ""
                click.echo(
                    f"      {roles.text(v.role).in_(language) if v.role else 'the asker'}, {v.by}: {v.decision.value}, {v.reason}{terms}"
                )
            for role in r.missing:
                click.echo(f"      {roles.text(role).in_(language)}: not yet")


def _read(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _MOST:
        raise click.BadParameter(f"{file}: larger than {_MOST} bytes", param_hint="--description")
    try:
        found = read_as_1_1(file.read_bytes(), Bounds(_MOST, 10_000, 20))
    except YamlRefused as error:
        raise click.BadParameter(f"{file}: no YAML or JSON in UTF-8", param_hint="--description") from error
    if not isinstance(found, dict):
        raise click.BadParameter(f"{file}: expected entries such as name and purpose", param_hint="--description")
    return found
