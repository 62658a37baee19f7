"""What `kerege node check` tells: everything that is wrong with a node's configuration, and for each how to mend it.

A finding has a stable code (docs/reference/node.md lists them), where it is (file and key), what was found, and what to do. An error
keeps messages from flowing, now or at the next start; a warning should be looked at. The file itself is read here, to its end: what
cannot be read is told and set aside, and the rest is looked at. `check.parts` looks at what a file names on this machine and in
the configuration kept; `check.online` asks others.
"""

from __future__ import annotations

import copy
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kerege.exchange.ids import DataServiceId
from kerege.ground.errors import KeregeError
from kerege.node import config as configuration
from kerege.node.config_reading import NOT_AMONG_CLIENTS, SET_ASIDE, Place
from kerege.node.config_types import NodeConfig
from kerege.node.errors import NodeConfigInvalid
from kerege.node.keys.acme_orders import read_settings

ERROR, WARNING, OK = "error", "warning", "ok"
STAND_IN: Final = "set-aside-by-check"  # in the place of a value that is told of already
_MOST: Final = 200
_LONGEST: Final = 120
_NOBODY: Final = f"XX/XX/0/{STAND_IN}"

CODES: Final = {
    "check.address_refused": "the node may not listen there",
    "check.address_taken": "something listens there already",
    "check.address_twice": "two listeners have the same address",
    "check.certificate_ended": "a certificate is over, or not valid yet",
    "check.certificate_ends": "a certificate ends within 30 days",
    "check.certificate_of_another": "a certificate names another member than the one it is configured for",
    "check.certificate_unregistered": "the authentication certificate is not registered for this server",
    "check.certificate_untrusted": "no approved authority stands behind a certificate",
    "check.certificate_use": "a certificate is made for another use",
    "check.client_disabled": "a client is disabled at the central services, or is a subsystem that no server has yet",
    "check.client_unknown": "a client is not registered at this server",
    "check.client_unserved": "a client registered at this server is not in the file",
    "check.client_without_key": "no signing key is there for a client's member",
    "check.clients_without_tls": "the client port can be reached from elsewhere",
    "check.clock": "this machine's clock and the configuration's differ",
    "check.config_invalid": "a key of the file is missing, unknown or has no possible value",
    "check.configuration_ended": "the global configuration kept is over",
    "check.configuration_missing": "no global configuration is kept, or what is kept cannot be used",
    "check.configuration_unreachable": "the global configuration cannot be fetched",
    "check.description_missing": "a data service's description is not there",
    "check.file_mode": "others may write the configuration file",
    "check.folder_open": "a folder may be read by others",
    "check.folder_unusable": "a folder cannot be written",
    "check.key_unusable": "a key, a certificate or a passphrase cannot be used",
    "check.log_unreadable": "the message log cannot be read with the key configured",
    "check.method_unknown": "a right is for what is no HTTP method",
    "check.ocsp_unknown": "no good OCSP answer is to be had about a certificate of the node",
    "check.peer_unknown": "a peer is not a server of the configuration",
    "check.peer_unreachable": "a peer does not answer",
    "check.recipient_ends": "a key that archives are encrypted for ends within 30 days",
    "check.recipient_unusable": "archives cannot be encrypted for a recipient: nothing is archived, and the log grows",
    "check.right_unknown": "a right is for a group or subsystem that the configuration does not know",
    "check.running": "a node runs with this configuration",
    "check.server_unknown": "this server is not registered",
    "check.service_unreachable": "the system behind a data service does not answer",
    "check.space_low": "little space is free",
    "check.timestamps_unknown": "a time-stamping service is not approved, or none is",
    "check.timestamps_unreachable": "a time-stamping authority does not answer",
    "check.tls_off": "messages between servers are sent in the clear",
    "check.translation": "what the node translates with cannot be used",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `key` is the place in the file, `found` what is there (and what was expected), `do` how to mend it."""

    level: str
    code: str
    file: str
    key: str
    found: str
    do: str = ""

    def as_dict(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass
class Report:
    """Collects findings about one file."""

    file: Path
    findings: list[Finding] = field(default_factory=list)

    def error(self, code: str, key: str, found: str, do: str, file: Path | str | None = None) -> None:
        self._add(ERROR, code, key, found, do, file)

    def warning(self, code: str, key: str, found: str, do: str, file: Path | str | None = None) -> None:
        self._add(WARNING, code, key, found, do, file)

    def ok(self, key: str, found: str, code: str = "") -> None:
        self._add(OK, code, key, found, "", None)

    def refused(self, code: str, key: str, problem: KeregeError, file: Path | str | None = None) -> None:
        self._add(ERROR, code, key, problem.text, problem.next_step, file)

    def _add(self, level: str, code: str, key: str, found: str, do: str, file: Path | str | None) -> None:
        finding = Finding(level, code, str(file or self.file), key, found, do)
        if finding not in self.findings:
            self.findings.append(finding)

    def of(self, level: str) -> list[Finding]:
        return [one for one in self.findings if one.level == level]

    @property
    def good(self) -> bool:
        return not self.of(ERROR)

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": self.good,
            "file": str(self.file),
            "errors": len(self.of(ERROR)),
            "warnings": len(self.of(WARNING)),
            "findings": [one.as_dict() for one in self.findings],
        }


# --- the file itself, to its end ---


def read_all(report: Report) -> NodeConfig | None:
    """Tell of everything in the file that cannot be read; what is left of it, with stand-ins where something must be there."""
    file = report.file
    _mode(report)
    told: set[Place] = set()
    stood: list[Place] = []
    try:
        content = configuration.content_of(file)
        while len(told) < _MOST:
            try:
                config = configuration.read(content, file)
                break
            except NodeConfigInvalid as problem:
                place = problem.params.get("place", ())
                content = copy.deepcopy(content) if not told else content
                came = _at(content, place)
                let_in = _let_in(content, place, problem)
                if not any(place[: len(one)] == one for one in (*told, *stood)):
                    _tell(report, problem, came, unseen=not let_in)
                told.add(place)
                if not let_in and not _repair(content, place, stood):
                    return None
        else:
            return None
    except NodeConfigInvalid as problem:
        _tell(report, problem)
        return None
    try:
        read_settings(config)
    except NodeConfigInvalid as problem:
        _tell(report, problem)
    if not told:
        report.ok("(file)", "every key is known and has a possible value")
    return config


def _tell(report: Report, problem: NodeConfigInvalid, came: Any = None, *, unseen: bool = False) -> None:
    key, reason = str(problem.params["key"]), str(problem.params["reason"])
    if problem.params.get("place") == () and key == "(file)":
        report.error("check.config_invalid", key, reason, problem.next_step)
        return
    if unseen and isinstance(came, dict | list) and came:
        reason += "; what stands in it was not looked at"
    if isinstance(came, str | int | float) and len(str(came)) <= _LONGEST and "not known" not in reason:
        reason += f"; found: {came}"
    report.error(
        "check.config_invalid", key, reason, f"Correct {key}; docs/reference/node.md says its form and its default."
    )


def _mode(report: Report) -> None:
    try:
        mode = stat.S_IMODE(report.file.stat().st_mode)
    except OSError:
        return  # told when it is read
    if mode & 0o022:
        report.error(
            "check.file_mode",
            "(file)",
            f"its mode is {mode:04o}: others than its owner may write it, and so say who may call what",
            f"chmod go-w {report.file}",
        )


def _repair(content: Any, place: Place, stood: list[Place]) -> bool:
    """Set aside what stands at `place`, or put a stand-in there when something must; False when nothing can be done."""
    if not place:
        return False
    parent = _at(content, place[:-1])
    last = place[-1]
    if isinstance(parent, list) and isinstance(last, int) and last < len(parent) and parent[last] is not SET_ASIDE:
        parent[last] = SET_ASIDE
        return True
    if isinstance(parent, dict):
        key = next((one for one in parent if str(one) == last), None)
        if key is not None and place not in stood:
            del parent[key]
            return True
        stand_in = _stand_in(place)
        if stand_in is not None and place not in stood:
            parent[last] = stand_in
            stood.append(place)
            return True
    return _repair(content, place[:-1], stood)


def _let_in(content: Any, place: Place, problem: NodeConfigInvalid) -> bool:
    """Put a data service's subsystem among the clients when only that is wrong with it, so that the service is looked at."""
    if len(place) != 2 or place[0] != "services" or NOT_AMONG_CLIENTS not in str(problem.params["reason"]):
        return False
    clients, subsystem = content.setdefault("clients", []), str(DataServiceId.parse(str(place[1])).provider)
    if not isinstance(clients, list) or subsystem in clients:
        return False
    clients.append(subsystem)
    return True


def _at(content: Any, place: Sequence[str | int]) -> Any:
    for step in place:
        if isinstance(content, dict):
            content = next((value for key, value in content.items() if str(key) == step), None)
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        else:
            return None
    return content


def _stand_in(place: Place) -> Any:
    """What may stand where something is required, so that the rest can be looked at."""
    pair = {"key": STAND_IN, "certificate": STAND_IN}
    whole: dict[Place, Any] = {
        ("server",): _NOBODY,
        ("listen",): dict.fromkeys(("clients", "servers", "admin"), "127.0.0.1:0"),
        ("listen", "clients_tls"): "127.0.0.1:0",
        ("listen", "clients"): "127.0.0.1:0",
        ("listen", "servers"): "127.0.0.1:0",
        ("listen", "admin"): "127.0.0.1:0",
        ("keys",): {"auth": pair, "sign": [{"member": "XX/XX/0", **pair}]},
        ("keys", "auth"): pair,
        ("keys", "sign"): [{"member": "XX/XX/0", **pair}],
        ("configuration",): {"anchor": STAND_IN},
        ("configuration", "anchor"): STAND_IN,
    }
    if place in whole:
        return copy.deepcopy(whole[place])
    if place[0] == "keys" and place[-1] in ("key", "certificate", "pkcs12"):
        return STAND_IN
    if place[0] == "services" and len(place) == 3 and place[-1] == "url":
        return f"http://{STAND_IN}"
    return None


def set_aside(*values: object) -> bool:
    """Whether one of these is a stand-in, told of already."""
    return any(STAND_IN in str(value) or str(value).startswith("XX/XX/0") for value in values)


# --- for people ---


def table(report: Report, *, details: Iterable[str] = (ERROR, WARNING, OK)) -> str:
    """Errors, warnings, and what is in order, each with what to do below it."""
    heads = {ERROR: "Errors", WARNING: "Warnings", OK: "In order"}
    lines: list[str] = []
    for level in details:
        found = report.of(level)
        if not found:
            continue
        lines += ["", f"{heads[level]} ({len(found)})"]
        for one in found:
            where = one.key if one.file == str(report.file) else f"{one.key} ({one.file})"
            lines.append(f"  {where}: {one.found.rstrip('.')}" + (f" [{one.code}]" if one.code else ""))
            if one.do:
                lines.append(f"      {one.do}")
    errors, warnings = len(report.of(ERROR)), len(report.of(WARNING))
    told = f"{errors or 'no'} error{'' if errors == 1 else 's'}"
    lines += ["", f"{report.file}: {told}, {warnings or 'no'} warning{'' if warnings == 1 else 's'}"]
    return "\n".join(lines).lstrip("\n")
