"""Faults on request: a control file in an agency's folder makes it slow, down, busy, or answer with half of what it has.

`fault.json`: `{"mode": "slow", "seconds": 3}`, `{"mode": "down"}` (the connection is closed without an answer), `{"mode": "busy"}` (503)
or `{"mode": "half"}` (half the bytes; the connection is closed when fewer come than were promised, except for the nightly file, whose
half looks whole to HTTP). Removing the file heals the agency. The file is looked at on every request; it costs one `stat`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from kerege.demo.agencies.errors import FaultUnknown

Mode = Literal["none", "slow", "down", "busy", "half"]
CONTROL: Final = "fault.json"


@dataclass(frozen=True, slots=True)
class Fault:
    mode: Mode = "none"
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise FaultUnknown(mode=self.mode, known=", ".join(get_args(Mode)))


NONE: Final = Fault()


def set_fault(folder: Path, fault: Fault) -> None:
    """Make the agency that lives in `folder` have `fault` from its next request on."""
    path = folder / CONTROL
    if fault.mode == "none":
        path.unlink(missing_ok=True)
        return
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"mode": fault.mode, "seconds": fault.seconds}), encoding="utf-8")
    part.replace(path)


def clear_fault(folder: Path) -> None:
    set_fault(folder, NONE)


class FaultSwitch:
    """The agency's side: the fault of the moment, read again only when the file changed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CONTROL
        self._stamp: tuple[int, int] | None = None
        self._fault = NONE

    def now(self) -> Fault:
        try:
            status = self._path.stat()
        except OSError:
            self._stamp, self._fault = None, NONE
            return NONE
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._stamp = stamp
            self._fault = self._read()
        return self._fault

    def _read(self) -> Fault:
        try:
            raw = json.loads(self._path.read_text(encoding="utf-8"))
            return Fault(raw["mode"], min(60.0, max(0.0, float(raw.get("seconds", 0)))))
        except (OSError, ValueError, KeyError, TypeError, FaultUnknown):
            return NONE  # a control file nobody can read breaks nothing
