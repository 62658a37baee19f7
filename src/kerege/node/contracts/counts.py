"""How often which field broke its contract: counts for metrics, health and the report a data owner fetches. Counts, never values.

The counts go on over restarts: they are written to a small file in the state folder from time to time and at the end. After `kill -9`
those of the last minute are missing; the messages themselves are in the log. A contract whose terms change is counted anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from kerege.exchange.logfolder import write_durable
from kerege.exchange.rules import QUARANTINE, REFUSE, WARN, WireContract
from kerege.ground.clock import iso
from kerege.node.contracts.which import Breach, Examined

FILE: Final = "contracts.json"
_EVERY: Final = 60.0
_RECENT: Final = timedelta(hours=1)
_MOST_CONTRACTS: Final = 10_000
_MOST_FIELDS: Final = 2_000  # of one contract: a mapping has tens, a schema hundreds
_OTHERS: Final[Breach] = ("(others)", "more")
_TERMS: Final = ("service", "path", "method", "at", "mode", "mapping", "translate")
_COUNTS: Final = ("answers", "broken", "refused", "unchecked", "withheld", "aside")


@dataclass(slots=True)
class Count:
    """What became of the answers under one contract since `since`. `fields`: breach -> (values, answers)."""

    since: datetime
    answers: int = 0
    broken: int = 0
    refused: int = 0
    unchecked: int = 0
    withheld: int = 0
    aside: int = 0  # records a contract set aside
    version: str = ""  # of the mapping that looked last
    reason: str = ""  # why the last unchecked one was
    last_broken: datetime | None = None
    last_unchecked: datetime | None = None
    fields: dict[Breach, tuple[int, int]] = field(default_factory=dict)

    def add(self, examined: Examined, now: datetime) -> None:
        self.answers += 1
        if examined.unchecked is not None:
            self.unchecked += 1
            self.reason, self.last_unchecked = examined.unchecked, now
        if examined.total:
            self.broken += 1
            self.last_broken = now
        if examined.done is not None:
            self.version = str(examined.done.mapping_version)
            self.withheld += len(examined.done.withheld)
        for breach, number in examined.breaches.items():
            key = breach if breach in self.fields or len(self.fields) < _MOST_FIELDS else _OTHERS
            values, answers = self.fields.get(key, (0, 0))
            self.fields[key] = values + number, answers + 1

    def as_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {"since": iso(self.since), "mapping_version": self.version}
        out |= {name: getattr(self, name) for name in _COUNTS}
        if self.reason:
            out["unchecked_reason"] = self.reason
        if self.last_broken is not None:
            out["last_broken"] = iso(self.last_broken)
        worst = sorted(self.fields.items(), key=lambda item: (-item[1][0], item[0]))
        out["fields"] = [
            {"field": name, "kind": kind, "values": values, "answers": answers}
            for (name, kind), (values, answers) in worst
        ]
        return out

    @classmethod
    def of(cls, row: dict[str, Any]) -> Count:
        out = cls(datetime.fromisoformat(row["since"]))
        for name in _COUNTS:
            setattr(out, name, int(row.get(name, 0)))  # a file from before there was one has it not
        out.version, out.reason = str(row["mapping_version"]), str(row.get("unchecked_reason", ""))
        if "last_broken" in row:
            out.last_broken = datetime.fromisoformat(row["last_broken"])
        out.fields = {(f["field"], f["kind"]): (int(f["values"]), int(f["answers"])) for f in row["fields"]}
        return out


Terms = tuple[str, ...]


def terms_of(contract: WireContract) -> Terms:
    return tuple(str(getattr(contract, name)) for name in _TERMS)


class ContractCounts:
    """One per node; used in the event loop."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self._file, self._clock = folder / FILE, clock
        self._counts: dict[Terms, Count] = {}
        self._known: dict[WireContract, Count] = {}
        self._changed = False
        self.problem: str | None = None
        self._read()

    def note(self, contract: WireContract, examined: Examined) -> None:
        self._of(contract).add(examined, self._clock())
        self._changed = True

    def note_refused(self, contract: WireContract) -> None:
        self._of(contract).refused += 1

    def note_aside(self, contract: WireContract, records: int) -> None:
        self._of(contract).aside += records
        self._changed = True

    def _of(self, contract: WireContract) -> Count:
        found = self._known.get(contract)
        if found is None:
            if len(self._counts) >= _MOST_CONTRACTS:  # of configurations long gone
                self._counts.pop(next(iter(self._counts)))
                self._known.clear()
            found = self._counts.setdefault(terms_of(contract), Count(self._clock()))
            self._known[contract] = found
        return found

    # --- telling ---

    def rows(self) -> Iterator[tuple[dict[str, str], Count]]:
        """Each contract's terms, and its count."""
        for terms, count in self._counts.items():
            yield dict(zip(_TERMS, terms, strict=True)), count

    def report(self) -> dict[str, Any]:
        """For GET /contracts: per contract what was looked into and, per field, how often which rule was not kept to."""
        rows = [{**terms, **count.as_dict()} for terms, count in self.rows()]
        return {"at": iso(self._clock()), "contracts": sorted(rows, key=lambda row: [row[name] for name in _TERMS])}

    def totals(self) -> dict[str, int]:
        return {name: sum(getattr(count, name) for count in self._counts.values()) for name in _COUNTS}

    def warnings(self) -> list[str]:
        """What somebody should look at: broken contracts that tell or refuse, and answers nobody could look into, of the last hour."""
        since, out = self._clock() - _RECENT, []
        for terms, count in self.rows():
            where = f"{terms['service']} {terms['path']}"
            if (
                count.last_broken is not None
                and count.last_broken >= since
                and terms["mode"] in {WARN, QUARANTINE, REFUSE}
            ):
                out.append(f"answers of {where} break their contract (mode {terms['mode']})")
            if count.last_unchecked is not None and count.last_unchecked >= since:
                out.append(f"answers of {where} could not be held against their contract: {count.reason}")
        if self.problem is not None:
            out.append(self.problem)
        return out

    # --- keeping ---

    def _read(self) -> None:
        try:
            found = orjson.loads(self._file.read_bytes())
            for row in found["contracts"]:
                self._counts[tuple(str(row[name]) for name in _TERMS)] = Count.of(row)
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError):
            self._counts.clear()
            aside = self._file.with_name(FILE + ".unreadable")
            self._file.replace(aside)
            self.problem = (
                f"contract counts could not be read; the file is kept as {aside.name} and counting began anew"
            )

    async def run(self) -> None:
        """Write what changed, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            await self.save()

    async def save(self) -> None:
        if not self._changed:
            return
        self._changed = False
        data = orjson.dumps(self.report(), option=orjson.OPT_INDENT_2)
        try:
            await asyncio.to_thread(write_durable, self._file, data)
        except OSError as problem:  # exchanges go on; it is tried again
            self._changed = True
            self.problem = f"contract counts could not be written ({problem.strerror})"
