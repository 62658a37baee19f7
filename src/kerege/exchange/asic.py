"""ASiC-E containers: one logged message with all that proves it, as a file any X-Road verifier opens.

Implements X-Road's container layout (UG-SIGDOC): mimetype first, message.xml, the signature, the hash chain files when the signature
is over one, the body as attachment1, an OpenDocument manifest; the media type also as ZIP comment. Time-stamps are not in yet.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import UTC
from typing import Final
from xml.sax.saxutils import quoteattr

from kerege.exchange.errors import SignatureMalformed
from kerege.exchange.hashchain import HashChain
from kerege.exchange.messagelog import LogRecord
from kerege.exchange.xades_verify import SignatureFacts, verify

MEDIA_TYPE: Final = "application/vnd.etsi.asic-e+zip"
_LARGEST: Final = 256 * 1024 * 1024
_MANIFEST_NS: Final = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"


def container(record: LogRecord) -> bytes:
    """The container of one logged message; equal records give equal bytes."""
    files: list[tuple[str, bytes, str]] = [
        ("message.xml", record.message, "text/xml"),
        ("META-INF/signatures.xml", record.signature, ""),
    ]
    if record.chain is not None:
        files.append(("sig-hashchainresult.xml", record.chain.result, "application/hash-chain-result"))
        files.append(("sig-hashchain.xml", record.chain.chain, "application/hash-chain"))
    if record.body is not None:
        files.append(("attachment1", record.body, "application/octet-stream"))
    files.insert(2 + 2 * (record.chain is not None), ("META-INF/manifest.xml", _manifest(files), ""))
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
class Container:
    """A container read back."""

    message: bytes
    attachments: tuple[bytes, ...]
    signature: bytes
    chain: HashChain | None

    def verify(self) -> SignatureFacts:
        """Check the signature over the message and its attachments; the signer's standing is `trust.Trust.signer`."""
        # a chain the signature does not refer to proves nothing and harms nothing; X-Road's verifier lets it be, too
        chain = self.chain if b"/sig-hashchainresult.xml" in self.signature else None
        soap = self.message.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")  # its attachments are kept as digests only
        return verify(self.signature, self.message, self.attachments, chain, attachments_kept=not soap)


def read(data: bytes) -> Container:
    """Open a container. Raises SignatureMalformed when it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if len(names) != len(set(names)) or sum(i.file_size for i in archive.infolist()) > _LARGEST:
                raise SignatureMalformed(reason="the container holds a name twice, or is too large when unpacked")

            def get(name: str) -> bytes | None:
                return archive.read(name) if name in names else None

            message, signature = get("message.xml"), get("META-INF/signatures.xml")
            result, chain = get("sig-hashchainresult.xml"), get("sig-hashchain.xml")
            attachments: list[bytes] = []
            while (part := get(f"attachment{len(attachments) + 1}")) is not None:
                attachments.append(part)
    except (zipfile.BadZipFile, OSError, EOFError):
        raise SignatureMalformed(reason="it is not a ZIP container") from None
    if message is None or signature is None:
        raise SignatureMalformed(reason="the container holds no message or no signature")
    both = None if result is None or chain is None else HashChain(result, chain)
    return Container(message, tuple(attachments), signature, both)
