"""The REST message protocol: what a call looks like, its headers, and the bytes that are signed.

Implements X-Road PR-REST as 7.x servers do it: the signed byte form is `VERB`, target, then `name:value`, each line ended by
CRLF, no blank line at the end; hop-by-hop headers are dropped both ways; the request hash ties a response to its request.
Not here: transport between servers (`multipart`), signatures (`xades`), who may call (`access`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from kerege.exchange.errors import (
    ExchangeError,
    HeaderInvalid,
    HeaderMissing,
    MessageMalformed,
    ResponseInconsistent,
    TargetInvalid,
)
from kerege.exchange.ids import ClientId, DataServiceId, ServerId
from kerege.exchange.restheaders import HOP_BY_HOP as HOP_BY_HOP
from kerege.exchange.restheaders import NOT_FOR_THE_CLIENT as NOT_FOR_THE_CLIENT
from kerege.exchange.restheaders import Headers as Headers
from kerege.exchange.restheaders import Shape as Shape
from kerege.exchange.restheaders import name_of, repeated
from kerege.exchange.restheaders import shape_of as shape_of
from kerege.exchange.resttarget import parts_of

VERBS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_PLAIN_VALUE: Final = bytes(one for one in range(256) if not _BAD_VALUE.match(bytes((one,))))
_PLAIN: Final = _PLAIN_VALUE + b"\r\n"
_ID: Final = re.compile(rb"[\x20-\x7e]{1,255}\Z")


@lru_cache(maxsize=4096)
def _client_of(raw: bytes) -> ClientId:
    return ClientId.parse(raw.decode("ascii"))


def client_of(raw: bytes) -> ClientId:
    """The client that `raw`, a value of X-Road-Client, names; the same object each time. Raises HeaderInvalid, IdentifierInvalid."""
    return _client(raw)


def service_of(raw: bytes) -> DataServiceId:
    """The data service that a target names with `raw` after /r1/; the same object each time. Raises TargetInvalid, IdentifierInvalid."""
    return parts_of(f"/r1/{raw.decode('ascii')}")[0]


def header(headers: Headers, name: bytes) -> bytes | None:
    """The last value of header `name` (lower case), as X-Road reads repeated headers; its own are never repeated here."""
    for key, value in reversed(headers):
        if key.lower() == name:
            return value
    return None


@dataclass(
    slots=True
)  # not frozen: freezing costs more than reading the whole message, and one is made for every message
class RestRequest:
    """A request as it is signed, with the identifiers it names."""

    verb: str
    target: str
    headers: Headers
    client: ClientId
    service: DataServiceId
    path: str
    query: str | None
    message_id: str
    request_id: str
    # where its own readers looked already whether it names a server; not carried over to a copy with other headers
    _anywhere: bool = field(default=False, init=False, repr=False, compare=False)

    def encode(self) -> bytes:
        """The signed byte form."""
        return encode_lines(self.verb.encode(), self.target.encode("ascii"), self.headers)

    @property
    def server(self) -> ServerId | None:
        if self._anywhere:
            return None
        raw = header(self.headers, b"x-road-security-server")
        return None if raw is None else ServerId.parse(_ascii(raw, "X-Road-Security-Server"))


@dataclass(slots=True)
class RestResponse:
    """A response as it is signed."""

    status: int
    reason: str
    headers: Headers
    shape: Shape | None = field(default=None, repr=False, compare=False)  # of the headers, where they were just read

    def encode(self) -> bytes:
        """The signed byte form."""
        return encode_lines(str(self.status).encode(), self.reason.encode("latin-1", "replace"), self.headers)


def encode_lines(first: bytes, second: bytes, headers: Headers) -> bytes:
    return b"%b\r\n%b\r\n%b" % (first, second, b"".join([b"%b:%b\r\n" % pair for pair in headers]))


def request_from_client(
    verb: str, target: str, headers: Headers, *, new_message_id: str, request_id: str, shape: Shape | None = None
) -> RestRequest:
    """What the consumer's server sends on for a client's HTTP request: hop-by-hop headers gone, ids added.

    new_message_id   used (with the instance before it) when the client sent no X-Road-Id
    """
    if verb not in VERBS:
        raise TargetInvalid(reason="its method is not one of " + " ".join(sorted(VERBS)))
    service, path, query = parts_of(target)
    shape = shape or shape_of(headers)
    kept = [headers[at] for at in shape.from_client]
    if not shape.from_client_plain:
        raise HeaderInvalid(header=repeated(kept), reason="it occurs more than once, or is written with underscores")
    _check_values(kept)
    if shape.client < 0:
        raise HeaderMissing(header="X-Road-Client")
    client = _client(headers[shape.client][1])
    if shape.message_id < 0:
        message_id = f"{client.instance}-{new_message_id}"
        kept.append((b"x-road-id", message_id.encode()))
    else:
        message_id = _message_id(headers[shape.message_id][1])
    kept.append((b"x-road-request-id", request_id.encode()))
    request = RestRequest(verb, target, tuple(kept), client, service, path, query, message_id, request_id)
    request._anywhere = shape.server < 0
    return request


def decode_request(data: bytes) -> RestRequest:
    """The request in the signed byte form `data`, as the provider's server reads it."""
    verb, target, headers, shape = _decode_lines(data, "REST request")
    if verb not in VERBS:
        raise MessageMalformed(where="REST request", reason="its method is unknown")
    if not shape.plain:
        raise MessageMalformed(
            where="REST request",
            reason=f"its header {repeated(headers)} occurs more than once, or is written with underscores",
        )
    service, path, query = parts_of(target)
    if shape.client < 0:
        raise HeaderMissing(header="X-Road-Client")
    message_id = "" if shape.message_id < 0 else _message_id(headers[shape.message_id][1])
    request_id = "" if shape.request_id < 0 else _ascii(headers[shape.request_id][1], "x-road-request-id")
    client = _client(headers[shape.client][1])
    request = RestRequest(verb, target, headers, client, service, path, query, message_id, request_id)
    request._anywhere = shape.server < 0
    return request


def response_from_provider(
    status: int, reason: str, headers: Headers, request: RestRequest, request_hash: str
) -> RestResponse:
    """What the provider's server signs for the agency's HTTP response: its own five headers last, in X-Road's order.

    Headers that shadow X-Road's with underscores are left out, control characters in the reason become spaces.
    """
    kept = [headers[at] for at in shape_of(headers).from_provider]
    _check_values(kept)
    kept += (
        (b"x-road-id", request.message_id.encode()),
        (b"x-road-client", written(request.client)),
        (b"x-road-service", written(request.service)),
        (b"x-road-request-id", request.request_id.encode()),
        (b"x-road-request-hash", request_hash.encode()),
    )
    return RestResponse(status, _CONTROL.sub(" ", reason), tuple(kept))


@lru_cache(maxsize=8192)
def written(identifier: ClientId | DataServiceId) -> bytes:
    """An identifier as headers carry it."""
    return str(identifier).encode()


def decode_response(data: bytes) -> RestResponse:
    """The response in the signed byte form `data`."""
    code, reason, headers, shape = _decode_lines(data, "REST response")
    if len(code) != 3 or not code.isdecimal() or not "2" <= code[0] <= "5":
        # an interim status would leave the client waiting for another answer
        raise MessageMalformed(where="REST response", reason="its status code is not a number from 200 to 599")
    if not shape.plain_answer:
        raise MessageMalformed(
            where="REST response",
            reason="one of its x-road headers occurs more than once, or is written with underscores",
        )
    return RestResponse(int(code), reason, headers, shape)


def for_the_client(headers: Headers, shape: Shape | None = None) -> Headers:
    """The headers of a signed answer that a consumer's node may put on its own HTTP answer."""
    if shape is not None and shape.for_client is not None:
        return tuple([headers[at] for at in shape.for_client])
    kept = []
    listed: set[bytes] = set()
    for pair in headers:
        name = name_of(pair[0])
        if name.low == b"connection":
            listed.update(one.strip().lower() for one in pair[1].split(b","))
        if not name.not_for_client:
            kept.append(pair)
    if listed:
        return tuple(pair for pair in kept if pair[0].lower() not in listed)
    return tuple(kept)


def for_the_agency(headers: Headers) -> Headers:
    """The headers of a signed request that the provider's server passes on."""
    return tuple([headers[at] for at in shape_of(headers).for_agency])


def request_hash(header_digest: bytes, body_digest: bytes | None) -> str:
    """X-Road-Request-Hash from the SHA-512 of the signed request bytes and, when there is a body, of the body."""
    whole = header_digest if body_digest is None else hashlib.sha512(header_digest + body_digest).digest()
    return base64.b64encode(whole).decode()


def check_consistent(request: RestRequest, expected_hash: str, response: RestResponse) -> None:
    """Raises ResponseInconsistent when `response` does not answer `request`."""

    ours = (
        (b"x-road-id", request.message_id.encode()),
        (b"x-road-client", written(request.client)),
        (b"x-road-service", written(request.service)),
        (b"x-road-request-id", request.request_id.encode()),
        (b"x-road-request-hash", expected_hash.encode()),
    )
    if response.headers[-5:] == ours:  # as every server writes them; each can be there only once
        return
    said = {name.low: value for key, value in response.headers if (name := name_of(key)).xroad}
    _same_identifier(said, b"x-road-client", request.client)
    _same_identifier(said, b"x-road-service", request.service)
    for header_name, expected in (
        (b"x-road-id", request.message_id),
        (b"x-road-request-id", request.request_id),
        (b"x-road-request-hash", expected_hash),
    ):
        if said.get(header_name) != expected.encode("latin-1", "replace"):
            raise ResponseInconsistent(field=header_name.decode())


def _same_identifier(said: dict[bytes, bytes], name: bytes, expected: ClientId | DataServiceId) -> None:
    """Identifiers may be written in more than one way: their values are compared where their bytes differ."""
    found = said.get(name, b"")
    if found == written(expected):
        return
    try:
        answered = type(expected).parse(found.decode("latin-1"))
    except ExchangeError:
        answered = None
    if answered != expected:
        raise ResponseInconsistent(field=name.decode())


def _decode_lines(data: bytes, where: str) -> tuple[str, str, Headers, Shape]:
    lines = data.split(b"\r\n")
    if lines[-1] != b"" or len(lines) < 3:
        raise MessageMalformed(where=where, reason="it does not end with CRLF after its first two lines")
    breaks = len(lines) - 1
    if data.translate(None, _PLAIN) or not breaks == data.count(b"\r") == data.count(b"\n"):
        raise MessageMalformed(where=where, reason="one of its lines holds a control character")
    try:
        first, second = lines[0].decode("ascii"), lines[1].decode("latin-1")
    except UnicodeDecodeError:
        raise MessageMalformed(where=where, reason="its first line is not ASCII") from None
    try:
        headers = tuple([(name, value) for name, value in [line.split(b":", 1) for line in lines[2:-1]]])
    except ValueError:
        raise MessageMalformed(where=where, reason="a header line has no colon") from None
    return first, second, headers, shape_of(headers)


def _check_values(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raises HeaderInvalid when a value could be read as more than one header."""
    if b"".join([value for _, value in headers]).translate(None, _PLAIN_VALUE):
        for name, value in headers:
            if _BAD_VALUE.search(value):
                raise HeaderInvalid(header=name.decode("ascii"), reason="its value holds a control character")


def _ascii(raw: bytes, name: str) -> str:
    try:
        return raw.decode("ascii").strip()
    except UnicodeDecodeError:
        raise HeaderInvalid(header=name, reason="it must be ASCII, other characters percent-encoded") from None


def _client(raw: bytes) -> ClientId:
    try:
        return _client_of(raw)
    except UnicodeDecodeError:
        raise HeaderInvalid(
            header="X-Road-Client", reason="it must be ASCII, other characters percent-encoded"
        ) from None


def _message_id(raw: bytes) -> str:
    if not _ID.match(raw.strip()):
        raise HeaderInvalid(header="X-Road-Id", reason="it must be 1 to 255 printable ASCII characters")
    return raw.strip().decode("ascii")
