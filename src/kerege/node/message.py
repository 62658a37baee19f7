"""A message as the node holds it, whatever its protocol (REST, SOAP) and whatever wire it came by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from kerege.exchange.bodies import Attachment, Body, body_size
from kerege.exchange.hashchain import HashChain
from kerege.exchange.ids import ClientId, DataServiceId, ServerId

REST = "REST"
SOAP = "SOAP"


@dataclass(slots=True)
class Message:
    """One message, request or response.

    kind          multipart.REST_REQUEST, REST_RESPONSE, SOAP or XOP
    content       the exact bytes that are signed: `message.xml` of the container
    attachments   what comes beside it: a REST body, or the attachments of a SOAP message
    """

    kind: bytes
    content: bytes
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()  # of a SOAP message's own MIME part, as they came
    content_type: str = ""  # a SOAP message's own over HTTP, with its boundary; not signed
    _digests: tuple[bytes, tuple[bytes, ...]] | None = field(default=None, repr=False)

    @property
    def digests(self) -> tuple[bytes, tuple[bytes, ...]]:
        """SHA-512 of the content, and of every attachment's body."""
        if self._digests is None:
            self._digests = (
                hashlib.sha512(self.content).digest(),
                tuple([attachment.sha512 for attachment in self.attachments]),
            )
        return self._digests

    @property
    def body(self) -> Body | None:
        """The first attachment's body: of a REST message its body."""
        return self.attachments[0].body if self.attachments else None

    @property
    def size(self) -> int:
        size = len(self.content)
        for attachment in self.attachments:
            size += body_size(attachment.body)
        return size


@dataclass(slots=True)
class Signature:
    """A signature that came or was made: the XML, the message's own hash chain when it has one."""

    xml: bytes
    chain: HashChain | None


@dataclass(slots=True)
class Asked:
    """Who asks whom for what. `method` and `path` are what access is decided on; `detail` is the protocol's own request."""

    protocol: str
    client: ClientId
    service: DataServiceId
    server: ServerId | None
    message_id: str
    request_id: str
    method: str
    path: str
    detail: Any = None


@dataclass(slots=True)
class Extras:
    """What travels beside the signed message in the HTTP headers of X-Road's wire."""

    content_type: str = ""  # the caller's own Content-Type, with its boundary
    soap_action: str | None = None
    request_id: str = ""  # of a SOAP message, which does not hold it
