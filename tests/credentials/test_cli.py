"""`kerege verify`: offline, three languages, exit status."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kerege.cli.credentials import verify as command
from kerege.credentials.errors import TrustListInvalid

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
AT = "2026-11-22T10:10:07+06:00"


@pytest.fixture
def files(world: Any, tmp_path: Path) -> dict[str, Path]:
    revoked = world.list.allocate()
    world.list.revoke(revoked)
    texts = {
        "trust": world.trust.to_json(),
        "wallet": world.wallet(),
        "paper": world.paper().text,
        "revoked": world.paper(revoked).text,
        "status": world.list.to_jwt(world.edu, NOW, timedelta(days=1)),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return {name: tmp_path / name for name in texts}


def run(files: dict[str, Path], name: str, *more: str, status: bool = True) -> Result:
    arguments = [str(files[name]), "--trust", str(files["trust"]), "--at", AT]
    if status:
        arguments += ["--status", str(files["status"])]
    return CliRunner().invoke(command, [*arguments, *more])


@pytest.mark.parametrize("name", ["wallet", "paper"])
def test_a_valid_document_ends_with_status_0_in_each_language(files: dict[str, Path], name: str) -> None:
    for lang, state, issuer in (
        ("en", "VALID", "Ministry of Education"),
        ("ru", "ДЕЙСТВИТЕЛЕН", "Министерство просвещения"),
        ("ky", "ЖАРАКТУУ", "Билим берүү министрлиги"),
    ):
        result = run(files, name, "--lang", lang)
        assert result.exit_code == 0, result.output
        assert result.output.startswith(f"{state}\n")
        assert issuer in result.output
        assert "22.11.2026 10:10 (Asia/Bishkek)" in result.output
        assert "Өмүрбек уулу Ыңтымак" in result.output


def test_a_revoked_document_ends_with_status_1_and_says_why(files: dict[str, Path]) -> None:
    result = run(files, "revoked", "--lang", "ru")
    assert result.exit_code == 1
    assert result.output.startswith("ОТОЗВАН\n  Документ отозван тем, кто его выдал.\n")


def test_without_a_status_list_it_is_unknown_and_ends_with_status_1(files: dict[str, Path]) -> None:
    result = run(files, "paper", "--json", status=False)
    assert result.exit_code == 1
    verdict = json.loads(result.output)
    assert (verdict["state"], verdict["reasons"]) == ("unknown", ["credentials.status_missing"])


def test_a_tampered_document_is_refused_and_shows_nothing_it_claims(files: dict[str, Path]) -> None:
    text = files["wallet"].read_text()
    header, payload, signature = text.split(".", 2)
    files["wallet"].write_text(f"{header}.{payload[:40]}{'B' if payload[40] == 'A' else 'A'}{payload[41:]}.{signature}")
    result = run(files, "wallet", "--json")
    assert result.exit_code == 1
    verdict = json.loads(result.output)
    assert (verdict["state"], verdict["claims"]) == ("refused", {})


def test_a_document_comes_over_standard_input_as_well(files: dict[str, Path]) -> None:
    arguments = ["-", "--trust", str(files["trust"]), "--status", str(files["status"]), "--at", AT]
    result = CliRunner().invoke(command, arguments, input=files["paper"].read_text() + "\n")
    assert result.exit_code == 0, result.output


def test_an_installation_is_checked_against_its_own_trust_and_status_lists(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEREGE_HOME", str(tmp_path / "home"))
    arguments = [str(files["paper"]), "--at", AT, "--json"]
    assert isinstance(CliRunner().invoke(command, arguments).exception, TrustListInvalid)
    public = tmp_path / "home/credentials/public"
    (public / "status").mkdir(parents=True)
    (public / "trust.json").write_bytes(files["trust"].read_bytes())
    assert json.loads(CliRunner().invoke(command, arguments).output)["state"] == "unknown"
    (public / "status/1.jwt").write_bytes(files["status"].read_bytes())
    assert json.loads(CliRunner().invoke(command, arguments).output)["state"] == "valid"
    revoked = CliRunner().invoke(command, [str(files["revoked"]), *arguments[1:]])
    assert (revoked.exit_code, json.loads(revoked.output)["state"]) == (1, "revoked")
    monkeypatch.delenv("KEREGE_HOME")
    named = CliRunner().invoke(command, [*arguments, "--trust", str(public / "trust.json")])
    assert json.loads(named.output)["state"] == "valid", "the lists beside a trust list belong to it"


def test_a_picture_is_answered_with_what_to_do(files: dict[str, Path], world: Any) -> None:
    files["paper"].write_bytes(world.paper().png())
    result = run(files, "paper")
    assert result.exit_code == 1
    assert "Scan its QR code first" in result.output


@pytest.mark.parametrize("at", ["yesterday", "2026-11-22T10:10:07"])
def test_a_time_without_a_zone_is_not_guessed(files: dict[str, Path], at: str) -> None:
    result = CliRunner().invoke(command, [str(files["paper"]), "--trust", str(files["trust"]), "--at", at])
    assert result.exit_code == 2
    assert "zone" in result.output or "RFC 3339" in result.output


def test_claims_cannot_rewrite_the_terminal(files: dict[str, Path], world: Any) -> None:
    files["paper"].write_text(world.paper(claims={"child": "\x1b[2JVALID"}).text)
    result = run(files, "paper")
    assert "\x1b" not in result.output
