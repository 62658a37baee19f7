"""What the demo says: its steps while they run, the figures at the end, and where one application's evidence came from.

Says it to a terminal with a progress bar, or in plain lines where there is none. Names of the invented people appear only on pages
behind a sign-in; here an application is its number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from kerege.reconcile.compare import CLASSES
from kerege.services.admission import Processed
from kerege.services.evidence import Source


class Report:
    """The demo's voice."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=False, highlight=False)
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @contextmanager
    def step(self, text: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
        """A step with a bar; yields a function to call with (done, of how many). Ends with the time it took."""
        began = time.monotonic()
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(text, total=total)
            yield lambda done, of: progress.update(task, completed=done, total=of)
        self.console.print(f"[green]✓[/] {text} [dim]({time.monotonic() - began:.1f} s)[/]")

    def say(self, text: str) -> None:
        self.console.print(f"  {text}")

    def figures(self, summary: Mapping[str, Any]) -> None:
        """Both ways side by side, the dirt, and the fields."""
        total = summary["applications"]
        table = Table(title=f"{total} applications, seed {summary['seed']}", title_justify="left")
        table.add_column("")
        table.add_column("integration only", justify="right")
        table.add_column("data first", justify="right")
        names = {
            "straight_through": "decided straight through",
            "manual": "sent to manual reconciliation",
            "asked_again": "asked the citizen again",
            "wrong_automatic": "wrong automatic decisions",
            "wrong_reason": "refusals with a wrong reason",
            "wrong_links": "records of another person",
        }
        for key, name in names.items():
            cells = [
                f"{summary[way][key]}  ({100 * summary[way][key] / total:.1f} %)"
                for way in ("integration_only", "data_first")
            ]
            table.add_row(name, *cells)
        table.add_row(
            "milliseconds per application",
            *(f"{1000 * summary[way]['seconds_per_application']:.1f}" for way in ("integration_only", "data_first")),
        )
        self.console.print(table)
        fields = Table(title="The same field in two registers", title_justify="left")
        fields.add_column("field")
        for name in CLASSES:
            fields.add_column(name.replace("_", " "), justify="right")
        for field, counts in summary["fields"].items():
            fields.add_row(field, *(str(counts[key]) for key in CLASSES))
        self.console.print(fields)

    def dirt(self, measured: Mapping[str, Any]) -> None:
        """What was really planted, beside what the dirt file declares."""
        table = Table(title="Dirt declared and planted", title_justify="left")
        for name in ("kind", "register", "declared", "planted", "of", "measured"):
            table.add_column(name, justify="left" if name in ("kind", "register") else "right")
        for kind, registers in measured["dirt"].items():
            for register, found in registers.items():
                cells = (found["declared"], found["planted"], found["of"], found["measured"])
                table.add_row(kind, register, *("–" if cell is None else f"{cell:g}" for cell in cells))
        self.console.print(table)

    def provenance(self, case: Processed) -> None:
        """Where each piece of evidence of one application came from. Values stay on the officer's page."""
        decision = case.decision
        outcome = f"{decision.kind} ({', '.join(decision.reasons)})" if decision else case.kind
        table = Table(title=f"Application {case.application.id}: {outcome}", title_justify="left")
        for name in ("evidence", "fields", "register", "data service", "message", "mapping", "original"):
            table.add_column(name, overflow="fold")
        by_message: dict[tuple[str, Source], list[str]] = {}
        for value in case.evidence:
            by_message.setdefault((value.concept, value.source), []).append(value.field)
        for (concept, source), fields in by_message.items():
            table.add_row(
                concept,
                ", ".join(fields),
                source.register,
                "/".join(source.data_service.split("/")[-2:]),
                source.message_id[:8],
                f"{source.mapping_id} {source.mapping_version.split('+')[0]}",
                source.original_sha256[:12],
            )
        self.console.print(table)
