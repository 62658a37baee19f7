"""What changes in the network's register, one transaction each; registrations may be repeated without harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from kerege.exchange.ids import DataServiceId, MemberId, ServerId, SubsystemId
from kerege.exchange.rules import ASKED, OBSERVE
from kerege.ground.clock import iso, require_utc
from kerege.ground.errors import KeregeError
from kerege.ground.ids import canonical_json, new_id
from kerege.ground.text import Text
from kerege.identity import receipts
from kerege.membership.errors import (
    ContractInvalid,
    NotRegistered,
    OtherOwner,
    PermitInvalid,
    PublishFailed,
    RightInvalid,
    RightUnknown,
)
from kerege.membership.models import (
    Contract,
    Member,
    Permit,
    Publication,
    PublicServiceClient,
    Right,
    SecurityServer,
    Subsystem,
)
from kerege.membership.picture import At, ContractRow
from kerege.membership.publish import Publisher
from kerege.membership.queries import picture
from kerege.membership.states import PermitState
from kerege.node.contracts.which import compiled

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "*"})


def register_member(member: MemberId, name: Text, now: datetime) -> Member:
    """The member with its name as given now."""
    row, _ = Member.objects.update_or_create(
        code=str(member),
        defaults={"name_ky": name.ky, "name_ru": name.ru, "name_en": name.en},
        create_defaults={
            "name_ky": name.ky,
            "name_ru": name.ru,
            "name_en": name.en,
            "registered_at": require_utc(now),
        },
    )
    return row


@transaction.atomic
def register_subsystem(subsystem: SubsystemId, now: datetime) -> Subsystem:
    """The subsystem of a registered member."""
    member = Member.objects.filter(code=str(subsystem.member)).first()
    if member is None:
        raise NotRegistered(kind="The member", name=subsystem.member)
    row, _ = Subsystem.objects.get_or_create(
        code=str(subsystem), defaults={"member": member, "registered_at": require_utc(now)}
    )
    return row


@transaction.atomic
def register_server(
    server: ServerId, address: str, now: datetime, auth_cert_sha256: Sequence[str] = ()
) -> SecurityServer:
    """The security server with its address and certificates as given now."""
    owner = Member.objects.filter(code=str(server.owner)).first()
    if owner is None:
        raise NotRegistered(kind="The member", name=server.owner)
    row = SecurityServer.objects.filter(code=str(server)).select_related("owner").first()
    if row is None:
        row = SecurityServer(code=str(server), owner=owner, registered_at=require_utc(now))
    elif row.owner != owner:
        raise OtherOwner(server=server, owner=row.owner.code, asked=owner.code)
    row.address = address
    row.auth_cert_sha256 = sorted(set(auth_cert_sha256))
    row.save()
    return row


@transaction.atomic
def host_client(server: ServerId, subsystem: SubsystemId) -> None:
    """Let the server speak for the subsystem."""
    node = SecurityServer.objects.filter(code=str(server)).first()
    if node is None:
        raise NotRegistered(kind="The security server", name=server)
    node.clients.add(_subsystem(subsystem))


@transaction.atomic
def register_public_service(
    public_service: str,
    client: SubsystemId,
    *,
    ledger: receipts.LedgerWriter | None = None,
    now: datetime | None = None,
    by: str = "",
) -> PublicServiceClient:
    """From now on the client's traffic needs a permit of this public service. With `ledger` and `now` a new binding stands in the ledger."""
    subsystem = _subsystem(client)
    row, new = PublicServiceClient.objects.get_or_create(client=subsystem, defaults={"public_service": public_service})
    if row.public_service != public_service:
        raise PermitInvalid(
            public_service=public_service,
            state="none",
            reason=f"{client} already acts for {row.public_service}; give this public service a subsystem of its own",
        )
    if new and ledger is not None and now is not None:
        bound = {"public_service": public_service, "client": str(client)}
        receipts.write(ledger, "public-service-client", bound | _decided(by), require_utc(now))
    return row


@transaction.atomic
def grant_right(
    holder: SubsystemId,
    data_service: DataServiceId,
    until: datetime,
    *,
    ledger: receipts.LedgerWriter,
    now: datetime,
    method: str = "*",
    path: str = "/**",
    by: str = "",
) -> Right:
    """Let `holder` call `method` `path` of `data_service` until `until`, inclusive. `*` is any method; in
    a path, `*` is anything within a segment and `**` across segments. `by`: who decided, for the ledger."""
    require_utc(now)
    params = {"holder": holder, "data_service": data_service}
    if until <= now:
        raise RightInvalid(**params, reason="it would end before it begins")
    if method not in METHODS:
        raise RightInvalid(**params, reason=f"the method {method} is not one of {', '.join(sorted(METHODS))}")
    if not path.startswith("/") or ".." in path.split("/") or "?" in path or "#" in path:
        raise RightInvalid(**params, reason="its path does not begin with /, climbs (..) or holds a query")
    holding, giving = _subsystem(holder), _subsystem(data_service.provider)
    body = {
        "holder": str(holder),
        "data_service": str(data_service),
        "method": method,
        "path": path,
        "until": iso(until),
    }
    receipt = receipts.write(ledger, "right", body | _decided(by), now)
    return Right.objects.create(
        right_id=new_id("right"),
        holder=holding,
        provider=giving,
        data_service=str(data_service),
        method=method,
        path=path,
        valid_until=until,
        granted_at=now,
        ledger_index=receipt.index,
    )


@transaction.atomic
def revoke_right(right_id: str, *, ledger: receipts.LedgerWriter, now: datetime, by: str = "") -> Right:
    """End a right; it leaves the configuration with the next publication. One that was revoked before stays as it is."""
    right = Right.objects.filter(right_id=right_id).first()
    if right is None:
        raise RightUnknown(right=right_id)
    if right.revoked_at is None:
        receipts.write(ledger, "right-revoked", {"right": right.ledger_index} | _decided(by), now)
        right.revoked_at = require_utc(now)
        right.save(update_fields=["revoked_at"])
    return right


@transaction.atomic
def set_contract(
    data_service: DataServiceId,
    path: str,
    mapping: str,
    *,
    owner: str,
    legal_basis: str,
    now: datetime,
    at: At = "consumer",
    mode: str = OBSERVE,
    translate: str = ASKED,
    method: str = "*",
    schema: Mapping[str, Any] | None = None,
    check: Mapping[str, Any] | None = None,
) -> Contract:
    """What the answers under `path` are held against, where, and what a breach does (`exchange.rules.WireContract`).

    `check`: a data contract's rules for the canonical records, as `semantics.contracts.wire` writes them.
    One contract per data service, path and method. A contract without a mapping needs a JSON Schema. Raises ContractInvalid.
    """

    def bad(reason: str) -> ContractInvalid:
        return ContractInvalid(data_service=data_service, path=path, reason=reason)

    for field, value in (("owner", owner), ("legal basis", legal_basis), ("path", path)):
        if not value.strip():
            raise bad(f"it has no {field}")
    if not mapping.strip() and schema is None:
        raise bad("it has no mapping and no schema")
    try:
        text = "" if schema is None else canonical_json(schema).decode()
        rules = "" if check is None else canonical_json(check).decode()
        row_ = ContractRow(
            str(data_service), path, mapping, at, owner, legal_basis, mode, translate, method, text, rules
        )
        row_.as_rule()
    except (TypeError, ValueError) as problem:
        raise bad(str(problem)) from None
    unusable = compiled(text) if text else None
    if isinstance(unusable, str):
        raise bad(unusable)
    row, _ = Contract.objects.update_or_create(
        data_service=str(data_service),
        path=path,
        method=method,
        defaults={
            "provider": _subsystem(data_service.provider),
            "mapping": mapping,
            "at": at,
            "mode": mode,
            "translate": translate,
            "schema": text,
            "rules": rules,
            "owner": owner,
            "legal_basis": legal_basis,
            "set_at": require_utc(now),
        },
    )
    return row


@transaction.atomic
def drop_contract(data_service: DataServiceId, path: str, method: str = "*") -> bool:
    """Answers under `path` are held against nothing from the next publication on; False when they were not before."""
    dropped, _ = Contract.objects.filter(data_service=str(data_service), path=path, method=method).delete()
    return bool(dropped)


@transaction.atomic
def set_permit(
    public_service: str,
    client: SubsystemId,
    state: PermitState,
    data_services: Sequence[DataServiceId],
    until: datetime,
    verdict: receipts.Receipt,
    now: datetime,
) -> Permit:
    """Write the permit in force from now on; `verdict` says where its ground stands in the ledger.

    Called by the gate (`delivery.doings`) only. A state that carries traffic needs data services and an end in the future;
    closing always succeeds for a registered client, because stopping must never fail on a formality.
    """
    require_utc(now)
    params = {"public_service": public_service, "state": state.value}
    row = PublicServiceClient.objects.filter(client__code=str(client)).first()
    if row is None or row.public_service != public_service:
        raise PermitInvalid(**params, reason=f"{client} is not registered as its client")
    if state.carries:
        if not data_services:
            raise PermitInvalid(**params, reason="it names no data service")
        if until <= now:
            raise PermitInvalid(**params, reason="it would end before it begins")
        for data_service in data_services:
            _subsystem(data_service.provider)
    return Permit.objects.create(
        public_service=public_service,
        client=str(client),
        state=state.value,
        data_services=sorted(str(d) for d in data_services),
        until=until,
        verdict_index=verdict.index,
        verdict_leaf=verdict.leaf,
        set_at=now,
    )


def publish_configuration(
    folder: Path,
    now: datetime,
    publisher: Publisher,
    ledger: receipts.LedgerWriter | None = None,
    *,
    instance: str = "KG",
    least: int = 0,
) -> Publication:
    """Have the picture of now signed and written to `folder`, and note version and digest.

    least   the lowest version that nodes still take, where the database may not know of it

    An unchanged picture is signed again, because configurations expire; only a changed one, or one of a version that is not noted, is
    noted, here and in the ledger. A ledger that
    signs its head does so once the publication stands in it. Whoever calls this sees to it that nobody else does (`renewal.alone`).
    Raises PublishFailed and notes nothing when the publisher fails; the nodes keep what they have.
    """
    require_utc(now)
    current = picture(instance, now)
    last = Publication.objects.order_by("-pk").first()
    changed = last is None or last.digest != current.digest()
    version = max((last.version if last else 0) + changed, least)
    try:
        publisher(current, current.rules(version), folder, now)
    except KeregeError as fault:
        raise PublishFailed(folder=folder, reason=fault.text) from fault
    except OSError as fault:
        raise PublishFailed(folder=folder, reason=fault.strerror or type(fault).__name__) from fault
    if last is not None and version == last.version:
        return last
    with transaction.atomic():
        index = None
        if ledger is not None:
            index = receipts.write(ledger, "configuration", {"version": version, "digest": current.digest()}, now).index
        publication = Publication.objects.create(
            version=version, digest=current.digest(), published_at=now, ledger_index=index
        )
    if isinstance(ledger, receipts.HeadSigner):
        ledger.sign_head(now)
    return publication


def _decided(by: str) -> dict[str, str]:
    return {"by": by} if by else {}


def _subsystem(subsystem: SubsystemId) -> Subsystem:
    row = Subsystem.objects.filter(code=str(subsystem)).first()
    if row is None:
        raise NotRegistered(kind="The subsystem", name=subsystem)
    return row
