"""What others say of what is made here: xmlsec1 of our signatures, the published schemas of our XML, openssl of our OCSP answers.

The configuration's parts are held against their schemas in `test_globalconf`.
"""

import hashlib
import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from kerege.exchange import asic, faults
from kerege.exchange.batch import batch
from kerege.exchange.errors import AccessDenied, ServiceUnknown
from kerege.exchange.ids import ClientId, DataServiceId, MemberId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.ocsp import request_for
from kerege.exchange.pki import KeyPair, TestAuthority
from kerege.exchange.xades import Signed, Signer

from .conftest import NOW

MEMBER = MemberId("KG", "GOV", "70000003")
PARTS = {"/message.xml": b"message", "/attachment1": b"body", "/attachment2": b"another"}


def sha(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"not there: {name}")
    return found


@pytest.fixture(scope="module", params=["ec", "rsa"])
def pair(request: pytest.FixtureRequest, authority: TestAuthority) -> KeyPair:
    return authority.sign_certificate(MEMBER, "A & B", "node-edu", NOW, request.param)


def made(authority: TestAuthority, pair: KeyPair, style: str, parts: int) -> Signed:
    signer = Signer(pair.key, pair.certificate, style=style)
    signer.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    message, *attachments = [sha(data) for data in list(PARTS.values())[:parts]]
    return signer.sign(message, attachments, NOW)


# --- xmlsec1 ---


def xmlsec(
    folder: Path, authority: TestAuthority, xml: bytes, files: dict[str, bytes]
) -> subprocess.CompletedProcess[str]:
    """Let xmlsec1 verify `xml`, whose references name `files` by URIs that it is told to look for in `folder`."""
    program = tool("xmlsec1")
    (folder / "signatures.xml").write_bytes(xml)
    (folder / "ca.pem").write_bytes(authority.ca.certificate.public_bytes(Encoding.PEM))
    arguments = [program, "--verify", "--trusted-pem", str(folder / "ca.pem")]
    for uri, data in files.items():
        path = folder / uri.strip("/")
        path.write_bytes(data)
        arguments += [f"--url-map:{uri}", str(path)]
    arguments += ["--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties"]
    when = NOW.strftime("%Y-%m-%d %H:%M:%S")
    arguments += ["--verification-gmt-time", when]
    return subprocess.run([*arguments, str(folder / "signatures.xml")], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("style", "parts"), [("chain", 1), ("chain", 3), ("parts", 1), ("parts", 3)])
def test_xmlsec1_accepts_our_signatures_in_both_styles(
    tmp_path: Path, authority: TestAuthority, pair: KeyPair, style: str, parts: int
) -> None:
    signed = made(authority, pair, style, parts)
    files = dict(list(PARTS.items())[:parts])
    if signed.chain is not None:
        files = {"/sig-hashchainresult.xml": signed.chain.result}
    said = xmlsec(tmp_path, authority, signed.xml, files)
    assert said.returncode == 0, said.stderr
    assert f"SignedInfo References (ok/all): {len(files) + 1}/{len(files) + 1}" in said.stdout + said.stderr


def test_xmlsec1_refuses_another_message(tmp_path: Path, authority: TestAuthority, pair: KeyPair) -> None:
    said = xmlsec(tmp_path, authority, made(authority, pair, "chain", 1).xml, {"/message.xml": b"Message"})
    assert said.returncode != 0


def test_xmlsec1_accepts_a_batch_signature_for_every_message(
    tmp_path: Path, authority: TestAuthority, pair: KeyPair
) -> None:
    signer = Signer(pair.key, pair.certificate)
    signer.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    signed = signer.sign_batch([(sha(bytes([n])), ()) for n in range(5)], NOW)
    assert signed[3].batch is not None
    said = xmlsec(tmp_path, authority, signed[3].xml, {"/sig-hashchainresult.xml": signed[3].batch.result})
    assert said.returncode == 0, said.stderr


# --- schemas ---

Validate = Callable[[str, bytes], None]


@pytest.fixture(scope="session")
def validate(vectors: Path) -> Validate:
    known: dict[str, etree.XMLSchema] = {}

    def check(schema: str, xml: bytes) -> None:
        if schema not in known:
            known[schema] = etree.XMLSchema(etree.parse(str(vectors / schema)))
        known[schema].assertValid(etree.fromstring(xml))

    return check


@pytest.mark.vectors
@pytest.mark.parametrize("parts", [1, 3])
def test_hash_chains_are_valid_by_x_roads_schema(validate: Validate, parts: int) -> None:
    tree = batch([(sha(bytes([n])), [sha(b"a")] * (parts - 1)) for n in range(11)])
    validate("hashchain/hashchain.xsd", tree.result)
    for index in range(len(tree)):
        validate("hashchain/hashchain.xsd", tree.chain(index))


@pytest.mark.vectors
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("style", ["chain", "parts"])
def test_signatures_are_valid_by_the_schemas_of_xml_signatures_and_xades(
    validate: Validate, authority: TestAuthority, pair: KeyPair, style: str, parts: int
) -> None:
    root = etree.fromstring(made(authority, pair, style, parts).xml)
    signature = root if style == "parts" else root[0]
    validate("hashchain/xmldsig-core-schema.xsd", etree.tostring(signature))
    (properties,) = signature.iter("{http://uri.etsi.org/01903/v1.3.2#}QualifyingProperties")
    if style == "parts":
        # the schema at hand is XAdES 1.3.2; what came with EN 319 132-1 goes by the name it had before, in its old form
        text = etree.tostring(properties)
        text = text.replace(b"SigningCertificateV2", b"SigningCertificate")
        old = b"<ds:X509IssuerName>CN=x</ds:X509IssuerName><ds:X509SerialNumber>1</ds:X509SerialNumber>"
        text = re.sub(
            b"<xades:IssuerSerialV2>[^<]+</xades:IssuerSerialV2>",
            b"<xades:IssuerSerial>" + old + b"</xades:IssuerSerial>",
            text,
        )
        properties = etree.fromstring(text)
    validate("hashchain/xades-schema.xsd", etree.tostring(properties))


@pytest.mark.vectors
def test_a_signature_with_intermediates_is_valid_by_the_schemas(
    validate: Validate, authority: TestAuthority, pair: KeyPair
) -> None:
    signer = Signer(pair.key, pair.certificate, intermediates=[authority.ca.certificate])
    signer.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    root = etree.fromstring(signer.sign(sha(b"m"), (), NOW).xml)
    (properties,) = root.iter("{http://uri.etsi.org/01903/v1.3.2#}QualifyingProperties")
    validate("hashchain/xades-schema.xsd", etree.tostring(properties))


def test_the_manifest_of_a_container_lists_what_is_in_it_in_open_documents_form(
    authority: TestAuthority, pair: KeyPair
) -> None:
    """No schema is at hand for it: its form is held by its elements and by X-Road's own containers' (test_asic)."""
    signed = made(authority, pair, "chain", 2)
    record = LogRecord(
        NOW, "request", "client", "id-1", "request-1", ClientId.parse("KG/GOV/70000003/emis"),
        DataServiceId.parse("KG/GOV/70000002/population/persons"), b"message", b"body", signed.xml, signed.chain,
    )  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(asic.container(record))) as archive:
        root = etree.fromstring(archive.read("META-INF/manifest.xml"))
        names = set(archive.namelist())
    ns = "{urn:oasis:names:tc:opendocument:xmlns:manifest:1.0}"
    assert root.tag == ns + "manifest"
    assert root.get(ns + "version") == "1.2"
    entries = [node.get(ns + "full-path") for node in root]
    assert entries[0] == "/"
    assert {"message.xml", "sig-hashchain.xml", "sig-hashchainresult.xml", "attachment1"} <= set(entries[1:]) <= names


def test_soap_faults_have_soap_1_1s_form() -> None:
    for error in (
        AccessDenied(client="a<b", service="c&d", reason="no right"),
        ServiceUnknown(service="x", reason="y"),
    ):
        root = etree.fromstring(faults.to_soap(faults.fault_of(error, faults.SERVER_PROXY)))
        ns = "{http://schemas.xmlsoap.org/soap/envelope/}"
        (fault,) = root.iter(ns + "Fault")
        assert [node.tag for node in root] == [ns + "Body"]
        # faultcode, faultstring, faultactor?, detail?, in this order and without a namespace (SOAP 1.1, section 4.4)
        assert [node.tag for node in fault] == ["faultcode", "faultstring", "detail"]


# --- openssl ---


def test_openssl_accepts_our_ocsp_answers(tmp_path: Path, authority: TestAuthority, pair: KeyPair) -> None:
    program = tool("openssl")
    now = datetime.now(UTC)
    answers = {
        "good": authority.ocsp_response(pair.certificate, now),
        "revoked": authority.ocsp_response(pair.certificate, now, now - timedelta(days=1)),
    }
    (tmp_path / "ca.pem").write_bytes(authority.ca.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "cert.pem").write_bytes(pair.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "request.der").write_bytes(request_for(pair.certificate, authority.ca.certificate))
    for status, answer in answers.items():
        (tmp_path / "answer.der").write_bytes(answer)
        said = subprocess.run(
            [program, "ocsp", "-respin", str(tmp_path / "answer.der"), "-issuer", str(tmp_path / "ca.pem"),
             "-cert", str(tmp_path / "cert.pem"), "-CAfile", str(tmp_path / "ca.pem"), "-no_nonce",
             "-validity_period", "300"],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert "Response verify OK" in said.stdout + said.stderr, said.stderr
        assert f": {status}" in said.stdout
    asked = subprocess.run(
        [program, "ocsp", "-reqin", str(tmp_path / "request.der"), "-req_text"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"{pair.certificate.serial_number:X}" in asked.stdout
