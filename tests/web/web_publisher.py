"""What tests of the hub's own publishing share: a home with keys, a register with a member, a publisher with a clock that is given."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kerege.exchange.pki import new_key
from kerege.ledger import open_signing
from kerege.ledger.log import Ledger
from kerege.membership import central, renewal, signing
from kerege.web import publisher
from kerege.web.publisher import LOOK, Publisher

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
NAMES = {"name_ky": "a", "name_ru": "b", "name_en": "c"}
MINUTE = timedelta(minutes=1)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def quick_keys() -> Iterator[None]:
    """Elliptic keys for RSA's: made and used in no time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(signing, "new_key", lambda _: new_key("ec"))
        yield


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, quick_keys: None) -> Path:
    """Both keys and both anchors, made once."""
    folder = tmp_path_factory.mktemp("pairs")
    signing.make_keys(folder, "KG", NOW)
    signing.anchors(folder, "KG", "http://cs.kg", NOW)
    return folder


@pytest.fixture
def office(home: Path, pairs: Path, db: None) -> Path:
    """A home with the configuration's keys; its register is empty."""
    shutil.copytree(pairs, publisher.keys_folder(home))
    return home


@pytest.fixture
def signing_log(office: Path) -> Iterator[Ledger]:
    with open_signing(office) as log:
        yield log


@pytest.fixture
def registered(office: Path, signing_log: Ledger) -> Path:
    central.put("member", "KG/GOV/1", NAMES, ledger=signing_log, now=NOW, by="office")
    return office


@pytest.fixture
def one(registered: Path) -> Publisher:
    """A publisher that has published once, at NOW."""
    made = Publisher(registered, MINUTE, chance=lambda: 0.0, worked=lambda: 0.0)
    assert made.step(NOW) == LOOK
    assert made.failure is None
    return made


def stands(home: Path) -> renewal.Standing:
    found = renewal.standing(publisher.served_folder(home))
    assert found is not None
    return found


def tree(home: Path) -> dict[str, bytes | None]:
    folder = publisher.served_folder(home)
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def rename(ledger: Ledger, name: str, now: datetime) -> None:
    central.put("member", "KG/GOV/1", NAMES | {"name_en": name}, ledger=ledger, now=now, by="office")


def failed(one: Publisher) -> publisher.Failure:
    assert one.failure is not None
    return one.failure
