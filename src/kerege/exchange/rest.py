"""The REST message protocol: what a call looks like, its headers, and the bytes that are signed.

Implements X-Road PR-REST as 7.x servers do it: the signed byte form is `VERB`, target, then `name:value`, each line ended by
CRLF, no blank line at the end; hop-by-hop headers are dropped both ways; the request hash ties a response to its request.
Not here: transport between servers (`multipart`), signatures (`xades`), who may call (`access`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kerege.exchange.errors import (
    ExchangeError,
    HeaderInvalid,
    HeaderMissing,
    IdentifierInvalid,
    MessageMalformed,
    PathRefused,
    ResponseInconsistent,
    TargetInvalid,
)
from kerege.exchange.ids import ClientId, DataServiceId, ServerId, decode_part, percent_decode

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
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET: Final = re.compile(r"[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+\Z")
_ID: Final = re.compile(rb"[\x20-\x7e]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed request target: whose data service, the raw path after it (with its first slash, or ""), the raw query."""

    service: DataServiceId
    path: str
    query: str | None


@lru_cache(maxsize=4096)
def _service_of(head: str) -> DataServiceId:
    parts = head.split("/")
    return DataServiceId(*(decode_part(part, "request target") for part in parts))


@lru_cache(maxsize=4096)
def _client_of(raw: bytes) -> ClientId:
    return ClientId.parse(raw.decode("ascii"))


def parse_target(target: str) -> Target:
    """`/r1/{instance}/{class}/{member}/{subsystem}/{service}[/path][?query]` taken apart; every part must be there."""
    path, mark, query = target.partition("?")
    if not _TARGET.match(target) or "#" in target:
        raise TargetInvalid(reason="it holds characters that must be percent-encoded")
    pieces = path.split("/", 7)
    if len(pieces) < 7 or pieces[0] or pieces[1] != "r1":
        raise TargetInvalid(reason="it does not begin with /r1 and five identifier parts")
    service = _service_of("/".join(pieces[2:7]))
    rest = "/" + pieces[7] if len(pieces) == 8 else ""
    return Target(service, rest, query if mark else None)


def decision_path(path: str) -> str:
    """The decoded, normalised path that access is decided on. Raises PathRefused for anything that two readers could read
    in two ways: dot or empty segments, encoded slashes and backslashes, nested encoding, control characters."""
    try:
        decoded = percent_decode(path, "path")
    except IdentifierInvalid as problem:
        raise PathRefused(reason=str(problem.params["reason"])) from None
    if not decoded or decoded == "/":
        return "/"
    upper = path.upper()
    if "%2F" in upper or "%5C" in upper or "\\" in decoded:
        raise PathRefused(reason="it holds an encoded slash or a backslash")
    if re.search(r"%[0-9A-Fa-f]{2}", decoded):
        raise PathRefused(reason="it is percent-encoded more than once")
    if any(not char.isprintable() for char in decoded):
        raise PathRefused(reason="it holds a control character")
    segments = decoded.split("/")[1:]
    for index, segment in enumerate(segments):
        name = segment.partition(";")[0]
        if name in {".", ".."}:
            raise PathRefused(reason="it holds a dot segment")
        if not segment and index != len(segments) - 1:
            raise PathRefused(reason="it holds an empty segment")
    return decoded


_RESOURCE: Final = re.compile(r"[a-z](?:[a-z_-]|\d(?!\d)){0,39}\Z")


def masked_path(path: str) -> str:
    """`path` for monitoring and messages: its first segment when that is plainly a resource's name, `*` for all the rest.

    Which later segment is a name, a street or a number cannot be told from its letters, so none of them is kept.
    """
    first, slash, rest = path.removeprefix("/").partition("/")
    kept = first if not first or _RESOURCE.match(first) else "*"
    return f"/{kept}" + ("/*" if slash and rest else slash)


def header(headers: Headers, name: bytes) -> bytes | None:
    """The last value of header `name` (lower case), as X-Road reads repeated headers; its own are never repeated here."""
    for key, value in reversed(headers):
        if key.lower() == name:
            return value
    return None


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class RestResponse:
    """A response as it is signed."""

    status: int
    reason: str
    headers: Headers

    def encode(self) -> bytes:
        """The signed byte form."""
        return encode_lines(str(self.status).encode(), self.reason.encode("latin-1", "replace"), self.headers)


def encode_lines(first: bytes, second: bytes, headers: Headers) -> bytes:
    return b"".join((first, b"\r\n", second, b"\r\n", *(b"%b:%b\r\n" % pair for pair in headers)))


def request_from_client(
    verb: str, target: str, headers: Headers, *, new_message_id: str, request_id: str
) -> RestRequest:
    """What the consumer's server sends on for a client's HTTP request: hop-by-hop headers gone, ids added.

    new_message_id   used (with the instance before it) when the client sent no X-Road-Id
    """
    if verb not in VERBS:
        raise TargetInvalid(reason="its method is not one of " + " ".join(sorted(VERBS)))
    parsed = parse_target(target)
    kept = check_headers(tuple(pair for pair in headers if pair[0].lower() not in _NOT_FROM_CLIENT))
    if (twice := _ambiguous(kept)) is not None:
        raise HeaderInvalid(header=twice, reason="it occurs more than once, or is written with underscores")
    raw_client = header(kept, b"x-road-client")
    if raw_client is None:
        raise HeaderMissing(header="X-Road-Client")
    client = _client(raw_client)
    raw_id = header(kept, b"x-road-id")
    if raw_id is None:
        message_id = f"{client.instance}-{new_message_id}"
        kept = (*kept, (b"x-road-id", message_id.encode()))
    else:
        message_id = _message_id(raw_id)
    kept = (*kept, (b"x-road-request-id", request_id.encode()))
    return RestRequest(verb, target, kept, client, parsed.service, parsed.path, parsed.query, message_id, request_id)


def decode_request(data: bytes) -> RestRequest:
    """The request in the signed byte form `data`, as the provider's server reads it."""
    verb, target, headers = _decode_lines(data, "REST request")
    if verb not in VERBS:
        raise MessageMalformed(where="REST request", reason="its method is unknown")
    if (twice := _ambiguous(headers)) is not None:
        raise MessageMalformed(
            where="REST request", reason=f"its header {twice} occurs more than once, or is written with underscores"
        )
    parsed = parse_target(target)
    raw_client, raw_id = header(headers, b"x-road-client"), header(headers, b"x-road-id")
    raw_request = header(headers, b"x-road-request-id")
    if raw_client is None:
        raise HeaderMissing(header="X-Road-Client")
    message_id = "" if raw_id is None else _message_id(raw_id)
    request_id = "" if raw_request is None else _ascii(raw_request, "x-road-request-id")
    return RestRequest(
        verb, target, headers, _client(raw_client), parsed.service, parsed.path, parsed.query, message_id, request_id
    )


def response_from_provider(
    status: int, reason: str, headers: Headers, request: RestRequest, request_hash: str
) -> RestResponse:
    """What the provider's server signs for the agency's HTTP response: its own five headers last, in X-Road's order.

    Headers that shadow X-Road's with underscores are left out, control characters in the reason become spaces.
    """
    kept = tuple(pair for pair in headers if pair[0].lower() not in _NOT_FROM_PROVIDER and not _shadows(pair[0]))
    ours = (
        (b"x-road-id", request.message_id.encode()),
        (b"x-road-client", str(request.client).encode()),
        (b"x-road-service", str(request.service).encode()),
        (b"x-road-request-id", request.request_id.encode()),
        (b"x-road-request-hash", request_hash.encode()),
    )
    return RestResponse(status, re.sub(r"[\x00-\x1f\x7f]", " ", reason), check_headers(kept) + ours)


def decode_response(data: bytes) -> RestResponse:
    """The response in the signed byte form `data`."""
    code, reason, headers = _decode_lines(data, "REST response")
    if not re.fullmatch(r"[2-5][0-9]{2}", code):  # an interim status would leave the client waiting for another answer
        raise MessageMalformed(where="REST response", reason="its status code is not a number from 200 to 599")
    names = [name.lower() for name, _ in headers]
    if any(names.count(name) > 1 for name in _SAID_ONCE) or any(_shadows(name) for name in names):
        raise MessageMalformed(
            where="REST response",
            reason="one of its x-road headers occurs more than once, or is written with underscores",
        )
    return RestResponse(int(code), reason, headers)


def for_the_client(headers: Headers) -> Headers:
    """The headers of a signed answer that a consumer's node may put on its own HTTP answer."""
    listed = {
        name.strip().lower() for key, value in headers if key.lower() == b"connection" for name in value.split(b",")
    }
    return tuple(
        pair
        for pair in headers
        if (name := pair[0].lower()) not in NOT_FOR_THE_CLIENT and name not in listed and not name.startswith(b"proxy-")
    )


def request_hash(header_digest: bytes, body_digest: bytes | None) -> str:
    """X-Road-Request-Hash from the SHA-512 of the signed request bytes and, when there is a body, of the body."""
    whole = header_digest if body_digest is None else hashlib.sha512(header_digest + body_digest).digest()
    return base64.b64encode(whole).decode()


def check_consistent(request: RestRequest, expected_hash: str, response: RestResponse) -> None:
    """Raises ResponseInconsistent when `response` does not answer `request`."""

    def same(name: bytes, expected: str) -> bool:
        found = header(response.headers, name)
        return found is not None and found.decode("latin-1") == expected

    try:
        answered = ClientId.parse((header(response.headers, b"x-road-client") or b"").decode("latin-1"))
        service = DataServiceId.parse((header(response.headers, b"x-road-service") or b"").decode("latin-1"))
    except ExchangeError:
        raise ResponseInconsistent(field="x-road-client or x-road-service") from None
    if answered != request.client:
        raise ResponseInconsistent(field="x-road-client")
    if service != request.service:
        raise ResponseInconsistent(field="x-road-service")
    if not same(b"x-road-id", request.message_id):
        raise ResponseInconsistent(field="x-road-id")
    if not same(b"x-road-request-id", request.request_id):
        raise ResponseInconsistent(field="x-road-request-id")
    if not same(b"x-road-request-hash", expected_hash):
        raise ResponseInconsistent(field="x-road-request-hash")


def is_response(data: bytes) -> bool:
    """Whether signed bytes are a response: their first byte is a digit 1 to 9."""
    return bool(data) and 0x31 <= data[0] <= 0x39


def _decode_lines(data: bytes, where: str) -> tuple[str, str, Headers]:
    lines = data.split(b"\r\n")
    if lines[-1] != b"" or len(lines) < 3:
        raise MessageMalformed(where=where, reason="it does not end with CRLF after its first two lines")
    if _BAD_VALUE.search(b"".join(lines)):
        raise MessageMalformed(where=where, reason="one of its lines holds a control character")
    headers = []
    for line in lines[2:-1]:
        name, colon, value = line.partition(b":")
        if not colon:
            raise MessageMalformed(where=where, reason="a header line has no colon")
        headers.append((name, value))
    try:
        return lines[0].decode("ascii"), lines[1].decode("latin-1"), check_headers(tuple(headers))
    except UnicodeDecodeError:
        raise MessageMalformed(where=where, reason="its first line is not ASCII") from None


def check_headers(headers: Headers) -> Headers:
    """`headers` unchanged, or HeaderInvalid when a name or value could be read as more than one header."""
    for name, value in headers:
        if not _TOKEN.match(name):
            raise HeaderInvalid(header="(unnamed)", reason="its name is not a token")
        if _BAD_VALUE.search(value):
            raise HeaderInvalid(header=name.decode("ascii"), reason="its value holds a control character")
    return headers


def _shadows(name: bytes) -> bool:
    """Whether `name` is one of X-Road's headers to a reader that takes `_` for `-`, as gateways of agencies do."""
    return b"_" in name and name.lower().replace(b"_", b"-").startswith(b"x-road-")


def _ambiguous(headers: Headers) -> str | None:
    """The first x-road header that two readers could read differently: one that is repeated, or shadowed."""
    seen = set()
    for name, _ in headers:
        low = name.lower()
        if low in seen or _shadows(low):
            return low.decode("ascii")
        if low.startswith(b"x-road-"):
            seen.add(low)
    return None


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
