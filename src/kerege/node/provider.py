"""The provider's side: another server's message comes in, the agency's own system is called, the signed answer goes back.

Order of work, as X-Road's server proxy does it: who is connected, read the parts, data service, permit, right, signature; log the
request (durable) before the agency's system is called; sign the answer, log it (durable), send. Any refusal is a SOAP fault with
HTTP 200, as the transport protocol says.
"""

from __future__ import annotations

import hashlib
import ssl
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from kerege.exchange import certs, faults, multipart, rest
from kerege.exchange.errors import (
    MessageMalformed,
    MessageTooLarge,
    PeerUntrusted,
    ProviderFailed,
    ServiceUnknown,
)
from kerege.exchange.globalconf import SecurityServer
from kerege.exchange.hashchain import SHA512, Digest
from kerege.exchange.messagelog import LogRecord
from kerege.exchange.multipart import TransportMessage
from kerege.exchange.opmon import PRODUCER, Exchange
from kerege.exchange.rest import RestRequest, RestResponse
from kerege.exchange.xades import Signer
from kerege.node.config import Service
from kerege.node.core import Core, check_access, check_permit, milliseconds
from kerege.node.httpclient import AnswerTooLarge, ClientResponse, Connection, HttpFailed, NotConnected, encode_request
from kerege.node.httpserver import HttpRequest, HttpResponse
from kerege.node.keeper import Picture
from kerege.node.replay import ReplayWindow

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_XML: Final = b"text/xml; charset=UTF-8"


class Provider:
    """Answers the server listener."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._tls: ssl.SSLContext | None = None
        self._replays = ReplayWindow(core.config.replay_window_seconds)

    async def handle(self, http: HttpRequest) -> HttpResponse:
        exchange = Exchange(PRODUCER, milliseconds(), own_address=self._core.config.servers_address.host)
        exchange.client_address = http.peer_address
        exchange.service_address = self._core.config.servers_address.host
        try:
            response = await self._serve(http, exchange)
        except Exception as problem:  # noqa: BLE001 - every failure is answered as a fault
            fault = self._core.fault(problem, faults.SERVER_PROXY)
            exchange.fault_code, exchange.fault_string = fault.code, fault.message
            response = HttpResponse(200, ((b"content-type", _XML),), faults.to_soap(fault))
        exchange.response_out = milliseconds()
        self._core.monitor.note(exchange)
        return response

    async def _serve(self, http: HttpRequest, exchange: Exchange) -> HttpResponse:
        core, now = self._core, self._core.clock()
        if http.method != "POST" or http.target != "/":
            raise MessageMalformed(where="HTTP", reason="servers are called with POST /")
        if http.header(b"x-hash-algorithm").upper() not in {"", "SHA-512"}:
            raise MessageMalformed(where="x-hash-algorithm", reason="only SHA-512 is spoken")
        if http.header(b"x-road-message-type").upper() != "REST":
            raise MessageMalformed(where="x-road-message-type", reason="only REST messages are carried by this version")
        picture = core.keeper.current(now)
        peer = self._peer(http, picture)
        decoder = multipart.Decoder(
            multipart.boundary_of(http.header(b"content-type")), multipart.Limits(body=core.config.limits.body)
        )
        decoder.feed(http.body)
        message = decoder.finish()
        if message.fault is not None or message.kind != multipart.REST_REQUEST:
            raise MessageMalformed(where="message", reason="it is not a REST request")
        request = rest.decode_request(message.message)
        exchange.request = request
        exchange.request_size = len(message.message) + len(message.body or b"")
        self._check_peer(http, message, request, peer, picture, now)
        service = self._service(request, picture)
        check_permit(request.client, picture, now)
        check_access(request, picture, now)
        message_digest = hashlib.sha512(message.message).digest()
        body_digest = None if message.body is None else hashlib.sha512(message.body).digest()
        picture.trust.check_signature(
            message.signature,
            Digest(SHA512, message_digest),
            () if body_digest is None else (Digest(SHA512, body_digest),),
            message.hash_chain,
            request.client.member,
            now,
        )
        # before the agency is called: an answer must be possible
        signer = core.keys.signer(request.service.provider.member, now)
        if not self._replays.first_time(
            message_digest
        ):  # after the signature: only what was truly signed is remembered
            raise MessageMalformed(where="message", reason="this very message was carried out already")
        await core.log.append(_request_record(request, message, now))

        exchange.request_out = milliseconds()
        answer = await self._call(service, request, message.body)
        exchange.response_in = milliseconds()
        exchange.status = answer.status
        response = rest.response_from_provider(
            answer.status, answer.reason, answer.headers, request, rest.request_hash(message_digest, body_digest)
        )
        return await self._answer(request, response, answer.body, signer, exchange)

    # --- who is calling ---

    def _peer(self, http: HttpRequest, picture: Picture) -> SecurityServer:
        der = http.peer_certificate
        server = None if der is None else picture.shared.server_by_auth_hash(certs.auth_hashes(der))
        if server is None:
            raise PeerUntrusted(peer=http.peer_address, reason="its authentication certificate is not registered")
        return server

    def _check_peer(
        self,
        http: HttpRequest,
        message: TransportMessage,
        request: RestRequest,
        peer: SecurityServer,
        picture: Picture,
        now: datetime,
    ) -> None:
        assert http.peer_certificate is not None
        picture.trust.check_auth(x509.load_der_x509_certificate(http.peer_certificate), tuple(message.ocsp), now)
        if request.client not in peer.clients:
            raise PeerUntrusted(peer=peer.id, reason=f"{request.client} is not registered at it")
        if http.header(b"x-road-request-id") != request.request_id:
            raise MessageMalformed(where="x-road-request-id", reason="the HTTP header and the signed message differ")

    def _service(self, request: RestRequest, picture: Picture) -> Service:
        service = self._core.config.services.get(request.service)
        if service is None:
            raise ServiceUnknown(service=request.service, reason="this node does not offer it")
        if not any(s.id == self._core.config.server for s in picture.shared.servers_of(request.service.provider)):
            raise ServiceUnknown(service=request.service, reason="its subsystem is not registered at this node")
        return service

    # --- the agency's own system ---

    async def _call(self, service: Service, request: RestRequest, body: bytes | None) -> ClientResponse:
        parts = urlsplit(service.url)
        path = parts.path.rstrip("/") + "/" + request.path.lstrip("/") if request.path else parts.path or "/"
        target = path if request.query is None else f"{path}?{request.query}"
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        host = parts.hostname or ""
        headers = tuple(h for h in request.headers if h[0].lower() not in rest.HOP_BY_HOP)
        data = encode_request(request.verb, target, parts.netloc, headers, body)
        for attempt in (1, 2):
            connection = await self._acquire(service, host, port, secure)
            kept = connection.used
            try:
                answer = await connection.exchange(data, head=request.verb == "HEAD", timeout=service.timeout_seconds)
            except AnswerTooLarge:
                raise MessageTooLarge(what="agency's answer", limit=self._core.config.limits.body) from None
            except HttpFailed as problem:
                # a kept connection the agency closed meanwhile; asking again harms nothing for these methods
                if attempt == 1 and kept and problem.unanswered and request.verb in _SAFE:
                    continue
                raise ProviderFailed(service=service.id, reason=problem.reason) from None
            self._core.agencies.release(host, port, connection, tls=secure)
            return answer
        raise ProviderFailed(service=service.id, reason="closed the connection twice")

    async def _acquire(self, service: Service, host: str, port: int, secure: bool) -> Connection:
        if secure and self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            return await self._core.agencies.acquire(host, port, self._tls if secure else None)
        except NotConnected as problem:
            raise ProviderFailed(service=service.id, reason=f"could not be reached ({problem.reason})") from None

    # --- the answer ---

    async def _answer(
        self, request: RestRequest, response: RestResponse, body: bytes | None, signer: Signer, exchange: Exchange
    ) -> HttpResponse:
        core, now = self._core, self._core.clock()
        encoded = response.encode()
        digests = () if body is None else (hashlib.sha512(body).digest(),)
        signed = signer.sign(hashlib.sha512(encoded).digest(), digests, now)
        exchange.response_size = len(encoded) + len(body or b"")
        await core.log.append(
            LogRecord(
                now,
                "response",
                "provider",
                request.message_id,
                request.request_id,
                request.client,
                request.service,
                encoded,
                body,
                signed.xml,
                signed.chain,
            )
        )
        boundary = multipart.new_boundary()
        content = multipart.encode_rest(boundary, encoded, body, signed.chain, signed.xml, response=True)
        headers = (
            (b"content-type", multipart.content_type(boundary).encode()),
            (b"x-hash-algorithm", b"SHA-512"),
        )
        return HttpResponse(200, headers, content)


def _request_record(request: RestRequest, message: TransportMessage, now: datetime) -> LogRecord:
    return LogRecord(
        now,
        "request",
        "provider",
        request.message_id,
        request.request_id,
        request.client,
        request.service,
        message.message,
        message.body,
        message.signature,
        message.hash_chain,
    )
