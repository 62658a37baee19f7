"""The client listener: which protocol a call is in, and that every call ends in an answer or a fault that says what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from kerege.exchange import faults
from kerege.exchange.errors import MessageTooLarge, TargetInvalid
from kerege.exchange.opmon import CLIENT, Exchange
from kerege.node.core import Core, milliseconds
from kerege.node.http.messages import HttpRequest, HttpResponse, Later, refusal
from kerege.node.rest_consumer import RestConsumer, fault_response

_TOO_LARGE: Final = 413

LocalService = Callable[[HttpRequest], Awaitable[HttpResponse]]


class SoapSide(Protocol):
    """SOAP calls of information systems."""

    async def answer(self, http: HttpRequest, exchange: Exchange) -> HttpResponse: ...
    def fault(self, fault: faults.Fault) -> HttpResponse: ...


class Consumer:
    """Answers the client listeners. `local` has what is answered here, unsigned and not logged: listClients and the like."""

    def __init__(
        self, core: Core, rest: RestConsumer, soap: SoapSide | None = None, local: dict[str, LocalService] | None = None
    ) -> None:
        self._core, self._rest, self._soap, self._local = core, rest, soap, local or {}

    def handle(self, http: HttpRequest) -> Later | Awaitable[HttpResponse]:
        if http.target.startswith("/r1/"):
            quick = self._rest.quick(http)
            if quick is not None:
                return quick
        return self.long(http)

    def refusal(self, status: int, reason: str, target: str, headers: Sequence[tuple[bytes, bytes]]) -> HttpResponse:
        """For a request that is not read to its end: a body beyond the limit is told as other faults are, the rest in a line of text."""
        if status != _TOO_LARGE:
            return refusal(status, reason)
        problem = MessageTooLarge(what="body", limit=self._core.config.limits.body)
        fault = self._core.fault(problem, faults.CLIENT_PROXY)
        if self._soap is not None and not target.startswith("/r1"):
            return self._soap.fault(fault)
        accept = next((value for name, value in headers if name.lower() == b"accept"), b"")
        return replace(fault_response(fault, accept.decode("latin-1"), problem), status=status)

    async def long(self, http: HttpRequest) -> HttpResponse:
        """Every step for this request alone."""
        if http.method == "GET" and self._local and not http.target.startswith("/r1/"):
            service = self._local.get(http.target.partition("?")[0])
            if service is not None:
                return await service(http)
        core = self._core
        exchange = Exchange(CLIENT, milliseconds(), own_address=core.config.clients_address.host)
        exchange.client_address = core.registered_address
        soap = self._soap is not None and not http.target.startswith("/r1")
        try:
            if soap:
                assert self._soap is not None
                response = await self._soap.answer(http, exchange)
            elif http.target.startswith("/r1"):
                response = await self._rest.answer(http, exchange)
            else:
                raise TargetInvalid(reason="it does not begin with /r1 and five identifier parts")
        except Exception as problem:  # noqa: BLE001 - every failure is answered as a fault
            fault = core.fault(problem, faults.CLIENT_PROXY, exchange)
            exchange.fault_code, exchange.fault_string = fault.code, fault.message
            if soap and self._soap is not None:
                response = self._soap.fault(fault)
            else:
                response = fault_response(fault, http.header(b"accept"), problem)
        exchange.response_out = milliseconds()
        core.monitor.note(exchange)
        return response
