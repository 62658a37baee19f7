"""What is fuzzed: every parser that strangers' bytes reach, each as a function of bytes that must end well or with one of the room's errors.

A target raises nothing when its parser took the bytes or refused them as it promises; anything else that comes out is a finding.
Where a fast reader stands beside a full one, what the fast one accepts the full one must accept too. No fuzzer is needed to
call these: tests/fuzz runs them over their seeds and over the inputs that once broke something.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import native
from cryptography.hazmat.primitives.serialization import Encoding

from kerege.exchange import (
    batch,
    confdir,
    faults,
    globalconf,
    hashchain,
    linkframes,
    logframes,
    logrecord,
    mime,
    multipart,
    ocsp,
    parts,
    rest,
    resttarget,
    rules,
    soap,
    timestamps,
    xades_read,
    xades_verify,
)
from kerege.exchange.errors import ExchangeError
from kerege.exchange.hashchain import HashChain
from kerege.exchange.ids import ClientId, DataServiceId, MemberId
from kerege.exchange.linkmessages import Group, LinkMessage, Messages, Ping
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.pki import TestAuthority
from kerege.exchange.xades import Signer

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
DER = Encoding.DER
BOUNDARY = "xtopfuzzfuzzfuzz"
MEMBER = MemberId("KG", "GOV", "70000003")
CLIENT = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")


@dataclass(frozen=True)
class Target:
    """A parser under test. `seeds` are valid inputs to begin from."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


@cache
def authority() -> TestAuthority:
    return TestAuthority.create("KG", NOW, "ec")


def _signer() -> Signer:
    made = authority().sign_certificate(MEMBER, "Ministry", "node", NOW)
    signer = Signer(made.key, made.certificate)
    signer.with_ocsp([authority().ocsp_response(made.certificate, NOW)])
    return signer


def _rest_request() -> bytes:
    headers = ((b"X-Road-Client", str(CLIENT).encode()), (b"Accept", b"application/json"), (b"X-Road-Id", b"one"))
    return rest.request_from_client(
        "GET", f"/r1/{SERVICE}/1/2?a=b", headers, new_message_id="one", request_id="two"
    ).encode()


def _rest_response() -> bytes:
    request = rest.decode_request(_rest_request())
    return rest.response_from_provider(200, "OK", ((b"Content-Type", b"text/plain"),), request, "aGFzaA==").encode()


SOAP = (
    b'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    b'xmlns:x="http://x-road.eu/xsd/xroad.xsd" xmlns:i="http://x-road.eu/xsd/identifiers"><s:Header>'
    b'<x:client i:objectType="SUBSYSTEM"><i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>'
    b"<i:memberCode>70000003</i:memberCode><i:subsystemCode>admission</i:subsystemCode></x:client>"
    b'<x:service i:objectType="SERVICE"><i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>'
    b"<i:memberCode>70000002</i:memberCode><i:subsystemCode>population</i:subsystemCode><i:serviceCode>persons</i:serviceCode>"
    b"</x:service><x:id>one</x:id><x:userId>u</x:userId><x:protocolVersion>4.0</x:protocolVersion></s:Header>"
    b"<s:Body><persons><pin>1</pin></persons></s:Body></s:Envelope>"
)


def _refusal(work: Callable[[], object]) -> ExchangeError | None:
    """The error `work` ended with, when it is one of the room's; None when it ended well."""
    try:
        work()
    except ExchangeError as refused:
        return refused
    return None


# --- the targets ---


def run_multipart(data: bytes) -> None:
    """The transport's multipart, fed in pieces whose size the first byte says; whole and in pieces it is read alike."""
    size, data = (data[0] or 1) if data else 1, data[1:]

    def decode(step: int) -> object:
        decoder = multipart.Decoder(BOUNDARY, multipart.Limits(body=1 << 20))
        try:
            for at in range(0, len(data), step):
                decoder.feed(data[at : at + step])
            message = decoder.finish()
            return message.kind, message.message, message.signature
        except ExchangeError as refused:
            return type(refused)
        finally:
            decoder.close()

    assert decode(size) == decode(len(data) or 1), "read in pieces, the same bytes mean something else"


def run_soap(data: bytes) -> None:
    try:
        message = soap.parse(data, largest=1 << 20)
        if isinstance(message, soap.SoapMessage):
            digest = hashlib.sha512(data).digest()
            answered = soap.with_request_hash(data, digest)
            again = soap.parse(answered, largest=1 << 21)
            assert isinstance(again, soap.SoapMessage), "with a request hash put in, it is a message no more"
    except ExchangeError:
        pass


def run_mime(data: bytes) -> None:
    with contextlib.suppress(ExchangeError):
        mime.read(f'multipart/related; type="text/xml"; boundary={BOUNDARY}', data)
    try:
        head, _, body = data.partition(b"\n")
        mime.read(head.decode("latin-1"), body)
    except ExchangeError:
        pass


def run_rest(data: bytes) -> None:
    try:
        request = rest.decode_request(data)
        assert rest.decode_request(request.encode()) == request, "written and read again, it is another request"
        resttarget.decision_path(request.path)
    except ExchangeError:
        pass
    try:
        response = rest.decode_response(data)
        assert rest.decode_response(response.encode()) == response, "written and read again, it is another response"
    except ExchangeError:
        pass


def run_rest_client(data: bytes) -> None:
    """A client's request: the target, then headers a line each."""
    target, *lines = data.split(b"\n")
    headers = tuple((name, value) for name, _, value in (line.partition(b":") for line in lines))
    try:
        request = rest.request_from_client(
            "POST", target.decode("latin-1"), headers, new_message_id="one", request_id="two"
        )
        assert rest.decode_request(request.encode()).service == request.service, "what is sent on means another service"
        path = resttarget.decision_path(request.path)
        assert not {"..", "."} & set(path.split("/")), "a path with dots was decided on"
    except ExchangeError:
        pass


def run_hash_chain(data: bytes) -> None:
    """Result and chain file, parted by a NUL. What the quick reader accepts, the full one accepts."""
    result, _, chain = data.partition(b"\0")
    message, attachment = hashlib.sha512(b"m").digest(), hashlib.sha512(b"a").digest()
    for attachments in ((), (attachment,)):
        inputs = {hashchain.MESSAGE_URI: hashchain.Digest(hashchain.SHA512, message)}
        inputs |= {f"/attachment{n}": hashchain.Digest(hashchain.SHA512, one) for n, one in enumerate(attachments, 1)}
        accepted = hashchain.quick(HashChain(result, chain), message, attachments)
        refused = _refusal(lambda: hashchain.verify(result, inputs, {hashchain.CHAIN_URI: chain}.get))  # noqa: B023 - called at once
        assert not (accepted and refused), f"the quick reader accepted what the full one refuses: {refused}"


def run_xades(data: bytes) -> None:
    found: dict[str, object] = {}

    def read(name: str, how: Callable[[bytes], object]) -> ExchangeError | None:
        return _refusal(lambda: found.update({name: how(data)}))

    quick = read("quick", xades_verify._read)
    full = read("full", xades_read.parse_full)
    if quick is None:
        assert full is None, f"the quick reader accepted what the full one refuses: {full}"
        assert found["quick"] == found["full"], "the quick reader and the full one read different facts"


def run_confdir(data: bytes) -> None:
    """The directory as it comes; its signed content as if its signature held; the anchor."""
    certificate = authority().configuration.certificate
    for read in (
        lambda: confdir.verify_directory(data, [certificate], "fuzz"),
        lambda: confdir._parse_content(data, {"content-type": f"multipart/mixed; boundary={BOUNDARY}"}),
        lambda: confdir.parse_anchor(data),
    ):
        with contextlib.suppress(ExchangeError):
            read()


def run_parameters(data: bytes) -> None:
    for read in (globalconf.parse_shared, globalconf.parse_private, globalconf.parse_monitoring, rules.parse):
        with contextlib.suppress(ExchangeError):
            read(data)


def run_link(data: bytes) -> None:
    """The link's frames: the first byte says in which pieces; whole and in pieces they are read alike."""
    size, data = (data[0] or 1) if data else 1, data[1:]

    def decode(step: int) -> object:
        decoder, found = linkframes.Decoder(linkframes.LinkLimits(frame=1 << 20)), []
        try:
            for at in range(0, len(data), step):
                found += decoder.feed(data[at : at + step])
        except ExchangeError as refused:
            return type(refused)
        return [_told(frame) for frame in found]

    assert decode(size) == decode(len(data) or 1), "read in pieces, the same bytes mean something else"


def _told(frame: object) -> object:
    """A frame as something that can be compared: groups are the same only when they are one object."""
    if not isinstance(frame, Messages):
        return frame
    return [(g.signature, g.size, g.others, g.chained, [_fields(m) for m in g.messages]) for g in frame.groups]


def _fields(message: LinkMessage) -> object:
    return message.stream, message.kind, message.content, message.headers, message.leaf, len(message.attachments)


def run_log(data: bytes) -> None:
    """A segment of the message log, and one frame's payload. Its reader names what its callers must expect."""
    try:
        start = logframes.read_start(data, None)
        for frame in logframes.frames(data, start):
            logrecord.decode(frame.payload)
    except (logframes.Stopped, ExchangeError, *LOG_UNREADABLE):
        pass
    try:
        logrecord.decode(data)
    except (ExchangeError, *LOG_UNREADABLE):
        pass


LOG_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, struct.error, OverflowError)


def run_ocsp(data: bytes) -> None:
    certificate = authority().responder.certificate
    with contextlib.suppress(ExchangeError):
        ocsp.check(data, certificate, authority().ca.certificate, [certificate], NOW, timedelta(hours=1))
    ocsp.successful(data)
    for read in (
        lambda: ocsp.asked_hashes(data.decode("latin-1")),
        lambda: ocsp.parse_answers(f"multipart/related; boundary={BOUNDARY}", data, 2),
    ):
        with contextlib.suppress(ValueError):  # what these two promise
            read()


def run_timestamp(data: bytes) -> None:
    stamper = globalconf.TimestampAuthority("fuzz", "http://127.0.0.1/tsa", authority().ca.certificate)
    for read in (
        lambda: timestamps.check_token(data, b"data", [stamper]),
        lambda: timestamps.check_answer(data, b"data", 1, [stamper]),
    ):
        with contextlib.suppress(ExchangeError):
            read()


def run_fault(data: bytes) -> None:
    with contextlib.suppress(ExchangeError):
        faults.from_soap(data)


# --- seeds ---


def _multipart_seeds() -> list[bytes]:
    signer, request, body = _signer(), _rest_request(), b"x" * 300
    digests = (hashlib.sha512(body).digest(),)
    signed = signer.sign(hashlib.sha512(request).digest(), digests, NOW)
    whole = parts.encode_rest(BOUNDARY, request, body, signed.chain, signed.xml, response=False)
    text = whole if isinstance(whole, bytes) else b"".join(whole)
    return [b"\xff" + text, b"\x01" + text]


def _chain_seeds() -> list[bytes]:
    message, attachment = hashlib.sha512(b"m").digest(), hashlib.sha512(b"a").digest()
    made = [batch.of_message(message, ()), batch.of_message(message, (attachment,))]
    tree = batch.batch([(message, (attachment,)), (message, ()), (message, ())])
    made += [tree.hash_chain(0), tree.hash_chain(1)]
    return [chain.result + b"\0" + chain.chain for chain in made if chain is not None]


def _xades_seeds() -> list[bytes]:
    digest = hashlib.sha512(b"m").digest()
    return [_signer().sign(digest, (), NOW).xml, _signer().sign(digest, (digest,), NOW).xml]


def _confdir_seeds() -> list[bytes]:
    one = authority().configuration
    empty = rules.build(rules.empty("KG"))
    directory, _ = confdir.build_directory(
        ((confdir.RULES, empty),), "KG", NOW + timedelta(days=1), confdir.generation(NOW), one.key, one.certificate
    )
    content = (
        f"--{BOUNDARY}\r\nExpire-date: 2026-11-22T10:00:00Z\r\nVersion: 6\r\n\r\n--{BOUNDARY}\r\n"
        "Content-type: application/octet-stream\r\nContent-transfer-encoding: base64\r\n"
        "Content-identifier: SHARED-PARAMETERS; instance='KG'\r\n"
        "Content-location: /V6/20261122090000000000000/shared-params.xml\r\n"
        f"Hash-algorithm-id: http://www.w3.org/2001/04/xmlenc#sha512\r\n\r\nAAAA\r\n--{BOUNDARY}--\r\n"
    ).encode()
    anchor = confdir.build_anchor(confdir.Anchor("KG", (("http://127.0.0.1/internalconf", one.certificate),)), NOW)
    return [directory, content, anchor]


def _log_seeds() -> list[bytes]:
    record = LogRecord(NOW, "request", "client", "m", "r", CLIENT, SERVICE, _rest_request(), b"body", b"<s/>", None)
    payload = record.encode()
    start = logframes.Start(bytes(32), 0, logframes.NO_KEY, bytes(32))
    frame, _ = logframes.frame_bytes(start, start.link, 0, 1, payload)
    return [payload, start.pack() + frame]


def _link_seeds() -> list[bytes]:
    message = LinkMessage(1, multipart.REST_REQUEST, _rest_request(), (), ((b"a", b"b"),), 0)
    frames = linkframes.encode_messages([Group(b"<s/>", (message,), 1, b"", chained=False)])
    return [b"\xff" + b"".join(frames), b"\x03" + linkframes.encode(Ping(b"12345678", False))]


def _client_seeds() -> list[bytes]:
    return [f"/r1/{SERVICE}/a/../b%2e?x=1\nX-Road-Client:{CLIENT}\nX-Road-Id:one\nAccept:*/*".encode()]


def _mime_seeds() -> list[bytes]:
    body = (
        f"--{BOUNDARY}\r\ncontent-type: text/xml\r\n\r\n".encode()
        + SOAP
        + f"\r\n--{BOUNDARY}\r\ncontent-type: text/plain\r\ncontent-id: <a>\r\n\r\nA\r\n--{BOUNDARY}--\r\n".encode()
    )
    return [body, b"text/xml; charset=UTF-8\n" + SOAP]


def _parameter_seeds() -> list[bytes]:
    from kerege.exchange import confwrite

    shared = globalconf.SharedParameters(
        "KG",
        (authority().approved("http://127.0.0.1/ocsp"),),
        (globalconf.Member(MEMBER, "Ministry", (globalconf.Subsystem("admission"),)),),
        (),
        (),
        (),
        (("GOV", "Government"),),
        3600,
        (),
    )
    private = confwrite.build_private(globalconf.PrivateParameters("KG"))
    return [confwrite.build_shared(shared), private, rules.build(rules.empty("KG"))]


def _ocsp_seeds() -> list[bytes]:
    answer = authority().ocsp_response(authority().responder.certificate, NOW)
    return [answer, b"cert=" + b"a" * 40, ocsp.encode_answers([answer, answer])[1]]


TARGETS: dict[str, Target] = {
    "multipart": Target(run_multipart, _multipart_seeds),
    "soap": Target(run_soap, lambda: [SOAP]),
    "mime": Target(run_mime, _mime_seeds),
    "rest": Target(run_rest, lambda: [_rest_request(), _rest_response()]),
    "rest_client": Target(run_rest_client, _client_seeds),
    "hash_chain": Target(run_hash_chain, _chain_seeds),
    "xades": Target(run_xades, _xades_seeds),
    "confdir": Target(run_confdir, _confdir_seeds),
    "parameters": Target(run_parameters, _parameter_seeds),
    "link": Target(run_link, _link_seeds),
    "log": Target(run_log, _log_seeds),
    "ocsp": Target(run_ocsp, _ocsp_seeds),
    "timestamp": Target(run_timestamp, lambda: [b"\x30\x80"]),
    "fault": Target(run_fault, lambda: [faults.to_soap(faults.Fault("server.x", "text", "detail"))]),
}
if native.BUILT:  # where nothing is compiled there is nothing to be fuzzed
    TARGETS |= {
        "native_http": Target(native.run_http, lambda: [native.HTTP]),
        "native_signed": Target(native.run_signed, lambda: [_rest_request()]),
        "native_frames": Target(native.run_frames, lambda: [seed[1:] for seed in _link_seeds()]),
        "native_multipart": Target(native.run_multipart, lambda: native.multipart_seeds(_rest_request())),
    }
