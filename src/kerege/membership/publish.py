"""Handing the picture to whoever signs it, and putting what was signed where the nodes fetch it.

A publisher takes the picture, the rules with their version, the folder to serve and the moment. `node_publisher` is the one of
this house: `kerege.node.network` signs, this module writes. In the folder, `internalconf` is what answers at the configuration URL
and every other file answers at its path below that URL; the directory is replaced last and by rename, so a reader sees either
the old publication or the new one, and files of the last publications stay for whoever is still reading.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from kerege.exchange.rules import Rules
from kerege.membership.errors import PlanDiffers
from kerege.membership.picture import Picture
from kerege.node.network import NetworkPlan, Published
from kerege.node.network import publish as sign

Publisher = Callable[[Picture, Rules, Path, datetime], None]

DIRECTORY: Final = "internalconf"  # the name the hub serves at the configuration URL itself
GENERATIONS_KEPT: Final = 3


def node_publisher(network_folder: Path, plan: NetworkPlan) -> Publisher:
    """A publisher for a network laid out in `network_folder` from `plan`."""

    def publish(picture: Picture, rules: Rules, folder: Path, now: datetime) -> None:
        check_plan(picture, plan)
        write(sign(network_folder, plan, rules, now, rules.version), folder)

    return publish


def check_plan(picture: Picture, plan: NetworkPlan) -> None:
    """The plan may lay out no more than is registered. Raises PlanDiffers naming the first stranger."""
    members = {member.code for member in picture.members}
    subsystems = set(picture.subsystems)
    servers = {server.code: set(server.clients) for server in picture.servers}
    for member in plan.members:
        if str(member.id) not in members:
            raise PlanDiffers(name=member.id)
        for code in member.subsystems:
            if f"{member.id}/{code}" not in subsystems:
                raise PlanDiffers(name=f"{member.id}/{code}")
    for server in plan.servers:
        if str(server.id) not in servers:
            raise PlanDiffers(name=server.id)
        for client in server.clients:
            if str(client) not in servers[str(server.id)]:
                raise PlanDiffers(name=f"{client} at {server.id}")


def write(published: Published, folder: Path) -> None:
    """Put a publication into `folder`, files first, directory last."""
    put_in_place(folder, published.files, {DIRECTORY: published.directory})


def put_in_place(folder: Path, files: Mapping[str, bytes], directories: Mapping[str, bytes]) -> None:
    """The files on disk, then every directory beside its place, then all directories renamed into place, in the order given.

    What cannot be written whole leaves the publication before it as it was, and nothing of its own: a full disk is tried again and again.
    A directory that cannot be renamed keeps its old one, as do those after it; of the new generations only those stay that a directory names.
    """
    generations = {(folder / name).parent for name in files} - {folder}
    current = max((generation.name for generation in generations), default=None)
    new: list[Path] = []
    beside: dict[str, Path] = {}
    try:
        for name, content in sorted(files.items()):
            generation = (folder / name).parent
            if generation != folder and not generation.exists():
                generation.mkdir(parents=True)
                new.append(generation)
            replace_file(folder / name, content)
        for generation in new:
            _sync_folder(generation)
            _sync_folder(generation.parent)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in directories.items():
            beside[name] = _beside(folder / name, content)
        for name, path in beside.items():
            path.replace(folder / name)
    except BaseException:
        for path in beside.values():
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # what cannot be read may name any generation
            standing = [(folder / name).read_bytes() for name in directories if (folder / name).is_file()]
            for generation in new:
                if not _named(generation, folder, standing):
                    shutil.rmtree(generation, ignore_errors=True)
            sweep_generations(folder, current, standing)
        raise
    _sync_folder(folder)
    for name in directories:  # what a publication that was killed left beside
        for torn in folder.glob(f".{name}.*"):
            torn.unlink(missing_ok=True)
    sweep_generations(folder, current)


def sweep_generations(folder: Path, current: str | None = None, standing: Sequence[bytes] = ()) -> None:
    """Delete all but the newest generations of each version, which somebody may still be reading.

    current    the generation that was just published: later names are of a clock that was put back since, and older than it
    standing   directories whose generations stay whatever their age
    """
    for version in folder.glob("V*"):
        found = (path for path in version.iterdir() if path.is_dir())
        generations = sorted(found, key=lambda path: (current is None or path.name <= current, path.name))
        for old in generations[:-GENERATIONS_KEPT]:
            if not _named(old, folder, standing):
                shutil.rmtree(old, ignore_errors=True)


def _named(generation: Path, folder: Path, directories: Sequence[bytes]) -> bool:
    name = f"/{generation.relative_to(folder).as_posix()}/".encode()
    return any(name in directory for directory in directories)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file by rename, so that a reader sees the old one or the new one, after a power cut too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _beside(path, content).replace(path)


def _beside(path: Path, content: bytes) -> Path:
    """`content` on disk under a hidden name beside `path`; nothing is left of it when it cannot be written."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return aside


def _sync_folder(folder: Path) -> None:
    """The names in `folder` on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
