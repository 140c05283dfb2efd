"""What the ingest writes: records, streams, gateways, findings. All calls belong inside ``transaction()``."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.deliver import chain, wire
from agent.errors import EvidenceError
from collector.store import projections
from collector.store.database import open_writer, translated

MISSING_RANGES = 100  # ranges that one receipt names: about 2 kB; what is named first is sent first, then the next
MISSING_SCAN = 10_000  # records above `through` that are searched for holes: a stream that lost its start stays cheap
REJECTED_ROWS = 1000  # kept of what was refused: enough to see a pattern, bounded against a flood
REJECTED_BYTES = 1024  # kept of each refused payload
FINDINGS_PER_KIND = 1000  # kept per gateway and kind, the oldest: they name the first contradiction


@dataclass(slots=True, kw_only=True)
class Stream:
    """How far one stream of one gateway has come; columns of the table of that name."""

    gateway: str
    stream: str
    through: int
    head: bytes
    highest: int
    verified: int
    checked: int
    suspect: int
    received_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A contradiction that an auditor must see. ``evidence`` are the bytes that contradict."""

    gateway: str
    stream: str
    seq: int
    to_seq: int
    kind: str
    text: str
    evidence: bytes
    time_s: int


class Ledger:
    """The one writer of the database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = open_writer(path)
        self._file = path.stat()
        self._days: set[projections.Day] = set()  # of this transaction, to be summed anew

    def close(self) -> None:
        """Close the file; the write-ahead log is folded in."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all or nothing. When it returns, the disk has it."""
        with translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                projections.refresh_days(self._db, self._days)
                self._check_place()
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have rolled it back already
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._days.clear()

    def _check_place(self) -> None:
        """SQLite would go on writing to a file that was moved away, and receipts would let the gateways forget."""
        try:
            moved = not os.path.samestat(self._path.stat(), self._file)
        except FileNotFoundError:
            moved = True
        if moved:
            raise EvidenceError(
                f"{self._path}: was moved, replaced or removed while in use; nothing more is acknowledged. Put it back "
                "with its -wal file and start again"
            )

    # Records

    def payload(self, gateway: str, stream: str, seq: int) -> bytes | None:
        """Give the bytes that are stored under this number, None where there are none."""
        row = self._db.execute(
            "SELECT payload FROM record WHERE gateway = ? AND stream = ? AND seq = ?", (gateway, stream, seq)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, gateway: str, record: wire.Record, payload: bytes, now_s: int) -> None:
        """Store a new record, with what queries need of it."""
        self._db.execute(
            "INSERT INTO record (gateway, stream, seq, kind, payload, received_s) VALUES (?, ?, ?, ?, ?, ?)",
            (gateway, record.stream, record.seq, record.kind, payload, now_s),
        )
        self._touch(projections.project(self._db, gateway, record))

    def replace(self, gateway: str, old: wire.Record, record: wire.Record, payload: bytes) -> None:
        """Store a record in place of another of the same number."""
        self._touch(projections.withdraw(self._db, gateway, old))
        self._db.execute(
            "UPDATE record SET kind = ?, payload = ? WHERE gateway = ? AND stream = ? AND seq = ?",
            (record.kind, payload, gateway, record.stream, record.seq),
        )
        self._touch(projections.project(self._db, gateway, record))

    def _touch(self, day: projections.Day | None) -> None:
        if day is not None:
            self._days.add(day)

    def after(self, stream: Stream) -> Iterator[tuple[int, bytes]]:
        """Walk the records above ``through`` in order of their number."""
        yield from self._db.execute(
            "SELECT seq, payload FROM record WHERE gateway = ? AND stream = ? AND seq > ? ORDER BY seq",
            (stream.gateway, stream.stream, stream.through),
        )

    def set_heads(self, stream: Stream, heads: Iterable[tuple[int, bytes]]) -> None:
        """Note the chain head after each of these records."""
        self._db.executemany(
            "UPDATE record SET head = ? WHERE gateway = ? AND stream = ? AND seq = ?",
            [(head, stream.gateway, stream.stream, seq) for seq, head in heads],
        )

    def head_at(self, stream: Stream, seq: int) -> bytes | None:
        """Give the chain head after record ``seq``; None where the chain does not reach it."""
        if seq == 0:
            return chain.first_head(stream.gateway, stream.stream)
        row = self._db.execute(
            "SELECT head FROM record WHERE gateway = ? AND stream = ? AND seq = ?",
            (stream.gateway, stream.stream, seq),
        ).fetchone()
        return None if row is None or row[0] is None else bytes(row[0])

    def checkpoints(self, stream: Stream) -> list[tuple[int, bytes]]:
        """Give the chained checkpoints that were not looked at yet."""
        return self._db.execute(
            "SELECT seq, payload FROM record WHERE gateway = ? AND stream = ? AND kind = 'checkpoint'"
            " AND seq > ? AND seq <= ? ORDER BY seq",
            (stream.gateway, stream.stream, stream.checked, stream.through),
        ).fetchall()

    # Streams

    def stream(self, gateway: str, stream: str, now_s: int) -> Stream:
        """Give the state of a stream, that of an empty one where it is new."""
        row = self._db.execute(f"{_STREAMS} WHERE gateway = ? AND stream = ?", (gateway, stream)).fetchone()
        if row is not None:
            return _stream(row)
        first = chain.first_head(gateway, stream)
        return Stream(
            gateway=gateway, stream=stream, through=0, head=first, highest=0, verified=0, checked=0, suspect=0,
            received_s=now_s,
        )  # fmt: skip

    def streams(self, gateway: str | None = None) -> list[Stream]:
        """Give all streams, of one gateway or of all; the one that a gateway writes now comes last of its own.

        Receipts are retained per gateway, so the last one is what a returning gateway finds.
        """
        rows = self._db.execute(
            f"{_STREAMS} WHERE gateway = coalesce(?, gateway) ORDER BY gateway, {_WRITTEN_NOW}, received_s, stream",
            (gateway,),
        )
        return [_stream(row) for row in rows]

    def save(self, stream: Stream) -> None:
        """Store the state of a stream."""
        self._db.execute(
            "INSERT OR REPLACE INTO stream VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stream.gateway, stream.stream, stream.through, stream.head, stream.highest, stream.verified,
                stream.checked, stream.suspect, stream.received_s,
            ),
        )  # fmt: skip

    def missing(self, stream: Stream) -> list[tuple[int, int]]:
        """Give the closed ranges above ``through`` that are wanted (again), the lowest 100."""
        ranges = [(stream.through + 1, stream.suspect)] if stream.suspect else []
        floor = max(stream.through, stream.suspect)
        if stream.highest <= floor:
            return ranges
        holes = self._db.execute(
            "SELECT previous + 1, seq - 1 FROM (SELECT seq, lag(seq, 1, ?) OVER (ORDER BY seq) AS previous"
            " FROM record WHERE gateway = ? AND stream = ? AND seq > ? ORDER BY seq LIMIT ?)"
            " WHERE seq > previous + 1 LIMIT ?",
            (floor, stream.gateway, stream.stream, floor, MISSING_SCAN, MISSING_RANGES - len(ranges)),
        ).fetchall()
        return ranges + holes

    # Gateways

    def public_key(self, gateway: str) -> str | None:
        """Give the pinned key of a gateway, None before its first status."""
        row = self._db.execute("SELECT public_key FROM gateway WHERE gateway = ?", (gateway,)).fetchone()
        return None if row is None else str(row[0])

    def put_status(self, status: wire.Status, payload: bytes, now_s: int) -> None:
        """Keep the last status; the first one pins the key."""
        self._db.execute(
            "INSERT INTO gateway VALUES (?, ?, ?, ?, ?) ON CONFLICT (gateway) DO UPDATE"
            " SET stream = excluded.stream, status = excluded.status, received_s = excluded.received_s",
            (status.gateway, status.public_key, status.stream, payload, now_s),
        )

    # What does not fit

    def add_finding(self, finding: Finding) -> bool:
        """Note a contradiction once; False where it is known already or the table holds enough of its kind."""
        (kept,) = self._db.execute(
            "SELECT count(*) FROM finding WHERE gateway = ? AND kind = ?", (finding.gateway, finding.kind)
        ).fetchone()
        if kept >= FINDINGS_PER_KIND:
            return False
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO finding (gateway, stream, seq, to_seq, kind, text, evidence, time_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                finding.gateway, finding.stream, finding.seq, finding.to_seq, finding.kind, finding.text,
                finding.evidence, finding.time_s,
            ),
        )  # fmt: skip
        return cursor.rowcount == 1

    def resolve(self, stream: Stream, kind: str, first: int, last: int, now_s: int) -> None:
        """Note that the findings of this kind within ``first..last`` are settled: the true bytes came."""
        self._db.execute(
            "UPDATE finding SET resolved_s = ? WHERE gateway = ? AND stream = ? AND kind = ? AND seq >= ?"
            " AND to_seq <= ? AND resolved_s IS NULL",
            (now_s, stream.gateway, stream.stream, kind, first, last),
        )

    def add_rejected(self, topic: str, why: str, payload: bytes, now_s: int) -> None:
        """Keep what was refused, the newest thousand."""
        self._db.execute(
            "INSERT INTO rejected (topic, why, bytes, payload, time_s) VALUES (?, ?, ?, ?, ?)",
            (topic, why, len(payload), payload[:REJECTED_BYTES], now_s),
        )
        self._db.execute("DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?", (REJECTED_ROWS,))


_STREAMS = "SELECT gateway, stream, through, head, highest, verified, checked, suspect, received_s FROM stream"

_WRITTEN_NOW = "(SELECT g.stream = stream.stream FROM gateway AS g WHERE g.gateway = stream.gateway)"


def _stream(row: sqlite3.Row | tuple[str, str, int, bytes, int, int, int, int, int]) -> Stream:
    gateway, stream, through, head, highest, verified, checked, suspect, received_s = row
    return Stream(
        gateway=gateway, stream=stream, through=through, head=head, highest=highest, verified=verified,
        checked=checked, suspect=suspect, received_s=received_s,
    )  # fmt: skip
