"""Operational monitoring of a node: one JSON line per exchange in a file, and the newest in memory for GET /monitoring."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from pathlib import Path
from typing import Any

import orjson

from kerege.exchange.ids import ServerId
from kerege.exchange.opmon import Exchange, record

_KEPT = 10_000
_FLUSH_SECONDS = 0.5


class Monitor:
    """Collects records; the file is written in batches, aside from the exchanges (monitoring is not the message log)."""

    def __init__(self, file: Path, server: ServerId) -> None:
        self._server = server
        self._recent: deque[tuple[int, dict[str, Any]]] = deque(maxlen=_KEPT)
        self._pending: list[bytes] = []
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.fchmod(descriptor, 0o600)  # also a file that an older version left readable
        self._file = os.fdopen(descriptor, "ab")
        self._timer: asyncio.TimerHandle | None = None
        self.succeeded = 0
        self.failed = 0

    def note(self, exchange: Exchange) -> None:
        entry = record(exchange, self._server)
        if entry["succeeded"]:
            self.succeeded += 1
        else:
            self.failed += 1
        self._recent.append((exchange.response_out or exchange.request_in, entry))
        self._pending.append(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)

    def since(self, moment_ms: int) -> list[dict[str, Any]]:
        """Records of exchanges that ended at or after `moment_ms`, oldest first; at most the newest ten thousand."""
        return [entry for ended, entry in self._recent if ended >= moment_ms]

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._pending = self._pending, []
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
        except OSError:  # a full disk must not stop exchanges that the message log could still take
            self.failed_writes = getattr(self, "failed_writes", 0) + len(lines)

    def close(self) -> None:
        self.flush()
        self._file.close()
