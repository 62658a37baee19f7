"""How a node is: each part's state, and for what is not well, what to do. What GET /health, /ready and /live answer with.

A part is `ok`, `warning` (traffic flows, somebody should look) or `failed` (messages are refused, or soon will be). Pure reading of what the parts
say of themselves; nothing is asked over the network.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509

from kerege.exchange.errors import ConfigurationExpired
from kerege.ground.clock import iso
from kerege.ground.errors import KeregeError
from kerege.node.conf.picture import Picture
from kerege.node.config_types import NodeConfig
from kerege.node.core import Core
from kerege.node.keys import expiry
from kerege.node.keys.acme_orders import Renewals
from kerege.node.keys.belonging import strangers
from kerege.node.keys.expiry import Entry, calendar
from kerege.node.keys.expiry_kept import other_certificates
from kerege.node.telling.opmonitor import Store

OK: Final = "ok"
WARNING: Final = "warning"
FAILED: Final = "failed"
_SOON: Final = timedelta(days=14)
_KEPT: Final = timedelta(seconds=30)
_MOST_TOLD: Final = 20
_ELSEWHERE: Final = frozenset({expiry.CONFIGURATION, expiry.ANSWER})
_OWN: Final = ("authentication certificate", "signing certificate")
_STRANGE: Final = (
    "Give each member its own signing certificate (keys.sign), and register the authentication certificate (kerege node register);"
    " kerege node check says what is where."
)
_LOG: Final = logging.getLogger("kerege.node")

LogStatus = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """One part's state; `problems` say what is wrong, `do` the next step."""

    name: str
    state: str
    problems: tuple[str, ...] = ()
    do: str = ""

    def as_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {"state": self.state}
        if self.problems:
            out |= {"problems": list(self.problems), "do": self.do}
        return out


def _part(name: str, failures: list[str], warnings: list[str], do: str) -> Part:
    state = FAILED if failures else WARNING if warnings else OK
    return Part(name, state, tuple(failures + warnings), do if failures or warnings else "")


class Health:
    """Reads the parts of a running node. `log_status` is `LogKeeping.status`, `renewals` are there where certificates are ordered."""

    def __init__(self, core: Core, store: Store | None = None, log_status: LogStatus | None = None) -> None:
        self._core, self._store, self._log_status = core, store, log_status
        self.renewals: Renewals | None = None
        self._others: list[tuple[str, x509.Certificate, str]] = []
        self._entries: tuple[datetime, Picture | None, list[Entry]] | None = None
        self._known: tuple[Picture, tuple[x509.Certificate, ...], list[str]] | None = None
        self._told: list[str] = []
        self.use(core.config)

    def use(self, config: NodeConfig) -> None:
        """Another configuration file: the certificates it names are read again."""
        self._entries = self._known = None
        self.watch(self._core.keeper.picture)
        try:
            self._others = other_certificates(config)
        except KeregeError as problem:  # what the node needs of them it has read itself
            _LOG.warning("expiry: %s", problem)
            self._others = []

    def expiry(self, now: datetime) -> list[Entry]:
        """What ends when, at most half a minute old: there may be thousands of rights."""
        core, known = self._core, self._entries
        picture = core.keeper.picture
        if known is None or known[1] is not picture or not timedelta(0) <= now - known[0] < _KEPT:
            entries = calendar(core.config, core.keys, picture, core.revocation.own_until, now, self._others)
            known = self._entries = (now, picture, entries)
        return known[2]

    def parts(self, now: datetime) -> tuple[Part, ...]:
        status = self._log_status() if self._log_status is not None else {}
        return (
            self._configuration(now),
            self._keys(now),
            self._expiry(now),
            self._renewals(),
            self._ocsp(now),
            self._log(status),
            self._stamps(status),
            self._disk(status),
            self._background(),
            self._monitoring(),
            self._translation(),
            self._contracts(),
        )

    def _configuration(self, now: datetime) -> Part:
        core = self._core
        failures, warnings = [], []
        picture = core.keeper.picture
        if picture is None or now >= picture.directory.expires:
            failures.append("there is no global configuration in force")
        if core.keeper.problem is not None:
            warnings.append(str(core.keeper.problem))
        if core.keeper.overdue(core.config.poll_seconds, now):
            checked = core.keeper.last_success
            failures.append(f"the configuration was last checked {iso(checked) if checked else 'never'}")
        do = "See that the configuration's source answers; POST /refresh tries again now and says what is wrong."
        if isinstance(core.keeper.problem, ConfigurationExpired):
            do = core.keeper.problem.next_step
        return _part("configuration", failures, warnings, do)

    def _keys(self, now: datetime) -> Part:
        core = self._core
        failures, warnings = [], []
        named = [("authentication certificate", core.keys.auth.certificate)]
        named += [(f"signing certificate of {m}", s.certificate) for m, s in sorted(core.keys.signers.items())]
        for name, certificate in named:
            ends = certificate.not_valid_after_utc
            if now >= ends:
                failures.append(f"the {name} ended {iso(ends)}")
            elif now >= ends - _SOON:
                warnings.append(f"the {name} ends {iso(ends)}")
        do = "Order a new certificate, put it where keys: says, and reload (SIGHUP)."
        strangers = self._strangers(core.keeper.picture, now)
        if strangers:
            do = _STRANGE if not failures and not warnings else f"{do} {_STRANGE}"
        return _part("keys", failures + strangers, warnings, do)

    def _strangers(self, picture: Picture | None, now: datetime) -> list[str]:
        """Of certificates in use that are not those that others expect; reckoned anew under another configuration or key."""
        core, known = self._core, self._known
        if picture is None:
            return []
        shown = (core.keys.auth.certificate, *(signer.certificate for signer in core.keys.signers.values()))
        if known is None or known[0] is not picture or known[1] != shown:
            known = self._known = (picture, shown, strangers(core.config, core.keys, picture, now))
        return known[2]

    def watch(self, picture: Picture | None) -> None:
        """A configuration that comes into use: say in the log what others will hold against the node's certificates, once."""
        found = self._strangers(picture, self._core.clock())
        if picture is not None and found != self._told:
            if found:
                _LOG.warning("others refuse this node's messages: %s. %s", "; ".join(found), _STRANGE)
            else:
                _LOG.info("the node's certificates are those that the configuration names")
            self._told = found

    def _expiry(self, now: datetime) -> Part:
        """What ends soon beside the node's own keys, which have a part of their own, as the configuration and answers have."""
        warnings: list[str] = []
        do = ""
        for one in self.expiry(now):
            if one.state == expiry.OK or one.kind in _ELSEWHERE or one.what.startswith(_OWN):
                continue
            do = do or f"{one.do} "
            if len(warnings) < _MOST_TOLD:
                warnings.append(f"{one.what} {'ended' if one.state == expiry.EXPIRED else 'ends'} {iso(one.expires)}")
        return _part("expiry", [], warnings, f"{do}`kerege node expiry` lists everything that ends, and what to do.")

    def _renewals(self) -> Part:
        problems = {} if self.renewals is None else self.renewals.problems
        warnings = [f"{name}: {problem.text}" for name, problem in sorted(problems.items())]
        do = "; ".join(dict.fromkeys(problem.next_step for problem in problems.values()))
        return _part("renewals", [], warnings, do)

    def _ocsp(self, now: datetime) -> Part:
        core = self._core
        failures, warnings = [], []
        do = "See that the responders named in the global configuration answer, and that the clock is right."
        revoked = {
            member: said
            for member, signer in core.keys.signers.items()
            if (said := core.keys.revoked_since(signer.certificate))
        }
        failures += [f"signing certificate of {member}: {said}" for member, said in sorted(revoked.items())]
        unready = [str(one) for one in core.keys.signers if one not in revoked and not core.keys.ready(one, now)]
        if unready:
            failures.append("no OCSP answer for signing certificates of " + ", ".join(sorted(unready)))
        until, said = core.revocation.auth_until, core.keys.revoked_since(core.keys.auth.certificate)
        if core.config.peer_tls and said:
            failures.append(f"authentication certificate: {said}")
        elif core.config.peer_tls and (until is None or now >= until):
            failures.append("no OCSP answer for the authentication certificate")
        if revoked or said:
            do = "A revoked certificate stays so: order a new one, have it registered where it is for authentication, put it in place."
        if core.revocation.problem is not None:
            warnings.append(str(core.revocation.problem))
        return _part("ocsp", failures, warnings, do)

    def _log(self, status: Mapping[str, Any]) -> Part:
        log = self._core.log
        failures = []
        if log.failure is not None:
            failures.append(f"message log: {log.failure}")
        if not log.alive:
            failures.append("message log: its thread has ended")
        if status.get("refusing"):
            failures.append(str(status["refusing"]))
        warnings = [
            f"message log, {name}: {text}"
            for name, text in sorted(status.get("problems", {}).items())
            if name != "stamping"
        ]
        do = "Free space or mend the disk under log.folder; `kerege node verify-log` says whether the log is whole."
        return _part("log", failures, warnings, do)

    def _stamps(self, status: Mapping[str, Any]) -> Part:
        problem = status.get("problems", {}).get("stamping")
        warnings = []
        if status.get("stamping") == "no authority":
            warnings.append("time-stamps: the global configuration approves no authority; messages are logged without")
            do = "Have an authority approved by the central services, or say timestamps: {off: true}."
            return _part("stamps", [], warnings, do)
        if problem:
            oldest = status.get("oldest_unstamped")
            warnings.append(f"time-stamps: {problem}" + (f" (a record waits since {oldest})" if oldest else ""))
        do = "See that a time-stamping authority approved in the global configuration answers."
        return _part("stamps", [], warnings, do)

    def _disk(self, status: Mapping[str, Any]) -> Part:
        config = self._core.config
        failures, warnings = [], []
        least = config.log.least_free
        for name, folder in (("log", config.log.folder), ("state", config.state)):
            try:
                free = shutil.disk_usage(folder).free
            except OSError as problem:
                failures.append(f"{name}: its folder cannot be looked at ({problem.strerror})")
                continue
            if name == "log" and free < least:
                failures.append(f"log: {free // 2**20} MB are free, below {least // 2**20} MB messages are refused")
            elif free < 2 * least:
                warnings.append(f"{name}: {free // 2**20} MB are free")
        return _part(
            "disk", failures, warnings, "Free space, or let the log be archived and cleaned sooner (log.archive)."
        )

    def _background(self) -> Part:
        ended = sorted(name for name, task in self._core.background.items() if task.done())
        failures = [f"the background task {name} has ended" for name in ended]
        return _part("background", failures, [], "Start the node again; its log says why the task ended.")

    def _monitoring(self) -> Part:
        warnings = []
        if self._core.monitor.failed_writes:
            warnings.append(f"{self._core.monitor.failed_writes} monitoring records could not be written to the file")
        if self._store is not None and self._store.failure is not None:
            warnings.append(f"monitoring records: {self._store.failure}")
        return _part("monitoring", [], warnings, "Free space under the state folder; exchanges go on meanwhile.")

    def _translation(self) -> Part:
        problem = self._core.translation.problem
        warnings = [] if problem is None else [f"translation: {problem}"]
        return _part("translation", [], warnings, "Correct the country pack or the overlay, then POST /refresh.")

    def _contracts(self) -> Part:
        contracting = self._core.contracting
        warnings = [] if contracting.counts is None else contracting.counts.warnings()
        if contracting.originals.problem is not None:
            warnings.append(contracting.originals.problem)
        return _part("contracts", [], warnings, "GET /contracts counts breaches per field; tell the owner of the data.")
