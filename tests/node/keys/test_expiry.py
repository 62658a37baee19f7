"""The expiry calendar: what ends, when, in what state, and as a calendar file that calendars read."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.cli import main
from kerege.exchange import certs, confdir
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import DataServiceId, MemberId, ServerId, SubsystemId
from kerege.exchange.pki import TestAuthority
from kerege.exchange.rules import Permit, Right, Rules
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer
from kerege.node.config_types import ClientSettings, KeySource
from kerege.node.keys import expiry
from kerege.node.keys.expiry import EXPIRED, OK, SOON, Entry, calendar
from kerege.node.keys.pairs import NodeKeys

NOW = datetime.now(UTC).replace(microsecond=0)
EDU = MemberId("KG", "GOV", "70000003")
EMIS = SubsystemId.parse("KG/GOV/70000003/emis")
OTHER = SubsystemId.parse("KG/GOV/70000002/population")
PERSONS = DataServiceId.parse("KG/GOV/70000002/population/persons")
DAY = timedelta(days=1)


class Bench:
    def __init__(self, folder: Path) -> None:
        authority = TestAuthority.create("KG", NOW)
        auth = authority.auth_certificate(ServerId.parse("KG/GOV/70000003/node-edu"), "Education", NOW)
        sign = authority.sign_certificate(EDU, "Education", "node-edu", NOW)
        self.keys = NodeKeys(auth, {EDU: Signer(sign.key, sign.certificate)})
        self.config: Any = SimpleNamespace(
            auth=KeySource(key=folder / "auth.key", certificate=folder / "auth.pem"),
            sign={EDU: KeySource(key=folder / "sign.key", certificate=folder / "sign.pem")},
            clients={EMIS: ClientSettings()},
            state=folder,
        )
        shared = SharedParameters("KG", (authority.approved("http://x"),), (), (), ocsp_freshness_seconds=3600)
        self.trust = Trust(shared)
        self.rules = Rules("KG", 1)
        self.expires = NOW + timedelta(minutes=10)
        self.authority = authority
        self.until: datetime | None = NOW + timedelta(minutes=50)

    def entries(self, now: datetime = NOW, others: Any = ()) -> list[Entry]:
        location = f"/V6/{confdir.generation(NOW)}/shared-params.xml"
        part = SimpleNamespace(identifier=confdir.SHARED, generation=confdir.generation(NOW), location=location)
        directory = SimpleNamespace(expires=self.expires, generation=part.generation)
        picture: Any = SimpleNamespace(
            shared=self.trust.shared, directory=directory, partners={}, rules=self.rules, trust=self.trust
        )
        return calendar(self.config, self.keys, picture, lambda _: self.until, now, others)

    def one(self, start: str, now: datetime = NOW) -> Entry:
        (found,) = [entry for entry in self.entries(now) if entry.what.startswith(start)]
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_everything_the_node_depends_on_is_in_it_what_ends_first_first(bench: Bench) -> None:
    entries = bench.entries()
    named = [entry.what.split(" (")[0] for entry in entries]
    assert named[:3] == [
        "global configuration of KG",
        "OCSP answer about the authentication certificate",
        f"OCSP answer about the signing certificate of {EDU}",
    ]
    assert set(named[3:]) == {
        "authentication certificate",
        f"signing certificate of {EDU}",
        "authority TEST authority",
        "OCSP responder http://x",
    }
    assert [entry.expires for entry in entries] == sorted(entry.expires for entry in entries)
    assert {entry.state for entry in entries} == {OK}
    assert all(entry.do for entry in entries)


def test_states_change_at_their_moments(bench: Bench) -> None:
    ends = bench.keys.auth.certificate.not_valid_after_utc
    for left, state, days in (
        (30 * DAY, OK, 30),
        (30 * DAY - timedelta(seconds=1), SOON, 29),
        (timedelta(0), SOON, 0),
        (timedelta(seconds=-1), EXPIRED, -1),
    ):
        found = bench.one("authentication certificate", ends - left)
        assert (found.state, found.days_left) == (state, days)


def test_short_lived_things_are_soon_over_in_their_last_quarter(bench: Bench) -> None:
    assert bench.one("global configuration", NOW + timedelta(minutes=7)).state == OK
    assert bench.one("global configuration", NOW + timedelta(minutes=8)).state == SOON
    assert bench.one("global configuration", NOW + timedelta(minutes=11)).state == EXPIRED
    assert bench.one("OCSP answer about the auth", NOW + timedelta(minutes=40)).state == SOON


def test_an_answer_that_is_not_there_is_over(bench: Bench) -> None:
    bench.until = None
    assert bench.one("OCSP answer about the auth").state == EXPIRED


def test_only_open_permits_and_rights_of_this_nodes_own_clients_are_in_it(bench: Bench) -> None:
    soon, far = NOW + 5 * DAY, NOW + 50 * DAY
    bench.rules = Rules(
        "KG",
        1,
        rights=(
            Right("ours", EMIS, PERSONS, valid_until=soon),
            Right("endless", EMIS, PERSONS),
            Right("theirs", OTHER, PERSONS, valid_until=soon),
            Right("group", "group:schools", DataServiceId.parse(f"{EMIS}/marks"), valid_until=far),
        ),
        permits=(
            Permit("old", EMIS, "grade1", "open", soon),
            Permit("new", EMIS, "grade1", "open", far),
            Permit("closed", EMIS, "grade9", "closed", soon),
            Permit("theirs", OTHER, "grade1", "open", soon),
        ),
    )
    found = {entry.what.split()[1]: entry.state for entry in bench.entries() if entry.kind in ("permit", "right")}
    assert found == {"ours": SOON, "group": OK, "new": OK}


def test_further_certificates_take_their_place(bench: Bench) -> None:
    certificate = bench.authority.configuration.certificate
    entries = bench.entries(others=[("internal certificate", certificate, "Replace it.")])
    assert [entry.do for entry in entries if entry.what == "internal certificate"] == ["Replace it."]


def unfolded(text: str) -> list[str]:
    return text.replace("\r\n ", "").split("\r\n")


def test_the_calendar_file_holds_what_does_not_renew_itself(bench: Bench) -> None:
    text = expiry.ics(bench.entries(), "KG/GOV/70000003/node-edu", NOW)
    lines = unfolded(text)
    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines[-2:] == ["END:VCALENDAR", ""]
    assert lines.count("BEGIN:VEVENT") == lines.count("END:VEVENT") == 4
    assert not any("OCSP answer" in line or "global configuration of" in line for line in lines)
    ends = bench.keys.auth.certificate.not_valid_after_utc
    assert f"DTSTART:{ends:%Y%m%dT%H%M%SZ}" in lines
    assert lines.count("BEGIN:VALARM") == 4
    again = unfolded(expiry.ics(bench.entries(), "KG/GOV/70000003/node-edu", NOW + DAY))
    uids = [line for line in lines if line.startswith("UID:")]
    assert uids == [line for line in again if line.startswith("UID:")], "the same thing stays the same event"
    assert len(set(uids)) == 4


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_text_stays_in_its_line_and_every_line_in_75_octets(text: str) -> None:
    entry = Entry("certificate", text, text, NOW, 1, OK, text)
    written = expiry.ics([entry], "KG/GOV/1/node", NOW)
    lines = written.split("\r\n")
    assert all(len(line.encode()) <= 75 for line in lines)
    assert "\n" not in written.replace("\r\n", "")
    (summary,) = [line for line in unfolded(written) if line.startswith("SUMMARY:")]
    body = summary.removeprefix("SUMMARY:Ends: ")
    wanted = "".join(c for c in text.replace("\r\n", "\n") if c.isprintable() or c == "\n")
    assert _unescape(body) == wanted
    assert unfolded(written).count("BEGIN:VEVENT") == 1


def _unescape(text: str) -> str:
    out, at = [], 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
            out.append({"n": "\n"}.get(text[at], text[at]))
        else:
            assert text[at] not in ";,"
            out.append(text[at])
        at += 1
    return "".join(out)


def test_health_is_told_counts_and_what_needs_somebody(bench: Bench) -> None:
    bench.until = None
    told = expiry.summary(bench.entries())
    assert (told["ok"], told["soon"], told["expired"]) == (5, 0, 2)
    assert {one["kind"] for one in told["entries"]} == {"ocsp answer"}


def test_what_is_kept_on_disk_says_until_when_answers_are_good(bench: Bench, tmp_path: Path) -> None:
    certificate = bench.keys.auth.certificate
    until = expiry.kept_until(bench.config, bench.trust)
    assert until(certificate) is None
    place = tmp_path / "ocsp" / f"{certs.der_sha256(certificate)}.der"
    place.parent.mkdir()
    place.write_bytes(b"junk")
    assert until(certificate) is None
    place.write_bytes(bench.authority.ocsp_response(certificate, NOW))
    assert until(certificate) == NOW + timedelta(hours=1)


def test_the_command_lists_and_writes_the_calendar_and_fails_when_something_is_missing(tmp_path: Path) -> None:
    from kerege.node.network import NetworkPlan, PlannedMember, PlannedServer, lay_out

    plan = NetworkPlan(
        instance="KG",
        configuration_url="http://127.0.0.1:1/internalconf",
        members=(PlannedMember(EDU, "Ministry of Education", ("emis",)),),
        servers=(PlannedServer(ServerId.parse("KG/GOV/70000003/node-edu"), (EMIS,), (), 1, 2, 3),),
    )
    laid = lay_out(tmp_path, plan, datetime.now(UTC))
    node = laid.nodes["node-edu"]
    calendar_file = tmp_path / "ends.ics"
    arguments = ["node", "--config", str(node.config), "expiry", "--ics", str(calendar_file)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert "No global configuration is kept yet" in done.output
    assert "authentication certificate" in done.output
    assert calendar_file.read_bytes().startswith(b"BEGIN:VCALENDAR\r\n")
    said = json.loads(CliRunner().invoke(main, [*arguments[:4], "--json"]).output)
    assert "No global configuration is kept yet" in said["problem"]
    assert {one["state"] for one in said["entries"]} == {"ok"}
    refused = CliRunner().invoke(main, ["node", "--config", str(node.config), "order"])
    assert refused.exit_code == 2
    assert "keys.acme" in refused.output


def test_times_in_the_table_say_their_zone(bench: Bench) -> None:
    (line, *_) = [one for one in expiry.table(bench.entries()).splitlines() if "authentication certificate" in one]
    moment = line.split()[1:3]
    assert datetime.strptime(" ".join(moment), "%Y-%m-%d %H:%M%z").utcoffset() == timedelta(hours=6)
