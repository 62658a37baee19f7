"""The fuzz targets without a fuzzer: over their seeds, over seeds damaged in a fixed way, and over inputs that once broke something."""

from __future__ import annotations

import base64
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))

import targets

NAMES = sorted(targets.TARGETS)
TIMES = 60


@pytest.mark.parametrize("name", NAMES)
def test_a_target_takes_its_seeds_and_every_end_of_nothing(name: str) -> None:
    target = targets.TARGETS[name]
    seeds = target.seeds()
    assert seeds
    for data in (*seeds, b"", b"\0", b"\xff" * 64):
        target.run(data)


@pytest.mark.parametrize("name", NAMES)
def test_a_target_refuses_damaged_seeds_with_the_rooms_errors_only(name: str) -> None:
    dice, target = random.Random(20261122), targets.TARGETS[name]
    for seed in target.seeds():
        for _ in range(TIMES):
            target.run(damaged(seed, dice))


def damaged(seed: bytes, dice: random.Random) -> bytes:
    """The seed with a few bytes changed, cut, doubled or moved."""
    data = bytearray(seed)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(5):
            case 0 if at < len(data):
                data[at] = dice.randrange(256)
            case 1:
                del data[at : at + dice.randrange(32)]
            case 2:
                data[at:at] = data[at : at + dice.randrange(64)]
            case 3:
                data = data[:at]
            case _:
                data[at:at] = dice.choice([b"\r\n", b"\0", b"<", b"--" + targets.BOUNDARY.encode(), b"&#0;", b"\xd0"])
    return bytes(data)


def _anchor_with(der: bytes) -> bytes:
    """An anchor whose certificate is `der`."""
    anchor = targets.confdir.build_anchor(
        targets.confdir.Anchor("KG", (("http://127.0.0.1/c", targets.authority().configuration.certificate),)),
        targets.NOW,
    )
    start, end = anchor.index(b"verificationCert>") + 17, anchor.index(b"</", anchor.index(b"verificationCert>"))
    return anchor[:start] + base64.b64encode(der) + anchor[end:]


def _of_another_version(version: int = 18) -> bytes:
    """A certificate that says it is of a version there is not."""
    der = targets.authority().configuration.certificate.public_bytes(targets.DER)
    return der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01" + bytes([version]), 1)


# found by fuzzing confdir and parameters: the library's InvalidVersion is no ValueError


def test_an_anchor_with_a_certificate_of_no_known_version_is_refused_as_malformed() -> None:
    targets.run_confdir(_anchor_with(_of_another_version()))


def test_shared_parameters_with_a_certificate_of_no_known_version_are_refused_as_malformed() -> None:
    shared = targets.TARGETS["parameters"].seeds()[0]
    der = targets.authority().ca.certificate.public_bytes(targets.DER)
    other = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03", 1)
    changed = shared.replace(base64.b64encode(der), base64.b64encode(other))
    assert changed != shared
    targets.run_parameters(changed)


def test_a_signature_with_a_certificate_of_no_known_version_is_refused_as_malformed() -> None:
    xml = targets.TARGETS["xades"].seeds()[0]
    start = xml.index(b"X509Certificate>") + len(b"X509Certificate>")
    end = xml.index(b"</", start)
    der = base64.b64decode(xml[start:end])
    other = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x12", 1)
    assert other != der
    targets.run_xades(xml[:start] + base64.b64encode(other) + xml[end:])
