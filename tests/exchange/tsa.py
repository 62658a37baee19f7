"""A time-stamping authority for tests: answers requests with real RFC 3161 tokens, and wrong ones where a test asks for it."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kerege.exchange.globalconf import TimestampAuthority
from kerege.exchange.xades import PrivateKey


@dataclass(frozen=True)
class Tsa:
    key: PrivateKey
    certificate: x509.Certificate
    name: str = "Test TSA"
    url: str = "http://127.0.0.1:1/tsa"
    status: str = "granted"
    nonce_shift: int = 0
    imprint_suffix: bytes = b""

    @classmethod
    def create(cls, now: datetime, kind: str = "rsa", *, purpose: bool = True, name: str = "Test TSA") -> "Tsa":
        key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = ExtendedKeyUsageOID.TIME_STAMPING if purpose else ExtendedKeyUsageOID.CLIENT_AUTH
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate, name)

    def like(self, **changes: Any) -> "Tsa":
        return replace(self, **changes)

    @property
    def approved(self) -> TimestampAuthority:
        return TimestampAuthority(self.name, self.url, self.certificate)

    def token(self, imprint: Any, nonce: int | None, when: datetime) -> Any:
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": "1.2.3",
                "message_imprint": imprint,
                "serial_number": 7,
                "gen_time": when,
                "nonce": nonce,
            }
        )
        der = self.certificate.public_bytes(Encoding.DER)
        own = asn1_x509.Certificate.load(der)
        content = info.dump()
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [hashlib.sha512(content).digest()]},
                {
                    "type": "signing_certificate_v2",
                    "values": [
                        {
                            "certs": [
                                {
                                    "hash_algorithm": {"algorithm": "sha512"},
                                    "cert_hash": hashlib.sha512(der).digest(),
                                }
                            ]
                        }
                    ],
                },
            ]
        )
        covered = attributes.dump()
        if isinstance(self.key, rsa.RSAPrivateKey):
            value, algorithm = self.key.sign(covered, padding.PKCS1v15(), hashes.SHA512()), "sha512_rsa"
        else:
            value, algorithm = self.key.sign(covered, ec.ECDSA(hashes.SHA512())), "sha512_ecdsa"
        signed = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": "sha512"}],
                "encap_content_info": {
                    "content_type": "tst_info",
                    "content": core.ParsableOctetString(content),
                },
                "certificates": [own],
                "signer_infos": [
                    {
                        "version": "v1",
                        "sid": {"issuer_and_serial_number": {"issuer": own.issuer, "serial_number": own.serial_number}},
                        "digest_algorithm": {"algorithm": "sha512"},
                        "signed_attrs": attributes,
                        "signature_algorithm": {"algorithm": algorithm},
                        "signature": value,
                    }
                ],
            }
        )
        return cms.ContentInfo({"content_type": "signed_data", "content": signed})

    def answer(self, request: bytes, when: datetime) -> bytes:
        asked = tsp.TimeStampReq.load(request)
        if self.status != "granted":
            number = {"rejection": 2, "waiting": 3}[self.status]
            return bytes((0x30, 5, 0x30, 3, 2, 1, number))  # a status and nothing else
        imprint = {
            "hash_algorithm": {"algorithm": "sha512"},
            "hashed_message": asked["message_imprint"]["hashed_message"].native[: 64 - len(self.imprint_suffix)]
            + self.imprint_suffix,
        }
        nonce = asked["nonce"].native + self.nonce_shift
        token = self.token(imprint, nonce, when)
        return bytes(tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump())
