"""Kerege's own part of the global configuration (`KEREGE-RULES`): access rights, traffic permits, contracts on the wire.

X-Road keeps access rights in each provider's own database; here they are published and signed with everything else that binds,
so that a right, a permit and its end are the same at every node and can be shown to anyone. JSON, strict: an unknown key is refused,
because a rule that is half understood is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

import orjson

from kerege.exchange.errors import ConfigurationMalformed, ExchangeError
from kerege.exchange.ids import DataServiceId, SubsystemId
from kerege.ground.clock import iso, require_utc
from kerege.ground.ids import canonical_json

CONSUMER: Final = "consumer"
PROVIDER: Final = "provider"
OBSERVE: Final = "observe"
WARN: Final = "warn"
QUARANTINE: Final = "quarantine"
REFUSE: Final = "refuse"
ASKED: Final = "asked"
ALWAYS: Final = "always"
NEVER: Final = "never"
LARGEST_SCHEMA: Final = 65536  # bytes of one contract's JSON Schema
_TERMS: Final[Mapping[str, tuple[str, ...]]] = {
    "at": (CONSUMER, PROVIDER),
    "mode": (OBSERVE, WARN, QUARANTINE, REFUSE),
    "translate": (ASKED, ALWAYS, NEVER),
}


@dataclass(frozen=True, slots=True)
class Right:
    """`holder` (a subsystem, or `group:CODE`) may call `service` with `method` on paths like `path`, until a moment."""

    id: str
    holder: SubsystemId | str
    service: DataServiceId
    method: str = "*"
    path: str = "/**"
    valid_until: datetime | None = None

    def __post_init__(self) -> None:
        if isinstance(self.holder, str) and not (self.holder.startswith("group:") and len(self.holder) > 6):
            raise ValueError(f"right {self.id}: the holder is a SubsystemId or 'group:CODE'")
        if not self.path.startswith("/"):
            raise ValueError(f"right {self.id}: the path pattern begins with /")
        if self.valid_until is not None:
            require_utc(self.valid_until, "valid_until")


@dataclass(frozen=True, slots=True)
class Binding:
    """Traffic of `client` belongs to the public service: without an open permit it does not flow."""

    client: SubsystemId
    public_service: str


@dataclass(frozen=True, slots=True)
class Permit:
    """Opens (or closes) the traffic of a public service's client until a moment; `reason` stands in refusals."""

    id: str
    client: SubsystemId
    public_service: str
    state: str  # "open" | "closed"
    valid_until: datetime
    reason: str = ""

    def __post_init__(self) -> None:
        if self.state not in {"open", "closed"}:
            raise ValueError(f"permit {self.id}: the state is open or closed")
        require_utc(self.valid_until, "valid_until")


@dataclass(frozen=True, slots=True)
class WireContract:
    """What answers of `service` under `path` (a prefix on segment borders) are: checked, and translated by `mapping`.

    at          where: at the consumer after verifying, or at the provider before signing
    mode        what a breach does: counted (`observe`), told along with the answer (`warn`), its record is set aside and the others pass
                (`quarantine`), or the answer is refused (`refuse`)
    translate   when canonical records take the answer's place: when the caller asks for them, always, or never
    method      the HTTP method it is for; `*` for all
    schema      a JSON Schema as canonical JSON that JSON answers must fit besides; "" for none
    check       a data contract's rules for the canonical records, as canonical JSON (`semantics.contracts.wire`); "" for none
    """

    service: DataServiceId
    path: str
    mapping: str
    at: str = CONSUMER
    mode: str = OBSERVE
    translate: str = ASKED
    method: str = "*"
    schema: str = ""
    check: str = ""

    def __post_init__(self) -> None:
        for name, allowed in _TERMS.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"contract {self.service} {self.path}: {name} is one of {', '.join(allowed)}")
        if not self.method.isascii() or not (self.method == "*" or self.method.isalpha()):
            raise ValueError(f"contract {self.service} {self.path}: method is an HTTP method or *")
        if self.translate == ALWAYS and not self.mapping:
            raise ValueError(f"contract {self.service} {self.path}: translating always needs a mapping")
        for name, text in (("schema", self.schema), ("check", self.check)):
            if len(text.encode()) > LARGEST_SCHEMA:
                raise ValueError(f"contract {self.service} {self.path}: its {name} is beyond {LARGEST_SCHEMA} bytes")
            if text and not _is_object(text):
                raise ValueError(f"contract {self.service} {self.path}: its {name} is not a JSON object")
        if self.check and not self.mapping:
            raise ValueError(
                f"contract {self.service} {self.path}: its check is of canonical records and needs a mapping"
            )

    def fits(self, path: str, method: str) -> bool:
        prefix = self.path.rstrip("/")
        return self.method in {"*", method} and (path == prefix or path.startswith(prefix + "/"))


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


@dataclass(frozen=True)
class Rules:
    """All rules of one publication; `version` grows by one each time."""

    instance: str
    version: int
    rights: tuple[Right, ...] = ()
    bindings: tuple[Binding, ...] = ()
    permits: tuple[Permit, ...] = ()
    contracts: tuple[WireContract, ...] = field(default=())

    @cached_property
    def _rights_by_service(self) -> dict[DataServiceId, tuple[Right, ...]]:
        out: dict[DataServiceId, list[Right]] = {}
        for right in self.rights:
            out.setdefault(right.service.unversioned, []).append(right)
        return {service: tuple(rights) for service, rights in out.items()}

    def rights_for(self, service: DataServiceId) -> tuple[Right, ...]:
        """The rights on a data service; a right is on a service code, whatever its version."""
        return self._rights_by_service.get(service if service.version is None else service.unversioned, ())

    @cached_property
    def _contracts_by_service(self) -> dict[DataServiceId, tuple[WireContract, ...]]:
        """The most particular first: the longest path, and of one path those of a single method."""
        out: dict[DataServiceId, list[WireContract]] = {}
        for contract in self.contracts:
            out.setdefault(contract.service, []).append(contract)
        order = {
            key: sorted(all_, key=lambda c: (-len(c.path.rstrip("/")), c.method == "*")) for key, all_ in out.items()
        }
        return {service: tuple(contracts) for service, contracts in order.items()}

    def has_contracts(self, service: DataServiceId) -> bool:
        """Whether any call of this service may be under a contract."""
        return service in self._contracts_by_service

    def contract_for(self, service: DataServiceId, path: str, method: str) -> WireContract | None:
        """The contract whose path prefix fits longest, or None. A service without contracts costs one look-up."""
        contracts = self._contracts_by_service.get(service)
        if contracts is None:
            return None
        return next((contract for contract in contracts if contract.fits(path, method)), None)


def empty(instance: str) -> Rules:
    """The rules of a configuration without a KEREGE-RULES part: nothing is granted, nothing is bound."""
    return Rules(instance, 0)


def _moment(value: datetime | None) -> str | None:
    return None if value is None else iso(value)


def build(rules: Rules) -> bytes:
    """`rules` as canonical JSON: equal rules give equal bytes."""
    return canonical_json(
        {
            "instance": rules.instance,
            "version": rules.version,
            "rights": [
                {
                    "id": r.id,
                    "holder": str(r.holder),
                    "service": str(r.service),
                    "method": r.method,
                    "path": r.path,
                    "valid_until": _moment(r.valid_until),
                }
                for r in rules.rights
            ],
            "bindings": [{"client": str(b.client), "public_service": b.public_service} for b in rules.bindings],
            "permits": [
                {
                    "id": p.id,
                    "client": str(p.client),
                    "public_service": p.public_service,
                    "state": p.state,
                    "valid_until": _moment(p.valid_until),
                    "reason": p.reason,
                }
                for p in rules.permits
            ],
            "contracts": [_contract_fields(c) for c in rules.contracts],
        }
    )


def _contract_fields(contract: WireContract) -> dict[str, Any]:
    """Terms that are as they were before there was a choice are left out: nodes of that time read such contracts still."""
    out: dict[str, Any] = {"service": str(contract.service), "path": contract.path, "mapping": contract.mapping}
    defaults = {"at": CONSUMER, "mode": OBSERVE, "translate": ASKED, "method": "*"}
    out |= {name: value for name, default in defaults.items() if (value := getattr(contract, name)) != default}
    if contract.schema:
        out["schema"] = orjson.loads(contract.schema)
    if contract.check:
        out["check"] = orjson.loads(contract.check)
    return out


class _Reader:
    """One JSON object read strictly: every key asked for must be there, and nothing else."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise ConfigurationMalformed(part="rules", reason=f"{where} is not an object")
        self._value, self._where, self._left = value, where, set(value)

    def take(self, key: str, kind: type) -> Any:
        self._left.discard(key)
        found = self._value.get(key)
        if not isinstance(found, kind) or isinstance(found, bool):
            raise ConfigurationMalformed(part="rules", reason=f"{self._where}.{key} is missing or not {kind.__name__}")
        return found

    def maybe(self, key: str, kind: type, otherwise: Any) -> Any:
        """A key that older documents do not have."""
        return self.take(key, kind) if key in self._value else otherwise

    def moment(self, key: str) -> datetime | None:
        if self._value.get(key) is None:
            self._left.discard(key)
            return None
        text = self.take(key, str)
        try:
            found: datetime | None = datetime.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or found.tzinfo is None:
            raise ConfigurationMalformed(part="rules", reason=f"{self._where}.{key} is not a moment with a time zone")
        return found.astimezone(UTC)

    def close(self) -> None:
        if self._left:
            raise ConfigurationMalformed(
                part="rules", reason=f"{self._where} has an unknown key {sorted(self._left)[0]!r}"
            )


def parse(data: bytes) -> Rules:
    """Rules from JSON. Raises ConfigurationMalformed naming the entry."""
    try:
        whole = _Reader(orjson.loads(data), "rules")
    except orjson.JSONDecodeError:
        raise ConfigurationMalformed(part="rules", reason="it is not JSON") from None
    lists = {key: whole.take(key, list) for key in ("rights", "bindings", "permits", "contracts")}
    try:
        out = Rules(
            instance=whole.take("instance", str),
            version=whole.take("version", int),
            rights=tuple(_right(v, i) for i, v in enumerate(lists["rights"])),
            bindings=tuple(_binding(v, i) for i, v in enumerate(lists["bindings"])),
            permits=tuple(_permit(v, i) for i, v in enumerate(lists["permits"])),
            contracts=tuple(_contract(v, i) for i, v in enumerate(lists["contracts"])),
        )
    except ConfigurationMalformed:
        raise
    except ExchangeError as problem:
        raise ConfigurationMalformed(part="rules", reason=problem.text) from None
    except ValueError as problem:
        raise ConfigurationMalformed(part="rules", reason=str(problem)) from None
    whole.close()
    return out


def _right(value: Any, index: int) -> Right:
    r = _Reader(value, f"rights[{index}]")
    holder = r.take("holder", str)
    right = Right(
        r.take("id", str),
        holder if holder.startswith("group:") else SubsystemId.parse(holder),
        DataServiceId.parse(r.take("service", str)),
        r.take("method", str),
        r.take("path", str),
        r.moment("valid_until"),
    )
    r.close()
    return right


def _binding(value: Any, index: int) -> Binding:
    r = _Reader(value, f"bindings[{index}]")
    out = Binding(SubsystemId.parse(r.take("client", str)), r.take("public_service", str))
    r.close()
    return out


def _permit(value: Any, index: int) -> Permit:
    r = _Reader(value, f"permits[{index}]")
    until = r.moment("valid_until")
    if until is None:
        raise ConfigurationMalformed(part="rules", reason=f"permits[{index}].valid_until is missing")
    out = Permit(
        r.take("id", str),
        SubsystemId.parse(r.take("client", str)),
        r.take("public_service", str),
        r.take("state", str),
        until,
        r.take("reason", str),
    )
    r.close()
    return out


def _contract(value: Any, index: int) -> WireContract:
    r = _Reader(value, f"contracts[{index}]")
    written = {}
    for name in ("schema", "check"):
        found = r.maybe(name, dict, None)
        try:
            written[name] = "" if found is None else canonical_json(found).decode()
        except TypeError as problem:
            raise ConfigurationMalformed(part="rules", reason=f"contracts[{index}].{name}: {problem}") from None
    out = WireContract(
        DataServiceId.parse(r.take("service", str)),
        r.take("path", str),
        r.take("mapping", str),
        r.maybe("at", str, CONSUMER),
        r.maybe("mode", str, OBSERVE),
        r.maybe("translate", str, ASKED),
        r.maybe("method", str, "*"),
        **written,
    )
    r.close()
    return out
