"""Commands of the exchange node."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kerege.cli.node_keys import expiry, order
from kerege.cli.node_register import register


@click.group(invoke_without_command=True)
@click.option(
    "--config",
    "config_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The node's YAML file (docs/reference/node.md).",
)
@click.pass_context
def node(ctx: click.Context, config_file: Path) -> None:
    """Run an exchange node, or look into one: check, verify-log, asic."""
    from kerege.node.config import load

    ctx.obj = load(config_file)
    if ctx.invoked_subcommand is None:
        from kerege.node.serve import run

        run(ctx.obj)


@node.command()
@click.pass_obj
def check(config: object) -> None:
    """Say what is wrong with the node's configuration, keys and anchor; nothing is started."""
    from kerege.exchange.confdir import parse_anchor
    from kerege.node.config import NodeConfig
    from kerege.node.keys import load_keys
    from kerege.node.serve import CLIENTS_WARNING

    assert isinstance(config, NodeConfig)
    keys = load_keys(config)
    if not config.clients_address.loopback:
        click.echo(f"Warning: {CLIENTS_WARNING % config.clients_address}", err=True)
    assert config.anchor is not None
    anchor = parse_anchor(config.anchor.read_bytes())
    click.echo(
        f"{config.server}: configuration, {len(keys.signers) + 1} keys and the anchor of {anchor.instance} are in order"
    )


@node.command(name="verify-log")
@click.pass_obj
def verify_log(config: object) -> None:
    """Count the message log's records and verify every signature, under the configuration the node keeps."""
    from kerege.exchange.messagelog import verify
    from kerege.node.assembly import read_log_key
    from kerege.node.config import NodeConfig
    from kerege.node.keeper import kept_trust

    assert isinstance(config, NodeConfig)
    report = verify(config.log.folder, kept_trust(config), read_log_key(config.log))
    click.echo(
        f"{report.records} records ({report.requests} requests, {report.responses} responses), {report.verified} verified"
    )
    for problem in report.problems:
        click.echo(
            f"{problem.file} at byte {problem.offset}, request {problem.request_id or '?'}: {problem.reason}", err=True
        )
    sys.exit(0 if report.ok else 1)


@node.command()
@click.argument("request_id")
@click.option("--out", "folder", default=".", type=click.Path(path_type=Path, file_okay=False), help="Where to write.")
@click.pass_obj
def asic(config: object, request_id: str, folder: Path) -> None:
    """Write the ASiC-E containers of one exchange, by its x-road-request-id."""
    from kerege.exchange.asic import container
    from kerege.exchange.messagelog import read
    from kerege.node.assembly import read_log_key
    from kerege.node.config import NodeConfig

    assert isinstance(config, NodeConfig)
    written = 0
    folder.mkdir(parents=True, exist_ok=True)
    for _, _, record in read(config.log.folder, read_log_key(config.log)):
        if record.request_id == request_id:
            path = folder / f"{request_id}-{record.direction}-{record.side}.asice"
            path.write_bytes(container(record))
            click.echo(str(path))
            written += 1
    if not written:
        click.echo("no record with this request id", err=True)
        sys.exit(1)


node.add_command(expiry)
node.add_command(order)
node.add_command(register)
