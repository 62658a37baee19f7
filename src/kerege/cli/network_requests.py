"""`kerege network requests`, `approve`, `decline`: management requests, with all that is compared before one is decided."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from kerege.cli.membership import BY, opened_ledger
from kerege.cli.reasons import names_nobody
from kerege.cli.telling import fingerprint, printable
from kerege.ground import clock
from kerege.web.installation import open_database

if TYPE_CHECKING:
    from kerege.membership.queries import ReceivedRequest


@click.command()
@click.option("--waiting", is_flag=True, help="Only those that wait for a decision.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
def requests(waiting: bool, as_json: bool) -> None:
    """Management requests received, newest last: what each asks, the certificate's SHA-256, who signed it, when it came."""
    open_database()
    from kerege.membership.queries import requests_received

    found = requests_received(waiting=waiting)
    if as_json:
        click.echo(json.dumps([one.as_dict() for one in found], ensure_ascii=False, indent=2))
        return
    for one in found:
        for line in _lines(one):
            click.echo(line)


def _lines(one: ReceivedRequest) -> list[str]:
    """What strangers wrote cannot end a line: else it could say who signed it."""
    about = {
        "new owner" if one.kind == "ownerChange" else "client": one.client,
        "name": one.name,
        "address": one.address,
        "message": one.message,
        "certificate": None if one.certificate_sha256 is None else f"SHA-256 {fingerprint(one.certificate_sha256)}",
        "good until": None if one.good_until is None else clock.zoned_text(one.good_until),
        "signed by": one.signer or f"nobody; it came from {one.origin or 'an address that was not kept'}",
        "received": clock.zoned_text(one.received_at),
    }
    if one.decided_at is not None:
        about["decided"] = f"{clock.zoned_text(one.decided_at)} by {one.decided_by}: {one.reason}"
    lines = [f"{one.number} {one.state} {one.kind} {one.server}"]
    return lines + [f"  {what:<11}  {printable(told)}" for what, told in about.items() if told]


def _decide(number: int, by: str, reason: str, *, approve: bool) -> None:
    with opened_ledger() as ledger:
        from kerege.membership import requests as doings

        decide = doings.approve if approve else doings.decline
        row = decide(number, by=by, reason=reason, ledger=ledger, now=clock.now())
    click.echo(f"{row.pk} {row.state}")


_REASON = click.option("--reason", callback=names_nobody, required=True, help="Why; kept with the request.")


@click.command()
@click.argument("number", type=int)
@BY
@_REASON
def approve(number: int, by: str, reason: str) -> None:
    """Apply a management request that waits."""
    _decide(number, by, reason, approve=True)


@click.command()
@click.argument("number", type=int)
@BY
@_REASON
def decline(number: int, by: str, reason: str) -> None:
    """Refuse a management request that waits."""
    _decide(number, by, reason, approve=False)
