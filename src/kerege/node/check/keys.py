"""A node's keys and certificates: that they load and belong together, are for their use and their member, are believed, and last.

Findings and their codes are `checking`'s.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from kerege.exchange import certs, openpgp
from kerege.exchange.errors import CertificateInvalid, ExchangeError
from kerege.exchange.ids import MemberId
from kerege.ground.clock import iso
from kerege.ground.errors import KeregeError
from kerege.ground.text import counted
from kerege.node.check.checking import Report, set_aside
from kerege.node.conf.picture import Picture
from kerege.node.config_types import KeySource, NodeConfig
from kerege.node.keys import files as keyfiles
from kerege.node.keys import pairs as keys
from kerege.node.keys.belonging import not_of, unlisted

_SOON: Final = timedelta(days=30)


def look(report: Report, config: NodeConfig, picture: Picture | None, now: datetime) -> None:
    """Every key and certificate the file names."""
    _information_systems(report, config, now)
    _recipients(report, config, now)
    if not _aside(config.auth):
        try:
            auth = keys.load_auth(config).certificate
        except KeregeError as problem:
            report.refused("check.key_unusable", "keys.auth", problem)
        else:
            _certificate(report, "keys.auth", auth, "authentication", picture, now)
            _auth_registered(report, config, auth, picture)
    for member, source in config.sign.items():
        key = f"keys.sign ({member})"
        if _aside(source) or set_aside(member):
            continue
        try:
            certificate = keys.load_signer(config, member).certificate
        except KeregeError as problem:
            report.refused("check.key_unusable", key, problem)
            continue
        if _certificate(report, key, certificate, "signing", picture, now) and picture is not None:
            _names(report, key, certificate, member, picture, now)
    if config.internal is not None and not _aside(config.internal):
        try:
            _ends(report, "keys.internal", keyfiles.load(config.internal).certificate, now)
        except KeregeError as problem:
            report.refused("check.key_unusable", "keys.internal", problem)
    wanted = {client.member for client in config.clients} | set(config.members)
    for missing in sorted(wanted - set(config.sign)):
        if not set_aside(*config.sign):
            report.error(
                "check.client_without_key",
                "keys.sign",
                f"a client of {missing} is in the file, and no signing key of this member",
                f"Add an entry to keys.sign with member: {missing}, or take its clients out.",
            )


def _aside(source: KeySource) -> bool:
    return set_aside(source.key, source.certificate, source.pkcs12)


def _ends(report: Report, key: str, certificate: x509.Certificate, now: datetime) -> bool:
    """Whether it is valid now; told when it is not, and when it soon will not be."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    subject = certs.subject(certificate)
    if now < begins:
        report.error(
            "check.certificate_ended",
            key,
            f"the certificate {subject} is valid from {iso(begins)} on, and it is {iso(now)} here",
            "See that this machine's clock is right, or wait.",
        )
    elif now > ends:
        report.error(
            "check.certificate_ended",
            key,
            f"the certificate {subject} ended {iso(ends)}",
            "Order a new one (kerege node order, or by hand), have it registered, and put it in its place.",
        )
    elif ends - now < _SOON:
        report.warning(
            "check.certificate_ends",
            key,
            f"the certificate {subject} ends {iso(ends)}, in {counted((ends - now).days, 'day')}",
            "Order a new one now; registering one takes its time.",
        )
    else:
        report.ok(key, f"{subject}, valid to {iso(ends)}")
        return True
    return begins <= now <= ends


def _certificate(
    report: Report, key: str, certificate: x509.Certificate, role: str, picture: Picture | None, now: datetime
) -> bool:
    """Whether an approved authority stands behind it."""
    valid = _ends(report, key, certificate, now)
    try:
        certs.check_use(certificate, role)
    except CertificateInvalid as problem:
        report.error(
            "check.certificate_use",
            key,
            problem.text,
            f"Order a certificate for {role}: for signing its key usage is content commitment, for authentication digital signature.",
        )
    if picture is None or not valid:
        return False
    try:
        picture.trust.issuer_of(certificate, role, now)
    except ExchangeError as problem:
        report.error(
            "check.certificate_untrusted",
            key,
            problem.text,
            f"Use a certificate of an authority that the configuration of {picture.shared.instance} approves: "
            + (", ".join(one.name for one in picture.shared.authorities) or "it names none"),
        )
        return False
    return True


def _names(
    report: Report, key: str, certificate: x509.Certificate, member: MemberId, picture: Picture, now: datetime
) -> None:
    try:
        wrong = not_of(certificate, member, picture, now)
    except ExchangeError as problem:
        report.error(
            "check.certificate_of_another",
            key,
            problem.text,
            "Have the subject written as the authority's profile says.",
        )
        return
    if wrong is not None:
        report.error(
            "check.certificate_of_another",
            key,
            wrong,
            "Put the member's own certificate there, or correct member.",
        )


def _auth_registered(
    report: Report, config: NodeConfig, certificate: x509.Certificate, picture: Picture | None
) -> None:
    if picture is None or set_aside(config.server):
        return
    reason = unlisted(config, certificate, picture)
    if reason is None:
        return
    report.error(
        "check.certificate_unregistered",
        "keys.auth",
        reason,
        "Register it (kerege node register), and have the central services approve it.",
    )


def _information_systems(report: Report, config: NodeConfig, now: datetime) -> None:
    """Certificates of clients, and of systems behind data services."""
    listed = [
        (f"clients ({client})", c.certificates) for client, c in (*config.clients.items(), *config.members.items())
    ]
    listed += [(f"services.{one.id}.certificates", one.certificates) for one in config.services.values()]
    for key, files in listed:
        for file in files:
            try:
                _ends(report, key, keyfiles.read_certificates(file)[0], now)
            except KeregeError as problem:
                report.refused("check.key_unusable", key, problem, file)


def _recipients(report: Report, config: NodeConfig, now: datetime) -> None:
    """Keys that archives are encrypted for."""
    archive = config.log.archive
    if archive is None:
        return
    listed = [("log.archive.recipients", archive.recipients)]
    listed += [(f"log.archive.recipients_of ({client})", files) for client, files in archive.recipients_of.items()]
    for key, files in listed:
        for file in files:
            try:
                found = openpgp.read_keys(file, now)
            except KeregeError as problem:
                report.refused("check.recipient_unusable", key, problem, file)
                continue
            for one in found:
                if one.expires is not None and one.expires - now < _SOON:
                    report.warning(
                        "check.recipient_ends",
                        key,
                        f"the OpenPGP key {one.fingerprint} ends {iso(one.expires)}, in {counted((one.expires - now).days, 'day')}",
                        "Have its owner prolong it or make a new one, and put what they export there.",
                        file,
                    )
                else:
                    until = "" if one.expires is None else f", valid to {iso(one.expires)}"
                    report.ok(key, f"OpenPGP key {one.fingerprint}{until}")
