"""What a contract does to an answer, at the provider before it is signed or at the consumer after it is verified.

Answers with a 2xx status and a body are held against the contract (`contracts`), of SOAP those that are no fault. Then, as the
signed configuration says: a breach is counted, told in `X-Kerege-Contract`, its record set aside, or the answer is refused; canonical
records take the answer's place. A record is set aside where canonical records go on, which is where single records can be; an answer that
goes on as the agency wrote it is refused whole in that mode. At the provider what was really answered is durable in the originals' log before
anything else is signed; at the consumer it is the signed message in the log. A SOAP answer stays SOAP between the nodes; the consumer's node
gives canonical records of it to a client that asks for them by Accept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import Final

from kerege.exchange import rest
from kerege.exchange.bodies import Body, body_size, close_body
from kerege.exchange.ids import ServerId
from kerege.exchange.rules import (
    ALWAYS,
    ASKED,
    CONSUMER,
    NEVER,
    PROVIDER,
    QUARANTINE,
    REFUSE,
    WARN,
    Rules,
    WireContract,
)
from kerege.node.contracts.counts import ContractCounts
from kerege.node.contracts.originals import REFUSED, TRANSLATED, Originals, sha256_of
from kerege.node.contracts.translate import CANONICAL, failed, forwarded_accept, wants_canonical, wants_sources, written
from kerege.node.contracts.which import Contracts, Examined
from kerege.node.errors import ContractBreached, ContractUnchecked, TranslationFailed, TranslationUnavailable
from kerege.node.message import Asked
from kerege.node.wire import rest_content_type

_LOG: Final = logging.getLogger("kerege.node.contracts")
HEADER: Final = b"X-Kerege-Contract"
_NOT_ASKED: Final = frozenset(
    {b"accept-encoding", b"range", b"if-range"}
)  # a part or a packed answer cannot be looked into
_OF_THE_BYTES: Final = frozenset({b"etag", b"last-modified", b"accept-ranges", b"digest", b"repr-digest", b"signature"})
_IN_A_THREAD: Final = 64 * 1024
_QUIET_SECONDS: Final = 60.0
XML: Final = "text/xml"


class Contracting:
    """One per node: the contracts of its answers, on both sides."""

    def __init__(
        self, server: ServerId, contracts: Contracts, originals: Originals, counts: ContractCounts | None = None
    ) -> None:
        self._server, self.contracts, self.originals, self.counts = server, contracts, originals, counts
        self._told: dict[WireContract, float] = {}

    async def run(self) -> None:
        """What is done beside traffic, until cancelled: counts written, old originals archived."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.originals.run())
            if self.counts is not None:
                group.create_task(self.counts.run())

    async def close(self) -> None:
        """Write what is not yet on disk."""
        if self.counts is not None:
            await self.counts.save()
        await self.originals.close()

    def at_consumer(self, asked: Asked, rules: Rules) -> WireContract | None:
        """The contract this node, the consumer's, holds answers to `asked` against."""
        found = self.contracts.find(asked.service, asked.method, asked.path, rules)
        return found if found is not None and found.at == CONSUMER else None

    def at_provider(self, asked: Asked, rules: Rules | None) -> WireContract | None:
        """The contract this node, the provider's, holds answers to `asked` against. The signed configuration alone says so."""
        found = None if rules is None else rules.contract_for(asked.service, asked.path, asked.method)
        return found if found is not None and found.at == PROVIDER else None

    # --- at the provider ---

    async def of_agency(
        self, contract: WireContract, asked: Asked, accept: str, status: int, headers: rest.Headers, body: Body | None
    ) -> tuple[rest.Headers, Body | None]:
        """What is to be signed of an agency's REST answer. Raises ContractBreached, ContractUnchecked, TranslationFailed, LogFailed."""
        headers = tuple(pair for pair in headers if pair[0].lower() != HEADER.lower())
        if body is None or not 200 <= status < 300:
            return headers, body
        content_type = rest_content_type(headers)
        canonical = translates(contract, accept)
        examined = await self._examined(contract, body, content_type, headers)
        about = {"status": status, "contract": {"path": contract.path, "method": contract.method}}
        try:
            examined = self._decide(contract, asked, examined, canonical)
            if canonical:
                self._check_translated(contract, asked, examined)
        except (ContractBreached, ContractUnchecked, TranslationFailed) as problem:
            await self.originals.keep(asked, body, REFUSED, content_type, {**about, "refused": problem.code})
            close_body(body)
            raise
        told = self._told_of(contract, examined)
        if not canonical:
            return (*headers, *told), body
        done = examined.done
        assert done is not None
        about["mapping"] = {"id": done.mapping_id, "version": str(done.mapping_version)}
        sha256 = await self.originals.keep(asked, body, TRANSLATED, content_type, about)
        sources = contract.translate == ASKED and wants_sources(accept)
        out = await _written(examined, sha256, content_type, asked, body_size(body), sources)
        close_body(body)
        return (*_of_translated(headers), (b"Content-Type", CANONICAL.encode()), *told), out

    async def of_soap_agency(
        self, contract: WireContract, asked: Asked, envelope: bytes, original: Body, content_type: str
    ) -> None:
        """Raises ContractBreached or ContractUnchecked for an agency's SOAP answer; `original`, all that came over HTTP, is kept then."""
        examined = await self.contracts.examine(contract, envelope, XML)
        try:
            self._decide(contract, asked, examined, canonical=False)
        except (ContractBreached, ContractUnchecked) as problem:
            about = {"contract": {"path": contract.path, "method": contract.method}, "refused": problem.code}
            await self.originals.keep(asked, original, REFUSED, content_type, about)
            raise
        self._told_of(contract, examined)

    # --- at the consumer ---

    async def of_provider(
        self, contract: WireContract, asked: Asked, accept: str, status: int, headers: rest.Headers, body: Body | None
    ) -> tuple[rest.Headers, Body | None]:
        """What the client gets of a verified, logged REST answer, its headers being those a client may have. Raises as `of_agency` does."""
        headers = tuple(
            pair for pair in headers if pair[0].lower() != HEADER.lower()
        )  # this node's word, nobody else's
        if body is None or not 200 <= status < 300:
            return headers, body
        content_type = rest_content_type(headers)
        examined = await self._examined(contract, body, content_type, headers)
        canonical = translates(contract, accept)
        examined = self._decide(contract, asked, examined, canonical)
        told = self._told_of(contract, examined)
        if not canonical:
            return (*headers, *told), body
        out = await self._canonical(contract, asked, examined, body, content_type, accept)
        kept = tuple(pair for pair in headers if pair[0].lower().startswith(b"x-road-"))
        return ((b"Content-Type", CANONICAL.encode()), *kept, *told), out

    async def of_soap_provider(
        self, contract: WireContract, asked: Asked, accept: str, envelope: bytes
    ) -> tuple[rest.Headers, bytes | None]:
        """Headers to add to a verified, logged SOAP answer, and the canonical records to give in its place, if any."""
        examined = await self.contracts.examine(contract, envelope, XML)
        canonical = contract.translate != NEVER and bool(contract.mapping) and wants_canonical(accept)
        examined = self._decide(contract, asked, examined, canonical)
        told = self._told_of(contract, examined)
        if canonical:
            out = await self._canonical(contract, asked, examined, envelope, XML, accept)
            return ((b"Content-Type", CANONICAL.encode()), *told), out
        return told, None

    async def _canonical(
        self, contract: WireContract, asked: Asked, examined: Examined, body: Body, content_type: str, accept: str
    ) -> bytes:
        self._check_translated(contract, asked, examined)
        sha256 = await sha256_of(body)
        sources = contract.translate == ASKED and wants_sources(accept)
        return await _written(examined, sha256, content_type, asked, body_size(body), sources)

    # --- on either side ---

    async def _examined(self, contract: WireContract, body: Body, content_type: str, headers: rest.Headers) -> Examined:
        packed = (rest.header(headers, b"content-encoding") or b"identity").strip().lower()
        if packed not in {b"", b"identity"}:
            return self.contracts.unseen(contract, "it is packed (Content-Encoding), though nobody asked for that")
        return await self.contracts.examine(contract, body, content_type)

    def _decide(self, contract: WireContract, asked: Asked, examined: Examined, canonical: bool) -> Examined:
        """What goes on of an answer; `canonical`: its records take its place, and single ones of them can be set aside."""
        if contract.mode not in {QUARANTINE, REFUSE} or (not examined.total and examined.unchecked is None):
            return examined
        apart = canonical and examined.done is not None and examined.unchecked is None and not examined.whole
        if contract.mode == QUARANTINE and apart:
            if self.counts is not None:
                self.counts.note_aside(contract, len(examined.aside))
            return replace(examined, done=examined.kept)
        where = {
            "server": self._server,
            "service": asked.service,
            "path": contract.path,
            "request_id": asked.request_id,
            "cause": "contract_breach",
        }
        if self.counts is not None:
            self.counts.note_refused(contract)
        if examined.total:
            raise ContractBreached(breaches=examined.summary(), **where)
        raise ContractUnchecked(reason=examined.unchecked, **where)

    def _check_translated(self, contract: WireContract, asked: Asked, examined: Examined) -> None:
        if examined.done is None:
            reason = examined.unchecked or "it was not looked into"
            problem = examined.problem or TranslationUnavailable(reason=reason)
            raise failed(problem, asked.service, contract.mapping, asked.request_id)

    def _told_of(self, contract: WireContract, examined: Examined) -> rest.Headers:
        """The header that tells of breaches, where the contract says to tell; and a line in the node's own log, not too often."""
        if contract.mode not in {WARN, QUARANTINE} or not examined.total:
            return ()
        now = time.monotonic()
        if now - self._told.get(contract, -_QUIET_SECONDS) >= _QUIET_SECONDS:
            self._told[contract] = now
            _LOG.warning(
                "%s %s: an answer breaks its contract: %s", contract.service, contract.path, examined.summary()
            )
        text = f"breaches={examined.total}; fields={examined.summary()}"
        if contract.mode == QUARANTINE:
            text = f"aside={len(examined.aside)}; {text}"
        return ((HEADER, text.encode("ascii", "replace")),)


def translates(contract: WireContract, accept: str) -> bool:
    """Whether canonical records take the place of a REST answer."""
    if not contract.mapping or contract.translate == NEVER:
        return False
    return contract.translate == ALWAYS or wants_canonical(accept)


def check_translated(
    contract: WireContract, asked: Asked, status: int, headers: rest.Headers, body: Body | None
) -> None:
    """The provider's node was to translate and the client asked for it. Raises TranslationFailed when the answer is something else."""
    if body is not None and 200 <= status < 300:
        came = rest_content_type(headers).partition(";")[0].strip().lower()
        if came != CANONICAL:
            raise TranslationFailed(
                service=asked.service,
                mapping=contract.mapping,
                reason="its contract is applied at the provider, whose node did not translate it",
                request_id=asked.request_id,
            )


def asked_plainly(headers: rest.Headers, accept: bool = True) -> rest.Headers:
    """A request's headers so that the answer comes whole and unpacked; `accept`: the canonical media type is taken out too."""
    out = []
    for name, value in headers:
        low = name.lower()
        if low in _NOT_ASKED:
            continue
        if accept and low == b"accept" and wants_canonical(value.decode("latin-1")):
            value = forwarded_accept(value.decode("latin-1"))
        out.append((name, value))
    return tuple(out)


def _of_translated(headers: rest.Headers) -> rest.Headers:
    """An answer's headers without those that speak of the bytes it had."""
    return tuple(
        pair for pair in headers if not (low := pair[0].lower()).startswith(b"content-") and low not in _OF_THE_BYTES
    )


async def _written(examined: Examined, sha256: str, content_type: str, asked: Asked, size: int, sources: bool) -> bytes:
    done = examined.done
    assert done is not None

    def write() -> bytes:
        return written(done, sha256, content_type, asked.message_id, asked.request_id, sources=sources)

    return await asyncio.to_thread(write) if size > _IN_A_THREAD else write()
