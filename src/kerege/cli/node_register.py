"""`kerege node register`: the node asks the central services for its certificate and its clients to be registered."""

from __future__ import annotations

import asyncio
import sys

import click


@click.command()
@click.option("--url", required=True, help="The central services, such as https://cs.example:4001.")
@click.option("--address", required=True, help="The host name under which other servers reach this node.")
@click.pass_obj
def register(config: object, url: str, address: str) -> None:
    """Send authCertReg for the node and clientReg for each of its clients; an operator approves them there.

    May be repeated: what is registered or waits already is told as that. Exit code 1: a request was refused.
    """
    from kerege.ground.clock import now
    from kerege.node import registration
    from kerege.node.config import NodeConfig
    from kerege.node.errors import RegistrationUnreachable
    from kerege.node.keeper import Keeper
    from kerege.node.keys import load_keys
    from kerege.node.revocation import Revocation

    assert isinstance(config, NodeConfig)
    keys = load_keys(config)

    async def prepared() -> tuple[dict[str, bytes], Keeper]:
        keeper, revocation = Keeper.of(config, now), Revocation(keys, config.state, now)
        await keeper.start()
        await revocation.refresh_own(keeper.current(now()).trust)
        return revocation.own_answers(), keeper

    answers, keeper = asyncio.run(prepared())
    for member, signer in keys.signers.items():
        if keys.revoked_since(signer.certificate):
            keys.signer(member, now())  # says since when and what to do
    private = keeper.current(now()).private
    if private is None or private.management_provider is None:
        raise RegistrationUnreachable(url=url, reason="the configuration names no management services")
    pinned, provider = private.auth_cert_registration_certificate, private.management_provider
    refused = 0
    for asked in registration.requests_of(config, keys.auth, keys.signers, answers, provider, address):
        outcome = registration.send(url, asked, pinned if url.startswith("https:") else None)
        what = outcome.request.client or outcome.request.server
        refused += not outcome.good
        sent = f"request {outcome.number} received" if outcome.number is not None else outcome.already
        click.echo(f"{outcome.request.kind} {what}: {sent or outcome.refused}")
    if refused:
        click.echo(f"{refused} refused. What was received or is there already need not be sent again; the rest may.")
    sys.exit(1 if refused else 0)
