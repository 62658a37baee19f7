"""Management requests on the wire: the multipart around the SOAP message, taken apart and put together.

Implements the transfer form of X-Road PR-MSERV: `multipart/related` with the SOAP part first, then signatures (octet-stream with the
part header `signature-algorithm-ID`), certificates and OCSP answer; six parts for authCertReg, four for the rest, or the SOAP
message alone. Bounded: parts, headers and size are counted before anything is looked at.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from kerege.exchange.management import LARGEST, invalid
from kerege.exchange.management_proof import Signature, Submission

_BOUNDARY: Final = re.compile(r';\s*boundary="?([A-Za-z0-9\'()+_,./:=?-]{1,70})"?', re.IGNORECASE)
_ALGORITHM: Final = "signature-algorithm-id"
_LARGEST_HEAD: Final = 4096


def split(content_type: str, body: bytes) -> Submission:
    """The submission in an HTTP body. Raises ManagementRequestInvalid."""
    if len(body) > LARGEST:
        raise invalid(f"it is larger than {LARGEST} bytes")
    media = content_type.partition(";")[0].strip().lower()
    if media == "text/xml":
        return Submission(body)
    boundary = _BOUNDARY.search(content_type)
    if media != "multipart/related" or boundary is None:
        raise invalid("its Content-Type is neither text/xml nor multipart/related with a boundary")
    parts = _parts(body, b"--" + boundary[1].encode())
    kinds = [head.get("content-type", "").partition(";")[0].strip().lower() for head, _ in parts]
    if kinds[0] != "text/xml" or any(kind != "application/octet-stream" for kind in kinds[1:]):
        raise invalid("its parts are not a text/xml and octet-streams")
    contents = [content for _, content in parts]
    algorithms = [head.get(_ALGORITHM) for head, _ in parts]
    if len(parts) == 4:
        owner = _signature(algorithms[1], contents[1], contents[2])
        return Submission(contents[0], owner, contents[3])
    if len(parts) == 6:
        auth = _signature(algorithms[1], contents[1], contents[3])
        owner = _signature(algorithms[2], contents[2], contents[4])
        return Submission(contents[0], owner, contents[5], auth)
    raise invalid(f"it has {len(parts)} parts; four, or six for an authCertReg, are expected")


def _signature(algorithm: str | None, value: bytes, certificate: bytes) -> Signature:
    if not algorithm:
        raise invalid("a signature part does not name its algorithm")
    return Signature(algorithm, value, certificate)


def _parts(body: bytes, boundary: bytes) -> list[tuple[dict[str, str], bytes]]:
    pieces = (b"\r\n" + body).split(b"\r\n" + boundary)
    if len(pieces) < 3 or len(pieces) > 10 or not pieces[-1].startswith(b"--"):
        raise invalid("its multipart is not whole")
    out = []
    for piece in pieces[1:-1]:
        head, blank, content = piece.partition(b"\r\n\r\n")
        if not blank or not head.startswith(b"\r\n") or len(head) > _LARGEST_HEAD:
            raise invalid("a part has no proper header")
        out.append((_head(head), content))
    return out


def _head(block: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in block.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            continue
        if name.strip().lower() in found:
            raise invalid("a part's header comes twice")
        found[name.strip().lower()] = value.strip()
    return found


def join(submission: Submission) -> tuple[str, bytes]:
    """Content-Type and body that carry `submission`; `split` gives it back."""
    if submission.owner is None:
        return "text/xml; charset=UTF-8", submission.soap
    boundary = "mgmt" + secrets.token_hex(12)
    signatures = [submission.owner] if submission.auth is None else [submission.auth, submission.owner]
    lines = [b"Content-Type: text/xml; charset=UTF-8\r\n\r\n" + submission.soap]
    for one in signatures:
        head = f"Content-Type: application/octet-stream\r\nsignature-algorithm-ID: {one.algorithm}\r\n\r\n"
        lines.append(head.encode() + one.value)
    rest = [*(one.certificate for one in signatures), submission.ocsp or b""]
    lines += [b"Content-Type: application/octet-stream\r\n\r\n" + content for content in rest]
    mark = f"--{boundary}".encode()
    body = b"".join(mark + b"\r\n" + line + b"\r\n" for line in lines) + mark + b"--\r\n"
    return f"multipart/related; charset=UTF-8; boundary={boundary}", body
