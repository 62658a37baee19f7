"""The consumer's side, whatever the protocol: sign, log, send to a server of the provider, verify what comes back, log it.

Order of work, as X-Road's client proxy does it; nothing is sent before its own record is durable, and no answer is given to a client
before the answer's record is. What a call means (REST, SOAP) is `rest_consumer`'s and `soap_consumer`'s: they hand in a message and a
check that holds the answer against it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from kerege.exchange import multipart
from kerege.exchange.errors import (
    ClientDisabled,
    ClientUnknown,
    ConfigurationMissing,
    MessageTooLarge,
    PeerUnreachable,
)
from kerege.exchange.ids import ClientId, MemberId, SubsystemId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.opmon import Exchange
from kerege.exchange.xades import Signed
from kerege.node import wire
from kerege.node.conf.keeper import Picture
from kerege.node.config_types import LimitSettings
from kerege.node.core import Core, milliseconds
from kerege.node.http.client import AnswerTooLarge, ClientResponse, HttpFailed, encode_request
from kerege.node.log import records
from kerege.node.message import Asked, Extras, Message
from kerege.node.peers import Reached
from kerege.node.sealing import Item

T = TypeVar("T")
Check = Callable[[Message], T]  # holds an answer against its request; raises what is wrong


class Carrier:
    """Carries one call of a local client to the provider's server and back."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._sinks = lambda _, headers: wire.sink_of(headers, wire.decoder_limits(core.config.limits))

    async def carry(
        self, asked: Asked, message: Message, extras: Extras, exchange: Exchange, picture: Picture, check: Check[T]
    ) -> tuple[Message, T]:
        """The verified, logged answer, and what `check` made of it. Raises the check that failed."""
        core = self._core
        core.log.check_open()  # before anything is signed or sent
        servers = core.routes.servers(asked, picture)
        # what is remembered of this call holds under the file it was decided under, which may be another one when it is sent
        config, signer = core.config, core.keys.signer(asked.client.member, core.clock())
        until = core.keys.good_until[asked.client.member]
        exchange.request_size = message.size
        link = core.peers.link_to(servers[0])
        if link is not None and await core.peers.still_good(link, servers[0], picture):
            reached = Reached(servers[0], link.address, None, link)
        else:
            reached = await core.peers.reach(
                servers, picture, preferred=core.routes.known(asked.service.provider_client, servers[0].id)
            )
            link = reached.link
        exchange.service_address = reached.server.address or reached.address.host
        core.routes.answered(asked.service.provider_client, reached.server.id)
        if link is not None:
            core.plans.remember(asked, picture, config, signer, reached.server, link, core.clock(), until)
            return await link.call(asked, message, extras, signer, exchange, check)
        try:
            signed = await core.sealing.seal(signer, message, asked, self._record)
        except BaseException:
            core.peers.release(reached)
            raise
        if core.lane is not None:
            core.lane.wire.remember(asked, picture, config, signer, reached, until)
        exchange.request_out = milliseconds()
        incoming = await self._send(asked, message, signed, extras, reached)
        exchange.response_in = milliseconds()
        answer = incoming.message
        exchange.response_size = answer.size
        now = core.clock()
        verify_answer(core, asked, incoming, now, picture)
        result = check(answer)
        signature = incoming.signature
        await core.log.append(
            core.recorder.record(
                records.RESPONSE, records.CLIENT, asked, answer, signature.xml, signature.chain, core.clock()
            )
        )
        return answer, result

    def _record(self, item: Item, now: datetime) -> LogRecord:
        assert item.signed is not None
        signed = item.signed
        return self._core.recorder.sealed(records.REQUEST, records.CLIENT, item.asked, item.message, signed, now)

    async def _send(
        self, asked: Asked, message: Message, signed: Signed, extras: Extras, reached: Reached
    ) -> wire.Incoming:
        """Over X-Road's own wire."""
        core, connection = self._core, reached.connection
        assert connection is not None
        boundary = multipart.new_boundary()
        content = wire.encode(boundary, message, signed, ocsp=reached.ocsp)
        headers = wire.request_headers(asked, extras, boundary)
        limits = core.config.limits
        try:
            pieces = encode_request("POST", "/", str(reached.address), headers, content)
            answer = await connection.exchange(pieces, head=False, timeout=limits.peer_seconds, sinks=self._sinks)
        except HttpFailed as problem:
            raise failed(problem, reached, core) from None
        except BaseException:
            connection.close()
            raise
        core.peers.release(reached)
        return received(answer, message, reached, limits)


def failed(problem: HttpFailed, reached: Reached, core: Core) -> MessageTooLarge | PeerUnreachable:
    """What it means that another server gave no answer."""
    if isinstance(problem, AnswerTooLarge):
        return MessageTooLarge(what="answer", limit=core.config.limits.body)
    return core.peers.unreachable(reached.server.id, reached.address, problem)


def received(answer: ClientResponse, message: Message, reached: Reached, limits: LimitSettings) -> wire.Incoming:
    """The message in another server's HTTP answer to `message`. Raises the fault it says, or what is wrong with it."""
    if answer.status != 200:  # messages and faults alike come with 200: this is the listener's own refusal
        reason = f"it answered HTTP {answer.status}"
        raise PeerUnreachable(server=reached.server.id, address=reached.address, reason=reason)
    if answer.refused is not None:
        raise answer.refused
    if isinstance(answer.sink, multipart.Decoder):
        incoming = wire.from_transport(answer.sink.finish(), limits)
    else:
        incoming = wire.decode(answer.header(b"content-type"), answer.body or b"", limits)
    wire.check_kind(incoming.message, message)
    incoming.message.content_type = answer.header(b"x-original-content-type")
    return incoming


def verify_answer(core: Core, asked: Asked, incoming: wire.Incoming, now: datetime, sent_under: Picture) -> None:
    """The signature of the provider's member must hold, under the configuration of now. Raises the check that failed."""
    try:
        picture = core.keeper.current(now)
    except ConfigurationMissing:  # cannot be: there was one when the request left
        picture = sent_under
    wire.verify(picture.trust, incoming, asked.service.member, now)


def check_client(core: Core, client: ClientId, picture: Picture) -> SubsystemId | MemberId:
    """The client as one of this node's. Raises ClientUnknown, and ClientDisabled where the configuration leaves it out of the server's clients.

    A member calls in its own name (management calls, monitoring) where this server is its own, or it is registered at it; as X-Road's
    servers hold it. It must be among the file's clients as well, so that its connection has a rule.
    """
    if client.subsystem is None:
        own = core.config.server
        if client.member in core.config.members and (
            client.member == own.owner or any(s.id == own and client in s.clients for s in picture.shared.servers)
        ):
            return client.member
    else:
        local = SubsystemId(client.instance, client.member_class, client.member_code, client.subsystem)
        if local in core.config.clients and picture.shared.is_registered(client):
            own = core.config.server
            if any(s.id == own and client not in s.clients for s in picture.shared.servers):
                raise ClientDisabled(client=client, server=own)  # a provider refuses it in any case
            return local
    raise ClientUnknown(client=client)
