"""What a contract does to an answer on either side, without the processes around."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange.errors import LogFailed
from kerege.exchange.faults import SERVER_PROXY, Spelling, fault_of
from kerege.exchange.ids import ClientId, DataServiceId, ServerId
from kerege.exchange.rules import ALWAYS, ASKED, NEVER, PROVIDER, REFUSE, WARN, Rules, WireContract
from kerege.node.config import Translation
from kerege.node.contracts.contracting import Contracting, asked_plainly, check_translated, translates
from kerege.node.contracts.counts import ContractCounts
from kerege.node.contracts.translate import CANONICAL, Translator, WireTranslation
from kerege.node.contracts.which import Contracts
from kerege.node.errors import ContractBreached, ContractUnchecked, TranslationFailed
from kerege.node.message import REST, Asked

SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
SERVER = ServerId.parse("KG/GOV/70000002/node-reg")
ASKED_FOR = Asked(REST, ClientId.parse("KG/GOV/70000003/admission"), SERVICE, None, "m-1", "r-1", "GET", "/x")
CONTRACT = WireContract(SERVICE, "/x", "kg:m", PROVIDER)
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
JSON = ((b"Content-Type", b"application/json"),)


@dataclass
class Done:
    records: list[Any]
    sources: list[Any]
    problems: list[dict[str, Any]]
    withheld: list[dict[str, Any]] = field(default_factory=list)
    mapping_id: str = "kg:m"
    mapping_version: str = "1+abc"


class Kept:
    """An originals' log that notes the order of things, or is full."""

    problem = None

    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self.kept: list[tuple[bytes, str]] = []

    async def keep(self, asked: Asked, body: bytes, why: str, content_type: str, about: dict[str, Any]) -> str:
        if self.full:
            raise LogFailed(reason="No space left on device")
        self.kept.append((body, why))
        return "digest"


def translator(_: Translation) -> Translator:
    """Each answer is a list of codes; "bad" is one that breaks the contract."""

    def run(mapping: str, payload: bytes, content_type: str) -> Done:
        codes = orjson.loads(payload)
        problems = [{"record": n, "field": "code", "code": "x.not_in_list"} for n, c in enumerate(codes) if c == "bad"]
        return Done([{"code": code} for code in codes], [{"KOD": code} for code in codes], problems)

    return run


def desk(tmp_path: Path, kept: Kept | None = None) -> Contracting:
    translation = WireTranslation(Translation(tmp_path, None, None), translator)
    translation.reload()
    counts = ContractCounts(tmp_path, lambda: NOW)
    return Contracting(SERVER, Contracts(lambda: translation, counts.note), kept or Kept(), counts)  # type: ignore[arg-type]


Side = Callable[..., Awaitable[tuple[Any, Any]]]


def answer(
    made: Contracting,
    contract: WireContract,
    codes: object,
    accept: str = "",
    side: str = "of_agency",
    headers: Any = JSON,
) -> tuple[dict[bytes, bytes], Any]:
    call: Side = getattr(made, side)
    body = codes if codes is None or isinstance(codes, bytes) else orjson.dumps(codes)
    given_headers, out = asyncio.run(call(contract, ASKED_FOR, accept, 200, headers, body))
    return dict(given_headers), out


@pytest.mark.parametrize("side", ["of_agency", "of_provider"])
@pytest.mark.parametrize(("mode", "codes", "told"), [
    ("observe", ["bad"], None), (WARN, ["bad", "bad"], b"breaches=2; fields=code not_in_list 2"), (WARN, ["ok"], None),
    (REFUSE, ["ok"], None),
])  # fmt: skip
def test_the_mode_says_whether_a_breach_is_told(
    tmp_path: Path, side: str, mode: str, codes: list[str], told: bytes | None
) -> None:
    headers, body = answer(desk(tmp_path), replace(CONTRACT, mode=mode), codes, side=side)
    assert body == orjson.dumps(codes)
    assert headers.get(b"X-Kerege-Contract") == told


@pytest.mark.parametrize("side", ["of_agency", "of_provider"])
def test_another_ones_word_about_contracts_does_not_go_on_as_ours(tmp_path: Path, side: str) -> None:
    forged = (*JSON, (b"x-kerege-contract", b"breaches=0"))
    headers, _ = answer(desk(tmp_path), CONTRACT, ["ok"], side=side, headers=forged)
    assert {name.lower() for name in headers} == {b"content-type"}


def test_a_refused_answer_is_kept_before_anyone_is_told_and_the_fault_is_the_data_services(tmp_path: Path) -> None:
    kept = Kept()
    with pytest.raises(ContractBreached) as refused:
        answer(desk(tmp_path, kept), replace(CONTRACT, mode=REFUSE), ["ok", "bad"])
    assert kept.kept == [(b'["ok","bad"]', "refused")]
    assert fault_of(refused.value, SERVER_PROXY).code == "server.serverproxy.service_failed.contract_breach"
    camel = fault_of(refused.value, SERVER_PROXY, Spelling.CAMEL).code
    assert camel == "Server.ServerProxy.ServiceFailed.ContractBreach"
    assert "code not_in_list 1" in refused.value.text
    assert str(SERVER) in refused.value.text


@pytest.mark.parametrize("terms", [{"mode": REFUSE}, {"translate": ALWAYS}])
def test_nothing_is_answered_when_the_original_cannot_be_kept(tmp_path: Path, terms: dict[str, str]) -> None:
    with pytest.raises(LogFailed):
        answer(desk(tmp_path, Kept(full=True)), replace(CONTRACT, **terms), ["bad"])  # type: ignore[arg-type]


def test_a_translation_names_its_mapping_and_the_digest_of_what_was_kept(tmp_path: Path) -> None:
    kept = Kept()
    given_headers = (*JSON, (b"ETag", b"1"), (b"Content-MD5", b"x"), (b"X-Own", b"y"))
    headers, body = answer(desk(tmp_path, kept), CONTRACT, ["bad"], f"{CANONICAL};sources=1", headers=given_headers)
    told = orjson.loads(body)
    assert (told["mapping"], told["original"]["sha256"]) == ({"id": "kg:m", "version": "1+abc"}, "digest")
    assert told["sources"] == [{"KOD": "bad"}]
    assert kept.kept == [(b'["bad"]', "translated")]
    assert headers == {b"X-Own": b"y", b"Content-Type": CANONICAL.encode()}


def test_what_cannot_be_translated_is_refused_whatever_the_mode_and_kept(tmp_path: Path) -> None:
    kept = Kept()
    with pytest.raises(TranslationFailed):
        answer(desk(tmp_path, kept), replace(CONTRACT, translate=ALWAYS), b"not json")
    assert kept.kept == [(b"not json", "refused")]


def test_a_packed_answer_passes_where_breaches_do_and_is_refused_where_they_are(tmp_path: Path) -> None:
    packed = (*JSON, (b"Content-Encoding", b"gzip"))
    _, body = answer(desk(tmp_path), CONTRACT, b"\x1f\x8b", headers=packed)
    assert body == b"\x1f\x8b"
    with pytest.raises(ContractUnchecked, match="packed"):
        answer(desk(tmp_path), replace(CONTRACT, mode=REFUSE), b"\x1f\x8b", headers=packed)


def test_an_answer_without_a_body_is_held_against_nothing(tmp_path: Path) -> None:
    made = desk(tmp_path)
    for side in ("of_agency", "of_provider"):
        assert answer(made, replace(CONTRACT, mode=REFUSE, translate=ALWAYS), None, side=side)[1] is None
    assert made.counts is not None
    assert made.counts.totals()["answers"] == 0


@pytest.mark.parametrize(
    ("translate", "accept", "expected"),
    [
        (ASKED, "", False), (ASKED, CANONICAL, True), (ASKED, f"text/csv, {CANONICAL};q=0.1", True), (ALWAYS, "text/csv", True),
        (NEVER, CANONICAL, False),
    ],
)  # fmt: skip
def test_canonical_records_take_the_answers_place_when_the_contract_says_so(
    translate: str, accept: str, expected: bool
) -> None:
    assert translates(replace(CONTRACT, translate=translate), accept) is expected
    assert not translates(replace(CONTRACT, mapping="", schema="{}"), CANONICAL)


def test_each_side_applies_its_own_contracts_only_and_a_provider_only_signed_ones(tmp_path: Path) -> None:
    made = desk(tmp_path)
    there, here = Rules("KG", 1, contracts=(CONTRACT,)), Rules("KG", 1, contracts=(replace(CONTRACT, at="consumer"),))
    assert (made.at_provider(ASKED_FOR, there), made.at_consumer(ASKED_FOR, there)) == (CONTRACT, None)
    assert (made.at_provider(ASKED_FOR, here), made.at_consumer(ASKED_FOR, here)) == (None, here.contracts[0])
    assert made.at_provider(ASKED_FOR, None) is None
    local = WireTranslation(Translation(tmp_path, None, None, ((SERVICE, "/x", "kg:own"),)), translator)
    own = Contracting(SERVER, Contracts(lambda: local), Kept())  # type: ignore[arg-type]
    found = own.at_consumer(ASKED_FOR, Rules("KG", 1))
    assert found is not None
    assert (found.mapping, found.mode) == ("kg:own", "observe")
    assert own.at_provider(ASKED_FOR, Rules("KG", 1)) is None


def test_a_provider_that_was_to_translate_and_did_not_is_found_out() -> None:
    check_translated(CONTRACT, ASKED_FOR, 200, ((b"content-type", CANONICAL.encode() + b"; charset=utf-8"),), b"{}")
    check_translated(CONTRACT, ASKED_FOR, 404, JSON, b"{}")
    check_translated(CONTRACT, ASKED_FOR, 204, (), None)
    with pytest.raises(TranslationFailed, match="did not translate"):
        check_translated(CONTRACT, ASKED_FOR, 200, JSON, b"{}")


HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"Accept", b"ACCEPT-ENCODING", b"Range", b"If-Range", b"X-Road-Client", b"x-a"]),
        st.sampled_from([b"gzip", CANONICAL.encode(), b"text/csv, " + CANONICAL.encode() + b";sources=1", b"a"]),
    ),
    max_size=6,
)


@given(HEADERS)
@settings(max_examples=100, deadline=None)
def test_a_request_asked_plainly_loses_what_would_pack_or_cut_the_answer_and_nothing_else(
    headers: list[tuple[bytes, bytes]],
) -> None:
    out = asked_plainly(tuple(headers))
    dropped = {b"accept-encoding", b"range", b"if-range"}
    assert [name for name, _ in out] == [name for name, _ in headers if name.lower() not in dropped]
    for name, value in out:
        if name == b"Accept":
            assert CANONICAL.encode() not in value
        else:
            assert (name, value) in headers
    assert asked_plainly(out) == out
