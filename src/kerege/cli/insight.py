"""`kerege measures`: every measure of the public services, computed now from the events."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from kerege.cli.telling import agreed, counted
from kerege.ground import clock
from kerege.ground.text import LANGUAGES
from kerege.web.installation import open_database

if TYPE_CHECKING:
    from kerege.insight.measures import Measurement


@click.command()
@click.option("--service", "service", help="Only this public service.")
@click.option(
    "--maturity-days", default=30, show_default=True, type=click.IntRange(0), help="Younger cases are left out."
)
@click.option(
    "--language", default="en", show_default=True, type=click.Choice(LANGUAGES), help="Language of the titles."
)
@click.option("--check", is_flag=True, help="Take every stored measurement again; status 1 when one differs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def measures(service: str | None, maturity_days: int, language: str, check: bool, as_json: bool) -> None:
    """Measures with their definition's version, n, and what was left out."""
    open_database()
    from kerege.insight import queries

    services = [service] if service else list(queries.public_services())
    if check:
        _check(services, as_json)
        return
    views = [queries.measures_view(name, clock.now(), maturity=timedelta(days=maturity_days)) for name in services]
    if as_json:
        whole = {v.public_service: [_with_percent(m) for m in v.measurements] for v in views}
        click.echo(json.dumps(whole, ensure_ascii=False, indent=2))
        return
    if not views:
        click.echo("No events yet.")
    for view in views:
        click.echo(
            f"{view.public_service}: {counted(view.events, 'event')}, cases at least {counted(maturity_days, 'day')} old"
        )
        for result in view.measurements:
            click.echo(
                f"  {result.definition.id:<4} v{result.definition.version}  {_value(result):<24} n {result.n:<6} "
                f"{result.definition.title.in_(language)}{_notes(result)}"
            )


def _check(services: list[str], as_json: bool) -> None:
    from kerege.insight import queries

    checks = [check for name in services for check in queries.check_stored(name)]
    bad = [check for check in checks if not check.same]
    if as_json:
        rows = [{"measure": c.measure, "public_service": c.public_service, "reason": c.reason} for c in bad]
        click.echo(json.dumps({"checked": len(checks), "different": rows}))
    else:
        click.echo(
            f"{counted(len(checks), 'stored measurement')} taken again, {len(bad)} {agreed(len(bad), 'differs', 'differ')}"
        )
        for one in bad:
            click.echo(f"  {one.public_service} {one.measure} of {clock.local_text(one.taken_at)}: {one.reason}")
    if bad:
        sys.exit(1)


def _with_percent(result: Measurement) -> dict[str, object]:
    return {**result.as_dict(), "percent": result.percent}


def _value(result: Measurement) -> str:
    if result.definition.kind == "share":
        share = "no cases" if result.percent is None else f"{result.percent} %"
        return f"{share} ({result.values['numerator']}/{result.values['denominator']})"
    median, p90 = result.values["median_seconds"], result.values["p90_seconds"]
    return f"median {_days(median)}, p90 {_days(p90)}"


def _days(seconds: int | None) -> str:
    return "-" if seconds is None else f"{seconds / 86400:.1f} d"


def _notes(result: Measurement) -> str:
    notes = [f"{count} {reason}" for reason, count in sorted(result.excluded.items())] + list(result.warnings)
    return f" ({', '.join(notes)})" if notes else ""
