"""A Postgres server of the tests' own: made once a session, thrown away after it; each test has a schema of its own.

It listens on a socket in a temporary folder and, for tests that cut lines, on a port of loopback. It never fsyncs: what
a server promises of its disk is not what is tested here. Where there is no Postgres and it cannot be installed, tests
that need one are skipped.
"""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.programs import find_postgres

PATIENCE_SECONDS = 60.0
PASSWORD = "s3cr3t-of-the-tests"
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "shared_buffers": "16MB",
    "max_connections": "80",
    "autovacuum": "off",
    "max_wal_size": "128MB",
    "jit": "off",
    "log_min_messages": "fatal",
}
TABLES = (
    "runs", "events", "inbox", "deliveries", "waits", "hooks", "locks", "watchers", "workers", "refusals", "chunks",
    "logs", "deployments", "sources", "changes",
)  # fmt: skip
_schemas = itertools.count(1)


class Cluster:
    """A server that can be killed and started again. `url` names a schema that nobody has used."""

    def __init__(self, binaries: Path, folder: Path, *, is_durable: bool = False) -> None:
        self.is_durable = is_durable
        self.binaries = binaries
        self.folder = folder
        self.data = folder / "data"
        self.user = "postgres" if hasattr(os, "geteuid") and os.geteuid() == 0 else getpass.getuser()
        with contextlib.closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._server: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        folder, user = self.folder, self.user
        if user == "postgres":
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        self._run("initdb", "-D", str(self.data), "-A", "trust", "-U", "wf", "--no-sync", "-E", "UTF8", "--locale=C")
        kept = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB"} if self.is_durable else {}
        settings = {
            **SETTINGS,
            **kept,
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
        }
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        (self.data / "pg_hba.conf").write_text(
            "local all all trust\nhost all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
        )
        self.start()
        with self.connect() as connection:
            connection.execute(f"CREATE ROLE locked LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("CREATE ROLE poor LOGIN")

    def start(self) -> None:
        """Start the server, as a child of this process, and wait until it answers."""
        import psycopg

        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            if self._server is None or self._server.poll() is not None:
                self._launch()  # again: the children of one that was killed take a moment to find out
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.02)

    def _launch(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                self._as_user(str(self.binaries / "postgres"), "-D", str(self.data)),
                cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def kill(self) -> None:
        """Kill the postmaster with -9; its children find out and end."""
        assert self._server is not None
        os.kill(self._find_postmaster(), signal.SIGKILL)
        self._server.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        if self._server is not None and self._server.poll() is None:
            os.kill(self._find_postmaster(), signal.SIGQUIT)
            self._server.wait(PATIENCE_SECONDS)

    def _find_postmaster(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])

    def connect(self, url: str | None = None) -> Any:
        """Open a connection of the test's own, to the schema of a world's URL if there is one."""
        import psycopg

        connection = psycopg.connect(
            host=str(self.folder), port=self.port, user="wf", dbname="postgres", autocommit=True, connect_timeout=5
        )
        if url is not None:
            connection.execute(f"SET search_path TO {url.rpartition('schema=')[2]}")
        return connection

    def new_url(self) -> str:
        """Give the URL of a world that is not there yet."""
        return f"postgresql://wf@/postgres?host={self.folder}&port={self.port}&schema=t{next(_schemas)}"

    def over_tcp(self, url: str, port: int | None = None, user: str = "wf") -> str:
        """Give the URL of the same world by a port of loopback: the server's, or a proxy's before it."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/postgres?schema={url.rpartition('schema=')[2]}"

    def empty(self, url: str) -> None:
        """Empty a world that may be there, its counters included: making one takes ten times as long."""
        with self.connect(url) as connection:
            if connection.execute("SELECT to_regclass('world')").fetchone() == (None,):
                return
            with connection.pipeline():
                for table in TABLES:
                    connection.execute(f"DELETE FROM {table}")
                connection.execute("UPDATE world SET pruned_xid = 0, keys = '{}'")
                for table, column in (("inbox", "id"), ("locks", "position")):
                    connection.execute(f"ALTER TABLE {table} ALTER COLUMN {column} RESTART")

    def drop(self, url: str) -> None:
        with self.connect() as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {url.rpartition('schema=')[2]} CASCADE")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            self._as_user(str(self.binaries / program), *arguments), cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    def _as_user(self, *command: str) -> list[str]:
        if self.user != "postgres":
            return list(command)
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", *command]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A running server. Skips where there is none to be had."""
    binaries = find_postgres()
    if binaries is None:
        pytest.skip("no Postgres here: apt-get install postgresql")
    pytest.importorskip("psycopg", reason="no psycopg here: pip install 'psycopg[binary]'")
    folder = Path(tempfile.mkdtemp(prefix="wf-pg-"))
    folder.chmod(0o755)
    cluster = Cluster(binaries, folder)
    try:
        cluster.make()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _reused_url(postgres: Cluster) -> str:
    return postgres.new_url()


@pytest.fixture
def emptied_postgres_url(postgres: Cluster, _reused_url: str) -> Iterator[str]:
    """The URL of a world that other tests have used, and emptied."""
    yield _reused_url
    postgres.empty(_reused_url)


@pytest.fixture
def postgres_url(postgres: Cluster) -> Iterator[str]:
    """The URL of a world that is not there yet, and is dropped after the test."""
    url = postgres.new_url()
    yield url
    postgres.drop(url)
