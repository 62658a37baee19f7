"""`kerege gate`: look at a public service's gate, write an assessment down, sign it, open, close.

Works on the hub's database and the ledger in the home folder. Who acts is given by `--person`: the command line trusts whoever
may run it on this machine, and the rules of the gate (owners, layers, grants, no signing of one's own evidence) hold all the same.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kerege.cli.reasons import names_nobody
from kerege.ground import clock, settings
from kerege.web.installation import open_database

if TYPE_CHECKING:
    from kerege.delivery.queries import GateView
    from kerege.ledger.log import Ledger

SERVICE = "grade1-admission"
_MARKS = {"PASS": "pass  ", "FAIL": "FAIL  ", "NO-EVIDENCE": "none  "}


@contextmanager
def _ledger() -> Iterator[Ledger]:
    """The hub's database opened, and its ledger, whose head is signed when the command is done."""
    open_database()
    from kerege.ledger import open_signing

    with open_signing(Path(settings.get("home")).absolute()) as log:
        yield log
        log.sign_head(clock.now())


@click.group()
def gate() -> None:
    """A public service's gate: show, assess, sign, open, close."""


@gate.command()
@click.argument("public_service", default=SERVICE)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def show(public_service: str, as_json: bool) -> None:
    """How the gate looks now: every criterion with its facts, who signed, the permit. Status 1 unless it is PASS."""
    open_database()
    from kerege.delivery.queries import gate_view

    view = gate_view(public_service, clock.now())
    if as_json:
        click.echo(json.dumps(_as_json(view), ensure_ascii=False, indent=2))
    else:
        _print(view)
    if view.now.verdict.value != "PASS":
        sys.exit(1)


@gate.command()
@click.argument("public_service", default=SERVICE)
def assess(public_service: str) -> None:
    """Write down how the gate looks now, so that it can be signed."""
    with _ledger() as log:
        from kerege.delivery import doings

        doings.measure_owners(public_service, log, clock.now())
        row = doings.assess(public_service, log, clock.now())
    click.echo(f"{row.verdict}  {row.assessment_id}, ledger entry {row.ledger_index}, digest {row.digest}")


@gate.command()
@click.argument("assessment")
@click.option("--person", required=True, help="Who signs, by identifier.")
@click.option(
    "--layer", required=True, type=click.Choice(["TECH", "POL", "LEGAL", "ADM", "DPO"]), help="For which layer."
)
def sign(assessment: str, person: str, layer: str) -> None:
    """Sign an assessment for one layer."""
    with _ledger() as log:
        from kerege.delivery import doings
        from kerege.delivery.criteria import Layer

        row = doings.sign(assessment, person, Layer(layer), log, clock.now())
    click.echo(f"{person} signed {assessment} for {layer}, ledger entry {row.ledger_index}")


@gate.command("open")
@click.argument("assessment")
@click.option(
    "--client", required=True, help="The subsystem that acts for the public service, KG/GOV/70000003/admission."
)
@click.option("--data-service", "data_services", required=True, multiple=True, help="What it may call; more than once.")
@click.option("--days", default=90, show_default=True, type=click.IntRange(1), help="How long the permit lasts.")
def open_(assessment: str, client: str, data_services: tuple[str, ...], days: int) -> None:
    """Issue the permit for a signed assessment that is still a PASS. The nodes obey it with the next publication."""
    from kerege.exchange.ids import DataServiceId, SubsystemId

    now = clock.now()
    with _ledger() as log:
        from kerege.delivery import doings

        permit = doings.issue_permit(
            assessment,
            SubsystemId.parse(client),
            [DataServiceId.parse(code) for code in data_services],
            now + timedelta(days=days),
            log,
            now,
        )
    click.echo(f"{permit.state.value} until {clock.local_text(permit.until)}, ledger entry {permit.verdict_index}")


@gate.command()
@click.argument("public_service", default=SERVICE)
@click.option("--person", required=True, help="Which owner or deputy orders it.")
@click.option("--reason", callback=names_nobody, required=True, help="Why; goes into the ledger, so no personal data.")
def close(public_service: str, person: str, reason: str) -> None:
    """Withdraw the permit at once. The nodes obey it with the next publication."""
    with _ledger() as log:
        from kerege.delivery import doings

        permit = doings.withdraw_permit(public_service, person, reason, log, clock.now())
    click.echo(f"{permit.state.value}, ledger entry {permit.verdict_index}")


@gate.command()
@click.argument("public_service", default=SERVICE)
def reconsider(public_service: str) -> None:
    """Look again at the gate of a running permit; tighten the permit when it no longer holds. Status 1 when it did."""
    with _ledger() as log:
        from kerege.delivery import doings

        outcome = doings.reconsider(public_service, log, clock.now())
    if outcome.permit is None:
        click.echo(f"{outcome.assessment.verdict}  the permit stays as it is")
        return
    click.echo(f"{outcome.assessment.verdict}  the permit is now {outcome.permit.state.value}")
    sys.exit(1)


def _print(view: GateView) -> None:
    click.echo(f"{view.gate.id}, edition {view.edition}, release {view.release[:12]}: {view.now.verdict}")
    for line in view.criteria:
        verdict = "waived" if line.waived else _MARKS[line.evaluation.verdict.value]
        how = "measured" if line.criterion.measured else "by hand "
        click.echo(f"  {verdict} {line.criterion.id:<6} {line.criterion.layer:<5} {how}  {line.criterion.title.en}")
        facts = ", ".join(f"{name} {value}" for name, value in line.evaluation.facts.items())
        if facts:
            click.echo(f"         {facts}; sample {line.evaluation.sample}")
        if line.evaluation.verdict.value != "PASS":
            click.echo(f"         {'; '.join(line.evaluation.reasons)}")
    for clause in view.eased:
        click.echo(f"  eased in this edition: {clause}")
    if view.assessment is not None:
        click.echo(
            f"assessment {view.assessment_id}: {view.assessment.verdict}, ledger entry {view.assessment_ledger_index}"
        )
        for signature in view.signatures:
            signed = signature.signature
            click.echo(f"  {signature.layer:<5} {signed.person if signed else 'not signed'}")
    else:
        click.echo(f"Nothing is up for signing. To write it down: kerege gate assess {view.public_service}")
    if view.permit is not None:
        click.echo(
            f"permit {view.permit.state.value} until {clock.local_text(view.permit.until)}, ledger entry {view.permit.verdict_index}"
        )
    else:
        click.echo("no permit")


def _as_json(view: GateView) -> dict[str, object]:
    return {
        "public_service": view.public_service,
        "gate": view.gate.id,
        "edition": view.edition,
        "now": view.now.as_dict(),
        "assessment": view.assessment_id,
        "signed": view.assessment.as_dict() if view.assessment else None,
        "signatures": {s.layer.value: s.signature.person if s.signature else None for s in view.signatures},
        "permit": None
        if view.permit is None
        else {
            "state": view.permit.state.value,
            "until": clock.iso(view.permit.until),
            "ledger_index": view.permit.verdict_index,
        },
    }
