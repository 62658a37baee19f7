"""What HTTP connections out of the node (`http.connection`) give to whoever asked: an answer, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kerege.exchange.bodies import Body, close_body
from kerege.node.http.bodies import Sink

# from an answer's status and headers, what takes its body; None: it is collected
AnswerSinks = Callable[[int, Sequence[tuple[bytes, bytes]]], "Sink | None"]


class Waiter(Protocol):
    """What is told of an answer: a future, or something cheaper."""

    def done(self) -> bool: ...
    def set_result(self, answer: ClientResponse) -> None: ...
    def set_exception(self, problem: HttpFailed) -> None: ...


class HttpFailed(Exception):
    """The exchange with the other side failed; `reason` is a clause.

    cut   by the other side, before it said anything: so it also does where it does not take the certificate it was shown
    """

    def __init__(self, reason: str, *, unanswered: bool = False, cut: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unanswered, self.cut = unanswered, cut


class NotConnected(HttpFailed):
    """No connection was made: nothing was sent."""


class AnswerTooLarge(HttpFailed):
    """The answer passed the limit."""


@dataclass(slots=True)
class ClientResponse:
    """An answer; whoever asked closes it when its body is not needed any more.

    sink      what took the body in place of `body`, when there was one
    refused   what the sink raised; the rest of the answer was not read
    """

    status: int
    reason: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: Body | None  # None when the answer can have none (204, 304, HEAD)
    sink: Sink | None = None
    refused: Exception | None = None

    def header(self, name: bytes) -> str:
        for key, value in reversed(self.headers):
            if len(key) == len(name) and key.lower() == name:
                return value.decode("latin-1")
        return ""

    def close(self) -> None:
        close_body(self.body)
        if self.sink is not None:
            self.sink.close()
