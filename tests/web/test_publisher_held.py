"""What the hub does not publish by itself: another database, other keys, another instance; and how a person has it go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import OperationalError, connection
from web_publisher import MINUTE, NAMES, NOW, at, failed, rename, stands, tree

from kerege.exchange import confdir
from kerege.exchange.pki import load_pair
from kerege.ledger.log import Ledger
from kerege.membership import central, queries, renewal, signing
from kerege.membership.errors import InstanceOther, KeysMissing, PublishFailed
from kerege.membership.models import Publication
from kerege.node.conf import fetch as conffetch
from kerege.node.conf.keeper import Keeper
from kerege.web import publisher
from kerege.web.publisher import Publisher

pytestmark = pytest.mark.django_db


@pytest.fixture
def ledger(signing_log: Ledger) -> Ledger:
    return signing_log


Poll = Callable[[float], tuple[int, datetime, str]]


@pytest.fixture
def poll(one: Publisher, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Poll:
    """A node that fetches when it is told to; the version it has, until when, and what it says of the last try."""
    moment = [NOW]
    anchor = confdir.parse_anchor((publisher.keys_folder(one.home) / "internal-anchor.xml").read_bytes())
    keeper = Keeper(anchor, tmp_path_factory.mktemp("node"), lambda: moment[0], https_first=False)

    def get(address: str, *_: Any) -> bytes:
        asked = urlsplit(address)
        (version,) = parse_qs(asked.query).get("version", [""])
        name = asked.path.lstrip("/") + ("" if version in {"", "6"} else f".{version}")
        try:
            return (publisher.served_folder(one.home) / name).read_bytes()
        except OSError:
            raise conffetch.NotOffered from None

    monkeypatch.setattr(conffetch, "get", get)

    def at_second(seconds: float) -> tuple[int, datetime, str]:
        moment[0] = at(seconds)
        asyncio.run(keeper.start() if keeper.picture is None else keeper.refresh())
        assert keeper.picture is not None
        problem = keeper.problem.text if keeper.problem else ""
        return keeper.picture.rules.version, keeper.picture.directory.expires, problem

    return at_second


def put_back(version: int) -> None:
    """The database as it was when `version` was its last; its register is another than the one published since."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {Publication._meta.db_table} WHERE version > %s", [version])


def change(one: Publisher, ledger: Ledger, versions: int) -> None:
    """As many versions more, one every twenty seconds."""
    for number in range(versions):
        rename(ledger, f"name {number}", at(20 * number + 1))
        one.step(at(20 * number + 15))
        assert one.failure is None


def test_after_an_older_database_was_put_back_publishing_by_hand_gives_nodes_a_version_they_take(
    one: Publisher, ledger: Ledger, poll: Poll
) -> None:
    change(one, ledger, 4)
    assert poll(80) == (5, at(675), "")
    put_back(2)
    before = tree(one.home)
    one.step(at(140))
    assert failed(one).code == "membership.publish_held"
    assert "nodes were given version 5, and this database notes version 2" in failed(one).text
    assert tree(one.home) == before
    done, _ = publisher.publish(one.home, "KG", at(150), ledger)
    assert (done.version, stands(one.home).version) == (6, 6)
    assert poll(151) == (6, at(750), "")
    for seconds in (211, 271):
        one.step(at(seconds))
        assert one.failure is None
        assert poll(seconds) == (6, at(seconds + 600), "")
    rename(ledger, "later", at(280))
    one.step(at(290))
    assert poll(291) == (7, at(890), "")


def test_a_database_one_version_old_is_held_too_so_that_no_revocation_is_undone_unasked(
    one: Publisher, ledger: Ledger, poll: Poll
) -> None:
    change(one, ledger, 1)
    assert poll(16)[0] == 2
    put_back(1)
    for seconds in (40, 80, 300):
        one.step(at(seconds))
        assert failed(one).code == "membership.publish_held"
    assert stands(one.home).published == at(15)
    publisher.publish(one.home, "KG", at(310), ledger)
    assert poll(311) == (3, at(910), "")


def test_where_the_folder_was_put_back_too_a_person_says_which_version_nodes_have(
    one: Publisher, ledger: Ledger, poll: Poll
) -> None:
    change(one, ledger, 3)
    assert poll(60)[0] == 4
    put_back(2)
    (one.home / "published-version.json").unlink()
    for kept in publisher.served_folder(one.home).glob("V6/*/kerege-rules.json"):
        kept.write_bytes(kept.read_bytes().replace(b'"version":4', b'"version":2'))
    publisher.publish(one.home, "KG", at(100), ledger)
    assert poll(101)[0] == 4
    assert "rules 3" in poll(101)[2]
    publisher.publish(one.home, "KG", at(110), ledger, above=4)
    assert poll(111) == (5, at(710), "")
    one.step(at(171))
    assert poll(172) == (5, at(771), "")


def test_a_first_publication_that_was_interrupted_before_it_was_noted_is_done_again(
    registered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Publisher(registered, MINUTE, chance=lambda: 0.0, worked=lambda: 0.0)

    def away(**_: Any) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(Publication.objects, "create", away)
        one.step(NOW)
    assert (stands(registered).version, queries.network_view(NOW).version) == (1, None)
    assert failed(one).code == "OperationalError"
    one.step(at(12))
    assert one.failure is None
    assert (stands(registered).version, queries.network_view(NOW).version) == (1, 1)


def test_a_publication_by_hand_that_failed_does_not_let_the_hub_go_on_from_an_older_database(
    one: Publisher, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(one, ledger, 3)
    put_back(1)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("kerege.membership.central_picture.put_in_place", full)
        with pytest.raises(PublishFailed):
            publisher.publish(one.home, "KG", at(100), ledger)
    one.step(at(200))
    assert failed(one).code == "membership.publish_held"
    assert publisher.publish(one.home, "KG", at(210), ledger)[0].version > 4


def test_an_older_database_is_held_where_the_rules_of_what_stands_cannot_be_read(
    one: Publisher, ledger: Ledger
) -> None:
    change(one, ledger, 3)
    put_back(3)
    for rules in publisher.served_folder(one.home).glob("V6/*/kerege-rules.json"):
        rules.unlink()
    one.step(at(200))
    assert failed(one).code == "membership.publish_held"
    (one.home / "published-version.json").unlink()
    one.step(at(300))
    assert "which version stands cannot be read" in failed(one).text
    assert stands(one.home).published == at(55)


def test_keys_made_anew_do_not_sign_over_what_the_nodes_anchors_name_until_a_person_says_so(
    one: Publisher, ledger: Ledger
) -> None:
    folder = publisher.keys_folder(one.home)
    old = load_pair(folder, "internal").certificate
    folder.rename(one.home / "away")
    one.step(at(60))
    assert "from the backup" in failed(one).text
    signing.make_keys(folder, "KG", at(61))
    signing.anchors(folder, "KG", "http://cs.kg", at(61))
    before = tree(one.home)
    for seconds in (62, 126, 9999):
        one.step(at(seconds))
        assert failed(one).code == "membership.publish_held"
        assert "not those that signed internalconf" in failed(one).text
    assert tree(one.home) == before
    publisher.publish(one.home, "KG", at(10_000), ledger)
    one.step(at(10_061))
    assert (one.failure, stands(one.home).published) == (None, at(10_061))
    for name in ("internal.key", "internal.pem", "external.key", "external.pem"):
        (folder / name).write_bytes((one.home / "away" / name).read_bytes())
    one.step(at(10_122))
    assert failed(one).code == "membership.publish_held"
    body = (publisher.served_folder(one.home) / "internalconf").read_bytes()
    with pytest.raises(confdir.ConfigurationForged):
        confdir.verify_directory(body, [old], "here")


def test_a_key_for_partners_made_anew_is_held_like_the_own_one(one: Publisher) -> None:
    folder = publisher.keys_folder(one.home)
    for name in ("external.key", "external.pem"):
        (folder / name).unlink()
    signing.make_keys(folder, "KG", at(1))
    one.step(at(60))
    assert "not those that signed externalconf" in failed(one).text
    assert stands(one.home).published == NOW


def test_keys_of_one_instance_never_sign_another(office: Path, ledger: Ledger) -> None:
    folder = publisher.keys_folder(office)
    signing.anchors(folder, "EE", "http://cs.ee", NOW)
    central.put("member", "EE/GOV/1", NAMES, ledger=ledger, now=NOW, by="office")
    one = Publisher(office, MINUTE, chance=lambda: 0.0, worked=lambda: 0.0)
    one.step(NOW)
    assert (one.failure, stands(office).instance, publisher.instance_of(office)) == (None, "EE", "EE")
    with pytest.raises(InstanceOther, match="of instance EE, not of KG"):
        publisher.instance_of(office, "KG")
    publisher.publish(office, "KG", at(20), ledger)  # as it stands where an earlier command did so
    assert stands(office).instance == "KG"
    one.step(at(80))
    assert "the keys are of instance EE, and what stands is of KG" in failed(one).text
    assert stands(office).published == at(20)


def test_without_an_anchor_the_instance_is_the_one_that_stands_or_the_one_asked_for(registered: Path) -> None:
    folder = publisher.keys_folder(registered)
    (folder / "internal-anchor.xml").unlink()
    with pytest.raises(publisher.PublishHeld, match="--instance says it"):
        publisher.instance_of(registered)
    assert publisher.instance_of(registered, "EE") == "EE"
    with pytest.raises(publisher.PublishHeld, match="--instance says it"):
        publisher.instance_of(registered, None, "KG")  # the keys are there, and may be another's
    (folder / "internal.key").rename(registered / "kept")
    folder.rename(registered / "away")
    assert publisher.instance_of(registered, None, "KG") == "KG"
    with pytest.raises(KeysMissing, match="there is no"):
        publisher.instance_of(registered)


def test_a_failure_that_is_over_is_told_no_more_though_nothing_is_due(
    one: Publisher, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Publisher(one.home, timedelta(days=1), chance=lambda: 0.0, worked=lambda: 0.0)

    def locked(*_: Any) -> None:
        raise OperationalError("locked")

    with monkeypatch.context() as patched:
        patched.setattr(queries, "network_view", locked)
        slow.step(at(5))
    told = publisher.told(one.home, at(6))
    assert told is not None
    assert told["status"] == "failing"
    Publisher(one.home, timedelta(days=1)).step(at(10))  # the hub was started anew meanwhile
    told = publisher.told(one.home, at(11))
    assert told is not None
    assert (told["status"], told["failed"]) == ("ok", None)
    slow.step(at(12))
    assert (slow.failure, stands(one.home).published) == (None, NOW)


def test_a_change_that_could_not_be_published_stays_told_while_it_waits_for_its_time(
    one: Publisher, ledger: Ledger
) -> None:
    rename(ledger, "new", at(2))
    one.failure = publisher.Failure("x", "x", at(1), 1, at(1), at(3))
    one.step(at(5))
    assert failed(one).code == "x"


def test_nothing_of_a_passphrase_that_cannot_be_read_is_told(
    one: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "passphrase").write_bytes(b"Gehe\xefmnis")
    monkeypatch.setenv("KEREGE_CONFIGURATION_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    one.step(at(60))
    assert "it is not UTF-8" in failed(one).text
    for said in (failed(one).text, caplog.text, (one.home / "publishing.json").read_text()):
        assert "0xef" not in said


def test_a_directory_that_cannot_be_put_in_its_place_leaves_the_folder_as_large_as_it_was(one: Publisher) -> None:
    folder = publisher.served_folder(one.home)
    (folder / "externalconf.4").unlink()
    (folder / "externalconf.4").mkdir()
    one.step(at(60))
    sizes = []
    for seconds in (62, 66, 74, 90, 122, 180, 240, 300):
        one.step(at(seconds))
        sizes.append(len(tree(one.home)))
    assert failed(one).tries == 9
    assert len(set(sizes[2:])) == 1
    assert stands(one.home).published == NOW  # what the hub goes by comes last: it goes on trying
    (folder / "externalconf.4").rmdir()
    one.step(at(360))
    assert (one.failure, stands(one.home).published) == (None, at(360))


def test_what_is_published_after_a_clock_was_put_right_is_there(one: Publisher, ledger: Ledger, poll: Poll) -> None:
    for seconds in (86_400, 86_460, 86_520):
        one.step(at(seconds))
    rename(ledger, "new", at(280))
    one.step(at(300))
    assert (one.failure, stands(one.home).version) == (None, 2)
    assert poll(301) == (2, at(900), "")
    for seconds in (361, 422, 483):
        one.step(at(seconds))
        assert poll(seconds) == (2, at(seconds + 600), "")


def test_the_version_is_kept_before_nodes_can_take_it_and_noted_after(
    one: Publisher, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[renewal.Given | None] = []
    real = publisher.publish_configuration

    def watched(folder: Path, now: datetime, publish: Any, *rest: Any, **named: Any) -> Publication:
        def before(*arguments: Any) -> None:
            publish(*arguments)
            seen.append(renewal.given(one.home, "KG"))

        return real(folder, now, before, *rest, **named)

    monkeypatch.setattr(publisher, "publish_configuration", watched)
    rename(ledger, "new", at(1))
    one.step(at(15))
    one.step(at(76))
    assert seen == [renewal.Given("KG", 2, noted=False), renewal.Given("KG", 2, noted=True)]
