"""The central services' register as entries: every kind of thing a network is made of, read, set and dropped alike.

An entry has a kind, a name and a body of plain values; the whole register is a mapping of entries, so a declarative file can be held
against it (`declared`) and every change is the same two doings, each one transaction with a ledger entry: `put` and `drop`.
Kinds, in the order they depend on each other: setting, class, ca, tsa, partner, member, subsystem, server, client, certificate, group.
Turning the entries into X-Road's parameters is `central_picture`'s.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from django.db import transaction

from kerege.exchange import certs, confdir
from kerege.exchange.errors import ExchangeError
from kerege.exchange.globalconf import COSTS, CSR_FORMATS
from kerege.exchange.ids import ClientId, MemberId, ServerId, SubsystemId
from kerege.exchange.management import Kind as RequestKind
from kerege.ground.clock import require_utc
from kerege.ground.ids import digest
from kerege.ground.text import Text
from kerege.identity import receipts
from kerege.membership import doings
from kerege.membership.errors import EntryHeld, EntryInvalid, NothingToDrop, NotRegistered
from kerege.membership.models import (
    AuthCertificate,
    CentralSetting,
    GlobalGroup,
    Member,
    MemberClass,
    Partner,
    SecurityServer,
    Subsystem,
    TrustService,
)

Body = Mapping[str, Any]
Entries = dict[tuple[str, str], dict[str, Any]]

KINDS: Final = (
    "setting",
    "class",
    "ca",
    "tsa",
    "partner",
    "member",
    "subsystem",
    "server",
    "client",
    "certificate",
    "group",
)
# the settings there are: what their value must be
SETTINGS: Final[dict[str, type[Any]]] = {
    "ocsp_freshness_seconds": int,
    "timestamping_interval_seconds": int,
    "management_provider": str,
    "auth_cert_registration_address": str,
    "auth_cert_registration_certificate": str,
    "monitoring_client": str,
    "verify_next_update": bool,
    "ocsp_fetch_seconds": int,
    "valid_seconds": int,
    "source_addresses": list,
    "auto_approve": list,
}
# of a whole number the least, the most and why; without an entry it is any of nine digits that is not 0
WHOLE: Final[dict[str, tuple[int, int, str]]] = {
    "valid_seconds": (
        180,
        2_592_000,
        " (30 days): nodes ask once a minute, and when it is over traffic stops at all of them; for so long who is shut out may stay in",
    ),
}
_NAMES: Final = ("name_ky", "name_ru", "name_en")


# --- reading ---------------------------------------------------------------------------------------------------------


def entries(instance: str) -> Entries:
    """The whole register of `instance`, as `put` would set it."""
    prefix, out = f"{instance}/", Entries()
    for setting in CentralSetting.objects.all():
        out["setting", setting.name] = {"value": setting.value}
    for one in MemberClass.objects.all():
        out["class", one.code] = {"description": one.description}
    for trusted in TrustService.objects.all():
        out[trusted.kind, trusted.name] = trusted.body
    for partner in Partner.objects.all():
        out["partner", partner.instance] = {"anchor": partner.anchor}
    for member in Member.objects.filter(code__startswith=prefix):
        out["member", member.code] = {name: getattr(member, name) for name in _NAMES}
    for subsystem in Subsystem.objects.filter(code__startswith=prefix):
        out["subsystem", subsystem.code] = {"name": subsystem.name}
    servers = SecurityServer.objects.filter(code__startswith=prefix)
    for server in servers.prefetch_related("clients", "certificates"):
        out["server", server.code] = {"address": server.address, "maintenance": server.maintenance}
        for client in server.clients.all():
            out["client", f"{server.code} {client.code}"] = {"enabled": client.code not in server.disabled}
        for certificate in server.certificates.all():
            der = base64.b64encode(bytes(certificate.der)).decode()
            out["certificate", certificate.sha256] = {"server": server.code, "der": der}
    for group in GlobalGroup.objects.all():
        out["group", group.code] = {"description": group.description, "members": sorted(group.members)}
    return out


def setting(name: str, default: Any = None) -> Any:
    """One setting's value."""
    row = CentralSetting.objects.filter(name=name).first()
    return default if row is None else row.value


def central_digest(instance: str) -> str:
    """One hash over what only the central services hold; empty where they hold nothing (a network laid out for a demo)."""
    held = {f"{kind} {name}": body for (kind, name), body in entries(instance).items()}
    plain = ("member ", "subsystem ", "server ", "client ")
    return digest(held) if any(not key.startswith(plain) for key in held) else ""


# --- changing --------------------------------------------------------------------------------------------------------


@transaction.atomic
def put(kind: str, name: str, body: Body, *, ledger: receipts.LedgerWriter, now: datetime, by: str) -> bool:
    """Set one entry to `body`; False when it was so already (then nothing is written). Raises EntryInvalid or NotRegistered."""
    require_utc(now)
    if kind not in _PUT:
        raise EntryInvalid(kind=kind, name=name, reason=f"it is none of {', '.join(KINDS)}")
    before = entries(_instance(kind, name, body)).get((kind, name))
    try:
        _PUT[kind](name, body, now)
    except ExchangeError as problem:
        raise EntryInvalid(kind=kind, name=name, reason=problem.text.rstrip(".")) from None
    except KeyError as problem:
        raise EntryInvalid(kind=kind, name=name, reason=f"its field {problem.args[0]} is missing") from None
    except ValueError as problem:
        raise EntryInvalid(kind=kind, name=name, reason=f"its fields are not as expected: {problem}") from None
    except (TypeError, AttributeError):
        raise EntryInvalid(kind=kind, name=name, reason="a field is of another type than expected") from None
    after = entries(_instance(kind, name, body)).get((kind, name))
    if before == after:
        return False
    receipts.write(ledger, "network-set", {"kind": kind, "name": name, "digest": digest(after), "by": by}, now)
    return True


@transaction.atomic
def drop(kind: str, name: str, *, ledger: receipts.LedgerWriter, now: datetime, by: str) -> None:
    """Take one entry out. Members, subsystems and servers are dropped only when nothing hangs on them any more."""
    require_utc(now)
    _DROP.get(kind, _nothing)(name)
    receipts.write(ledger, "network-dropped", {"kind": kind, "name": name, "by": by}, now)


def _instance(kind: str, name: str, body: Body) -> str:
    return str(body.get("server", "")).split("/", 1)[0] if kind == "certificate" else name.split("/", 1)[0]


def _only(body: Body, *allowed: str) -> None:
    strange = set(body) - set(allowed)
    if strange:
        raise ValueError(f"unknown fields {', '.join(sorted(strange))}")


def _text(value: Any, longest: int = 300) -> str:
    if not isinstance(value, str) or len(value) > longest or not all(c.isprintable() for c in value):
        raise ValueError("a text is not plain text of reasonable length")
    return value


def _put_setting(name: str, body: Body, now: datetime) -> None:
    _only(body, "value")
    value: Any = body["value"]
    expected = SETTINGS.get(name)
    if expected is None:
        raise ValueError(f"there is no such setting; there are {', '.join(SETTINGS)}")
    if expected is int:
        _whole(value, *WHOLE.get(name, (1, 999_999_999, "")))
    elif not isinstance(value, expected):
        raise ValueError(f"it must be {expected.__name__}")
    if name in {"management_provider", "monitoring_client"}:
        ClientId.parse(value)
    if name == "auth_cert_registration_certificate":
        _certificate(value)
    if name == "auto_approve":
        for kind in value:
            RequestKind(kind)
    CentralSetting.objects.update_or_create(name=name, defaults={"value": value})


def _whole(value: Any, least: int, most: int, reason: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"it must be a whole number from {least} to {most}{reason}")


def _put_class(name: str, body: Body, now: datetime) -> None:
    _only(body, "description")
    MemberClass.objects.update_or_create(code=_text(name, 60), defaults={"description": _text(body["description"])})


def _certificate(text: str) -> x509.Certificate:
    data = text.encode() if "-----BEGIN" in text else base64.b64decode(text, validate=True)
    return certs.load(data)


def _responders(listed: Any) -> None:
    for one in listed:
        _only(one, "url", "certificate", "cost")
        _url(one["url"])
        if one.get("cost", COSTS[0]) not in COSTS:
            raise ValueError(f"a cost is one of {', '.join(COSTS)}")
        if one.get("certificate"):
            _certificate(one["certificate"])


def _url(value: Any) -> str:
    if not _text(value, 500).startswith(("http://", "https://")):
        raise ValueError("an address is not http(s)")
    return str(value)


def _put_ca(name: str, body: Body, now: datetime) -> None:
    _only(body, "certificate", "profile", "authentication_only", "ocsp", "intermediates", "acme", "csr_format")
    for one in (body, *body.get("intermediates", ())):
        _certificate(one["certificate"])
        _responders(one.get("ocsp", ()))
    _text(body["profile"])
    if body.get("csr_format", CSR_FORMATS[0]) not in CSR_FORMATS:
        raise ValueError("csr_format is PEM or DER")
    if body.get("acme"):
        _only(body["acme"], "directory_url", "ip_address", "auth_profile", "sign_profile")
        _url(body["acme"]["directory_url"])
    TrustService.objects.update_or_create(kind="ca", name=_text(name, 190), defaults={"body": dict(body)})


def _put_tsa(name: str, body: Body, now: datetime) -> None:
    _only(body, "url", "certificate", "cost")
    _responders([{"url": body["url"], "certificate": body["certificate"], "cost": body.get("cost", COSTS[0])}])
    TrustService.objects.update_or_create(kind="tsa", name=_text(name, 190), defaults={"body": dict(body)})


def _put_partner(name: str, body: Body, now: datetime) -> None:
    _only(body, "anchor")
    anchor = confdir.parse_anchor(body["anchor"].encode())
    if anchor.instance != name:
        raise ValueError(f"the anchor is of instance {anchor.instance}")
    Partner.objects.update_or_create(instance=name, defaults={"anchor": body["anchor"]})


def _put_member(name: str, body: Body, now: datetime) -> None:
    _only(body, *_NAMES)
    member = MemberId.parse(name)
    if MemberClass.objects.exists() and not MemberClass.objects.filter(code=member.member_class).exists():
        raise ValueError(f"there is no member class {member.member_class}")
    ky, ru, en = (_text(body[field]) for field in _NAMES)
    doings.register_member(member, Text(ky=ky, ru=ru, en=en), now)


def _put_subsystem(name: str, body: Body, now: datetime) -> None:
    _only(body, "name")
    row = doings.register_subsystem(SubsystemId.parse(name), now)
    row.name = _text(body.get("name", ""))
    row.save(update_fields=["name"])


def _put_server(name: str, body: Body, now: datetime) -> None:
    _only(body, "address", "maintenance")
    server = ServerId.parse(name)
    address = _text(body["address"], 255)
    known = SecurityServer.objects.filter(code=name).first()
    row = doings.register_server(server, address, now, known.auth_cert_sha256 if known else ())
    maintenance = body.get("maintenance")
    row.maintenance = None if maintenance is None else _text(maintenance, 500)
    row.save(update_fields=["maintenance"])


def _put_client(name: str, body: Body, now: datetime) -> None:
    _only(body, "enabled")
    server, _, client = name.partition(" ")
    doings.host_client(ServerId.parse(server), SubsystemId.parse(client))
    row = SecurityServer.objects.get(code=server)
    row.disabled = sorted(set(row.disabled) - {client} | (set() if body.get("enabled", True) else {client}))
    row.save(update_fields=["disabled"])


def _put_certificate(name: str, body: Body, now: datetime) -> None:
    _only(body, "server", "der")
    der = certs.der(_certificate(body["der"]))
    if hashlib.sha256(der).hexdigest() != name:
        raise ValueError("its name is not its SHA-256")
    server = SecurityServer.objects.filter(code=body["server"]).first()
    if server is None:
        raise NotRegistered(kind="The security server", name=body["server"])
    known = AuthCertificate.objects.filter(sha256=name).select_related("server").first()
    if known is not None and known.server != server:
        raise ValueError(f"it belongs to {known.server.code}")
    AuthCertificate.objects.get_or_create(sha256=name, defaults={"server": server, "der": der, "registered_at": now})
    _hashes(server)


def _hashes(server: SecurityServer) -> None:
    server.auth_cert_sha256 = sorted(server.certificates.values_list("sha256", flat=True))
    server.save(update_fields=["auth_cert_sha256"])


def _put_group(name: str, body: Body, now: datetime) -> None:
    _only(body, "description", "members")
    members = sorted({str(ClientId.parse(member)) for member in body.get("members", ())})
    fields = {"description": _text(body.get("description", "")), "members": members}
    GlobalGroup.objects.update_or_create(code=_text(name, 190), defaults=fields)


_PUT: Final[dict[str, Callable[[str, Body, datetime], None]]] = {
    "setting": _put_setting,
    "class": _put_class,
    "ca": _put_ca,
    "tsa": _put_tsa,
    "partner": _put_partner,
    "member": _put_member,
    "subsystem": _put_subsystem,
    "server": _put_server,
    "client": _put_client,
    "certificate": _put_certificate,
    "group": _put_group,
}


def _gone(rows: Any, kind: str, name: str, held_by: str = "") -> None:
    """Delete `rows`, of which none may have one of what is `held_by` (a relation)."""
    from django.db.models import ProtectedError

    if not rows.exists():
        raise NothingToDrop(kind=kind, name=name)
    if held_by and rows.filter(**{f"{held_by}__isnull": False}).exists():
        raise EntryHeld(kind=kind, name=name)
    try:
        rows.delete()
    except ProtectedError:
        raise EntryHeld(kind=kind, name=name) from None


def _drop_client(name: str) -> None:
    server, _, client = name.partition(" ")
    row = SecurityServer.objects.filter(code=server, clients__code=client).first()
    if row is None:
        raise NothingToDrop(kind="client", name=name)
    row.clients.remove(Subsystem.objects.get(code=client))
    row.disabled = sorted(set(row.disabled) - {client})
    row.save(update_fields=["disabled"])


def _drop_certificate(name: str) -> None:
    row = AuthCertificate.objects.filter(sha256=name).select_related("server").first()
    _gone(AuthCertificate.objects.filter(sha256=name), "certificate", name)
    if row is not None:
        _hashes(row.server)


def _nothing(name: str) -> None:
    raise EntryInvalid(kind="entry", name=name, reason="a kind of that name does not exist")


_DROP: Final[dict[str, Callable[[str], None]]] = {
    "setting": lambda name: _gone(CentralSetting.objects.filter(name=name), "setting", name),
    "class": lambda name: _gone(MemberClass.objects.filter(code=name), "class", name),
    "ca": lambda name: _gone(TrustService.objects.filter(kind="ca", name=name), "ca", name),
    "tsa": lambda name: _gone(TrustService.objects.filter(kind="tsa", name=name), "tsa", name),
    "partner": lambda name: _gone(Partner.objects.filter(instance=name), "partner", name),
    "member": lambda name: _gone(Member.objects.filter(code=name), "member", name),
    "subsystem": lambda name: _gone(Subsystem.objects.filter(code=name), "subsystem", name, "servers"),
    "server": lambda name: _gone(SecurityServer.objects.filter(code=name), "server", name, "clients"),
    "client": _drop_client,
    "certificate": _drop_certificate,
    "group": lambda name: _gone(GlobalGroup.objects.filter(code=name), "group", name),
}
