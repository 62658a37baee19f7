"""The provider's side, whatever the protocol and the wire: another server's message comes in, the signed answer goes back.

Order of work, as X-Road's server proxy does it: who is connected, read the parts, data service and its kind, permit, right, signature;
log the request (durable) before the agency's system is called; sign the answer, log it (durable), send. Any refusal is a SOAP fault
with HTTP 200, as the transport protocol says. What a message asks for and how it is carried out is `rest_provider`'s, `soap_provider`'s
and, for reserved codes, `metaservices`'.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol

from cryptography import x509

from kerege.exchange import certs, faults, multipart
from kerege.exchange.errors import MessageMalformed, PeerUntrusted, ServiceDisabled, ServiceKindWrong, ServiceUnknown
from kerege.exchange.globalconf import SecurityServer
from kerege.exchange.ids import DataServiceId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.opmon import PRODUCER, Exchange
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer
from kerege.node import wire
from kerege.node.conf.keeper import Picture
from kerege.node.conf.under import UnderOne
from kerege.node.config_types import NodeConfig, Service
from kerege.node.core import Core, milliseconds
from kerege.node.http.messages import HttpRequest, HttpResponse
from kerege.node.log import records
from kerege.node.message import SOAP, Asked, Extras, Message, Signature
from kerege.node.replay import ReplayWindow
from kerege.node.rights import check_permit, not_at, permits_end
from kerege.node.routes import registered_servers
from kerege.node.sealing import Item

_ADMITTED_SECONDS: Final = 1.0
_MOST_ADMISSIONS: Final = 8192
_MOST_KNOWN: Final = 1024
_WSDL: Final = "wsdl"


class Handler(Protocol):
    """One protocol on the provider's side."""

    def read(self, message: Message, extras: Extras, exchange: Exchange) -> Asked: ...
    async def call(
        self, asked: Asked, message: Message, extras: Extras, service: Service, exchange: Exchange
    ) -> Message: ...


class Metaservices(Protocol):
    """Answers reserved service codes, for any client that is known: no right is needed, no agency is called."""

    def serves(self, asked: Asked) -> bool: ...
    async def call(self, asked: Asked, message: Message, extras: Extras, exchange: Exchange) -> Message: ...


@dataclass(slots=True)
class Peer:
    """The server at the other end of a connection, and its certificate."""

    server: SecurityServer | None  # None only where TLS is switched off for captures
    certificate: bytes | None
    address: str


class Admission:
    """What was decided about calls of one client to one service from one server, good for at most a second."""

    __slots__ = ("any_path", "asked", "config", "meta", "peer", "picture", "service", "signer", "until")

    def __init__(
        self, asked: Asked, peer: SecurityServer | None, picture: Picture, config: NodeConfig, service: Service | None
    ) -> None:
        self.asked, self.peer, self.picture, self.config, self.service = asked, peer, picture, config, service
        self.any_path = False  # every path is open: access need not be decided for each
        self.until = 0.0
        self.signer: Signer

    def holds(self, asked: Asked, peer: SecurityServer | None, picture: Picture, config: NodeConfig) -> bool:
        return (
            self.until >= time.monotonic()
            and self.asked.client is asked.client
            and self.asked.service is asked.service
            and self.peer is peer
            and self.picture is picture
            and self.config is config
        )


@dataclass(slots=True)
class Accepted:
    """A request that passed every check."""

    asked: Asked
    message: Message
    extras: Extras
    handler: Handler
    service: Service | None  # None: a metaservice
    signer: Signer
    exchange: Exchange


class Provider:
    """Answers the server listener; `link.server` uses its parts for requests that come over the Kerege link."""

    def __init__(self, core: Core, handlers: Mapping[bytes, Handler], metaservices: Metaservices | None = None) -> None:
        self._core, self._handlers, self._meta = core, handlers, metaservices
        self._replays = ReplayWindow(core.config.replay_window_seconds)
        self._known: UnderOne[bytes, SecurityServer] = UnderOne(_MOST_KNOWN)
        self._admissions: UnderOne[tuple[str, int, int, str, int], Admission] = UnderOne(_MOST_ADMISSIONS)

    async def handle(self, http: HttpRequest) -> HttpResponse:
        """A message over X-Road's own wire."""
        exchange = self.new_exchange(http.peer_address)
        try:
            response = await self._serve(http, exchange)
        except Exception as problem:  # noqa: BLE001 - every failure is answered as a fault
            return self.fault(problem, exchange)
        self.note(exchange)
        return response

    def fault(self, problem: Exception, exchange: Exchange) -> HttpResponse:
        """The answer that says why there is none; noted as the end of its exchange."""
        fault = self._core.fault(problem, faults.SERVER_PROXY, exchange)
        exchange.fault_code, exchange.fault_string = fault.code, fault.message
        self.note(exchange)
        return HttpResponse(200, ((b"content-type", wire.FAULT_TYPE),), faults.to_soap(fault))

    def note(self, exchange: Exchange) -> None:
        """It ends now."""
        exchange.response_out = milliseconds()
        self._core.monitor.note(exchange)

    def new_exchange(self, peer_address: str, moment: int = 0) -> Exchange:
        """moment   when it came, in milliseconds; now where it is not given"""
        core = self._core
        exchange = Exchange(PRODUCER, moment or milliseconds(), own_address=core.config.servers_address.host)
        exchange.client_address, exchange.service_address = peer_address, core.registered_address
        return exchange

    async def _serve(self, http: HttpRequest, exchange: Exchange) -> HttpResponse:
        core, now = self._core, self._core.clock()
        if http.method != "POST" or http.target != "/":
            raise MessageMalformed(where="HTTP", reason="servers are called with POST /")
        if http.header(b"x-hash-algorithm").upper() not in {"", "SHA-512"}:
            raise MessageMalformed(where="x-hash-algorithm", reason="only SHA-512 is spoken")
        picture = core.keeper.current(now)
        peer = self.peer(http.peer_certificate, http.peer_address, picture)
        if http.refused is not None:
            raise http.refused
        if isinstance(http.sink, multipart.Decoder):
            incoming = wire.from_transport(http.sink.finish(), core.config.limits)
        else:
            incoming = wire.decode(http.header(b"content-type"), http.body, core.config.limits)
        is_rest = incoming.message.kind == multipart.REST_REQUEST
        if is_rest != (http.header(b"x-road-message-type").upper() == "REST"):
            raise MessageMalformed(where="x-road-message-type", reason="it does not fit the message that came")
        self.check_peer(peer, incoming.ocsp, picture.trust, now)
        extras = Extras(
            http.header(b"x-original-content-type"),
            http.header(b"x-original-soapaction") or None,
            http.header(b"x-road-request-id"),
        )
        accepted = self.accept(incoming, extras, peer, exchange, picture, now)
        if http.header(b"x-road-request-id") != accepted.asked.request_id and is_rest:
            raise MessageMalformed(where="x-road-request-id", reason="the HTTP header and the signed message differ")
        if not is_rest:
            accepted.asked.request_id = http.header(b"x-road-request-id")
        wire.verify(picture.trust, incoming, accepted.asked.client.member, now)
        self.check_first_time(incoming.message)
        await core.log.append(self.request_record(accepted, incoming.signature, now))

        return await self.sealed(accepted, await self.call(accepted))

    async def sealed(self, accepted: Accepted, answer: Message) -> HttpResponse:
        """An agency's answer as it goes back over X-Road's own wire: signed and logged."""
        core = self._core
        signed = await core.sealing.seal(accepted.signer, answer, accepted.asked, self.answer_record)
        boundary = multipart.new_boundary()
        headers = (
            (b"content-type", multipart.content_type(boundary).encode()),
            (b"x-hash-algorithm", b"SHA-512"),
            *wire.original_content_type(answer),
        )
        pieces = wire.encode(boundary, answer, signed)
        return HttpResponse(200, headers, pieces[0] if len(pieces) == 1 else pieces)

    # --- who is calling ---

    def peer(self, certificate: bytes | None, address: str, picture: Picture) -> Peer:
        """The registered server that holds `certificate`. Raises PeerUntrusted."""
        if not self._core.config.peer_tls:
            return Peer(None, None, address)
        self._only(picture)
        known = self._known.kept.get(certificate or b"")
        if known is not None:
            return Peer(known, certificate, address)
        server = None if certificate is None else picture.shared.server_by_auth_hash(certs.auth_hashes(certificate))
        if server is None or certificate is None:
            raise PeerUntrusted(peer=address, reason="its authentication certificate is not registered")
        self._known.put(picture, certificate, server)
        return Peer(server, certificate, address)

    def check_peer(self, peer: Peer, ocsp: tuple[bytes, ...], trust: Trust, now: datetime) -> None:
        """The peer's certificate must be good by the OCSP answers it brought."""
        if peer.certificate is not None:
            trust.check_auth(_loaded(peer.certificate), ocsp, now)

    # --- what is asked, and whether it may be ---

    def accept(
        self, incoming: wire.Incoming, extras: Extras, peer: Peer, exchange: Exchange, picture: Picture, now: datetime
    ) -> Accepted:
        """Everything that is decided before the signature is looked at. Raises the check that failed."""
        self._core.log.check_open_now()  # before the signature is verified: it could not be logged
        message = incoming.message
        exchange.request_size = message.size
        if peer.server is not None and peer.server.address:
            exchange.client_address = peer.server.address  # as the other side's own record names it
        handler, asked = self.read(message, extras, exchange)
        if asked.server is not None and asked.server != self._core.config.server:
            raise MessageMalformed(where="security server", reason="the message is for another server")
        admission = self.admission(asked, peer, picture, now)
        return Accepted(asked, message, extras, handler, admission.service, admission.signer, exchange)

    def admission(self, asked: Asked, peer: Peer, picture: Picture, now: datetime) -> Admission:
        """What is decided about such calls, anew or a moment ago; it holds for `asked`. Raises the check that failed."""
        self._only(picture)
        config, server = self._core.config, peer.server
        key = (asked.protocol, id(asked.client), id(asked.service), asked.method, id(server))
        admission = self._admissions.kept.get(key)
        if admission is None or not admission.holds(asked, server, picture, config):
            admission = self._admit(asked, server, picture, config, now)
            self._admissions.put(picture, key, admission)
        elif not admission.any_path and admission.service is not None:
            self._core.rights.check(asked, picture, now)
        return admission

    def _only(self, picture: Picture) -> None:
        """Forget what was decided under another, also in the table that is not asked now: over the link nobody asks who is calling."""
        self._known.of(picture)
        self._admissions.of(picture)

    def read(self, message: Message, extras: Extras, exchange: Exchange) -> tuple[Handler, Asked]:
        """Who reads such messages, and what this one asks for. Raises what is wrong with it."""
        handler = self._handlers.get(message.kind)
        if handler is None:
            raise MessageMalformed(where="message", reason="it is neither a REST nor a SOAP request")
        return handler, handler.read(message, extras, exchange)

    def _admit(
        self, asked: Asked, server: SecurityServer | None, picture: Picture, config: NodeConfig, now: datetime
    ) -> Admission:
        """Whether the call may be made. Raises the check that failed."""
        if server is not None and not _is_client_of(asked, server):
            raise not_at(asked.client, server, picture)
        meta = self._meta is not None and self._meta.serves(asked)
        service = None if meta else self._service(asked)
        if not any(s.id == config.server for s in registered_servers(picture.shared, asked.service.provider_client)):
            raise ServiceUnknown(service=asked.service, reason=f"its provider is not registered at {config.server}")
        found = Admission(asked, server, picture, config, service)
        ends = [picture.directory.expires]
        if service is not None:
            check_permit(asked.client, picture, now)
            right = self._core.rights.check(asked, picture, now)
            if not service.enabled:
                raise ServiceDisabled(service=asked.service, notice=service.notice or "no notice given")
            found.any_path = right is not None and right.path == "/**"
            if right is not None and right.valid_until is not None:
                ends.append(right.valid_until)
            ends += permits_end(asked.client, picture, now)
        # before the agency is called: an answer must be possible
        found.signer = self._core.keys.signer(asked.service.member, now)
        ends.append(self._core.keys.good_until[asked.service.member])
        if picture.partner_ends is not None:
            ends.append(picture.partner_ends)
        found.until = time.monotonic() + min(_ADMITTED_SECONDS, (min(ends) - now).total_seconds())
        return found

    def _service(self, asked: Asked) -> Service:
        service = self._core.config.services.get(asked.service)
        if service is None:
            raise _not_offered(asked.service, self._core.config)
        # an envelope inside a REST body would be carried out by a SOAP service, with a client and an operation nobody decided about
        if (asked.protocol == SOAP) != (service.kind == _WSDL):
            raise ServiceKindWrong(service=asked.service, kind=service.kind, asked=asked.protocol)
        return service

    def check_first_time(self, message: Message) -> None:
        """After the signature, so that only what was truly signed is remembered."""
        if not self.first_time(message.digests[0]):
            raise MessageMalformed(where="message", reason="this very message was carried out already")

    @property
    def watches_replays(self) -> bool:
        """Whether a message is refused that was carried out before."""
        return self._core.config.replay_window_seconds > 0

    def first_time(self, digest: bytes) -> bool:
        """Whether the message with this digest was not carried out before; from now on it was."""
        return self._replays.first_time(digest)

    # --- carrying it out ---

    async def call(self, accepted: Accepted) -> Message:
        """The agency's answer (or the metaservice's), not signed yet."""
        exchange = accepted.exchange
        exchange.request_out = milliseconds()
        if accepted.service is None:
            assert self._meta is not None
            answer = await self._meta.call(accepted.asked, accepted.message, accepted.extras, exchange)
        else:
            answer = await accepted.handler.call(
                accepted.asked, accepted.message, accepted.extras, accepted.service, exchange
            )
        exchange.response_in = milliseconds()
        if exchange.soap is None:  # of SOAP the envelope alone counts, which its handler has noted
            exchange.response_size = answer.size
        return answer

    def begin(self, accepted: Accepted, done: Callable[[Message], None], failed: Callable[[Exception], None]) -> bool:
        """As `call`, without a task, where the handler can: `done` or `failed` is told, once. False: nothing was begun."""
        quick = getattr(accepted.handler, "begin", None)
        if quick is None or accepted.service is None:
            return False
        exchange = accepted.exchange
        exchange.request_out = milliseconds()

        def answered(answer: Message) -> None:
            exchange.response_in = milliseconds()
            exchange.response_size = answer.size
            done(answer)

        begun: bool = quick(accepted.asked, accepted.message, accepted.service, exchange, answered, failed)
        return begun

    def request_record(self, accepted: Accepted, signature: Signature, now: datetime) -> LogRecord:
        return self._core.recorder.record(
            records.REQUEST,
            records.PROVIDER,
            accepted.asked,
            accepted.message,
            signature.xml,
            signature.chain,
            now,
        )

    def answer_record(self, item: Item, now: datetime) -> LogRecord:
        signed = item.signed
        assert signed is not None
        return self._core.recorder.record(
            records.RESPONSE, records.PROVIDER, item.asked, item.message, signed.xml, signed.chain, now
        )


@lru_cache(maxsize=1024)
def _loaded(certificate: bytes) -> x509.Certificate:
    return certs.load(certificate)


def _is_client_of(asked: Asked, server: SecurityServer) -> bool:
    """Clients are registered at a server one by one; a member speaks for itself at the servers it owns, too."""
    if asked.client.subsystem is None and server.id.owner == asked.client.member:
        return True
    return asked.client in server.clients


def _not_offered(wanted: DataServiceId, config: NodeConfig) -> ServiceUnknown:
    """Why there is none; one of another version is the likeliest mistake."""
    others = sorted((one for one in config.services if one.unversioned == wanted.unversioned), key=str)
    if not others:
        return ServiceUnknown(service=wanted, reason=f"the server {config.server} does not offer it")
    named = ", ".join(one.version or "(none)" for one in others)
    reason = f"the server {config.server} offers it in other versions only: {named}"
    return ServiceUnknown(
        service=wanted, reason=reason, do=f"Name the version in the call: {' or '.join(map(str, others))}."
    )
