"""Hash chains: one signed digest that stands for a message with its attachments, or for a batch of messages.

Implements X-Road's hash chain (namespace http://cyber.ee/hashchain; UG-SIGDOC and the verifier's behaviour). A step's digest is
H(DER(SEQUENCE OF SEQUENCE {digest OCTET STRING, algorithm UTF8String, transforms SEQUENCE {}})). What the two XML files look like
when made here equals, byte for byte, what X-Road's servers write for a message with attachments; so the usual check is an
equality, and only other chains (batches, foreign writers) are parsed.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from kerege.exchange.errors import HashChainInvalid, HashChainMalformed
from kerege.exchange.safexml import parse_xml

SHA512: Final = "http://www.w3.org/2001/04/xmlenc#sha512"
DIGESTS: Final[Mapping[str, str]] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    SHA512: "sha512",
}
_HC: Final = "{http://cyber.ee/hashchain}"
_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_MOST_STEPS: Final = 64
RESULT_URI: Final = "/sig-hashchainresult.xml"
CHAIN_URI: Final = "/sig-hashchain.xml"
MESSAGE_URI: Final = "/message.xml"


@dataclass(frozen=True, slots=True)
class Digest:
    """A part given by its digest instead of its bytes: one that was hashed while it streamed by."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class HashChain:
    """The two files that go with a signature over a chain."""

    result: bytes
    chain: bytes


def digest_with(algorithm: str, data: bytes) -> bytes:
    """The digest of `data` by an XML algorithm URI."""
    name = DIGESTS.get(algorithm)
    if name is None:
        raise HashChainMalformed(reason=f"the digest algorithm {algorithm[:80]} is not known")
    return hashlib.new(name, data).digest()


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def step_digest(inputs: Sequence[tuple[bytes, str]], algorithm: str = SHA512) -> bytes:
    """The digest of one step over its inputs (digest, algorithm URI), in order."""
    items = b"".join(_der(0x30, _der(0x04, digest) + _der(0x0C, uri.encode()) + b"\x30\x00") for digest, uri in inputs)
    return digest_with(algorithm, _der(0x30, items))


_HEAD: Final = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    b'<ns2:HashChain xmlns="http://www.w3.org/2000/09/xmldsig#" xmlns:ns2="http://cyber.ee/hashchain">\n'
    b'    <ns2:DefaultDigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/>\n'
    b'    <ns2:HashStep id="STEP0">\n'
)
_REF: Final = b'        <ns2:DataRef URI="%b">\n            <DigestValue>%b</DigestValue>\n        </ns2:DataRef>\n'
_TAIL: Final = b"    </ns2:HashStep>\n</ns2:HashChain>\n"
_RESULT: Final = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    b'<ns2:HashChainResult URI="/sig-hashchain.xml#STEP0" xmlns="http://www.w3.org/2000/09/xmldsig#"'
    b' xmlns:ns2="http://cyber.ee/hashchain">\n'
    b'    <DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/>\n'
    b"    <DigestValue>%b</DigestValue>\n"
    b"</ns2:HashChainResult>\n"
)


def of_message(message_digest: bytes, attachment_digests: Sequence[bytes]) -> HashChain:
    """The chain over one message and its attachments, from their SHA-512 digests."""
    digests = [message_digest, *attachment_digests]
    refs = [
        _REF % (b"/message.xml" if i == 0 else b"/attachment%d" % i, base64.b64encode(d)) for i, d in enumerate(digests)
    ]
    whole = step_digest([(d, SHA512) for d in digests])
    return HashChain(_RESULT % base64.b64encode(whole), b"".join((_HEAD, *refs, _TAIL)))


@dataclass(frozen=True, slots=True)
class _Step:
    digest_method: str
    inputs: tuple[tuple[str, str, bytes], ...]  # kind ("value" | "step" | "data"), URI, digest


def _text(node: etree._Element | None) -> bytes:
    if node is None or node.text is None:
        raise HashChainMalformed(reason="a digest value is missing")
    try:
        return base64.b64decode(re.sub(r"\s+", "", node.text), validate=True)
    except ValueError:
        raise HashChainMalformed(reason="a digest value is not base64") from None


def _method(node: etree._Element | None, default: str | None) -> str:
    if node is None:
        if default is None:
            raise HashChainMalformed(reason="a digest method is missing")
        return default
    return str(node.get("Algorithm") or "")


def _only(node: etree._Element, allowed: tuple[str, ...]) -> None:
    for child in node:
        if child.tag not in allowed:
            raise HashChainMalformed(reason="it holds an element the schema does not know")


def _parse_chain(data: bytes) -> dict[str, _Step]:
    try:
        root = parse_xml(data)
    except ValueError as problem:
        raise HashChainMalformed(reason=str(problem)) from None
    if root.tag != _HC + "HashChain":
        raise HashChainMalformed(reason="its root is not HashChain")
    _only(root, (_HC + "DefaultDigestMethod", _HC + "DefaultTransforms", _HC + "HashStep"))
    if root.find(_HC + "DefaultTransforms") is not None:
        raise HashChainMalformed(reason="transforms are not used here")
    default = _method(root.find(_HC + "DefaultDigestMethod"), None)
    steps: dict[str, _Step] = {}
    for node in root.findall(_HC + "HashStep"):
        name = node.get("id") or ""
        if not name or name in steps or not len(node):
            raise HashChainMalformed(reason="a step has no identifier, a used one, or no inputs")
        inputs: list[tuple[str, str, bytes]] = []
        for child in node:
            if child.tag == _HC + "HashValue":
                _only(child, (_DS + "DigestMethod", _DS + "DigestValue"))
                if child.find(_DS + "DigestMethod") is not None:
                    raise HashChainMalformed(reason="a digest method of its own inside a value is not used here")
                inputs.append(("value", default, _text(child.find(_DS + "DigestValue"))))
            elif child.tag == _HC + "StepRef":
                inputs.append(("step", str(child.get("URI") or ""), b""))
            elif child.tag == _HC + "DataRef":
                _only(child, (_DS + "DigestMethod", _DS + "DigestValue"))
                _method(child.find(_DS + "DigestMethod"), default)
                inputs.append(("data", str(child.get("URI") or ""), _text(child.find(_DS + "DigestValue"))))
            else:
                raise HashChainMalformed(reason="it holds an element the schema does not know")
        steps[name] = _Step(default, tuple(inputs))
    return steps


def verify(
    result: bytes,
    inputs: Mapping[str, bytes | Digest],
    chain_of: Callable[[str], bytes | None],
    *,
    attachments_kept: bool = True,
) -> None:
    """Check that the digest in `result` follows from the chain and that the chain covers exactly `inputs`.

    inputs     URI -> bytes (or digest) of every part that must be covered ("/message.xml", "/attachment1", ...)
    chain_of   gives the chain file for the path part of a URI ("/sig-hashchain.xml"), or None
    attachments_kept   False for containers of SOAP messages, which keep their attachments' digests only: an attachment that
                       is not there then counts with the digest the chain states

    Raises HashChainMalformed or HashChainInvalid. Every data reference must resolve and every input must be used.
    """
    try:
        root = parse_xml(result)
    except ValueError as problem:
        raise HashChainMalformed(reason=str(problem)) from None
    if root.tag != _HC + "HashChainResult":
        raise HashChainMalformed(reason="its root is not HashChainResult")
    method = _method(root.find(_DS + "DigestMethod"), None)
    expected = _text(root.find(_DS + "DigestValue"))
    used: set[str] = set()
    files: dict[str, dict[str, _Step]] = {}
    budget = [_MOST_STEPS]

    def resolve(uri: str, base: str) -> bytes:
        budget[0] -= 1
        if budget[0] < 0:
            raise HashChainMalformed(reason=f"it has more than {_MOST_STEPS} steps")
        path, _, name = uri.partition("#")
        path = path or base
        if path not in files:
            data = chain_of(path)
            if data is None:
                raise HashChainInvalid(check="reference", reason="a step refers to a chain that is not there")
            files[path] = _parse_chain(data)
        step = files[path].get(name)
        if step is None:
            raise HashChainInvalid(check="reference", reason="a step refers to a step that is not there")
        digests: list[tuple[bytes, str]] = []
        for kind, value, stated in step.inputs:
            if kind == "value":
                digests.append((stated, step.digest_method))
            elif kind == "step":
                digests.append((resolve(value, path), step.digest_method))
            else:
                part = inputs.get(value)
                if part is None and not attachments_kept and value.startswith("/attachment"):
                    digests.append((stated, step.digest_method))
                    continue
                if part is None:
                    raise HashChainInvalid(check="reference", reason="a part named in the chain did not come")
                if isinstance(part, Digest):
                    if part.algorithm != step.digest_method:
                        raise HashChainInvalid(check="algorithm", reason="a part was hashed with another algorithm")
                    found = part.value
                else:
                    found = digest_with(step.digest_method, part)
                if found != stated:
                    raise HashChainInvalid(check="digest", reason=f"the digest of {value[:40]} differs")
                used.add(value)
                digests.append((found, step.digest_method))
        return step_digest(digests, step.digest_method)

    computed = resolve(str(root.get("URI") or ""), CHAIN_URI)
    if method not in DIGESTS or computed != expected:
        raise HashChainInvalid(check="result", reason="the result differs from what the chain gives")
    unused = set(inputs) - used
    if unused:
        raise HashChainInvalid(
            check="unused inputs", reason=f"{len(unused)} part(s) came that the signature does not cover"
        )
