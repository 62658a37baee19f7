"""A network declared in one YAML file, held against the register: first a plan, then applied.

The file says what should be (docs/reference/membership.md has an example); sections that are absent are left alone. The plan lists what
would be added (+), changed (~) and taken out (-); nothing changes until it is applied, and applying does exactly the plan's steps, in
one transaction. Members, subsystems and servers are never taken out by leaving them out of the file: too much hangs on them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml
from django.db import transaction

from kerege.exchange import certs
from kerege.exchange.errors import ExchangeError
from kerege.identity import receipts
from kerege.membership import central
from kerege.membership.central import Entries
from kerege.membership.errors import EntryInvalid

_SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "settings": ("setting",),
    "member_classes": ("class",),
    "certification": ("ca",),
    "timestamping": ("tsa",),
    "partners": ("partner",),
    "members": ("member", "subsystem"),
    "servers": ("server", "client", "certificate"),
    "groups": ("group",),
}
_KEPT: Final = frozenset({"member", "subsystem", "server"})
_LARGEST: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Step:
    """One change: "+", "~" or "-", of which entry, to which body."""

    action: str
    kind: str
    name: str
    body: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying a file would do."""

    instance: str
    steps: tuple[Step, ...]


def plan(file: Path) -> Plan:
    """The steps from the register to what `file` declares. Raises EntryInvalid naming what cannot be read."""
    instance, wanted, kinds = read(file)
    held = central.entries(instance)
    order = {kind: at for at, kind in enumerate(central.KINDS)}
    steps = [
        Step("~" if key in held else "+", *key, body)
        for key, body in sorted(wanted.items(), key=lambda item: (order[item[0][0]], item[0][1]))
        if held.get(key) != body
    ]
    gone = [key for key in held if key[0] in kinds - _KEPT and key not in wanted]
    steps += [Step("-", *key, held[key]) for key in sorted(gone, key=lambda key: (-order[key[0]], key[1]))]
    return Plan(instance, tuple(steps))


@transaction.atomic
def apply(planned: Plan, *, ledger: receipts.LedgerWriter, now: datetime, by: str) -> int:
    """Do the plan's steps; all or none. How many there were."""
    for step in planned.steps:
        if step.action == "-":
            central.drop(step.kind, step.name, ledger=ledger, now=now, by=by)
        else:
            central.put(step.kind, step.name, step.body, ledger=ledger, now=now, by=by)
    return len(planned.steps)


# --- reading the file ------------------------------------------------------------------------------------------------


def read(file: Path) -> tuple[str, Entries, frozenset[str]]:
    """The instance, the entries declared, and the kinds the file speaks about. Paths in it are relative to it."""

    def bad(name: str, reason: str) -> EntryInvalid:
        return EntryInvalid(kind=file.name, name=name, reason=reason)

    try:
        if file.stat().st_size > _LARGEST:
            raise bad("file", f"it is larger than {_LARGEST} bytes")
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise bad("file", problem.strerror or "it cannot be read") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise bad("file", "it is not YAML in UTF-8") from None
    if not isinstance(found, dict) or not isinstance(found.get("instance"), str):
        raise bad("instance", "the file does not say of which instance it is")
    strange = set(found) - set(_SECTIONS) - {"instance"}
    if strange:
        raise bad(", ".join(sorted(map(str, strange))), f"the sections are {', '.join(_SECTIONS)}")
    out, kinds = Entries(), frozenset(kind for section in found if section in _SECTIONS for kind in _SECTIONS[section])
    for section in _SECTIONS:
        try:
            _READ[section](found.get(section), out, file.parent)
        except OSError as problem:
            raise bad(section, f"{problem.filename}: {problem.strerror}") from None
        except ExchangeError as problem:
            raise bad(section, problem.text.rstrip(".")) from None
        except KeyError as problem:
            raise bad(section, f"a field {problem.args[0]} is missing") from None
        except ValueError as problem:
            raise bad(section, f"it is not as expected: {problem}") from None
        except (TypeError, AttributeError):
            raise bad(
                section, "it is not as expected: a list, a mapping or a text stands where another belongs"
            ) from None
    return found["instance"], out, kinds


def _pem(folder: Path, name: str) -> str:
    """A certificate file as base64 DER."""
    return base64.b64encode(certs.der(certs.load((folder / name).read_bytes(), name))).decode()


def _settings(found: Mapping[str, Any] | None, out: Entries, folder: Path) -> None:
    for name, value in (found or {}).items():
        named = name == "auth_cert_registration_certificate"
        out["setting", name] = {"value": _pem(folder, value) if named else value}


def _classes(found: Mapping[str, str] | None, out: Entries, folder: Path) -> None:
    for code, description in (found or {}).items():
        out["class", str(code)] = {"description": description}


def _with_files(found: Any, folder: Path) -> Any:
    """A copy in which every `certificate` is the file's content."""
    if isinstance(found, Mapping):
        return {
            key: _pem(folder, value) if key == "certificate" else _with_files(value, folder)
            for key, value in found.items()
        }
    if isinstance(found, Sequence) and not isinstance(found, str):
        return [_with_files(one, folder) for one in found]
    return found


def _trusted(kind: str) -> Any:
    def read_section(found: Sequence[Mapping[str, Any]] | None, out: Entries, folder: Path) -> None:
        for one in found or ():
            body = _with_files({key: value for key, value in one.items() if key != "name"}, folder)
            out[kind, str(one["name"])] = body

    return read_section


def _partners(found: Mapping[str, str] | None, out: Entries, folder: Path) -> None:
    for instance, name in (found or {}).items():
        out["partner", instance] = {"anchor": (folder / name).read_text(encoding="utf-8")}


def _members(found: Sequence[Mapping[str, Any]] | None, out: Entries, folder: Path) -> None:
    for one in found or ():
        if set(one) - {"id", "name", "subsystems"}:
            raise ValueError(f"a member has id, name and subsystems, not {', '.join(sorted(set(one)))}")
        name = one["name"]
        names = dict.fromkeys(("ky", "ru", "en"), name) if isinstance(name, str) else name
        out["member", one["id"]] = {f"name_{lang}": names[lang] for lang in ("ky", "ru", "en")}
        subsystems = one.get("subsystems") or {}
        listed = subsystems if isinstance(subsystems, Mapping) else dict.fromkeys(subsystems)
        for code, title in listed.items():
            out["subsystem", f"{one['id']}/{code}"] = {"name": title or ""}


def _servers(found: Sequence[Mapping[str, Any]] | None, out: Entries, folder: Path) -> None:
    for one in found or ():
        if set(one) - {"id", "address", "clients", "disabled", "certificates", "maintenance"}:
            raise ValueError(
                f"a server has id, address, clients, disabled, certificates, maintenance; here: {sorted(one)}"
            )
        out["server", one["id"]] = {"address": one["address"], "maintenance": one.get("maintenance")}
        for client in one.get("clients") or ():
            out["client", f"{one['id']} {client}"] = {"enabled": client not in (one.get("disabled") or ())}
        for name in one.get("certificates") or ():
            der = _pem(folder, name)
            out["certificate", hashlib.sha256(base64.b64decode(der)).hexdigest()] = {"server": one["id"], "der": der}


def _groups(found: Mapping[str, Mapping[str, Any]] | None, out: Entries, folder: Path) -> None:
    for code, one in (found or {}).items():
        out["group", str(code)] = {
            "description": one.get("description", ""),
            "members": sorted(one.get("members") or ()),
        }


_READ: Final[dict[str, Any]] = {
    "settings": _settings,
    "member_classes": _classes,
    "certification": _trusted("ca"),
    "timestamping": _trusted("tsa"),
    "partners": _partners,
    "members": _members,
    "servers": _servers,
    "groups": _groups,
}
