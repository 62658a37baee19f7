"""What is kept on disk is believed from the anchor on, through every change of the signing key, and never taken back."""

import asyncio
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from centre import Central

from kerege.exchange import confdir, globalconf
from kerege.exchange.errors import ConfigurationForged, ConfigurationOlder
from kerege.exchange.globalconf import Anchor
from kerege.exchange.pki import KeyPair, TestAuthority
from kerege.exchange.rules import Rules
from kerege.node.conf import keeper, verifying
from kerege.node.conf import kept as confkept
from kerege.node.conf.keeper import Keeper

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def make() -> Iterator[Callable[..., Central]]:
    made: list[Central] = []

    def central(instance: str = "KG") -> Central:
        made.append(Central(instance, NOW, (6,)))
        return made[-1]

    yield central
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def pairs() -> list[KeyPair]:
    return [TestAuthority.create("KG", NOW).configuration for _ in range(3)]


class Network:
    """A central server whose signing key changes, and a node that follows it from the first anchor."""

    def __init__(self, central: Central, pairs: list[KeyPair], state: Path) -> None:
        self.central, self.pairs, self.state, self.minute = central, pairs, state, 0
        self._sign_with(0)
        self.anchor = central.anchor

    def _sign_with(self, signer: int) -> None:
        self.central.authority = replace(self.central.authority, configuration=self.pairs[signer])

    def publish(self, signer: int, *announced: int) -> None:
        self._sign_with(signer)
        self.minute += 1
        sources = (globalconf.Source("127.0.0.1", tuple(self.pairs[i].certificate for i in announced)),)
        self.central.publish(NOW + self.minute * MINUTE, shared=replace(self.central.shared(), sources=sources))

    def keeper(self, anchor: Anchor | None = None) -> Keeper:
        return Keeper(anchor or self.anchor, self.state, lambda: NOW)

    def start(self, anchor: Anchor | None = None) -> Keeper:
        one = self.keeper(anchor)
        asyncio.run(one.start())
        return one

    def anchor_of(self, signer: int) -> Anchor:
        return Anchor("KG", ((self.central.url, self.pairs[signer].certificate),))

    def generation(self) -> str:
        return confdir.generation(NOW + self.minute * MINUTE)

    @property
    def links(self) -> list[str]:
        return sorted(file.name for file in (self.state / "configuration").glob("link-*.directory"))


@pytest.fixture
def network(make: Callable[..., Central], pairs: list[KeyPair], tmp_path: Path) -> Network:
    return Network(make(), pairs, tmp_path)


def follow(network: Network, *publications: tuple[int, ...]) -> Keeper:
    """One running node that takes up these publications, each `(signer, *announced)`."""
    one = network.keeper()
    for publication in publications:
        network.publish(*publication)
        assert asyncio.run(one.refresh()).problem is None
    return one


def test_after_the_signing_key_changed_a_restarted_node_believes_what_it_keeps_and_fetches_on(network: Network) -> None:
    follow(network, (0, 0, 1), (1, 1))
    kept = network.keeper().kept()
    assert kept is not None
    assert kept.directory.generation == network.generation()
    network.publish(1, 1)  # signed by a key the anchor never named
    restarted = network.start()
    assert restarted.problem is None
    assert restarted.current(NOW).directory.generation == network.generation()


def test_tools_that_read_the_log_have_the_trust_that_is_kept_after_the_signing_key_changed(network: Network) -> None:
    follow(network, (0, 0, 1), (1, 1))
    file = network.state / "anchor.xml"
    file.write_bytes(confdir.build_anchor(network.anchor, NOW))
    config: Any = SimpleNamespace(anchor=file, state=network.state)
    assert verifying.kept_trust(config).shared.is_registered(network.central.subsystem)


def test_two_changes_are_followed_link_by_link_and_a_change_back_needs_none(network: Network) -> None:
    running = follow(network, (0, 0, 1), (1, 1, 2), (2, 2, 0))
    assert network.links == ["link-00.directory", "link-01.directory"]
    assert network.start().problem is None
    network.publish(2, 2, 0)
    assert asyncio.run(running.refresh()).problem is None
    assert len(network.links) == 2  # the same signer needs no more of them
    network.publish(0, 0)
    assert asyncio.run(running.refresh()).problem is None
    assert network.links == []
    assert network.start().problem is None


def test_a_new_anchor_that_names_a_later_signer_makes_the_earlier_links_needless(network: Network) -> None:
    follow(network, (0, 0, 1), (1, 1, 2), (2, 2))
    assert network.keeper(network.anchor_of(1)).kept() is not None
    assert network.keeper(network.anchor_of(2)).kept() is not None


def test_a_signer_that_nobody_announced_is_not_believed_whatever_lies_beside_it(network: Network) -> None:
    follow(network, (0, 0))
    folder = network.state / "configuration"
    network.publish(1, 1)
    body, located = network.central.files["/internalconf", "6"], network.central.files
    directory = confdir.verify_directory(body, [network.pairs[1].certificate], "test")
    (folder / "directory").write_bytes(body)
    for part in directory.parts:
        (folder / part.identifier).write_bytes(located[part.location, ""])
    (folder / "link-00.directory").write_bytes(body)  # it announces itself
    (folder / "link-00.shared").write_bytes((folder / confdir.SHARED).read_bytes())
    with pytest.raises(ConfigurationForged):
        network.keeper().kept()


def test_a_link_with_other_parameters_than_were_signed_announces_nobody(network: Network) -> None:
    follow(network, (0, 0, 1), (1, 1))
    shared = network.state / "configuration" / "link-00.shared"
    shared.write_bytes(shared.read_bytes() + b"\n")
    with pytest.raises(ConfigurationForged):
        network.keeper().kept()


def test_what_cannot_be_read_back_keeps_the_older_out_all_the_same(network: Network) -> None:
    network.publish(0, 0)
    old = dict(network.central.files)
    follow(network, (0, 0))
    shutil.rmtree(network.state / "configuration")
    network.central.files = old
    restarted = network.start()
    assert isinstance(restarted.problem, ConfigurationOlder)
    assert restarted.picture is None
    network.publish(0, 0)
    assert asyncio.run(restarted.refresh()).problem is None


def test_an_older_folder_put_in_the_place_of_the_newest_is_refused(network: Network) -> None:
    folder, aside = network.state / "configuration", network.state / "aside"
    running = follow(network, (0, 0))
    shutil.copytree(folder, aside)
    network.publish(0, 0)
    asyncio.run(running.refresh())
    shutil.rmtree(folder)
    aside.rename(folder)
    with pytest.raises(ConfigurationOlder):
        network.keeper().kept()


def test_older_rules_are_refused_after_a_restart_that_lost_the_folder(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = 7
    original = keeper.picture_of
    monkeypatch.setattr(keeper, "picture_of", lambda *args: replace(original(*args), rules=Rules("KG", version)))
    follow(network, (0, 0))
    shutil.rmtree(network.state / "configuration")
    version = 6
    network.publish(0, 0)
    assert "rules 6" in str(network.start().problem)
    version = 7
    assert network.start().problem is None
    version = 6
    with pytest.raises(ConfigurationOlder):
        network.keeper().kept()


def test_a_network_made_anew_under_another_key_begins_anew(
    network: Network, make: Callable[..., Central], pairs: list[KeyPair]
) -> None:
    follow(network, (0, 0), (0, 0))
    again = Network(make(), pairs, network.state)
    again.publish(2, 2)  # the first of its publications: older than what the node had
    assert isinstance(network.start(again.anchor).problem, ConfigurationForged)
    assert network.start(again.anchor_of(2)).problem is None


def test_a_partners_older_publication_is_refused_also_when_what_was_kept_is_gone(
    make: Callable[..., Central], tmp_path: Path
) -> None:
    central, partner = make(), make("EE")
    partner.publish(NOW - MINUTE)
    old = dict(partner.files)
    partner.publish(NOW)
    central.publish(NOW, partners=(partner.anchor,))
    asyncio.run(Keeper(central.anchor, tmp_path, lambda: NOW).refresh())
    shutil.rmtree(tmp_path / "partners")
    partner.files = old
    restarted = Keeper(central.anchor, tmp_path, lambda: NOW)
    asyncio.run(restarted.start())
    assert isinstance(restarted.partner_problems["EE"], ConfigurationOlder)
    assert not restarted.current(NOW).shared.partners


def test_what_could_not_be_written_is_written_with_the_next_refresh(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(keeper, "save", full)
        running = follow(network, (0, 0))
    assert network.keeper().kept() is None
    assert not (network.state / "newest").exists()
    asyncio.run(running.refresh())
    kept = network.keeper().kept()
    assert kept is not None
    assert kept.directory.generation == network.generation()


def test_whoever_keeps_or_reads_one_at_the_same_time_has_either_whole(network: Network) -> None:
    running = follow(network, (0, 0))
    first = running.current(NOW).fetched
    network.publish(0, 0)
    asyncio.run(running.refresh())
    both, folder = (first, running.current(NOW).fetched), network.state / "configuration"

    def saver(number: int) -> None:
        for turn in range(12):
            confkept.save(folder, both[(number + turn) % 2])

    def reader(_: int) -> set[str]:
        found = [confkept.load(folder, lambda _: (network.pairs[0].certificate,)) for _ in range(25)]
        return {"nothing" if one is None else one.directory.generation for one in found}

    with ThreadPoolExecutor(4) as pool:
        saving, reading = [pool.submit(saver, n) for n in (0, 1, 2)], pool.submit(reader, 0)
    assert [one.exception() for one in saving] == [None] * 3
    assert reading.result() <= {one.directory.generation for one in both}
    assert [file.name for file in network.state.iterdir() if file.name.startswith("configuration.")] == []
    kept = confkept.load(folder, lambda _: (network.pairs[0].certificate,))
    assert kept is not None
    assert sorted(file.name for file in folder.iterdir()) == sorted(["directory", *kept.files])


def test_who_finds_it_locked_for_long_leaves_what_lies_there_and_who_reads_reads_all_the_same(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confkept, "_LOCK_SECONDS", 0.05)
    running = follow(network, (0, 0))
    handle = os.open(network.state, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(OSError, match="another process holds the lock"):
            confkept.save(network.state / "configuration", running.current(NOW).fetched)
        assert network.keeper().kept() is not None
    finally:
        os.close(handle)
    assert sorted(file.name for file in network.state.iterdir()) == ["configuration", "newest"]


def test_what_was_cut_between_the_two_renames_is_not_removed_before_another_is_there(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = follow(network, (0, 0)).current(NOW).fetched
    folder = network.state / "configuration"
    folder.rename(folder.with_name("configuration.old"))
    begun = folder.with_name("configuration.0123.new")
    begun.mkdir()
    os.utime(begun, (0, 0))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", full)
        with pytest.raises(OSError, match="No space"):
            confkept.save(folder, fetched)
    assert network.keeper().kept() is not None
    confkept.save(folder, fetched)
    assert sorted(file.name for file in network.state.iterdir()) == ["configuration", "newest"]


def test_what_another_user_left_is_put_out_of_the_way_and_told(
    network: Network, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, own = network.state / "configuration", os.geteuid()
    remove = shutil.rmtree

    def kept_from(path: Path, **how: Any) -> None:
        if not (path / "of-root").exists():
            remove(path, **how)

    running = follow(network, (0, 0))
    (folder / "of-root").touch()
    with monkeypatch.context() as patched:
        patched.setattr(confkept.shutil, "rmtree", kept_from)
        patched.setattr(os, "geteuid", lambda: own + 1)
        for _ in range(3):
            network.publish(0, 0)
            assert asyncio.run(running.refresh()).problem is None
        refused = confkept.advice(folder / "gone", PermissionError(13, "Permission denied"))
    kept = network.keeper().kept()
    assert kept is not None
    assert kept.directory.generation == network.generation()
    (left,) = network.state.glob("configuration.old.*.left")
    assert f"{left} belongs to another user ({own}, the node is {own + 1}); it is not needed: remove it" in caplog.text
    assert "could not be kept" not in caplog.text
    assert f"{folder} belongs to another user ({own}, the node is {own + 1})" in refused
    assert f"chown -R {own + 1} {folder}" in refused


def test_who_only_looks_fetches_with_what_is_kept_and_writes_nothing(network: Network) -> None:
    follow(network, (0, 0, 1), (1, 1))
    before = written(network.state)
    network.publish(1, 1)  # believed only by way of what is kept
    looking = Keeper(network.anchor, network.state, lambda: NOW, keeps=False)
    asyncio.run(looking.start())
    assert looking.problem is None
    assert looking.current(NOW).directory.generation == network.generation()
    assert written(network.state) == before


def written(folder: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in folder.rglob("*")}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"generation": 1, "rules": 1, "signers": []}', "null", "\ud800"])
def test_a_note_that_cannot_be_read_is_said_and_does_not_stop_the_node(
    network: Network, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (network.state / "newest").mkdir()
    (network.state / "newest" / "KG.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    network.publish(0, 0)
    assert network.start().problem is None
    assert "newest configuration cannot be read" in caplog.text
    assert json.loads((network.state / "newest" / "KG.json").read_text())["generation"] == network.generation()


def test_a_folders_name_is_no_way_out_of_the_folder() -> None:
    assert [confkept.folder_name(one) for one in ("KG", "..", "a/b", "EE.new")] == ["KG", "%2E%2E", "a%2Fb", "EE%2Enew"]
