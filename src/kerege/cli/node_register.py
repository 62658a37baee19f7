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

    May be repeated: what is registered or waits already is told as that. Exit code 1: a request was refused; 2: nobody
    answered, or what answered cannot be read.
    """
    from kerege.cli.telling import fingerprint
    from kerege.exchange.certs import der_sha256
    from kerege.exchange.management import Kind
    from kerege.ground.clock import now
    from kerege.node.asking import registration, submitting
    from kerege.node.config import NodeConfig

    assert isinstance(config, NodeConfig)
    papers, picture = asyncio.run(submitting.gather(config, now))
    pinned = submitting.pinned_for(url, picture)
    refused, worst, shown = 0, 0, der_sha256(papers.keys.auth.certificate)
    for asked in registration.requests_of(papers, address):
        outcome = submitting.send(url, asked, pinned)
        refused += not outcome.good
        worst = max(worst, outcome.exit_code)
        click.echo(outcome.told)
        otherwise = registration.otherwise(outcome, picture.shared)
        if otherwise:
            click.echo(f"  {otherwise}")
        if asked.request.kind is Kind.AUTH_CERT_REG:
            click.echo(f"  certificate SHA-256 {fingerprint(shown)} (read it out when the central services ask)")
    if refused:
        click.echo(f"{refused} refused. What was received or is there already need not be sent again; the rest may.")
    sys.exit(worst)
