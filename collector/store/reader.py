"""What the page and the reports ask of the database, over a read-only connection."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from agent.deliver import wire
from collector.store.database import open_reader, translated
from collector.store.days import DAY_S
from collector.store.findings import INFORMATION

Row = sqlite3.Row

_SERIOUSNESS = ("normal", "declared", "flat", "inconclusive", "fault", "suspect", "mining")
_RANK = "CASE verdict " + " ".join(f"WHEN '{name}' THEN {rank}" for rank, name in enumerate(_SERIOUSNESS)) + " END"
_ALARMS = """
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY gateway, alarm ORDER BY time_s DESC, seq DESC) AS newest FROM alarm
    ) WHERE newest = 1 ORDER BY state = 'cleared', mining_p50_w DESC, time_s DESC LIMIT ?
"""
_SERIES = f"""
    SELECT start_s - (start_s - :from_s) % :step_s AS bucket_s,
           avg(active_power_w) AS active_power_w, min(active_power_min_w) AS active_power_min_w,
           max(active_power_max_w) AS active_power_max_w, avg(mining_p10_w) AS mining_p10_w,
           avg(mining_p50_w) AS mining_p50_w, avg(mining_p90_w) AS mining_p90_w,
           avg(coverage) AS coverage, max({_RANK}) AS rank
    FROM summary WHERE gateway = :gateway AND meter = :meter AND start_s >= :from_s AND start_s < :to_s
    GROUP BY bucket_s ORDER BY bucket_s
"""  # noqa: S608 - built of constants
_DAYS = f"""
    SELECT *, day_s IN (
        SELECT start_s - start_s % {DAY_S} FROM summary
        WHERE gateway = :gateway AND meter = :meter AND quality IN ('X', 'R')
    ) AS exchanged
    FROM meter_day WHERE gateway = :gateway AND meter = :meter ORDER BY day_s
"""  # noqa: S608 - built of constants
_BEFORE_ALARM = """
    SELECT coalesce(sum(wh), 0.0) AS wh FROM (
        SELECT max(min(alarm.mining_p50_w, max(active_power_w, 0.0))) * window_s / 3600.0 AS wh
        FROM alarm JOIN summary USING (gateway, meter)
        WHERE gateway = ? AND meter = ? AND alarm.state = 'raised'
              AND start_s >= alarm.since_s AND start_s < alarm.raised_s
              AND summary.mining_p50_w = 0 AND quality = 'G' AND active_power_w IS NOT NULL
        GROUP BY start_s
    )
"""


_FINDINGS = f"""
    SELECT gateway, stream, seq, to_seq, kind, text, time_s, resolved_s FROM finding
    ORDER BY resolved_s IS NOT NULL, kind IN ({", ".join(f"'{kind}'" for kind in sorted(INFORMATION))}), id DESC LIMIT ?
"""  # noqa: S608 - built of constants


class Reader:
    """Queries; each gives rows that are addressed by column name."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def _all(self, sql: str, values: Sequence[str | int] = ()) -> list[Row]:
        return self._db.execute(sql, values).fetchall()

    def gateways(self) -> list[Row]:
        """Give gateway, status payload and time of receipt of each gateway that reported a status."""
        return self._all("SELECT gateway, stream, status, received_s FROM gateway ORDER BY gateway")

    def meters(self) -> list[tuple[str, str]]:
        """Give (gateway, meter) of each meter that has a summary."""
        return [(row["gateway"], row["meter"]) for row in self._all("SELECT DISTINCT gateway, meter FROM meter_day")]

    def latest(self, gateway: str, meter: str) -> Row | None:
        """Give the newest summary of a meter."""
        rows = self._all(
            "SELECT * FROM summary WHERE gateway = ? AND meter = ? ORDER BY start_s DESC LIMIT 1", (gateway, meter)
        )
        return rows[0] if rows else None

    def first_s(self, gateway: str, meter: str, from_s: int) -> int | None:
        """Give the start of the first window at or after ``from_s``."""
        sql = "SELECT min(start_s) AS first_s FROM summary WHERE gateway = ? AND meter = ? AND start_s >= ?"
        first: int | None = self._all(sql, (gateway, meter, from_s))[0]["first_s"]
        return first

    def days(self, gateway: str, meter: str) -> list[Row]:
        """Give the sums of each day of a meter, in order, and whether it was ``exchanged`` or reset in it."""
        return self._db.execute(_DAYS, {"gateway": gateway, "meter": meter}).fetchall()

    def mining_before_alarm_wh(self, gateway: str, meter: str) -> float:
        """Give the mining energy from the start that an alarm named until it was raised, which no summary knew then."""
        wh: float = self._all(_BEFORE_ALARM, (gateway, meter))[0]["wh"]
        return wh

    def curve(self, gateway: str, meter: str, from_s: int, step_s: int) -> list[Row]:
        """Give ``place`` and the mean ``active_power_w`` of each step since ``from_s`` that has a window."""
        return self._all(
            "SELECT (start_s - ?3) / ?4 AS place, avg(active_power_w) AS active_power_w FROM summary"
            " WHERE gateway = ?1 AND meter = ?2 AND start_s >= ?3 GROUP BY place ORDER BY place",
            (gateway, meter, from_s, step_s),
        )

    def series(self, gateway: str, meter: str, from_s: int, to_s: int, step_s: int) -> list[Row]:
        """Give the steps of ``[from_s, to_s)`` that have a window: mean power, extremes, the estimate, the verdict.

        ``rank`` is that of the most serious verdict of the step: see :func:`verdict_of_rank`.
        """
        named = {"gateway": gateway, "meter": meter, "from_s": from_s, "to_s": to_s, "step_s": step_s}
        return self._db.execute(_SERIES, named).fetchall()

    def alarms(self, most: int) -> list[Row]:
        """Give the present state of each alarm, open ones first, the largest mining load first."""
        return self._all(_ALARMS, (most,))

    def alarm_history(self, gateway: str, meter: str, most: int) -> list[Row]:
        """Give the alarm messages of one meter, the newest first."""
        return self._all(
            "SELECT * FROM alarm WHERE gateway = ? AND meter = ? ORDER BY time_s DESC, seq DESC LIMIT ?",
            (gateway, meter, most),
        )

    def events(self, most: int) -> list[Row]:
        """Give the newest events; a site's days are no news of this kind."""
        return self._all(
            "SELECT * FROM event WHERE event <> 'site_day' ORDER BY time_s DESC, seq DESC LIMIT ?", (most,)
        )

    def site_day(self, gateway: str) -> str | None:
        """Give the text of the newest day that a gateway told of its site."""
        rows = self._all(
            "SELECT text FROM event WHERE gateway = ? AND event = 'site_day' ORDER BY time_s DESC, seq DESC LIMIT 1",
            (gateway,),
        )
        return rows[0]["text"] if rows else None

    def findings(self, most: int) -> list[Row]:
        """Give the findings: open ones first, what is mere information last of them, the newest first."""
        return self._all(_FINDINGS, (most,))

    def finding_counts(self) -> list[Row]:
        """Give ``kind``, ``open`` and ``total`` of the findings that are kept."""
        return self._all(
            "SELECT kind, count(*) - count(resolved_s) AS open, count(*) AS total FROM finding GROUP BY kind"
        )

    def heard(self) -> list[Row]:
        """Give each gateway with its last status, and when anything of it arrived last."""
        return self._all("SELECT gateway, status, heard_s, goodbye, window_s FROM gateway ORDER BY gateway")

    def gaps(self, most: int) -> list[Row]:
        """Give the declared gaps, the newest first."""
        return self._all("SELECT * FROM gap ORDER BY time_s DESC, gateway, stream, seq DESC LIMIT ?", (most,))

    def gap_totals(self, gateway: str, stream: str, seq: int) -> list[Row]:
        """Give what is left of the meters of one gap."""
        return self._all(
            "SELECT * FROM gap_total WHERE gateway = ? AND stream = ? AND seq = ? ORDER BY meter",
            (gateway, stream, seq),
        )

    def replies(self, most: int) -> list[Row]:
        """Give what became of commands, the newest first."""
        return self._all("SELECT * FROM reply ORDER BY time_s DESC, seq DESC LIMIT ?", (most,))

    def written_now(self) -> list[Row]:
        """Give the stream that each gateway writes now."""
        return self._all("SELECT stream.* FROM stream JOIN gateway USING (gateway, stream) ORDER BY gateway")

    def rejected_count(self) -> int:
        """Give how many messages were ever rejected."""
        return int(self._all("SELECT coalesce(max(id), 0) AS count FROM rejected")[0]["count"])

    def record_count(self) -> int:
        """Give how many records were ever stored."""
        return int(self._all("SELECT coalesce(max(id), 0) AS count FROM record")[0]["count"])

    def streams(self, most: int) -> list[Row]:
        """Give how far each stream is committed and verified, the newest first."""
        return self._all("SELECT * FROM stream ORDER BY received_s DESC, gateway, stream LIMIT ?", (most,))

    def rejected(self, most: int) -> list[Row]:
        """Give the newest rejected messages."""
        return self._all("SELECT * FROM rejected ORDER BY id DESC LIMIT ?", (most,))


def verdict_of_rank(rank: int | None) -> str | None:
    """Give the verdict that a rank stands for; None for one that this software does not know."""
    return None if rank is None else _SERIOUSNESS[rank]


def reasons(row: Row) -> list[wire.Reason]:
    """Give the reasons of an alarm's row."""
    return msgspec.json.decode(row["reasons"], type=list[wire.Reason])


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Open a reader, in one consistent view of the database."""
    with translated(path), closing(open_reader(path)) as db:
        db.execute("BEGIN")
        yield Reader(db)
