"""Batches: the tree, its files, and that every reader agrees about them."""

import base64
import hashlib
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import hashchain, xades_verify
from kerege.exchange.batch import MOST_LEAVES, Batch, HashChain, batch, of_message, pair_digest, parts_digest
from kerege.exchange.errors import ExchangeError, HashChainInvalid, SignatureInvalid
from kerege.exchange.hashchain import CHAIN_URI, SHA512, Digest
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import TestAuthority
from kerege.exchange.xades import Signer
from kerege.exchange.xades_verify import verify, verify_batch

from .conftest import NOW

MEMBER = MemberId("KG", "GOV", "70000003")
Message = tuple[bytes, list[bytes]]


def sha(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def digests(messages: list[Message]) -> list[tuple[bytes, list[bytes]]]:
    return [(sha(message), [sha(a) for a in attachments]) for message, attachments in messages]


def full_check(chain: HashChain, message: bytes, attachments: list[bytes]) -> None:
    """What the reader says that knows nothing of batches."""
    inputs: dict[str, bytes | Digest] = {"/message.xml": message}
    inputs.update({f"/attachment{i}": a for i, a in enumerate(attachments, 1)})
    hashchain.verify(chain.result, inputs, {CHAIN_URI: chain.chain}.get)


some_messages = st.lists(
    st.tuples(st.binary(max_size=12), st.lists(st.binary(max_size=6), max_size=3)), min_size=2, max_size=20
)


@settings(max_examples=60, deadline=None)
@given(some_messages)
def test_every_message_of_a_batch_verifies_by_its_own_chain_and_by_no_other(messages: list[Message]) -> None:
    tree = batch(digests(messages))
    for index, (message, attachments) in enumerate(messages):
        chain = tree.hash_chain(index)
        assert chain is not None
        assert chain.result == tree.result
        full_check(chain, message, attachments)
        assert hashchain.quick(chain, *digests([(message, attachments)])[0])
        with pytest.raises(HashChainInvalid):
            full_check(chain, b"\x00other" + message, attachments)
        with pytest.raises(HashChainInvalid):
            full_check(chain, message, [*attachments, b"one more"])
        assert not hashchain.quick(chain, sha(b"\x00other" + message), [sha(a) for a in attachments])
        assert not hashchain.quick(chain, sha(message), [sha(a) for a in attachments] + [sha(b"one more")])


@settings(max_examples=150, deadline=None)
@given(some_messages, st.data())
def test_the_quick_reader_never_says_yes_to_what_the_full_one_refuses(
    messages: list[Message], data: st.DataObject
) -> None:
    tree = batch(digests(messages))
    index = data.draw(st.integers(0, len(messages) - 1))
    chain = tree.hash_chain(index)
    assert chain is not None
    file = bytearray(chain.chain)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(file) - 1))
        file[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    changed = HashChain(chain.result, bytes(file))
    message, attachments = messages[index]
    if hashchain.quick(changed, *digests([(message, attachments)])[0]):
        full_check(changed, message, attachments)


def test_the_tree_pairs_neighbours_and_carries_up_the_one_left_over() -> None:
    one, two, three, four, five = (sha(bytes([n])) for n in range(5))
    assert batch([(one, ()), (two, ())]).root == pair_digest(one, two)
    assert batch([(one, ()), (two, ()), (three, ())]).root == pair_digest(pair_digest(one, two), three)
    upper = pair_digest(pair_digest(one, two), pair_digest(three, four))
    assert batch([(d, ()) for d in (one, two, three, four, five)]).root == pair_digest(upper, five)


def test_the_one_carried_up_has_a_chain_of_one_step() -> None:
    tree = batch([(sha(bytes([n])), ()) for n in range(5)])
    assert tree.chain(4).count(b"<ns2:HashStep ") == 1
    assert tree.chain(0).count(b"<ns2:HashStep ") == 3


def test_a_message_with_attachments_is_a_leaf_by_the_step_over_its_parts() -> None:
    message, attachment = sha(b"m"), sha(b"a")
    tree = batch([(message, (attachment,)), (sha(b"n"), ())])
    assert tree.leaves == [parts_digest((message, attachment)), sha(b"n")]
    assert tree.root == pair_digest(*tree.leaves)


def test_a_batch_of_one_is_the_chain_of_one_message_or_none() -> None:
    tree = batch([(sha(b"m"), (sha(b"a"),))])
    assert tree.hash_chain(0) == of_message(sha(b"m"), [sha(b"a")])
    alone = batch([(sha(b"m"), ())])
    assert alone.plain
    assert alone.hash_chain(0) is None
    with pytest.raises(LookupError):
        alone.chain(0)


def test_a_batch_known_by_leaves_gives_the_chains_of_the_messages_it_knows() -> None:
    whole = batch([(sha(bytes([n])), (sha(b"a"),) if n % 2 else ()) for n in range(7)])
    parts: list[tuple[bytes, ...] | None] = [None] * 7
    parts[3] = (sha(b"\x03"), sha(b"a"))
    known = Batch(whole.leaves, parts)
    assert known.result == whole.result
    assert known.chain(3) == whole.chain(3)
    with pytest.raises(LookupError):
        known.chain(2)


def test_a_batch_is_not_without_end() -> None:
    with pytest.raises(ValueError, match="1024"):
        batch([(bytes(64), ())] * (MOST_LEAVES + 1))
    with pytest.raises(ValueError, match="not 0"):
        batch([])


# --- signatures over batches ---


@pytest.fixture(scope="module", params=["ec", "rsa"])
def signer(request: pytest.FixtureRequest, authority: TestAuthority) -> Signer:
    pair = authority.sign_certificate(MEMBER, "x", "node-edu", NOW, request.param)
    made = Signer(pair.key, pair.certificate)
    made.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    return made


MESSAGES: list[Message] = [(b"message %d" % n, [b"body %d" % n] * (n % 3)) for n in range(9)]


def test_all_messages_of_a_batch_carry_the_same_signature_and_verify(signer: Signer) -> None:
    signed = signer.sign_batch(digests(MESSAGES), NOW)
    assert all(one.xml is signed[0].xml for one in signed), "one object, so that it is stored and hashed once"
    for one, (message, attachments) in zip(signed, MESSAGES, strict=True):
        facts = verify(one.xml, message, tuple(attachments), one.chain)
        assert facts.certificate == signer.certificate
        assert facts.signing_time == NOW
    with pytest.raises(HashChainInvalid):
        verify(signed[0].xml, MESSAGES[1][0], tuple(MESSAGES[1][1]), signed[0].chain)


def test_a_batch_of_one_is_an_ordinary_signature(signer: Signer) -> None:
    (alone,) = signer.sign_batch([(sha(b"m"), ())], NOW)
    assert alone.chain is None
    assert b'URI="/message.xml"' in alone.xml
    (both,) = signer.sign_batch([(sha(b"m"), (sha(b"a"),))], NOW)
    assert both.chain == of_message(sha(b"m"), [sha(b"a")])


def test_the_messages_of_a_batch_cost_one_public_key_operation(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    real = xades_verify.check_value
    monkeypatch.setattr(xades_verify, "check_value", lambda *given: (checked.append("once"), real(*given))[1])
    signed = signer.sign_batch(digests(MESSAGES), NOW + timedelta(milliseconds=1))
    for one, (message, attachments) in zip(signed, MESSAGES, strict=True):
        verify(bytes(bytearray(one.xml)), message, tuple(attachments), one.chain)
    assert checked == ["once"]


def test_a_signature_that_does_not_hold_is_checked_anew_each_time(signer: Signer) -> None:
    xml = signer.sign(sha(b"m"), (), NOW).xml
    at = xml.index(b'"signature-value">') + 30
    forged = xml[:at] + (b"A" if xml[at : at + 1] != b"A" else b"B") + xml[at + 1 :]
    for _ in range(3):
        with pytest.raises(SignatureInvalid, match="signature value"):
            verify(forged, b"m")


def test_a_remembered_signature_covers_no_other_message(signer: Signer) -> None:
    xml = signer.sign(sha(b"m"), (), NOW).xml
    verify(xml, b"m")
    with pytest.raises(SignatureInvalid, match="message digest"):
        verify(xml, b"n")


def test_a_whole_batch_is_checked_in_one_step_with_the_same_verdict(signer: Signer) -> None:
    parts = digests(MESSAGES)
    xml = signer.sign_batch(parts, NOW)[0].xml
    assert verify_batch(xml, batch(parts)) == verify(xml, MESSAGES[0][0], (), batch(parts).hash_chain(0))
    with pytest.raises(SignatureInvalid, match="hash chain result"):
        verify_batch(xml, batch(parts[::-1]))
    alone = signer.sign(*parts[0], NOW).xml
    with pytest.raises(SignatureInvalid, match="does not cover a hash chain"):
        verify_batch(alone, batch(parts))


def test_a_message_with_very_many_attachments_is_read_in_full(signer: Signer) -> None:
    many = [b"%d" % n for n in range(60)]
    signed = signer.sign_batch(digests([(b"m", many), (b"n", [])]), NOW)[0]
    assert signed.chain is not None
    assert not hashchain.quick(signed.chain, *digests([(b"m", many)])[0])
    verify(signed.xml, b"m", tuple(many), signed.chain)
    with pytest.raises(HashChainInvalid):
        verify(signed.xml, b"m", (*many[:-1], b"x"), signed.chain)


def test_a_foreign_chain_is_read_in_full(signer: Signer) -> None:
    signed = signer.sign_batch(digests(MESSAGES), NOW)[4]
    assert signed.chain is not None
    spaced = HashChain(signed.chain.result, signed.chain.chain.replace(b"    <ns2:HashStep", b"\t<ns2:HashStep"))
    message, attachments = MESSAGES[4]
    assert not hashchain.quick(spaced, *digests([MESSAGES[4]])[0])
    verify(signed.xml, message, tuple(attachments), spaced)


# --- X-Road's own files ---


@pytest.mark.vectors
def test_x_roads_chain_files_are_what_is_made_here(vectors: Path) -> None:
    for name in ("hash-chain-1", "hash-chain-2"):
        theirs = (vectors / "signatures" / f"{name}.xml").read_bytes()
        found = [base64.b64decode(d) for d in re.findall(rb"<DigestValue>([^<]+)<", theirs)]
        if name == "hash-chain-1":
            assert of_message(found[0], [found[1]]).chain == theirs
            assert (
                of_message(found[0], [found[1]]).result == (vectors / "signatures/hash-chain-result.xml").read_bytes()
            )
        else:  # three leaves, of which the first two are equal to the third
            assert batch([(found[1], ()), (found[2], ()), (found[0], ())]).chain(0) == theirs


@pytest.mark.vectors
def test_x_roads_batch_is_read_without_an_xml_parser(vectors: Path) -> None:
    folder = vectors / "signatures"
    chain = HashChain((folder / "hash-chain-result.xml").read_bytes(), (folder / "hash-chain-1.xml").read_bytes())
    attachment = base64.b64decode(re.findall(rb"<DigestValue>([^<]+)<", chain.chain)[1])
    message = (folder / "message-1.xml").read_bytes()
    assert hashchain.quick(chain, sha(message), [attachment])
    verify((folder / "batch-sig.xml").read_bytes(), message, (Digest(SHA512, attachment),), chain)


@pytest.mark.vectors
def test_x_roads_second_chain_belongs_to_another_result(vectors: Path) -> None:
    folder = vectors / "signatures"
    chain = HashChain((folder / "hash-chain-result.xml").read_bytes(), (folder / "hash-chain-2.xml").read_bytes())
    own = base64.b64decode(re.findall(rb"<DigestValue>([^<]+)<", chain.chain)[1])
    assert not hashchain.quick(chain, own, [])
    with pytest.raises(ExchangeError, match="result differs"):
        hashchain.verify(chain.result, {"/message.xml": Digest(SHA512, own)}, {CHAIN_URI: chain.chain}.get)


def test_what_held_over_a_tree_is_remembered_for_that_tree_and_that_signature_only(signer: Signer) -> None:
    parts = digests(MESSAGES)
    one, other = signer.sign_batch(parts, NOW)[0].xml, signer.sign_batch(parts[::-1], NOW)[0].xml
    tree = batch(parts)
    with pytest.raises(SignatureInvalid):
        verify_batch(other, tree)
    facts = verify_batch(one, tree)
    assert verify_batch(one, tree) is facts
    with pytest.raises(SignatureInvalid):
        verify_batch(other, tree)
    with pytest.raises(SignatureInvalid):
        verify_batch(one, batch(parts[::-1]))
    assert verify_batch(bytes(bytearray(one)), tree) == facts


# --- what the form leaves open, as X-Road's does (docs/decisions/0109) ---


def test_two_bare_messages_are_also_the_first_with_the_second_as_its_body() -> None:
    tree, with_body = batch(digests([(b"one", []), (b"two", [])])), of_message(sha(b"one"), [sha(b"two")])
    assert with_body.result == tree.result
    full_check(HashChain(tree.result, with_body.chain), b"one", [b"two"])


def test_a_body_is_also_a_message_of_a_batch_and_a_node_is_one_of_der_only() -> None:
    with_body, tree = of_message(sha(b"one"), [sha(b"two")]), batch(digests([(b"one", []), (b"two", [])]))
    read_otherwise = tree.hash_chain(1)
    assert read_otherwise is not None
    full_check(HashChain(with_body.result, read_otherwise.chain), b"two", [])
    assert hashchain.quick(read_otherwise, sha(b"two"), [])
    four = batch(digests([(b"%d" % number, []) for number in range(4)]))
    as_leaves = batch([(pair_digest(sha(b"0"), sha(b"1")), ()), (pair_digest(sha(b"2"), sha(b"3")), ())])
    assert as_leaves.root == four.root
    node = as_leaves.hash_chain(0)
    assert node is not None
    step = b"".join(b"\x30\x6d\x04\x40" + sha(b"%d" % n) + b"\x0c\x27" + SHA512.encode() + b"\x30\x00" for n in (0, 1))
    full_check(node, b"\x30\x81\xde" + step, [])


def test_a_message_with_two_bodies_is_no_batch_of_two() -> None:
    with_bodies = of_message(sha(b"one"), [sha(b"two"), sha(b"three")])
    assert with_bodies.result not in {
        batch(digests([(b"one", []), (b"two", []), (b"three", [])])).result,
        batch(digests([(b"one", [b"two"]), (b"three", [])])).result,
    }
