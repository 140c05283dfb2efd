"""The tables of a spool, in one SQLite database: on the disk, or in memory.

Write-ahead log, ``synchronous=FULL``: a batch that was committed survives ``kill -9`` and a power cut,
one that was not leaves no trace. Raises what SQLite raises; :mod:`agent.deliver.spool.spool` knows what to do.
"""

import contextlib
import secrets
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from agent.deliver import chain

VERSION = 2  # of the tables, in SQLite's user_version
BULK = "summary"  # nearly all records: the index leaves them out, which halves what a window writes
META = {  # the notes that every spool has
    "gateway": str,
    "stream": str,
    "seq": int,  # the newest record
    "head": bytes,
    "receipted": int,
    "receipted_head": bytes,
    "floor": int,  # the last record that is not kept any more: receipted, or dropped
    "floor_head": bytes,
}
LOG_BYTES = 2**22  # of the write-ahead log: beyond it, it is merged into the file and used again from its start
Row = tuple[int, str, str, bytes, bytes]  # seq, kind, topic, payload, head after it

_PAGE_BYTES = 4096  # SQLite's default, and the block of most disks
_DELETED_AT_ONCE = 1000  # records that a receipt covers; fewer wait for the next batch and share its blocks
_TABLES = f"""
CREATE TABLE record (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, topic TEXT NOT NULL,
                     payload BLOB NOT NULL, head BLOB NOT NULL) STRICT;
CREATE INDEX record_rare ON record (kind, seq) WHERE kind <> '{BULK}';
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE slot (name TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE dropped (through INTEGER PRIMARY KEY, head BLOB NOT NULL) STRICT;
"""
_FROM_1 = f"""
BEGIN IMMEDIATE;
DROP INDEX record_kind;
CREATE INDEX record_rare ON record (kind, seq) WHERE kind <> '{BULK}';
CREATE TABLE slot (name TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE dropped (through INTEGER PRIMARY KEY, head BLOB NOT NULL) STRICT;
INSERT INTO slot SELECT 'memory', value, crc32(value) FROM meta WHERE key = 'state' AND length(value);
INSERT INTO slot SELECT key, CAST(value AS BLOB), crc32(CAST(value AS BLOB)) FROM meta WHERE key LIKE 'note:%';
DELETE FROM meta WHERE key = 'state' OR key LIKE 'note:%';
INSERT INTO meta SELECT 'floor', value FROM meta WHERE key = 'receipted';
INSERT INTO meta SELECT 'floor_head', value FROM meta WHERE key = 'receipted_head';
PRAGMA user_version = 2;
COMMIT;
"""  # noqa: S608 - of a constant
_MIGRATIONS = {1: _FROM_1}  # of a file of an earlier version: its records are kept as they are
_SELECT = """
SELECT r.seq, r.kind, r.topic, r.payload, r.head, p.head
FROM record AS r LEFT JOIN record AS p ON p.seq = r.seq - 1
"""


class SpoolFile:
    """One stream in one database. Its attributes are what ``meta`` and ``slot`` hold."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        meta = dict(db.execute("SELECT key, value FROM meta"))
        self.stream: str = meta["stream"]
        self.seq: int = meta["seq"]
        self.head: bytes = meta["head"]
        self.receipted: int = meta["receipted"]
        self.receipted_head: bytes = meta["receipted_head"]
        self.floor: int = meta["floor"]
        self.floor_head: bytes = meta["floor_head"]
        self.slots = read_slots(db)
        self._deleted = self.floor  # in the table; a receipt may be further

    def commit(
        self, rows: list[Row], seq: int, head: bytes, slots: Mapping[str, bytes], drop: tuple[int, bytes] | None
    ) -> None:
        """Append, keep the slots that changed, drop records through ``drop``: all of it, or nothing."""
        changed = {name: value for name, value in slots.items() if self.slots.get(name, b"") != value}
        floor, floor_head = drop or (self.floor, self.floor_head)
        with self._transaction():
            self._db.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
            self._write_slots(changed)
            if drop:
                self._db.execute("INSERT INTO dropped VALUES (?, ?)", drop)
            self._forget(floor)
            self._write_meta(seq=seq, head=head, floor=floor, floor_head=floor_head)
        self.seq, self.head, self.floor, self.floor_head, self._deleted = seq, head, floor, floor_head, floor
        self.slots = {name: value for name, value in {**self.slots, **changed}.items() if value}

    def receipt(self, through: int, head: bytes) -> None:
        """Forget records ``..through``, many at once and few with the next batch: not doing it costs a repetition."""
        self.receipted, self.receipted_head = through, head
        if through > self.floor:
            self.floor, self.floor_head = through, head
        if through - self._deleted >= _DELETED_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Forget now what a receipt covers. Not forced to the disk: it costs a repetition, no record."""
        if self._deleted == self.floor:
            return
        with self._transaction(forced=False):
            self._forget(self.floor)
            self._write_meta(floor=self.floor, floor_head=self.floor_head)
        self._deleted = self.floor

    def rows(self, after: int, through: int, limit: int, kinds: Iterable[str]) -> list[tuple[Row, bytes | None]]:
        """Give records of these kinds, or of all where none is named, each with the head before it."""
        named = tuple(kinds)
        where = f"r.kind <> '{BULK}' AND r.kind IN ({', '.join('?' * len(named))}) AND " if named else ""
        select = f"{_SELECT} WHERE {where}r.seq > ? AND r.seq <= ? ORDER BY r.seq LIMIT ?"
        found = self._db.execute(select, (*named, max(after, self.floor), through, limit)).fetchall()
        return [((seq, kind, topic, payload, head), before) for seq, kind, topic, payload, head, before in found]

    def head_at(self, seq: int) -> bytes | None:
        """Give the chain head after record ``seq``; None where it is not known any more, or not yet."""
        if seq == self.receipted:
            return self.receipted_head
        select = "SELECT head FROM record WHERE seq = ? UNION SELECT head FROM dropped WHERE through = ?"
        row = self._db.execute(select, (seq, seq)).fetchone()
        return None if row is None or seq < self.receipted else row[0]

    def count(self, kind: str) -> int:
        """Count the records of a rare kind."""
        select = f"SELECT count(*) FROM record WHERE kind = ? AND kind <> '{BULK}'"  # noqa: S608 - a constant
        return int(self._db.execute(select, (kind,)).fetchone()[0])

    def pages(self) -> tuple[int, int]:
        """Give the bytes of the file, and how many of them are free for new records."""
        size, pages, free = (
            int(self._db.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_size", "page_count", "freelist_count")
        )
        return size * pages, size * free

    def close(self) -> None:
        """Close; what a receipt covers is forgotten before, where that works."""
        with contextlib.suppress(sqlite3.Error):
            self.flush()
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _forget(self, floor: int) -> None:
        self._db.execute("DELETE FROM record WHERE seq <= ?", (floor,))
        self._db.execute("DELETE FROM dropped WHERE through <= ?", (self.receipted,))
        self._write_meta(receipted=self.receipted, receipted_head=self.receipted_head)

    def _write_slots(self, slots: Mapping[str, bytes]) -> None:
        rows = [(name, value, zlib.crc32(value)) for name, value in slots.items() if value]
        self._db.executemany("INSERT OR REPLACE INTO slot VALUES (?, ?, ?)", rows)
        self._db.executemany("DELETE FROM slot WHERE name = ?", [(name,) for name, value in slots.items() if not value])

    def _write_meta(self, **values: object) -> None:
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    @contextlib.contextmanager
    def _transaction(self, *, forced: bool = True) -> Iterator[None]:
        self._db.execute(f"PRAGMA synchronous = {'FULL' if forced else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def connect(path: Path | None) -> sqlite3.Connection:
    """Open a database on the disk, or one in memory."""
    db = sqlite3.connect(path or ":memory:", timeout=1.0, isolation_level=None)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")  # a second agent on the same file is told so at its start
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        db.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // _PAGE_BYTES}")
        db.execute("BEGIN IMMEDIATE")  # takes the lock now
        db.execute("COMMIT")
    except sqlite3.Error:
        db.close()  # else the damaged file stays locked
        raise
    return db


def create(db: sqlite3.Connection, gateway: str, slots: Mapping[str, bytes]) -> SpoolFile:
    """Make the tables of a new stream."""
    stream = secrets.token_hex(6)
    head = chain.first_head(gateway, stream)
    meta = {"gateway": gateway, "stream": stream, "seq": 0, "receipted": 0, "floor": 0}
    heads = dict.fromkeys(("head", "receipted_head", "floor_head"), head)
    db.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {VERSION};")
    db.executemany("INSERT INTO meta VALUES (?, ?)", {**meta, **heads}.items())
    rows = [(name, value, zlib.crc32(value)) for name, value in slots.items() if value]
    db.executemany("INSERT INTO slot VALUES (?, ?, ?)", rows)
    db.execute("COMMIT")
    return SpoolFile(db)


def read_slots(db: sqlite3.Connection) -> dict[str, bytes]:
    """Give the slots whose bytes are as they were written: no chain covers them."""
    rows = db.execute("SELECT name, value, crc FROM slot")
    return {name: value for name, value, crc in rows if zlib.crc32(value) == crc}


def has_tables(db: sqlite3.Connection) -> bool:
    """Tell a spool from a file that a crash left before its first commit."""
    return bool(db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])


def migrate(db: sqlite3.Connection) -> int:
    """Bring the tables of an earlier version up to this one; give the version that they have then."""
    while script := _MIGRATIONS.get(version := int(db.execute("PRAGMA user_version").fetchone()[0])):
        db.create_function("crc32", 1, zlib.crc32, deterministic=True)
        db.executescript(script)
    return version
