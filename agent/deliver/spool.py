"""The spool: what was said stays here until the centre has confirmed it.

One SQLite file, one connection, write-ahead log, ``synchronous=FULL``: a batch that was committed
survives ``kill -9`` and a power cut, one that was not leaves no trace. The spool keeps bytes; it
knows neither messages nor MQTT.

Records of a stream are numbered from 1 without a gap, and each row keeps the chain head after it,
so a receipt can be compared. A damaged file is put aside, whole, and a new stream begins.
"""

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from agent.deliver import chain, spool_damage
from agent.deliver.durable import sync_folder
from agent.errors import EvidenceError, FlatwattError
from agent.records import Envelope

_VERSION = 1  # of the tables, in SQLite's user_version

_TABLES = f"""
BEGIN;
CREATE TABLE record (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, topic TEXT NOT NULL,
                     payload BLOB NOT NULL, head BLOB NOT NULL) STRICT;
CREATE INDEX record_kind ON record (kind, seq);
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""


class Batch:
    """Records and the caller's state that are committed together, or not at all."""

    def __init__(self, stream: str, seq: int, head: bytes) -> None:
        self.stream = stream
        self.head = head
        self.state: bytes | None = None  # None leaves the state as it is
        self.rows: list[tuple[int, str, str, bytes, bytes]] = []
        self._seq = seq

    @property
    def next_seq(self) -> int:
        """The number that the next record must carry."""
        return self._seq + 1

    def add(self, kind: str, topic: str, payload: bytes) -> None:
        """Append one record; its payload carries ``stream`` and ``next_seq`` already."""
        self._seq += 1
        self.head = chain.next_head(self.head, payload)
        self.rows.append((self._seq, kind, topic, payload, self.head))


class Spool:
    """The records of one gateway that the centre has not confirmed yet.

    ``loss`` is set where a damaged file was put aside at opening; the caller reports it.
    Raises :class:`FlatwattError` where the disk, not the file, is the trouble.
    """

    def __init__(self, path: Path, gateway: str) -> None:
        self.path = path
        self.gateway = gateway
        self.loss: spool_damage.Loss | None = None
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = self._open_or_put_aside()
            if kept is not None:
                self._create(kept)
            self._load()

    def _open_or_put_aside(self) -> dict[str, object] | None:
        """Open the file; give what a new one must start with, None where the old one is sound."""
        existed = self.path.is_file()
        if existed and not self.path.stat().st_size:
            return self._begin_anew("the file is empty")  # before SQLite sees it and deletes its log
        try:
            self._db = _connect(self.path)
            try:
                if existed and _has_tables(self._db):
                    spool_damage.check(self._db, self.gateway, _VERSION)
                    return None
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.DatabaseError, EvidenceError) as error:
            if isinstance(error, sqlite3.Error) and spool_damage.is_environment(error, self.path):
                raise
            return self._begin_anew(str(error))
        return {}

    def _begin_anew(self, why: str) -> dict[str, object]:
        self.loss, kept = spool_damage.put_aside(self.path, why)
        self._db = _connect(self.path)
        return kept

    def _create(self, kept: dict[str, object]) -> None:
        stream = secrets.token_hex(6)
        head = chain.first_head(self.gateway, stream)
        meta: dict[str, object] = {
            "state": b"",
            **kept,
            "gateway": self.gateway,
            "stream": stream,
            "seq": 0,
            "head": head,
            "receipted": 0,
            "receipted_head": head,
        }
        self._db.executescript(_TABLES)
        self._db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        self._db.execute("COMMIT")
        sync_folder(self.path.parent)

    def _load(self) -> None:
        meta = dict(self._db.execute("SELECT key, value FROM meta"))
        self.stream: str = meta["stream"]
        self.last_seq: int = meta["seq"]
        self.head: bytes = meta["head"]
        self.state: bytes = meta["state"]
        self.receipted: int = meta["receipted"]
        self._receipted_head: bytes = meta["receipted_head"]

    @contextlib.contextmanager
    def batch(self) -> Iterator[Batch]:
        """Collect records and commit them in one transaction at the end; an exception inside commits nothing."""
        batch = Batch(self.stream, self.last_seq, self.head)
        yield batch
        state = self.state if batch.state is None else batch.state
        with self._transaction():
            self._db.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", batch.rows)
            self._write_meta(seq=batch.next_seq - 1, head=batch.head, state=state)
        self.last_seq, self.head, self.state = batch.next_seq - 1, batch.head, state

    def pending(
        self, after_seq: int, limit: int, *, kind: str | None = None, through: int | None = None
    ) -> list[Envelope]:
        """Give at most ``limit`` unconfirmed records above ``after_seq``, in order, of one kind or of all."""
        after_seq = max(after_seq, self.receipted)
        last = self.last_seq if through is None else through
        where, values = ("kind = ? AND ", (kind,)) if kind else ("", ())
        select = f"SELECT seq, kind, topic, payload FROM record WHERE {where}seq > ? AND seq <= ? ORDER BY seq LIMIT ?"  # noqa: S608 - `where` is one of two constants
        with _translated(self.path):
            rows = self._db.execute(select, (*values, after_seq, last, limit)).fetchall()
        return [Envelope(self.stream, *row) for row in rows]

    def head_at(self, seq: int) -> bytes | None:
        """Give the chain head after record ``seq``; None where the record is not kept (any more, or yet)."""
        if seq == self.receipted:
            return self._receipted_head
        with _translated(self.path):
            row = self._db.execute("SELECT head FROM record WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else row[0]

    def receipt(self, through: int) -> None:
        """Forget records ``..through``. Not forced to the disk: to forget a receipt costs a repetition, no record."""
        head = self.head_at(through)
        if head is None or through <= self.receipted:
            return
        with self._transaction(forced=False):
            self._db.execute("DELETE FROM record WHERE seq <= ?", (through,))
            self._write_meta(receipted=through, receipted_head=head)
        self.receipted, self._receipted_head = through, head

    def note(self, key: str) -> str | None:
        """Give a short text that was kept under ``key``."""
        with _translated(self.path):
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (f"note:{key}",)).fetchone()
        return None if row is None else str(row[0])

    def keep_note(self, key: str, text: str) -> None:
        """Keep a short text; it survives the damage of the records where it can be read at all."""
        with self._transaction():
            self._write_meta(**{f"note:{key}": text})

    def close(self) -> None:
        """Close the file; nothing is lost by not calling it."""
        self._db.close()

    def _write_meta(self, **values: object) -> None:
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    @contextlib.contextmanager
    def _transaction(self, *, forced: bool = True) -> Iterator[None]:
        with _translated(self.path):
            self._db.execute(f"PRAGMA synchronous = {'FULL' if forced else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=1.0, isolation_level=None)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")  # a second agent on the same file is told so at its start
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")  # takes the lock now
        db.execute("COMMIT")
    except sqlite3.Error:
        db.close()  # else the damaged file stays locked
        raise
    return db


def _has_tables(db: sqlite3.Connection) -> bool:
    """Tell a spool from a file that a crash left before its first commit."""
    return bool(db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn the database's and the system's errors into one line for an operator."""
    try:
        yield
    except sqlite3.Error as error:
        hint = {
            sqlite3.SQLITE_FULL: "free some space",
            sqlite3.SQLITE_IOERR: "check the disk, and the owner and mode of the file",
            sqlite3.SQLITE_BUSY: "another process has it open: is a second `flatwatt run` active?",
            sqlite3.SQLITE_CANTOPEN: "check that it is no folder, and that its own folder is writable",
            sqlite3.SQLITE_READONLY: "check the owner and mode of the file and its folder",
        }.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "restart: a damaged file is put aside and reported")
        raise FlatwattError(f"{path}: the spool cannot be used: {error}: {hint}") from None
    except OSError as error:
        raise FlatwattError(f"{path}: the spool cannot be used: {error.strerror}") from None
