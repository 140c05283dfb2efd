"""Declared gaps: where the chain may be carried over records that are lost for good, and what these told."""

import sqlite3
from dataclasses import dataclass

import msgspec

from agent.deliver import wire
from collector.store.days import Day, days_between


@dataclass(frozen=True, slots=True)
class Declared:
    """The end of a gap, and the chain head there."""

    through_seq: int
    head: bytes


class Gaps:
    """The tables `gap` and `gap_total`; only properly signed statements come in."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def undeclared(self, gateway: str, stream: str) -> list[bytes]:
        """Give the payloads of the gap records of a stream that are not declared."""
        rows = self._db.execute(
            "SELECT payload FROM record WHERE gateway = ?1 AND stream = ?2 AND kind = 'gap'"
            " AND seq NOT IN (SELECT seq FROM gap WHERE gateway = ?1 AND stream = ?2) ORDER BY seq",
            (gateway, stream),
        )
        return [bytes(payload) for (payload,) in rows]

    def is_declared(self, gap: wire.Gap) -> bool:
        """Say whether a gap is believed already, with whatever it says."""
        row = self._db.execute(
            "SELECT 1 FROM gap WHERE gateway = ? AND stream = ? AND seq = ?", (gap.gateway, gap.stream, gap.seq)
        ).fetchone()
        return row is not None

    def declare(self, gap: wire.Gap) -> set[Day]:
        """Note a gap and its totals; gives the days of meters whose sums must be refreshed."""
        place = (gap.gateway, gap.stream, gap.seq)
        days = self._days_within(gap)
        self._db.execute(
            "INSERT OR REPLACE INTO gap VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *place, gap.from_seq, gap.through_seq, bytes.fromhex(gap.head), gap.cause, gap.time_s,
                msgspec.json.encode(gap.records, order="sorted").decode(),
            ),
        )  # fmt: skip
        self._db.executemany(
            "INSERT OR REPLACE INTO gap_total VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *place, total.meter, total.start_s, total.end_s, total.coverage, total.load_wh, total.mining_wh,
                    total.active_energy_import_wh, total.active_energy_export_wh,
                )
                for total in gap.totals
            ],
        )  # fmt: skip
        return days | _days(gap)

    def withdraw(self, gap: wire.Gap) -> set[Day]:
        """Take back a gap whose record turned out to be altered."""
        for table in ("gap", "gap_total"):
            self._db.execute(
                f"DELETE FROM {table} WHERE gateway = ? AND stream = ? AND seq = ?",  # noqa: S608 - two constants
                (gap.gateway, gap.stream, gap.seq),
            )
        return _days(gap) | self._days_within(gap)

    def _days_within(self, gap: wire.Gap) -> set[Day]:
        """Give the days of the gaps whose own record lies in this one: their totals live on in its."""
        rows = self._db.execute(
            "SELECT meter, start_s, end_s FROM gap_total WHERE gateway = ? AND stream = ? AND seq BETWEEN ? AND ?",
            (gap.gateway, gap.stream, gap.from_seq, gap.through_seq),
        ).fetchall()
        return {day for meter, start_s, end_s in rows for day in days_between(gap.gateway, meter, start_s, end_s)}

    def over(self, gateway: str, stream: str, through: int, suspect: int) -> Declared | None:
        """Give the gap that the chain can be carried over from record ``through``; None where there is none.

        What lies below a gap was receipted, so the gateway's own head confirmed it: a gap that begins within the
        range that is asked for again ends the asking.
        """
        row = self._db.execute(
            "SELECT through_seq, head FROM gap WHERE gateway = ? AND stream = ? AND from_seq <= ? AND through_seq > ?"
            " ORDER BY through_seq DESC LIMIT 1",
            (gateway, stream, max(through + 1, suspect), through),
        ).fetchone()
        return None if row is None else Declared(int(row[0]), bytes(row[1]))

    def covers(self, gateway: str, stream: str, seq: int) -> bool:
        """Say whether a record was declared lost."""
        row = self._db.execute(
            "SELECT 1 FROM gap WHERE gateway = ? AND stream = ? AND from_seq <= ? AND through_seq >= ? LIMIT 1",
            (gateway, stream, seq, seq),
        ).fetchone()
        return row is not None

    def head_after(self, gateway: str, stream: str, seq: int) -> bytes | None:
        """Give the signed head at the end of a gap."""
        row = self._db.execute(
            "SELECT head FROM gap WHERE gateway = ? AND stream = ? AND through_seq = ? LIMIT 1", (gateway, stream, seq)
        ).fetchone()
        return None if row is None else bytes(row[0])


def _days(gap: wire.Gap) -> set[Day]:
    totals = gap.totals
    return {day for total in totals for day in days_between(gap.gateway, total.meter, total.start_s, total.end_s)}
