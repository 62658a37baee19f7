"""`kerege network`: the central services from the command line; who acts is `--by`, and every change stands in the ledger.

Rights are in `network_rights`, management requests in `network_requests`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from kerege.cli.membership import BY, network, opened_ledger
from kerege.cli.network_requests import approve, decline, requests
from kerege.cli.network_rights import bind, grant, revoke, rights
from kerege.cli.telling import as_hex, counted
from kerege.ground import clock, settings
from kerege.web.installation import open_database

_INSTANCE = click.option("--instance", help="The instance; without it that of the keys that are there, else KG.")
_PATIENCE = 30.0  # seconds for the hub to end a publication of its own
_PUBLISHED = ". A running hub publishes it; or now: kerege network publish"
_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))


@network.command()
@_FILE
def plan(file: Path) -> None:
    """What `apply` would change to make the register what FILE declares; nothing is changed."""
    open_database()
    from kerege.membership import declared

    found = declared.plan(file)
    for step in found.steps:
        click.echo(str(step))
    click.echo(f"{counted(len(found.steps), 'change')} in instance {found.instance}. Nothing was changed.")


@network.command()
@_FILE
@BY
def apply(file: Path, by: str) -> None:
    """Make the register what FILE declares: all of it or nothing."""
    with opened_ledger() as ledger:
        from kerege.membership import declared

        found = declared.plan(file)
        count = declared.apply(found, ledger=ledger, now=clock.now(), by=by)
    for step in found.steps:
        click.echo(str(step))
    click.echo(
        f"{counted(count, 'change')} in instance {found.instance}. A running hub publishes them; or now: kerege network publish"
    )


@network.command(name="set")
@click.argument("kind")
@click.argument("name")
@click.argument("fields", nargs=-1)
@BY
def set_entry(kind: str, name: str, fields: tuple[str, ...], by: str) -> None:
    """Set one entry: KIND NAME field=value ... A value may be JSON; @FILE is the file's content."""
    bare = [field for field in fields if "=" not in field]
    if bare:
        raise click.BadParameter(f"{bare[0]} is not of the form field=value", param_hint="FIELDS")
    body = {key: _value(text) for key, _, text in (field.partition("=") for field in fields)}
    with opened_ledger() as ledger:
        from kerege.membership import central

        changed = central.put(kind, name, body, ledger=ledger, now=clock.now(), by=by)
    click.echo(f"{kind} {name} {'set' if changed else 'was so already'}{_PUBLISHED if changed else ''}")


def _value(text: str) -> Any:
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise click.BadParameter(f"{text[1:]} cannot be read: {problem}") from None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


@network.command()
@click.argument("kind")
@click.argument("name")
@BY
def drop(kind: str, name: str, by: str) -> None:
    """Take one entry out of the register: KIND NAME."""
    if kind == "certificate":
        name = as_hex(name)  # as `kerege network` shows it
    with opened_ledger() as ledger:
        from kerege.membership import central

        central.drop(kind, name, ledger=ledger, now=clock.now(), by=by)
    click.echo(f"{kind} {name} dropped{_PUBLISHED}")


@network.command()
@_INSTANCE
@click.option(
    "--url", required=True, help="Where this hub is reached, such as https://cs.example; the anchors name it."
)
def keys(instance: str | None, url: str) -> None:
    """Make the keys the configuration is signed with (once), and write both anchors beside them."""
    open_database()
    from kerege.membership.signing import anchors, hub_address, make_keys
    from kerege.web.publisher import instance_of, keys_folder, passphrase

    url = hub_address(url)  # before a key is made
    home = Path(settings.get("home")).absolute()
    folder, opened_by, instance = keys_folder(home), passphrase(), instance_of(home, instance, "KG")
    made = make_keys(folder, instance, clock.now(), opened_by)
    for file in anchors(folder, instance, url, clock.now(), opened_by):
        click.echo(str(file))
    click.echo("keys made" if made else "keys were there already")


@network.command()
@click.option("--instance", help="The instance; without it that of the keys.")
@click.option(
    "--above",
    type=click.IntRange(min=0),
    default=0,
    help="The version nodes have, where database and home were both put back to an older one.",
)
def publish(instance: str | None, above: int) -> None:
    """Sign the register in every version and put it where the hub serves it, now. A running hub does so by itself.

    Contract versions whose term is over end first.
    """
    home = Path(settings.get("home")).absolute()
    with opened_ledger() as ledger:
        from kerege.membership.renewal import alone
        from kerege.web import publisher

        with alone(home, _PATIENCE):
            instance = publisher.instance_of(home, instance)
            found, ended = publisher.publish(home, instance, clock.now(), ledger, above=above)
    for version in ended:
        click.echo(f"contract {version} ended: its term is over")
    click.echo(f"version {found.version} of {instance} published")


for command in (approve, bind, decline, grant, requests, revoke, rights):
    network.add_command(command)
