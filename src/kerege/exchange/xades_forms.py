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
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from datetime import datetime
from typing import Final

from cryptography import x509

from kerege.exchange.batch import SHA512
from kerege.exchange.xades_read import Parsed, SignatureFacts

Span = tuple[int, int]
CheckValue = Callable[[x509.Certificate, str, bytes, bytes], None]

_LARGEST: Final = 16 * 1024  # bytes of a document that is kept
_MOST_FORMS: Final = 256  # of all lengths
_MOST_ALIKE: Final = 8  # of one length, the latest used first
_DIGEST_SIZE: Final = 88  # SHA-512 in base64
_TIME: Final = b"0000-00-00T00:00:00.000Z"
_TIME_SIZE: Final = len(_TIME)
_DIGITS_TO_0: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))


class Form:
    """What a signer's documents have in common. The spans are where things stand in each of them.

    digest, properties_digest, value, time   the fields that differ
    info, properties                         SignedInfo and SignedProperties after their tags' names
    """

    __slots__ = (
        "_between",
        "_certificate",
        "_digest",
        "_head",
        "_info",
        "_method",
        "_mid",
        "_ocsp",
        "_properties",
        "_properties_digest",
        "_size",
        "_tail",
        "_time",
        "_to_value",
        "_uri",
        "_value",
    )

    def __init__(
        self,
        xml: bytes,
        parsed: Parsed,
        *,
        info: Span,
        digest: Span,
        properties_digest: Span,
        value: Span,
        properties: Span,
        time: Span,
    ) -> None:
        self._size = len(xml)
        self._info, self._digest, self._properties_digest = info, digest, properties_digest
        self._value, self._properties, self._time = value, properties, time
        self._head = xml[: digest[0]]
        self._between = xml[digest[1] : properties_digest[0]]
        self._to_value = xml[properties_digest[1] : value[0]]
        self._mid = xml[value[1] : time[0]]  # the certificate stands here: no two signers have it in common
        self._tail = xml[time[1] :]
        ((self._uri, _, _),) = parsed.references
        facts = parsed.facts
        self._certificate, self._ocsp, self._method = facts.certificate, facts.ocsp_responses, facts.method

    def is_of(self, xml: bytes) -> bool:
        """Whether `xml` is this form with whatever in its four fields."""
        return (
            len(xml) == self._size
            and xml.startswith(self._mid, self._value[1])
            and xml.startswith(self._tail, self._time[1])
            and xml.startswith(self._head)
            and xml.startswith(self._between, self._digest[1])
            and xml.startswith(self._to_value, self._properties_digest[1])
        )

    def read(self, xml: bytes, info_start: bytes, properties_start: bytes, check_value: CheckValue) -> Parsed | None:
        """What `xml`, which is of this form, says when it holds; None when others must look at its fields.

        info_start, properties_start   what SignedInfo and SignedProperties begin with where their namespaces are written out
        check_value                    `xades_read.check_value`; what it raises is raised
        """
        start, end = self._time
        written = xml[start:end]
        if written.translate(_DIGITS_TO_0) != _TIME:
            return None
        start, end = self._properties
        found = hashlib.sha512(properties_start + xml[start:end]).digest()
        start, end = self._properties_digest
        if b2a_base64(found, newline=False) != xml[start:end]:
            return None
        try:
            start, end = self._digest
            digest = a2b_base64(xml[start:end], strict_mode=True)
            start, end = self._value
            value = a2b_base64(xml[start:end], strict_mode=True)
            moment = datetime.fromisoformat(written.decode())
        except ValueError:
            return None
        start, end = self._info
        check_value(self._certificate, self._method, info_start + xml[start:end], value)
        facts = SignatureFacts(self._certificate, (), self._ocsp, moment, value, self._method)
        return Parsed(((self._uri, SHA512, digest),), facts)


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
            if form.is_of(xml):
                if form is not alike[0]:
                    self._by_size[size] = (form, *[other for other in alike if other is not form])
                return form
        return None

    def keep(self, xml: bytes, form: Form) -> None:
        """Remember the form of `xml`, a document that held."""
        size = len(xml)
        if size > _LARGEST or self.find(xml) is not None:
            return
        if self._count >= _MOST_FORMS:
            self.clear()
        alike = (form, *self._by_size.get(size, ()))
        self._by_size[size] = alike[:_MOST_ALIKE]
        self._count += len(self._by_size[size]) - len(alike) + 1

    def clear(self) -> None:
        self._by_size, self._count = {}, 0


def usual(digest: Span, properties_digest: Span, time: Span) -> bool:
    """Whether these fields have the lengths they have in all documents of `xades`."""
    sizes = (digest[1] - digest[0], properties_digest[1] - properties_digest[0], time[1] - time[0])
    return sizes == (_DIGEST_SIZE, _DIGEST_SIZE, _TIME_SIZE)
