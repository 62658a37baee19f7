"""Which member a subject names, for every certificate profile X-Road ships."""

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from kerege.exchange.ids import MemberId
from kerege.exchange.profiles import READERS

_OIDS = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "businessCategory": NameOID.BUSINESS_CATEGORY,
    "organizationIdentifier": x509.ObjectIdentifier("2.5.4.97"),
}


def read(profile: str, instance: str, *pairs: tuple[str, str]) -> MemberId | None:
    name = x509.Name([x509.NameAttribute(_OIDS[key], value, _validate=False) for key, value in pairs])
    return READERS[f"ee.ria.xroad.common.certificateprofile.impl.{profile}CertificateProfileInfoProvider"](
        name, instance
    )


@pytest.mark.parametrize(
    ("profile", "instance", "pairs", "expected"),
    [
        ("FiVRK", "FI-TEST", [("serialNumber", "FI-TEST/ss1/GOV"), ("CN", "123-4")], "FI-TEST/GOV/123-4"),
        ("FiVRK", "FI-TEST", [("C", "FI"), ("O", "FI-TEST"), ("OU", "PUB"), ("CN", "123-4")], "FI-TEST/PUB/123-4"),
        ("FiVRK", "EE", [("C", "EE"), ("O", "GOV"), ("CN", "77")], "EE/GOV/77"),
        (
            "CamDX",
            "CAMBODIA",
            [("C", "KH"), ("O", "MOI"), ("CN", "C-1"), ("serialNumber", "CAMBODIA/ss/GOV")],
            "CAMBODIA/GOV/C-1",
        ),
        (
            "Is",
            "IS-DEV",
            [("O", "IS-DEV"), ("OU", "GOV"), ("CN", "10000"), ("serialNumber", "ss1")],
            "IS-DEV/GOV/10000",
        ),
        ("Is", "IS", [("C", "IS"), ("O", "GOV"), ("CN", "10000")], "IS/GOV/10000"),
        (
            "Fo",
            "FO",
            [("C", "FO"), ("O", "FO"), ("OU", "GOV"), ("CN", "7"), ("serialNumber", "FO/GOV/7/s")],
            "FO/GOV/7",
        ),
        ("Ejbca", "EE", [("C", "EE"), ("O", "BUSINESS"), ("CN", "consumer")], "EE/BUSINESS/consumer"),
        (
            "Basic",
            "XX",
            [("CN", "Name"), ("O", "Name"), ("businessCategory", "GOV"), ("serialNumber", "5")],
            "XX/GOV/5",
        ),
        ("SkKlass3", "EE", [("serialNumber", "70006317")], "EE/GOV/70006317"),
        ("SkKlass3", "EE", [("serialNumber", "10006317")], "EE/COM/10006317"),
        ("SkKlass3", "EE", [("organizationIdentifier", "NTREE-12345678")], "EE/COM/12345678"),
        ("SkKlass3", "EE", [("organizationIdentifier", "NTRLV-4000")], "EE/NEE/NTRLV-4000"),
        ("SkEsteId", "EE", [("serialNumber", "38001010000")], "EE/PERSON/38001010000"),
    ],
)
def test_a_subject_names_its_member(profile: str, instance: str, pairs: list[tuple[str, str]], expected: str) -> None:
    assert str(read(profile, instance, *pairs)) == expected


@pytest.mark.parametrize(
    ("profile", "pairs"),
    [
        ("FiVRK", [("serialNumber", "XX/ss1/GOV"), ("CN", "1")]),  # another instance
        ("FiVRK", [("serialNumber", "EE/GOV"), ("CN", "1")]),
        ("FiVRK", [("serialNumber", "EE/ss1/GOV")]),
        ("Is", [("O", "XX"), ("OU", "GOV"), ("CN", "1"), ("serialNumber", "s")]),
        ("Fo", [("C", "EE"), ("O", "GOV"), ("CN", "1")]),
        ("Ejbca", [("C", "FI"), ("O", "GOV"), ("CN", "1")]),
        ("Ejbca", [("C", "EE"), ("O", "GOV"), ("CN", "1"), ("CN", "2")]),  # two names are none
        ("Basic", [("C", "EE"), ("O", "GOV"), ("CN", "1")]),
        ("SkKlass3", [("serialNumber", "0006317")]),
        ("SkKlass3", [("serialNumber", "00063170")]),
        ("SkKlass3", [("serialNumber", "٧٠٠٠٦٣١٧")]),  # digits, but not those
        ("SkEsteId", [("CN", "x")]),
    ],
)
def test_a_subject_that_names_no_member_of_this_instance_names_nobody(
    profile: str, pairs: list[tuple[str, str]]
) -> None:
    assert read(profile, "EE", *pairs) is None
