"""Read what can still be read of a damaged database, or of one that an earlier version wrote."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from agent.errors import EvidenceError

BLOCK = 500  # records that are read at once; where one of them is damaged, the rest one by one
LEAP_MOST = 100_000  # rows that are leapt over at once behind a damage: its end is found in some steps

_ID_MOST = 2**31  # where the last one cannot be asked for: more than any collector holds

Row = tuple[int, str, str, bytes, int]  # id, gateway, kind, payload, received_s


class Salvage:
    """Rows of a damaged database, as far as they can be read."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.unreadable = 0  # rows that could not be read

    def gateways(self) -> list[tuple[str, str, bytes, int]]:
        """Give gateway, pinned key, last status and when it arrived."""
        return self._readable("SELECT gateway, public_key, status, received_s FROM gateway ORDER BY gateway")

    def keys(self) -> list[tuple[str, str, int, str]]:
        """Give every key that was ever pinned; nothing of a version that did not note them."""
        return self._readable("SELECT gateway, public_key, since_s, how FROM gateway_key ORDER BY since_s, rowid")

    def findings(self) -> list[tuple[str | int | bytes | None, ...]]:
        """Give the findings, in the order of their columns but for the id."""
        return self._readable(
            "SELECT gateway, stream, seq, to_seq, kind, text, evidence, time_s, resolved_s FROM finding ORDER BY id"
        )

    def _readable(self, sql: str) -> list[Any]:
        found = []
        try:
            for row in self._db.execute(sql):
                found.append(row)  # noqa: PERF402 - what was read before a damage counts
        except sqlite3.DatabaseError:
            self.unreadable += 1
        return found

    def records(self) -> Iterator[Row]:
        """Give the records in the order of their arrival, leaping over what is damaged."""
        after, leap, last = 0, 1, self._last_id()
        while after < last:
            rows = self._rows(after, BLOCK) or self._rows(after, 1)
            if rows:
                yield from rows
                after, leap = rows[-1][0], 1
            else:
                self.unreadable += leap
                after, leap = after + leap, min(LEAP_MOST, leap * 2)

    def _rows(self, after: int, most: int) -> list[Row]:
        """Give the records of this range; none where one of them is damaged, or none is there."""
        try:
            return self._db.execute(
                "SELECT id, gateway, kind, payload, received_s FROM record WHERE id > ? AND id <= ? ORDER BY id",
                (after, after + most),
            ).fetchall()
        except sqlite3.DatabaseError:
            return []

    def _last_id(self) -> int:
        try:
            return int(self._db.execute("SELECT max(id) FROM record").fetchone()[0] or 0)
        except sqlite3.DatabaseError:
            return _ID_MOST


@contextmanager
def salvaging(path: Path) -> Iterator[Salvage]:
    """Open a damaged database; :class:`EvidenceError` where not even its list of tables can be read."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        try:
            db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'record'").fetchone()[0]
        except (sqlite3.DatabaseError, TypeError):
            raise EvidenceError(
                f"{path}: nothing of a collector's database can be read in it; `sqlite3 {path} .recover | sqlite3 "
                "salvaged.db` may still find rows: try --recover salvaged.db then"
            ) from None
        yield Salvage(db)
