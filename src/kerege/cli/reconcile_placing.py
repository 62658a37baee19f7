"""`kerege reconcile link --desk`: persons of two registers placed, the clerks asked about the unsure; figures are printed, no value."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kerege.cli.reconcile_files import pack
from kerege.cli.telling import counted
from kerege.ground import clock, settings
from kerege.web.installation import open_database


def place(
    left: str, right: str, definition: str, model_file: Path | None, train: bool, member: str, as_json: bool
) -> None:
    """Persons of two registers placed, the clerks asked. No value is printed."""
    open_database()
    from kerege.identity.pseudonyms import open_key
    from kerege.ledger.log import Ledger
    from kerege.reconcile import placing, registers
    from kerege.reconcile.linkage import definition as definitions
    from kerege.reconcile.linkage import model as models

    home, known_lists, declared = Path(settings.get("home")), pack(), definitions.of_country(definition)
    known = registers.configured(home)
    for name in (left, right):
        if name not in known:
            listed = ", ".join(known) or "none"
            raise click.BadParameter(f"{name} is not in {home / registers.FILE}; there: {listed}", param_hint="--desk")
    tables, key = [known[left], known[right]], open_key(home)
    model = None
    if train:
        model = placing.train(tables[0], tables[1], known_lists, declared, key, trained_at=clock.iso(clock.now()))
        if model_file is not None:
            model.save(model_file)
    elif model_file is not None:
        model = models.load(model_file, declared)
    with Ledger.open(home / "ledger") as ledger:
        placed = placing.place_registers(
            tables, known_lists, declared, key, home=home, ledger=ledger, now=clock.now(), member=member, model=model
        )
    if as_json:
        click.echo(json.dumps(placed.as_dict()))
        return
    click.echo(
        f"{counted(placed.read, 'record')} read: {placed.existing} placed with a known person, {counted(placed.new, 'new person')}, "
        f"{placed.unsure} unsure (kerege reconcile queue), {placed.known} placed before, {counted(placed.joined, 'settled pair')} joined"
    )
    click.echo(
        f"not placed: {placed.aside} put aside by their mapping, {placed.unnumbered} without a number, {placed.twice} with one given twice; "
        f"{counted(placed.crowded, 'time')} a rule was passed over because too many share its value"
    )
