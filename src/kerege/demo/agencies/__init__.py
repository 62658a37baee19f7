"""Four agencies with systems of their own, reached only over their own interfaces.

    write_agencies(world, folder) -> {name: folder}        databases and load files, made anew
    start_all(folder, database="auto")                      context manager: {name: Agency(url, pid, database, note)}
    start_agency(name, folder, port=0, database="auto")     one of them
    set_fault(folder, Fault("slow", 3.0)), clear_fault(folder)

As commands: `python -m kerege.demo.agencies.<civil|population|education|health> --folder F --port P`. Interfaces, schemas and faults:
docs/reference/agencies.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerege.demo.agencies.faults import Fault, clear_fault, set_fault
    from kerege.demo.agencies.running import Agency, start_agency, start_all
    from kerege.demo.agencies.write import AGENCIES, write_agencies

__all__ = ["AGENCIES", "Agency", "Fault", "clear_fault", "set_fault", "start_agency", "start_all", "write_agencies"]

_HOMES = {
    "Fault": "faults", "clear_fault": "faults", "set_fault": "faults", "Agency": "running", "start_agency": "running",
    "start_all": "running", "AGENCIES": "write", "write_agencies": "write",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Loaded on first use: an agency's process imports this package and must not load the world, nor itself twice."""
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"kerege.demo.agencies.{_HOMES[name]}"), name)
