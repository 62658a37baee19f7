"""Certificate profiles: which member a signing certificate's subject names, by the class its authority is registered with.

Implements the `certificateProfileInfo` classes X-Road ships, as its code reads subjects (each names the member in its own way):

    FiVRK      serialNumber = instance/server/class, CN = code; older: O = instance, OU = class; without OU as Ejbca
    CamDX      serialNumber = instance/server/class, CN = code
    Is, Fo     O = instance, OU = class, CN = code; Is without serialNumber and OU as Ejbca
    Ejbca      C = instance, O = class, CN = code
    Basic      businessCategory = class, serialNumber = code
    SkKlass3   organizationIdentifier with a register's prefix, or serialNumber of eight digits, whose first tells the class
    SkEsteId   serialNumber = code, class PERSON
    Test       CN = code; the class is whatever the configuration says (X-Road's own tests)

Country codes that X-Road's classes insist on (FI, IS, FO, KH) are not looked at: the instance in the subject is what must be ours, and
networks elsewhere use these classes with their own country. Which authority stands behind a certificate is `certs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from kerege.exchange.ids import MemberId

_CLASSES: Final = "ee.ria.xroad.common.certificateprofile.impl."
_ORGANISATION_IDENTIFIER: Final = x509.ObjectIdentifier("2.5.4.97")
_REGISTERS: Final = {"NTREE-": "COM", "GO:EE-": "GOV", "NP:EE-": "NGO"}
_BY_FIRST_DIGIT: Final = {**dict.fromkeys("123456", "COM"), "7": "GOV", **dict.fromkeys("89", "NGO")}

Reader = Callable[[x509.Name, str], MemberId | None]


def _one(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    values = name.get_attributes_for_oid(oid)
    return str(values[0].value) if len(values) == 1 else ""


def _member(found: str, instance: str, member_class: str, code: str) -> MemberId | None:
    return MemberId(instance, member_class, code) if found == instance and member_class and code else None


def _ejbca(name: x509.Name, instance: str) -> MemberId | None:
    found, member_class = _one(name, NameOID.COUNTRY_NAME), _one(name, NameOID.ORGANIZATION_NAME)
    return _member(found, instance, member_class, _one(name, NameOID.COMMON_NAME))


def _server_in_serial(name: x509.Name, instance: str) -> MemberId | None:
    parts = _one(name, NameOID.SERIAL_NUMBER).split("/")
    return _member(parts[0], instance, parts[2], _one(name, NameOID.COMMON_NAME)) if len(parts) == 3 else None


def _class_in_unit(name: x509.Name, instance: str) -> MemberId | None:
    member_class = _one(name, NameOID.ORGANIZATIONAL_UNIT_NAME)
    return _member(_one(name, NameOID.ORGANIZATION_NAME), instance, member_class, _one(name, NameOID.COMMON_NAME))


def _has(name: x509.Name, oid: x509.ObjectIdentifier) -> bool:
    return bool(name.get_attributes_for_oid(oid))


def _fivrk(name: x509.Name, instance: str) -> MemberId | None:
    if _has(name, NameOID.SERIAL_NUMBER):
        return _server_in_serial(name, instance)
    return _class_in_unit(name, instance) if _has(name, NameOID.ORGANIZATIONAL_UNIT_NAME) else _ejbca(name, instance)


def _is(name: x509.Name, instance: str) -> MemberId | None:
    if not _has(name, NameOID.SERIAL_NUMBER) and not _has(name, NameOID.ORGANIZATIONAL_UNIT_NAME):
        return _ejbca(name, instance)
    return _class_in_unit(name, instance)


def _basic(name: x509.Name, instance: str) -> MemberId | None:
    return _member(instance, instance, _one(name, NameOID.BUSINESS_CATEGORY), _one(name, NameOID.SERIAL_NUMBER))


def _sk_klass3(name: x509.Name, instance: str) -> MemberId | None:
    if _has(name, _ORGANISATION_IDENTIFIER):
        identifier = _one(name, _ORGANISATION_IDENTIFIER)
        member_class = _REGISTERS.get(identifier[:6])
        # an enterprise from elsewhere keeps its whole identifier as its code, so that codes stay different
        return _member(instance, instance, member_class or "NEE", identifier[6:] if member_class else identifier)
    code = _one(name, NameOID.SERIAL_NUMBER)
    if len(code) != 8 or not (code.isascii() and code.isdigit()):
        return None
    return _member(instance, instance, _BY_FIRST_DIGIT.get(code[0], ""), code)


def _sk_este_id(name: x509.Name, instance: str) -> MemberId | None:
    return _member(instance, instance, "PERSON", _one(name, NameOID.SERIAL_NUMBER))


def _test(name: x509.Name, instance: str) -> MemberId | None:
    code = _one(name, NameOID.COMMON_NAME)
    return MemberId(instance, "", code) if code and _one(name, NameOID.ORGANIZATION_NAME) else None


READERS: Final[Mapping[str, Reader]] = {
    f"{_CLASSES}{name}CertificateProfileInfoProvider": reader
    for name, reader in {
        "FiVRK": _fivrk,
        "CamDX": _server_in_serial,
        "Is": _is,
        "Fo": _class_in_unit,
        "Ejbca": _ejbca,
        "Basic": _basic,
        "SkKlass3": _sk_klass3,
        "SkEsteId": _sk_este_id,
        "Test": _test,
    }.items()
}
