"""What others may ask this room, as plain values."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, cast

from kerege.exchange import certs
from kerege.exchange.errors import ConfigurationMalformed
from kerege.ground.clock import iso
from kerege.membership.models import (
    Contract,
    ManagementRequestRow,
    Member,
    Permit,
    Publication,
    PublicServiceClient,
    Right,
    SecurityServer,
    Subsystem,
)
from kerege.membership.picture import At, ContractRow, MemberRow, PermitRow, Picture, RightRow, ServerRow
from kerege.membership.states import PermitState


@dataclass(frozen=True, slots=True)
class NetworkView:
    """The network for a page: the picture, and what was last published of it."""

    picture: Picture
    version: int | None
    published_at: datetime | None
    published_digest: str | None

    @property
    def unpublished_changes(self) -> bool:
        """Whether the nodes obey something else than these tables say."""
        return self.published_digest != self.picture.digest()


def network_view(now: datetime, instance: str = "KG") -> NetworkView:
    """The network as it stands, rights that ended left out."""
    last = Publication.objects.order_by("-pk").first()
    return NetworkView(
        picture=picture(instance, now),
        version=last.version if last else None,
        published_at=last.published_at if last else None,
        published_digest=last.digest if last else None,
    )


@dataclass(frozen=True, slots=True)
class GivenRight:
    """A right as it was given, and what has become of it: "in force", "ended" or "revoked"."""

    right: str
    holder: str
    data_service: str
    method: str
    path: str
    until: datetime
    state: str
    ledger_index: int

    def as_dict(self) -> dict[str, str | int]:
        """As plain values for JSON."""
        plain = {name: getattr(self, name) for name in ("right", "holder", "data_service", "method", "path")}
        return plain | {"until": iso(self.until), "state": self.state, "ledger_index": self.ledger_index}


def rights_given(now: datetime) -> tuple[GivenRight, ...]:
    """Every right ever given, by who holds it."""
    rows = Right.objects.select_related("holder").order_by("holder__code", "data_service", "pk")
    return tuple(
        GivenRight(
            row.right_id,
            row.holder.code,
            row.data_service,
            row.method,
            row.path,
            row.valid_until,
            "revoked" if row.revoked_at is not None else "in force" if row.valid_until >= now else "ended",
            row.ledger_index,
        )
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A management request as received, and what became of it; a field that its kind does not have is None.

    client       the new owner where the kind is ownerChange
    good_until   of the certificate; None where it cannot be read
    signer       who signed it; empty: nobody did, and `origin` is the address it came from
    """

    number: int
    state: str
    kind: str
    server: str
    client: str | None
    address: str | None
    certificate_sha256: str | None
    good_until: datetime | None
    name: str | None
    message: str | None
    sender: str
    signer: str
    origin: str
    received_at: datetime
    decided_at: datetime | None
    decided_by: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        moments = {name: getattr(self, name) for name in ("received_at", "decided_at", "good_until")}
        return asdict(self) | {name: None if moment is None else iso(moment) for name, moment in moments.items()}


def requests_received(*, waiting: bool = False) -> tuple[ReceivedRequest, ...]:
    """Every management request, newest last; or only those that wait for a decision."""
    rows = ManagementRequestRow.objects.order_by("pk")
    return tuple(_request(row) for row in (rows.filter(state="waiting") if waiting else rows))


def requests_waiting() -> int:
    """How many management requests wait for a decision."""
    return ManagementRequestRow.objects.filter(state="waiting").count()


def _request(row: ManagementRequestRow) -> ReceivedRequest:
    certificate = None if row.body.get("certificate") is None else base64.b64decode(row.body["certificate"])
    return ReceivedRequest(
        row.pk,
        row.state,
        row.kind,
        row.server,
        row.client or None,
        row.body.get("address"),
        None if certificate is None else hashlib.sha256(certificate).hexdigest(),
        None if certificate is None else _good_until(certificate),
        row.body.get("name"),
        row.body.get("message"),
        row.sender,
        row.signer,
        row.origin,
        row.received_at,
        row.decided_at,
        row.decided_by,
        row.reason,
    )


def _good_until(der: bytes) -> datetime | None:
    """The last moment of a certificate's term; None where it cannot be read: it is shown, and refused elsewhere."""
    try:
        return certs.load(der).not_valid_after_utc
    except (ConfigurationMalformed, *certs.UNREADABLE):
        return None


@dataclass(frozen=True, slots=True)
class ServerStanding:
    """A server as registered: with the clients of it that are disabled, and what it says while in maintenance (None: it is not).

    certificates   their SHA-256 (hex)
    good_until     the last moment of each one's term, in their order; None where the register has the SHA-256 only
    """

    code: str
    owner: str
    address: str
    certificates: tuple[str, ...]
    good_until: tuple[datetime | None, ...]
    clients: tuple[str, ...]
    disabled: tuple[str, ...]
    maintenance: str | None

    def as_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self) | {"good_until": [None if until is None else iso(until) for until in self.good_until]}


def servers_standing(instance: str) -> tuple[ServerStanding, ...]:
    """The servers of `instance`, by name."""
    rows = SecurityServer.objects.filter(code__startswith=f"{instance}/").select_related("owner")
    return tuple(_standing(row) for row in rows.prefetch_related("clients", "certificates").order_by("code"))


def _standing(row: SecurityServer) -> ServerStanding:
    good_until = {one.sha256: _good_until(bytes(one.der)) for one in row.certificates.all()}
    return ServerStanding(
        row.code,
        row.owner.code,
        row.address,
        tuple(row.auth_cert_sha256),
        tuple(good_until.get(one) for one in row.auth_cert_sha256),
        tuple(sorted(client.code for client in row.clients.all())),
        tuple(row.disabled),
        row.maintenance,
    )


def current_permit(public_service: str) -> PermitRow | None:
    """The permit in force as last set, whether published or not."""
    row = Permit.objects.filter(public_service=public_service).order_by("-pk").first()
    return _permit(row) if row else None


def permit_history(public_service: str) -> tuple[PermitRow, ...]:
    """Every setting of the permit, oldest first."""
    return tuple(_permit(row) for row in Permit.objects.filter(public_service=public_service).order_by("pk"))


def clients_of(public_service: str) -> tuple[str, ...]:
    """The subsystems that act for a public service."""
    rows = PublicServiceClient.objects.filter(public_service=public_service)
    return tuple(rows.order_by("client__code").values_list("client__code", flat=True))


def picture(instance: str, now: datetime) -> Picture:
    """The tables as one value; rights that were revoked or ended are not part of it."""
    from kerege.membership.central import central_digest  # the doings in between ask this module

    prefix = f"{instance}/"
    rights = Right.objects.filter(revoked_at=None, valid_until__gte=now).select_related("holder")
    servers = SecurityServer.objects.filter(code__startswith=prefix).select_related("owner").prefetch_related("clients")
    newest = {row.client: row for row in Permit.objects.order_by("pk")}
    return Picture(
        instance=instance,
        members=tuple(
            MemberRow(code=m.code, name_en=m.name_en, name_ky=m.name_ky, name_ru=m.name_ru)
            for m in Member.objects.filter(code__startswith=prefix).order_by("code")
        ),
        subsystems=tuple(
            Subsystem.objects.filter(code__startswith=prefix).order_by("code").values_list("code", flat=True)
        ),
        servers=tuple(
            ServerRow(
                code=s.code,
                owner=s.owner.code,
                address=s.address,
                auth_cert_sha256=tuple(s.auth_cert_sha256),
                clients=tuple(sorted(c.code for c in s.clients.all())),
            )
            for s in servers.order_by("code")
        ),
        rights=tuple(
            sorted(RightRow(r.holder.code, r.data_service, r.method, r.path, r.valid_until, r.right_id) for r in rights)
        ),
        permits=tuple(sorted(_permit(row) for row in newest.values())),
        public_services=tuple(
            PublicServiceClient.objects.order_by("public_service").values_list("public_service", "client__code")
        ),
        contracts=tuple(
            ContractRow(
                c.data_service,
                c.path,
                c.mapping,
                cast(At, c.at),
                c.owner,
                c.legal_basis,
                c.mode,
                c.translate,
                c.method,
                c.schema,
                c.rules,
            )
            for c in Contract.objects.order_by("data_service", "path", "method")
        ),
        central=central_digest(instance),
    )


def _permit(row: Permit) -> PermitRow:
    return PermitRow(
        public_service=row.public_service,
        client=row.client,
        state=PermitState(row.state),
        data_services=tuple(row.data_services),
        until=row.until,
        verdict_index=row.verdict_index,
        verdict_leaf=row.verdict_leaf,
        set_at=row.set_at,
    )
