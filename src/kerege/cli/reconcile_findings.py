"""`kerege reconcile findings` and `settlements`: what was told to registers' owners and where it stands, and what the rules made of each discrepancy.

Links are named by their pseudonyms; no value and no number of a record is printed.
"""

from __future__ import annotations

import json

import click

from kerege.cli.reasons import names_nobody
from kerege.cli.telling import counted
from kerege.ground import clock
from kerege.web.installation import open_database


@click.command()
@click.option("--register", help="Only findings sent to this register.")
@click.option(
    "--status", help="Only these: sent, acknowledged, in_work, corrected, refused, withdrawn, closed, overdue."
)
@click.option("--finding", help="Act on this one, with --act and --person.")
@click.option(
    "--act",
    type=click.Choice(["acknowledged", "in_work", "corrected", "refused", "withdrawn"]),
    help="The owner's answer, or the sender's withdrawal.",
)
@click.option("--person", help="Who acts, by identifier.")
@click.option("--reason", callback=names_nobody, default="", help="Why; needed to refuse or withdraw.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def findings(
    register: str | None,
    status: str | None,
    finding: str | None,
    act: str | None,
    person: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """What was sent to registers' owners, where it stands, and what is overdue. Only a comparison closes one."""
    open_database()
    from kerege.reconcile import desk_queries, doings

    now = clock.now()
    if finding is not None:
        if act is None or person is None:
            raise click.UsageError("--finding needs --act and --person")
        if act == "withdrawn":
            standing = doings.withdraw_finding(finding, by=person, reason=reason, now=now)
        else:
            standing = doings.answer_finding(finding, act=act, by=person, reason=reason, now=now)
        click.echo(f"{finding}  {standing.status}")
        return
    rows = desk_queries.findings(now, register=register, status=status)
    if as_json:
        told = [
            {"finding": r.finding_id, "discrepancy": r.discrepancy_id, "case": r.case_id, "rule": r.rule,
             "field": r.field, "register": r.register, "class": r.cls, "status": r.status,
             "overdue": r.overdue, "due": clock.iso(r.due_at) if r.due_at else None}
            for r in rows
        ]  # fmt: skip
        click.echo(json.dumps(told))
        return
    for row in rows:
        due = clock.local_date(row.due_at).isoformat() if row.due_at else "-"
        late = "  OVERDUE" if row.overdue else ""
        click.echo(
            f"{row.finding_id}  {row.field:<12} {row.register:<12} {row.cls:<15} {row.status:<12} due {due}{late}"
        )
    click.echo(f"{counted(len(rows), 'finding')}")


@click.command()
@click.option("--pair", help="Only between these two registers: civil~health.")
@click.option("--outcome", type=click.Choice(["source", "owner", "steward", "clerk"]), help="Only these.")
@click.option("--all", "every", is_flag=True, help="Also those that were corrected or accepted since.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def settlements(pair: str | None, outcome: str | None, every: bool, limit: int, as_json: bool) -> None:
    """What the stated rules made of what differs: which rule, whose value counts and on what legal basis; the newest last."""
    open_database()
    from kerege.cli import reconcile_files as files
    from kerege.reconcile import desk_queries

    both = files.two(pair, "--pair") if pair is not None else None
    totals = desk_queries.settled_totals(pair=both, outcome=outcome, every=every)
    rows = desk_queries.settled(pair=both, outcome=outcome, every=every, limit=limit)
    if as_json:
        listed = [
            {"discrepancy": r.discrepancy_id, "case": r.case_id, "field": r.field, "registers": [r.left_register, r.right_register],
             "class": r.cls, "status": r.status, "outcome": r.outcome, "rule": r.rule, "rules_version": r.rules_version,
             "value_of": r.value_of, "legal_basis": r.legal_basis, "found": clock.iso(r.found_at)}
            for r in rows
        ]  # fmt: skip
        click.echo(json.dumps({"rules": totals, "settlements": listed}, ensure_ascii=False))
        return
    for r in rows:
        counts = f"{r.value_of} counts ({r.legal_basis or 'no legal basis declared'})" if r.value_of else "-"
        click.echo(
            f"{r.discrepancy_id}  {r.left_register}~{r.right_register} {r.field:<12} {r.cls:<15} {r.status:<11} {r.rule}: {r.outcome}  {counts}"
        )
    told = ", ".join(f"{rule} {number}" for rule, number in totals.items())
    click.echo(f"{len(rows)} of {counted(sum(totals.values()), 'settlement')}{': ' + told if told else ''}")
