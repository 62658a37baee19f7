"""The configuration's keeper against publishers that answer oddly: nothing ends the polling, nothing foreign is taken."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from box import Publisher, base_rules, make_box
from kerege.exchange import confdir
from kerege.exchange.errors import ConfigurationForged
from kerege.node.conf import picture as picture_module
from kerege.node.conf.fetch import Source
from kerege.node.conf.keeper import Keeper, Picture
from kerege.node.errors import ConfigurationUnreachable

NOW = datetime.now(UTC)


class Babbler:
    """Answers every connection with bytes that are no HTTP."""

    def __init__(self, answer: bytes = b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n") -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/internalconf"
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self._socket.accept()
            except OSError:
                return
            self.asked += 1
            one.recv(9999)
            one.sendall(self._answer)
            one.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def babbler() -> Iterator[Babbler]:
    one = Babbler()
    yield one
    one.close()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Publisher, confdir.Anchor]]:
    box = make_box(tmp_path_factory.mktemp("published"))
    yield box.publisher, confdir.parse_anchor(box.laid.anchor.read_bytes())
    box.close()


def anchor_at(url: str, anchor: confdir.Anchor) -> confdir.Anchor:
    return confdir.Anchor(anchor.instance, tuple((url, certificate) for _, certificate in anchor.sources))


def test_an_answer_that_is_no_http_is_a_problem_and_the_polling_goes_on(
    babbler: Babbler, published: tuple[Publisher, confdir.Anchor], tmp_path: Path
) -> None:
    async def main() -> Keeper:
        keeper = Keeper(anchor_at(babbler.url, published[1]), tmp_path, lambda: NOW)
        await keeper.start()
        task = asyncio.create_task(keeper.run(0.05))
        first = babbler.asked
        await asyncio.sleep(0.5)
        assert not task.done()
        assert babbler.asked >= first + 2
        task.cancel()
        return keeper

    problem = asyncio.run(main()).problem
    assert isinstance(problem, ConfigurationUnreachable)
    assert "BadStatusLine" in problem.text


def test_a_problem_nobody_foresaw_is_told_by_its_class_and_the_polling_goes_on(
    published: tuple[Publisher, confdir.Anchor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def fetch(self: Keeper, source: Source, current: Picture | None) -> Picture:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise RuntimeError("nobody thought of this")
        return original(self, source, current)

    original = Keeper._fetch
    monkeypatch.setattr(Keeper, "_fetch", fetch)

    async def main() -> Keeper:
        keeper = Keeper(published[1], tmp_path, lambda: datetime.now(UTC))
        await keeper.start()
        assert "RuntimeError" in str(keeper.problem)
        task = asyncio.create_task(keeper.run(0.05))
        async with asyncio.timeout(5):
            while keeper.picture is None:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0)
        task.cancel()
        return keeper

    assert asyncio.run(main()).picture is not None


def test_a_listener_that_fails_does_not_end_the_polling(
    published: tuple[Publisher, confdir.Anchor], tmp_path: Path
) -> None:
    def fails(_: Picture) -> None:
        raise KeyError("a bug")

    async def main() -> Keeper:
        keeper = Keeper(published[1], tmp_path, lambda: datetime.now(UTC))
        keeper.on_change(fails)
        await keeper.start()
        return keeper

    keeper = asyncio.run(main())
    assert keeper.picture is None
    assert "KeyError" in str(keeper.problem)


def test_shared_parameters_of_another_instance_are_refused_although_the_directory_says_ours(
    published: tuple[Publisher, confdir.Anchor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = picture_module.globalconf.parse_shared

    def foreign(data: bytes) -> object:
        shared = original(data)
        object.__setattr__(shared, "instance", "XX")
        return shared

    monkeypatch.setattr(picture_module.globalconf, "parse_shared", foreign)
    monkeypatch.setattr(picture_module.rules, "parse", lambda data: base_rules().__class__("XX", 1))

    async def main() -> Keeper:
        keeper = Keeper(published[1], tmp_path, lambda: datetime.now(UTC))
        await keeper.refresh()
        return keeper

    keeper = asyncio.run(main())
    assert keeper.picture is None
    assert isinstance(keeper.problem, ConfigurationForged)
    assert "instance XX" in keeper.problem.text


def test_a_check_is_overdue_after_three_polls_and_two_minutes_at_least(
    published: tuple[Publisher, confdir.Anchor], tmp_path: Path
) -> None:
    keeper = Keeper(published[1], tmp_path, lambda: NOW)
    assert not keeper.overdue(60.0, NOW + timedelta(seconds=180))
    assert keeper.overdue(60.0, NOW + timedelta(seconds=181))
    assert not keeper.overdue(0.5, NOW + timedelta(seconds=119))
    keeper.last_success = NOW + timedelta(seconds=60)
    assert not keeper.overdue(60.0, NOW + timedelta(seconds=181))


def test_that_the_configuration_ended_and_that_one_is_back_is_told_once_each_and_the_next_step_goes_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="kerege.node.configuration")
    box = make_box(tmp_path, valid_for=timedelta(hours=1))
    anchor, now = confdir.parse_anchor(box.laid.anchor.read_bytes()), [datetime.now(UTC)]
    keeper = Keeper(anchor, tmp_path / "state", lambda: now[0], https_first=False)
    files, publisher = dict(box.publisher.files), box.publisher

    def told(words: str) -> int:
        return sum(words in record.message for record in caplog.records)

    async def main() -> None:
        publisher.files.clear()
        early = (await keeper.refresh()).problem
        assert early is not None
        assert "There is no configuration yet" in early.next_step
        publisher.files.update(files)
        assert (await keeper.refresh()).problem is None
        publisher.files.clear()
        away = (await keeper.refresh()).problem
        assert away is not None
        assert "stays in use until it expires" in away.next_step
        now[0] += timedelta(hours=2)
        for _ in range(2):
            over = (await keeper.refresh()).problem
            assert over is not None
            assert "stays in use" not in over.next_step
            assert "The configuration expired at" in over.next_step
        assert told("no message is exchanged until a newer one comes") == 1
        assert told("in force again") == 0
        now[0] -= timedelta(hours=2)
        publisher.files.update(files)
        for _ in range(2):
            assert (await keeper.refresh()).problem is None
        assert told("in force again") == 1

    try:
        asyncio.run(main())
    finally:
        box.close()
