"""Management requests as doings: received, applied or queued for approval, approved or declined with a reason.

A request arrives verified (`exchange.management_proof.Proof`). A signed one is remembered before anything else, in a transaction of its own:
the same bytes a second time are refused whatever became of the first (applied, refused, a dry run, a failure of ours), so a captured
request cannot be sent again once it fits. Its messages state no time, so what is remembered is never forgotten. It is applied
at once only when all holds: the kind is one the operator lets pass (setting `auto_approve`), and the server's owner signed it;
everything else, and everything unsigned, waits for an operator. A request that contradicts one that waits, or the register, is
refused. How many may wait is counted for each signer; what nobody signed has a small room of its own, by server and by address, and
stands in no signed one's way. Applying goes through `central.put` and `drop`, like an operator's own change.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction

from kerege.exchange.ids import ClientId, ServerId
from kerege.exchange.management import AUTO_APPROVED, Kind, ManagementRequest
from kerege.exchange.management_proof import Proof
from kerege.ground.clock import require_utc
from kerege.identity import receipts
from kerege.membership import central, provider
from kerege.membership.errors import (
    AlreadySo,
    NotRegistered,
    RegisteredAlready,
    RequestNeedless,
    RequestUnfit,
    RequestUnknown,
    RequestWaits,
    ServerUnregistered,
)
from kerege.membership.models import (
    AuthCertificate,
    ManagementRequestRow,
    Member,
    SecurityServer,
    SeenRequest,
    Subsystem,
)

_MOST_OF_SIGNER: Final = 100  # requests of one member that may wait
_MOST_PLAIN: Final = 200  # unsigned ones, of all servers
_MOST_PLAIN_OF_SERVER: Final = 10
_MOST_PLAIN_OF_ORIGIN: Final = 50


@dataclass(frozen=True, slots=True)
class Remembered:
    """A verified request that was not here before. Made by `remember` only.

    origin   the address it came from
    """

    proof: Proof
    digest: str
    origin: str

    @property
    def signer(self) -> str:
        return str(self.proof.signer or "")


@dataclass(frozen=True, slots=True)
class Received:
    """The number a request stands under, and its state: "waiting" or "approved"."""

    number: int
    state: str


def remember(proof: Proof, soap: bytes, *, now: datetime, origin: str = "") -> Remembered:
    """Note, for good, that a verified message was here. Raises RequestUnfit when it was before. Not within a transaction.

    Of what nobody signed anybody can make another, so it is only noted once it is taken; what will not be is refused here already.
    """
    require_utc(now)
    seen = Remembered(proof, hashlib.sha256(soap).hexdigest(), origin)
    if proof.signer is None:
        _check(seen)
        return seen
    try:
        with transaction.atomic(durable=True):
            SeenRequest.objects.create(digest=seen.digest, signer=seen.signer, seen_at=now)
    except IntegrityError:
        raise _seen_before() from None
    return seen


def _seen_before() -> RequestUnfit:
    return RequestUnfit(reason="the same message was received before; what is still wanted is asked in a new one")


def _passes(proof: Proof) -> bool:
    """Whether no operator need look at it."""
    allowed = central.setting("auto_approve", [kind.value for kind in AUTO_APPROVED])
    request = proof.envelope.request
    return proof.signer == request.server.owner and request.kind.value in allowed


def _check(seen: Remembered) -> None:
    request = seen.proof.envelope.request
    if ManagementRequestRow.objects.filter(digest=seen.digest, signer=seen.signer).exists():
        raise _seen_before()
    if not _passes(seen.proof):
        _check_room(seen)
    if seen.proof.envelope.sender.member != request.server.owner:
        raise RequestUnfit(
            reason=f"it is sent by {seen.proof.envelope.sender}, the server belongs to {request.server.owner}"
        )
    _check_fits(request)
    _check_waiting(request, signed=seen.proof.signer is not None)


def _check_room(seen: Remembered) -> None:
    waiting = ManagementRequestRow.objects.filter(state="waiting", signer=seen.signer)
    if seen.signer:
        limits = [(waiting, _MOST_OF_SIGNER, f"requests signed by {seen.signer}")]
    else:
        server = str(seen.proof.envelope.request.server)
        limits = [
            (waiting.filter(server=server), _MOST_PLAIN_OF_SERVER, f"unsigned requests for {server}"),
            (waiting.filter(origin=seen.origin), _MOST_PLAIN_OF_ORIGIN, "unsigned requests from this address"),
            (waiting, _MOST_PLAIN, "unsigned requests"),
        ]
    for rows, most, what in limits:
        if rows.count() >= most:
            raise RequestUnfit(reason=f"{most} {what} wait already; an operator must decide those first")


@transaction.atomic
def receive(seen: Remembered, *, ledger: receipts.LedgerWriter, now: datetime) -> Received:
    """Put a request in the register, and apply it when it may be applied at once. Raises RequestUnfit."""
    require_utc(now)
    _check(seen)
    request, proof = seen.proof.envelope.request, seen.proof
    noted = {
        "kind": request.kind.value,
        "server": str(request.server),
        "digest": seen.digest,
        "signer": seen.signer,
    }
    receipt = receipts.write(ledger, "management-request", noted, now)
    if request.dry_run:
        return Received(0, "waiting")
    row = ManagementRequestRow.objects.create(
        kind=request.kind.value,
        server=str(request.server),
        client=str(request.client or ""),
        body=_as_body(request),
        digest=seen.digest,
        sender=str(proof.envelope.sender),
        signer=seen.signer,
        origin="" if seen.signer else seen.origin,
        state="waiting",
        received_at=now,
        ledger_index=receipt.index,
    )
    if _passes(proof):
        _decide(row, "approved", "automatic", "signed by the server's owner", ledger, now)
    return Received(row.pk, row.state)


@transaction.atomic
def approve(number: int, *, by: str, reason: str, ledger: receipts.LedgerWriter, now: datetime) -> ManagementRequestRow:
    """Apply a request that waits. Raises RequestUnfit when it no longer fits the register, RequestNeedless when it is so already."""
    row = _waiting(number)
    try:
        _check_fits(as_request(row))
    except (AlreadySo, RegisteredAlready) as so:
        raise RequestNeedless(number=number, reason=so.params["reason"]) from None
    _decide(row, "approved", by, reason, ledger, now)
    return row


@transaction.atomic
def decline(number: int, *, by: str, reason: str, ledger: receipts.LedgerWriter, now: datetime) -> ManagementRequestRow:
    """Refuse a request that waits; the reason is kept."""
    row = _waiting(number)
    _decide(row, "declined", by, reason, ledger, now)
    return row


def _waiting(number: int) -> ManagementRequestRow:
    rows = ManagementRequestRow.objects.select_for_update()  # two operators decide one after the other
    row = rows.filter(pk=number).first()
    if row is None:
        raise RequestUnknown(number=number)
    if row.state != "waiting":
        raise RequestUnfit(reason=f"request {number} was {row.state} already")
    return row


def _decide(
    row: ManagementRequestRow, state: str, by: str, reason: str, ledger: receipts.LedgerWriter, now: datetime
) -> None:
    require_utc(now)
    if not by.strip() or not reason.strip():
        raise RequestUnfit(reason="a decision names who decides and why")
    if state == "approved":
        _apply(as_request(row), ledger, now, f"request {row.pk}")
    receipts.write(ledger, "management-decision", {"request": row.ledger_index, "state": state, "by": by}, now)
    row.state, row.decided_by, row.reason, row.decided_at = state, by, reason, now
    row.save(update_fields=["state", "decided_by", "reason", "decided_at"])


# --- requests as rows ------------------------------------------------------------------------------------------------


def _as_body(request: ManagementRequest) -> dict[str, Any]:
    certificate = None if request.certificate is None else base64.b64encode(request.certificate).decode()
    return {"certificate": certificate, "address": request.address, "name": request.name, "message": request.message}


def as_request(row: ManagementRequestRow) -> ManagementRequest:
    """The request a row holds."""
    certificate = row.body.get("certificate")
    return ManagementRequest(
        Kind(row.kind),
        ServerId.parse(row.server),
        ClientId.parse(row.client) if row.client else None,
        None if certificate is None else base64.b64decode(certificate),
        row.body.get("address"),
        row.body.get("name"),
        row.body.get("message"),
    )


# --- does it fit -----------------------------------------------------------------------------------------------------


def _check_waiting(request: ManagementRequest, *, signed: bool) -> None:
    """Of one server's client (or certificate) only one request may wait: a second would repeat or contradict it.

    What nobody signed stands in nobody's way: else a stranger's deletion would keep the owner's out.
    """
    rows = ManagementRequestRow.objects.filter(state="waiting", server=str(request.server))
    if signed:
        rows = rows.exclude(signer="")
    if request.client is not None:
        rows = rows.filter(client=str(request.client))
    elif request.certificate is not None:
        rows = rows.filter(body__certificate=_as_body(request)["certificate"])
    else:
        rows = rows.filter(kind=request.kind.value)
    other = rows.first()
    if other is not None and other.kind == request.kind.value:
        raise RequestWaits(number=other.pk, kind=other.kind)
    if other is not None:
        raise RequestUnfit(reason=f"request {other.pk} ({other.kind}) about the same waits for a decision")


def _check_fits(request: ManagementRequest) -> None:
    kind, server = request.kind, SecurityServer.objects.filter(code=str(request.server)).first()
    if kind is Kind.AUTH_CERT_REG:
        _check_certificate(request)
        return
    if server is None:
        raise ServerUnregistered(server=request.server)
    client = str(request.client or "")
    hosted = server.clients.filter(code=client).exists()
    if kind is Kind.CLIENT_REG and hosted:
        raise RegisteredAlready(reason=f"{client} is registered at the server")
    already = _already(request, server, hosted=hosted)
    if already:
        raise AlreadySo(reason=already)
    reason = ""
    if kind is Kind.CLIENT_REG and (request.client is None or request.client.subsystem is None):
        reason = "only subsystems are registered as clients"
    elif kind in {Kind.CLIENT_REG, Kind.OWNER_CHANGE} and not _member(request):
        reason = f"the member of {client} is not registered"
    elif kind is Kind.OWNER_CHANGE and _new_owner_taken(request):
        reason = f"{client} has another server of that code"
    elif kind in {Kind.CLIENT_DISABLE, Kind.CLIENT_ENABLE} and not hosted:
        reason = f"{client} is not registered at the server"
    elif kind is Kind.CLIENT_RENAME and not Subsystem.objects.filter(code=client).exists():
        reason = f"{client} is not registered"
    reason = reason or provider.shuts(request, server)
    if reason:
        raise RequestUnfit(reason=reason)


def _already(request: ManagementRequest, server: SecurityServer, *, hosted: bool) -> str:
    """Why nothing is left to do, or nothing."""
    kind, client = request.kind, str(request.client or "")
    if kind is Kind.AUTH_CERT_DELETION and not server.certificates.filter(sha256=_sha256(request)).exists():
        return "the certificate is not registered for the server"
    if kind is Kind.CLIENT_DELETION and not hosted:
        return f"{client} is not registered at the server"
    if kind is Kind.CLIENT_DISABLE and hosted and client in server.disabled:
        return f"{client} is disabled already"
    if kind is Kind.CLIENT_ENABLE and hosted and client not in server.disabled:
        return f"{client} is not disabled"
    if kind is Kind.OWNER_CHANGE and client == str(request.server.owner):
        return f"{client} owns the server already"
    if kind is Kind.MAINTENANCE_ENABLE and server.maintenance is not None:
        return "the server is in maintenance already"
    if kind is Kind.MAINTENANCE_DISABLE and server.maintenance is None:
        return "the server is not in maintenance"
    return ""


def _member(request: ManagementRequest) -> bool:
    return request.client is not None and Member.objects.filter(code=str(request.client.member)).exists()


def _new_owner_taken(request: ManagementRequest) -> bool:
    return SecurityServer.objects.filter(code=f"{request.client}/{str(request.server).rsplit('/', 1)[-1]}").exists()


def _sha256(request: ManagementRequest) -> str:
    return hashlib.sha256(request.certificate or b"").hexdigest()


def _check_certificate(request: ManagementRequest) -> None:
    if not Member.objects.filter(code=str(request.server.owner)).exists():
        raise RequestUnfit(reason=f"the server's owner {request.server.owner} is not registered")
    known = AuthCertificate.objects.filter(sha256=_sha256(request)).select_related("server").first()
    if known is not None and known.server.code == str(request.server):
        raise RegisteredAlready(reason="the certificate is registered for the server")
    if known is not None:
        raise RequestUnfit(reason="the certificate is registered for another server")
    if not request.address and not SecurityServer.objects.filter(code=str(request.server)).exists():
        raise RequestUnfit(reason="a new server's first certificate comes with its address")


# --- applying --------------------------------------------------------------------------------------------------------


def _apply(request: ManagementRequest, ledger: receipts.LedgerWriter, now: datetime, by: str) -> None:
    server, client, kind = str(request.server), str(request.client or ""), request.kind

    def put(what: str, name: str, body: dict[str, Any]) -> None:
        central.put(what, name, body, ledger=ledger, now=now, by=by)

    row = SecurityServer.objects.filter(code=server).first()
    if kind is Kind.AUTH_CERT_REG:
        address = request.address or (row.address if row else "")
        put("server", server, {"address": address, "maintenance": row.maintenance if row else None})
        der = base64.b64encode(request.certificate or b"").decode()
        put("certificate", _sha256(request), {"server": server, "der": der})
    elif kind is Kind.AUTH_CERT_DELETION:
        central.drop("certificate", _sha256(request), ledger=ledger, now=now, by=by)
    elif kind is Kind.CLIENT_REG:
        known = Subsystem.objects.filter(code=client).first()
        put("subsystem", client, {"name": request.name or (known.name if known else "")})
        put("client", f"{server} {client}", {"enabled": True})
    elif kind is Kind.CLIENT_DELETION:
        central.drop("client", f"{server} {client}", ledger=ledger, now=now, by=by)
    elif kind in {Kind.CLIENT_DISABLE, Kind.CLIENT_ENABLE}:
        put("client", f"{server} {client}", {"enabled": kind is Kind.CLIENT_ENABLE})
    elif kind is Kind.CLIENT_RENAME:
        put("subsystem", client, {"name": request.name or ""})
    elif row is None:
        raise RequestUnfit(reason=f"the server {server} is not registered")
    elif kind is Kind.ADDRESS_CHANGE:
        put("server", server, {"address": request.address, "maintenance": row.maintenance})
    elif kind in {Kind.MAINTENANCE_ENABLE, Kind.MAINTENANCE_DISABLE}:
        message = (request.message or "") if kind is Kind.MAINTENANCE_ENABLE else None
        put("server", server, {"address": row.address, "maintenance": message})
    elif kind is Kind.OWNER_CHANGE:
        _change_owner(request, row, ledger, now, by)


def _change_owner(
    request: ManagementRequest, row: SecurityServer, ledger: receipts.LedgerWriter, now: datetime, by: str
) -> None:
    """The server keeps its certificates, clients and code, under the new owner's name."""
    owner = Member.objects.filter(code=str(request.client)).first()
    if owner is None:
        raise NotRegistered(kind="The member", name=request.client)
    before, row.owner = row.code, owner
    row.code = f"{owner.code}/{before.rsplit('/', 1)[-1]}"
    row.save(update_fields=["code", "owner"])
    receipts.write(ledger, "server-owner", {"before": before, "after": row.code, "by": by}, now)
