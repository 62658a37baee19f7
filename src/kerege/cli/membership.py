"""`kerege network`: who is registered, who may call what, which permits are in force; and what its commands that change something share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kerege.cli.telling import agreed, counted, fingerprint, printable
from kerege.ground import clock, settings
from kerege.web.installation import open_database

if TYPE_CHECKING:
    from kerege.ledger.log import Ledger
    from kerege.membership.queries import ServerStanding


def _said(context: click.Context, option: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("it is empty; say who decides", context, option)
    return value.strip()


BY = click.option(
    "--by", required=True, callback=_said, help="Who decides: a name or an office, written to the ledger."
)


@contextmanager
def opened_ledger() -> Iterator[Ledger]:
    """The hub's database, and its ledger to write to; the head is signed when all went well."""
    open_database()
    from kerege.ledger import open_signing

    with open_signing(Path(settings.get("home")).absolute()) as log:
        yield log
        log.sign_head(clock.now())


@click.group(invoke_without_command=True)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object: the rules as the nodes get them, and the servers."
)
@click.pass_context
def network(context: click.Context, as_json: bool) -> None:
    """The network as registered: members, servers, rights, contracts, permits; and the central services' commands."""
    if context.invoked_subcommand is not None:
        return
    open_database()
    from kerege.exchange import rules
    from kerege.membership.queries import network_view, requests_waiting, servers_standing

    view = network_view(clock.now())
    picture, waiting = view.picture, requests_waiting()
    if as_json:
        told = json.loads(rules.build(picture.rules(view.version or 0)))
        told["requests_waiting"] = waiting
        told["servers"] = [server.as_dict() for server in servers_standing(picture.instance)]
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    published = "never published" if view.version is None else f"version {view.version}"
    changes = ", changed since it was published" if view.version is not None and view.unpublished_changes else ""
    click.echo(
        f"{counted(len(picture.members), 'member')}, {counted(len(picture.subsystems), 'subsystem')}, "
        f"{counted(len(picture.servers), 'server')}; {published}{changes}"
    )
    expired = _tell_standing()
    if waiting:
        click.echo(
            f"  {counted(waiting, 'request')} {agreed(waiting, 'waits', 'wait')} for a decision: kerege network requests --waiting"
        )
    for server in servers_standing(picture.instance):
        click.echo(f"  server {_told(server)}")
        for certificate, until in zip(server.certificates, server.good_until, strict=True):
            told = "" if until is None else f" good until {clock.zoned_text(until)}"
            click.echo(f"    certificate SHA-256 {fingerprint(certificate)}{told}")
    for right in picture.rights:
        click.echo(
            f"  right  {right.holder} -> {right.data_service} {right.method} {right.path} until {clock.zoned_text(right.until)}"
        )
    for contract in picture.contracts:
        click.echo(
            f"  contract {contract.data_service} {contract.path} -> {contract.mapping} at the {contract.at}, {contract.mode}"
        )
    for permit in picture.permits:
        click.echo(
            f"  permit {permit.public_service} {permit.state.value} until {clock.zoned_text(permit.until)}, ledger entry {permit.verdict_index}"
        )
    if expired:
        context.exit(1)


def _told(server: ServerStanding) -> str:
    clients = [f"{one} (disabled)" if one in server.disabled else one for one in server.clients]
    told = f"{server.code} at {printable(server.address)} for {', '.join(clients) or 'nobody'}"
    if server.maintenance is None:
        return told
    return f"{told}, in maintenance" + (f": {printable(server.maintenance)}" if server.maintenance else "")


def _tell_standing() -> bool:
    """Until when what is published holds, and what keeps the hub from publishing anew. True where it holds no longer."""
    from kerege.web import publisher

    home = Path(settings.get("home")).absolute()
    told = publisher.told(home, clock.now())
    if told is None:
        return False
    expired = bool(told["status"] == "expired")
    if told["expires"] is not None:
        click.echo(f"  signed {_zoned(told['published'])}, holds until {_zoned(told['expires'])}: {told['status']}")
    if told["failed"] is not None:
        failed = told["failed"]
        click.echo(
            f"  not published since {_zoned(failed['since'])}, {counted(failed['tries'], 'try')}: {failed['text']}"
        )
    if expired and publisher.keys_folder(home).is_dir():
        click.echo(
            "  No node carries anything: kerege network publish signs it anew, and a hub that runs does so by itself"
        )
    elif expired:
        click.echo(
            "  No node carries anything, and this home has no keys to sign it anew: what laid the network out does"
        )
    return expired


def _zoned(moment: str) -> str:
    return clock.zoned_text(datetime.fromisoformat(moment))
