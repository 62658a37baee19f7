"""Identifiers: members, subsystems, servers and data services, and how they are written.

Implements X-Road's hierarchical identifiers (PR-MESS section 2, PR-REST section 4): parts joined by `/`, each part UTF-8
percent-encoded on its own. Characters that let one identifier pass for another are refused here, once, for everyone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, total_ordering
from urllib.parse import quote

from kerege.exchange.errors import IdentifierInvalid

_FORBIDDEN = frozenset("%:;/\\\u200b\ufeff")
_LONGEST_PART = 255


def check_part(part: str, what: str) -> str:
    """`part` unchanged when it may stand in an identifier, else IdentifierInvalid saying why."""
    if not part:
        raise IdentifierInvalid(what=what, reason="it is empty")
    if len(part) > _LONGEST_PART:
        raise IdentifierInvalid(what=what, reason=f"it is longer than {_LONGEST_PART} characters")
    if part in {".", ".."}:
        raise IdentifierInvalid(what=what, reason="it is a dot segment")
    for char in part:
        if char in _FORBIDDEN or not char.isprintable():
            raise IdentifierInvalid(what=what, reason=f"it holds the character U+{ord(char):04X}")
    return part


def decode_part(raw: str, what: str) -> str:
    """One percent-encoded part of a path or header as text; strict about `%` and UTF-8."""
    return check_part(percent_decode(raw, what), what)


def percent_decode(raw: str, what: str) -> str:
    """`raw` with `%XX` decoded once as UTF-8. Raises IdentifierInvalid on a bad escape, bad UTF-8 or a non-ASCII byte."""
    if not raw.isascii():
        raise IdentifierInvalid(what=what, reason="it holds a character that must be percent-encoded")
    if "%" not in raw:
        return raw
    head, *rest = raw.encode("ascii").split(b"%")
    out = bytearray(head)
    for piece in rest:
        try:
            out += bytes((int(piece[:2].decode("ascii"), 16),)) if len(piece) >= 2 and piece[:2].isalnum() else _bad()
        except ValueError:
            raise IdentifierInvalid(
                what=what, reason="a percent sign is not followed by two hexadecimal digits"
            ) from None
        out += piece[2:]
    try:
        return out.decode("utf-8")
    except UnicodeDecodeError:
        raise IdentifierInvalid(what=what, reason="its percent-encoded bytes are not UTF-8") from None


def _bad() -> bytes:
    raise ValueError


@lru_cache(maxsize=8192)
def encode_part(part: str) -> str:
    """One part, percent-encoded for a path or a header."""
    return quote(part, safe="")


def _split(text: str, what: str, least: int, most: int) -> list[str]:
    parts = text.strip().split("/")
    if not least <= len(parts) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise IdentifierInvalid(what=what, reason=f"it has {len(parts)} parts, expected {wanted}")
    return [decode_part(part, what) for part in parts]


@dataclass(frozen=True, slots=True, order=True)
class MemberId:
    """An organisation in an instance: `KG/GOV/70000003`."""

    instance: str
    member_class: str
    member_code: str

    def __str__(self) -> str:
        return "/".join(map(encode_part, (self.instance, self.member_class, self.member_code)))

    @classmethod
    def parse(cls, text: str) -> MemberId:
        return cls(*_split(text, "member identifier", 3, 3))


@dataclass(frozen=True, slots=True, order=True)
class ClientId:
    """A member or one of its subsystems, as it signs and calls: `KG/GOV/70000003[/admission]`."""

    instance: str
    member_class: str
    member_code: str
    subsystem: str | None = None

    def __str__(self) -> str:
        parts = [self.instance, self.member_class, self.member_code]
        if self.subsystem is not None:
            parts.append(self.subsystem)
        return "/".join(map(encode_part, parts))

    @property
    def member(self) -> MemberId:
        return MemberId(self.instance, self.member_class, self.member_code)

    @classmethod
    def parse(cls, text: str) -> ClientId:
        return cls(*_split(text, "client identifier", 3, 4))


@dataclass(frozen=True, slots=True, order=True)
class SubsystemId:
    """A subsystem of a member; holds rights and offers data services: `KG/GOV/70000003/emis`."""

    instance: str
    member_class: str
    member_code: str
    subsystem: str

    def __str__(self) -> str:
        return "/".join(map(encode_part, (self.instance, self.member_class, self.member_code, self.subsystem)))

    @property
    def member(self) -> MemberId:
        return MemberId(self.instance, self.member_class, self.member_code)

    @property
    def client(self) -> ClientId:
        return ClientId(self.instance, self.member_class, self.member_code, self.subsystem)

    @classmethod
    def parse(cls, text: str) -> SubsystemId:
        return cls(*_split(text, "subsystem identifier", 4, 4))


@total_ordering
@dataclass(frozen=True, slots=True)
class DataServiceId:
    """A data service of a subsystem, or of a member itself (what a security server's owner offers), with a version or without.

    Written `KG/GOV/70000003/emis/register`, with a version `KG/GOV/70000003/emis/getPerson/v1`; a member's own leaves the subsystem's
    place empty, `KG/GOV/70000003//getSecurityServerOperationalData`, so that no two identifiers are written alike.
    """

    instance: str
    member_class: str
    member_code: str
    subsystem: str | None
    service: str
    version: str | None = None

    def __str__(self) -> str:
        parts = [self.instance, self.member_class, self.member_code, self.subsystem or "", self.service]
        if self.version is not None:
            parts.append(self.version)
        return "/".join(map(encode_part, parts))

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, DataServiceId):
            return NotImplemented
        return self._ordered() < other._ordered()

    def _ordered(self) -> tuple[str, ...]:
        whole = (self.instance, self.member_class, self.member_code, self.subsystem or "", self.service)
        return (*whole, self.version or "")  # no part is empty, so an absent one comes first

    @property
    def provider(self) -> SubsystemId:
        """The subsystem that offers it. Raises IdentifierInvalid for a member's own service: ask `provider_client` there."""
        if self.subsystem is None:
            raise IdentifierInvalid(
                what="data service identifier", reason="it names a member's service, not a subsystem's"
            )
        return SubsystemId(self.instance, self.member_class, self.member_code, self.subsystem)

    @property
    def provider_client(self) -> ClientId:
        """Who offers it, subsystem or member: in whose name an answer is signed, and by which its servers are found."""
        return ClientId(self.instance, self.member_class, self.member_code, self.subsystem)

    @property
    def member(self) -> MemberId:
        return MemberId(self.instance, self.member_class, self.member_code)

    @property
    def unversioned(self) -> DataServiceId:
        """The service code as rights name it: all its versions."""
        return DataServiceId(self.instance, self.member_class, self.member_code, self.subsystem, self.service)

    @classmethod
    def parse(cls, text: str) -> DataServiceId:
        what = "data service identifier"
        parts = text.strip().split("/")
        if not 5 <= len(parts) <= 6:
            raise IdentifierInvalid(what=what, reason=f"it has {len(parts)} parts, expected 5 or 6 with a version")
        subsystem = decode_part(parts[3], what) if parts[3] else None
        instance, member_class, member_code, service = (decode_part(parts[index], what) for index in (0, 1, 2, 4))
        version = decode_part(parts[5], what) if len(parts) == 6 else None
        return cls(instance, member_class, member_code, subsystem, service, version)


@dataclass(frozen=True, slots=True, order=True)
class ServerId:
    """A security server, named by its owner: `KG/GOV/70000003/node-edu`."""

    instance: str
    member_class: str
    member_code: str
    server: str

    def __str__(self) -> str:
        return "/".join(map(encode_part, (self.instance, self.member_class, self.member_code, self.server)))

    @property
    def owner(self) -> MemberId:
        return MemberId(self.instance, self.member_class, self.member_code)

    @classmethod
    def parse(cls, text: str) -> ServerId:
        return cls(*_split(text, "security server identifier", 4, 4))
