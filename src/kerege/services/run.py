"""Many applications at once: evidence gathered in threads, places given out in order, figures counted.

Gathering waits on registers, so it runs in threads; deciding who gets a place depends on order, so it runs once, afterwards, in one
thread, and the result does not depend on how the threads were scheduled. Comparing with the truth is not here: nothing in this room
may know it (`demo`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from kerege.reconcile.compare import TO_SETTLE, FieldComparison, compare_records, count_by_field
from kerege.reconcile.fields import ComparedFields
from kerege.services.admission import (
    ASKED_AGAIN,
    MANUAL,
    STRAIGHT_THROUGH,
    Application,
    Decision,
    Processed,
    Way,
    claim_of,
    with_place,
)
from kerege.services.definitions import AdmissionDefinition
from kerege.services.places import allocate

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RunResult:
    """All applications after one way, in the order they were given. The three counters exclude each other and sum to all."""

    way: str
    processed: tuple[Processed, ...]
    seconds: float

    @property
    def decisions(self) -> dict[str, Decision | None]:
        """Application id -> the automatic decision, or None where a person or the citizen is needed."""
        return {item.application.id: item.decision for item in self.processed}

    @property
    def counters(self) -> dict[str, int]:
        kinds = Counter(item.kind for item in self.processed)
        return {kind: kinds[kind] for kind in (STRAIGHT_THROUGH, MANUAL, ASKED_AGAIN)}

    @property
    def seconds_per_application(self) -> float:
        return self.seconds / len(self.processed) if self.processed else 0.0

    @property
    def open_reasons(self) -> dict[str, int]:
        """Why applications were not decided, most frequent first; one application may have several."""
        return dict(Counter(reason for item in self.processed for reason in item.reasons).most_common())


def process_all(
    applications: Sequence[Application],
    way: Way,
    definition: AdmissionDefinition,
    *,
    workers: int = 8,
    on_progress: OnProgress | None = None,
) -> RunResult:
    """Process every application one way and give out the places.

    workers       threads that wait on registers; the result is the same for any number
    on_progress   called with (done, of how many) after each application, from one thread at a time

    The definition decides which stages exist; an application of another stage is a programming error (KeyError).
    """
    started = time.perf_counter()
    way.prepare()
    done: list[Processed] = []
    with ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="evidence") as pool:
        for item in pool.map(way.process, applications):
            done.append(item)
            if on_progress is not None:
                on_progress(len(done), len(applications))
    settled = give_places(done, way.free_places())
    return RunResult(way.name, tuple(settled), time.perf_counter() - started)


def give_places(processed: Sequence[Processed], free: Mapping[str, int | None]) -> list[Processed]:
    """The same applications after places were given out in order; undecided ones hold a place meanwhile."""
    verdicts = allocate((claim_of(item) for item in processed), free)
    return [
        with_place(item, verdicts[item.application.id], free.get(item.application.school_code) is not None)
        for item in processed
    ]


def compare_fields(run: RunResult, compared: ComparedFields) -> RunResult:
    """A data-first run with every field of its linked records compared, as written and as meant; both come from the same messages."""
    items = tuple(replace(item, comparisons=compare_records(item.views, compared)) for item in run.processed)
    return replace(run, processed=items)


def field_counters(run: RunResult, compared: ComparedFields) -> dict[str, dict[str, int]]:
    """Field -> class -> how many comparisons, over a run whose fields were compared."""
    return count_by_field((c for item in run.processed for c in item.comparisons), compared)


def findings(run: RunResult) -> list[tuple[str, FieldComparison]]:
    """(application id, comparison) of every disagreement and of all that could not be compared: the desk's queue."""
    return [
        (item.application.id, comparison)
        for item in run.processed
        for comparison in item.comparisons
        if comparison.cls in TO_SETTLE
    ]
