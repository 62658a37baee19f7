import contextlib
import hashlib
import io
import os
import shutil
import stat
import subprocess
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from kerege.exchange import archive, asic, logfolder, messagelog, stamping, timestamps
from kerege.exchange.archive import Archiver
from kerege.exchange.errors import ArchiveFailed
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import ClientId, DataServiceId, MemberId
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import LogWriter
from kerege.exchange.pki import TestAuthority
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer

from .conftest import NOW
from .tsa import Tsa

CLIENTS = [ClientId.parse(f"KG/GOV/70000003/{code}") for code in ("admission", "emis")]
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
KEY = LogKey(b"k" * 32)


@pytest.fixture(scope="module")
def signer(authority: TestAuthority) -> Signer:
    pair = authority.sign_certificate(MemberId("KG", "GOV", "70000003"), "Education", "node-edu", NOW)
    made = Signer(pair.key, pair.certificate)
    made.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    return made


@pytest.fixture(scope="module")
def tsa() -> Tsa:
    return Tsa.create(NOW, "ec")


@pytest.fixture
def trust(shared: SharedParameters, tsa: Tsa) -> Trust:
    return Trust(replace(shared, timestamping=(tsa.approved,)))


def record(signer: Signer, number: int, body: bytes | None = b"body", *, kept: bool = True) -> LogRecord:
    message = b"GET\r\n/%d\r\n" % number
    digests = () if body is None else (hashlib.sha512(body).digest(),)
    signed = signer.sign(hashlib.sha512(message).digest(), digests, NOW)
    return LogRecord(
        NOW + timedelta(seconds=number), "request", "client", f"m/{number}", f"r-{number}", CLIENTS[number % 2], SERVICE,
        message, body if kept else None, signed.xml, signed.chain, attachment_digests=digests,
    )  # fmt: skip


def stamp_all(writer: LogWriter, tsa: Tsa, begin: int) -> int:
    batch = stamping.next_batch(messagelog.entries(writer.folder, writer.key, begin))
    assert batch is not None
    answer = tsa.answer(timestamps.request(batch.result, 1), NOW)
    writer.append_stamp(batch.record(*timestamps.check_answer(answer, batch.result, 1, (tsa.approved,))))
    return batch.last + 1


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def archived(folder: Path) -> list[str]:
    """Request lines of every message in every archive."""
    out = []
    for path in folder.glob("mlog-*.zip"):
        with zipfile.ZipFile(path) as one:
            for name in one.namelist():
                if name.endswith(".asice"):
                    out.append(asic.read(one.read(name)).message.decode().split()[1])
    return sorted(out)


def test_stamped_records_are_archived_once_and_the_others_wait(
    tmp_path: Path, signer: Signer, tsa: Tsa, trust: Trust
) -> None:
    log, folder = tmp_path / "log", tmp_path / "archive"
    writer = LogWriter(log, key=KEY)
    archiver = Archiver(log, folder, key=KEY)
    writer.append_records([record(signer, n) for n in range(3)])
    assert archiver.run() == 0
    begin = stamp_all(writer, tsa, 0)
    writer.append_records([record(signer, 3)])
    assert archiver.run() == 3
    assert archiver.run() == 0
    stamp_all(writer, tsa, begin)
    assert archiver.run() == 1
    writer.close()
    assert archived(folder) == ["/0", "/1", "/2", "/3"]
    report = archive.verify_archive(folder, lambda one: one.check(trust))
    assert (report.archives, report.containers, report.problems) == (2, 4, ())
    found = messagelog.verify(log, trust, KEY)
    assert (found.records, found.verified, found.stamps, found.stamped, found.ok) == (4, 4, 2, 4, True)


@pytest.mark.parametrize(
    ("grouping", "group"), [("none", ""), ("member", "KG-GOV-70000002"), ("subsystem", "KG-GOV-70000002")]
)
def test_a_members_own_service_is_archived_with_its_member(signer: Signer, grouping: str, group: str) -> None:
    own = DataServiceId.parse("KG/GOV/70000002//getSecurityServerOperationalData")
    assert archive.group_of(replace(record(signer, 0), side="producer", service=own), grouping) == group


def test_the_name_and_the_linking_information_have_x_roads_form(tmp_path: Path, signer: Signer, tsa: Tsa) -> None:
    writer = LogWriter(tmp_path / "log")
    writer.append_records([record(signer, n) for n in range(2)])
    stamp_all(writer, tsa, 0)
    writer.close()
    Archiver(tmp_path / "log", tmp_path / "archive", grouping="subsystem").run()
    first, second = names(tmp_path / "archive")
    assert first.startswith(f"mlog-KG-GOV-70000003-admission-{NOW:%Y%m%d%H%M%S}-{NOW:%Y%m%d%H%M%S}-")
    assert "-emis-" in second
    with zipfile.ZipFile(tmp_path / "archive" / first) as one:
        (container, linking) = one.namelist()
        head, line = one.read("linkinginfo").decode().splitlines()
        digest = hashlib.sha512(hashlib.sha512(one.read(container)).hexdigest().encode()).hexdigest()
    assert (linking, head, line) == ("linkinginfo", "- - SHA-512", f"{digest} {container}")
    assert first.endswith(f"-{digest[:16]}.zip")
    assert container.startswith("m%2F0-request-")


def test_archives_rotate_by_size_and_each_follows_from_the_one_before(tmp_path: Path, signer: Signer, tsa: Tsa) -> None:
    writer = LogWriter(tmp_path / "log")
    writer.append_records([record(signer, n) for n in range(6)])
    stamp_all(writer, tsa, 0)
    writer.close()
    folder = tmp_path / "archive"
    Archiver(tmp_path / "log", folder, largest=9000).run()
    assert len(names(folder)) > 2
    assert archive.verify_archive(folder).ok
    gone = folder / names(folder)[0]
    gone.rename(tmp_path / "away")
    assert any("is not here" in problem for problem in archive.verify_archive(folder).problems)


@pytest.mark.parametrize("before", [None, 0o755], ids=["a new folder", "a folder left open to read"])
def test_archives_are_for_their_owner_only_whatever_the_umask(
    tmp_path: Path, signer: Signer, before: int | None
) -> None:
    fill = LogWriter(tmp_path / "log")
    fill.append_records([record(signer, 1)])
    fill.close()
    into = tmp_path / "archive"
    if before is not None:
        into.mkdir()
        into.chmod(before)
    umask = os.umask(0)
    try:
        assert Archiver(tmp_path / "log", into, stamped_only=False).run() == 1
    finally:
        os.umask(umask)
    modes = {path.name[:4]: stat.S_IMODE(path.stat().st_mode) for path in (into, *into.iterdir())}
    assert modes == {"arch": 0o700, "mlog": 0o600}


def test_a_changed_archive_is_named(tmp_path: Path, signer: Signer, tsa: Tsa) -> None:
    writer = LogWriter(tmp_path / "log")
    writer.append_records([record(signer, n) for n in range(2)])
    stamp_all(writer, tsa, 0)
    writer.close()
    folder = tmp_path / "archive"
    Archiver(tmp_path / "log", folder).run()
    path = folder / names(folder)[0]
    with zipfile.ZipFile(path) as one:
        parts = [(name, one.read(name)) for name in one.namelist()]
    with zipfile.ZipFile(path, "w") as one:
        for name, data in parts:
            one.writestr(name, data + b"x" if name == parts[0][0] else data)
    assert any("differs" in problem for problem in archive.verify_archive(folder).problems)
    path.write_bytes(b"no zip")
    assert not archive.verify_archive(folder).ok


@pytest.mark.parametrize("name", ["replace", "fsync", "unlink"])
def test_an_archiver_stopped_at_any_moment_archives_no_record_twice_and_none_is_missing(
    tmp_path: Path, signer: Signer, tsa: Tsa, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The process dies at the n-th call: nothing after it runs, and the next run begins from what is on disk."""
    log = tmp_path / "log"
    writer = LogWriter(log)
    writer.append_records([record(signer, n) for n in range(4)])
    stamp_all(writer, tsa, 0)
    writer.close()

    class Died(BaseException):
        pass

    owner = os if name == "fsync" else Path
    for moment in range(8):
        for left in ("archived.json", "archive-plan.json"):
            (log / left).unlink(missing_ok=True)
        folder = tmp_path / f"archive-{name}-{moment}"
        real, left_calls, dead = getattr(owner, name), [moment], [False]

        def call(*args: object, _real=real, _left=left_calls, _dead=dead, **options: object) -> object:  # type: ignore[no-untyped-def]
            _left[0] -= 1
            if _dead[0] or _left[0] < 0:
                _dead[0] = True  # a dead process does not clean up either
                raise Died
            return _real(*args, **options)

        monkeypatch.setattr(owner, name, call)
        with contextlib.suppress(Died):
            Archiver(log, folder, grouping="subsystem").run()
        monkeypatch.undo()
        Archiver(log, folder, grouping="subsystem").run()
        assert archived(folder) == ["/0", "/1", "/2", "/3"], moment
        assert archive.verify_archive(folder).ok
        assert all(one.startswith("mlog-") for one in names(folder))


def test_an_archiver_that_is_told_to_stop_leaves_nothing_half_done(tmp_path: Path, signer: Signer, tsa: Tsa) -> None:
    writer = LogWriter(tmp_path / "log")
    writer.append_records([record(signer, n) for n in range(4)])
    stamp_all(writer, tsa, 0)
    writer.close()
    calls = iter([False, False, False, True, True])
    assert Archiver(tmp_path / "log", tmp_path / "archive").run(lambda: next(calls)) == 0
    assert names(tmp_path / "archive") == []
    assert Archiver(tmp_path / "log", tmp_path / "archive").run() == 4


def test_an_archive_folder_that_cannot_be_written_is_an_error_and_loses_nothing(
    tmp_path: Path, signer: Signer, tsa: Tsa
) -> None:
    writer = LogWriter(tmp_path / "log")
    writer.append_records([record(signer, 0)])
    stamp_all(writer, tsa, 0)
    writer.close()
    (tmp_path / "archive").write_bytes(b"a file in its place")
    with pytest.raises(ArchiveFailed):
        Archiver(tmp_path / "log", tmp_path / "archive").run()
    (tmp_path / "archive").unlink()
    assert Archiver(tmp_path / "log", tmp_path / "archive").run() == 1


def test_only_whole_segments_of_old_archived_records_are_cleaned(
    tmp_path: Path, signer: Signer, tsa: Tsa, trust: Trust
) -> None:
    log = tmp_path / "log"
    writer = LogWriter(log, segment_bytes=20_000)
    begin = 0
    for start in range(0, 12, 3):
        writer.append_records([record(signer, n) for n in range(start, start + 3)])
        begin = stamp_all(writer, tsa, begin)
    kept = messagelog.head(log)
    before = len(logfolder.segments(log))
    assert before > 3
    assert archive.clean(log, NOW + timedelta(days=1)) == 0, "nothing is archived yet"
    Archiver(log, tmp_path / "archive").run()
    assert archive.clean(log, NOW) == 0, "nothing is old yet"
    assert archive.clean(log, NOW + timedelta(seconds=6)) > 0
    left = [one.message_id for _, _, one in messagelog.read(log)]
    assert left[-6:] == [f"m/{n}" for n in range(6, 12)]
    assert messagelog.head(log) == kept
    assert archive.clean(log, NOW + timedelta(days=1)) > 0
    assert len(logfolder.segments(log)) >= 1
    writer.append_records([record(signer, 12)])
    stamp_all(writer, tsa, begin)
    assert Archiver(log, tmp_path / "archive").run() == 1
    writer.close()
    assert messagelog.verify(log, trust).ok
    assert len(archived(tmp_path / "archive")) == 13


def test_a_body_that_was_not_kept_is_verified_by_its_digest(tmp_path: Path, signer: Signer, trust: Trust) -> None:
    one = record(signer, 1, b"large", kept=False)
    writer = LogWriter(tmp_path)
    writer.append_records([one])
    writer.close()
    assert messagelog.verify(tmp_path, trust).ok
    made = asic.read(asic.container(one))
    assert made.check(trust, bodies=False).member == CLIENTS[0].member
    with pytest.raises(Exception, match="did not come"):
        made.check(trust)
    wrong = replace(one, attachment_digests=(hashlib.sha512(b"other").digest(),))
    other = LogWriter(tmp_path / "other")
    other.append_records([wrong])
    other.close()
    assert not messagelog.verify(tmp_path / "other", trust).ok


def test_openssl_accepts_the_token_of_an_archived_container(tmp_path: Path, signer: Signer, tsa: Tsa) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("not there: openssl")
    writer = LogWriter(tmp_path / "log")
    writer.append_records([record(signer, n) for n in range(3)])
    stamp_all(writer, tsa, 0)
    writer.close()
    Archiver(tmp_path / "log", tmp_path / "archive").run()
    (path,) = (tmp_path / "archive").iterdir()
    with zipfile.ZipFile(path) as whole:
        contents = [whole.read(name) for name in whole.namelist() if name.endswith(".asice")]
    (tmp_path / "tsa.pem").write_bytes(tsa.certificate.public_bytes(Encoding.PEM))
    for content in contents:
        with zipfile.ZipFile(io.BytesIO(content)) as container:
            (tmp_path / "token").write_bytes(container.read("META-INF/timestamp.tst"))
            (tmp_path / "data").write_bytes(container.read("ts-hashchainresult.xml"))
        done = subprocess.run(
            [openssl, "ts", "-verify", "-in", "token", "-token_in", "-data", "data", "-CAfile", "tsa.pem", "-attime",
             str(int(NOW.timestamp()))],
            cwd=tmp_path, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert b"Verification: OK" in done.stdout + done.stderr


def test_a_forged_stamp_in_the_log_is_a_problem(tmp_path: Path, signer: Signer, tsa: Tsa, trust: Trust) -> None:
    writer = LogWriter(tmp_path)
    writer.append_records([record(signer, 0)])
    stamp_all(writer, Tsa.create(NOW, "ec", name="Nobody's"), 0)
    writer.close()
    report = messagelog.verify(tmp_path, trust)
    assert (report.stamped, report.ok) == (0, False)
    assert "no approved authority" in report.problems[0].reason


def test_an_archive_that_the_system_does_not_give_is_told_without_a_number_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "mlog-1.zip").mkdir()
    assert archive.verify_archive(tmp_path).problems == ("mlog-1.zip: Is a directory",)
