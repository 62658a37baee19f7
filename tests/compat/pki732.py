"""Keys, certificates, OCSP answers and a version 2 configuration folder, as a live X-Road 7.3.2 pair was run with.

Read off the captures (`live-7.3.2/globalconf`, the certificates within the signatures): RSA 2048, SHA-256, subjects of the Ejbca
profile, authCertHash SHA-1, configurationVersion 2. Nothing of the node's own code makes or reads anything here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

EJBCA = "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider"
DN = dict[ObjectIdentifier, str]


def usage(**on: bool) -> x509.KeyUsage:
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    names += ["key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{name: on.get(name, False) for name in names})


@dataclass
class Pair:
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def sha1(self) -> bytes:
        return hashlib.sha1(self.der, usedforsecurity=False).digest()

    def save(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        key = folder / f"{name}.key"
        key.touch(0o600)
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (folder / f"{name}.pem").write_bytes(self.certificate.public_bytes(Encoding.PEM))


def make(subject: DN, issuer: Pair | None, use: x509.KeyUsage, *, ca: bool = False, purposes: tuple = ()) -> Pair:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject.items()])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3000))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(use, critical=True)
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return Pair(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))


class Authority:
    """The approved authority with its responder."""

    def __init__(self, **more: str) -> None:
        self.dn: DN = {NameOID.COUNTRY_NAME: "EE", NameOID.ORGANIZATION_NAME: more.get("organisation", "Peer")}
        root = {**self.dn, NameOID.COMMON_NAME: "Peer Root CA"}
        self.ca = make(root, None, usage(digital_signature=True, key_cert_sign=True, crl_sign=True), ca=True)
        ocsp_dn = {NameOID.COUNTRY_NAME: "EE", NameOID.COMMON_NAME: "Peer OCSP"}
        purposes = (ExtendedKeyUsageOID.OCSP_SIGNING,)
        self.responder = make(ocsp_dn, self.ca, usage(digital_signature=True), purposes=purposes)

    def signing(self, member: str) -> Pair:
        dn = {NameOID.COUNTRY_NAME: "EE", NameOID.ORGANIZATION_NAME: "BUSINESS", NameOID.COMMON_NAME: member}
        return make(dn, self.ca, usage(content_commitment=True))

    def authentication(self, name: str) -> Pair:
        """As X-Road's own code demands of one: where purposes are listed, client authentication is among them, no more."""
        dn = {NameOID.COUNTRY_NAME: "EE", NameOID.ORGANIZATION_NAME: "BUSINESS", NameOID.COMMON_NAME: name}
        use = usage(digital_signature=True, key_encipherment=True, data_encipherment=True)
        return make(dn, self.ca, use, purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,))

    def answer(self, certificate: x509.Certificate, when: datetime | None = None) -> bytes:
        """A good OCSP answer. As seen live its thisUpdate lies a day ahead of producedAt; it has no nextUpdate."""
        when = when or datetime.now(UTC)
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=certificate,
                issuer=self.ca.certificate,
                algorithm=hashes.SHA1(),
                cert_status=ocsp.OCSPCertStatus.GOOD,
                this_update=when + timedelta(days=1),
                next_update=None,
                revocation_time=None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.NAME, self.responder.certificate)
            .certificates([self.responder.certificate])
        )
        return builder.sign(self.responder.key, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass
class Server:
    """A security server of the configuration."""

    owner: str
    code: str
    address: str
    auth: Pair


def shared_params(authority: Authority, ocsp_url: str, servers: list[Server]) -> str:
    def b64(pair: Pair) -> str:
        return base64.b64encode(pair.der).decode()

    members = "".join(
        f'<member id="m{n}"><memberClass><code>BUSINESS</code><description>x</description></memberClass>'
        f"<memberCode>{s.owner}</memberCode><name>{s.owner}</name>"
        f'<subsystem id="s{n}"><subsystemCode>sub</subsystemCode></subsystem></member>'
        for n, s in enumerate(servers)
    )
    listed = "".join(
        f"<securityServer><owner>m{n}</owner><serverCode>{s.code}</serverCode><address>{s.address}</address>"
        f"<authCertHash>{base64.b64encode(s.auth.sha1).decode()}</authCertHash><client>s{n}</client></securityServer>"
        for n, s in enumerate(servers)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<ns3:conf'
        ' xmlns:ns2="http://x-road.eu/xsd/identifiers" xmlns:ns3="http://x-road.eu/xsd/xroad.xsd">'
        "<instanceIdentifier>EE</instanceIdentifier>\n<approvedCA><name>Peer CA</name>"
        f"<authenticationOnly>false</authenticationOnly><topCA><cert>{b64(authority.ca)}</cert>"
        f"<ocsp><url>{ocsp_url}</url><cert>{b64(authority.responder)}</cert></ocsp></topCA>"
        f"<certificateProfileInfo>{EJBCA}</certificateProfileInfo></approvedCA>\n{members}\n{listed}\n"
        "<globalSettings><memberClass><code>BUSINESS</code><description>x</description></memberClass>"
        "<ocspFreshnessSeconds>3600</ocspFreshnessSeconds></globalSettings></ns3:conf>"
    )


def private_params() -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<ns3:conf'
        ' xmlns:ns2="http://x-road.eu/xsd/identifiers" xmlns:ns3="http://x-road.eu/xsd/xroad.xsd">'
        "<instanceIdentifier>EE</instanceIdentifier><managementService><authCertRegServiceAddress>"
        "https://127.0.0.1:4001/managementservice/</authCertRegServiceAddress>"
        '<managementRequestServiceProviderId ns2:objectType="SUBSYSTEM"><ns2:xRoadInstance>EE</ns2:xRoadInstance>'
        "<ns2:memberClass>BUSINESS</ns2:memberClass><ns2:memberCode>consumer</ns2:memberCode>"
        "<ns2:subsystemCode>sub</ns2:subsystemCode></managementRequestServiceProviderId></managementService>"
        "<timeStampingIntervalSeconds>60</timeStampingIntervalSeconds></ns3:conf>"
    )


def lay_out(folder: Path, shared: str, expires: str = "2099-01-01T00:00:00Z") -> Path:
    """The folder as X-Road's configuration client leaves it."""
    home = folder / "EE"
    home.mkdir(parents=True, exist_ok=True)
    (folder / "instance-identifier").write_text("EE")
    for kind, name, text in (
        ("SHARED-PARAMETERS", "shared-params.xml", shared),
        ("PRIVATE-PARAMETERS", "private-params.xml", private_params()),
    ):
        (home / name).write_text(text)
        metadata = {
            "contentIdentifier": kind,
            "instanceIdentifier": "EE",
            "expirationDate": expires,
            "contentFileName": name,
            "contentLocation": f"/x/{name}",
            "configurationVersion": "2",
        }
        (home / f"{name}.metadata").write_text(json.dumps(metadata, separators=(",", ":")))
    return folder
