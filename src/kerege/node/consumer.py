"""The consumer's side: an information system calls its own node, the node carries the call to the provider's node and back.

Order of work, as X-Road's client proxy does it: identify the client, look at its permit, choose the provider's server, sign, log
(durable), send; then verify the answer, hold it against the request, log it (durable), translate if asked, answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from datetime import datetime
from typing import Final

from kerege.exchange import certs, faults, multipart, rest
from kerege.exchange.errors import (
    ClientUnknown,
    ConfigurationMissing,
    MemberUnknown,
    MessageMalformed,
    MessageTooLarge,
    PeerFault,
    PeerUnreachable,
    PeerUntrusted,
)
from kerege.exchange.globalconf import SecurityServer
from kerege.exchange.hashchain import SHA512, Digest
from kerege.exchange.ids import SubsystemId
from kerege.exchange.messagelog import LogRecord
from kerege.exchange.multipart import TransportMessage
from kerege.exchange.opmon import CLIENT, VERSION, Exchange
from kerege.exchange.rest import RestRequest, RestResponse
from kerege.exchange.xades import Signed
from kerege.node.config import Address
from kerege.node.core import Core, check_permit, milliseconds
from kerege.node.errors import TranslationMissing
from kerege.node.httpclient import AnswerTooLarge, Connection, HttpFailed, NotConnected, encode_request
from kerege.node.httpserver import HttpRequest, HttpResponse
from kerege.node.keeper import Picture
from kerege.node.translate import CANONICAL, forwarded_accept, wants_canonical, wants_sources

_IN_A_THREAD: Final = 64 * 1024
_JSON: Final = b"application/json; charset=utf-8"


class Consumer:
    """Answers the client listener."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._preferred: dict[SubsystemId, SecurityServer] = {}

    async def handle(self, http: HttpRequest) -> HttpResponse:
        exchange = Exchange(CLIENT, milliseconds(), own_address=self._core.config.clients_address.host)
        exchange.client_address = self._core.config.servers_address.host
        try:
            response = await self._carry(http, exchange)
        except Exception as problem:  # noqa: BLE001 - every failure is answered as a fault
            fault = self._core.fault(problem, faults.CLIENT_PROXY)
            exchange.fault_code, exchange.fault_string = fault.code, fault.message
            response = _fault_response(fault, http.header(b"accept"), problem)
        exchange.response_out = milliseconds()
        self._core.monitor.note(exchange)
        return response

    async def _carry(self, http: HttpRequest, exchange: Exchange) -> HttpResponse:
        core, now = self._core, self._core.clock()
        accept = http.header(b"accept")
        canonical = wants_canonical(accept)
        headers = http.headers
        if canonical:
            headers = (*(h for h in headers if h[0].lower() != b"accept"), (b"Accept", forwarded_accept(accept)))
        request = rest.request_from_client(
            http.method, http.target, headers, new_message_id=str(uuid.uuid4()), request_id=str(uuid.uuid4())
        )
        exchange.request = request
        picture = core.keeper.current(now)
        path = rest.decision_path(request.path)
        self._check_client(request, picture)
        check_permit(request.client, picture, now)
        mapping = core.translation.mapping_for(request.service, path, picture.rules) if canonical else None
        servers = self._servers(request, picture)

        body = http.body or None
        message = request.encode()
        message_digest = hashlib.sha512(message).digest()
        body_digest = None if body is None else hashlib.sha512(body).digest()
        exchange.request_size = len(message) + len(body or b"")
        signer = core.keys.signer(request.client.member, now)
        signed = signer.sign(message_digest, () if body_digest is None else (body_digest,), now)
        await core.log.append(_record(request, "request", message, body, signed, now))

        exchange.request_out = milliseconds()
        answer = await self._send(request, servers, message, body, signed, exchange, picture)
        exchange.response_in = milliseconds()
        exchange.response_size = len(answer.message) + len(answer.body or b"")
        response = self._check_answer(request, rest.request_hash(message_digest, body_digest), answer, picture)
        exchange.status = response.status
        await core.log.append(_answer_record(request, answer, core.clock()))
        if mapping is not None and 200 <= response.status < 300:
            return await self._translated(request, response, answer.body or b"", mapping, wants_sources(accept))
        reason = response.reason.encode("latin-1", "replace")
        return HttpResponse(response.status, rest.for_the_client(response.headers), answer.body or b"", reason)

    # --- before sending ---

    def _check_client(self, request: RestRequest, picture: Picture) -> None:
        client = request.client
        local = client.subsystem is not None and SubsystemId.parse(str(client)) in self._core.config.clients
        if not local or not picture.shared.is_registered(client):
            raise ClientUnknown(client=client)

    def _servers(self, request: RestRequest, picture: Picture) -> list[SecurityServer]:
        """The provider's servers to try, the one that last answered first; those in maintenance are left out."""
        provider = request.service.provider
        servers = [s for s in picture.shared.servers_of(provider) if s.maintenance is None]
        wanted = request.server
        if wanted is not None:
            servers = [s for s in servers if s.id == wanted]
        if not servers:
            raise MemberUnknown(subsystem=provider)
        preferred = self._preferred.get(provider)
        return sorted(servers, key=lambda s: preferred is None or s.id != preferred.id)

    def _address(self, server: SecurityServer) -> Address:
        known = self._core.config.peers.get(server.id)
        return known.address if known else Address(server.address or "", self._core.config.peer_port)

    # --- between the servers ---

    async def _send(
        self,
        request: RestRequest,
        servers: list[SecurityServer],
        message: bytes,
        body: bytes | None,
        signed: Signed,
        exchange: Exchange,
        picture: Picture,
    ) -> TransportMessage:
        core = self._core
        connection, server, address = await self._connect(servers)
        exchange.service_address = address.host
        try:
            await self._check_peer(connection, server, picture)
            boundary = multipart.new_boundary()
            content = multipart.encode_rest(
                boundary, message, body, signed.chain, signed.xml, response=False, ocsp=core.revocation.auth_answer
            )
            headers = (
                (b"x-road-message-type", b"REST"),
                (b"x-hash-algorithm", b"SHA-512"),
                (b"x-proxy-version", VERSION.encode()),
                (b"x-original-content-type", rest.header(request.headers, b"content-type") or b""),
                (b"x-road-request-id", request.request_id.encode()),
                (b"content-type", multipart.content_type(boundary).encode()),
            )
            pieces = encode_request("POST", "/", str(address), headers, content)
            answer = await connection.exchange(pieces, head=False, timeout=core.config.limits.peer_seconds)
        except AnswerTooLarge:
            raise MessageTooLarge(what="answer", limit=core.config.limits.body) from None
        except HttpFailed as problem:
            raise PeerUnreachable(server=server.id, address=address, reason=problem.reason) from None
        except BaseException:
            connection.close()
            raise
        core.peers.release(address.host, address.port, connection)
        if answer.status != 200:  # messages and faults alike come with 200: this is the listener's own refusal
            raise PeerUnreachable(server=server.id, address=address, reason=f"it answered HTTP {answer.status}")
        self._preferred[request.service.provider] = server
        return _decode(answer.header(b"content-type"), answer.body or b"", core.config.limits.body)

    async def _connect(self, servers: list[SecurityServer]) -> tuple[Connection, SecurityServer, Address]:
        problem: PeerUnreachable | None = None
        for server in servers:
            address = self._address(server)
            try:
                return await self._core.peers.acquire(address.host, address.port), server, address
            except NotConnected as refused:
                problem = PeerUnreachable(server=server.id, address=address, reason=refused.reason)
        assert problem is not None
        raise problem

    async def _check_peer(self, connection: Connection, server: SecurityServer, picture: Picture) -> None:
        """The other end must hold a certificate registered for `server`, good now. Cheap when it was checked before."""
        der = connection.certificate
        if der is None or not server.auth_cert_hashes.intersection(certs.auth_hashes(der)):
            raise PeerUntrusted(peer=server.id, reason="its authentication certificate is not registered for it")
        now = self._core.clock()
        certificate, answer = await self._core.revocation.of_peer(picture.trust, der, now)
        picture.trust.check_auth(certificate, (answer,), now)

    # --- after the answer ---

    def _check_answer(
        self, request: RestRequest, expected_hash: str, answer: TransportMessage, sent_under: Picture
    ) -> RestResponse:
        now = self._core.clock()
        try:
            picture = self._core.keeper.current(now)
        except ConfigurationMissing:  # cannot be: there was one when the request left
            picture = sent_under
        attachments = () if answer.body is None else (Digest(SHA512, hashlib.sha512(answer.body).digest()),)
        picture.trust.check_signature(
            answer.signature, answer.message, attachments, answer.hash_chain, request.service.provider.member, now
        )
        response = rest.decode_response(answer.message)
        rest.check_consistent(request, expected_hash, response)
        if not 200 <= response.status <= 599:  # an interim status would leave the client waiting for another answer
            raise MessageMalformed(where="answer", reason=f"its status {response.status} is not a final one")
        return response

    async def _translated(
        self, request: RestRequest, response: RestResponse, body: bytes, mapping: str, sources: bool
    ) -> HttpResponse:
        content_type = (rest.header(response.headers, b"content-type") or b"").decode("latin-1")
        work = (mapping, request.service, body, content_type, request.message_id, request.request_id)
        if len(body) > _IN_A_THREAD:
            canonical = await asyncio.to_thread(self._core.translation.run, *work, sources=sources)
        else:
            canonical = self._core.translation.run(*work, sources=sources)
        kept = tuple(h for h in rest.for_the_client(response.headers) if h[0].lower().startswith(b"x-road-"))
        return HttpResponse(response.status, ((b"Content-Type", CANONICAL.encode()), *kept), canonical)


def _decode(content_type: str, body: bytes, limit: int) -> TransportMessage:
    """The other server's HTTP answer as a message. Raises PeerFault when it is a fault."""
    media_type = content_type.split(";")[0].strip().lower()
    if media_type == "text/xml":
        _raise_fault(body)
    decoder = multipart.Decoder(multipart.boundary_of(content_type), multipart.Limits(body=limit))
    decoder.feed(body)
    answer = decoder.finish()
    if answer.fault is not None:
        _raise_fault(answer.fault)
    if answer.kind != multipart.REST_RESPONSE:
        raise MessageMalformed(where="answer", reason="it is not a REST response")
    return answer


def _raise_fault(data: bytes) -> None:
    fault = faults.from_soap(data)
    if fault is None:
        raise MessageMalformed(where="answer", reason="it is XML, but no fault")
    raise PeerFault(fault_code=fault.code, fault_string=fault.message, detail=fault.detail)


def _record(
    request: RestRequest, direction: str, message: bytes, body: bytes | None, signed: Signed, now: datetime
) -> LogRecord:
    return LogRecord(
        now,
        direction,
        "client",
        request.message_id,
        request.request_id,
        request.client,
        request.service,
        message,
        body,
        signed.xml,
        signed.chain,
    )


def _answer_record(request: RestRequest, answer: TransportMessage, now: datetime) -> LogRecord:
    signed = Signed(answer.signature, answer.hash_chain)
    return _record(request, "response", answer.message, answer.body, signed, now)


def _fault_response(fault: faults.Fault, accept: str, problem: Exception) -> HttpResponse:
    status = fault.http_status
    if isinstance(problem, TranslationMissing):
        status = 406
    xml = faults.wants_xml(accept)
    body = faults.to_xml(fault) if xml else faults.to_json(fault)
    media_type = b"application/xml; charset=utf-8" if xml else _JSON
    return HttpResponse(status, ((b"Content-Type", media_type), (b"X-Road-Error", _latin(fault.code))), body)


def _latin(text: str) -> bytes:
    """A fault code from elsewhere as a header value that cannot be two headers."""
    return "".join(char for char in text if char.isprintable()).encode("latin-1", "replace")[:200]
