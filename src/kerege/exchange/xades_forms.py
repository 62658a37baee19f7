"""Signatures, the checking of one like the one before: what a signer's documents have in common is read once.

From one signature of a signer to the next only four fields of the document differ: the digest it covers, the digest of the signed
properties, the signature value and the signing time. A document of `xades`' form that held in full (`xades_verify`) is kept as the
pieces between them, with what they say: certificate, OCSP answers, method. The next one that is exactly these pieces, with fields of
exactly their length and alphabet, says the same; what is left to check are the signed properties' digest and the signature value.

Nothing is believed by a key or a place: every byte of a document is a byte of a piece that was compared, or of a field that was checked.
Whoever sends documents that hold, under whatever certificate, makes at most that his own be read sooner, and others' as slowly as the
first. Whatever is not exactly so is not refused here but left to the readers that know why.
"""

from __future__ import annotations

import hashlib
from binascii import a2b_base64
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from cryptography import x509

from kerege.exchange.batch import SHA512
from kerege.exchange.lane import NOT_THERE
from kerege.exchange.xades_read import Parsed, SignatureFacts

Span = tuple[int, int]
Fields = tuple[bytes, bytes, bytes, str, bytes, bytes]
CheckValue = Callable[[x509.Certificate, str, bytes, bytes], None]

_LARGEST: Final = 16 * 1024  # bytes of a document that is kept
_MOST_FORMS: Final = 256  # of all lengths
_MOST_ALIKE: Final = 8  # of one length, the latest used first
_DIGEST_SIZE: Final = 88  # SHA-512 in base64
_TIME: Final = b"0000-00-00T00:00:00.000Z"
_TIME_SIZE: Final = len(_TIME)
_DIGITS_TO_0: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))


class AnyLayout(Protocol):
    """`Layout`, or the native form of it."""

    def matches(self, xml: bytes) -> bool: ...
    def fields(self, xml: bytes) -> Fields | None: ...


class Layout:
    """Where in `xml`, and in every document like it, the fields stand, and what stands between them.

    digest, over, value, time      the four fields: of what the signature covers, of the signed properties; signature value; signing time
    info, properties               SignedInfo and SignedProperties after their tags' names
    info_start, properties_start   what they begin with as they are signed, with their namespaces written out
    """

    __slots__ = (
        "_between",
        "_digest",
        "_head",
        "_info",
        "_info_start",
        "_over",
        "_properties",
        "_properties_start",
        "_size",
        "_tail",
        "_time",
        "_to_time",
        "_to_value",
        "_value",
    )

    def __init__(
        self,
        xml: bytes,
        digest: Span,
        over: Span,
        value: Span,
        time: Span,
        info: Span,
        properties: Span,
        info_start: bytes,
        properties_start: bytes,
    ) -> None:
        self._size = len(xml)
        self._digest, self._over, self._value, self._time = digest, over, value, time
        self._info, self._properties = info, properties
        self._info_start, self._properties_start = info_start, properties_start
        self._head, self._between, self._to_value = xml[: digest[0]], xml[digest[1] : over[0]], xml[over[1] : value[0]]
        self._to_time = xml[value[1] : time[0]]  # the certificate stands here: no two signers have it in common
        self._tail = xml[time[1] :]

    def matches(self, xml: bytes) -> bool:
        """Whether `xml` is these pieces, with whatever in its four fields."""
        return (
            len(xml) == self._size
            and xml.startswith(self._to_time, self._value[1])
            and xml.startswith(self._tail, self._time[1])
            and xml.startswith(self._head)
            and xml.startswith(self._between, self._digest[1])
            and xml.startswith(self._to_value, self._over[1])
        )

    def fields(self, xml: bytes) -> Fields | None:
        """Of a document that matches: digest, digest of the properties, value, time, and both parts as they are signed.

        None where a field has another alphabet than it has in `xades`' documents.
        """
        start, end = self._time
        time = xml[start:end]
        if time.translate(_DIGITS_TO_0) != _TIME:
            return None
        digest, over, value = _decoded(xml, self._digest), _decoded(xml, self._over), _decoded(xml, self._value)
        if digest is None or over is None or value is None:
            return None
        info = self._info_start + xml[slice(*self._info)]
        return digest, over, value, time.decode(), info, self._properties_start + xml[slice(*self._properties)]


def _decoded(xml: bytes, span: Span) -> bytes | None:
    """What base64 says there; None where it is not whole groups of its signs with at most two `=` at the very end."""
    start, end = span
    try:
        value = a2b_base64(xml[start:end], strict_mode=True)
    except ValueError:
        return None
    return value if (len(value) + 2) // 3 * 4 == end - start else None  # it overlooks padding after whole groups


_layout: Callable[..., AnyLayout]
try:
    from kerege.exchange.lane.signatures import Layout as _layout
except NOT_THERE:
    _layout = Layout


class Form:
    """What a signer's documents have in common, taken from one that held."""

    __slots__ = ("_certificate", "_fields", "_method", "_ocsp", "_uri", "matches")

    def __init__(self, layout: AnyLayout, parsed: Parsed) -> None:
        self.matches, self._fields = layout.matches, layout.fields
        ((self._uri, _, _),) = parsed.references
        facts = parsed.facts
        self._certificate, self._ocsp, self._method = facts.certificate, facts.ocsp_responses, facts.method

    def read(self, xml: bytes, check_value: CheckValue) -> Parsed | None:
        """What `xml`, which matches, says when it holds; None when others must look at its fields.

        check_value   `xades_read.check_value`; what it raises is raised
        """
        fields = self._fields(xml)
        if fields is None:
            return None
        digest, over, value, time, info, properties = fields
        if hashlib.sha512(properties).digest() != over:
            return None
        try:
            moment = datetime.fromisoformat(time)
        except ValueError:
            return None
        check_value(self._certificate, self._method, info, value)
        facts = SignatureFacts(self._certificate, (), self._ocsp, moment, value, self._method)
        return Parsed(((self._uri, SHA512, digest),), facts)


def form_of(
    xml: bytes,
    parsed: Parsed,
    *,
    digest: Span,
    over: Span,
    value: Span,
    time: Span,
    info: Span,
    properties: Span,
    info_start: bytes,
    properties_start: bytes,
) -> Form | None:
    """The form of a document that held, its spans as `Layout` has them; None where a field has another length than in `xades`' own."""
    sizes = (digest[1] - digest[0], over[1] - over[0], time[1] - time[0])
    if sizes != (_DIGEST_SIZE, _DIGEST_SIZE, _TIME_SIZE) or len(xml) > _LARGEST:
        return None
    return Form(_layout(xml, digest, over, value, time, info, properties, info_start, properties_start), parsed)


class Forms:
    """The forms met lately, by the length of their documents; a bounded number, however many signers come."""

    __slots__ = ("_by_size", "_count")

    def __init__(self) -> None:
        self._by_size: dict[int, tuple[Form, ...]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def find(self, xml: bytes) -> Form | None:
        """The form `xml` is of."""
        size = len(xml)
        alike = self._by_size.get(size, ())
        for form in alike:
            if form.matches(xml):
                if form is not alike[0]:
                    self._by_size[size] = (form, *[other for other in alike if other is not form])
                return form
        return None

    def keep(self, xml: bytes, form: Form) -> None:
        """Remember the form of `xml`, a document that held."""
        size = len(xml)
        if self.find(xml) is not None:
            return
        if self._count >= _MOST_FORMS:
            self.clear()
        alike = (form, *self._by_size.get(size, ()))
        self._by_size[size] = alike[:_MOST_ALIKE]
        self._count += len(self._by_size[size]) - len(alike) + 1

    def clear(self) -> None:
        self._by_size, self._count = {}, 0
