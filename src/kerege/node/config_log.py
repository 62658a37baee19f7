"""The message log's part of the node's file: where it is, what of bodies it keeps, archives and for whom they are encrypted, stamps."""

from __future__ import annotations

from pathlib import Path

from kerege.exchange.ids import ClientId, SubsystemId
from kerege.node.config_reading import Section
from kerege.node.config_types import ArchiveSettings, LogSettings, TimestampSettings


def log(section: Section) -> LogSettings:
    """Raises NodeConfigInvalid, as all here."""
    if section.has("key_file") and section.has("key_env"):
        raise section.bad("key_env", "expected a key from a file or from the environment, not both")
    policies = section.section("bodies_of", {})
    bodies_of = {
        policies.parse(SubsystemId, name, name): policies.one_of(name, "keep", ("keep", "hash"))
        for name, _ in policies.items()
    }
    archive = section.section_or_none("archive")
    out = LogSettings(
        folder=section.place("folder", "log"),
        segment_bytes=section.megabytes("segment_megabytes", 64),
        bodies=section.one_of("bodies", "keep", ("keep", "hash")),
        bodies_of=bodies_of,
        largest_kept=section.megabytes("largest_kept_megabytes", 10, 0),
        key_file=section.place_or_none("key_file"),
        key_env=section.text_or_none("key_env"),
        least_free=section.megabytes("least_free_megabytes", 256, 0),
        retention_days=section.number("retention_days", 30, 0),
        archive=None if archive is None else _archive(archive),
    )
    section.close()
    return out


def _archive(section: Section) -> ArchiveSettings:
    grouping = section.one_of("grouping", "none", ("none", "member", "subsystem"))
    recipients = section.places("recipients")
    if section.has("recipients") and not recipients:
        raise section.bad("recipients", "expected a list of at least one file")
    of = _recipients_of(section.section("recipients_of", {}), grouping)
    if of and not recipients:
        raise section.bad("recipients", "expected beside recipients_of: what is of none of these would be in clear")
    out = ArchiveSettings(
        section.place("folder", "archive"),
        section.number("every_seconds", 21600, 1),
        grouping,
        section.megabytes("megabytes", 32),
        recipients,
        of,
    )
    section.close()
    return out


def _recipients_of(section: Section, grouping: str) -> dict[ClientId, tuple[Path, ...]]:
    out: dict[ClientId, tuple[Path, ...]] = {}
    for name, _ in section.items():
        client: ClientId = section.parse(ClientId, name, name)
        if grouping == "none" or (grouping == "member" and client.subsystem is not None):
            what = "a member or a subsystem" if client.subsystem is None else "a subsystem"
            raise section.bad(name, f"{what} has archives of its own only with log.archive.grouping for it")
        files = section.places(name)
        if not files:
            raise section.bad(name, "expected a list of at least one file")
        if client in out:
            raise section.bad(name, "it is there already")
        out[client] = files
    return out


def timestamps(section: Section) -> TimestampSettings:
    every = section.number("every_seconds", 60, 1) if section.has("every_seconds") else None
    out = TimestampSettings(
        not section.flag("off", False),
        every,
        section.number("acceptable_seconds", 14400, 1),
        tuple(str(name) for name in section.listing("services", [])),
    )
    section.close()
    return out
