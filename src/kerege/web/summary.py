"""The run summary that the demo leaves in `KEREGE_HOME/summary.json`, read with care: it feeds the home page and `/api/summary`.

The shape is the one the demo prints: for each of the two ways the counts, and per field the comparison classes. A file that
is not there is simply "nothing yet"; a file that is there but wrong is an error that says what was expected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from kerege.reconcile.compare import AGREE, CLASSES, DIFFER
from kerege.web.errors import SummaryInvalid

WAYS: Final = ("integration_only", "data_first")
COUNTS: Final = ("straight_through", "manual", "asked_again", "wrong_automatic")


@dataclass(frozen=True, slots=True)
class Way:
    """What one way of deciding came to."""

    straight_through: int
    manual: int
    asked_again: int
    wrong_automatic: int
    seconds_per_application: float | None


@dataclass(frozen=True, slots=True)
class FieldAgreement:
    """How often registers agreed on one field, and the same as shares of what could be compared."""

    field: str
    counts: Mapping[str, int]

    @property
    def comparable(self) -> int:
        return sum(self.counts[kind] for kind in (*AGREE, *DIFFER))

    @property
    def before(self) -> float | None:
        return self.counts["equal"] / self.comparable if self.comparable else None

    @property
    def after(self) -> float | None:
        agreed = sum(self.counts[kind] for kind in AGREE)
        return agreed / self.comparable if self.comparable else None


@dataclass(frozen=True, slots=True)
class NodeTraffic:
    """What one node's monitoring counted during the run; `failed` counts refusals too, the intended ones as well."""

    exchanges: int
    failed: int


@dataclass(frozen=True, slots=True)
class Summary:
    """One run of the demo."""

    applications: int
    seed: int | None
    ways: Mapping[str, Way]
    fields: tuple[FieldAgreement, ...]
    dirt: tuple[tuple[str, tuple[tuple[str, float], ...]], ...]
    chosen_case: str | None
    nodes: Mapping[str, NodeTraffic]
    raw: Mapping[str, Any]


def read(file: Path | None = None) -> Summary | None:
    """The summary in the home folder; None when no demo has run yet. Raises SummaryInvalid for a broken one."""
    file = file or Path(settings.HOME) / "summary.json"
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as fault:
        raise SummaryInvalid(file=file, expected="it is not JSON") from fault
    if not isinstance(raw, dict):
        raise SummaryInvalid(file=file, expected="expected an object")
    total = raw.get("applications")
    if not isinstance(total, int) or isinstance(total, bool) or total < 1:
        raise SummaryInvalid(file=file, expected="applications should be a count of one or more")
    return Summary(
        applications=total,
        seed=raw["seed"] if isinstance(raw.get("seed"), int) else None,
        ways={name: _way(file, name, raw.get(name)) for name in WAYS},
        fields=tuple(
            _field(file, name, counts) for name, counts in _mapping(file, "fields", raw.get("fields")).items()
        ),
        dirt=tuple(_dirt(raw.get("dirt"))),
        chosen_case=_case(raw.get("chosen_case")),
        nodes=dict(_nodes(file, raw.get("exchange"))),
        raw=raw,
    )


def _way(file: Path, name: str, raw: object) -> Way:
    given = _mapping(file, name, raw)
    counts = {count: _count(file, f"{name}.{count}", given.get(count)) for count in COUNTS}
    seconds = given.get("seconds_per_application")
    return Way(**counts, seconds_per_application=float(seconds) if isinstance(seconds, int | float) else None)


def _field(file: Path, name: str, raw: object) -> FieldAgreement:
    given = _mapping(file, f"fields.{name}", raw)
    return FieldAgreement(name, {kind: _count(file, f"fields.{name}.{kind}", given.get(kind, 0)) for kind in CLASSES})


def _mapping(file: Path, name: str, raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise SummaryInvalid(file=file, expected=f"{name} should be an object")
    return raw


def _count(file: Path, name: str, raw: object) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or raw < 0:
        raise SummaryInvalid(file=file, expected=f"{name} should be a count")
    return raw


def _dirt(raw: object) -> list[tuple[str, tuple[tuple[str, float], ...]]]:
    """Each kind of dirt with its rate per register, as in the dirt file; what is not a rate between 0 and 1 is left out."""
    kinds = raw.get("dirt") if isinstance(raw, dict) else None
    found = []
    for kind, rates in kinds.items() if isinstance(kinds, dict) else ():
        if isinstance(rates, dict):
            kept = tuple((str(register), float(rate)) for register, rate in rates.items() if _is_rate(rate))
            if kept:
                found.append((str(kind), kept))
    return found


def _is_rate(raw: object) -> bool:
    return isinstance(raw, int | float) and not isinstance(raw, bool) and 0 < raw <= 1


def _nodes(file: Path, exchange: object) -> Iterator[tuple[str, NodeTraffic]]:
    """Each node's counts; an older summary, or one of a run that did not get so far, has none."""
    nodes = exchange.get("nodes") if isinstance(exchange, dict) else None
    for name, raw in nodes.items() if isinstance(nodes, dict) else ():
        given = _mapping(file, f"exchange.nodes.{name}", raw)
        exchanges, failed = (_count(file, f"exchange.nodes.{name}.{k}", given.get(k)) for k in ("exchanges", "failed"))
        yield str(name), NodeTraffic(exchanges, failed)


def _case(raw: object) -> str | None:
    if isinstance(raw, dict):
        raw = raw.get("case_id") or raw.get("id")
    return raw if isinstance(raw, str) and raw else None
