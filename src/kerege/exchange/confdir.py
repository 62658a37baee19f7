"""The signed directory: what is published at /internalconf, and how a node knows it is genuine, fresh and not older.

Implements X-Road PR-GCONF as the code does it: the HTTP body itself begins with a Content-Type line; the signed bytes are the
first outer part's body after its header block, up to and including the CRLF after the inner closing boundary; header names and
their case are kept, because tools look for them. Files are named by location and digest. Downloading is the node's affair.
"""

from __future__ import annotations

import base64
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from kerege.exchange import certs
from kerege.exchange.confmodel import Anchor as Anchor
from kerege.exchange.errors import ConfigurationForged, ConfigurationMalformed, HashChainMalformed
from kerege.exchange.hashchain import SHA512, digest_with
from kerege.exchange.safexml import parse_xml
from kerege.exchange.xades import ECDSA_SHA512, RSA_SHA512, PrivateKey

SHARED: Final = "SHARED-PARAMETERS"
PRIVATE: Final = "PRIVATE-PARAMETERS"
RULES: Final = "KEREGE-RULES"
MONITORING: Final = "MONITORING"
NEXT_UPDATE: Final = "NEXTUPDATE"
FETCH_INTERVAL: Final = "FETCHINTERVAL"
FILE_NAMES: Final = {
    SHARED: "shared-params.xml",
    PRIVATE: "private-params.xml",
    RULES: "kerege-rules.json",
    MONITORING: "monitoring-params.xml",
    NEXT_UPDATE: "nextupdate-params.xml",
    FETCH_INTERVAL: "fetchinterval-params.xml",
}
VERSION: Final = 6

_SIZES: Final = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_LARGEST: Final = 1024 * 1024
_MOST_PARTS: Final = 64
_BOUNDARY: Final = re.compile(r'boundary="?([^";\s]+)"?', re.IGNORECASE)
_IDENTIFIER: Final = re.compile(r"([A-Z0-9-]+)(?:;\s*instance='([^']*)')?\Z")


@dataclass(frozen=True, slots=True)
class ConfigurationPart:
    """One file named in a directory."""

    identifier: str
    instance: str
    location: str
    algorithm: str
    digest: bytes

    @property
    def generation(self) -> str:
        """The digits of the location: when this file was generated, growing from one publication to the next."""
        match = re.search(r"/V\d+/(\d+)/", self.location)
        return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory whose signature holds."""

    expires: datetime
    version: int
    parts: tuple[ConfigurationPart, ...]

    def part(self, identifier: str) -> ConfigurationPart | None:
        return next((p for p in self.parts if p.identifier == identifier), None)

    @property
    def generation(self) -> str:
        shared = self.part(SHARED)
        return shared.generation if shared else ""


def _bad(reason: str) -> ConfigurationMalformed:
    return ConfigurationMalformed(part="directory", reason=reason)


def parse_anchor(data: bytes) -> Anchor:
    """A configuration anchor. Raises ConfigurationMalformed."""
    try:
        root = parse_xml(data)
    except ValueError as problem:
        raise ConfigurationMalformed(part="anchor", reason=str(problem)) from None
    sources = []
    for node in root.findall("source"):
        url = (node.findtext("downloadURL") or "").strip()
        for cert in node.findall("verificationCert"):
            try:
                raw = base64.b64decode("".join((cert.text or "").split()), validate=True)
            except ValueError:
                raise ConfigurationMalformed(part="anchor", reason="a certificate is not base64") from None
            sources.append((url, certs.load(raw, "anchor")))
    instance = (root.findtext("instanceIdentifier") or "").strip()
    if not instance or not sources:
        raise ConfigurationMalformed(part="anchor", reason="it names no instance or no source")
    return Anchor(instance, tuple(sources))


def build_anchor(anchor: Anchor, now: datetime) -> bytes:
    sources = "".join(
        f"<source><downloadURL>{escape(url)}</downloadURL>"
        f"<verificationCert>{base64.b64encode(certs.der(cert)).decode()}</verificationCert></source>"
        for url, cert in anchor.sources
    )
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<ns3:configurationAnchor'
        ' xmlns:ns2="http://x-road.eu/xsd/identifiers" xmlns:ns3="http://x-road.eu/xsd/xroad.xsd">'
        f"<generatedAt>{_iso(now)}</generatedAt><instanceIdentifier>{escape(anchor.instance)}</instanceIdentifier>"
        f"{sources}</ns3:configurationAnchor>\n"
    ).encode()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _headers(block: bytes) -> dict[str, str]:
    out: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            if name.strip().lower() in out:
                raise _bad("a header comes twice in one part")
            out[name.strip().lower()] = value.strip()
    return out


def _boundary(value: str) -> bytes:
    match = _BOUNDARY.search(value)
    if match is None:
        raise _bad("a Content-Type names no boundary")
    return b"--" + match[1].encode()


def _signed_bytes(body: bytes) -> tuple[bytes, dict[str, str], dict[str, str], bytes]:
    """The signed bytes, the first part's headers, the signature part's headers and its content."""
    head, blank, rest = body.partition(b"\r\n\r\n")
    if not blank:
        raise _bad("it has no header")
    outer = _boundary(_headers(head).get("content-type", ""))
    pieces = (b"\r\n" + rest).split(b"\r\n" + outer)
    if len(pieces) != 4 or pieces[0].strip() or pieces[3].strip() not in {b"--"}:
        raise _bad("it does not hold exactly one content part and one signature part")
    content, signature = pieces[1], pieces[2]
    if not (content.startswith(b"\r\n") and signature.startswith(b"\r\n")):
        raise _bad("a boundary line is damaged")
    content_head, blank, signed = content[2:].partition(b"\r\n\r\n")
    signature_head, blank2, value = signature[2:].partition(b"\r\n\r\n")
    if not blank or not blank2:
        raise _bad("a part has no header")
    return signed, _headers(content_head), _headers(signature_head), value


def verify_directory(body: bytes, certificates: Sequence[x509.Certificate], source: str) -> Directory:
    """The directory in an HTTP body, when one of the anchor's certificates signed it.

    Raises ConfigurationMalformed, or ConfigurationForged when the signature does not hold. Expiry is not decided here: the
    caller has the clock.
    """
    if len(body) > _LARGEST:
        raise _bad(f"it is larger than {_LARGEST} bytes")
    signed, content, signature, value = _signed_bytes(body)
    method = signature.get("signature-algorithm-id", "")
    stated, _, algorithm_part = signature.get("verification-certificate-hash", "").partition(";")
    hash_algorithm = re.search(r'hash-algorithm-id="([^"]+)"', algorithm_part)
    if hash_algorithm is None:
        raise _bad("the signature part does not name its certificate")
    try:
        wanted, raw = base64.b64decode(stated), base64.b64decode(b"".join(value.split()), validate=True)
    except ValueError:
        raise _bad("the signature is not base64") from None
    signer = next((c for c in certificates if _digest(hash_algorithm[1], certs.der(c)) == wanted), None)
    if signer is None:
        raise ConfigurationForged(source=source, reason="it is signed with a certificate the anchor does not name")
    if not _holds(signer, method, signed, raw):
        raise ConfigurationForged(source=source, reason="its signature does not hold")
    return _parse_content(signed, content)


def unverified_directory(body: bytes) -> Directory:
    """What a directory says of itself, its signature not looked at: for whoever signed it and keeps it. Raises ConfigurationMalformed."""
    signed, content, _, _ = _signed_bytes(body)
    return _parse_content(signed, content)


def _digest(algorithm: str, data: bytes) -> bytes:
    try:
        return digest_with(algorithm, data)
    except HashChainMalformed as problem:
        raise _bad(str(problem.params["reason"])) from None


def _holds(signer: x509.Certificate, method: str, data: bytes, value: bytes) -> bool:
    match = re.search(r"#(?:(rsa|ecdsa)-sha(256|384|512)|sha(256|384|512)-rsa-MGF1)\Z", method)
    if match is None:
        return False
    algorithm, key = _SIZES[match[2] or match[3]], signer.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey) and match[3]:
            key.verify(value, data, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)
        elif isinstance(key, rsa.RSAPublicKey) and match[1] == "rsa":
            key.verify(value, data, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and match[1] == "ecdsa":
            key.verify(value, data, ec.ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _parse_content(signed: bytes, headers: dict[str, str]) -> Directory:
    inner = _boundary(headers.get("content-type", ""))
    pieces = (b"\r\n" + signed).split(b"\r\n" + inner)
    if not 4 <= len(pieces) <= _MOST_PARTS + 3 or pieces[-1].strip() != b"--":
        raise _bad("its list of files is not whole")
    first, _, _ = pieces[1].lstrip(b"\r\n").partition(b"\r\n\r\n")
    head = _headers(first)
    try:
        expires = datetime.fromisoformat(head["expire-date"])
        version = int(head.get("version", "2"))
    except (KeyError, ValueError):
        raise _bad("its expiry date or version cannot be read") from None
    if expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    parts = []
    for piece in pieces[2:-1]:
        block, _, content = piece.lstrip(b"\r\n").partition(b"\r\n\r\n")
        fields = _headers(block)
        identifier = _IDENTIFIER.match(fields.get("content-identifier", ""))
        location = fields.get("content-location", "")
        if identifier is None or not re.fullmatch(r"/[A-Za-z0-9._/-]+", location) or ".." in location:
            raise _bad("a file is not named properly")
        try:
            digest = base64.b64decode(b"".join(content.split()), validate=True)
        except ValueError:
            raise _bad("a file's digest is not base64") from None
        algorithm = fields.get("hash-algorithm-id", "")
        parts.append(ConfigurationPart(identifier[1], identifier[2] or "", location, algorithm, digest))
    return Directory(expires, version, tuple(parts))


def check_file(part: ConfigurationPart, data: bytes, source: str) -> bytes:
    """`data` unchanged when it is the file the directory names, else ConfigurationForged."""
    if _digest(part.algorithm, data) != part.digest:
        raise ConfigurationForged(source=source, reason=f"the file {part.identifier} is not the one that was signed")
    return data


def generation(now: datetime) -> str:
    """The digits of a Content-location: yyyyMMddHHmmss and nine digits of the second."""
    return now.astimezone(UTC).strftime("%Y%m%d%H%M%S") + f"{now.microsecond:06d}000"


def generated_at(generation: str) -> datetime | None:
    """The moment in the digits of a Content-location; None when they are none of `generation`'s."""
    if re.fullmatch(r"[0-9]{23}", generation) is None:
        return None
    try:
        return datetime.strptime(generation[:20], "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return None


def build_directory(
    files: Sequence[tuple[str, bytes]],
    instance: str,
    expires: datetime,
    stamp: str,
    key: PrivateKey,
    certificate: x509.Certificate,
    version: int = VERSION,
) -> tuple[bytes, dict[str, bytes]]:
    """Sign a directory over `files` (identifier, content): the HTTP body, and the files by their location.

    stamp     from `generation`; must grow from one publication to the next, nodes refuse an older one
    version   of the parameters in `files`
    """
    inner, outer = _new_boundary(), _new_boundary()
    lines = [f"--{inner}", f"Expire-date: {_iso(expires)}", f"Version: {version}", ""]
    located: dict[str, bytes] = {}
    for identifier, content in files:
        location = f"/V{version}/{stamp}/{FILE_NAMES[identifier]}"
        located[location] = content
        lines += [
            f"--{inner}",
            "Content-type: application/octet-stream",
            "Content-transfer-encoding: base64",
            f"Content-identifier: {identifier}; instance='{instance}'",
            f"Content-location: {location}",
            f"Hash-algorithm-id: {SHA512}",
            "",
            base64.b64encode(digest_with(SHA512, content)).decode(),
        ]
    signed = ("\r\n".join([*lines, f"--{inner}--"]) + "\r\n").encode()
    if isinstance(key, rsa.RSAPrivateKey):
        method, value = RSA_SHA512, key.sign(signed, padding.PKCS1v15(), hashes.SHA512())
    else:
        method, value = ECDSA_SHA512, key.sign(signed, ec.ECDSA(hashes.SHA512()))
    digest = base64.b64encode(digest_with(SHA512, certs.der(certificate))).decode()
    head = (
        f"Content-Type: multipart/related; charset=UTF-8; boundary={outer}\r\n\r\n--{outer}\r\n"
        f"Content-Type: multipart/mixed; charset=UTF-8; boundary={inner}\r\n\r\n"
    )
    tail = (
        f"\r\n--{outer}\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        f"Signature-Algorithm-Id: {method}\r\n"
        f'Verification-certificate-hash: {digest}; hash-algorithm-id="{SHA512}"\r\n\r\n'
        f"{base64.b64encode(value).decode()}\r\n--{outer}--\r\n"
    )
    return head.encode() + signed + tail.encode(), located


def _new_boundary() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(20))
