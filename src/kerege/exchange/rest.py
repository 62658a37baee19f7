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
from dataclasses import dataclass
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
from kerege.exchange.resttarget import parse_target

Headers = tuple[tuple[bytes, bytes], ...]

VERBS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"})
HOP_BY_HOP: Final = frozenset(
    (
        b"transfer-encoding",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"upgrade",
        b"connection",
        b"user-agent",
        b"host",
        b"content-length",
        b"server",
        b"expect",
    )
)
# what a consumer's node drops from a provider's signed answer: how its own HTTP answer is framed and that it is a fault is its
# own to say. Headers that a `connection` header lists are hop-by-hop as well; see `for_the_client`.
NOT_FOR_THE_CLIENT: Final = HOP_BY_HOP | {b"proxy-connection", b"x-road-error"}
_NOT_FROM_CLIENT: Final = HOP_BY_HOP | {b"x-road-request-id", b"x-road-request-hash"}
_NOT_FROM_PROVIDER: Final = HOP_BY_HOP | {
    b"x-road-id",
    b"x-road-client",
    b"x-road-service",
    b"x-road-request-id",
    b"x-road-request-hash",
    b"x-road-error",
}
_SAID_ONCE: Final = (b"x-road-id", b"x-road-client", b"x-road-service", b"x-road-request-id", b"x-road-request-hash")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_PLAIN_VALUE: Final = bytes(one for one in range(256) if not _BAD_VALUE.match(bytes((one,))))
_PLAIN: Final = _PLAIN_VALUE + b"\r\n"
_ID: Final = re.compile(rb"[\x20-\x7e]{1,255}\Z")


class _Name:
    """What a header's name says, found out once for each name."""

    __slots__ = (
        "dropped_from_client",
        "dropped_from_provider",
        "hop_by_hop",
        "low",
        "not_for_client",
        "once",
        "shadows",
        "xroad",
    )

    def __init__(self, name: bytes) -> None:
        low = name.lower()
        self.low = low
        self.xroad = low.startswith(b"x-road-")
        # to a reader that takes `_` for `-`, as gateways of agencies do
        self.shadows = b"_" in name and low.replace(b"_", b"-").startswith(b"x-road-")
        self.once = low in _SAID_ONCE
        self.hop_by_hop = low in HOP_BY_HOP
        self.dropped_from_client = low in _NOT_FROM_CLIENT
        self.dropped_from_provider = low in _NOT_FROM_PROVIDER or self.shadows
        self.not_for_client = low in NOT_FOR_THE_CLIENT or low.startswith(b"proxy-")


@lru_cache(maxsize=4096)
def _name(name: bytes) -> _Name:
    """Raises HeaderInvalid when `name` could be read as something else than one header's name."""
    if not _TOKEN.match(name):
        raise HeaderInvalid(header="(unnamed)", reason="its name is not a token")
    return _Name(name)


@lru_cache(maxsize=4096)
def _client_of(raw: bytes) -> ClientId:
    return ClientId.parse(raw.decode("ascii"))


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

    def encode(self) -> bytes:
        """The signed byte form."""
        return encode_lines(self.verb.encode(), self.target.encode("ascii"), self.headers)

    @property
    def server(self) -> ServerId | None:
        raw = header(self.headers, b"x-road-security-server")
        return None if raw is None else ServerId.parse(_ascii(raw, "X-Road-Security-Server"))


@dataclass(slots=True)
class RestResponse:
    """A response as it is signed."""

    status: int
    reason: str
    headers: Headers

    def encode(self) -> bytes:
        """The signed byte form."""
        return encode_lines(str(self.status).encode(), self.reason.encode("latin-1", "replace"), self.headers)


def encode_lines(first: bytes, second: bytes, headers: Headers) -> bytes:
    return b"%b\r\n%b\r\n%b" % (first, second, b"".join([b"%b:%b\r\n" % pair for pair in headers]))


def request_from_client(
    verb: str, target: str, headers: Headers, *, new_message_id: str, request_id: str
) -> RestRequest:
    """What the consumer's server sends on for a client's HTTP request: hop-by-hop headers gone, ids added.

    new_message_id   used (with the instance before it) when the client sent no X-Road-Id
    """
    if verb not in VERBS:
        raise TargetInvalid(reason="its method is not one of " + " ".join(sorted(VERBS)))
    parsed = parse_target(target)
    kept, found = [], _Found()
    for pair in headers:
        name = _name(pair[0])
        if not name.dropped_from_client:
            kept.append(pair)
            if (name.xroad or name.shadows) and not found.take(name, pair[1]):
                raise HeaderInvalid(
                    header=name.low.decode("ascii"), reason="it occurs more than once, or is written with underscores"
                )
    _check_values(kept)
    if found.client is None:
        raise HeaderMissing(header="X-Road-Client")
    client = _client(found.client)
    if found.message_id is None:
        message_id = f"{client.instance}-{new_message_id}"
        kept.append((b"x-road-id", message_id.encode()))
    else:
        message_id = _message_id(found.message_id)
    kept.append((b"x-road-request-id", request_id.encode()))
    service, path, query = parsed.service, parsed.path, parsed.query
    return RestRequest(verb, target, tuple(kept), client, service, path, query, message_id, request_id)


class _Found:
    """The x-road headers of one message; each may be there once."""

    __slots__ = ("client", "message_id", "request_id", "seen")

    def __init__(self) -> None:
        self.client: bytes | None = None
        self.message_id: bytes | None = None
        self.request_id: bytes | None = None
        self.seen: set[bytes] = set()

    def take(self, name: _Name, value: bytes) -> bool:
        """False when two readers could read it differently: it is repeated, or shadowed."""
        low = name.low
        if name.shadows or low in self.seen:
            return False
        self.seen.add(low)
        if low == b"x-road-client":
            self.client = value
        elif low == b"x-road-id":
            self.message_id = value
        elif low == b"x-road-request-id":
            self.request_id = value
        return True


def decode_request(data: bytes) -> RestRequest:
    """The request in the signed byte form `data`, as the provider's server reads it."""
    verb, target, headers = _decode_lines(data, "REST request")
    if verb not in VERBS:
        raise MessageMalformed(where="REST request", reason="its method is unknown")
    found = _Found()
    for key, value in headers:
        name = _name(key)
        if (name.xroad or name.shadows) and not found.take(name, value):
            low = name.low.decode("ascii")
            raise MessageMalformed(
                where="REST request", reason=f"its header {low} occurs more than once, or is written with underscores"
            )
    parsed = parse_target(target)
    if found.client is None:
        raise HeaderMissing(header="X-Road-Client")
    message_id = "" if found.message_id is None else _message_id(found.message_id)
    request_id = "" if found.request_id is None else _ascii(found.request_id, "x-road-request-id")
    client, service = _client(found.client), parsed.service
    return RestRequest(verb, target, headers, client, service, parsed.path, parsed.query, message_id, request_id)


def response_from_provider(
    status: int, reason: str, headers: Headers, request: RestRequest, request_hash: str
) -> RestResponse:
    """What the provider's server signs for the agency's HTTP response: its own five headers last, in X-Road's order.

    Headers that shadow X-Road's with underscores are left out, control characters in the reason become spaces.
    """
    kept = [pair for pair in headers if not _name(pair[0]).dropped_from_provider]
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
    code, reason, headers = _decode_lines(data, "REST response")
    if len(code) != 3 or not code.isdecimal() or not "2" <= code[0] <= "5":
        # an interim status would leave the client waiting for another answer
        raise MessageMalformed(where="REST response", reason="its status code is not a number from 200 to 599")
    seen = set()
    for key, _ in headers:
        name = _name(key)
        if name.shadows or (name.once and name.low in seen):
            raise MessageMalformed(
                where="REST response",
                reason="one of its x-road headers occurs more than once, or is written with underscores",
            )
        if name.once:
            seen.add(name.low)
    return RestResponse(int(code), reason, headers)


def for_the_client(headers: Headers) -> Headers:
    """The headers of a signed answer that a consumer's node may put on its own HTTP answer."""
    kept = []
    listed: set[bytes] = set()
    for pair in headers:
        name = _name(pair[0])
        if name.low == b"connection":
            listed.update(one.strip().lower() for one in pair[1].split(b","))
        if not name.not_for_client:
            kept.append(pair)
    if listed:
        return tuple(pair for pair in kept if pair[0].lower() not in listed)
    return tuple(kept)


def for_the_agency(headers: Headers) -> Headers:
    """The headers of a signed request that the provider's server passes on."""
    return tuple([pair for pair in headers if not _name(pair[0]).hop_by_hop])


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
    said = {name.low: value for key, value in response.headers if (name := _name(key)).xroad}
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


def _decode_lines(data: bytes, where: str) -> tuple[str, str, Headers]:
    lines = data.split(b"\r\n")
    if lines[-1] != b"" or len(lines) < 3:
        raise MessageMalformed(where=where, reason="it does not end with CRLF after its first two lines")
    breaks = len(lines) - 1
    if data.translate(None, _PLAIN) or not breaks == data.count(b"\r") == data.count(b"\n"):
        raise MessageMalformed(where=where, reason="one of its lines holds a control character")
    headers = []
    for index in range(2, len(lines) - 1):
        name, colon, value = lines[index].partition(b":")
        if not colon:
            raise MessageMalformed(where=where, reason="a header line has no colon")
        headers.append((name, value))
    try:
        first, second = lines[0].decode("ascii"), lines[1].decode("latin-1")
    except UnicodeDecodeError:
        raise MessageMalformed(where=where, reason="its first line is not ASCII") from None
    for name, _ in headers:
        _name(name)
    return first, second, tuple(headers)


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
