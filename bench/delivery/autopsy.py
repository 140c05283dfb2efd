"""Looks at the spool of an agent that was killed just now, before the next one finds it.

What it left must be sound, and together with the collector's database complete: no number missing
between the first record and the last, no window that was closed for sure absent from both.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.delivery.ledger import Life


@dataclass(frozen=True, slots=True)
class _Left:
    """What a spool's copy held."""

    stream: str
    receipted: int
    last_seq: int
    told: frozenset[tuple[str, int]]
    faults: tuple[str, ...]


class Autopsy:
    """Examines one gateway again and again; ``found`` collects what was wrong, with the number of the kill."""

    def __init__(self, state: Path, database: Path, meters: Sequence[str], period_s: float, window_s: int) -> None:
        self._state, self._database, self._meters = state, database, meters
        self._period_s, self._window_s = period_s, window_s
        self.done = 0
        self.records = 0  # that were found in spools
        self.found: list[str] = []

    def examine(self, life: Life) -> None:
        """Look at what the agent of this life left behind."""
        self.done += 1
        if (self._state / "spool.db").exists():  # killed before it made one
            self.found += [f"kill {self.done}: {fault}" for fault in self._faults(life)]

    def _faults(self, life: Life) -> Iterator[str]:
        left = self._spool()
        if left is None:
            return
        self.records += left.last_seq - left.receipted
        yield from left.faults
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as db:
            count = "SELECT count(*) FROM record WHERE stream = ? AND seq <= ?"
            (arrived,) = db.execute(count, (left.stream, left.receipted)).fetchone()
            if arrived != left.receipted:
                yield f"{left.receipted} records are receipted, of which the collector has {arrived}"
            for start_s in life.certain(self._period_s, self._window_s):
                for meter in self._meters:
                    if (meter, start_s) not in left.told and not _is_stored(db, meter, start_s):
                        yield f"the window at {start_s} of {meter} is neither in the spool nor at the collector"

    def _spool(self) -> _Left | None:
        """Read a copy: SQLite must be free to recover it, and the next agent is to find it as it was left."""
        copy = self._database.parent / "autopsy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name in ("spool.db", "spool.db-wal"):
            if (self._state / name).exists():
                shutil.copyfile(self._state / name, copy / name)
        with closing(sqlite3.connect(copy / "spool.db")) as db:
            (tables,) = db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'").fetchone()
            return _read(db) if tables else None


def _read(db: sqlite3.Connection) -> _Left:
    meta = dict(db.execute("SELECT key, value FROM meta"))
    rows = db.execute("SELECT seq, payload, head FROM record ORDER BY seq").fetchall()
    faults = [] if (verdict := db.execute("PRAGMA integrity_check").fetchone()[0]) == "ok" else [str(verdict)]
    seq, head, told = meta["receipted"], meta["receipted_head"], set()
    for number, payload, row_head in rows:
        seq, head = seq + 1, hashlib.sha256(head + payload).digest()
        if (number, row_head) != (seq, head):
            faults.append(f"the chain breaks at record {seq}")
        record = json.loads(payload)
        if record["kind"] == "summary":
            told.add((record["meter"], record["start_s"]))
    if (seq, head) != (meta["seq"], meta["head"]):
        faults.append(f"the last record is {seq}, not {meta['seq']}")
    return _Left(meta["stream"], meta["receipted"], meta["seq"], frozenset(told), tuple(faults))


def _is_stored(db: sqlite3.Connection, meter: str, start_s: int) -> bool:
    select = "SELECT 1 FROM summary WHERE gateway = 'demo' AND meter = ? AND start_s = ?"
    return db.execute(select, (meter, start_s)).fetchone() is not None
