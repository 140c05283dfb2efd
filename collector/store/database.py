"""Open the database; the library's errors become ours here, with the next step.

One connection writes, others read only: SQLite before 3.51.3 can damage a write-ahead log
that several connections write.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from agent.errors import EvidenceError, FlatwattError

SCHEMA_VERSION = 2
_BUSY_MS = 5000  # another program may look at the file; a lock is never held for longer


class StoreBusyError(FlatwattError):
    """The file cannot be written for now (disk full, locked, an I/O error); the same again may work later."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into :class:`StoreBusyError` or, for a damaged file, :class:`EvidenceError`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreBusyError(f"{path}: {error}; check free space and permissions of {path.parent}") from None
    except sqlite3.DatabaseError as error:
        raise EvidenceError(
            f"{path}: damaged, or no flatwatt database ({error}). Move it away (mv {path} {path}.damaged), then "
            f"`flatwatt collect --db {path} --recover {path}.damaged` takes over what is readable and goes on"
        ) from None


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the one writing connection, and make the tables where they are missing.

    ``synchronous=FULL``: a receipt lets the gateway forget, so a commit must be on the disk.
    """
    with translated(path):
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        _refuse_others(connection, path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(files("collector.store").joinpath("schema.sql").read_text())
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a read-only connection; rows are addressed by column name."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    return connection


def _refuse_others(connection: sqlite3.Connection, path: Path) -> None:
    """Change nothing in a database that is not ours."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if 0 < version < SCHEMA_VERSION:
        raise FlatwattError(
            f"{path}: a database of an earlier flatwatt. Move it away (mv {path} {path}.old), then `flatwatt collect "
            f"--db {path} --recover {path}.old` takes over all of it"
        )
    if version > SCHEMA_VERSION or (version == 0 and tables):
        raise FlatwattError(
            f"{path}: a database of another program or of a newer flatwatt; name another file with --db"
        )


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file beside the database: two collectors on one file would fight over sequence and session."""
    try:
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise FlatwattError(f"{path}: cannot be created here ({error.strerror}); name another file with --db") from None
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FlatwattError(f"{path}: another collector writes it; stop that one or name another --db") from None
