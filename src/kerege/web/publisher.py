"""The hub signs and publishes the configuration by itself: again before it expires, and soon after the register changed.

A thread of the hub's worker process looks every few seconds: what stands in the folder it serves, what the register says now
(`membership.renewal` decides). Any number of hubs may look at once: whoever has the lock looks, and finds nothing due where another has published.
Whatever fails is logged and tried again; what stands is not touched by it. `told` says for `/health` and the command line how it is.

HOME/keys/configuration being there makes a home one of the central services; without it (a demo, a hub for its catalogue) nothing is published.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.db import connections

from kerege.catalogue.contracts.ended import end_what_is_over
from kerege.catalogue.models import ContractVersion
from kerege.exchange import confdir
from kerege.exchange.errors import ConfigurationForged, ExchangeError
from kerege.exchange.rules import Rules
from kerege.ground import clock, settings
from kerege.ground.clock import iso
from kerege.ground.errors import KeregeError
from kerege.ledger import open_signing
from kerege.ledger.log import Ledger
from kerege.membership import queries, renewal
from kerege.membership.central_picture import EXTERNAL, central_publisher, signing_keys
from kerege.membership.doings import publish_configuration
from kerege.membership.errors import InstanceOther, KeysMissing, PublishedElsewhere, PublishHeld
from kerege.membership.models import Publication
from kerege.membership.picture import Picture
from kerege.membership.publish import DIRECTORY, replace_file
from kerege.membership.renewal import Given, Register, Standing

LOOK: Final = 5.0  # seconds between two looks
_SHARE: Final = 20  # looks take a twentieth of a processor at the most: pages want it too
_LATE: Final = timedelta(seconds=30)  # behind its time by so much, nobody is doing it
_LOG: Final = logging.getLogger(__name__)


def keys_folder(home: Path) -> Path:
    return home / "keys" / "configuration"


def served_folder(home: Path) -> Path:
    return home / "globalconf"


def passphrase() -> bytes | None:
    """What opens the signing keys, from the environment or the file it names; nobody is asked for it. Raises KeysMissing."""
    try:
        return settings.get("configuration_passphrase").encode() or None
    except settings.SettingMissing:
        return None
    except OSError as problem:
        raise KeysMissing(reason=f"the file with their passphrase cannot be read: {problem}") from None
    except UnicodeDecodeError:  # its text would show a byte of the passphrase
        raise KeysMissing(reason="the file with their passphrase cannot be read: it is not UTF-8") from None


def instance_of(home: Path, asked: str | None = None, default: str | None = None) -> str:
    """The instance `home` publishes: that of its keys, as the anchor beside them says, else what stands; of a new one what is asked for.

    Raises InstanceOther where another is asked for; KeysMissing, PublishHeld where nothing says it.
    """
    folder, stands = keys_folder(home), renewal.standing(served_folder(home))
    # keys that are there already are of an instance that nothing here says: nothing is taken for granted then
    own = _anchored(folder) or (stands.instance if stands else asked or (None if folder.is_dir() else default))
    if own is None and not folder.is_dir():
        raise KeysMissing(reason=f"there is no {folder}")
    if own is None:
        told = f"nothing is published yet, and no internal-anchor.xml in {folder} says of which instance the keys are"
        raise PublishHeld(reason=f"{told} (kerege network publish --instance says it)")
    if asked is not None and asked != own:
        raise InstanceOther(folder=folder, own=own, asked=asked)
    return own


def every() -> timedelta:
    """How often the hub publishes by itself; nothing: never. Raises SettingInvalid."""
    return timedelta(seconds=settings.integer("publish_every", 5, 86_400))


def publish(
    home: Path, instance: str, now: datetime, ledger: Ledger, *, above: int = 0
) -> tuple[Publication, list[ContractVersion]]:
    """Sign the register of `instance` and put it where the hub serves it; contract versions whose term is over end first, and are returned too.

    Where nodes were given a version this database does not know of, the next higher one is published: they take no lower. `above` is the
    version they have, where this home does not know of it either. For whoever holds `renewal.alone`.
    Raises KeysMissing, PublishFailed and what databases and disks raise; what stands stays then.
    """
    signed = central_publisher(signing_keys(keys_folder(home), passphrase()))
    ended = end_what_is_over(now, ledger=ledger)
    stands, kept = renewal.standing(served_folder(home)), renewal.given(home, instance)
    same = stands is not None and stands.instance == instance
    last = max(renewal.last_version(stands if same else None, kept), above)
    row = Publication.objects.order_by("-pk").first()
    noted = row.version if row else 0
    known = renewal.is_known(noted, last, kept)

    def publisher(picture: Picture, rules: Rules, folder: Path, now: datetime) -> None:
        if rules.version != noted:
            renewal.keep_given(home, Given(instance, rules.version, noted=False))
        signed(picture, rules, folder, now)

    done = publish_configuration(
        served_folder(home), now, publisher, ledger, instance=instance, least=last if known else last + 1
    )
    with contextlib.suppress(OSError):  # what is kept still says at most one too many, and is kept at the next
        renewal.keep_given(home, Given(instance, done.version, noted=True))
    if ended:
        ledger.sign_head(now)
    return done, ended


@dataclass(frozen=True, slots=True)
class Failure:
    """What fails: since when, how often in a row, when last and when it is tried again. `text` may name folders."""

    code: str
    text: str
    since: datetime
    tries: int
    last: datetime
    next: datetime

    def as_dict(self) -> dict[str, Any]:
        """Plain values, times in ISO 8601."""
        return {name: iso(value) if isinstance(value, datetime) else value for name, value in asdict(self).items()}

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Failure:
        """From what `as_dict` gave. Raises TypeError, ValueError, KeyError."""
        since, last, again = (datetime.fromisoformat(plain[name]) for name in ("since", "last", "next"))
        return cls(str(plain["code"]), str(plain["text"]), since, int(plain["tries"]), last, again)


class Publisher:
    """Looks and publishes for one home folder.

    chance   gives numbers from 0 to 1 that keep many hubs out of step
    worked   processor seconds of this thread until now: a register that takes long to read is read less often
    """

    def __init__(
        self,
        home: Path,
        every: timedelta,
        chance: Callable[[], float] = random.random,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        self.home, self.every, self._chance, self._worked = home, every, chance, worked
        self.failure: Failure | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look for as long as the process lives, or until `stop`."""
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the look that is under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            wait = self.turn(clock.now())

    def turn(self, now: datetime) -> float:
        """One look as the thread takes it: with connections of its own, which are given back. One that broke is none the next time."""
        try:
            return self.step(now)
        except Exception:  # noqa: BLE001 - not foreseen even there: the thread lives on
            _LOG.exception("looking after the configuration")
            return LOOK
        finally:
            with contextlib.suppress(Exception):  # what is broken cannot even be closed
                connections.close_all()

    def step(self, now: datetime) -> float:
        """One look at `now`; the seconds until the next. Nothing that goes wrong leaves it."""
        begun = self._worked()
        try:
            if not _kept(self.home):
                return LOOK
            with renewal.alone(self.home):
                due = self._look(now)
        except PublishedElsewhere:
            return LOOK * (1 - self._chance() / 5)
        except Exception as problem:  # noqa: BLE001 - whatever it is, the next look is tried
            return self._failed(problem, now)
        wait = max(LOOK, (self._worked() - begun) * _SHARE)
        if due is not None:
            wait = min(wait, max((due - now).total_seconds(), 0.0))
        return max(wait * (1 - self._chance() / 5), 0.1)

    def _look(self, now: datetime) -> datetime | None:
        """Publish when it is due; when it is to be renewed next, None where nothing stands."""
        stands = renewal.standing(served_folder(self.home))
        if self.failure is not None and stands is not None and stands.published > self.failure.last:
            self.failure = None  # somebody else has published since
        instance = stands.instance if stands else instance_of(self.home)
        view = queries.network_view(now, instance)
        register = Register(len(view.picture.members), view.version, view.unpublished_changes)
        why = renewal.why_now(now, stands, self.every, register, renewal.given(self.home, instance))
        if why is None:
            if not register.changed and (self.failure or _failure(self.home, stands)) is not None:
                self.failure = None  # it is well again, and there is nothing to publish that would show it
                self._note()
            return stands.renew_at(self.every) if stands else None
        if stands is not None:
            _check_keys(self.home, stands)
        with open_signing(self.home) as ledger:
            done, ended = publish(self.home, instance, now, ledger)
        for version in ended:
            _LOG.info("contract %s ended: its term is over", version)
        return self._published(done.version, instance, why, now)

    def _published(self, version: int, instance: str, why: str, now: datetime) -> datetime | None:
        stands = renewal.standing(served_folder(self.home))
        holds = "?" if stands is None else iso(stands.expires)
        _LOG.info(
            "configuration of %s, version %d, published %s (%s), holds until %s",
            instance,
            version,
            iso(now),
            why,
            holds,
        )
        if self.failure is not None:
            _LOG.warning("publishing works again, after %d tries since %s", self.failure.tries, iso(self.failure.since))
        self.failure = None
        self._note()
        return stands.renew_at(self.every) if stands else None

    def _failed(self, problem: Exception, now: datetime) -> float:
        told = isinstance(problem, KeregeError)
        code = problem.code if isinstance(problem, KeregeError) else type(problem).__name__
        text = str(problem) if told else f"{code}: {problem}"
        before = self.failure
        again = before is not None and before.code == code
        tries = before.tries + 1 if before else 1
        wait = renewal.wait_after(tries, self.every, self._chance())
        since = before.since if before else now
        self.failure = Failure(code, text, since, tries, now, now + timedelta(seconds=wait))
        with contextlib.suppress(Exception):
            stands = renewal.standing(served_folder(self.home))
            holds = "nothing stands" if stands is None else f"what stands holds until {iso(stands.expires)}"
            trace = None if told or again else problem
            _LOG.error(
                "configuration not published, try %d: %s (%s, next try in %.0f s)",
                tries,
                text,
                holds,
                wait,
                exc_info=trace,
            )
        self._note()
        return wait

    def _note(self) -> None:
        """For those who ask another process (`told`); where it cannot be written, this process knows it still."""
        failed = None if self.failure is None else self.failure.as_dict()
        with contextlib.suppress(OSError):
            replace_file(_noted(self.home), json.dumps({"failed": failed}).encode())


_here: Publisher | None = None


def start(home: Path) -> Publisher | None:
    """Publish by itself from now on, in this process; None where the setting says never."""
    global _here
    often = every()
    if not often:
        return None
    _here = Publisher(home, often)
    _here.start()
    return _here


def told(home: Path, now: datetime) -> dict[str, Any] | None:
    """How the configuration is, for people and machines; None in a home that has none and is to have none.

    status     ok; late (should have been renewed); failing; expired; waiting (not published yet)
    by_itself  whether the hub publishes; published, expires: of what stands, ISO 8601
    failed     what fails now (`Failure`), or None
    """
    stands = renewal.standing(served_folder(home))
    kept = _kept(home)
    if stands is None and not kept:
        return None
    often = every()
    failed = _failure(home, stands)
    by_itself = bool(often) and kept
    return {
        "status": _status(now, stands, failed, often if by_itself else None),
        "by_itself": by_itself,
        "instance": stands.instance if stands else None,
        "version": stands.version if stands else None,
        "published": iso(stands.published) if stands else None,
        "expires": iso(stands.expires) if stands else None,
        "failed": None if failed is None else failed.as_dict(),
    }


def _status(now: datetime, stands: Standing | None, failed: Failure | None, often: timedelta | None) -> str:
    if stands is not None and now >= stands.expires:
        return "expired"
    if failed is not None:
        return "failing"
    if stands is None:
        return "waiting"
    return "late" if often and now > stands.renew_at(often) + _LATE else "ok"


def _failure(home: Path, stands: Standing | None) -> Failure | None:
    """This process's own, or the one another noted; none when something was published since."""
    mine = _here.failure if _here is not None and _here.home == home else None
    try:
        noted = json.loads(_noted(home).read_bytes())["failed"]
        theirs = None if noted is None else Failure.read(noted)
    except (OSError, ValueError, TypeError, KeyError):
        theirs = None
    found = max((one for one in (mine, theirs) if one is not None), key=lambda one: one.last, default=None)
    return None if found is None or (stands is not None and stands.published > found.last) else found


def _kept(home: Path) -> bool:
    """Whether the configuration is signed here; one that once was and has lost its keys counts, so that it is told."""
    return keys_folder(home).is_dir() or _noted(home).exists()


def _noted(home: Path) -> Path:
    return home / "publishing.json"


def _check_keys(home: Path, stands: Standing) -> None:
    """Nodes and partners believe the keys their anchors name: others are not put in the place of those that signed what stands, unasked.

    Raises PublishHeld, KeysMissing.
    """
    folder, served = keys_folder(home), served_folder(home)
    keys = signing_keys(folder, passphrase())
    own = _anchored(folder)
    if own is not None and own != stands.instance:
        raise PublishHeld(reason=f"the keys are of instance {own}, and what stands is of {stands.instance}")
    for name, pair in ((DIRECTORY, keys.internal), (EXTERNAL, keys.external)):
        try:
            confdir.verify_directory((served / name).read_bytes(), [pair.certificate], name)
        except ConfigurationForged:
            reason = f"the keys are not those that signed {name} as it stands, which the anchors at the nodes name"
            raise PublishHeld(reason=reason) from None
        except (OSError, ExchangeError):  # none to go by
            continue


def _anchored(folder: Path) -> str | None:
    """The instance the keys were made for, as the anchor beside them says."""
    try:
        return confdir.parse_anchor((folder / "internal-anchor.xml").read_bytes()).instance
    except (OSError, ExchangeError):
        return None
