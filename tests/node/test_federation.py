"""The keeper against real publications: versions, replay, restarts, several sources, partners, laid-out folders."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from centre import Central, Misbehaving

from kerege.exchange import confdir, conflayout, confwrite, globalconf
from kerege.exchange.conflayout import LaidOutPart
from kerege.exchange.errors import (
    ConfigurationExpired,
    ConfigurationForged,
    ConfigurationOlder,
    PartnerUnavailable,
)
from kerege.exchange.federation import FederatedTrust
from kerege.exchange.globalconf import Anchor
from kerege.exchange.ids import ClientId, SubsystemId
from kerege.node.conf import fetch as conffetch
from kerege.node.conf.keeper import Keeper, backoff

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def vectors() -> Path:
    folder = Path(__file__).parents[2].parent / "shared/vectors/xroad"
    if not folder.is_dir():
        pytest.skip(f"not there: {folder}")
    return folder


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make() -> Iterator[Callable[..., Central]]:
    made: list[Central] = []

    def central(instance: str = "KG", **more: object) -> Central:
        made.append(Central(instance, NOW, **more))
        return made[-1]

    yield central
    for one in made:
        one.close()


def refresh(keeper: Keeper) -> object:
    return asyncio.run(keeper.refresh()).problem


def test_versions_are_probed_from_six_down_and_the_one_found_is_asked_for_next_time(
    make: Callable[..., Central], clock: Clock, tmp_path: Path
) -> None:
    central = make(versions=(2, 3))
    central.publish(NOW)
    keeper = Keeper(central.anchor, tmp_path, clock)
    assert refresh(keeper) is None
    assert keeper.current(NOW).directory.version == 3
    asked = [path for path in central.asked if "version" in path]
    assert asked == [f"/internalconf?version={v}" for v in (6, 5, 4, 3)]
    central.asked.clear()
    assert refresh(keeper) is None
    assert central.asked == ["/internalconf?version=3"]  # nor was any file fetched again
    central.versions = (2,)
    central.publish(NOW + MINUTE)
    assert refresh(keeper) is None
    assert keeper.current(NOW).directory.version == 2


def test_only_files_that_changed_are_fetched(make: Callable[..., Central], clock: Clock, tmp_path: Path) -> None:
    central = make(versions=(6,))
    central.publish(NOW)
    keeper = Keeper(central.anchor, tmp_path, clock)
    refresh(keeper)
    central.publish(NOW + MINUTE, partners=(Anchor("EE", ()),))
    central.asked.clear()
    refresh(keeper)
    assert [path.rsplit("/", 1)[-1] for path in central.asked[1:]] == ["private-params.xml"]


def test_an_older_directory_is_refused_also_after_a_restart(
    make: Callable[..., Central], clock: Clock, tmp_path: Path
) -> None:
    central = make()
    central.publish(NOW - MINUTE, valid=timedelta(hours=1))
    old = dict(central.files)
    central.publish(NOW)
    refresh(Keeper(central.anchor, tmp_path, clock))
    central.files = old
    keeper = Keeper(central.anchor, tmp_path, clock)
    asyncio.run(keeper.start())
    assert isinstance(keeper.problem, ConfigurationOlder)
    assert keeper.current(NOW).directory.generation == confdir.generation(NOW)


def test_an_expired_configuration_stops_traffic_and_says_when_and_what_the_last_problem_was(
    make: Callable[..., Central], clock: Clock, tmp_path: Path
) -> None:
    central = make()
    central.publish(NOW)
    keeper = Keeper(central.anchor, tmp_path, clock)
    refresh(keeper)
    central.files.clear()
    refresh(keeper)
    keeper.current(NOW + timedelta(minutes=9, seconds=59))
    with pytest.raises(ConfigurationExpired) as stopped:
        keeper.current(NOW + timedelta(minutes=10, seconds=1))
    assert f"of KG expired at {NOW + timedelta(minutes=10):%Y-%m-%d %H:%M:%SZ}" in stopped.value.text
    assert "offers no version" in stopped.value.text
    assert f"its source last gave a good one at {NOW:%Y-%m-%d %H:%M:%SZ}" in stopped.value.text
    assert "kerege node check --online" in stopped.value.next_step
    clock.now += timedelta(hours=1)
    central.publish(clock.now)
    assert refresh(keeper) is None
    keeper.current(clock.now)


def test_a_source_that_serves_an_expired_directory_is_told_apart_from_one_that_does_not_answer(
    make: Callable[..., Central], clock: Clock, tmp_path: Path
) -> None:
    central = make()
    central.publish(NOW)
    keeper = Keeper(central.anchor, tmp_path, clock)
    refresh(keeper)
    clock.now = NOW + timedelta(minutes=11)
    problem = refresh(keeper)
    assert isinstance(problem, ConfigurationExpired)
    assert "serves no newer one" in problem.text
    with pytest.raises(ConfigurationExpired) as stopped:
        keeper.current(clock.now)
    assert (
        f"The source answers, with one that expired at {NOW + timedelta(minutes=10):%Y-%m-%d %H:%M:%SZ}"
        in stopped.value.text
    )
    assert f"last gave a good one at {NOW:%Y-%m-%d %H:%M:%SZ}" in stopped.value.text
    assert "publishes anew" in stopped.value.next_step


def test_what_was_stored_serves_after_a_restart_without_any_source(
    make: Callable[..., Central], clock: Clock, tmp_path: Path
) -> None:
    central, partner = make(), make("EE")
    partner.publish(NOW)
    central.publish(NOW, partners=(partner.anchor,))
    refresh(Keeper(central.anchor, tmp_path, clock))
    central.files.clear()
    partner.files.clear()
    keeper = Keeper(central.anchor, tmp_path, clock)
    asyncio.run(keeper.start())
    picture = keeper.current(NOW)
    assert picture.shared.is_registered(central.subsystem)
    assert picture.shared.is_registered(partner.subsystem)


def test_a_source_that_hangs_or_breaks_off_is_passed_over_for_the_next(
    make: Callable[..., Central], clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conffetch.directory_at, "__defaults__", (0.3,))
    central = make()
    central.publish(NOW)
    hung = Misbehaving(lambda connection: time.sleep(3))
    broken = Misbehaving(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"))
    certificate = central.authority.configuration.certificate
    anchor = Anchor("KG", tuple((url, certificate) for url in (hung.url, broken.url, central.url)))
    keeper = Keeper(anchor, tmp_path, clock)
    try:
        assert refresh(keeper) is None
        assert keeper.current(NOW).shared.instance == "KG"
        central.asked.clear()
        refresh(keeper)
        assert len(central.asked) == 1  # the one that answered is now asked first
    finally:
        hung.close()
        broken.close()


def test_every_source_signs_with_its_own_key(make: Callable[..., Central], clock: Clock, tmp_path: Path) -> None:
    first, second = make(), make()
    second.publish(NOW)
    anchor = Anchor("KG", (*first.anchor.sources, *second.anchor.sources))
    assert refresh(Keeper(anchor, tmp_path / "a", clock)) is None
    swapped = Anchor("KG", ((second.url, first.authority.configuration.certificate),))
    assert isinstance(refresh(Keeper(swapped, tmp_path / "b", clock)), ConfigurationForged)


def test_members_of_a_partner_become_callable_and_its_authority_counts_for_its_members_only(
    make: Callable[..., Central], clock: Clock, tmp_path: Path
) -> None:
    central, partner = make(), make("EE")
    partner.publish(NOW)
    central.publish(NOW, partners=(partner.anchor,))
    keeper = Keeper(central.anchor, tmp_path, clock)
    assert refresh(keeper) is None
    picture = keeper.current(NOW)
    (server,) = picture.shared.servers_of(SubsystemId.parse(str(partner.subsystem)))
    assert server.id.instance == "EE"
    assert picture.shared.server_by_auth_hash(tuple(server.auth_cert_hashes)) == server
    assert picture.shared.instance == "KG"
    assert len(picture.shared.authorities) == 1
    assert len(picture.authorities) == 2
    trust = picture.trust
    assert isinstance(trust, FederatedTrust)
    assert [a.top.certificate for a in trust.trusts["EE"].shared.authorities] == [partner.authority.ca.certificate]
    assert [a.top.certificate for a in trust.trusts["KG"].shared.authorities] == [central.authority.ca.certificate]


def test_a_partners_expiry_stops_only_its_members(make: Callable[..., Central], clock: Clock, tmp_path: Path) -> None:
    central, partner = make(), make("EE")
    partner.publish(NOW, valid=timedelta(minutes=5))
    central.publish(NOW, partners=(partner.anchor,))
    keeper = Keeper(central.anchor, tmp_path, clock)
    refresh(keeper)
    provider = SubsystemId.parse(str(partner.subsystem))
    assert keeper.current(NOW + timedelta(minutes=4)).shared.servers_of(provider)
    later = keeper.current(NOW + timedelta(minutes=5))
    with pytest.raises(PartnerUnavailable, match=r"EE.*expired at"):
        later.shared.servers_of(provider)
    assert later.shared.is_registered(central.subsystem)
    clock.now = NOW + timedelta(minutes=6)
    partner.publish(clock.now)
    refresh(keeper)
    assert keeper.current(clock.now).shared.servers_of(provider)


def test_a_partner_that_cannot_be_fetched_is_said_and_the_own_instance_goes_on(
    make: Callable[..., Central], clock: Clock, tmp_path: Path
) -> None:
    central, partner = make(), make("EE")
    central.publish(NOW, partners=(partner.anchor, Anchor("LV", ())))
    keeper = Keeper(central.anchor, tmp_path, clock)
    assert refresh(keeper) is None
    picture = keeper.current(NOW)
    with pytest.raises(PartnerUnavailable, match="offers no version"):
        picture.shared.is_registered(partner.subsystem)
    assert set(keeper.partner_problems) == {"EE", "LV"}
    assert picture.shared.is_registered(central.subsystem)


def test_a_partner_that_hangs_keeps_nobody_waiting_for_the_own_instance(
    make: Callable[..., Central], clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conffetch.directory_at, "__defaults__", (1.0,))
    central = make()
    hung = Misbehaving(lambda connection: time.sleep(3))
    anchor = Anchor("EE", ((hung.url, central.authority.configuration.certificate),))
    central.publish(NOW, partners=(anchor,))
    keeper = Keeper(central.anchor, tmp_path, clock)

    async def main() -> None:
        refreshing = asyncio.create_task(keeper.refresh())
        async with asyncio.timeout(0.8):
            while keeper.picture is None:
                await asyncio.sleep(0.01)
        assert not refreshing.done()
        with pytest.raises(PartnerUnavailable, match="being fetched"):
            keeper.current(NOW).shared.is_registered(ClientId("EE", "GOV", "1"))
        await refreshing
        with pytest.raises(PartnerUnavailable, match="within 1 seconds"):
            keeper.current(NOW).shared.is_registered(ClientId("EE", "GOV", "1"))

    try:
        asyncio.run(main())
    finally:
        hung.close()


def test_a_partner_that_says_it_is_another_instance_is_refused(
    make: Callable[..., Central], clock: Clock, tmp_path: Path
) -> None:
    central, partner = make(), make("EE")
    partner.publish(NOW)
    central.publish(NOW, partners=(Anchor("LV", partner.anchor.sources),))
    keeper = Keeper(central.anchor, tmp_path, clock)
    refresh(keeper)
    assert isinstance(keeper.partner_problems["LV"], ConfigurationForged)
    assert not keeper.current(NOW).shared.partners


def test_a_partner_taken_out_of_the_anchors_is_forgotten(
    make: Callable[..., Central], clock: Clock, tmp_path: Path
) -> None:
    central, partner = make(), make("EE")
    partner.publish(NOW)
    central.publish(NOW, partners=(partner.anchor,))
    keeper = Keeper(central.anchor, tmp_path, clock)
    refresh(keeper)
    central.publish(NOW + MINUTE)
    refresh(keeper)
    picture = keeper.current(NOW)
    assert not picture.partners
    assert not picture.shared.is_registered(partner.subsystem)


def test_a_laid_out_folder_is_followed_with_its_partners_and_its_expiry(
    make: Callable[..., Central], clock: Clock, tmp_path: Path
) -> None:
    own, partner, folder = make(), make("EE"), tmp_path / "laid"

    def lay(expires: datetime) -> None:
        parts = [
            LaidOutPart(confdir.SHARED, one.instance, confwrite.build_shared(one.shared()), expires)
            for one in (own, partner)
        ]
        conflayout.write(folder, "KG", parts)

    lay(NOW + MINUTE)
    keeper = Keeper(None, tmp_path, clock, folder=folder)
    asyncio.run(keeper.start())
    assert keeper.problem is None
    assert keeper.current(NOW).shared.is_registered(partner.subsystem)
    clock.now = NOW + 2 * MINUTE
    with pytest.raises(ConfigurationExpired):
        keeper.current(clock.now)
    assert isinstance(refresh(keeper), ConfigurationExpired)
    lay(NOW + 9 * MINUTE)
    assert refresh(keeper) is None
    (folder / "instance-identifier").unlink()
    assert "instance-identifier" in str(refresh(keeper))
    assert keeper.current(clock.now).shared.is_registered(own.subsystem)


def test_waiting_after_failures_is_random_grows_and_stays_within_the_poll() -> None:
    for failures in range(1, 40):
        waits = [backoff(failures, 60.0) for _ in range(200)]
        most = min(60.0, 2.0**failures / 2)
        assert all(0.05 <= wait <= most for wait in waits)
        assert max(waits) - min(waits) > most / 2
    assert all(0 < backoff(9, 0.02) <= 0.02 for _ in range(20))


@pytest.mark.vectors
@pytest.mark.parametrize("version", [3, 4, 5, 6])
def test_x_roads_own_publications_are_fetched_verified_and_taken_into_use(
    vectors: Path, make: Callable[..., Central], tmp_path: Path, version: int
) -> None:
    folder = vectors / f"globalconf/signed/V{version}"
    (file,) = folder.glob("*/shared-params.xml")
    shared = globalconf.parse_shared(file.read_bytes())
    central = make(shared.instance)
    central.files["/internalconf", str(version)] = (folder / "internalconf").read_bytes()
    for part in folder.glob("*/*.xml"):
        central.files[f"/V{version}/{part.parent.name}/{part.name}", ""] = part.read_bytes()
    anchor = Anchor(shared.instance, tuple((central.url, c) for s in shared.sources for c in s.internal_certs))
    moment = datetime.strptime(file.parent.name[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    keeper = Keeper(anchor, tmp_path, lambda: moment)
    asyncio.run(keeper.start())
    assert keeper.problem is None
    picture = keeper.current(moment)
    assert picture.shared.members == shared.members
    assert picture.private is not None
    assert picture.directory.version == version
    for server in shared.servers:
        assert picture.shared.server_by_auth_hash(tuple(server.auth_cert_hashes)) is not None
    with pytest.raises(ConfigurationExpired):
        keeper.current(picture.directory.expires)


@pytest.mark.vectors
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_x_roads_folders_are_followed_with_all_their_partners(vectors: Path, tmp_path: Path, version: int) -> None:
    keeper = Keeper(None, tmp_path, lambda: NOW, folder=vectors / f"globalconf/dirs/globalconf_good_v{version}")
    asyncio.run(keeper.start())
    assert keeper.problem is None
    picture = keeper.current(NOW)
    assert picture.shared.instance == "EE"
    assert picture.shared.partners
    for partner in picture.shared.partners.values():
        for member in partner.members:
            assert picture.shared.member(member.id) == member
