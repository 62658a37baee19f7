"""Commands about the installation itself."""

from __future__ import annotations

import click

from kerege.ground.settings import SETTINGS


@click.command()
def settings() -> None:
    """Every setting with its environment variable, kind, default and meaning."""
    for setting in SETTINGS:
        default = "none" if setting.default is None else (setting.default or "empty")
        click.echo(f"{setting.variable:<26} {setting.kind:<8} default {default}\n    {setting.help}")
