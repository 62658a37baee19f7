"""Calls counted on their way: how many messages a way of processing took, and which codes of the registers nobody had mapped."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict

from kerege.semantics.mappings.problems import UNMAPPED
from kerege.services.evidence import Answer, Call, ExchangeClient


class Counting:
    """Passes every call on; counts calls and faults by data service, and unmapped codes by mapping and canonical field."""

    def __init__(self, inner: ExchangeClient) -> None:
        self._inner, self._lock = inner, threading.Lock()
        self.calls: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.unmapped: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def send(self, call: Call) -> Answer:
        answer = self._inner.send(call)
        with self._lock:
            self.calls[call.data_service] += 1
            if not answer.ok:
                self.faults[answer.fault or f"status_{answer.status}"] += 1
            for problem in answer.problems if answer.mapping_id else ():
                if problem.get("code") == UNMAPPED and problem.get("source_code"):
                    self.unmapped[str(answer.mapping_id), str(problem.get("field"))][str(problem["source_code"])] += 1
        return answer
