"""The installation's country pack, read once per process and again when a file of it changed."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import kerege.country
from kerege.ground import settings
from kerege.semantics.pack import Pack, load_pack


def pack_folder() -> Path:
    """The folder of the pack that the settings name."""
    return Path(next(iter(kerege.country.__path__))) / settings.get("country")


def current_pack() -> Pack:
    """The pack with the country's full lists, where the installation has them."""
    folder, data = pack_folder(), settings.get("country_data")
    files = [
        *folder.glob("*.*"),
        *(f for part in ("codelists", "crosswalks", "mappings") for f in folder.glob(f"{part}/*")),
    ]
    if data and (Path(data) / "soate.csv").is_file():
        files.append(Path(data) / "soate.csv")
    newest = max((f.stat().st_mtime_ns for f in files), default=0)
    return _load(folder, data, newest, len(files))


@lru_cache(maxsize=2)
def _load(folder: Path, data: str, _newest: int, _files: int) -> Pack:
    return load_pack(folder, data_dir=Path(data) if data else None)
