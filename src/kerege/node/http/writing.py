"""An answer on its way to the client: written at once, or a piece at a time as the client takes it.

Small ones are one write; what is larger, or on disk, goes by an `Outflow` (`http.bodies`). That it is out, `_answered` is told, whoever
wrote it; how long the client has is `_watch`'s affair.
"""

from __future__ import annotations

from typing import Final

from kerege.node.http.bodies import PROGRESS, Outflow, SinkFactory, close_all, pieces_of
from kerege.node.http.messages import BodyBudget, HttpResponse, ServerLimits, checked, encode_head, has_body
from kerege.node.http.reading import Work
from kerege.node.http.whole import Whole, WholeRequests

_JOINED: Final = 64 * 1024


class ResponseWriter(WholeRequests):
    """The writing side of a connection. Its heir begins requests, and says what follows when an answer is out (`_answered`)."""

    def __init__(
        self, limits: ServerLimits, budget: BodyBudget, sinks: SinkFactory | None, whole: Whole | None
    ) -> None:
        super().__init__(limits, budget, sinks, whole)
        self._out: Outflow | None = None

    def pause_writing(self) -> None:
        self._blocked = True
        if self._out is not None:
            self._out.paused = True

    def resume_writing(self) -> None:
        self._blocked = False
        if self._out is not None:
            self._out.resume()
        elif self._response is not None:
            self._answered()

    def _respond(self, work: Work, response: HttpResponse) -> None:
        transport = self._transport
        self._response = response
        if transport is None or transport.is_closing():
            self._answered()
            return
        if self._closing:
            work.keep = False
        head = work.method == "HEAD"
        try:
            data = encode_head(response, keep=work.keep, head=head)
        except ValueError:
            close_all(response.body)
            self._response = response = checked()
            data = encode_head(response, keep=work.keep, head=head)
        body = response.body
        if not has_body(response, head):
            transport.write(data)
        elif body.__class__ is bytes and len(body) <= PROGRESS:
            if len(body) <= _JOINED:
                transport.write(data + body)
            else:
                transport.writelines((data, body))
        else:
            self._out = Outflow(self._loop, transport, (data, *pieces_of(body)), self._given, self._moved)
            self._moved()
            self._out.resume()
            return
        if self._blocked:
            self._moved()
        else:
            self._answered()

    def _moved(self) -> None:
        """The client has so long to take what is written now."""
        self._watch(self._limits.request_seconds)

    def _given(self) -> None:
        self._out = None
        if not self._blocked:
            self._answered()
