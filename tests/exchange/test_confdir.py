import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.exchange import confdir, globalconf
from kerege.exchange.confdir import Anchor
from kerege.exchange.errors import ConfigurationForged, ConfigurationMalformed, ExchangeError
from kerege.exchange.pki import TestAuthority

from .conftest import NOW

FILES = ((confdir.SHARED, b"<conf/>"), (confdir.RULES, b"{}"))


def built(authority: TestAuthority) -> tuple[bytes, dict[str, bytes]]:
    pair = authority.configuration
    return confdir.build_directory(
        FILES, "KG", NOW + timedelta(minutes=10), confdir.generation(NOW), pair.key, pair.certificate
    )


@pytest.mark.parametrize("algorithm", ["ec", "rsa"])
def test_a_directory_made_here_verifies_with_its_files(algorithm: str) -> None:
    authority = TestAuthority.create("KG", NOW, algorithm)
    body, files = built(authority)
    directory = confdir.verify_directory(body, [authority.configuration.certificate], "here")
    assert directory.expires == NOW + timedelta(minutes=10)
    assert directory.version == 6
    assert directory.generation == f"{NOW:%Y%m%d%H%M%S}000000000"
    for part in directory.parts:
        assert part.instance == "KG"
        confdir.check_file(part, files[part.location], "here")
        with pytest.raises(ConfigurationForged, match=part.identifier):
            confdir.check_file(part, files[part.location] + b" ", "here")


def test_the_spelling_that_tools_look_for_is_kept(authority: TestAuthority) -> None:
    body = built(authority)[0].decode()
    assert body.startswith("Content-Type: multipart/related")
    assert re.search(r"Content-location: (/V\d+/\d+/shared-params\.xml)", body)
    assert "Content-identifier: KEREGE-RULES; instance='KG'\r\n" in body
    expires = NOW + timedelta(minutes=10)
    assert f"Expire-date: {expires:%Y-%m-%dT%H:%M:%SZ}\r\nVersion: 6\r\n" in body


def test_another_publishers_directory_is_refused(authority: TestAuthority) -> None:
    other = TestAuthority.create("KG", NOW)
    with pytest.raises(ConfigurationForged, match="does not name"):
        confdir.verify_directory(built(other)[0], [authority.configuration.certificate], "here")


def test_every_changed_byte_of_the_signed_part_is_noticed(authority: TestAuthority) -> None:
    body = built(authority)[0]
    start = body.index(b"Expire-date")
    end = body.index(b"Signature-Algorithm-Id")
    for at in range(start, end - 120, 13):
        changed = body[:at] + bytes((body[at] ^ 1,)) + body[at + 1 :]
        with pytest.raises(ExchangeError):
            confdir.verify_directory(changed, [authority.configuration.certificate], "here")


@pytest.mark.parametrize("cut", [0, 10, 100, 300, 600, 900])
def test_half_a_directory_is_refused(authority: TestAuthority, cut: int) -> None:
    with pytest.raises(ConfigurationMalformed):
        confdir.verify_directory(built(authority)[0][:cut], [authority.configuration.certificate], "here")


def test_an_anchor_reads_back(authority: TestAuthority) -> None:
    anchor = Anchor("KG", (("http://127.0.0.1:1/internalconf", authority.configuration.certificate),))
    assert confdir.parse_anchor(confdir.build_anchor(anchor, NOW)) == anchor


@pytest.mark.vectors
@pytest.mark.parametrize("kind", ["internalconf", "externalconf"])
@pytest.mark.parametrize("version", [3, 4, 5, 6])
def test_real_signed_directories_verify_with_their_parts(vectors: Path, version: int, kind: str) -> None:
    folder = vectors / "globalconf/signed"
    (file,) = (folder / f"V{version}").glob("*/shared-params.xml")
    sources = globalconf.parse_shared(file.read_bytes()).sources
    certificates = [c for s in sources for c in (s.internal_certs if kind == "internalconf" else s.external_certs)]
    body = (folder / f"V{version}" / kind).read_bytes()
    directory = confdir.verify_directory(body, certificates, kind)
    assert directory.version == version
    expected = {confdir.SHARED, confdir.PRIVATE} if kind == "internalconf" else {confdir.SHARED}
    assert {part.identifier for part in directory.parts} == expected
    for part in directory.parts:
        confdir.check_file(part, (folder / part.location.lstrip("/")).read_bytes(), kind)
    changed = body.replace(b"Version: ", b"Version:  ")
    with pytest.raises(ConfigurationForged, match="does not hold"):
        confdir.verify_directory(changed, certificates, kind)


@pytest.mark.vectors
def test_a_real_anchor_is_read(vectors: Path) -> None:
    anchor = confdir.parse_anchor((vectors / "globalconf/signed/configuration_anchor_CS_internal.xml").read_bytes())
    assert anchor.instance == "DEV"
    assert [url for url, _ in anchor.sources] == ["http://cs/internalconf", "https://cs/internalconf"]


def test_an_anchor_with_letters_that_mean_something_in_xml_reads_back_the_same(authority: TestAuthority) -> None:
    url = "http://127.0.0.1/internalconf?a=1&b=<2>"
    anchor = Anchor("K&G", ((url, authority.configuration.certificate),))
    assert confdir.parse_anchor(confdir.build_anchor(anchor, NOW)) == anchor


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_a_directory_of_every_version_says_so_in_its_locations(authority: TestAuthority, version: int) -> None:
    pair = authority.configuration
    stamp = confdir.generation(NOW)
    body, files = confdir.build_directory(FILES, "KG", NOW, stamp, pair.key, pair.certificate, version)
    assert confdir.verify_directory(body, [pair.certificate], "here").version == version
    assert set(files) == {f"/V{version}/{stamp}/shared-params.xml", f"/V{version}/{stamp}/kerege-rules.json"}


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_directory_is_refused_and_nothing_else_happens(authority: TestAuthority, data: st.DataObject) -> None:
    whole, _ = built(authority)
    at, cut = data.draw(st.integers(0, 3000)) % len(whole), data.draw(st.integers(0, 60))
    put = data.draw(st.binary(max_size=8) | st.sampled_from([b"\r\n", b"\r\n\r\n", b"--", b":", b"boundary="]))
    damaged = whole[:at] + put + whole[at + cut :]
    try:
        found = confdir.verify_directory(damaged, [authority.configuration.certificate], "here")
    except (ConfigurationForged, ConfigurationMalformed):
        return
    assert found == confdir.verify_directory(whole, [authority.configuration.certificate], "here")


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_as_an_anchor_are_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationMalformed):
        confdir.parse_anchor(data)
