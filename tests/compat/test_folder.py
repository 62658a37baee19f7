"""The live pair's own configuration folder, as it lay there (version 2), at the time it was used; and a folder somebody else refreshes."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench732 import Bench
from pki732 import lay_out
from test_both_directions import CLIENT, THEIR_SERVICE
from test_captures import captured

from kerege.exchange import asic
from kerege.exchange.errors import ConfigurationExpired, ExchangeError, RevocationUnknown, SignerWrong
from kerege.exchange.ids import MemberId, ServerId
from kerege.node import wire
from kerege.node.conf.keeper import Keeper
from kerege.node.config_types import LimitSettings

THEN = datetime(2026, 11, 22, 4, 6, 10, tzinfo=UTC)


def keeper(folder: Path, state: Path, now: list[datetime]) -> Keeper:
    made = Keeper(None, state, lambda: now[0], folder=folder)
    asyncio.run(made.start())
    return made


@pytest.mark.vectors
def test_the_live_pairs_folder_is_read_and_every_message_of_the_pair_holds_under_it(
    captures: Path, tmp_path: Path
) -> None:
    picture = keeper(captures / "globalconf", tmp_path, [THEN]).current(THEN)
    shared, private = picture.shared, picture.private
    (server,) = shared.servers
    assert (server.id, server.address) == (ServerId.parse("EE/BUSINESS/consumer/proxytest"), "127.0.0.1")
    assert server.auth_cert_hashes == {"p4A3ou5dHR5jtLQCe+5Ka43zBCA="}
    assert shared.ocsp_freshness_seconds == 3600
    assert private is not None
    assert private.timestamping_interval_seconds == 60
    for path in sorted((captures / "wire").iterdir()):
        http = captured(captures, path.name)
        incoming = wire.decode(http.header("content-type") or "", http.body, LimitSettings(spool=tmp_path))
        own, other = [MemberId("EE", "BUSINESS", code) for code in ("consumer", "producer")]
        signer = own if path.suffix == ".req" else other
        wire.verify(picture.trust, incoming, signer, THEN)
        with pytest.raises(SignerWrong):
            wire.verify(picture.trust, incoming, MemberId("EE", "BUSINESS", "someone"), THEN)


@pytest.mark.vectors
def test_the_pairs_containers_hold_while_their_ocsp_answers_are_fresh_and_not_after(
    captures: Path, tmp_path: Path
) -> None:
    picture = keeper(captures / "globalconf", tmp_path, [THEN]).current(THEN)
    found = list((captures / "asice").iterdir())
    assert len(found) == 10
    for path in found:
        container = asic.read(path.read_bytes())
        verdict = container.check(picture.trust)
        # 7.3.2 stamps a signature that is stamped alone inside itself
        assert verdict.stamp is not None
        assert (verdict.stamp.authority, verdict.stamp.time.date()) == ("TSA", THEN.date())
        assert verdict.member.member_code == ("producer" if "response" in path.name else "consumer")
        # thisUpdate lies a day ahead in these answers: they are fresh for a day and the freshness
        picture.trust.signer(verdict.facts, THEN + timedelta(days=1, minutes=58))
        with pytest.raises(RevocationUnknown, match="too old"):
            picture.trust.signer(verdict.facts, THEN + timedelta(days=1, hours=1, minutes=2))


@pytest.mark.vectors
def test_a_folder_that_is_refreshed_is_read_again_and_a_torn_one_changes_nothing(
    captures: Path, tmp_path: Path
) -> None:
    folder, now = tmp_path / "globalconf", [THEN]
    shutil.copytree(captures / "globalconf", folder)
    shared = (folder / "EE" / "shared-params.xml").read_text()
    lay_out(folder, shared, "2026-11-22T04:16:10Z")
    made = keeper(folder, tmp_path / "state", now)
    assert made.current(THEN).directory.expires == THEN + timedelta(minutes=10)

    (folder / "EE" / "shared-params.xml").write_text(shared[:1000])  # caught in the middle of being written
    assert asyncio.run(made.refresh()).problem is not None
    assert len(made.current(THEN).shared.servers) == 1

    changed = shared.replace("<ocspFreshnessSeconds>3600", "<ocspFreshnessSeconds>600")
    lay_out(folder, changed, "2026-11-22T04:17:10.250+00:00")
    assert asyncio.run(made.refresh()) == replace(asyncio.run(made.refresh()), changed=True)
    assert made.current(THEN).shared.ocsp_freshness_seconds == 600

    now[0] = THEN + timedelta(minutes=12)
    assert isinstance(asyncio.run(made.refresh()).problem, ExchangeError)
    with pytest.raises(ConfigurationExpired):
        made.current(now[0])
    lay_out(folder, changed, "2026-11-22T04:30:00Z")
    assert asyncio.run(made.refresh()).problem is None
    made.current(now[0])


def test_a_running_node_follows_the_folder(live: Bench) -> None:
    """Somebody takes the other server out of the folder and puts it back; the node polls every second."""

    def call() -> tuple[int, str]:
        status, _, body = live.call("GET", THEIR_SERVICE + "svc/x", CLIENT)
        return status, "" if status == 200 else str(json.loads(body)["type"])

    file = live.configuration / "EE" / "shared-params.xml"
    whole = file.read_text()
    start, end = whole.index("<securityServer><owner>m1"), whole.index("<globalSettings>")
    assert call()[0] == 200
    try:
        lay_out(live.configuration, whole[:start] + whole[end:])
        live.refresh()
        assert call() == (500, "Server.ClientProxy.UnknownMember")
    finally:
        lay_out(live.configuration, whole)
    live.until(lambda: call()[0] == 200)
