"""The hub publishes by itself: looks with a clock that is given, failures and what comes after them, what it tells."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from web_publisher import MINUTE, NOW, at, failed, rename, stands, tree

from kerege.exchange import confdir
from kerege.exchange.pki import load_pair
from kerege.ground import clock
from kerege.ground.settings import SettingInvalid
from kerege.ledger.log import Ledger
from kerege.membership import central, queries, renewal, signing
from kerege.membership.errors import KeysMissing
from kerege.membership.models import CentralSetting, Publication
from kerege.web import publisher
from kerege.web.publisher import LOOK, Publisher

pytestmark = pytest.mark.django_db


@pytest.fixture
def ledger(signing_log: Ledger) -> Ledger:
    return signing_log


def test_the_first_publication_is_signed_with_the_homes_keys_once_there_is_a_member(
    office: Path, ledger: Ledger
) -> None:
    one = Publisher(office, MINUTE, chance=lambda: 0.0, worked=lambda: 0.0)
    assert one.step(NOW) == LOOK
    assert not publisher.served_folder(office).exists()
    rename(ledger, "c", at(1))
    one.step(at(5))
    body = (publisher.served_folder(office) / "internalconf").read_bytes()
    certificate = load_pair(publisher.keys_folder(office), "internal").certificate
    directory = confdir.verify_directory(body, [certificate], "here")
    assert (directory.expires, directory.parts[0].instance) == (at(605), "KG")
    assert (stands(office).published, stands(office).version) == (at(5), 1)
    assert ledger.entry(ledger.size - 1).kind == "configuration"


def test_it_is_signed_again_every_minute_and_noted_once(one: Publisher, ledger: Ledger) -> None:
    entries = ledger.size
    assert one.step(at(58)) == pytest.approx(2)  # looks again just when it is due
    assert stands(one.home).published == NOW
    for minutes in (1, 2, 3):
        assert one.step(at(60 * minutes)) == LOOK
        assert stands(one.home).published == at(60 * minutes)
        assert stands(one.home).expires == at(60 * minutes + 600)
    assert Publication.objects.count() == 1
    assert (ledger.size, len(ledger.checkpoints())) == (entries, 1)


def test_a_change_is_published_as_soon_as_the_last_publication_is_ten_seconds_old(
    one: Publisher, ledger: Ledger
) -> None:
    rename(ledger, "new", at(2))
    one.step(at(5))
    assert stands(one.home).published == NOW
    one.step(at(10))
    assert (stands(one.home).published, stands(one.home).version) == (at(10), 2)
    files = publisher.served_folder(one.home).glob("V6/*/shared-params.xml")
    assert b"<name>new</name>" in max(files).read_bytes()


def test_a_configuration_that_holds_for_less_is_signed_again_sooner(one: Publisher, ledger: Ledger) -> None:
    CentralSetting.objects.create(name="valid_seconds", value=30)  # less than may be set: time is short here
    one.step(at(10))
    assert stands(one.home).expires == at(40)
    assert one.step(at(15)) == LOOK
    assert stands(one.home).published == at(10)
    one.step(at(20))
    assert stands(one.home).published == at(20)


def test_a_register_that_takes_long_to_read_is_read_less_often_and_never_too_late(registered: Path) -> None:
    work = iter((0, 1.5, 10, 11.5, 20, 21.5))
    one = Publisher(registered, MINUTE, chance=lambda: 0.0, worked=lambda: next(work))
    assert one.step(NOW) == 30  # a second and a half of work
    assert one.step(at(45)) == 15  # then it is due
    assert one.step(at(60)) == 30
    assert stands(registered).published == at(60)


def test_a_home_without_the_configurations_keys_is_left_alone(home: Path) -> None:
    assert Publisher(home, MINUTE).step(NOW) == LOOK
    assert list(home.iterdir()) == []
    assert publisher.told(home, NOW) is None


def test_keys_that_are_gone_are_told_and_tried_again_until_they_are_back(
    one: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    before, folder = tree(one.home), publisher.keys_folder(one.home)
    folder.rename(one.home / "away")
    waits = [one.step(at(60)), one.step(at(62)), one.step(at(66))]
    assert waits == [2, 4, 8]
    assert tree(one.home) == before
    found = failed(one)
    assert (found.code, found.tries, found.since, found.last) == ("membership.keys_missing", 3, at(60), at(66))
    assert found.next == at(74)
    told = publisher.told(one.home, at(67))
    assert told is not None
    assert (told["status"], told["expires"], told["by_itself"]) == ("failing", "2026-11-22T04:10:00Z", True)
    assert "internal.key" in told["failed"]["text"]
    assert "what stands holds until 2026-11-22T04:10:00Z" in caplog.text
    expired = publisher.told(one.home, at(601))
    assert expired is not None
    assert expired["status"] == "expired"
    (one.home / "away").rename(folder)
    assert one.step(at(74)) == LOOK
    assert (one.failure, stands(one.home).published) == (None, at(74))
    assert "publishing works again, after 3 tries since 2026-11-22T04:01:00Z" in caplog.text
    well = publisher.told(one.home, at(75))
    assert well is not None
    assert (well["status"], well["failed"]) == ("ok", None)


def test_another_process_is_told_what_fails_here(one: Publisher, client: Client, monkeypatch: Any) -> None:
    publisher.keys_folder(one.home).rename(one.home / "away")
    monkeypatch.setattr(clock, "now", lambda: at(61))
    one.step(at(60))
    assert publisher._here is None
    said = client.get("/health").json()
    assert said["status"] == "ok"  # it serves, and what it serves still holds
    configuration = said["configuration"]
    assert (configuration["status"], configuration["version"]) == ("failing", 1)
    assert configuration["failed"] == {
        "code": "membership.keys_missing", "since": "2026-11-22T04:01:00Z", "tries": 1,
        "last": "2026-11-22T04:01:00Z", "next": "2026-11-22T04:01:02Z",
    }  # fmt: skip
    assert str(one.home) not in json.dumps(said)


def test_a_full_disk_harms_nothing_and_ends_with_the_first_try_that_finds_room(
    one: Publisher, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(one.home)
    rename(ledger, "new", at(2))

    real = os.fsync

    def full(descriptor: int) -> None:
        if "/ledger" not in os.readlink(f"/proc/self/fd/{descriptor}"):  # that is a disk of its own here
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr("kerege.membership.publish.os.fsync", full)
        for moment in (60, 62, 66, 120):
            one.step(at(moment))
    assert failed(one).tries == 4
    assert (failed(one).code, "No space left on device" in failed(one).text) == ("membership.publish_failed", True)
    assert tree(one.home) == before
    assert Publication.objects.count() == 1
    told = publisher.told(one.home, at(121))  # not even the note could be written: another process sees that it is late
    assert told is not None
    assert (told["status"], told["failed"]) == ("late", None)
    one.step(at(180))
    assert one.failure is None
    assert (stands(one.home).version, stands(one.home).published) == (2, at(180))


def test_a_database_that_is_away_is_logged_with_its_trace_once_and_asked_again(
    one: Publisher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("could not connect")

    with monkeypatch.context() as patched:
        patched.setattr(queries, "network_view", away)
        assert [one.step(at(60)), one.step(at(62))] == [2, 4]
    lines = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [bool(line.exc_info) for line in lines] == [True, False]
    assert (failed(one).code, failed(one).tries) == ("OperationalError", 2)
    assert one.step(at(66)) == LOOK
    assert stands(one.home).published == at(66)


def test_where_only_the_note_in_the_database_fails_the_same_is_published_again_and_noted(
    one: Publisher, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename(ledger, "new", at(2))

    def away(**_: Any) -> None:
        raise OperationalError("gone in between")

    with monkeypatch.context() as patched:
        patched.setattr(Publication.objects, "create", away)
        one.step(at(60))
    assert (failed(one).tries, stands(one.home).version, queries.network_view(NOW).version) == (1, 2, 1)
    one.step(at(62))  # too early for the readers of what has just been put there
    assert stands(one.home).published == at(60)
    one.step(at(71))
    assert one.failure is None
    assert (stands(one.home).published, stands(one.home).version, queries.network_view(NOW).version) == (at(71), 2, 2)


def test_an_emptied_database_is_not_published_until_a_person_says_so(one: Publisher, ledger: Ledger) -> None:
    before = tree(one.home)
    central.drop("member", "KG/GOV/1", ledger=ledger, now=at(1), by="office")
    one.step(at(60))
    assert failed(one).code == "membership.publish_held"
    assert "has no members" in failed(one).text
    assert tree(one.home) == before
    publisher.publish(one.home, "KG", at(70), ledger)
    assert one.step(at(75)) == LOOK
    assert (one.failure, stands(one.home).version) == (None, 2)
    one.step(at(130))
    assert stands(one.home).published == at(130)


def test_where_another_has_published_nothing_is_due_and_its_failure_is_over(one: Publisher, ledger: Ledger) -> None:
    other = Publisher(one.home, MINUTE, chance=lambda: 0.0, worked=lambda: 0.0)
    publisher.keys_folder(one.home).rename(one.home / "away")
    other.step(at(60))
    assert failed(other).tries == 1
    (one.home / "away").rename(publisher.keys_folder(one.home))
    one.step(at(61))
    assert stands(one.home).published == at(61)
    other.step(at(62))
    assert (other.failure, stands(one.home).published) == (None, at(61))


def test_while_another_publishes_it_looks_again_later_and_that_is_no_failure(one: Publisher, ledger: Ledger) -> None:
    with renewal.alone(one.home):
        assert one.step(at(60)) == LOOK
    assert (one.failure, stands(one.home).published) == (None, NOW)


def test_without_an_anchor_the_first_publication_is_a_persons(registered: Path, ledger: Ledger) -> None:
    (publisher.keys_folder(registered) / "internal-anchor.xml").unlink()
    one = Publisher(registered, MINUTE, chance=lambda: 0.0, worked=lambda: 0.0)
    one.step(NOW)
    assert failed(one).code == "membership.publish_held"
    told = publisher.told(registered, at(1))
    assert told is not None
    assert told["status"] == "failing"
    publisher.publish(registered, "KG", at(2), ledger)
    one.step(at(63))
    assert stands(registered).published == at(63)


def test_encrypted_keys_are_opened_from_the_environment_or_a_file_and_nobody_is_asked(
    registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publisher.keys_folder(registered)
    shutil.rmtree(folder)
    signing.make_keys(folder, "KG", NOW, b"open sesame")
    signing.anchors(folder, "KG", "http://cs.kg", NOW, b"open sesame")
    assert b"ENCRYPTED" in (folder / "internal.key").read_bytes()
    one, variable = (
        Publisher(registered, MINUTE, chance=lambda: 0.0, worked=lambda: 0.0),
        "KEREGE_CONFIGURATION_PASSPHRASE",
    )
    one.step(NOW)
    assert "encrypted, and no passphrase is set" in failed(one).text
    monkeypatch.setenv(variable, "another")
    one.step(at(2))
    assert "the passphrase is another" in failed(one).text
    monkeypatch.delenv(variable)
    monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / "passphrase"))
    one.step(at(6))
    assert "passphrase cannot be read" in failed(one).text
    (tmp_path / "passphrase").write_text("open sesame\n")
    one.step(at(14))
    assert stands(registered).published == at(14)
    with pytest.raises(KeysMissing, match="no passphrase is set"):
        publisher.signing_keys(folder)


@pytest.mark.parametrize("value", ["-1", "1", "4", "86401", "60.5", "often", "", "٦٠"])
def test_an_interval_that_is_none_is_refused_when_the_hub_starts(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEREGE_PUBLISH_EVERY", value)
    with pytest.raises(SettingInvalid, match="0 or a whole number from 5 to 86400"):
        publisher.every()


def test_nothing_starts_where_the_setting_says_never(one: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEREGE_PUBLISH_EVERY", "0")
    assert publisher.start(one.home) is None
    told = publisher.told(one.home, at(300))  # whoever publishes then is not late before it expires
    assert told is not None
    assert (told["by_itself"], told["status"]) == (False, "ok")


def test_the_page_of_the_network_says_until_when_it_holds(
    one: Publisher, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: at(61))
    one.step(at(60))
    page = client.get("/en/network/").content.decode()
    assert "Holds until" in page
    assert "it is over" not in page
    monkeypatch.setattr(clock, "now", lambda: at(661))
    assert "it is over" in client.get("/en/network/").content.decode()
