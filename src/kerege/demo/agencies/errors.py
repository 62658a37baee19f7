"""What can go wrong in starting or writing the demo's agencies."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class AgencyError(KeregeError):
    """Base of the agencies' errors."""


class AgencyDataMissing(AgencyError):
    code = "demo.agency_data_missing"
    message = "{agency}: {file} is not there."
    hint = "Write the agencies' data first: kerege demo does it, in code it is demo.agencies.write_agencies."


class AgencyDidNotStart(AgencyError):
    code = "demo.agency_did_not_start"
    message = "{agency}: no address within {seconds} s (exit status {status})."
    hint = "Run it by hand to see why: python -m kerege.demo.agencies.{agency} --folder {folder} --port 0"


class PostgresqlUnavailable(AgencyError):
    code = "demo.postgresql_unavailable"
    message = "PostgreSQL cannot be used here: {reason}."
    hint = "Start the agency with --database sqlite, or let --database auto choose."


class FaultUnknown(AgencyError):
    code = "demo.fault_unknown"
    message = "Unknown fault {mode!r}; known: {known}."
    hint = "See docs/reference/agencies.md for the faults an agency can be asked to have."
