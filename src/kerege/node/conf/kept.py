"""The configuration on disk: kept so that all of it is verified anew from the anchor on, and never taken back to an older one.

A folder holds the directory's bytes and each file by its identifier. Since version 3 of X-Road's parameters a publication announces
the certificates that may sign the next (PR-GCONF), so the anchor alone need not name the signer of what is kept: the publications
that lead from the anchor to that signer lie beside it, and each is believed only by the one before it. Replaced by rename: cut at
any moment, the old or the new one is there; and the folder around it is locked meanwhile, so that whoever keeps or reads one at the
same time has either whole. What was the newest ever taken is noted apart (`Floors`), so that losing the folder, or
having an earlier one put in its place, lets no older publication in. What is fetched and what comes into use is `keeper`'s.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from cryptography import x509

from kerege.exchange import certs, confdir, globalconf
from kerege.exchange.errors import ConfigurationForged, ConfigurationMalformed
from kerege.exchange.globalconf import SharedParameters
from kerege.ground.errors import KeregeError
from kerege.node.conf.picture import Fetched, Link

_LOG: Final = logging.getLogger("kerege.node.configuration")
_STATE: Final = "the state folder"
_DIRECTORY_FILE: Final = "directory"
_MOST_LINKS: Final = 100
_LARGEST_FLOOR: Final = 1024 * 1024
_LOCK_SECONDS: Final = 5.0  # whoever holds the lock renames or reads a few files
_CUT_SECONDS: Final = 3600.0  # what was being written so long ago, nobody writes any more

Believed = Callable[[SharedParameters | None], tuple[x509.Certificate, ...]]
"""Whose signature is believed: without parameters the anchor's certificates, with them also those they announce."""


def folder_name(instance: str) -> str:
    """A name below a folder, whatever the instance is called; without dots, which `.new`, `.old` and `..` need."""
    return quote(instance, safe="").replace(".", "%2E")


# --- from the anchor to the signer -----------------------------------------------------------------------------------


def links_to(body: bytes, before: Fetched | None, believed: Believed) -> tuple[Link, ...]:
    """The fewest links by which `body`, verified just now under `before`, can be verified again from the anchor on."""
    if before is None or _signed(body, believed(None)):
        return ()
    if body == before.body:
        return before.links
    links = (*before.links, Link(before.body, before.files[confdir.SHARED]))
    for count, link in enumerate(links, 1):
        if _signed(body, believed(globalconf.parse_shared(link.shared))):
            return links[:count]
    return ()


def _signed(body: bytes, certificates: tuple[x509.Certificate, ...]) -> bool:
    try:
        confdir.verify_directory(body, certificates, _STATE)
    except ConfigurationForged:
        return False
    return True


def _followed(links: Iterable[Link], believed: Believed) -> tuple[tuple[x509.Certificate, ...], tuple[Link, ...]]:
    """Whose signature is believed after `links`, and those of them that hold.

    One that does not hold is passed over: a new anchor may name the signer of a later one, and then the earlier are not needed.
    """
    certificates, held = believed(None), []
    for link in links:
        try:
            part = confdir.verify_directory(link.body, certificates, _STATE).part(confdir.SHARED)
            if part is None:
                continue
            certificates = believed(globalconf.parse_shared(confdir.check_file(part, link.shared, _STATE)))
        except KeregeError:
            continue
        held.append(link)
    return certificates, tuple(held)


# --- the folder ------------------------------------------------------------------------------------------------------


def save(folder: Path, fetched: Fetched) -> None:
    """Keep `fetched` in `folder`, in place of what lies there. Raises OSError; then the old one is there still."""
    new = _beside(folder)
    new.mkdir(parents=True)
    try:
        _write(new / _DIRECTORY_FILE, fetched.body)
        for identifier, content in fetched.files.items():
            _write(new / identifier, content)
        if len(fetched.links) > _MOST_LINKS:
            _LOG.warning(
                "the signing key changed %d times since the anchor was made: get a new anchor", len(fetched.links)
            )
        for number, link in enumerate(fetched.links[:_MOST_LINKS]):
            directory, shared = _link_files(new, number)
            _write(directory, link.body)
            _write(shared, link.shared)
        _sync(new)
        with _locked(folder.parent, fcntl.LOCK_EX) as alone:
            if not alone:
                raise OSError(errno.EBUSY, f"another process holds the lock of {folder.parent}")
            _replace(folder, new)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _replace(folder: Path, new: Path) -> None:
    """Put `new` in the place of `folder`. What lies in the way of it is removed only while the newest kept one is there."""
    old = folder.with_name(folder.name + ".old")
    if folder.exists():
        _clear(old)
        folder.rename(old)
    new.rename(folder)
    _sync(folder.parent)
    with suppress(OSError):  # it is kept; what is left over is told by the next one that it keeps from its place
        _clear(old)
        for one in folder.parent.iterdir():
            begun = one.name.startswith(folder.name + ".") and one.name.endswith(".new")
            if begun and time.time() - one.stat().st_mtime > _CUT_SECONDS:  # it was cut before it came here
                _clear(one)


def _clear(folder: Path) -> None:
    """Remove `folder`; what another user left is put out of the way, and it is told who is to remove it."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        aside = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.left")
        folder.rename(aside)
        whose = _of_another(aside) or " cannot be removed"
        _LOG.warning("%s%s; it is not needed: remove it (rm -r)", aside, whose)


def _beside(path: Path) -> Path:
    """A name of its own for what is to come in the place of `path`."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")


def advice(folder: Path, trouble: OSError) -> str:
    """What kept `folder` from being written or read; of another user's files also what to do."""
    said = trouble.strerror or type(trouble).__name__
    if isinstance(trouble, PermissionError):
        for one in (folder, folder.parent):
            with suppress(OSError):
                if whose := _of_another(one):
                    return f"{said}; {one}{whose}: give it to the node's user (chown -R {os.geteuid()} {one})"
    return said


def _of_another(path: Path) -> str:
    owner, own = path.stat().st_uid, os.geteuid()
    return "" if owner == own else f" belongs to another user ({owner}, the node is {own})"


@contextmanager
def _locked(parent: Path, how: int) -> Iterator[bool]:
    """Hold the lock of a folder, shared or alone; whether it is held. It needs no file, so whoever reads leaves nothing there."""
    try:
        handle = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        handle = -1
    try:
        yield handle >= 0 and _lock(handle, how)
    finally:
        if handle >= 0:
            os.close(handle)  # and the lock with it


def _lock(handle: int, how: int) -> bool:
    ends = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends:
                return False
            time.sleep(0.01)
        except OSError:
            return True  # a file system without locks: nothing better is to be had
        else:
            return True


def _write(file: Path, content: bytes) -> None:
    """Durably: after a change of the signing key, what is lost here only a new anchor brings back."""
    with file.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load(folder: Path, believed: Believed, *, shared_only: bool = False) -> Fetched | None:
    """What `folder` keeps, verified anew; None when it keeps nothing. Raises what does not hold, OSError.

    shared_only   the directory's other files were never fetched (a partner's)
    """
    with _locked(folder.parent, fcntl.LOCK_SH):  # without it too: whatever is read is verified
        return _loaded(folder, believed, shared_only=shared_only)


def _loaded(folder: Path, believed: Believed, *, shared_only: bool) -> Fetched | None:
    if not folder.exists():
        folder = folder.with_name(folder.name + ".old")  # cut between the two renames
    if not (folder / _DIRECTORY_FILE).exists():
        return None
    body = (folder / _DIRECTORY_FILE).read_bytes()
    certificates, links = _followed(_kept_links(folder), believed)
    directory = confdir.verify_directory(body, certificates, _STATE)
    files = {}
    for part in directory.parts:
        if shared_only and part.identifier != confdir.SHARED:
            continue
        kept = folder / part.identifier
        if not kept.exists():
            raise ConfigurationMalformed(part=part.identifier, reason="the file kept on disk is gone")
        files[part.identifier] = confdir.check_file(part, kept.read_bytes(), _STATE)
    return Fetched(directory, body, files, links)


def _link_files(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"link-{number:02d}.directory", folder / f"link-{number:02d}.shared"


def _kept_links(folder: Path) -> Iterable[Link]:
    for number in range(_MOST_LINKS):
        directory, shared = _link_files(folder, number)
        if not directory.exists() or not shared.exists():
            return
        yield Link(directory.read_bytes(), shared.read_bytes())


# --- the newest ever taken -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Floor:
    """The newest publication that was taken; nothing older is taken again.

    signers   fingerprints of those who were believed then; empty where that does not matter (a partner's)
    """

    generation: str = ""
    rules: int = 0
    signers: frozenset[str] = frozenset()


def fingerprints(certificates: Iterable[x509.Certificate]) -> frozenset[str]:
    return frozenset(certs.der_sha256(one) for one in certificates)


class Floors:
    """The floor of each instance, one small file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Floor] = {}

    def of(self, instance: str) -> Floor:
        """The instance's floor; the lowest there is when none was noted, or the note cannot be read (which is said)."""
        if instance not in self._known:
            self._known[instance] = self._read(self._file(instance))
        return self._known[instance]

    def lift(self, instance: str, floor: Floor) -> None:
        """Note `floor`, durably. What cannot be written is said, and counts until the process ends."""
        if self.of(instance) == floor:
            return
        self._known[instance] = floor
        file = self._file(instance)
        new = _beside(file)
        content = {"generation": floor.generation, "rules": floor.rules, "signers": sorted(floor.signers)}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(new, json.dumps(content).encode())
            new.replace(file)
            _sync(self._folder)
        except OSError as trouble:
            said = advice(self._folder, trouble)
            with suppress(OSError):
                new.unlink(missing_ok=True)
            _LOG.warning("the newest configuration could not be noted in %s: %s", self._folder.name, said)

    def _file(self, instance: str) -> Path:
        return self._folder / f"{folder_name(instance)}.json"

    @staticmethod
    def _read(file: Path) -> Floor:
        try:
            if file.stat().st_size > _LARGEST_FLOOR:
                raise ValueError
            noted = json.loads(file.read_text(encoding="utf-8"))
            generation, rules, signers = noted["generation"], noted["rules"], noted["signers"]
            if not (isinstance(generation, str) and type(rules) is int and all(isinstance(s, str) for s in signers)):
                raise ValueError
        except FileNotFoundError:
            return Floor()
        except (OSError, ValueError, KeyError, TypeError):
            _LOG.warning("what was the newest configuration cannot be read in %s", file.name)
            return Floor()
        return Floor(generation, rules, frozenset(signers))
