"""`kerege contract`: data contracts listed, shown, checked against data, compared, published to the nodes, deprecated and retired.

`check`, `diff` and `schema` work on files alone; the others open the hub's database. Who acts is given by `--by`; a version is approved by a second
person with `kerege lifecycle act approve`.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerege.cli.ownership import DAY, ledger
from kerege.cli.reading import reading_of, reading_options, split_source
from kerege.cli.reasons import names_nobody
from kerege.cli.telling import agreed, counted
from kerege.ground import clock
from kerege.web.installation import open_database

if TYPE_CHECKING:
    from kerege.semantics.contracts.contract import Contract

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON value instead of text.")
_BY = click.option("--by", required=True, help="Who acts.")
_REASON = click.option("--reason", callback=names_nobody, required=True, help="Why; no personal data.")


@click.group()
def contract() -> None:
    """Data contracts (ODCS 3.1): what a dataset's values must be, for messages and tables alike."""


@contract.command("list")
@_JSON
def list_contracts(as_json: bool) -> None:
    """Every contract of the catalogue with its versions and states."""
    open_database()
    from kerege.catalogue.contracts import queries as contract_queries

    found = contract_queries.contracts(clock.now())
    if as_json:
        _told([view.as_dict() for view in found])
        return
    for view in found:
        ends = ""
        if view.deprecation is not None and view.state == "deprecated":
            ends = f", ends {clock.local_text(view.deprecation.ends_at)} ({counted(view.deprecation.days_left, 'day')})"
        click.echo(f"{view.contract} {view.version}  {view.state}, {view.mode}{ends}  {view.owner}")
        for route in view.routes:
            click.echo(f"    {route}")
    click.echo(f"{counted(len(found), 'version')}.")


@contract.command()
@click.argument("name", metavar="CONTRACT")
@click.option("--version", default="", help="One version; the one in force when not given.")
@_JSON
def show(name: str, version: str, as_json: bool) -> None:
    """What CONTRACT (a file, or an id of the catalogue) asks, what of it is not run, and what is wrong with it."""
    from kerege.catalogue.contracts import words as contract_words
    from kerege.semantics.contracts.findings import findings

    if _is_file(name):
        made = _read(name)
        told: dict[str, Any] = {
            "contract": made.id, "version": made.version, "name": made.name, "state": made.status, "mode": made.mode,
            "owner": made.owner_unit, "legal_basis": made.legal_basis,
            "rules": [r.as_dict() for r in contract_words.rules_in_words(made)], "not_run": list(contract_words.not_run(made)),
            "findings": [f.as_dict() for f in findings(made, contract_words.codes)],
        }  # fmt: skip
    else:
        open_database()
        from kerege.catalogue.contracts import queries as contract_queries

        told = contract_queries.show(name, clock.now(), version).as_dict()
    if as_json:
        _told(told)
        return
    click.echo(f"{told['contract']} {told['version']}  {told['state']}, a breach: {told['mode']}  {told['owner']}")
    for rule in told["rules"]:
        about = f" ({rule['severity']})" if rule["severity"] != "error" else ""
        allowed = f" [{rule['tolerance']}]" if rule["tolerance"] else ""
        click.echo(f"  {rule['field']:24} {rule['rule']} {rule['value'][:80]}{allowed}{about}".rstrip())
    for one in told["not_run"]:
        where = "" if one["where"] == "everywhere" else f" in {one['where']}"
        click.echo(f"  {one['field'] or one['object']:24} not run{where}: {one['what']}: {one['reason']}")
    for one in told["findings"]:
        if one["code"] != "not_run":
            click.echo(f"{one['severity']:8} {one['where']}: {one['message']}")


@contract.command()
@click.argument("name", metavar="CONTRACT")
@click.argument("source", required=False)
@click.option("--version", default="", help="One version; the one in force when not given.")
@click.option("--object", "object_name", default="", help="The schema object, where the contract has several.")
@click.option(
    "--mode",
    type=click.Choice(["observe", "warn", "quarantine", "reject"]),
    default=None,
    help="Instead of the contract's own.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="quarantine: a new CSV file for the rows that keep it; the others go beside it.",
)
@click.option("--record", is_flag=True, help="Keep the counts with the contract in the catalogue.")
@_JSON
@reading_options
def check(
    name: str, source: str | None, version: str, object_name: str, mode: str | None, out: Path | None, record: bool, as_json: bool, **raw: Any,
) -> None:  # fmt: skip
    """Hold CONTRACT against SOURCE (a file, or postgresql://...#TABLE); without SOURCE only the contract itself is looked at.

    Exit code 1 when it is not kept (mode reject), or the contract itself has errors.
    """
    made = _read(name) if _is_file(name) else _kept(name, version)
    if source is None:
        _look(made, as_json)
        return
    from kerege.catalogue.contracts import checks as contract_checks
    from kerege.catalogue.contracts.words import codes

    raw["rows"] = 1 << 62  # a contract is held against all of it
    text, tables = split_source(source)
    now = clock.now()
    report = contract_checks.check(
        made, text, codes, now, reading=reading_of(raw, tables), table=tables[0] if tables else "", object_name=object_name,
        mode=mode or "", out=out,
    )  # fmt: skip
    if record:
        open_database()
        from kerege.catalogue.contracts.runs import keep

        keep(made, report, now)
    if as_json:
        _told(report.as_dict())
    else:
        _shown(report)
    if report.refused:
        sys.exit(1)


def _shown(report: Any) -> None:
    click.echo(
        f"{report.source}: {counted(report.rows, 'row')} held against {report.contract} {report.version}, "
        f"{report.broken_rows} {agreed(report.broken_rows, 'breaks', 'break')} it"
    )
    for one in report.outcomes:
        if one.count and (not one.holds or one.rule.tolerance is not None):
            mark = (
                "kept   "
                if one.holds
                else {"error": "BROKEN ", "warning": "warning", "info": "info   "}[one.rule.severity]
            )
            first = f", the first in row {one.first_row}" if one.first_row is not None else ""
            allowed = f" ({one.rule.tolerance})" if one.rule.tolerance is not None else ""
            click.echo(f"  {mark} {one.rule.field or '(rows)':24} {one.rule.name:14} {one.count}{first}{allowed}")
    for name in report.missing_columns:
        click.echo(f"  note    there is no column for {name}")
    for text in report.disagreements:
        click.echo(f"  null    {text}")
    for one in report.unrun:
        if one.where != "messages":
            click.echo(f"  not run {one.field or '(whole)':24} {one.what}: {one.reason}")
    if report.aside:
        click.echo(f"Put aside: {report.aside}")
    click.echo(
        "The contract is kept."
        if report.kept
        else "Refused: the contract is broken."
        if report.refused
        else "The contract is broken."
    )


def _look(made: Contract, as_json: bool) -> None:
    from kerege.catalogue.contracts.words import codes
    from kerege.semantics.contracts.findings import findings

    found = findings(made, codes)
    if as_json:
        _told([f.as_dict() for f in found])
    else:
        for one in found:
            click.echo(f"{one.severity:8} {one.code}  {one.where}: {one.message}")
        click.echo(f"{made.id} {made.version}: {counted(len(found), 'finding')}.")
    if any(f.severity == "error" for f in found):
        sys.exit(1)


@contract.command()
@click.argument("old")
@click.argument("new")
@_JSON
def diff(old: str, new: str, as_json: bool) -> None:
    """What changed from OLD to NEW (files, or ID@VERSION of the catalogue), whom it breaks, and the version number it needs.

    Exit code 1 when NEW's version number is not enough for its changes.
    """
    from kerege.semantics.contracts.diff import judge

    found = judge(_named(old), _named(new))
    if as_json:
        _told(found.as_dict())
    else:
        for change in found.changes:
            whom = f"breaks {' and '.join(sorted(change.breaks))}" if change.breaking else change.level
            click.echo(f"{whom:32} {change.where}: {change.message} [{change.code}]")
        click.echo(
            f"{counted(len(found.changes), 'change')}, {len(found.breaking)} breaking: a {found.needed} version is needed, {found.given} is given."
        )
        if found.reason:
            click.echo(f"{found.reason[:1].upper()}{found.reason[1:]}.")
    if not found.enough and found.changes:
        sys.exit(1)


@contract.command()
@click.argument("name", metavar="CONTRACT")
@click.option("--version", default="", help="Which version, when CONTRACT is an id.")
@click.option("--dataset", default="", help="SOURCE#TABLE of the catalogue that the contract is about.")
@_BY
@_REASON
def publish(name: str, version: str, dataset: str, by: str, reason: str) -> None:
    """Submit CONTRACT (a file is added first), or put it in force when it was approved; nodes get it with the next configuration."""
    with ledger() as log:
        from kerege.catalogue.contracts import doings as contracts
        from kerege.catalogue.lifecycle import doings as lifecycle

        now = clock.now()
        row = contracts.add(_read(name), by, now, dataset=dataset) if _is_file(name) else contracts.find(name, version)
        what = contracts.subject(row.contract, row.version)
        state = lifecycle.status(what).state.value
        if state in ("draft", "returned"):
            lifecycle.act(what, "submit", by, reason, now, ledger=log)
            state = "submitted"
        if state != "approved":
            click.echo(f"{what} is {state}.")
            if state == "submitted":
                click.echo(
                    f"A second person approves it: kerege lifecycle act approve contract {row.contract} {row.version} --by NAME --reason WHY"
                )
            return
        routes = contracts.publish(row.contract, row.version, by, reason, now, ledger=log)
    click.echo(f"{what} is in force.")
    for route in routes:
        click.echo(f"    {route.data_service} {route.path}, at the {route.at}")
    if routes:
        click.echo("Nodes obey it once the configuration is published.")


@contract.command()
@click.argument("name", metavar="CONTRACT")
@click.argument("version")
@click.option("--ends", type=DAY, required=True, help="The last day (or instant) it is in force.")
@click.option("--successor", default="", help="The version that takes its place.")
@_BY
@_REASON
def deprecate(name: str, version: str, ends: datetime, successor: str, by: str, reason: str) -> None:
    """Announce that VERSION of CONTRACT ends; names the consumers it concerns."""
    with ledger() as log:
        from kerege.catalogue.contracts import doings as contracts

        last = ends + timedelta(days=1, seconds=-1) if ends == _midnight(ends) else ends
        made = contracts.deprecate(name, version, last, by, reason, clock.now(), successor=successor, ledger=log)
    click.echo(f"{name} {version} is in force up to {clock.local_text(last)}.")
    for notice in made.notices.order_by("consumer"):
        told = f"{counted(notice.calls, 'call')}" if notice.why == "calls" else "may call, was not seen to"
        click.echo(f"  concerns {notice.consumer}: {notice.data_service} ({told})")


def _midnight(moment: datetime) -> datetime:
    local = moment.astimezone(clock.BISHKEK)
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


@contract.command()
@click.argument("name", metavar="CONTRACT")
@click.argument("version")
@_BY
@_REASON
def reinstate(name: str, version: str, by: str, reason: str) -> None:
    """Take the deprecation of VERSION back, as long as no other version took its place."""
    with ledger() as log:
        from kerege.catalogue.contracts import doings as contracts

        contracts.reinstate(name, version, by, reason, clock.now(), ledger=log)
    click.echo(f"{name} {version} is in force without an end.")


@contract.command()
@click.argument("name", metavar="CONTRACT")
@click.argument("version")
@_BY
@_REASON
def retire(name: str, version: str, by: str, reason: str) -> None:
    """End VERSION of CONTRACT; refused before its term is over, unless nobody uses it."""
    with ledger() as log:
        from kerege.catalogue.contracts import doings as contracts

        contracts.retire(name, version, by, reason, clock.now(), ledger=log)
    click.echo(f"{name} {version} is retired.")


@contract.command()
@click.argument("name", metavar="CONTRACT")
@click.option("--version", default="", help="Which version, when CONTRACT is an id.")
@click.option("--object", "object_name", default="", help="The schema object, where the contract has several.")
def schema(name: str, version: str, object_name: str) -> None:
    """The JSON Schema of one record, as other tools can use it."""
    from kerege.catalogue.contracts.words import codes
    from kerege.semantics.contracts.builder import rules_of
    from kerege.semantics.contracts.message import json_schema

    made = _read(name) if _is_file(name) else _kept(name, version)
    _told(json_schema(rules_of(made, object_name), codes))


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml", ".json")) or Path(name).is_file()


def _read(name: str) -> Contract:
    from kerege.catalogue.errors import SourceMissing
    from kerege.semantics.contracts import odcs

    try:
        return odcs.read(Path(name))
    except OSError:
        raise SourceMissing(source=name, known="A contract is a YAML or JSON file.") from None


def _kept(name: str, version: str) -> Contract:
    open_database()
    from kerege.catalogue.contracts import doings as contracts

    return contracts.contract_of(contracts.find(name, version))


def _named(text: str) -> Contract:
    if _is_file(text):
        return _read(text)
    name, _, version = text.partition("@")
    return _kept(name, version)


def _told(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=1))
