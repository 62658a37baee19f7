"""The global configuration as a folder: X-Road's layout on disk, written atomically and read with every doubt.

    <folder>/instance-identifier                   the own instance's code
    <folder>/<INSTANCE>/shared-params.xml          and private-params.xml, optional parts
    <folder>/<INSTANCE>/shared-params.xml.metadata JSON: contentIdentifier, instanceIdentifier, expirationDate, ...

Implements the layout of X-Road's configuration client (PR-GCONF, digest 2.6). Other tools (X-Road's verifier, a node with
`configuration.folder`) read it. Whoever put the files there has verified them: nothing here is signed, so a node trusts the folder
as it trusts its own keys. Each file is replaced by rename, content before metadata, so a reader never sees half a file and never a
longer expiry than its content has. The own instance must be whole; what is wrong with a partner's costs only that partner.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from kerege.exchange import confdir, globalconf
from kerege.exchange.errors import ConfigurationMalformed, ExchangeError
from kerege.exchange.globalconf import PrivateParameters, SharedParameters
from kerege.exchange.ids import check_part

IDENTIFIER_FILE: Final = "instance-identifier"
METADATA: Final = ".metadata"
_LARGEST: Final = 64 * 1024 * 1024
_LARGEST_METADATA: Final = 64 * 1024
_MOST_INSTANCES: Final = 256


@dataclass(frozen=True, slots=True)
class LaidOutPart:
    """One file of an instance with what its metadata says."""

    identifier: str
    instance: str
    content: bytes
    expires: datetime
    location: str = ""
    version: int = confdir.VERSION
    file_name: str = ""

    @property
    def name(self) -> str:
        """The file's name: as its location ends, else as its kind is called."""
        return self.file_name or self.location.rsplit("/", 1)[-1] or confdir.FILE_NAMES.get(self.identifier, "")


@dataclass(frozen=True, slots=True)
class LaidOutInstance:
    """One instance as read. `expires` is the earliest of its files; None when a file's metadata does not say."""

    shared: SharedParameters
    private: PrivateParameters | None
    files: Mapping[str, bytes]  # by content identifier
    expires: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class LaidOutConfiguration:
    """A folder as read: the own instance, its partners by instance, and what was wrong with other partners."""

    own: LaidOutInstance
    partners: Mapping[str, LaidOutInstance] = field(default_factory=dict)
    problems: Mapping[str, ExchangeError] = field(default_factory=dict)  # by folder name


def _bad(part: str, reason: str) -> ConfigurationMalformed:
    return ConfigurationMalformed(part=part, reason=reason)


# --- writing ---------------------------------------------------------------------------------------------------------


def write(folder: Path, instance: str, parts: Sequence[LaidOutPart]) -> None:
    """Lay out `parts` (of one or several instances) with `instance` as the own one; files no longer listed are deleted.

    Raises ConfigurationMalformed before anything is written when a name could leave the folder, OSError from the disk.
    """
    wanted: dict[str, dict[str, LaidOutPart]] = {_instance_folder(instance): {}}
    for part in parts:
        name = part.name
        if not name or name != Path(name).name or name.startswith(".") or name.endswith(METADATA):
            raise _bad(part.identifier, "its file cannot be named")
        if wanted.setdefault(_instance_folder(part.instance), {}).setdefault(name, part) is not part:
            raise _bad(part.identifier, f"two parts are called {name}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, files in wanted.items():
        home = folder / name
        home.mkdir(exist_ok=True)
        for file_name, part in files.items():
            _replace(home / file_name, part.content)
            _replace(home / (file_name + METADATA), _metadata(part, file_name))
    _replace(folder / IDENTIFIER_FILE, instance.encode())
    _sweep(folder, wanted)


def _instance_folder(instance: str) -> str:
    check_part(instance, "instance identifier")
    if instance.startswith("."):
        raise _bad(IDENTIFIER_FILE, "the instance's code begins with a dot")
    return instance


def _metadata(part: LaidOutPart, file_name: str) -> bytes:
    return orjson.dumps(
        {
            "contentIdentifier": part.identifier,
            "instanceIdentifier": part.instance,
            "expirationDate": part.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "contentFileName": file_name,
            "contentLocation": part.location,
            "configurationVersion": str(part.version),
        }
    )


def _replace(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with aside.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _sweep(folder: Path, wanted: Mapping[str, Mapping[str, LaidOutPart]]) -> None:
    """Delete what is no longer listed. Only files that have metadata are ours; anything else in the folder is left alone."""
    for metadata in folder.glob(f"*/*{METADATA}"):
        content = metadata.with_name(metadata.name.removesuffix(METADATA))
        if content.name not in wanted.get(metadata.parent.name, {}):
            content.unlink(missing_ok=True)
            metadata.unlink(missing_ok=True)
            if not any(metadata.parent.iterdir()):
                metadata.parent.rmdir()


# --- reading ---------------------------------------------------------------------------------------------------------


def read(folder: Path) -> LaidOutConfiguration:
    """The configuration laid out in `folder`. Expiry is not decided here: the caller has the clock.

    Raises ConfigurationMalformed naming what is missing or wrong with the own instance.
    """
    try:
        instance = _bytes(folder / IDENTIFIER_FILE, _LARGEST_METADATA).decode("utf-8").strip()
    except FileNotFoundError:
        raise _bad(IDENTIFIER_FILE, "the file is missing") from None
    except (OSError, UnicodeDecodeError):
        raise _bad(IDENTIFIER_FILE, "the file cannot be read") from None
    if not instance:
        raise _bad(IDENTIFIER_FILE, "the file is empty")
    homes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(homes) > _MOST_INSTANCES:
        raise _bad("folder", f"it holds more than {_MOST_INSTANCES} instances")
    own: LaidOutInstance | None = None
    partners: dict[str, LaidOutInstance] = {}
    problems: dict[str, ExchangeError] = {}
    for home in homes:
        try:
            found = _instance(home, of_own=home.name == instance)
        except ExchangeError as problem:
            if home.name == instance:
                raise
            problems[home.name] = problem
            continue
        if home.name == instance:
            if found.shared.instance != instance:
                raise _bad(
                    "shared parameters", f"they are of instance {found.shared.instance}, the folder's is {instance}"
                )
            own = found
        elif found.shared.instance == instance or found.shared.instance in partners:
            problems[home.name] = _bad("shared parameters", f"instance {found.shared.instance} is there twice")
        else:
            partners[found.shared.instance] = found
    if own is None:
        others = "".join(f"; {name}: {problem.text}" for name, problem in sorted(problems.items())[:1])
        raise _bad("folder", f"it holds nothing of its own instance {instance}{others}")
    return LaidOutConfiguration(own, partners, problems)


def _bytes(path: Path, largest: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise _bad(path.name, f"it is larger than {largest} bytes")
    return content


def _instance(home: Path, of_own: bool) -> LaidOutInstance:
    shared_name, private_name = confdir.FILE_NAMES[confdir.SHARED], confdir.FILE_NAMES[confdir.PRIVATE]
    where = home.name
    try:
        metadata = {path.name.removesuffix(METADATA): _read_metadata(path) for path in home.glob(f"*{METADATA}")}
        files = {name: _bytes(home / name, _LARGEST) for name in (shared_name, private_name) if (home / name).is_file()}
        for name in metadata:
            if name not in files:
                files[name] = _bytes(home / name, _LARGEST)
    except FileNotFoundError as problem:
        raise _bad(f"{where}/{Path(str(problem.filename)).name}", "the file is missing beside its metadata") from None
    except OSError as problem:
        raise _bad(where, problem.strerror or "it cannot be read") from None
    if shared_name not in files:
        raise _bad(f"{where}/{shared_name}", "the file is missing")
    for name in (shared_name, private_name):
        if name in files and name not in metadata:
            raise _bad(f"{where}/{name}{METADATA}", "the file is missing")
    used = [metadata[name] for name in files]
    dates = [one.expires for one in used]
    identified = {one.identifier or _kind(name): files[name] for name, one in metadata.items()}
    has_private = of_own and private_name in files
    return LaidOutInstance(
        shared=globalconf.parse_shared(files[shared_name]),
        private=globalconf.parse_private(files[private_name]) if has_private else None,
        files=identified,
        expires=None if None in dates else min(date for date in dates if date is not None),
        version=metadata[shared_name].version,
    )


def _kind(name: str) -> str:
    return next((identifier for identifier, known in confdir.FILE_NAMES.items() if known == name), name)


@dataclass(frozen=True, slots=True)
class _Metadata:
    identifier: str
    expires: datetime | None
    version: int


def _read_metadata(path: Path) -> _Metadata:
    part = f"{path.parent.name}/{path.name}"
    try:
        found: Any = orjson.loads(_bytes(path, _LARGEST_METADATA))
    except orjson.JSONDecodeError:
        raise _bad(part, "it is not JSON") from None
    if not isinstance(found, dict):
        raise _bad(part, "it is not a JSON object")
    stated, version = found.get("expirationDate"), str(found.get("configurationVersion") or "2")
    expires = None
    if stated is not None:
        try:
            expires = datetime.fromisoformat(str(stated))
        except ValueError:
            raise _bad(part, "its expirationDate is not a date") from None
        expires = expires.replace(tzinfo=UTC) if expires.tzinfo is None else expires
    if not (version.isascii() and version.isdecimal() and len(version) < 4):
        raise _bad(part, "its configurationVersion is not a number")
    return _Metadata(str(found.get("contentIdentifier") or ""), expires, int(version))
