"""Archives encrypted for OpenPGP recipients: who can read them, that nobody else ever could, and what is refused."""

import hashlib
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pysequoia
import pytest
from pysequoia.packet import PacketPile, Tag

from kerege.exchange import archive, messagelog
from kerege.exchange.archive import Archiver
from kerege.exchange.errors import ArchiveFailed, RecipientUnusable
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import LogWriter
from kerege.exchange.openpgp import EncryptedFile, Recipients, read_keys, read_recipients

from .test_archive import archived

NOW = datetime.now(UTC)
EDU, EMIS, POP = (ClientId.parse(f"KG/GOV/{one}") for one in ("70000003", "70000003/emis", "70000002/population"))
CLIENTS = [ClientId.parse("KG/GOV/70000003/admission"), EMIS, POP]
SERVICE = DataServiceId.parse("KG/GOV/70000001/tax/persons")
# What stands in every ZIP file of containers as it is, whatever is compressed.
CLEAR = (b"linkinginfo", b".asice", b"mimetype")


@pytest.fixture(scope="module")
def pairs() -> list[pysequoia.Tsk]:
    return [pysequoia.Tsk.generate(f"Reader {n} <{n}@example.org>") for n in range(3)]


@pytest.fixture
def files(tmp_path: Path, pairs: list[pysequoia.Tsk]) -> list[Path]:
    out = [tmp_path / f"{n}.asc" for n in range(len(pairs))]
    for path, pair in zip(out, pairs, strict=True):
        path.write_text(str(pair.extract_certificate()))
    return out


def record(number: int, body: bytes = b"body") -> LogRecord:
    return LogRecord(
        NOW + timedelta(seconds=number), "request", "client", f"m/{number}", f"r-{number}", CLIENTS[number % 3], SERVICE,
        b"GET\r\n/%d\r\n" % number, body, b"<s>%d</s>" % number, None,
        attachment_digests=(hashlib.sha512(body).digest(),),
    )  # fmt: skip


def fill(log: Path, *numbers: int, body: Callable[[], bytes] = lambda: b"body") -> None:
    writer = LogWriter(log)
    writer.append_records([record(n, body()) for n in numbers])
    writer.close()


def archiver(tmp_path: Path, recipients: Recipients | None, **options: object) -> Archiver:
    return Archiver(tmp_path / "log", tmp_path / "archive", recipients=recipients, stamped_only=False, **options)  # type: ignore[arg-type]


class Gpg:
    """GnuPG with a home of its own and one pair of keys."""

    def __init__(self) -> None:
        self.home = tempfile.mkdtemp(prefix="gpg-")  # a short name: its agent listens at a socket in it
        self.run(
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
            "--quick-generate-key",
            "R",
            "future-default",
            "default",
            "1y",
        )

    def run(self, *words: str | Path, said: bytes | None = None) -> bytes:
        command = ["gpg", "--homedir", self.home, "--quiet", *(["--batch"] if said is None else ["--no-tty"]), *words]
        return subprocess.run(command, check=True, capture_output=True, input=said).stdout

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture
def gpg() -> Iterator[Gpg]:
    if shutil.which("gpg") is None:
        pytest.skip("not there: gpg")
    made = Gpg()
    yield made
    made.close()


def opened_by_sequoia(sealed: Path, into: Path, secret: pysequoia.Tsk) -> bool:
    try:
        into.write_bytes(pysequoia.decrypt(sealed.read_bytes(), decryptor=secret.decryptor()).bytes or b"")
    except RuntimeError:
        return False
    return True


def opened(folder: Path, into: Path, secret: pysequoia.Tsk) -> list[str]:
    """Archives in clear copied, and decrypted those that `secret` can read; names of all in `into`."""
    into.mkdir()
    for path in folder.iterdir():
        if path.suffix == ".zip":
            shutil.copy(path, into)
        else:
            opened_by_sequoia(path, into / path.stem, secret)
    return sorted(path.name for path in into.iterdir())


@pytest.fixture
def nothing_left_running() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children()}
    yield
    assert {child.pid for child in psutil.Process().children()} <= before


def test_every_recipient_alone_can_read_an_archive_and_nobody_else(
    tmp_path: Path, files: list[Path], pairs: list[pysequoia.Tsk]
) -> None:
    fill(tmp_path / "log", 0, 1, 2)
    umask = os.umask(0)
    try:
        assert archiver(tmp_path, read_recipients(files[:2], {}, NOW)).run() == 3
    finally:
        os.umask(umask)
    (sealed,) = (tmp_path / "archive").iterdir()
    assert sealed.name.startswith("mlog-")
    assert sealed.name.endswith(".zip.gpg")
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
    assert not any(mark in sealed.read_bytes() for mark in CLEAR)
    for reader in (0, 1):
        out = tmp_path / f"out-{reader}"
        out.mkdir()
        assert opened_by_sequoia(sealed, out / sealed.stem, pairs[reader])
        assert archived(out) == ["/0", "/1", "/2"]
        assert archive.verify_archive(out) == archive.ArchiveReport(1, 3, ())
    assert not opened_by_sequoia(sealed, tmp_path / "stranger", pairs[2])


@pytest.mark.parametrize("form", ["--armor", "--no-armor"])
def test_gpg_reads_what_is_encrypted_for_its_key_also_beside_one_made_by_another_program(
    tmp_path: Path, files: list[Path], pairs: list[pysequoia.Tsk], gpg: Gpg, form: str
) -> None:
    """The other key allows for a newer form of encryption, which this gpg may not know: what all can read is used."""
    (tmp_path / "gpg.key").write_bytes(gpg.run(form, "--export"))
    (key,) = read_keys(tmp_path / "gpg.key", NOW)
    assert key.expires is not None
    assert key.expires > NOW + timedelta(days=300)
    fill(tmp_path / "log", 0, 1, 2)
    archiver(tmp_path, read_recipients([tmp_path / "gpg.key", files[0]], {}, NOW)).run()
    (sealed,) = (tmp_path / "archive").iterdir()
    out = tmp_path / "out"
    out.mkdir()
    gpg.run("--output", out / sealed.stem, "--decrypt", sealed)
    assert archived(out) == ["/0", "/1", "/2"]
    assert archive.verify_archive(out) == archive.ArchiveReport(1, 3, ())
    assert opened_by_sequoia(sealed, tmp_path / "again", pairs[0])
    assert (tmp_path / "again").read_bytes() == (out / sealed.stem).read_bytes()


def test_the_chain_goes_from_clear_archives_to_encrypted_ones_and_is_verified_after_decryption(
    tmp_path: Path, files: list[Path], pairs: list[pysequoia.Tsk]
) -> None:
    fill(tmp_path / "log", 0)
    archiver(tmp_path, None).run()
    fill(tmp_path / "log", 1)
    archiver(tmp_path, read_recipients(files[:1], {}, NOW)).run()
    fill(tmp_path / "log", 2)
    archiver(tmp_path, read_recipients(files[:1], {}, NOW)).run()
    first, second, third = sorted(path.name for path in (tmp_path / "archive").iterdir())
    assert (first[-4:], second[-8:], third[-8:]) == (".zip", ".zip.gpg", ".zip.gpg")

    report = archive.verify_archive(tmp_path / "archive")
    assert (report.archives, report.containers) == (1, 1)
    (told,) = report.problems
    assert told.startswith(f"2 archives are encrypted, {second} the first")

    names = opened(tmp_path / "archive", tmp_path / "out", pairs[0])
    assert names == [first, second[:-4], third[:-4]]
    assert archive.verify_archive(tmp_path / "out") == archive.ArchiveReport(3, 3, ())
    with zipfile.ZipFile(tmp_path / "out" / names[2]) as one:
        assert one.read("linkinginfo").decode().split()[1] == second, "named as it was written, as X-Road does"

    middle = tmp_path / "out" / names[1]
    shutil.copy(tmp_path / "archive" / second, tmp_path / "out")
    assert archive.verify_archive(tmp_path / "out").ok, "decrypted beside it"
    middle.unlink()
    (told,) = archive.verify_archive(tmp_path / "out").problems
    assert told.startswith("1 archive is encrypted")
    (tmp_path / "out" / second).unlink()
    (told,) = archive.verify_archive(tmp_path / "out").problems
    assert "is not here" in told


def test_a_decrypted_archive_in_anothers_place_breaks_the_chain(
    tmp_path: Path, files: list[Path], pairs: list[pysequoia.Tsk]
) -> None:
    fill(tmp_path / "log", *range(4))
    archiver(tmp_path, read_recipients(files[:1], {}, NOW), largest=1).run()
    names = opened(tmp_path / "archive", tmp_path / "out", pairs[0])
    assert archive.verify_archive(tmp_path / "out").ok
    shutil.copy(tmp_path / "out" / names[1], tmp_path / "out" / names[2])
    assert not archive.verify_archive(tmp_path / "out").ok


def test_a_group_is_encrypted_for_its_own_recipients_and_all_others_for_the_default(
    tmp_path: Path, files: list[Path], pairs: list[pysequoia.Tsk]
) -> None:
    fill(tmp_path / "log", *range(6))
    archiver(tmp_path, read_recipients(files[:1], {EDU: files[1:2]}, NOW), grouping="member").run()
    for reader, member in ((0, "70000002"), (1, "70000003"), (2, None)):
        names = opened(tmp_path / "archive", tmp_path / f"out-{reader}", pairs[reader])
        assert [name.split("-")[3] for name in names] == ([member] if member else [])


def test_a_subsystem_without_recipients_of_its_own_has_those_of_its_member(
    tmp_path: Path, files: list[Path], pairs: list[pysequoia.Tsk]
) -> None:
    fill(tmp_path / "log", *range(6))
    recipients = read_recipients(files[:1], {EDU: files[1:2], EMIS: files[2:]}, NOW)
    archiver(tmp_path, recipients, grouping="subsystem").run()
    for reader, subsystem in enumerate(("population", "admission", "emis")):
        names = opened(tmp_path / "archive", tmp_path / f"out-{reader}", pairs[reader])
        assert [name.split("-")[4] for name in names] == [subsystem]


def without_encryption(pair: pysequoia.Tsk) -> bytes:
    """The certificate up to its first subkey: the primary key only certifies."""
    out = b""
    for packet in PacketPile.from_bytes(bytes(pair.extract_certificate())):
        if packet.tag == Tag.PublicSubkey:
            break
        out += bytes(packet)
    return out


def revoked(pair: pysequoia.Tsk) -> bytes:
    cert = pair.extract_certificate()
    return bytes(cert) + bytes(cert.revoke(pair.certifier()))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda pair: revoked(pair), "is revoked"),
        (lambda pair: without_encryption(pair), "for signing only"),
        (lambda pair: bytes(pair), "holds a secret key"),
        (lambda pair: str(pair).encode(), "holds a secret key"),
        (lambda pair: str(pair.extract_certificate()).encode() + str(pair).encode(), "holds a secret key"),
        (lambda pair: bytes(pair.extract_certificate()) + revoked(pysequoia.Tsk.generate("other")), "is revoked"),
        (lambda pair: bytes(pair.extract_certificate())[:200], "no OpenPGP public key|nothing in it|not valid now"),
        (lambda pair: b"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n", "no OpenPGP|there is no key"),
        (lambda pair: b"", "there is no key"),
    ],
    ids=["revoked", "signing only", "secret", "secret, armoured", "secret after public", "one of two", "half", "PEM", "empty"],
)  # fmt: skip
def test_a_key_that_cannot_be_encrypted_for_is_refused_with_its_file(
    tmp_path: Path, content: Callable[[pysequoia.Tsk], bytes], words: str
) -> None:
    file = tmp_path / "key"
    file.write_bytes(content(pysequoia.Tsk.generate("Reader")))
    with pytest.raises(RecipientUnusable, match=words) as refused:
        read_keys(file, NOW)
    assert str(file) in refused.value.text


def test_a_key_is_refused_from_the_moment_it_expires(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(pysequoia.Tsk.generate("R", validity_seconds=3600).extract_certificate()))
    (key,) = read_keys(tmp_path / "key", NOW)
    assert key.expires is not None
    with pytest.raises(RecipientUnusable, match=f"{key.fingerprint} expired"):
        read_keys(tmp_path / "key", key.expires)


UNLOCKED = ("--pinentry-mode", "loopback", "--passphrase", "")
LONG_AGO = ("--faked-system-time", "20200101T000000!")


def test_a_subkey_whose_time_is_over_is_not_encrypted_for(tmp_path: Path, gpg: Gpg) -> None:
    gpg.run(*UNLOCKED, *LONG_AGO, "--quick-generate-key", "O", "ed25519", "sign", "0")
    listed = gpg.run("--with-colons", "--list-keys", "O").decode().splitlines()
    (fingerprint,) = (line.split(":")[9] for line in listed if line.startswith("fpr"))
    gpg.run(*UNLOCKED, *LONG_AGO, "--quick-add-key", fingerprint, "cv25519", "encr", "1d")
    file = tmp_path / "key"
    file.write_bytes(gpg.run("--export", "O"))
    with pytest.raises(RecipientUnusable, match="its part for encryption is over"):
        read_keys(file, NOW)

    gpg.run(*UNLOCKED, "--quick-add-key", fingerprint, "cv25519", "encr", "30d")
    file.write_bytes(gpg.run("--export", "O"))
    (key,) = read_keys(file, NOW)
    assert key.expires is not None
    assert timedelta(days=29) < key.expires - NOW < timedelta(days=31), "the subkey's end, for the key itself has none"
    sealed = EncryptedFile(tmp_path / "sealed", [key])
    sealed.write(b"clear")
    sealed.finish()
    tags = [packet.tag for packet in PacketPile.from_file(str(tmp_path / "sealed"))]
    assert tags == [Tag.PKESK, Tag.SEIP], "for one subkey, not for both"
    assert gpg.run("--decrypt", tmp_path / "sealed") == b"clear"


def test_a_subkey_that_is_revoked_is_not_encrypted_for(tmp_path: Path, gpg: Gpg) -> None:
    gpg.run(*UNLOCKED, "--command-fd", "0", "--edit-key", "R", said=b"key 1\nrevkey\ny\n0\n\ny\nsave\n")
    (tmp_path / "key").write_bytes(gpg.run("--export"))
    with pytest.raises(RecipientUnusable, match="its part for encryption is over"):
        read_keys(tmp_path / "key", NOW)


def test_a_revoked_subkey_without_an_end_does_not_hide_when_the_other_ends(tmp_path: Path, gpg: Gpg) -> None:
    """Else nobody is told before the day on which nothing is archived any more."""
    gpg.run(*UNLOCKED, "--quick-generate-key", "O", "ed25519", "sign", "0")
    listed = gpg.run("--with-colons", "--list-keys", "O").decode().splitlines()
    (fingerprint,) = (line.split(":")[9] for line in listed if line.startswith("fpr"))
    gpg.run(*UNLOCKED, "--quick-add-key", fingerprint, "cv25519", "encr", "0")
    gpg.run(*UNLOCKED, "--command-fd", "0", "--edit-key", "O", said=b"key 1\nrevkey\ny\n0\n\ny\nsave\n")
    gpg.run(*UNLOCKED, "--quick-add-key", fingerprint, "cv25519", "encr", "10d")
    file = tmp_path / "key"
    file.write_bytes(gpg.run("--export", "O"))
    (key,) = read_keys(file, NOW)
    assert key.expires is not None
    read_keys(file, key.expires - timedelta(seconds=1))
    with pytest.raises(RecipientUnusable, match="its part for encryption is over"):
        read_keys(file, key.expires)


def test_a_key_that_is_not_valid_yet_is_refused(tmp_path: Path, gpg: Gpg) -> None:
    later = ("--faked-system-time", "20400101T000000!")
    gpg.run(*UNLOCKED, *later, "--quick-generate-key", "L", "future-default", "default", "0")
    (tmp_path / "key").write_bytes(gpg.run(*later, "--export", "L"))
    with pytest.raises(RecipientUnusable, match=r"cannot be used now|is over"):
        read_keys(tmp_path / "key", NOW)


def test_a_file_that_is_not_there_is_refused_wherever_it_is_named(tmp_path: Path, files: list[Path]) -> None:
    for default, of in (([tmp_path / "none"], {}), (files, {EDU: [tmp_path / "none"]})):
        with pytest.raises(RecipientUnusable, match="No such file"):
            read_recipients(default, of, NOW)


def test_several_keys_are_read_from_one_file_and_each_counts_once(tmp_path: Path, files: list[Path]) -> None:
    whole = tmp_path / "whole.asc"
    whole.write_bytes(b"\n".join(file.read_bytes() for file in files))
    assert len(read_keys(whole, NOW)) == 3
    assert len(read_recipients([whole, *files], {}, NOW).default) == 3


def test_nothing_is_encrypted_for_nobody(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nobody"):
        EncryptedFile(tmp_path / "file", ())
    assert not (tmp_path / "file").exists()


@pytest.mark.usefixtures("nothing_left_running")
def test_nothing_in_the_folder_is_ever_in_clear_while_archives_are_written(tmp_path: Path, files: list[Path]) -> None:
    fill(tmp_path / "log", *range(12), body=lambda: os.urandom(200_000))
    seen: set[str] = set()

    def look() -> bool:
        for path in (tmp_path / "archive").iterdir():
            data = path.read_bytes()
            seen.update({path.name} if data else ())
            assert not any(mark in data for mark in CLEAR)
        return False

    assert archiver(tmp_path, read_recipients(files[:1], {}, NOW), largest=800_000).run(look) == 12
    assert any(name.startswith(".mlog-part-") for name in seen), "half of one was seen"


@pytest.mark.usefixtures("nothing_left_running")
def test_a_full_disk_leaves_no_archive_and_loses_no_record(
    tmp_path: Path, files: list[Path], pairs: list[pysequoia.Tsk]
) -> None:
    """The system lets no file of the process that encrypts grow beyond a limit."""
    fill(tmp_path / "log", *range(12), body=lambda: os.urandom(200_000))
    recipients = read_recipients(files[:1], {}, NOW)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(ArchiveFailed, match="could not be encrypted"):
            archiver(tmp_path, recipients, grouping="subsystem").run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "archive").iterdir()) == []
    assert len(list(messagelog.read(tmp_path / "log"))) == 12
    assert archive.clean(tmp_path / "log", NOW + timedelta(days=1)) == 0
    assert archiver(tmp_path, recipients, grouping="subsystem").run() == 12
    opened(tmp_path / "archive", tmp_path / "out", pairs[0])
    assert len(archived(tmp_path / "out")) == 12
    assert archive.verify_archive(tmp_path / "out").ok


def sending(number: signal.Signals, at: int) -> Callable[[], bool]:
    """What an archiver asks whether it shall stop; after the record `at` it sends the processes that encrypt a signal."""
    calls = 0

    def ask() -> bool:
        nonlocal calls
        calls += 1
        if calls == at + 2:
            sent = [child for child in psutil.Process().children() if "openpgp_writer" in " ".join(child.cmdline())]
            assert sent
            for child in sent:
                child.send_signal(number)
        return False

    return ask


@pytest.mark.usefixtures("nothing_left_running")
@pytest.mark.parametrize("at", [1, 7])
def test_a_process_that_dies_while_it_encrypts_leaves_no_archive(tmp_path: Path, files: list[Path], at: int) -> None:
    fill(tmp_path / "log", *range(12), body=lambda: os.urandom(200_000))
    recipients = read_recipients(files[:1], {}, NOW)
    with pytest.raises(ArchiveFailed, match="could not be encrypted"):
        archiver(tmp_path, recipients).run(sending(signal.SIGKILL, at))
    assert list((tmp_path / "archive").iterdir()) == []
    assert archiver(tmp_path, recipients).run() == 12


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_of_the_node_leaves_it_to_the_node_when_to_stop(
    tmp_path: Path, files: list[Path], number: signal.Signals
) -> None:
    fill(tmp_path / "log", *range(12), body=lambda: os.urandom(200_000))
    assert archiver(tmp_path, read_recipients(files[:1], {}, NOW)).run(sending(number, 7)) == 12


@pytest.mark.usefixtures("nothing_left_running")
def test_an_archiver_that_is_told_to_stop_leaves_nothing_behind(tmp_path: Path, files: list[Path]) -> None:
    fill(tmp_path / "log", *range(4))
    recipients = read_recipients(files[:1], {}, NOW)
    calls = iter([False, False, False, True])
    assert archiver(tmp_path, recipients).run(lambda: next(calls)) == 0
    assert list((tmp_path / "archive").iterdir()) == []
    assert archiver(tmp_path, recipients).run() == 4


@pytest.mark.parametrize("moment", range(4))
def test_a_node_that_dies_at_any_moment_archives_every_record_once(
    tmp_path: Path, files: list[Path], pairs: list[pysequoia.Tsk], monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    class Died(BaseException):
        pass

    fill(tmp_path / "log", *range(6))
    recipients, left, real = read_recipients(files[:1], {}, NOW), [moment], Path.replace

    def replace(path: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise Died
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(Died):
        archiver(tmp_path, recipients, grouping="subsystem").run()
    monkeypatch.undo()
    archiver(tmp_path, recipients, grouping="subsystem").run()
    assert all(path.name.startswith("mlog-") for path in (tmp_path / "archive").iterdir())
    opened(tmp_path / "archive", tmp_path / "out", pairs[0])
    assert archived(tmp_path / "out") == [f"/{n}" for n in range(6)]
    assert archive.verify_archive(tmp_path / "out").ok


def test_more_groups_than_processes_are_archived_one_after_the_other(
    tmp_path: Path, files: list[Path], pairs: list[pysequoia.Tsk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_MOST_ENCRYPTED", 1)
    fill(tmp_path / "log", *range(6))
    archiver(tmp_path, read_recipients(files[:1], {}, NOW), grouping="subsystem").run()
    opened(tmp_path / "archive", tmp_path / "out", pairs[0])
    assert archive.verify_archive(tmp_path / "out") == archive.ArchiveReport(6, 6, ())


def test_the_library_is_loaded_only_where_archives_are_encrypted() -> None:
    code = "import sys, kerege.exchange.archive, kerege.node.check.keys; sys.exit('pysequoia' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_process_that_encrypts_sees_no_passphrase_of_the_nodes(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEREGE_LOG_KEY", "a secret")
    sealed = EncryptedFile(tmp_path / "sealed", read_keys(files[0], NOW))
    try:
        process, told, ends = psutil.Process(sealed._process.pid), dict[str, str](), time.monotonic() + 10
        while not told and time.monotonic() < ends:  # between its birth and its first step there is none to be read
            told = process.environ()
        assert "KEREGE_LOG_KEY" not in told
        assert told.get("PATH") == os.environ["PATH"]
    finally:
        sealed.close()
