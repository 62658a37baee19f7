"""What a run of the demo is told, and where it puts things."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from kerege.demo.errors import FolderInUse, FolderNotOurs
from kerege.ground import settings

MARK: Final = ".kerege-demo"
SOATE: Final = "soate.csv"


@dataclass(frozen=True, slots=True)
class Options:
    """One run.

    data      folder with the country's full lists (soate.csv), or None for the levels that ship with the pack
    once      stop when the figures are there; otherwise the pages stay up until interrupted
    database  auto, postgresql or sqlite: what the population register runs on
    port      of the hub; 0 takes a free one
    workers   threads that wait on registers
    """

    folder: Path
    applications: int = 1000
    seed: int = 7
    persons: int = 20_000
    dirt: Path | None = None
    data: Path | None = None
    json: Path | None = None
    once: bool = False
    database: str = "auto"
    port: int = 0
    workers: int = 6

    @property
    def home(self) -> Path:
        """The hub's home folder."""
        return self.folder / "home"

    @property
    def agencies(self) -> Path:
        return self.folder / "agencies"

    @property
    def truth(self) -> Path:
        """Out of the agencies' reach, and of everything that decides."""
        return self.folder / "truth"

    @property
    def network(self) -> Path:
        return self.folder / "network"

    @property
    def overlay(self) -> Path:
        """The installation's own crosswalks."""
        return self.folder / "overlay"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"


def country_data() -> Path | None:
    """Where the country's full lists are: the setting, else `../shared/data/kg` beside the working folder, else nowhere."""
    named = settings.get("country_data")
    if named:
        return Path(named)
    beside = Path("..") / "shared" / "data" / settings.get("country")
    return beside.resolve() if (beside / SOATE).is_file() else None


def claim(folder: Path) -> IO[str]:
    """Make `folder` ours: empty, new, or left by an earlier run; the open file returned holds it for as long as it stays open.

    Raises FolderNotOurs for somebody else's folder and FolderInUse while another run is in it; both touch nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / MARK).is_file():
        raise FolderNotOurs(folder=folder)
    mark = (folder / MARK).open("a", encoding="utf-8")
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as held:
        mark.close()
        raise FolderInUse(folder=folder) from held
    mark.truncate(0)
    mark.write("made by kerege demo; the next run there starts anew\n")
    mark.flush()
    return mark
