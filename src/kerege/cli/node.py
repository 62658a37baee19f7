"""Commands of the exchange node: running one, and checking what it would run with. Its log is `node_log`, its keys `node_keys`."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Final

import click

from kerege.cli.node_keys import csr, expiry, order
from kerege.cli.node_lab import lab
from kerege.cli.node_log import asic, verify_archive, verify_container, verify_log
from kerege.cli.node_original import original
from kerege.cli.node_register import register
from kerege.cli.node_request import request

_HELP: Final = "kerege.node.help"
_TELL_THEMSELVES: Final = ("check", "register", "request")
_WITHOUT_FILE: Final = ("verify-archive", "verify-container")  # an auditor has no node


class _NodeGroup(click.Group):
    """Knows before its own work whether a command's help alone is wanted: that needs no file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, list(args))
        ctx.meta[_HELP] = "--help" in args
        return rest


@click.group(cls=_NodeGroup, invoke_without_command=True)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The node's YAML file (docs/reference/node.md); lab needs none, verify-archive and verify-container may do without.",
)
@click.pass_context
def node(ctx: click.Context, config_file: Path | None) -> None:
    """Run an exchange node, or look into one: its configuration, its log, its keys."""
    from kerege.node.config import load

    before = os.umask(0o077)  # whatever a command writes, only the node's user reads
    ctx.call_on_close(lambda: os.umask(before))
    if ctx.invoked_subcommand == "lab" or (ctx.invoked_subcommand and ctx.meta[_HELP]):
        return
    if config_file is None and ctx.invoked_subcommand in _WITHOUT_FILE:
        return  # these say themselves what they need instead
    if config_file is None:
        raise click.UsageError("Missing option '--config'.")
    if ctx.invoked_subcommand in _TELL_THEMSELVES:
        logging.getLogger("kerege.node").addHandler(logging.NullHandler())  # or Python prints its warnings beside
    if ctx.invoked_subcommand == "check":  # which tells of everything in the file, not of the first thing
        ctx.obj = config_file
        return
    ctx.obj = load(config_file)
    if ctx.invoked_subcommand is None:
        from kerege.node.serve import run

        run(ctx.obj)


@node.command()
@click.option(
    "--online", is_flag=True, help="Ask others too: configuration, OCSP, data services, peers; and the clock."
)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.pass_obj
def check(file: Path, online: bool, as_json: bool) -> None:
    """Say everything that is wrong with the node's configuration and how to mend it; nothing is started. Exit code 1: errors."""
    from kerege.ground.clock import now
    from kerege.node.check.checking import table
    from kerege.node.check.everything import check as look

    report = look(file, now(), online=online)
    click.echo(json.dumps(report.as_dict(), ensure_ascii=False, indent=2) if as_json else table(report))
    sys.exit(0 if report.good else 1)


for command in (
    asic,
    csr,
    expiry,
    lab,
    order,
    original,
    register,
    request,
    verify_archive,
    verify_container,
    verify_log,
):
    node.add_command(command)
