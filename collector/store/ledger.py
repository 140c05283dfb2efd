"""What the ingest writes: records and streams. All calls belong inside ``transaction()``.

Gateways, gaps and findings are tables with a keeper of their own, on the same connection.
"""

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
from collector.store.days import Day, refresh_days
from collector.store.findings import Findings
from collector.store.gaps import Gaps
from collector.store.gateways import Gateways

MISSING_RANGES = 100  # ranges that one receipt names: about 2 kB; what is named first is sent first, then the next
MISSING_SCAN = 10_000  # records above `through` that are searched for holes: a stream that lost its start stays cheap


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
    since_s: int
    public_key: str  # that signed the last checkpoint which fits; "" before the first


class Ledger:
    """The one writer of the database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = open_writer(path)
        self._file = path.stat()
        self._days: set[Day] = set()  # of this transaction, to be summed anew
        self.gateways = Gateways(self._db)
        self.gaps = Gaps(self._db)
        self.findings = Findings(self._db)

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
                refresh_days(self._db, self._days)
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
        self._days |= projections.project(self._db, gateway, record)

    def replace(self, gateway: str, old: wire.Record, record: wire.Record, payload: bytes) -> None:
        """Store a record in place of another of the same number."""
        self._days |= self.gaps.withdraw(old) if isinstance(old, wire.Gap) else set()
        self._days |= projections.withdraw(self._db, gateway, old)
        self._db.execute(
            "UPDATE record SET kind = ?, payload = ? WHERE gateway = ? AND stream = ? AND seq = ?",
            (record.kind, payload, gateway, record.stream, record.seq),
        )
        self._days |= projections.project(self._db, gateway, record)

    def declare(self, gap: wire.Gap) -> None:
        """Note a gap that its gateway signed."""
        self._days |= self.gaps.declare(gap)

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
        if (signed := self.gaps.head_after(stream.gateway, stream.stream, seq)) is not None:
            return signed
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
            received_s=now_s, since_s=now_s, public_key="",
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
            "INSERT OR REPLACE INTO stream VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stream.gateway, stream.stream, stream.through, stream.head, stream.highest, stream.verified,
                stream.checked, stream.suspect, stream.received_s, stream.since_s, stream.public_key,
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

    def is_known(self, gateway: str, stream: str) -> bool:
        """Say whether any record of this stream arrived before."""
        found = self._db.execute("SELECT 1 FROM stream WHERE gateway = ? AND stream = ?", (gateway, stream))
        return found.fetchone() is not None

    def new_streams(self, gateway: str, since_s: int) -> int:
        """Give how many streams of a gateway began since a time."""
        found = self._db.execute("SELECT count(*) FROM stream WHERE gateway = ? AND since_s >= ?", (gateway, since_s))
        return int(found.fetchone()[0])

    def rotations(self, stream: Stream, after: int, through: int) -> list[bytes]:
        """Give the payloads of the events ``key_rotated`` among the chained records ``after + 1..through``."""
        rows = self._db.execute(
            "SELECT payload FROM event JOIN record USING (gateway, stream, seq) WHERE event = 'key_rotated'"
            " AND gateway = ? AND stream = ? AND seq > ? AND seq <= ? ORDER BY seq",
            (stream.gateway, stream.stream, after, through),
        )
        return [bytes(payload) for (payload,) in rows]

    def newest_events(self, stream: Stream, event: str, most: int) -> list[bytes]:
        """Give the payloads of the newest events of this name, the newest first."""
        rows = self._db.execute(
            "SELECT payload FROM event JOIN record USING (gateway, stream, seq)"
            " WHERE gateway = ? AND stream = ? AND event = ? ORDER BY seq DESC LIMIT ?",
            (stream.gateway, stream.stream, event, most),
        )
        return [bytes(payload) for (payload,) in rows]

    def count(self, stream: Stream, above: int, through: int) -> int:
        """Give how many of the records ``above + 1..through`` are stored."""
        found = self._db.execute(
            "SELECT count(*) FROM record WHERE gateway = ? AND stream = ? AND seq > ? AND seq <= ?",
            (stream.gateway, stream.stream, above, through),
        )
        return int(found.fetchone()[0])

    def checkpoints_above(self, gateway: str, stream: str, above: int) -> list[bytes]:
        """Give the newest checkpoints of a stream above a record, ten at most."""
        rows = self._db.execute(
            "SELECT payload FROM record WHERE gateway = ? AND stream = ? AND kind = 'checkpoint' AND seq > ?"
            " ORDER BY seq DESC LIMIT 10",
            (gateway, stream, above),
        )
        return [bytes(payload) for (payload,) in rows]


_STREAMS = """
    SELECT gateway, stream, through, head, highest, verified, checked, suspect, received_s, since_s, public_key
    FROM stream
"""

_WRITTEN_NOW = "(SELECT g.stream = stream.stream FROM gateway AS g WHERE g.gateway = stream.gateway)"


def _stream(row: sqlite3.Row | tuple[str, str, int, bytes, int, int, int, int, int, int, str]) -> Stream:
    gateway, stream, through, head, highest, verified, checked, suspect, received_s, since_s, public_key = row
    return Stream(
        gateway=gateway, stream=stream, through=through, head=head, highest=highest, verified=verified,
        checked=checked, suspect=suspect, received_s=received_s, since_s=since_s, public_key=public_key,
    )  # fmt: skip
