import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.exchange import hashchain
from kerege.exchange.errors import HashChainInvalid, HashChainMalformed
from kerege.exchange.hashchain import CHAIN_URI, SHA512, Digest

SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


def sha(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


@given(st.binary(max_size=100), st.lists(st.binary(max_size=100), min_size=1, max_size=4))
def test_a_chain_made_here_verifies_and_no_other_part_does(message: bytes, attachments: list[bytes]) -> None:
    chain = hashchain.of_message(sha(message), [sha(a) for a in attachments])
    inputs: dict[str, bytes | Digest] = {"/message.xml": message}
    inputs.update({f"/attachment{i}": a for i, a in enumerate(attachments, 1)})
    files = {CHAIN_URI: chain.chain}
    hashchain.verify(chain.result, inputs, files.get)
    for name in inputs:
        with pytest.raises(HashChainInvalid):
            hashchain.verify(chain.result, {**inputs, name: b"\x00other" + message}, files.get)
    with pytest.raises(HashChainInvalid, match="not cover"):
        hashchain.verify(chain.result, {**inputs, "/attachment9": b""}, files.get)
    with pytest.raises(HashChainInvalid, match="did not come"):
        hashchain.verify(chain.result, {"/message.xml": message}, files.get)


def test_a_chain_that_refers_to_itself_ends() -> None:
    chain = (
        b'<h:HashChain xmlns:h="http://cyber.ee/hashchain" xmlns="http://www.w3.org/2000/09/xmldsig#">'
        b'<h:DefaultDigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/>'
        b'<h:HashStep id="STEP0"><h:StepRef URI="#STEP0"/><h:StepRef URI="#STEP0"/></h:HashStep></h:HashChain>'
    )
    result = hashchain.of_message(sha(b""), [sha(b"")]).result
    with pytest.raises(HashChainMalformed, match="more than"):
        hashchain.verify(result, {"/message.xml": b""}, {CHAIN_URI: chain}.get)


def test_a_doctype_is_refused() -> None:
    with pytest.raises(HashChainMalformed, match="DOCTYPE"):
        hashchain.verify(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', {}, {}.get)


# --- X-Road's verifier cases ---

Verify = Callable[[str, dict[str, bytes | Digest], dict[str, str]], None]


@pytest.fixture
def check(vectors: Path) -> Verify:
    def run(case: str, inputs: dict[str, bytes | Digest], files: dict[str, str]) -> None:
        def read(name: str) -> bytes:
            return (vectors / "hashchain" / f"hc-verifier{name}.xml").read_bytes()

        hashchain.verify(read(f"{case}-hashchainresult"), inputs, {uri: read(n) for uri, n in files.items()}.get)

    return run


@pytest.mark.vectors
def test_case_1_one_chain_file_holds(check: Verify, vectors: Path) -> None:
    message = (vectors / "hashchain/hc-verifier1-message.xml").read_bytes()
    check("1", {"/message.xml": message}, {"/hashchain.xml": "1-hashchain"})


@pytest.mark.vectors
def test_case_2_attachments_given_by_digest_hold(check: Verify) -> None:
    digests = {"/message.xml": 11, "/attachment1": 12, "/attachment2": 13, "/attachment3": 14}
    inputs: dict[str, bytes | Digest] = {name: Digest(SHA256, bytes([n])) for name, n in digests.items()}
    check("2", inputs, {"/hashchain.xml": "2-hashchain"})
    with pytest.raises(HashChainInvalid):
        check("2", {**inputs, "/attachment3": Digest(SHA256, b"\x0f")}, {"/hashchain.xml": "2-hashchain"})


@pytest.mark.vectors
def test_case_3_a_wrong_value_is_refused(check: Verify, vectors: Path) -> None:
    message = (vectors / "hashchain/hc-verifier3-message.xml").read_bytes()
    with pytest.raises((HashChainInvalid, HashChainMalformed)):
        check("3", {"/message.xml": message}, {"/hashchain.xml": "3-hashchain"})
    with pytest.raises(HashChainInvalid):
        check("3", {"/message.xml": message}, {"/hashchain.xml": "3-hashchain-invalid"})


@pytest.mark.vectors
def test_case_4_a_chain_over_two_files_holds(check: Verify, vectors: Path) -> None:
    message = (vectors / "hashchain/hc-verifier4-message.xml").read_bytes()
    files = {"/hashchain.xml": "4-hashchain1", "/hashchain2.xml": "4-hashchain2"}
    check("4", {"/message.xml": message}, files)
    with pytest.raises(HashChainInvalid, match="not there"):
        check("4", {"/message.xml": message}, {"/hashchain.xml": "4-hashchain1"})


@pytest.mark.vectors
def test_case_5_an_element_the_schema_does_not_know_is_refused(check: Verify, vectors: Path) -> None:
    message = (vectors / "hashchain/hc-verifier1-message.xml").read_bytes()
    with pytest.raises(HashChainMalformed, match="schema"):
        check("1", {"/message.xml": message}, {"/hashchain.xml": "5-hashchain-invalid-schema"})


def test_the_digest_of_a_step_is_over_der() -> None:
    one = hashlib.sha512(
        bytes.fromhex("3075") + bytes.fromhex("3073") + b"\x04\x40" + bytes(64) + b"\x0c\x2d" + b"x" * 45 + b"\x30\x00"
    )
    assert len(SHA512) != 45
    assert hashchain.step_digest([(bytes(64), "x" * 45)]) == one.digest()
