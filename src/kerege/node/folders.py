"""The folders and files a node must be able to write: made when it starts, and what is told where they cannot be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kerege.node.errors import FolderUnusable


def unusable(folder: Path) -> str | None:
    """What keeps `folder` from being written, or from being made where it is not there; None when nothing does."""
    there = next((one for one in (folder, *folder.parents) if os.path.lexists(one)), Path("/"))
    if not there.is_dir():
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"{there} may not be written by this user"


def make_folder(key: str, folder: Path) -> None:
    """A folder for the node's own user, also where an older version left it open to read. Raises FolderUnusable."""
    with written(key, folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)


@contextmanager
def written(key: str, folder: Path, do: str = "") -> Iterator[None]:
    """What the system refuses within becomes FolderUnusable about `folder`, which the file names under `key`."""
    try:
        yield
    except OSError as problem:
        reason = unusable(folder)
        if reason is None:
            at = problem.filename or folder
            reason, do = (
                f"{at}: {problem.strerror or 'it cannot be written'}",
                do or f"Let this user write it: ls -ld {at}",
            )
        raise FolderUnusable(key=key, reason=reason, folder=folder, do=do) from None
