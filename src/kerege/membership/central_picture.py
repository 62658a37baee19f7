"""The central register as X-Road's parameters, signed and published: internal and external, every version asked for.

`parameters` turns the entries into `SharedParameters` and `PrivateParameters`; `central_publisher` signs them with the instance's
configuration keys (one pair per source; `signing_keys`) and writes what the hub serves: `internalconf` and `externalconf` of the newest version,
`internalconf.N` of the older ones, files below `V<n>/<generation>/`. The directories are replaced last, by rename, so a reader never
sees one that names a file not there yet. A network laid out with a TEST authority is published by `publish` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from kerege.exchange import certs, confdir, confwrite, globalconf
from kerege.exchange import rules as rules_format
from kerege.exchange.errors import ConfigurationMalformed
from kerege.exchange.globalconf import VERSIONS, AcmeServer, ApprovedAuthority, Authority, OcspResponder
from kerege.exchange.ids import ClientId, MemberId, ServerId
from kerege.exchange.pki import KeyPair, load_pair
from kerege.exchange.rules import Rules
from kerege.membership.central import Entries, _certificate, entries
from kerege.membership.errors import KeysMissing
from kerege.membership.picture import Picture
from kerege.membership.publish import DIRECTORY, Publisher, put_in_place

EXTERNAL: Final = "externalconf"
_VALID_SECONDS: Final = 600
OWNERS: Final = "security-server-owners"  # the group that may call the management services


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What one source signs with: its key for the own instance and its key for partners."""

    internal: KeyPair
    external: KeyPair


def signing_keys(folder: Path, passphrase: bytes | None = None) -> SigningKeys:
    """The keys in `folder` (internal.key, internal.pem, external.key, external.pem). Raises KeysMissing, CertificateInvalid."""
    try:
        return SigningKeys(load_pair(folder, "internal", passphrase), load_pair(folder, "external", passphrase))
    except OSError as problem:
        raise KeysMissing(reason=f"{problem.filename}: {problem.strerror}") from None
    except TypeError:
        raise KeysMissing(reason=f"the keys in {folder} are encrypted, and no passphrase is set") from None
    except ValueError:
        told = "what is there is no key and certificate, or the passphrase is another"
        raise KeysMissing(reason=f"{folder}: {told}") from None


@dataclass(frozen=True, slots=True)
class Parameters:
    """All that is published of one instance."""

    shared: globalconf.SharedParameters
    private: globalconf.PrivateParameters
    optional: globalconf.OptionalParameters
    valid: timedelta


def parameters(instance: str, keys: Sequence[SigningKeys] = ()) -> Parameters:
    """The register of `instance` as parameters; `keys` are the sources' own and those they will sign with next."""
    held = entries(instance)
    settings = {name: body["value"] for (kind, name), body in held.items() if kind == "setting"}
    internal = tuple(pair.internal.certificate for pair in keys)
    external = tuple(pair.external.certificate for pair in keys)
    sources = tuple(
        globalconf.Source(address, internal, external) for address in settings.get("source_addresses", ("localhost",))
    )
    shared = globalconf.SharedParameters(
        instance=instance,
        authorities=tuple(_approved(name, body) for name, body in _of(held, "ca")),
        members=_members(instance, held),
        servers=_servers(held),
        groups=_groups(held),
        timestamping=tuple(
            globalconf.TimestampAuthority(
                name, body["url"], _certificate(body["certificate"]), body.get("cost", "UNDEFINED")
            )
            for name, body in _of(held, "tsa")
        ),
        member_classes=tuple((name, body["description"]) for name, body in _of(held, "class")),
        ocsp_freshness_seconds=settings.get("ocsp_freshness_seconds", 3600),
        sources=sources,
    )
    pinned = settings.get("auth_cert_registration_certificate")
    provider, monitor = settings.get("management_provider"), settings.get("monitoring_client")
    private = globalconf.PrivateParameters(
        instance,
        ClientId.parse(provider) if provider else None,
        settings.get("auth_cert_registration_address", ""),
        settings.get("timestamping_interval_seconds", 60),
        _certificate(pinned) if pinned else None,
        tuple(confdir.parse_anchor(body["anchor"].encode()) for _, body in _of(held, "partner")),
    )
    optional = globalconf.OptionalParameters(
        monitor is not None,
        ClientId.parse(monitor) if monitor else None,
        settings.get("verify_next_update"),
        settings.get("ocsp_fetch_seconds"),
    )
    return Parameters(shared, private, optional, timedelta(seconds=settings.get("valid_seconds", _VALID_SECONDS)))


def _of(held: Entries, kind: str) -> list[tuple[str, dict[str, Any]]]:
    return sorted((name, body) for (of, name), body in held.items() if of == kind)


def _groups(held: Entries) -> tuple[globalconf.GlobalGroup, ...]:
    """The register's groups, and the one of all servers' owners, which X-Road's central server keeps of itself under that code."""
    owners = frozenset(ClientId.parse(str(ServerId.parse(name).owner)) for name, _ in _of(held, "server"))
    found = dict(_of(held, "group"))
    if owners:
        found.setdefault(OWNERS, {"description": "Owners of servers", "members": []})
    return tuple(
        globalconf.GlobalGroup(
            name,
            body["description"],
            frozenset(map(ClientId.parse, body["members"])) | (owners if name == OWNERS else frozenset()),
        )
        for name, body in sorted(found.items())
    )


def _responders(listed: Sequence[dict[str, Any]]) -> tuple[OcspResponder, ...]:
    return tuple(
        OcspResponder(
            one["url"],
            _certificate(one["certificate"]) if one.get("certificate") else None,
            one.get("cost", "UNDEFINED"),
        )
        for one in listed
    )


def _approved(name: str, body: dict[str, Any]) -> ApprovedAuthority:
    def authority(one: dict[str, Any]) -> Authority:
        return Authority(_certificate(one["certificate"]), _responders(one.get("ocsp", ())))

    acme = body.get("acme")
    return ApprovedAuthority(
        name,
        authority(body),
        body["profile"],
        tuple(authority(one) for one in body.get("intermediates", ())),
        bool(body.get("authentication_only", False)),
        AcmeServer(**acme) if acme else None,
        body.get("csr_format", "PEM"),
    )


def _members(instance: str, held: Entries) -> tuple[globalconf.Member, ...]:
    subsystems: dict[str, list[globalconf.Subsystem]] = {}
    for name, body in _of(held, "subsystem"):
        client = ClientId.parse(name)
        subsystems.setdefault(str(client.member), []).append(
            globalconf.Subsystem(str(client.subsystem), body["name"] or None)
        )
    return tuple(
        globalconf.Member(MemberId.parse(name), body["name_en"] or body["name_ky"], tuple(subsystems.get(name, ())))
        for name, body in _of(held, "member")
    )


def _servers(held: Entries) -> tuple[globalconf.SecurityServer, ...]:
    hashes: dict[str, list[str]] = {}
    for _, certificate in _of(held, "certificate"):
        hashes.setdefault(certificate["server"], []).extend(certs.auth_hashes(_certificate(certificate["der"])))
    clients: dict[str, list[ClientId]] = {}
    for pair, hosted in _of(held, "client"):
        server, _, client = pair.partition(" ")
        if hosted["enabled"]:
            clients.setdefault(server, []).append(ClientId.parse(client))
    return tuple(
        globalconf.SecurityServer(
            ServerId.parse(name),
            _host(body["address"]) or None,
            frozenset(hashes.get(name, ())),
            tuple(clients.get(name, ())),
            body["maintenance"],
        )
        for name, body in _of(held, "server")
    )


def _host(address: str) -> str:
    """X-Road's addresses are hosts; a port in the register is for those who read it there."""
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdecimal() and (":" not in host or host.endswith("]")) else address


def central_publisher(
    keys: SigningKeys, others: Sequence[SigningKeys] = (), versions: Sequence[int] = VERSIONS
) -> Publisher:
    """A publisher of the central register, signing with `keys`; `others` are the other sources' certificates to announce."""

    def publish(picture: Picture, rules: Rules, folder: Path, now: datetime) -> None:
        found = parameters(picture.instance, (keys, *others))
        private, own_rules = confwrite.build_private(found.private), rules_format.build(rules)
        expires, stamp = now + found.valid, confdir.generation(now)
        directories: dict[str, bytes] = {}
        files: dict[str, bytes] = {}
        for version in sorted(versions):
            try:
                shared = confwrite.build_shared(found.shared, version)
            except ConfigurationMalformed:
                if version == max(versions):
                    raise
                continue  # an older version that cannot say it is not offered
            newest = version == max(versions)
            inside = [(confdir.SHARED, shared), (confdir.PRIVATE, private), (confdir.RULES, own_rules)]
            inside += _optional(found.optional)
            # the newest internal one comes last: the hub goes by it, and until it is in its place tries again
            for name, parts, pair in (
                (EXTERNAL, inside[:1], keys.external),
                (DIRECTORY, inside, keys.internal),
            ):
                body, located = confdir.build_directory(
                    parts, picture.instance, expires, stamp, pair.key, pair.certificate, version
                )
                files |= {location.lstrip("/"): content for location, content in located.items()}
                directories[name if newest else f"{name}.{version}"] = body
        put_in_place(folder, files, directories)
        for stale in (*folder.glob(f"{DIRECTORY}.*"), *folder.glob(f"{EXTERNAL}.*")):
            if stale.name not in directories:
                stale.unlink(missing_ok=True)

    return publish


def _optional(optional: globalconf.OptionalParameters) -> list[tuple[str, bytes]]:
    out = []
    if optional.monitoring:
        out.append((confdir.MONITORING, confwrite.build_monitoring(optional.monitoring_client)))
    if optional.verify_next_update is not None:
        out.append((confdir.NEXT_UPDATE, confwrite.build_next_update(optional.verify_next_update)))
    if optional.ocsp_fetch_seconds is not None:
        out.append((confdir.FETCH_INTERVAL, confwrite.build_fetch_interval(optional.ocsp_fetch_seconds)))
    return out


def anchor(instance: str, url: str, certificates: Sequence[x509.Certificate], now: datetime) -> bytes:
    """The anchor with which others find this instance at `url`."""
    return confdir.build_anchor(globalconf.Anchor(instance, tuple((url, one) for one in certificates)), now)
