"""A group of records is, in the log, byte for byte what its records are."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import logwriter, messagelog
from kerege.exchange.batch import Batch, of_message
from kerege.exchange.bodies import Attachment
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logrecord import LogRecord, decode, encode_records
from kerege.exchange.messagelog import LogWriter
from kerege.node.log.records import Recorder
from kerege.node.message import REST, Asked, Message

records = pytest.importorskip(
    "kerege.exchange.lane.records", reason="not there: make setup compiles the native modules where a C compiler is"
)

from kerege.exchange.lane.call import Call, Part, Way  # noqa: E402
from kerege.exchange.lane.digest import digest_parts  # noqa: E402
from kerege.exchange.lane.records import RecordGroup  # noqa: E402

NOW = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
NAMES = ["KG/GOV/70000003/admission", "KG/GOV/70000003", "KG/COM/1/a%20b", "KG/GOV/70000003/%D0%BC%D0%B8%D0%BD"]
CLIENTS = [ClientId.parse(name) for name in NAMES]
SERVICES = [DataServiceId.parse(f"KG/GOV/70000002/population/{name}") for name in ("persons", "births", "v%201")]


def way(client: int = 0, service: int = 0, kept: int = -1) -> Way:
    made = Way(CLIENTS[client], SERVICES[service], b"", b"")
    made.kept = kept
    return made


WAYS = [way(client, service, kept) for client in range(4) for service in range(3) for kept in (-1, 0, 4, 1 << 20)]


def call(along: Way, message_id: bytes = b"m-1", request_id: bytes = b"r-1") -> Call:
    made = Call()
    made.way, made.message_id, made.request_id = along, message_id, request_id
    return made


def group(
    messages: Sequence[tuple[bytes, bytes | None, Way, bytes, bytes]],
    *,
    alone: bool = False,
    here: Sequence[int] | None = None,
    size: int = 0,
    **more: Any,
) -> RecordGroup:
    """A group of these messages: under a tree over them and what fills it up to `size` leaves, or (`alone`) under no tree."""
    parts = [Part(content, body) for content, body, *_ in messages]
    digest_parts(parts)
    leaves = list(here) if here is not None else list(range(len(parts)))
    all_leaves = [hashlib.sha512(b"other %d" % n).digest() for n in range(max([size, *[at + 1 for at in leaves]]))]
    known: list[Sequence[bytes] | None] = [None] * len(all_leaves)
    for part, at in zip(parts, leaves, strict=True):
        part.index, all_leaves[at] = at, part.leaf
        known[at] = (part.digest, *part.digests[1])
    tree = None if alone else Batch(all_leaves, known)
    calls = [call(along, message_id, request_id) for _, _, along, message_id, request_id in messages]
    fields = {"time": NOW, "direction": "request", "side": "client", "signature": b"<s/>" + bytes(9), **more}
    return RecordGroup(fields["time"], fields["direction"], fields["side"], fields["signature"], tree, parts, calls)


IDS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40).map(str.encode)
MESSAGE = st.tuples(
    st.binary(max_size=60), st.none() | st.just(b"") | st.binary(max_size=8), st.sampled_from(WAYS), IDS, IDS
)


@st.composite
def groups(draw: st.DrawFn) -> RecordGroup:
    messages = draw(st.lists(MESSAGE, min_size=1, max_size=20))
    places = draw(st.permutations(range(len(messages) + 3)))[: len(messages)] if draw(st.booleans()) else None
    return group(
        messages,
        alone=draw(st.booleans()),
        here=places,
        size=draw(st.sampled_from([0, 0, 5, 30, 200])),
        time=draw(st.sampled_from([NOW, NOW + timedelta(microseconds=1), NOW + timedelta(days=4)])),
        direction=draw(st.sampled_from(["request", "response"])),
        side=draw(st.sampled_from(["client", "provider"])),
        signature=draw(st.sampled_from([b"<one/>", b"", b"<two/>"])),
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(groups(), min_size=1, max_size=5))
def test_groups_are_encoded_as_their_records_are(several: list[RecordGroup]) -> None:
    flat = [one for each in several for one in each]
    payload = records.encode_groups(several)
    assert payload == encode_records(flat)
    assert decode(payload) == flat


@settings(max_examples=60, deadline=None)
@given(st.lists(MESSAGE, min_size=1, max_size=12), st.booleans(), st.sampled_from([b"<s/>", b"<t/>"]))
def test_groups_of_one_tree_and_one_signature_share_them(messages: list[Any], same_time: bool, other: bytes) -> None:
    first = group(messages, signature=other)
    second = RecordGroup(
        first.time if same_time else NOW + timedelta(1),
        "request",
        "client",
        first.signature,
        first.tree,
        first.parts[::-1],
        first.calls,
    )
    third = RecordGroup(first.time, "response", "client", first.signature, None, first.parts, first.calls)
    several = [first, second, first, third]
    payload = records.encode_groups(several)
    assert payload == encode_records([one for each in several for one in each])
    assert payload.count(other) == 1


def messages_of(count: int, body: bytes | None = b"body", along: Way = WAYS[3]) -> list[Any]:
    return [(b"GET %d" % n, body, along, b"m-%d" % n, b"r-%d" % n) for n in range(count)]


def test_a_record_is_the_one_the_recorder_makes() -> None:
    for largest, keep in ((0, True), (4, True), (100, True), (100, False)):
        along = way(kept=largest if keep else -1)
        for body in (None, b"", b"four", b"five5"):
            for signed_alone in (True, False):
                made = group(messages_of(3 - 2 * signed_alone, body, along), alone=signed_alone)
                policy = SimpleNamespace(largest_kept=largest, bodies="keep" if keep else "hash", bodies_of={})
                recorder = Recorder(policy)  # type: ignore[arg-type]
                for index, (part, one) in enumerate(zip(made.parts, made.calls, strict=True)):
                    asked = Asked(
                        REST,
                        along.client,
                        along.service,
                        None,
                        one.message_id.decode(),
                        one.request_id.decode(),
                        "GET",
                        "/",
                    )
                    attachments = () if body is None else (Attachment((), body),)
                    message = Message(b"", part.content, attachments)
                    chain = None if made.tree is None else made.tree.hash_chain(index)
                    assert made[index] == recorder.record(
                        "request", "client", asked, message, made.signature, chain, NOW
                    )


def test_of_a_large_tree_with_few_messages_here_the_chains_are_stored() -> None:
    made = group(messages_of(2), here=[150, 7], size=200)
    payload = records.encode_groups([made])
    assert payload == encode_records(list(made))
    assert b"HashChain" in payload
    assert decode(payload) == list(made)
    just = group(messages_of(2), here=[40, 7], size=48)
    assert b"HashChain" not in records.encode_groups([just])
    assert b"HashChain" in records.encode_groups([group(messages_of(2), here=[40, 7], size=49)])
    assert b"HashChain" not in records.encode_groups([just, group(messages_of(1), alone=True)])


def test_no_record_is_made_on_the_way_into_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    made = group(messages_of(24))
    expected = encode_records(list(made))

    def never(*_: object) -> None:
        raise AssertionError("a record was looked at")

    monkeypatch.setattr(records, "encode_records", never)
    assert records.encode_groups([made]) == expected


def test_a_signature_over_one_message_alone_has_no_chain() -> None:
    parts = [Part(b"GET")]
    digest_parts(parts)
    plain = Batch([parts[0].leaf], [(parts[0].digest,)])
    made = RecordGroup(NOW, "request", "client", b"<s/>", plain, parts, [call(WAYS[0])])
    assert made.tree is None
    assert made[0].chain is None
    assert records.encode_groups([made]) == encode_records(list(made))


def test_the_chain_of_a_record_is_found_where_only_the_leaves_are_known() -> None:
    part = Part(b"GET", b"body")
    digest_parts([part])
    made = RecordGroup(NOW, "request", "client", b"<s/>", Batch.of_leaves([part.leaf]), [part], [call(WAYS[0])])
    assert made[0].chain == of_message(part.digest, [part.body_digest])


def test_more_ways_than_are_remembered_keep_the_order_of_first_use() -> None:
    ways = [way(n % 4, n % 3, 10) for n in range(12)]
    mixed = [(b"GET", None, ways[n * 7 % 12], b"m", b"r") for n in range(40)]
    made = group(mixed)
    payload = records.encode_groups([made, made])
    assert payload == encode_records([*made, *made])
    assert decode(payload) == [*made, *made]


def test_a_group_is_a_sequence() -> None:
    made = group(messages_of(3))
    flat = list(made)
    assert isinstance(made, Sequence)
    assert [one.message_id for one in flat] == ["m-0", "m-1", "m-2"]
    assert (len(made), made[-1], made[1:], made[::-2]) == (3, flat[2], flat[1:], flat[::-2])
    assert (list(reversed(made)), made.index(flat[1]), made.count(flat[0])) == (flat[::-1], 1, 1)
    assert flat[2] in made
    assert replace(flat[2], side="x") not in made
    for beyond in (3, -4):
        with pytest.raises(IndexError):
            made[beyond]
    assert (made.time, made.direction, made.side) == (NOW, "request", "client")


def test_the_weight_is_of_what_is_kept() -> None:
    made = group([(b"12345", b"body", WAYS[2], b"m", b"r"), (b"1", b"a body too large", WAYS[2], b"m", b"r")])
    assert made.weight == 5 + 1 + 4 + len(made.signature)


def test_parts_and_calls_that_do_not_go_together_are_refused() -> None:
    part, one = Part(b"GET"), call(WAYS[0])
    digest_parts([part])
    tree = Batch.of_leaves([part.leaf, part.leaf])
    without_way, without_id = call(WAYS[0]), call(WAYS[0])
    without_way.way = None  # type: ignore[assignment]
    without_id.request_id = None  # type: ignore[assignment]
    beyond = Part(b"GET", None, 0, 2)
    for parts, calls in (
        ([], []), ([part], []), ([part, part], [one]), ([part], [without_way]), ([part], [without_id]), ([Part()], [one]),
        ([beyond], [one]), ([None], [one]),
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError)):
            RecordGroup(NOW, "request", "client", b"", tree, parts, calls)
    for parts, calls in (([one], [one]), ([part], [part]), (1, 2)):
        with pytest.raises(TypeError):
            RecordGroup(NOW, "request", "client", b"", tree, parts, calls)  # type: ignore[arg-type]


def test_what_changed_meanwhile_is_never_copied_beyond_its_room() -> None:
    made = group(messages_of(4))
    made.calls[1].message_id = b"longer than it was"
    made.parts[2].content = b"x" * 5000
    assert records.encode_groups([made]) == encode_records(list(made))
    made.calls[3].request_id = "не ASCII".encode()
    made.parts[0].body_digest = None  # type: ignore[assignment]
    assert records.encode_groups([made]) == encode_records(list(made))
    assert made[3].request_id == "не ASCII".encode().decode("latin-1")
    made.parts[0].body_digest = hashlib.sha512(b"body").digest() + b"x"
    assert records.encode_groups([made]) == encode_records(list(made))


def test_nothing_and_something_else_than_groups_are_not_encoded_natively() -> None:
    assert records.encode_groups([]) == encode_records([])
    for wrong in (None, 1, [group(messages_of(1))[0]]):
        with pytest.raises(TypeError):
            records.encode_groups([wrong])
    for strange in (None, (group(messages_of(1)),)):
        with pytest.raises(TypeError):
            records.encode_groups(strange)


def test_a_record_of_what_was_taken_away_meanwhile_is_an_error_and_no_crash() -> None:
    for taken in ("way", "message_id", "request_id"):
        made = group(messages_of(2))
        setattr(made.calls[1], taken, None)
        assert made[0].message_id == "m-0"
        with pytest.raises(AttributeError):
            made[1]
        with pytest.raises(AttributeError):
            records.encode_groups([made])
    made = group(messages_of(2))
    made.parts[1].body = None
    assert records.encode_groups([made]) == encode_records(list(made))
    made.parts[1].content = None  # type: ignore[assignment]
    with pytest.raises(TypeError):
        records.encode_groups([made])


# --- in the log ---


def test_the_writer_takes_groups_and_records_beside_each_other(tmp_path: Path) -> None:
    first, second = group(messages_of(5)), group(messages_of(1), alone=True, direction="response")
    lone = replace(first[0], message_id="lone", chain=None)
    writer = LogWriter(tmp_path)
    assert writer.append_records(first) == logwriter.Appended(0, 5)
    assert writer.append_records([first, second]) == logwriter.Appended(5, 6)
    assert writer.append_records([lone, second, lone]) == logwriter.Appended(11, 3)
    placed = writer.place([second, first])
    assert placed == logwriter.Appended(14, 6)
    writer.durable()
    assert writer.records == 20
    writer.close()
    read = [one for _, _, one in messagelog.read(tmp_path)]
    assert read == [*first, *first, *second, lone, *second, lone, *second, *first]
    assert all(isinstance(one, LogRecord) for one in read)
