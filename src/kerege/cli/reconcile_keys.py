"""`kerege reconcile part`: records that clerks settled as different persons, and that have one key, get their own again."""

from __future__ import annotations

from pathlib import Path

import click

from kerege.cli.reasons import names_nobody
from kerege.ground import clock, settings
from kerege.web.installation import open_database


@click.command()
@click.argument("task")
@click.option("--reason", callback=names_nobody, required=True, help="Why, in a sentence; kept for ever.")
@click.option("--person", required=True, help="Who decides, by identifier.")
def part(task: str, reason: str, person: str) -> None:
    """Part the two records of a pair that stands as different: the joining that keeps them together is taken back, or one gets a new key."""
    open_database()
    from kerege.ledger.log import Ledger
    from kerege.reconcile import parting

    with Ledger.open(Path(settings.get("home")) / "ledger") as ledger:
        key = parting.part(task, reason=reason, by=person, ledger=ledger, now=clock.now())
    click.echo(f"{task}  parted  {key}")
