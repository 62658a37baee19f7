"""`kerege network grant`, `revoke`, `rights`, `bind`: who may call which data service by the signed configuration, and who needs a permit besides.

A right is a doing of `membership`: it names who decided, stands in the ledger, and reaches the nodes with the next publication.
A provider's own node may give rights besides, in its file; those are not seen here.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import click

from kerege.cli.membership import BY, opened_ledger
from kerege.cli.telling import counted
from kerege.ground import clock
from kerege.web.installation import open_database

_PUBLISH = (
    "The nodes obey it from the next publication on: a running hub's within seconds, or now by kerege network publish"
)


class Until(click.ParamType[datetime]):
    """A day (to its end in Kyrgyzstan) or a moment with its zone, as an aware datetime."""

    name = "DAY|TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The last second at which the right holds."""
        text = str(value)
        try:
            if len(text) <= len("2027-12-31"):
                return clock.end_of(date.fromisoformat(text))
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(
                f"{text} is neither a day (2027-12-31) nor a time with its zone (2027-12-31T18:00:00Z)", param, ctx
            )
        if moment.tzinfo is None:
            self.fail(f"{text} has no zone; add Z for UTC, or +06:00", param, ctx)
        return moment.astimezone(UTC)


@click.command()
@click.argument("client")
@click.argument("service")
@click.option(
    "--until",
    required=True,
    type=Until(),
    help="The last day, to its end in Kyrgyzstan, or moment; a right always ends.",
)
@click.option("--method", default="*", show_default=True, help="The HTTP method; * is any.")
@click.option("--path", default="/**", show_default=True, help="The path below the service; * is one segment, ** any.")
@BY
def grant(client: str, service: str, until: datetime, method: str, path: str, by: str) -> None:
    """Let CLIENT (a subsystem, KG/GOV/1/emis) call SERVICE (KG/GOV/2/registry/persons)."""
    from kerege.exchange.ids import DataServiceId, SubsystemId

    holder, data_service = SubsystemId.parse(client), DataServiceId.parse(service)
    with opened_ledger() as ledger:
        from kerege.membership import doings

        right = doings.grant_right(
            holder, data_service, until, ledger=ledger, now=clock.now(), method=method.upper(), path=path, by=by
        )
    click.echo(f"{right.right_id} {holder} -> {data_service} {right.method} {path} until {clock.zoned_text(until)}")
    click.echo(_PUBLISH)


@click.command()
@click.argument("right")
@BY
def revoke(right: str, by: str) -> None:
    """End the right with the identifier RIGHT, which `kerege network rights` shows."""
    with opened_ledger() as ledger:
        from kerege.membership import doings

        now = clock.now()
        row = doings.revoke_right(right, ledger=ledger, now=now, by=by)
    click.echo(f"{right} {'revoked' if row.revoked_at == now else 'was revoked already'}")
    click.echo(_PUBLISH)


@click.command()
@click.argument("public_service")
@click.argument("client")
@BY
def bind(public_service: str, client: str, by: str) -> None:
    """From now on CLIENT's calls need an open permit of PUBLIC_SERVICE, which `kerege gate` gives; there is no way back."""
    from kerege.exchange.ids import SubsystemId

    subsystem = SubsystemId.parse(client)
    with opened_ledger() as ledger:
        from kerege.membership import doings

        doings.register_public_service(public_service, subsystem, ledger=ledger, now=clock.now(), by=by)
    click.echo(f"{subsystem} acts for {public_service}: without an open permit the nodes refuse its calls")
    click.echo(_PUBLISH)


@click.command()
@click.option("--all", "everything", is_flag=True, help="Ended and revoked ones too.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
def rights(everything: bool, as_json: bool) -> None:
    """The rights of the signed configuration, with the identifiers that `revoke` takes."""
    open_database()
    from kerege.membership.queries import rights_given

    given = [one for one in rights_given(clock.now()) if everything or one.state == "in force"]
    if as_json:
        click.echo(json.dumps([one.as_dict() for one in given], ensure_ascii=False, indent=2))
        return
    for one in given:
        until = clock.zoned_text(one.until)
        click.echo(f"{one.right} {one.holder} -> {one.data_service} {one.method} {one.path} until {until}: {one.state}")
    click.echo(f"{counted(len(given), 'right')}{'' if everything else ' in force'}")
