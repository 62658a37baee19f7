"""The records of the log as bytes: of a batch signature the tree's leaves are kept, and its chain files are made again."""

import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import hashchain, logoutline, messagelog
from kerege.exchange.batch import Batch
from kerege.exchange.batch import batch as tree_over
from kerege.exchange.errors import HashChainInvalid
from kerege.exchange.hashchain import SHA512, Digest
from kerege.exchange.logrecord import SOAP, LogRecord, decode, encode_records

from .test_logwriter import fill, found, record


def signed_together(parts: list[tuple[bytes, ...]], here: list[int] | None = None) -> tuple[list[LogRecord], Batch]:
    """Records of messages (message, attachments...) that share one signature; `here`: only of these."""
    tree = tree_over([(sha(message), tuple(map(sha, attachments))) for message, *attachments in parts])
    made = []
    for index in range(len(parts)) if here is None else here:
        message, *attachments = parts[index]
        body = attachments[0] if len(attachments) == 1 else None
        digests = tuple(map(sha, attachments))
        one = replace(record(index), message=message, body=body, chain=tree.hash_chain(index))
        made.append(replace(one, attachment_digests=digests))
    return made, tree


def sha(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(st.lists(st.binary(max_size=9), min_size=1, max_size=4).map(tuple), min_size=1, max_size=40),
    few=st.booleans(),
)
def test_chains_come_back_byte_for_byte_from_a_trees_leaves(parts: list[tuple[bytes, ...]], few: bool) -> None:
    made, tree = signed_together(parts, [0] if few else None)
    back = decode(encode_records(made))
    again = decode(encode_records([one for one in back if isinstance(one, LogRecord)]))
    assert back == again == made
    for index, one in enumerate(back):
        assert isinstance(one, LogRecord)
        if tree.plain:
            assert one.chain is None
        else:
            assert one.chain is not None
            assert (one.chain.result, one.chain.chain) == (tree.result, tree.chain(index))


@given(
    parts=st.lists(st.lists(st.binary(max_size=9), min_size=1, max_size=3).map(tuple), min_size=1, max_size=8),
    which=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_messages_that_are_not_kept_whole_come_back_with_the_digest_of_the_whole(
    parts: list[tuple[bytes, ...]], which: list[bool]
) -> None:
    made, tree = signed_together(parts)
    soap = [replace(one, kind=SOAP, body=None) for one in made]
    mixed = [
        replace(one, message=b"header", signed_digest=sha(one.message)) if less else one
        for one, less in zip(soap, which, strict=False)
    ]
    back = decode(encode_records(mixed))
    assert back == mixed
    for one, whole in zip(back, soap, strict=True):
        assert isinstance(one, LogRecord)
        assert one.kind == SOAP
        assert one.signed in (whole.message, Digest(SHA512, sha(whole.message)))
        if not tree.plain:  # the chain is made again from digests, not from what is left of the message
            assert one.chain is not None
            assert whole.chain is not None
            assert (one.chain.result, one.chain.chain) == (whole.chain.result, whole.chain.chain)


def test_a_batch_keeps_the_leaves_and_no_chain_file(tmp_path: Path) -> None:
    made, tree = signed_together([(b"m-%d" % n,) for n in range(32)])
    fill(tmp_path, [made])
    data = next(tmp_path.glob("segment-*.log")).read_bytes()
    assert all(data.count(leaf) == 1 for leaf in tree.leaves)
    assert b"HashChain" not in data
    assert found(tmp_path) == made


def test_of_a_large_tree_with_few_messages_here_the_chain_is_kept_not_the_leaves() -> None:
    parts = [(b"m-%d" % n,) for n in range(200)]
    made, _ = signed_together(parts, [150, 7])
    payload = encode_records(made)
    assert len(payload) < 200 * 64
    assert decode(payload) == made


def test_no_chain_file_is_made_for_a_message_on_its_way_into_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    made, tree = signed_together([(b"m-%d" % n, b"body") for n in range(16)])
    _ = tree.result

    def never(*_: object) -> bytes:
        raise AssertionError("a chain file was made")

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "chain", never)
        payload = encode_records(made)
        back = decode(payload)
    assert back == made


def test_a_message_changed_in_the_log_no_longer_fits_its_chain() -> None:
    made, _ = signed_together([(b"m-%d" % n,) for n in range(4)])
    (one,) = [one for one in decode(encode_records(made).replace(b"m-2", b"m-x")) if one.message_id == "m-x"]  # type: ignore[union-attr]
    assert isinstance(one, LogRecord)
    assert one.message == b"m-x"
    assert one.chain is not None
    with pytest.raises(HashChainInvalid):
        hashchain.verify(
            one.chain.result, {hashchain.MESSAGE_URI: one.message}, {hashchain.CHAIN_URI: one.chain.chain}.get
        )


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_payload_cut_or_changed_anywhere_raises_what_readers_expect(data: st.DataObject) -> None:
    made, _ = signed_together([(b"m-%d" % n, b"body") for n in range(3)])
    payload = bytearray(encode_records(made))
    if data.draw(st.booleans()):
        del payload[data.draw(st.integers(0, len(payload) - 1)) :]
    else:
        payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        back = decode(bytes(payload))
    except messagelog._UNREADABLE:
        return
    for one in back:
        assert isinstance(one, LogRecord)
        if one.chain is not None:
            assert one.chain.chain.startswith(b"<?xml")


@pytest.mark.parametrize("head", [b"5", b"[]", b"null", b'"v"'])
def test_a_head_that_is_no_object_is_malformed_for_every_reader(head: bytes) -> None:
    payload = struct.pack("<I", len(head)) + head
    for reader in (decode, logoutline.outlines):
        with pytest.raises(ValueError, match="no object"):
            reader(payload)
