"""`kerege node request`: a registered node asks the central services for a change of what is registered."""

from __future__ import annotations

import asyncio
import difflib
import sys
from pathlib import Path

import click

KINDS = (  # `changes.KINDS`, which is not loaded for a command's help; a test holds them equal
    "clientReg",
    "clientDeletion",
    "authCertDeletion",
    "ownerChange",
    "addressChange",
    "clientDisable",
    "clientEnable",
    "clientRename",
    "maintenanceModeEnable",
    "maintenanceModeDisable",
)


class _Kind(click.ParamType[str]):
    """X-Road's word for a kind, in any case of letters."""

    name = "KIND"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        spelt = {kind.casefold(): kind for kind in KINDS}
        if value.casefold() in spelt:
            return spelt[value.casefold()]
        near = difflib.get_close_matches(value.casefold(), spelt, 1)
        meant = f"is {spelt[near[0]]} meant?" if near else f"there are {', '.join(KINDS)}"
        self.fail(f"there is no kind {value}; {meant}", param, ctx)


@click.command()
@click.argument("kind", metavar="KIND", type=_Kind())
@click.option("--client", help="Of client...: the client, instance/class/member/subsystem.")
@click.option("--owner", help="Of ownerChange: the new owner, instance/class/member; its signing key is in keys.sign.")
@click.option("--name", help="Of clientRename, and if wanted of clientReg: the subsystem's name.")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Of authCertDeletion: the authentication certificate, in PEM or DER.",
)
@click.option("--in-use", is_flag=True, help="Of authCertDeletion: also the certificate that this node uses now.")
@click.option("--address", help="Of addressChange: the host under which other servers reach this node.")
@click.option("--message", help="Of maintenanceModeEnable, if wanted: what callers are told.")
@click.option("--url", help="Straight to the central services there; without it through this node, which must run.")
@click.option(
    "--unsigned", is_flag=True, help="Of deletions: without a signature, as X-Road's servers send them; it waits."
)
@click.pass_obj
def request(
    config: object,
    kind: str,
    client: str | None,
    owner: str | None,
    name: str | None,
    certificate: Path | None,
    in_use: bool,
    address: str | None,
    message: str | None,
    url: str | None,
    unsigned: bool,
) -> None:
    """Send the central services one management request of the kind KIND, X-Road's word for it.

    \b
    clientReg, clientDeletion, clientDisable, clientEnable, clientRename,
    authCertDeletion, ownerChange, addressChange,
    maintenanceModeEnable, maintenanceModeDisable

    May be repeated: what is so or waits already is told as that. Exit code 1: it was refused; 2: not made, not carried
    there, or nobody answered in a way that can be read.
    """
    from kerege.exchange import certs
    from kerege.exchange.ids import ClientId, MemberId
    from kerege.exchange.management import Kind
    from kerege.ground.clock import now
    from kerege.node.asking import changes, submitting
    from kerege.node.config import NodeConfig
    from kerege.node.keys import files as keyfiles

    assert isinstance(config, NodeConfig)
    wish = changes.Wish(
        Kind(kind),
        None if client is None else ClientId.parse(client),
        None if owner is None else MemberId.parse(owner),
        None if certificate is None else certs.der(keyfiles.read_certificates(certificate)[0]),
        address,
        name,
        message,
        in_use,
        unsigned,
    )
    papers, picture = asyncio.run(submitting.gather(config, now))
    asked = changes.asked_of(wish, papers, picture.shared)
    if url is None:
        outcome = submitting.send_through(config, asked, now())
    else:
        outcome = submitting.send(url, asked, submitting.pinned_for(url, picture))
    click.echo(outcome.told)
    if outcome.number is not None:
        click.echo(changes.comes_when(wish))
        click.echo(changes.afterwards(asked.request), nl=bool(changes.afterwards(asked.request)))
    sys.exit(outcome.exit_code)
