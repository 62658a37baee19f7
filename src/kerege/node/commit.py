"""Group commit: all records that wait while one sync runs are written and synced together; each waits until its own is durable."""

from __future__ import annotations

import asyncio
import threading

from kerege.exchange.errors import ExchangeError, LogFailed
from kerege.exchange.messagelog import LogRecord, LogWriter


class CommitLog:
    """The message log of a running node. `append` returns when the record is on disk, or raises LogFailed."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self._wake = threading.Condition()
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._stopping = False
        self._loop = asyncio.get_running_loop()
        self.records = 0
        self.batches = 0
        self.failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="message-log", daemon=True)
        self._thread.start()

    async def append(self, record: LogRecord) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        with self._wake:
            if self._stopping:
                raise LogFailed(reason="the node is stopping")
            self._waiting.append((record.encode(), future))
            self._wake.notify()
        await future

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._stopping:
                    self._wake.wait()
                batch, self._waiting = self._waiting, []
                if not batch:
                    return
            problem: ExchangeError | None = None
            try:
                self._writer.append([payload for payload, _ in batch])
            except ExchangeError as refused:
                problem = refused
            except Exception as unexpected:  # noqa: BLE001 - a waiting message must be answered whatever happened
                problem = LogFailed(reason=type(unexpected).__name__)
            self._loop.call_soon_threadsafe(self._settle, batch, problem)

    def _settle(self, batch: list[tuple[bytes, asyncio.Future[None]]], problem: ExchangeError | None) -> None:
        if problem is None:
            self.records += len(batch)
            self.batches += 1
        self.failure = None if problem is None else problem.text
        for _, future in batch:
            if future.done():
                continue
            if problem is None:
                future.set_result(None)
            else:
                future.set_exception(problem)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Write what waits, then stop the thread and close the log."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        self._writer.close()
