"""Hash chains, the checking: one signed digest that stands for a message with its attachments, or for a batch of messages.

Implements X-Road's hash chain (namespace http://cyber.ee/hashchain; UG-SIGDOC and the verifier's behaviour). A step's digest is
H(DER(SEQUENCE OF SEQUENCE {digest OCTET STRING, algorithm UTF8String, transforms SEQUENCE {}})). Two readers: `quick` knows the form
in which `batch` and X-Road's servers write, and needs no XML parser; `verify` reads every chain the schema allows, and names what
does not hold. The making is `batch`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from lxml import etree

from kerege.exchange.batch import BETWEEN, ITEM_TAIL, LEFT, der, parts_digest, result_file, template
from kerege.exchange.batch import SHA512 as SHA512
from kerege.exchange.batch import Batch as Batch
from kerege.exchange.batch import HashChain as HashChain
from kerege.exchange.batch import batch as batch
from kerege.exchange.batch import of_message as of_message
from kerege.exchange.errors import HashChainInvalid, HashChainMalformed
from kerege.exchange.safexml import parse_xml

DIGESTS: Final[Mapping[str, str]] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    SHA512: "sha512",
}
_MAKERS: Final[Mapping[str, Callable[[bytes], hashlib._Hash]]] = {  # much cheaper than hashlib.new
    uri: getattr(hashlib, name) for uri, name in DIGESTS.items()
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


def digest_with(algorithm: str, data: bytes) -> bytes:
    """The digest of `data` by an XML algorithm URI."""
    make = _MAKERS.get(algorithm)
    if make is None:
        raise HashChainMalformed(reason=f"the digest algorithm {algorithm[:80]} is not known")
    return make(data).digest()


def step_digest(inputs: Sequence[tuple[bytes, str]], algorithm: str = SHA512) -> bytes:
    """The digest of one step over its inputs (digest, algorithm URI), in order."""
    items = b"".join(der(0x30, der(0x04, digest) + der(0x0C, uri.encode()) + b"\x30\x00") for digest, uri in inputs)
    return digest_with(algorithm, der(0x30, items))


# --- the quick reader: chains as `batch` (and X-Road) writes them, without an XML parser ---

_LARGEST_QUICK: Final = (
    8 * 1024
)  # ten steps and some twenty attachments; shapes are remembered, and are a stranger's choice
_DIGEST_SIZE: Final = 88  # a SHA-512 digest in base64
_SHAPE_STEP: Final = re.compile(
    rb'    <ns2:HashStep id="STEP[0-9]+">\n        <ns2:(?P<first>HashValue|StepRef|DataRef)(?:(?!</ns2:HashStep>).)*</ns2:HashStep>\n',
    re.DOTALL,
)


@lru_cache(maxsize=1024)
def _way_of(shape: bytes) -> tuple[tuple[bool, ...], int] | None:
    """The way from the leaf up the tree, and the number of parts, of the chain file that is `shape` where the digests are left out;
    None when it is not a file of our making. Cannot be wrong: the file is made anew and compared.
    """
    steps = [(match["first"], match[0]) for match in _SHAPE_STEP.finditer(shape)]
    if not 0 < len(steps) <= _MOST_STEPS:
        return None
    tree = [step for step in steps if b"<ns2:HashValue>" in step[1]]
    parts = 1 if len(tree) == len(steps) else steps[-1][1].count(b"<ns2:DataRef ")
    way = tuple(first == b"HashValue" for first, _ in tree)
    return (way[::-1], parts) if template(way, parts).replace(b"<DigestValue>%b", b"") == shape else None


def quick(chain: HashChain, message: bytes, attachments: Sequence[bytes]) -> bool:
    """Whether `chain` is in our own form, covers exactly these SHA-512 digests and gives its result.

    False says nothing but that it must be looked at in full by `verify`, which also knows why it does not hold.
    """
    if len(chain.chain) > _LARGEST_QUICK:
        return False
    first, *pieces = chain.chain.split(b"<DigestValue>", _MOST_STEPS + 64)
    found = _way_of(first + b"".join([piece[_DIGEST_SIZE:] for piece in pieces]))
    if found is None or found[1] != 1 + len(attachments):
        return False
    way, count = found
    digests = [piece[:_DIGEST_SIZE] for piece in pieces]
    if count > 1 or not way:
        at = len(digests) - count
        digest = parts_digest((message, *attachments))
        stated, digests = digests[at:], digests[:at]
        if stated != [b2a_base64(part, newline=False) for part in (message, *attachments)]:
            return False
    else:
        # one part: its own digest stands in the last step, before or after its sibling
        digest = message
        if digests.pop(-1 if way[0] else -2) != b2a_base64(message, newline=False):
            return False
    digests.reverse()
    try:
        for right, sibling in zip(way, digests, strict=True):
            other = a2b_base64(sibling, strict_mode=True)
            if len(other) != 64:
                return False
            left, over = (other, digest) if right else (digest, other)
            digest = hashlib.sha512(LEFT + left + BETWEEN + over + ITEM_TAIL).digest()
    except ValueError:
        return False
    return chain.result == result_file(digest)


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
