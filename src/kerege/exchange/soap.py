"""The SOAP message protocol 4.0: what a message is, which element answers which, and the request hash put into an answer.

Implements X-Road PR-MESS: SOAP 1.1, document/literal wrapped, no DOCTYPE. The bytes as they came are what is signed: nothing here
writes a message anew. `requestHash` is spliced into the provider's bytes straight after `id`; every other byte stays what it was.
Header fields are read by `soap_headers`, attachments by `mime`, who may call is `access`'s.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from kerege.exchange.errors import ResponseInconsistent
from kerege.exchange.faults import Fault, fault_in
from kerege.exchange.safexml import encoding_of, keeps_ascii, parse_document
from kerege.exchange.soap_errors import (
    ContentTypeInvalid,
    SoapActionInvalid,
    SoapBodyInvalid,
    SoapBodyMissing,
    SoapHeaderAbsent,
    SoapHeadersInconsistent,
    SoapInvalid,
)
from kerege.exchange.soap_headers import REPRESENTATION, SHA512_ALGORITHMS, XROAD, SoapHeader, read_header

ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
LARGEST: Final = 10 * 1024 * 1024
SHA512_URI: Final = "http://www.w3.org/2001/04/xmlenc#sha512"

_ROOT, _HEADER, _BODY, _FAULT = (f"{{{ENVELOPE}}}{name}" for name in ("Envelope", "Header", "Body", "Fault"))
_ENCODING_STYLE: Final = f"{{{ENVELOPE}}}encodingStyle"
_ID, _REQUEST_HASH = f"{{{XROAD}}}id", f"{{{XROAD}}}requestHash"
_ALIASES: Final = re.compile(
    r"(?:ascii|latin-?1|iso8859-[1-9]|cp125[0-8])\Z"
)  # of encodings `safexml` reads, as people write them
_RPC: Final = "http://schemas.xmlsoap.org/soap/encoding/"


@dataclass(frozen=True, slots=True)
class Splice:
    """Where the request's hash goes: how many fields the header has, which of them are `id` and an older hash, how to write a new one."""

    fields: int
    id_field: int
    hash_field: int | None
    name: str
    declared: str


@dataclass(frozen=True, slots=True)
class SoapMessage:
    """A request or an answer: its header, and the local name of the one element in its body."""

    header: SoapHeader
    root: str
    splice: Splice | None = field(default=None, compare=False, repr=False)


def parse(data: bytes, *, charset: str | Sequence[str] = (), largest: int = LARGEST) -> SoapMessage | Fault:
    """The message in `data`, or the SOAP fault it is. Raises the Soap errors; whether it is a request or an answer is asked afterwards.

    charset   what the Content-Type says, when it says something; several where there are several (`soappart.charsets`)
    """
    header, body = _envelope(data, (charset,) if isinstance(charset, str) else charset, largest)
    elements = list(body.iterchildren(tag=etree.Element))
    if len(elements) == 1 and elements[0].tag == _FAULT:
        return fault_in(elements[0])
    if header is None:
        raise SoapHeaderAbsent()
    fields = read_header(header)
    if len(elements) != 1:
        raise SoapBodyInvalid(count=len(elements))
    if elements[0].get(_ENCODING_STYLE) == _RPC:
        raise SoapInvalid(reason="it is rpc/encoded")
    return SoapMessage(fields, etree.QName(elements[0]).localname, _splice(header))


def _envelope(data: bytes, charsets: Sequence[str], largest: int) -> tuple[etree._Element | None, etree._Element]:
    try:
        declared = encoding_of(data)
        root = parse_document(data, largest)
    except ValueError as problem:
        raise SoapInvalid(reason=str(problem)) from None
    for charset in filter(None, charsets):
        _check_charset(data, _plain(charset), _plain(declared))
    if root.tag != _ROOT:
        raise SoapInvalid(reason="its root is not a SOAP 1.1 Envelope")
    children = list(root.iterchildren(tag=etree.Element))
    if not any(child.tag == _BODY for child in children):
        raise SoapBodyMissing()
    if [child.tag for child in children] not in ([_HEADER, _BODY], [_BODY]):
        raise SoapInvalid(reason="its Envelope holds something else than one Header and one Body")
    if _RPC in {root.get(_ENCODING_STYLE), children[-1].get(_ENCODING_STYLE)}:
        raise SoapInvalid(reason="it is rpc/encoded")
    return (children[0] if len(children) == 2 else None), children[-1]


def _check_charset(data: bytes, charset: str, declared: str) -> None:
    """Readers differ in whether they believe the Content-Type or the XML declaration: both must give the same characters."""
    same = charset == declared or (data.isascii() and (keeps_ascii(charset) or _ALIASES.match(charset) is not None))
    if not same:
        raise ContentTypeInvalid(what="the SOAP part", reason="its charset is not the one the XML declares")


def _plain(charset: str) -> str:
    return charset.lower().replace("_", "-").replace("utf8", "utf-8")


def check_request(message: SoapMessage | Fault) -> SoapMessage:
    """`message` when it may be sent as a request. The body's element must be the service that rights are decided on."""
    if isinstance(message, Fault):
        raise SoapInvalid(reason="it is a fault, not a request")
    code = message.header.service.service
    if message.root not in {code, f"{code}Request"}:
        raise SoapHeadersInconsistent(service_code=code)
    return message


def check_answer_root(message: SoapMessage) -> None:
    """An answer's element is `{service code}Response`; X-Road's servers ask for the beginning only, and so do we."""
    code = message.header.service.service
    if not message.root.startswith(code):
        raise SoapHeadersInconsistent(service_code=code)


def request_hash(content_digest: bytes) -> str:
    """What `requestHash` holds: the SHA-512 of the request's SOAP bytes, as they were signed, in base64."""
    return base64.b64encode(content_digest).decode()


def check_same_call(request: SoapHeader, answer: SoapHeader) -> None:
    """Raises ResponseInconsistent when the answer's header is not the request's. An empty field and an absent one are alike."""
    pairs = {
        "client": (request.client, answer.client),
        "service": (request.service, answer.service),
        "id": (request.message_id, answer.message_id),
        "protocolVersion": (request.protocol_version, answer.protocol_version),
        "userId": (request.user_id or "", answer.user_id or ""),
        "issue": (request.issue or "", answer.issue or ""),
        "representedParty": (request.party, answer.party),
    }
    for name, (asked, answered) in pairs.items():
        if asked != answered:
            raise ResponseInconsistent(field=name)
    if answer.server is not None and answer.server != request.server:
        raise ResponseInconsistent(field="securityServer")


def check_answer(request: SoapHeader, content_digest: bytes, answer: SoapMessage | Fault) -> None:
    """Raises ResponseInconsistent when a signed answer does not answer the request with that digest; a provider's fault does."""
    if isinstance(answer, Fault):
        return
    check_same_call(request, answer.header)
    check_answer_root(answer)
    if answer.header.request_hash is None or answer.header.hash_algorithm not in SHA512_ALGORITHMS:
        raise ResponseInconsistent(field="requestHash")
    if "".join(answer.header.request_hash.split()) != request_hash(content_digest):
        raise ResponseInconsistent(field="requestHash")


def with_request_hash(data: bytes, content_digest: bytes, message: SoapMessage | None = None) -> bytes:
    """`data`, an answer, with the request's hash straight after `id`, and without the one it may have had.

    message   what `parse` made of these very bytes, when it is at hand
    """
    if message is None or message.splice is None:
        parsed = parse(data)
        if isinstance(parsed, Fault):
            return data
        message = parsed
    splice = message.splice
    assert splice is not None, "parse always says where"
    spans = _spans(data)
    if len(spans) != splice.fields:
        raise SoapInvalid(reason="the fields of its header cannot be told apart")
    start, end = spans[splice.id_field]
    value = request_hash(content_digest)
    new = f'<{splice.name}{splice.declared} algorithmId="{SHA512_URI}">{value}</{splice.name}>'.encode("ascii")
    inserted = data[_margin(data, start) : start] + new
    if splice.hash_field is None:
        return data[:end] + inserted + data[end:]
    old_start, old_end = spans[splice.hash_field]
    old_start = _margin(data, old_start)
    if old_start >= end:
        return data[:end] + inserted + data[end:old_start] + data[old_end:]
    return data[:old_start] + data[old_end:end] + inserted + data[end:]


def _splice(header: etree._Element) -> Splice:
    tags = [str(child.tag) for child in header.iterchildren(tag=etree.Element)]
    at, present = tags.index(_ID), tags.index(_REQUEST_HASH) if _REQUEST_HASH in tags else None
    prefix = next(child.prefix for child in header.iterchildren(tag=_ID))
    if header.nsmap.get(prefix) == XROAD and (prefix is None or prefix.isascii()):
        return Splice(len(tags), at, present, f"{prefix}:requestHash" if prefix else "requestHash", "")
    # the prefix is the field's own and means nothing beside it
    return Splice(len(tags), at, present, "requestHash", f' xmlns="{XROAD}"')


def _margin(data: bytes, at: int) -> int:
    """Where the white space before `at` begins."""
    return len(data[:at].rstrip(b" \t\r\n"))


# well-formed XML (the parser has said so) in an encoding whose bytes below 0x80 are ASCII: this finds exactly its tags
_TOKEN: Final = re.compile(
    rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<(?P<end>/)?[^\s/>!?](?:[^>\"']|\"[^\"]*\"|'[^']*')*?(?P<empty>/)?>",
    re.DOTALL,
)


def _spans(data: bytes) -> list[tuple[int, int]]:
    """Where each element of the SOAP Header, the first element below the root, begins and ends."""
    out: list[tuple[int, int]] = []
    depth = start = 0
    for token in _TOKEN.finditer(data):
        if data[token.start() + 1] in b"!?":
            continue
        if token["end"]:
            depth -= 1
            if depth == 2:
                out.append((start, token.end()))
            elif depth == 1:
                break
            continue
        if depth == 2:
            start = token.start()
            if token["empty"]:
                out.append((start, token.end()))
        if not token["empty"]:
            depth += 1
        elif depth == 1:
            break
    return out


_ATTRIBUTE: Final = re.compile(rb"\s+([^\s=]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_LOGGED: Final = frozenset({XROAD.encode(), REPRESENTATION.encode()})


def header_only(data: bytes) -> bytes:
    """What stays in a log of a message that was parsed where its body is not to be logged: X-Road's own fields of its header, in an envelope.

    That is what X-Road's log keeps then (UG-SYSPAR, `message-body-logging`). Comments, header blocks of others (passwords may stand
    there), attributes and all from the Body on are left out; nothing is left of what has no Body.
    """
    out: list[bytes] = []
    scopes: list[dict[bytes, bytes]] = [{}]  # of the elements that are open, the default namespace under b""
    names: list[bytes] = []
    kept, at = False, 0
    for token in _TOKEN.finditer(data):
        if kept:
            out.append(data[at : token.start()])
        at, text = token.end(), token[0]
        if text[1] in b"!?":
            if (kept and text.startswith(b"<![")) or (not out and text.startswith(b"<?xml ")):
                out.append(text)
        elif token["end"]:
            name = names.pop()
            scopes.pop()
            if kept or (len(names) == 1 and _local_name(name) == b"Header"):
                out.append(text)
            kept = kept and len(names) > 2
        else:
            name = re.split(rb"[\s/>]", text[1:], maxsplit=1)[0]
            declared = {}
            for attribute, value in _ATTRIBUTE.findall(text, 1 + len(name)):
                if attribute == b"xmlns" or attribute.startswith(b"xmlns:"):
                    declared[attribute[6:]] = value
            if len(names) == 1 and _local_name(name) == b"Body":
                return b"".join((*out, _bare(name, declared, b"/>"), b"</", names[0], b">"))
            if not names or (len(names) == 1 and _local_name(name) == b"Header"):
                out.append(_bare(name, declared, b"/>" if token["empty"] else b">"))
            elif len(names) == 2:
                scope = scopes[-1] | declared
                kept = scope.get(name.rpartition(b":")[0], b"")[1:-1] in _LOGGED
            if kept:
                out.append(text)
            if token["empty"]:
                kept = kept and len(names) > 2
            else:
                scopes.append(scopes[-1] | declared)
                names.append(name)
    return b""


def _bare(name: bytes, declared: Mapping[bytes, bytes], end: bytes) -> bytes:
    """A tag with its namespaces and no other attribute."""
    written = [b" xmlns" + (b":" + prefix if prefix else b"") + b"=" + uri for prefix, uri in declared.items()]
    return b"".join((b"<", name, *written, end))


def _local_name(name: bytes) -> bytes:
    return name.rpartition(b":")[2]


_URI: Final = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]*\Z")


def check_action(value: str | None) -> str | None:
    """The SOAPAction header unchanged: absent, empty, or one URI in double quotes (SOAP 1.1, 6.1.1). Raises SoapActionInvalid."""
    if value is None or value in {"", '""'}:
        return value
    if len(value) < 3 or not (value.startswith('"') and value.endswith('"')):
        raise SoapActionInvalid(reason="it is not in double quotes")
    if len(value) > 2048 or not _URI.match(value[1:-1]):
        raise SoapActionInvalid(reason="what it quotes is not a URI")
    return value
