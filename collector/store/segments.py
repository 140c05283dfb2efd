"""Runs of stored records for an auditor: what a period needs to prove itself, read while the collector writes."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from agent.deliver import chain, wire

_OF_PERIOD = """
    SELECT stream, min(seq) AS first, max(seq) AS last FROM (
        SELECT stream, seq FROM summary WHERE gateway = ?1 AND start_s >= ?2 AND start_s < ?3
        UNION ALL SELECT stream, seq FROM shadow WHERE gateway = ?1 AND start_s >= ?2 AND start_s < ?3
        UNION ALL SELECT stream, seq FROM alarm WHERE gateway = ?1 AND time_s >= ?2 AND time_s < ?3
        UNION ALL SELECT stream, seq FROM event WHERE gateway = ?1 AND time_s >= ?2 AND time_s < ?3
        UNION ALL SELECT stream, seq FROM gap_total WHERE gateway = ?1 AND end_s > ?2 AND start_s < ?3
        UNION ALL SELECT stream, from_seq FROM gap JOIN gap_total USING (gateway, stream, seq)
                  WHERE gateway = ?1 AND end_s > ?2 AND start_s < ?3
    ) GROUP BY stream ORDER BY stream
"""
_SPEAKING_OF = """
    SELECT max(seq) FROM (
        SELECT seq FROM gap WHERE gateway = ?1 AND stream = ?2 AND from_seq <= ?4 AND through_seq >= ?3
        UNION ALL
        SELECT seq FROM correction WHERE gateway = ?1 AND stream = ?2 AND from_seq <= ?4 AND through_seq >= ?3
    )
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Records ``first_seq..last_seq`` of a stream, with the chain head before them."""

    gateway: str
    stream: str
    first_seq: int
    last_seq: int
    head: bytes
    highest: int = 0  # largest number that arrived; 0 where it was not asked for


class Segments:
    """Reads one consistent view of a collector's database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def of_period(self, gateway: str, from_s: int, to_s: int) -> list[Run]:
        """Give the runs that tell of ``[from_s, to_s)``, each from a checkpoint before it to one after it."""
        rows = self._db.execute(_OF_PERIOD, (gateway, from_s, to_s)).fetchall()
        return [self._whole(gateway, stream, first, last) for stream, first, last in rows]

    def all(self) -> list[Run]:
        """Give every stream as far as it is chained, for a check of the whole database."""
        rows = self._db.execute("SELECT gateway, stream, through, highest FROM stream ORDER BY gateway, stream")
        return [
            Run(
                gateway=gateway, stream=stream, first_seq=1, last_seq=through, highest=highest,
                head=chain.first_head(gateway, stream),
            )
            for gateway, stream, through, highest in rows.fetchall()
        ]  # fmt: skip

    def _whole(self, gateway: str, stream: str, first: int, last: int) -> Run:
        """Widen a range to what later records say of it, and to the checkpoints around."""
        while (later := self._one(_SPEAKING_OF, gateway, stream, first, last)) is not None and later > last:
            last = later
        end = self._one(f"SELECT min(seq) {_CHECKPOINT} AND seq > ?3", gateway, stream, last)
        begin = self._one(f"SELECT max(seq) {_CHECKPOINT} AND seq <= ?3 AND head IS NOT NULL", gateway, stream, first)
        if end is None:
            end = self._one("SELECT max(seq) FROM record WHERE gateway = ?1 AND stream = ?2", gateway, stream)
        head = chain.first_head(gateway, stream) if begin is None else self._signed_head(gateway, stream, begin)
        return Run(gateway=gateway, stream=stream, first_seq=begin or 1, last_seq=end or last, head=head)

    def _signed_head(self, gateway: str, stream: str, seq: int) -> bytes:
        row = self._db.execute(
            "SELECT payload FROM record WHERE gateway = ? AND stream = ? AND seq = ?", (gateway, stream, seq)
        ).fetchone()
        checkpoint = wire.decode(row[0])
        assert isinstance(checkpoint, wire.Checkpoint)
        return bytes.fromhex(checkpoint.head)

    def _one(self, sql: str, *values: str | int) -> int | None:
        value: int | None = self._db.execute(sql, values).fetchone()[0]
        return value

    def lines(self, run: Run) -> Iterator[tuple[bytes, bytes | None]]:
        """Give payload and chain head of each record of a run."""
        rows = self._db.execute(
            "SELECT payload, head FROM record WHERE gateway = ? AND stream = ? AND seq BETWEEN ? AND ? ORDER BY seq",
            (run.gateway, run.stream, run.first_seq, run.last_seq),
        )
        for payload, head in rows:
            yield bytes(payload), head

    def keys(self, gateway: str) -> tuple[str, ...]:
        """Give the keys that were ever pinned for a gateway, in order."""
        rows = self._db.execute(
            "SELECT public_key FROM gateway_key WHERE gateway = ? ORDER BY since_s, rowid", (gateway,)
        ).fetchall()
        return tuple(str(row[0]) for row in rows)

    def gateways(self) -> dict[str, bytes]:
        """Give the last status of each gateway."""
        return {name: bytes(status) for name, status in self._db.execute("SELECT gateway, status FROM gateway")}

    def findings(self, gateway: str) -> list[sqlite3.Row]:
        """Give all findings of a gateway, the first one first."""
        return self._db.execute("SELECT * FROM finding WHERE gateway = ? ORDER BY id", (gateway,)).fetchall()


_CHECKPOINT = "FROM record WHERE gateway = ?1 AND stream = ?2 AND kind = 'checkpoint'"
