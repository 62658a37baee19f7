"""ASiC-E containers: one logged message with all that proves it, as a file any X-Road verifier opens.

Implements X-Road's container layout (UG-SIGDOC): mimetype first, message.xml, the signature, the hash chain files when the signature
is over one, the batch time-stamp's hash chain files, an OpenDocument manifest, the ASiC manifest and the token of the time-stamp, the
REST body as attachment1; the media type also as ZIP comment. SOAP attachments, and bodies the log holds by digest only, are not in it.
A container is judged at the time of its time-stamp when it has one. `timestamps` and `tschain` check the stamp, `trust` the signer.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from datetime import UTC
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from kerege.exchange import timestamps, tschain
from kerege.exchange.errors import SignatureMalformed, TimestampInvalid
from kerege.exchange.hashchain import SHA512, Digest, HashChain
from kerege.exchange.ids import MemberId
from kerege.exchange.logrecord import SOAP, LogRecord
from kerege.exchange.timestamps import Stamp
from kerege.exchange.trust import Trust
from kerege.exchange.xades_verify import SignatureFacts, verify

MEDIA_TYPE: Final = "application/vnd.etsi.asic-e+zip"
_LARGEST: Final = 256 * 1024 * 1024
_MOST_FILES: Final = 1000
_LONGEST_ID: Final = 226
_MANIFEST_NS: Final = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
_TOKEN: Final = "META-INF/timestamp.tst"  # noqa: S105 - a file name
_DIGEST_FILE: Final = "message.xml.sha512"
_HEX: Final = re.compile(rb"[0-9a-f]{128}")
_ASIC_MANIFEST: Final = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
    b'<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/2918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
    b'<asic:SigReference URI="META-INF/timestamp.tst" MimeType="vnd.etsi.timestamp-token"/>'
    b'<asic:DataObjectReference URI="ts-hashchainresult.xml" MimeType="text/xml">'
    b'<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/><ds:DigestValue>%b</ds:DigestValue>'
    b"</asic:DataObjectReference></asic:ASiCManifest>"
)


@dataclass(frozen=True, slots=True)
class BatchStamp:
    """The time-stamp of one record: the token, and the chain from the record's signature to what the token stamps."""

    token: bytes
    chain: HashChain


def name_of(record: LogRecord) -> str:
    """The file name of a record's container: its message identifier escaped, its direction, and what tells it from others.

    The last part is base32 of a digest of the record, so a record has the same name whenever its container is made.
    """
    unique = hashlib.sha512(
        b"\0".join((record.signature, record.message, record.request_id.encode(), record.side.encode()))
    ).digest()
    escaped = quote(record.message_id, safe="")[:_LONGEST_ID]
    return f"{escaped}-{record.direction}-{base64.b32encode(unique)[:10].decode()}.asice"


def container(record: LogRecord, stamp: BatchStamp | None = None) -> bytes:
    """The container of one logged message; equal records give equal bytes.

    Of a SOAP message whose body is not kept there is the digest of what was signed, in hexadecimal, in place of the message: what is left of
    it is not what was signed, and would look like a forgery.
    """
    files: list[tuple[str, bytes, str]] = [
        ("message.xml", record.message, "text/xml")
        if record.signed_digest is None
        else (_DIGEST_FILE, record.signed_digest.hex().encode(), "text/plain"),
        ("META-INF/signatures.xml", record.signature, ""),
    ]
    if record.chain is not None:
        files.append(("sig-hashchainresult.xml", record.chain.result, "text/xml"))
        files.append(("sig-hashchain.xml", record.chain.chain, "text/xml"))
    if stamp is not None:
        files.append((tschain.RESULT_FILE, stamp.chain.result, "text/xml"))
        files.append((tschain.CHAIN_FILE, stamp.chain.chain, "text/xml"))
    body = (
        None if record.body is None or record.kind == SOAP else ("attachment1", record.body, "application/octet-stream")
    )
    files.append(("META-INF/manifest.xml", _manifest([*files, body] if body else files), ""))
    if stamp is not None:
        digest = base64.b64encode(hashlib.sha512(stamp.chain.result).digest())
        files.append(("META-INF/ASiCManifest.xml", _ASIC_MANIFEST % digest, ""))
        files.append((_TOKEN, stamp.token, ""))
    if body is not None:
        files.append(body)
    out = io.BytesIO()
    when = record.time.astimezone(UTC).timetuple()[:6]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [("mimetype", MEDIA_TYPE.encode()), *((n, d) for n, d, _ in files)]:
            info = zipfile.ZipInfo(name, when)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
        archive.comment = f"mimetype={MEDIA_TYPE}".encode()
    return out.getvalue()


def _manifest(files: list[tuple[str, bytes, str]]) -> bytes:
    entries = [("/", MEDIA_TYPE), *((name, kind) for name, _, kind in files if kind)]
    lines = "".join(
        f"<manifest:file-entry manifest:full-path={quoteattr(name)} manifest:media-type={quoteattr(kind)}/>"
        for name, kind in entries
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="no"?>'
        f'<manifest:manifest xmlns:manifest="{_MANIFEST_NS}" manifest:version="1.2">{lines}</manifest:manifest>'
    ).encode()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A container that holds: who signed it, and when it was stamped (None: it is not)."""

    facts: SignatureFacts
    member: MemberId
    stamp: Stamp | None


@dataclass(frozen=True, slots=True)
class Container:
    """A container read back."""

    message: bytes
    attachments: tuple[bytes, ...]
    signature: bytes
    chain: HashChain | None
    stamp_chain: HashChain | None = None
    token: bytes | None = None
    message_digest: bytes | None = None  # SHA-512 of the message, where that is not there

    def verify(self, *, bodies: bool = True) -> SignatureFacts:
        """Check the signature over the message and its attachments; the signer's standing is `trust.Trust.signer`.

        bodies   False: a REST body that is not in the container counts with the digest the chain states, a SOAP message with the one
                 in the container
        """
        message: bytes | Digest = self.message
        if self.message_digest is not None:
            if bodies:
                raise SignatureMalformed(
                    reason="the container holds the message's digest only: its body was not logged (--without-bodies counts it by that)"
                )
            message = Digest(SHA512, self.message_digest)
        # a chain the signature does not refer to proves nothing and harms nothing; X-Road's verifier lets it be, too
        chain = self.chain if b"/sig-hashchainresult.xml" in self.signature else None
        soap = self.message_digest is not None or self.message.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(
            b"<"
        )  # its attachments are kept as digests only
        return verify(
            self.signature,
            message,
            self.attachments,
            chain,
            attachments_kept=not soap and (bodies or bool(self.attachments)),
        )

    def check_stamp(self, trust: Trust) -> Stamp | None:
        """What the time-stamp says, None without one. Raises TimestampInvalid, HashChainInvalid or HashChainMalformed."""
        authorities = trust.shared.timestamping
        if self.stamp_chain is not None:
            if self.token is None:
                raise TimestampInvalid(check="token", reason="its hash chain came without it")
            tschain.check_chain(self.stamp_chain, self.signature)
            return timestamps.check_token(self.token, self.stamp_chain.result, authorities)
        inside = timestamps.stamped_signature(self.signature)
        return None if inside is None else timestamps.check_token(*inside, authorities)

    def check(self, trust: Trust, *, bodies: bool = True) -> Verdict:
        """Everything a container proves, at the time of its stamp (of its signing, without one). Raises the check that failed."""
        facts = self.verify(bodies=bodies)
        stamp = self.check_stamp(trust)
        return Verdict(facts, trust.signer(facts, facts.signing_time if stamp is None else stamp.time), stamp)


def read(data: bytes) -> Container:
    """Open a container. Raises SignatureMalformed when it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if (
                len(names) > _MOST_FILES
                or len(names) != len(set(names))
                or sum(i.file_size for i in archive.infolist()) > _LARGEST
            ):
                raise SignatureMalformed(
                    reason="the container holds a name twice, too many, or is too large when unpacked"
                )

            def get(name: str) -> bytes | None:
                return archive.read(name) if name in names else None

            message, signature, token = get("message.xml"), get("META-INF/signatures.xml"), get(_TOKEN)
            said = get(_DIGEST_FILE)
            result, chain = get("sig-hashchainresult.xml"), get("sig-hashchain.xml")
            ts_result, ts_chain = get(tschain.RESULT_FILE), get(tschain.CHAIN_FILE)
            attachments: list[bytes] = []
            while (part := get(f"attachment{len(attachments) + 1}")) is not None:
                attachments.append(part)
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError, ValueError):
        # zipfile says NotImplementedError of a compression it does not know, RuntimeError of an entry that is encrypted
        raise SignatureMalformed(reason="it is not a ZIP container") from None
    digest = None
    if message is None and said is not None and _HEX.fullmatch(said):
        message, digest = b"", bytes.fromhex(said.decode())
    if message is None or signature is None:
        raise SignatureMalformed(reason="the container holds no message or no signature")
    both = None if result is None or chain is None else HashChain(result, chain)
    stamped = None if ts_result is None or ts_chain is None else HashChain(ts_result, ts_chain)
    return Container(message, tuple(attachments), signature, both, stamped, token, digest)
