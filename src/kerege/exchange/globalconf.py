"""The global configuration's content, read: shared, private and optional parameters of versions 2 to 6.

Implements the XML of X-Road PR-GCONF (schemas v2 to v6, monitoring and OCSP parameters). The values are `confmodel`'s and are
imported from here. Writing is `confwrite`; the signed directory around these files is `confdir`, the folder they lie in
`conflayout`; Kerege's own part is `rules`. Every text is checked before it is used: what a central server's mistake or an enemy
put there ends as ConfigurationMalformed and nothing else.
"""

from __future__ import annotations

import base64
from typing import Final

from cryptography import x509
from lxml import etree

from kerege.exchange.confmodel import (
    COSTS,
    CSR_FORMATS,
    VERSIONS,
    AcmeServer,
    Anchor,
    ApprovedAuthority,
    Authority,
    GlobalGroup,
    Member,
    OcspResponder,
    OptionalParameters,
    PrivateParameters,
    SecurityServer,
    SharedParameters,
    Source,
    Subsystem,
    TimestampAuthority,
)
from kerege.exchange.errors import ConfigurationMalformed, ExchangeError
from kerege.exchange.ids import ClientId, MemberId, ServerId
from kerege.exchange.safexml import parse_xml

__all__ = [
    "COSTS",
    "CSR_FORMATS",
    "VERSIONS",
    "AcmeServer",
    "Anchor",
    "ApprovedAuthority",
    "Authority",
    "GlobalGroup",
    "Member",
    "OcspResponder",
    "OptionalParameters",
    "PrivateParameters",
    "SecurityServer",
    "SharedParameters",
    "Source",
    "Subsystem",
    "TimestampAuthority",
    "parse_fetch_interval",
    "parse_monitoring",
    "parse_next_update",
    "parse_private",
    "parse_shared",
]

_ID: Final = "{http://x-road.eu/xsd/identifiers}"
_XROAD: Final = "{http://x-road.eu/xsd/xroad.xsd}"
_LARGEST: Final = 64 * 1024 * 1024
_CLIENT_TAGS: Final = frozenset(_ID + tag for tag in ("xRoadInstance", "memberClass", "memberCode", "subsystemCode"))
_LARGEST_NUMBER: Final = 10  # digits


def _fail(part: str, reason: str) -> ConfigurationMalformed:
    return ConfigurationMalformed(part=part, reason=reason)


def _text(node: etree._Element, tag: str, part: str, *, optional: bool = False) -> str:
    child = node.find(tag)
    if child is None or child.text is None:
        if optional:
            return ""
        raise _fail(part, f"<{tag}> is missing")
    return child.text.strip()


def _certificate(text: str | None, part: str) -> x509.Certificate:
    from kerege.exchange.certs import load

    try:
        return load(base64.b64decode("".join((text or "").split()), validate=True), part)
    except ValueError:
        raise _fail(part, "a certificate is not base64") from None


def _authority(node: etree._Element, part: str) -> Authority:
    responders = []
    for responder in node.findall("ocsp"):
        cert = responder.find("cert")
        listed = None if cert is None or not cert.text else _certificate(cert.text, part)
        responders.append(
            OcspResponder(_text(responder, "url", part), listed, _choice(responder, "costType", COSTS, part))
        )
    return Authority(_certificate(_text(node, "cert", part), part), tuple(responders))


def _choice(node: etree._Element, tag: str, choices: tuple[str, ...], part: str) -> str:
    """One of `choices`, the first where the element is not there."""
    found = _text(node, tag, part, optional=True) or choices[0]
    if found not in choices:
        raise _fail(part, f"<{tag}> is none of {', '.join(choices)}")
    return found


def _acme(node: etree._Element | None, part: str) -> AcmeServer | None:
    if node is None:
        return None
    rest = ("ipAddress", "authenticationCertificateProfileId", "signingCertificateProfileId")
    return AcmeServer(
        _text(node, "directoryURL", part), *(_text(node, tag, part, optional=True) or None for tag in rest)
    )


def parse_shared(data: bytes) -> SharedParameters:
    """Shared parameters of any supported version. Raises ConfigurationMalformed."""
    part = "shared parameters"
    root = _root(data, part)
    try:
        return _shared(root, part)
    except ExchangeError as problem:
        if isinstance(problem, ConfigurationMalformed):
            raise
        raise _fail(part, problem.text) from None


def _shared(root: etree._Element, part: str) -> SharedParameters:
    instance = _text(root, "instanceIdentifier", part)
    authorities = []
    for node in root.findall("approvedCA"):
        top = node.find("topCA")
        if top is None:
            raise _fail(part, "an approved authority has no topCA")
        authorities.append(
            ApprovedAuthority(
                name=_text(node, "name", part),
                top=_authority(top, part),
                profile=_text(node, "certificateProfileInfo", part),
                intermediates=tuple(_authority(n, part) for n in node.findall("intermediateCA")),
                authentication_only=_text(node, "authenticationOnly", part, optional=True) in {"true", "1"},
                acme=_acme(node.find("acmeServer"), part),
                csr_format=_choice(node, "defaultCsrFormat", CSR_FORMATS, part),
            )
        )
    members, by_ref = [], {}
    for node in root.findall("member"):
        member = MemberId(instance, _text(node, "memberClass/code", part), _text(node, "memberCode", part))
        subsystems = []
        by_ref[node.get("id")] = ClientId(instance, member.member_class, member.member_code)
        for sub in node.findall("subsystem"):
            code = _text(sub, "subsystemCode", part)
            subsystems.append(Subsystem(code, _text(sub, "subsystemName", part, optional=True) or None))
            by_ref[sub.get("id")] = ClientId(instance, member.member_class, member.member_code, code)
        members.append(Member(member, _text(node, "name", part, optional=True), tuple(subsystems)))
    return SharedParameters(
        instance=instance,
        authorities=tuple(authorities),
        members=tuple(members),
        servers=tuple(_server(node, by_ref, part) for node in root.findall("securityServer")),
        groups=tuple(_group(node, part) for node in root.findall("globalGroup")),
        timestamping=tuple(
            TimestampAuthority(
                _text(n, "name", part),
                _text(n, "url", part),
                _certificate(_text(n, "cert", part), part),
                _choice(n, "costType", COSTS, part),
            )
            for n in root.findall("approvedTSA")
        ),
        member_classes=tuple(
            (_text(n, "code", part), _text(n, "description", part, optional=True))
            for n in root.findall("globalSettings/memberClass")
        ),
        ocsp_freshness_seconds=_integer(root, "globalSettings/ocspFreshnessSeconds", part),
        sources=tuple(
            Source(
                _text(n, "address", part),
                tuple(_certificate(c.text, part) for c in n.findall("internalVerificationCert")),
                tuple(_certificate(c.text, part) for c in n.findall("externalVerificationCert")),
            )
            for n in root.findall("source")
        ),
    )


def _integer(root: etree._Element, tag: str, part: str) -> int:
    text = _text(root, tag, part)
    return _number(text, tag, part)


def _number(text: str, tag: str, part: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _LARGEST_NUMBER):
        raise _fail(part, f"<{tag}> is not a number")
    return int(text)


def _server(node: etree._Element, by_ref: dict[str | None, ClientId], part: str) -> SecurityServer:
    owner = by_ref.get(_text(node, "owner", part))
    if owner is None:
        raise _fail(part, "a server's owner is not among the members")
    clients = []
    for child in node.findall("client"):
        client = by_ref.get((child.text or "").strip())
        if client is None:
            raise _fail(part, "a server's client is not among the members")
        clients.append(client)
    maintenance = node.find("inMaintenanceMode")
    return SecurityServer(
        id=ServerId(owner.instance, owner.member_class, owner.member_code, _text(node, "serverCode", part)),
        address=_text(node, "address", part, optional=True) or None,
        auth_cert_hashes=frozenset("".join((h.text or "").split()) for h in node.findall("authCertHash")),
        clients=tuple(clients),
        maintenance=None if maintenance is None else _text(maintenance, "message", part, optional=True),
    )


def _identifier(node: etree._Element, part: str) -> ClientId:
    subsystem = node.find(_ID + "subsystemCode")
    if any(isinstance(child.tag, str) and child.tag not in _CLIENT_TAGS for child in node):
        raise _fail(part, "an identifier holds more than a client's codes")
    return ClientId(
        _text(node, _ID + "xRoadInstance", part),
        _text(node, _ID + "memberClass", part),
        _text(node, _ID + "memberCode", part),
        None if subsystem is None else (subsystem.text or "").strip(),
    )


def _group(node: etree._Element, part: str) -> GlobalGroup:
    members = frozenset(_identifier(child, part) for child in node.findall("groupMember"))
    return GlobalGroup(_text(node, "groupCode", part), _text(node, "description", part, optional=True), members)


def parse_private(data: bytes) -> PrivateParameters:
    """Private parameters. Raises ConfigurationMalformed."""
    part = "private parameters"
    root = _root(data, part)
    try:
        return _private(root, part)
    except ExchangeError as problem:
        if isinstance(problem, ConfigurationMalformed):
            raise
        raise _fail(part, problem.text) from None


def _root(data: bytes, part: str) -> etree._Element:
    try:
        root = parse_xml(data, _LARGEST)
    except ValueError as problem:
        raise _fail(part, str(problem)) from None
    if etree.QName(root).localname != "conf":
        raise _fail(part, "the root is not <conf>")
    return root


def _private(root: etree._Element, part: str) -> PrivateParameters:
    provider = root.find("managementService/managementRequestServiceProviderId")
    pinned = root.findtext("managementService/authCertRegServiceCert")
    return PrivateParameters(
        instance=_text(root, "instanceIdentifier", part),
        management_provider=None if provider is None else _identifier(provider, part),
        auth_cert_registration_address=_text(root, "managementService/authCertRegServiceAddress", part, optional=True),
        timestamping_interval_seconds=_integer(root, "timeStampingIntervalSeconds", part),
        auth_cert_registration_certificate=_certificate(pinned, part) if pinned and pinned.strip() else None,
        anchors=tuple(_anchor(node, part) for node in root.findall("configurationAnchor")),
    )


def _anchor(node: etree._Element, part: str) -> Anchor:
    """A partner's anchor. A certificate in it that cannot be read is left out: it costs us that partner, not our own instance."""
    sources = []
    for source in node.findall("source"):
        url = _text(source, "downloadURL", part)
        for cert in source.findall("verificationCert"):
            try:
                sources.append((url, _certificate(cert.text, part)))
            except ConfigurationMalformed:
                continue
    return Anchor(_text(node, "instanceIdentifier", part), tuple(sources))


def _only_child(data: bytes, part: str, tag: str) -> etree._Element:
    root = _root(data, part)
    children = [child for child in root if isinstance(child.tag, str)]
    if root.tag != f"{_XROAD}conf" or [child.tag for child in children] != [tag]:
        raise _fail(part, f"it does not hold exactly one <{tag}>")
    return children[0]


def parse_next_update(data: bytes) -> bool:
    """Whether the nextUpdate of OCSP answers is checked. Raises ConfigurationMalformed."""
    part = "OCSP nextUpdate parameters"
    text = (_only_child(data, part, "verifyNextUpdate").text or "").strip()
    if text not in {"true", "false", "1", "0"}:
        raise _fail(part, "<verifyNextUpdate> is neither true nor false")
    return text in {"true", "1"}


def parse_fetch_interval(data: bytes) -> int:
    """Seconds between two fetches of OCSP answers. Raises ConfigurationMalformed."""
    part = "OCSP fetch interval parameters"
    text = (_only_child(data, part, "ocspFetchInterval").text or "").strip()
    return _number(text, "ocspFetchInterval", part)


def parse_monitoring(data: bytes) -> ClientId | None:
    """Who may ask every server for monitoring data; None is nobody. Raises ConfigurationMalformed."""
    part = "monitoring parameters"
    client = _only_child(data, part, "monitoringClient")
    children = [child for child in client if isinstance(child.tag, str)]
    if not children:
        return None
    if [child.tag for child in children] != ["monitoringClientId"]:
        raise _fail(part, "it names something else than one monitoringClientId")
    try:
        return _identifier(children[0], part)
    except ExchangeError as problem:
        raise problem if isinstance(problem, ConfigurationMalformed) else _fail(part, problem.text) from None
