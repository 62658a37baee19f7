"""X-Road's wire: a signed message as the multipart body of `POST /` between servers, and back (PR-MESSTRANSP).

What the parts are and their order is `exchange.multipart`'s; here messages are put into HTTP and taken out of it. Connections, and the
Kerege link that takes this wire's place between two Kerege nodes, are `peers`' and `link`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kerege.exchange import faults, mime, multipart, rest, soap, soappart
from kerege.exchange.bodies import Attachment, Body, body_bytes, body_chunks
from kerege.exchange.errors import MessageMalformed, PeerFault
from kerege.exchange.hashchain import SHA512, Digest
from kerege.exchange.ids import MemberId
from kerege.exchange.multipart import TransportMessage
from kerege.exchange.opmon import VERSION
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signed
from kerege.node.config_types import LimitSettings
from kerege.node.message import REST, Asked, Extras, Message, Signature

FAULT_TYPE = b"text/xml; charset=UTF-8"


@dataclass(slots=True)
class Incoming:
    """A message as it came: not believed yet."""

    message: Message
    signature: Signature
    ocsp: tuple[bytes, ...] = ()


def request_headers(asked: Asked, extras: Extras, boundary: str) -> tuple[tuple[bytes, bytes], ...]:
    """The HTTP headers of a message to another server."""
    out = [
        (b"x-hash-algorithm", b"SHA-512"),
        (b"x-proxy-version", VERSION.encode()),
        (b"x-original-content-type", extras.content_type.encode("latin-1", "replace")),
        (b"x-road-request-id", asked.request_id.encode()),
        (b"content-type", multipart.content_type(boundary).encode()),
    ]
    if asked.protocol == REST:
        out.insert(0, (b"x-road-message-type", b"REST"))
    elif extras.soap_action is not None:
        out.append((b"x-original-soapaction", extras.soap_action.encode("latin-1", "replace")))
    return tuple(out)


def original_content_type(answer: Message) -> tuple[tuple[bytes, bytes], ...]:
    """The header that tells the other server what a SOAP answer came as; nothing that could be two headers."""
    text = answer.content_type
    return (
        ((b"x-original-content-type", text.encode("ascii")),) if text.isascii() and text.isprintable() and text else ()
    )


def encode(boundary: str, message: Message, signed: Signed | Signature, *, ocsp: Sequence[bytes] = ()) -> list[Body]:
    """The multipart body in pieces; big attachments stay where they are."""
    return multipart.encode_message(
        boundary,
        message.kind,
        message.content,
        message.attachments,
        signed.chain,
        signed.xml,
        ocsp=ocsp,
        content_type=soappart.header(message.headers, b"content-type") or b"",
        headers=[pair for pair in message.headers if pair[0].lower() != b"content-type"],
    )


def decode(content_type: str, body: Body | TransportMessage, limits: LimitSettings) -> Incoming:
    """The message in an HTTP body. Raises PeerFault when it is a fault, MessageMalformed or MessageTooLarge."""
    if isinstance(body, TransportMessage):
        return from_transport(body, limits)
    if content_type.split(";")[0].strip().lower() == "text/xml":
        raise_fault(body_bytes(body))
    decoder = multipart.Decoder(multipart.boundary_of(content_type), decoder_limits(limits))
    for piece in body_chunks(body):
        decoder.feed(piece)
    return from_transport(decoder.finish(), limits)


def sink_of(headers: Sequence[tuple[bytes, bytes]], limits: multipart.Limits) -> multipart.Decoder | None:
    """What takes an HTTP body as it arrives, when it is a message of this wire; None when it is something else."""
    for name, value in headers:
        if name.lower() == b"content-type" and value[:15].lower() == b"multipart/mixed":
            try:
                return multipart.Decoder(multipart.boundary_of(value.decode("latin-1")), limits)
            except MessageMalformed:
                return None  # read again, and refused, by `decode`
    return None


def decoder_limits(limits: LimitSettings) -> multipart.Limits:
    message = min(soap.LARGEST, limits.body)
    return multipart.Limits(message=message, body=limits.body, memory=limits.memory, spool=limits.spool)


def from_transport(parts: TransportMessage, limits: LimitSettings) -> Incoming:
    if parts.fault is not None:
        raise_fault(parts.fault)
    headers = soappart.kept(parts.kind, parts.headers.items()) if parts.kind in {multipart.SOAP, multipart.XOP} else ()
    attachments: tuple[Attachment, ...] = ()
    if parts.body is not None:
        attachments = (Attachment((), parts.body),)
    elif parts.nested is not None:
        attachments = mime.decode_nested(parts.nested, mime.MimeLimits(memory=limits.memory, spool=limits.spool))
    return Incoming(
        Message(parts.kind, parts.message, attachments, headers),
        Signature(parts.signature, parts.hash_chain),
        tuple(parts.ocsp),
    )


def verify(trust: Trust, incoming: Incoming, member: MemberId, now: datetime) -> None:
    """The signature holds and `member` made it. Raises the check that failed."""
    content, attached = incoming.message.digests
    trust.check_signature(
        incoming.signature.xml,
        Digest(SHA512, content),
        tuple([Digest(SHA512, digest) for digest in attached]),
        incoming.signature.chain,
        member,
        now,
    )


def check_kind(answer: Message, request: Message) -> None:
    """Raises MessageMalformed when a REST call was answered with SOAP, or the other way round."""
    asked_rest = request.kind == multipart.REST_REQUEST
    if asked_rest != (answer.kind == multipart.REST_RESPONSE):
        raise MessageMalformed(where="answer", reason=f"it is not a {'REST' if asked_rest else 'SOAP'} response")


def raise_fault(data: bytes) -> None:
    """Raises PeerFault with the fault in `data`, MessageMalformed when there is none."""
    fault = faults.from_soap(data)
    if fault is None:
        raise MessageMalformed(where="answer", reason="it is XML, but no fault")
    raise PeerFault(
        fault_code=fault.code,
        fault_string=fault.message,
        detail=fault.detail,
        actor=fault.actor,
        reference=fault.reference,
    )


def rest_content_type(headers: rest.Headers) -> str:
    return (rest.header(headers, b"content-type") or b"").decode("latin-1")
