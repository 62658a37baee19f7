"""Commands about the node's keys and certificates: what ends when, and ordering new ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--ics",
    "calendar_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a calendar file (iCalendar) with what does not renew itself.",
)
@click.option("--json", "as_json", is_flag=True, help="The list as JSON.")
@click.pass_obj
def expiry(config: object, calendar_file: Path | None, as_json: bool) -> None:
    """List when certificates, OCSP answers, configuration, permits and rights end, and what to do; exit 1 when one is over."""
    from kerege.ground.clock import now as utc_now
    from kerege.node.config import NodeConfig
    from kerege.node.keys import expiry as room
    from kerege.node.keys.expiry_kept import kept_entries

    assert isinstance(config, NodeConfig)
    now = utc_now()
    entries, problem = kept_entries(config, now)
    if as_json:
        said = {"problem": problem or None, "entries": [one.as_dict() for one in entries]}
        click.echo(json.dumps(said, ensure_ascii=False, indent=2))
    else:
        click.echo(room.table(entries))
    if problem and not as_json:
        click.echo(problem, err=True)
    if calendar_file is not None:
        new = calendar_file.with_name(calendar_file.name + ".new")
        new.write_bytes(room.ics(entries, str(config.server), now).encode())
        new.replace(calendar_file)
    sys.exit(1 if problem or any(one.state == room.EXPIRED for one in entries) else 0)


@click.command()
@click.argument("what", default="due")
@click.pass_obj
def order(config: object, what: str) -> None:
    """Order certificates by ACME now: "auth", a member of keys.sign, or "due" (the default): those that are missing or end soon."""
    import asyncio

    from kerege.ground.clock import now as utc_now
    from kerege.node.config import NodeConfig
    from kerege.node.keys.acme_client import Challenges
    from kerege.node.keys.acme_orders import Renewals, order_now

    assert isinstance(config, NodeConfig)
    challenges = Challenges()
    renewals = Renewals.of(config, utc_now, challenges)
    if renewals is None:
        click.echo("keys.acme is not in the node's configuration; nothing can be ordered", err=True)
        sys.exit(2)
    wanted = [one for one in renewals.settings.orders if what in ("due", str(one))]
    if not wanted:
        click.echo(f"{what} is not among keys.acme.orders", err=True)
        sys.exit(2)
    if what == "due":
        wanted = [one for one in wanted if renewals.due(one, utc_now())]
    for source in asyncio.run(order_now(renewals, challenges, wanted)):
        click.echo(f"ordered: {source.certificate}")
    if not wanted:
        click.echo("nothing is due")


@click.command()
@click.argument("member")
@click.option("--subject", required=True, help="As in CN=70000003,serialNumber=KG/node-edu/GOV,O=Ministry,C=KG.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Where to write it (PEM).")
@click.pass_obj
def csr(config: object, member: str, subject: str, out: Path) -> None:
    """Write a request for a certificate of a signing key that is on a token: MEMBER of keys.sign, as the file names it."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    from kerege.node.config import NodeConfig
    from kerege.node.keys.files import passphrase
    from kerege.node.keys.pkcs11 import certificate_request

    assert isinstance(config, NodeConfig)
    source = next((one for name, one in config.sign.items() if str(name) == member), None)
    if source is None or source.token is None:
        click.echo(
            f"keys.sign names no key on a token for {member}; for one in a file, openssl req makes the request",
            err=True,
        )
        sys.exit(2)
    try:
        name = x509.Name.from_rfc4514_string(subject, {"serialNumber": NameOID.SERIAL_NUMBER})
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint="--subject") from None
    out.write_bytes(certificate_request(source.token, (passphrase(source) or b"").decode(), name))
    click.echo(str(out))
