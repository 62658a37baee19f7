"""For all tests: a ledger that is a list, which can be read back entry by entry; property tests without a stop-watch."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import hypothesis
import pytest

from kerege.ground.clock import iso
from kerege.ground.ids import digest


@dataclass(frozen=True)
class ListEntry:
    index: int
    leaf_hash: str
    kind: str
    body: dict[str, Any]


@dataclass
class ListLedger:
    entries: list[ListEntry] = field(default_factory=list)

    def append(self, kind: str, body: dict[str, Any], now: datetime) -> ListEntry:
        leaf = digest({"kind": kind, "body": body, "at": iso(now)})  # refuses what is not canonical JSON
        entry = ListEntry(len(self.entries), leaf, kind, body)
        self.entries.append(entry)
        return entry

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries]


# how long one example takes is the machine's mood, not the code's
hypothesis.settings.register_profile("kerege", deadline=None)
hypothesis.settings.load_profile("kerege")


@pytest.fixture
def ledger() -> ListLedger:
    return ListLedger()
