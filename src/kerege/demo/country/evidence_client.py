"""Calls counted on their way: an `ExchangeClient` that lets the demo say how many messages a way of processing took."""

from __future__ import annotations

import threading
from collections import Counter

from kerege.services.evidence import Answer, Call, ExchangeClient


class Counting:
    """Passes every call on and counts calls and faults by data service."""

    def __init__(self, inner: ExchangeClient) -> None:
        self._inner, self._lock = inner, threading.Lock()
        self.calls: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def send(self, call: Call) -> Answer:
        answer = self._inner.send(call)
        with self._lock:
            self.calls[call.data_service] += 1
            if not answer.ok:
                self.faults[answer.fault or f"status_{answer.status}"] += 1
        return answer
