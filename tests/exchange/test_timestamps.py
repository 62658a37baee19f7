import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import globalconf, timestamps
from kerege.exchange.errors import TimestampInvalid
from kerege.exchange.globalconf import TimestampAuthority

from .conftest import NOW
from .tsa import Tsa

DATA = b"what is stamped"
NONCE = 2**62 + 5


@pytest.fixture(scope="module", params=["rsa", "ec"])
def tsa(request: pytest.FixtureRequest) -> Tsa:
    return Tsa.create(NOW, request.param)


def ask(tsa: Tsa, *, when: datetime = NOW, approved: tuple[TimestampAuthority, ...] | None = None) -> timestamps.Stamp:
    answer = tsa.answer(timestamps.request(DATA, NONCE), when)
    return timestamps.check_answer(answer, DATA, NONCE, (tsa.approved,) if approved is None else approved)[1]


def test_an_answer_of_an_approved_authority_says_when_and_who(tsa: Tsa) -> None:
    assert ask(tsa) == timestamps.Stamp(NOW, "Test TSA")


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"status": "rejection"}, "status"),
        ({"status": "waiting"}, "status"),
        ({"nonce_shift": 1}, "nonce"),
        ({"imprint_suffix": b"x"}, "imprint"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_with_the_check_that_failed(tsa: Tsa, changes: dict, check: str) -> None:
    with pytest.raises(TimestampInvalid, match=rf"\({check}\)"):
        ask(tsa.like(**changes))


def test_an_authority_that_is_not_approved_is_refused(tsa: Tsa) -> None:
    other = Tsa.create(NOW, "ec", name="Other")
    for approved in ((), (other.approved,)):
        with pytest.raises(TimestampInvalid, match="no approved authority"):
            ask(tsa, approved=approved)


def test_a_token_signed_with_another_key_than_the_approved_certificate_is_refused(tsa: Tsa) -> None:
    forger = tsa.like(key=Tsa.create(NOW, "ec").key)
    with pytest.raises(TimestampInvalid, match="signature"):
        ask(forger, approved=(tsa.approved,))


def test_a_certificate_for_something_else_or_not_valid_then_does_not_stamp() -> None:
    with pytest.raises(TimestampInvalid, match="not for time-stamping"):
        ask(Tsa.create(NOW, "ec", purpose=False))
    with pytest.raises(TimestampInvalid, match="not valid"):
        ask(Tsa.create(NOW, "ec"), when=NOW + timedelta(days=2))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_token_changed_anywhere_is_refused_and_nothing_else_is_raised(data: st.DataObject) -> None:
    tsa = _ONE
    token = bytearray(timestamps.check_answer(_ANSWER, DATA, NONCE, (tsa.approved,))[0])
    at = data.draw(st.integers(0, len(token) - 1))
    token[at] ^= data.draw(st.integers(1, 255))
    try:
        stamp = timestamps.check_token(bytes(token), DATA, (tsa.approved,))
    except TimestampInvalid:
        return
    assert stamp == timestamps.Stamp(NOW, tsa.name), "only what the signature does not cover may differ"


_ONE = Tsa.create(NOW, "ec")
_ANSWER = _ONE.answer(timestamps.request(DATA, NONCE), NOW)


def test_a_time_without_its_zone_is_refused() -> None:
    token = timestamps.check_answer(_ANSWER, DATA, NONCE, (_ONE.approved,))[0]
    at = token.index(NOW.strftime("%Y%m%d%H%M%S").encode() + b"Z") + 14
    for other in range(256):
        if other != ord("Z"):
            with pytest.raises(TimestampInvalid):
                timestamps.check_token(token[:at] + bytes((other,)) + token[at + 1 :], DATA, (_ONE.approved,))


@given(data=st.binary(max_size=300))
def test_bytes_that_are_no_answer_are_refused(data: bytes) -> None:
    with pytest.raises(TimestampInvalid):
        timestamps.check_answer(data, DATA, NONCE, (_ONE.approved,))


def test_openssl_accepts_a_token_that_was_taken(tmp_path: Path, tsa: Tsa) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("not there: openssl")
    answer = tsa.answer(timestamps.request(DATA, NONCE), datetime.now(UTC))
    token, _ = timestamps.check_answer(answer, DATA, NONCE, (tsa.approved,))
    (tmp_path / "token").write_bytes(token)
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "ca.pem").write_bytes(tsa.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "request").write_bytes(timestamps.request(DATA, NONCE))
    for asked in (["-data", "data"], ["-queryfile", "request"]):
        done = subprocess.run(  # openssl as an outside judge
            [openssl, "ts", "-verify", "-in", "token", "-token_in", *asked, "-CAfile", "ca.pem", "-partial_chain"],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        if asked[0] == "-queryfile":  # openssl compares nonce and imprint with the request
            assert done.returncode == 0, done.stderr
        else:
            assert b"Verification: OK" in done.stdout + done.stderr, done.stderr


@pytest.fixture
def real_authority(vectors: Path) -> TimestampAuthority:
    shared = globalconf.parse_shared(
        (vectors / "globalconf/dirs/globalconf_good_v5/baz_v3/shared-params.xml").read_bytes()
    )
    found = [one for one in shared.timestamping if one.certificate.serial_number == 0x6FE44F36691F09D6]
    if not found:
        pytest.skip("not there: the authority of the stamped vectors")
    return found[0]


@pytest.mark.vectors
def test_x_roads_valid_token_holds_and_its_broken_one_does_not(
    vectors: Path, real_authority: TimestampAuthority
) -> None:
    folder = vectors / "timestamps"
    data = (folder / "stamped-data").read_bytes()
    stamp = timestamps.check_token((folder / "valid").read_bytes(), data, (real_authority,))
    assert stamp.time == datetime(2012, 11, 29, 13, 10, 4, tzinfo=UTC)
    with pytest.raises(TimestampInvalid, match="signature"):
        timestamps.check_token((folder / "invalid-signature").read_bytes(), data, (real_authority,))
    with pytest.raises(TimestampInvalid, match="something else"):
        timestamps.check_token((folder / "valid").read_bytes(), data + b" ", (real_authority,))


@pytest.mark.vectors
def test_x_roads_answer_is_read_and_its_nonce_compared(vectors: Path, real_authority: TimestampAuthority) -> None:
    answer = (vectors / "timestamps/tsp.response").read_bytes()
    with pytest.raises(TimestampInvalid, match="nonce"):
        timestamps.check_answer(answer, DATA, 1, (real_authority,))
    with pytest.raises(TimestampInvalid, match="something else"):
        timestamps.check_answer(answer, DATA, 123456789, (real_authority,))
