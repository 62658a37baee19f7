"""The `kerege` command: one module per room, loaded only when its command is called.

An error made on purpose is printed with its code and next step and ends with status 2; anything else is a bug and shows its trace.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

import click

from kerege import __version__
from kerege.ground.errors import KeregeError

# command -> "module:function"; one line of help per command is its docstring's first line
COMMANDS: Final[dict[str, str]] = {
    "apply": "kerege.cli.catalogue:apply_plan",
    "board": "kerege.cli.board:board",
    "concept": "kerege.cli.board:concept",
    "demo": "kerege.cli.demo:demo",
    "codelist": "kerege.cli.codelist:codelist",
    "contract": "kerege.cli.contract:contract",
    "crosswalk": "kerege.cli.crosswalk:crosswalk",
    "export": "kerege.cli.export:export",
    "findings": "kerege.cli.catalogue:findings",
    "gate": "kerege.cli.delivery:gate",
    "harmonise": "kerege.cli.harmonise:harmonise",
    "hub": "kerege.cli.hub:hub",
    "harvest": "kerege.cli.catalogue:harvest",
    "ledger": "kerege.cli.ledger:ledger",
    "impact": "kerege.cli.mapping:impact_of",
    "map": "kerege.cli.mapping:map_group",
    "measures": "kerege.cli.insight:measures",
    "network": "kerege.cli.network:network",
    "node": "kerege.cli.node:node",
    "lifecycle": "kerege.cli.lifecycle:lifecycle",
    "owner": "kerege.cli.ownership:owner",
    "import": "kerege.cli.export:import_",
    "profile": "kerege.cli.catalogue:profile",
    "reference": "kerege.cli.reference:reference",
    "register": "kerege.cli.register:register",
    "search": "kerege.cli.search:search",
    "suggest": "kerege.cli.catalogue:suggest",
    "reconcile": "kerege.cli.reconcile:reconcile",
    "settings": "kerege.cli.ground:settings",
    "truth": "kerege.cli.ownership:truth",
    "usage": "kerege.cli.catalogue:usage",
    "verify": "kerege.cli.credentials:verify",
}


class LazyGroup(click.Group):
    """Imports a command's module when it is called or listed, so `kerege node` never loads the web framework."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeregeError as error:
            click.echo(f"error    {error.code}\n         {error.text}\n         {error.next_step}", err=True)
            sys.exit(2)


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="kerege")
def main() -> None:
    """Registers that understand each other: data first, then exchange, then services, then delivery."""
