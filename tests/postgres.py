"""A real PostgreSQL with PostGIS and pgstac: made for one run, started without a service manager, gone afterwards."""

import contextlib
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

NEEDED = "needs PostgreSQL 15 with PostGIS: apt-get install postgresql-15-postgis-3"

TEMPLATE = "pgstac_template"

HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""For tests: what they write need not outlive the machine."""

SOUND = {
    "shared_buffers": "1GB",
    "effective_cache_size": "6GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "random_page_cost": "1.1",
    "max_wal_size": "4GB",
}
"""For benchmarks: durable, and tuned for a machine of this size, as an operator would."""


class PostgresMissingError(Exception):
    """This machine has no PostgreSQL with PostGIS; the message says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running PostgreSQL; its databases begin with pgstac in them."""

    port: int
    """On the loopback interface, where everybody is let in."""

    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def dsn(self, database: str) -> str:
        """Address of a database: for psycopg, pypgstac and Overflight alike."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self) -> str:
        """Make a database that holds pgstac and nothing else, in a fraction of a second; gives its address."""
        name = f"pgstac_{next(self._numbers)}"
        self._run("CREATE DATABASE {} TEMPLATE {}", name, TEMPLATE)
        return self.dsn(name)

    def drop(self, dsn: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._run("DROP DATABASE {} WITH (FORCE)", dsn.rpartition("/")[2])

    def make_template(self) -> None:
        """Install pgstac once, so that every database after it is only a copy."""
        self._run("CREATE DATABASE {}", TEMPLATE)
        pypgstac("migrate", dsn=self.dsn(TEMPLATE))

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def pypgstac(*arguments: object, dsn: str) -> None:
    """Run pgstac's own command line, as those who keep a pgstac database do."""
    _run([sys.executable, "-m", "pypgstac.pypgstac", *arguments, "--dsn", dsn])


@contextlib.contextmanager
def cluster(settings: Mapping[str, str] = HASTY) -> Iterator[Cluster]:
    """Make a cluster in a temporary folder and start it; stop and remove it at the end.

    Raises
    ------
    PostgresMissingError
        PostgreSQL or PostGIS is not installed.
    """
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="overflight-postgres-") as name:
        folder, data, port = Path(name), Path(name) / "data", _free_port()
        run = _runner(folder)
        run(programs / "initdb", data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
        chosen = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": name, "jit": "off"}
        options = " ".join(f"-c {key}={value}" for key, value in {**chosen, **settings}.items())
        control = (programs / "pg_ctl", "--pgdata", data, "--wait", "--silent")
        run(*control, "--log", folder / "log", "--options", options, "start")
        try:
            running = Cluster(port=port)
            running.make_template()
            yield running
        finally:
            run(*control, "--mode=immediate", "stop")


def _programs() -> Path:
    """The newest PostgreSQL that has PostGIS: those that Debian installs side by side, and the one on the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if (found := shutil.which("pg_ctl")) is not None:
        folders.insert(0, Path(found).resolve().parent)
    for folder in reversed(folders):
        if (folder / "initdb").exists() and (folder / "pg_config").exists():
            shared = Path(_run([folder / "pg_config", "--sharedir"]).strip())
            if (shared / "extension" / "postgis.control").exists():
                return folder
    raise PostgresMissingError(NEEDED)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _runner(folder: Path) -> Callable[..., str]:
    """Give a runner of programs in a folder: PostgreSQL refuses root, so root lends the folder to somebody else."""
    identity = {}
    if os.geteuid() == 0:
        user = _unprivileged()
        os.chown(folder, user.pw_uid, user.pw_gid)
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
    return lambda *command: _run(command, cwd=folder, **identity)


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _run(command, **how) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **how)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words[:4])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
