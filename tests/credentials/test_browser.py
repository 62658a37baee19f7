"""The browser verifier (web/static/kerege/verify.js) gives the same state and reasons as Python, on honest documents and on forged ones."""

from __future__ import annotations

import json
import shutil
import subprocess
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import base45
import cbor2
import pytest

from kerege.credentials import StatusRef, create_issuer, verify

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
DAY = timedelta(days=1)
SCRIPT = Path(__file__).parents[2] / "src" / "kerege" / "web" / "static" / "kerege" / "verify.js"
NODE = shutil.which("node")

RUNNER = """
require(process.argv[1]);
(async () => {
  const cases = JSON.parse(require("fs").readFileSync(0, "utf-8"));
  const out = [];
  for (const c of cases) out.push(await keregeVerify.verifyPaper(c.text, c.trust, c.status, {now: new Date(c.now)}));
  console.log(JSON.stringify(out));
})();
"""

pytestmark = pytest.mark.skipif(NODE is None, reason="not there: node, which runs the browser verifier")


def in_browser(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", RUNNER, str(SCRIPT)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def reseal(message: Any) -> str:
    return "KRG1:" + base45.b45encode(zlib.compress(cbor2.dumps(message))).decode()


def rebuilt(text: str, place: int, part: Any) -> str:
    row = list(cbor2.loads(zlib.decompress(base45.b45decode(text.removeprefix("KRG1:")))).value.value)
    row[place] = part(row[place]) if callable(part) else part
    return reseal(cbor2.CBORTag(61, cbor2.CBORTag(18, row)))


def edited(change: Any) -> Any:
    return lambda raw: cbor2.dumps(change(cbor2.loads(raw)), canonical=True)


def assert_agree(
    world: Any, rows: dict[str, tuple[str, str | None, datetime]], expected: dict[str, tuple[str, str]]
) -> None:
    cases = [
        {"text": text, "trust": world.trust.to_json(), "status": status, "now": now.isoformat()}
        for text, status, now in rows.values()
    ]
    for name, (text, status, now), browser in zip(rows, rows.values(), in_browser(cases), strict=True):
        python = verify(text, world.trust, lambda _, s=status: s, now)  # type: ignore[misc]
        assert (browser["state"], tuple(browser["reasons"])) == (python.state, python.reasons), name
        state, reason = expected[name]
        assert (browser["state"], browser["reasons"]) == (state, [f"credentials.{reason}"] if reason else []), name
        assert browser["claims"] == dict(python.claims), name
        assert browser["issuer"] == python.issuer, name
        for ours, theirs in (
            (python.issued_at, "issuedAt"),
            (python.expires_at, "expiresAt"),
            (python.status_at, "statusAt"),
        ):
            seen = browser[theirs]
            assert (None if seen is None else datetime.fromisoformat(seen)) == ours, f"{name}: {theirs}"


def test_browser_and_python_agree_on_states(world: Any) -> None:
    ref, gone = world.list.allocate(), world.list.allocate()
    honest, revoked = world.paper(ref).text, world.paper(gone).text
    world.list.revoke(gone)
    status = world.list.to_jwt(world.edu, NOW, DAY)
    health = world.health.issue_paper("urn:kg:credential:grade1-admission:1", {"grade": 1}, NOW + DAY, None, now=NOW)
    forever = world.edu.issue_paper("urn:kg:credential:grade1-admission:1", {"grade": 1}, NOW + DAY, None, now=NOW)
    outside = world.paper(StatusRef(world.list.uri, 4096)).text
    nested = world.paper(claims={"list": [1, -5, None, True, "ң"], "map": {"б": {"a": 70000}}}).text
    other = type(world.list).new(1024, "https://edu.example.kg/status/2").to_jwt(world.edu, NOW, DAY)
    header, payload, signature = status.split(".")
    rows = {
        "honest": (honest, status, NOW),
        "with line end": (honest + "\n", status + "\n", NOW),
        "nested claims": (nested, status, NOW),
        "revoked": (revoked, status, NOW),
        "no list": (honest, None, NOW),
        "stale list": (honest, status, NOW + 2 * DAY),
        "stale list, revoked": (revoked, status, NOW + 2 * DAY),
        "another list": (honest, other, NOW),
        "list of another issuer": (honest, world.list.to_jwt(world.health, NOW, DAY), NOW),
        "list with a changed signature": (honest, f"{header}.{payload}.{'A' * 86}", NOW),
        "list with a changed body": (honest, f"{header}.{payload[:-4]}AAAA.{signature}", NOW),
        "list that is a document": (honest, world.edu.sign_json("dc+sd-jwt", {"sub": world.list.uri}), NOW),
        "list from tomorrow": (honest, world.list.to_jwt(world.edu, NOW + DAY, DAY), NOW),
        "list that is nothing": (honest, "nothing", NOW),
        "index outside": (outside, status, NOW),
        "expired": (honest, status, NOW + 91 * DAY),
        "issued tomorrow": (honest, status, NOW - timedelta(hours=1)),
        "another agency's type": (health.text, None, NOW),
        "cannot be revoked": (forever.text, None, NOW),
        "certificate ended": (honest, status, NOW + 4 * 365 * DAY),
    }
    forged = ("refused", "status_forged")
    assert_agree(
        world,
        rows,
        {
            "honest": ("valid", ""),
            "with line end": ("valid", ""),
            "nested claims": ("valid", ""),
            "revoked": ("revoked", "revoked"),
            "no list": ("unknown", "status_missing"),
            "stale list": ("unknown", "status_stale"),
            "stale list, revoked": ("revoked", "revoked"),
            "another list": forged,
            "list of another issuer": forged,
            "list with a changed signature": forged,
            "list with a changed body": forged,
            "list that is a document": forged,
            "list from tomorrow": forged,
            "list that is nothing": forged,
            "index outside": ("unknown", "status_index_outside"),
            "expired": ("refused", "expired"),
            "issued tomorrow": ("refused", "not_yet_valid"),
            "another agency's type": ("refused", "issuer_not_allowed"),
            "cannot be revoked": ("valid", "no_status"),
            "certificate ended": ("refused", "certificate_refused"),
        },
    )


def test_browser_and_python_agree_on_forgeries(world: Any, tmp_path: Path) -> None:
    text = world.paper().text
    status = world.list.to_jwt(world.edu, NOW, DAY)
    stranger = create_issuer(tmp_path / "s", world.edu.issuer_id, "Ministry of Education", NOW - DAY)
    raw = zlib.decompress(base45.b45decode(text.removeprefix("KRG1:")))
    forged = {
        "changed claim": (rebuilt(text, 2, edited(lambda b: b | {"claims": {"grade": 11}})), "signature_false"),
        "changed signature": (rebuilt(text, 3, bytes(64)), "signature_false"),
        "short signature": (rebuilt(text, 3, bytes(63)), "malformed"),
        "other algorithm": (rebuilt(text, 0, edited(lambda h: h | {1: -35})), "alg_refused"),
        "no algorithm": (rebuilt(text, 0, edited(lambda h: {4: h[4], 16: h[16]})), "alg_refused"),
        "other type": (rebuilt(text, 0, edited(lambda h: h | {16: "application/cwt"})), "type_mismatch"),
        "unknown key": (rebuilt(text, 0, edited(lambda h: h | {4: b"12345678"})), "issuer_unknown"),
        "unprotected header": (rebuilt(text, 1, {1: -7}), "malformed"),
        "a stranger in the issuer's name": (
            stranger.issue_paper("urn:kg:credential:grade1-admission:1", {"grade": 1}, NOW + DAY, None, now=NOW).text,
            "issuer_unknown",
        ),
        "no tag": (reseal(cbor2.loads(raw).value.value), "malformed"),
        "bytes after the message": ("KRG1:" + base45.b45encode(zlib.compress(raw + b"x")).decode(), "malformed"),
        "bytes after the stream": ("KRG1:" + base45.b45encode(zlib.compress(raw) + b"x").decode(), "malformed"),
        "stream cut short": ("KRG1:" + base45.b45encode(zlib.compress(raw)[:-2]).decode(), "malformed"),
        "a bomb": ("KRG1:" + base45.b45encode(zlib.compress(bytes(100_000))).decode(), "too_large"),
        "not base45": ("KRG1:" + "a" * 30, "malformed"),
        "base45 beyond two bytes": ("KRG1:" + ":::" * 10, "malformed"),
        "nothing": ("KRG1:", "malformed"),
        "another text": ("https://example.kg/", "format_unknown"),
    }
    rows = {name: (document, status, NOW) for name, (document, _) in forged.items()}
    assert_agree(world, rows, {name: ("refused", reason) for name, (_, reason) in forged.items()})


def test_no_changed_character_is_valid_in_the_browser(world: Any) -> None:
    text = world.paper().text
    status = world.list.to_jwt(world.edu, NOW, DAY)
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
    swaps = dict(zip(letters, letters[1:] + letters[0], strict=True))
    cases = [
        {
            "text": text[:i] + swaps[text[i]] + text[i + 1 :],
            "trust": world.trust.to_json(),
            "status": status,
            "now": NOW.isoformat(),
        }
        for i in range(0, len(text), 7)
    ]
    assert {verdict["state"] for verdict in in_browser(cases)} == {"refused"}


def test_shared_values_and_needless_tags_are_refused_by_both_verifiers(world: Any) -> None:
    """Tags 28 and 29 let a hundred bytes stand for 2^60 values: neither reader may follow them."""
    honest = world.paper().text
    shared = b"\xd8\x1c\x81\x00" + b"".join(
        b"\xd8\x1c\x82\xd8\x1d" + cbor2.dumps(i) + b"\xd8\x1d" + cbor2.dumps(i) for i in range(59)
    )
    bomb = "KRG1:" + base45.b45encode(zlib.compress(b"\x98\x3c" + shared)).decode()
    around = "KRG1:" + base45.b45encode(zlib.compress(b"\xd8\x3d\xd2\x98\x3c" + shared)).decode()
    deep = "KRG1:" + base45.b45encode(zlib.compress(b"\xd8\x3d\xd2" + b"\x81" * 100 + b"\x00")).decode()
    many = "KRG1:" + base45.b45encode(zlib.compress(b"\xd8\x3d\xd2\x99\x20\x00" + bytes(8192))).decode()
    tagged = rebuilt(honest, 3, lambda signature: cbor2.CBORTag(24, signature))
    rows = {
        "shared": (bomb, None, NOW),
        "shared inside": (around, None, NOW),
        "deep": (deep, None, NOW),
        "many": (many, None, NOW),
        "a tag inside": (tagged, None, NOW),
        "longer than any code": ("KRG1:" + "0" * 4300, None, NOW),
    }
    expected = dict.fromkeys(rows, ("refused", "malformed"))
    expected["longer than any code"] = ("refused", "too_large")
    assert_agree(world, rows, expected)
