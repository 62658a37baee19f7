"""Groups of records with chain files as they came over X-Road's wire: the same log as the Python encoder makes of the same records."""

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange.batch import batch, parts_digest
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logrecord import LogRecord, decode, encode_records

pytest.importorskip(
    "kerege.exchange.lane.records", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange.lane import records
from kerege.exchange.lane.call import Call, Part, Way

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WAYS = [
    Way(ClientId.parse(f"KG/GOV/7000000{n}/asks"), DataServiceId.parse(f"KG/GOV/7000000{n}/gives/it"), b"", b"")
    for n in range(3)
]


def group(bodies: list[int], *, kept: int = 40, way: int = 0, seed: bytes = b"") -> records.RecordGroup:
    """Records of messages with bodies of so many bytes (-1: none), each with its own chain file."""
    parts, calls = [], []
    for at, size in enumerate(bodies):
        part = Part(b"%b message %d" % (seed, at), None if size < 0 else bytes(size), 0, at)
        part.digest = part.leaf = hashlib.sha512(part.content).digest()
        if part.body is not None:
            part.body_digest = hashlib.sha512(part.body).digest()
            part.leaf = parts_digest((part.digest, part.body_digest))
        call = Call()
        call.way, call.message_id, call.request_id = WAYS[(way + at) % 3], b"id-%d" % at, b"r"
        WAYS[(way + at) % 3].kept = kept
        parts.append(part)
        calls.append(call)
    tree = batch([part.digests for part in parts])
    files = [tree.chain(at) for at in range(len(parts))]
    return records.RecordGroup(NOON, "request", "provider", b"<sig %b/>" % seed, None, parts, calls, tree.result, files)


sizes = st.lists(st.integers(-1, 60), min_size=2, max_size=8)


@given(st.lists(st.tuples(sizes, st.integers(0, 60), st.integers(0, 2), st.binary(max_size=3)), min_size=1, max_size=4))
@settings(max_examples=80, deadline=None)
def test_the_payload_is_the_python_encoders(many: list[tuple[list[int], int, int, bytes]]) -> None:
    groups = [group(bodies, kept=many[0][1], way=way, seed=seed) for bodies, _, way, seed in many]
    flat = [one for some in groups for one in some]
    payload = records.encode_groups(groups)
    assert payload == encode_records(flat)
    assert decode(payload) == flat


def test_a_record_has_the_files_that_came_with_it() -> None:
    made = group([1, -1, 50])
    for at, one in enumerate(made):
        assert isinstance(one, LogRecord)
        assert one.chain is not None
        assert made.chains is not None
        assert (one.chain.result, one.chain.chain) == (made.result, made.chains[at])
    assert made[2].body is None
    assert made.weight > sum(len(one.message) for one in made) + sum(map(len, made.chains or ()))


def test_groups_with_trees_and_with_chains_go_into_one_frame() -> None:
    chained, other = group([1, 2]), group([3, -1], seed=b"x")
    tree = batch([part.digests for part in other.parts])
    grown = records.RecordGroup(NOON, "response", "client", b"<own/>", tree, other.parts, other.calls)
    flat = [*chained, *grown]
    assert records.encode_groups([chained, grown]) == encode_records(flat)
    assert records.encode_mixed([grown, chained[0]]) == (encode_records([*grown, chained[0]]), 3)


def test_chains_without_result_with_a_tree_or_too_few_are_an_error() -> None:
    made = group([1, 2])
    tree = batch([part.digests for part in made.parts])
    rest = (made.parts, made.calls)
    for own, result, files in (
        (None, None, made.chains),
        (None, made.result, None),
        (tree, made.result, made.chains),
        (None, made.result, (b"",)),
    ):
        with pytest.raises(ValueError, match=r"chain file|every message"):
            records.RecordGroup(NOON, "request", "client", b"s", own, *rest, result, files)
    with pytest.raises(TypeError, match="bytes"):
        records.RecordGroup(NOON, "request", "client", b"s", None, *rest, made.result, [b"", None])  # type: ignore[list-item]
