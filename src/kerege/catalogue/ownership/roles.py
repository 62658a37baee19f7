"""The country's words for who does what with data, how long an interim owner may stay, and who reviews a register's requests.

All of it stands in the country pack's `roles.yaml`; nothing here is law, and what nobody has verified is marked there and shown as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

import kerege.country
from kerege.catalogue.errors import RolesBroken
from kerege.ground import settings
from kerege.ground.text import Text

INTERIM_DAYS: Final = 90  # where the pack says nothing


@dataclass(frozen=True, slots=True)
class Role:
    """A role by the country's own word. `confirmed` False: the term or its source still needs a lawyer's reading; `note` says what."""

    id: str
    text: Text
    meaning: Text
    source: str
    confirmed: bool
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id, "text": self.text.as_dict(), "meaning": self.meaning.as_dict(), "source": self.source,
            "confirmed": self.confirmed, "note": self.note,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class RequestRule:
    """What one kind of a register's request needs: whose word (role ids), within how many days."""

    kind: str
    text: Text
    reviewers: tuple[str, ...]
    days: int
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Roles:
    """`roles.yaml` in memory."""

    roles: Mapping[str, Role]
    requests: Mapping[str, RequestRule] = field(default_factory=dict)
    interim_days: int = INTERIM_DAYS

    def text(self, role: str) -> Text:
        """A role's wording; its id in all three languages where the pack does not know it."""
        known = self.roles.get(role)
        return known.text if known else Text(role, role, role)


def load_roles(folder: Path | None = None) -> Roles:
    """The pack's roles; a pack without the file has none. Raises RolesBroken naming the entry."""
    if folder is None:
        folder = Path(next(iter(kerege.country.__path__))) / settings.get("country")
    path = folder / "roles.yaml"
    return _read(path, path.stat().st_mtime_ns) if path.is_file() else Roles({})


@lru_cache(maxsize=8)
def _read(path: Path, _changed: int) -> Roles:
    where = "the file"
    try:
        raw = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
        roles = {}
        for entry in raw["roles"]:
            where = f"role {entry.get('id', '?')}"
            roles[str(entry["id"])] = Role(
                str(entry["id"]), Text.of(entry["text"]), Text.of(entry["meaning"]), str(entry["source"]),
                bool(entry["confirmed"]), str(entry.get("note", "")),
            )  # fmt: skip
        requests = {}
        for kind, entry in raw.get("requests", {}).items():
            where = f"request {kind}"
            reviewers = tuple(str(r) for r in entry["reviewers"])
            unknown = [r for r in reviewers if r not in roles]
            if unknown or not reviewers or int(entry["days"]) < 1:
                raise ValueError(f"reviewers {', '.join(unknown) or 'none'} or days {entry['days']}")
            requests[str(kind)] = RequestRule(
                str(kind), Text.of(entry["text"]), reviewers, int(entry["days"]), bool(entry["confirmed"])
            )
        where = "interim"
        days = int(raw.get("interim", {}).get("longest_days", INTERIM_DAYS))
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise RolesBroken(
            file=path.name, where=where, reason=str(error).splitlines()[0] if str(error) else "?"
        ) from error
    return Roles(roles, requests, days)
