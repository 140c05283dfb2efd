"""From records to what queries need: a row per window, per meter and day, per alarm message, per event."""

import sqlite3
from collections.abc import Iterable

import msgspec

from agent.deliver import wire

DAY_S = 86_400

Day = tuple[str, str, int]  # gateway, meter, 00:00 UTC


def project(db: sqlite3.Connection, gateway: str, record: wire.Record) -> Day | None:
    """Store the queryable part of a record; gives the day of a meter whose sums must be refreshed."""
    match record:
        case wire.Summary():
            return _summary(db, gateway, record)
        case wire.Alarm():
            _alarm(db, gateway, record)
        case wire.Event():
            _event(db, gateway, record)
    return None


def withdraw(db: sqlite3.Connection, gateway: str, record: wire.Record) -> Day | None:
    """Take back what :func:`project` stored; gives the day that must be refreshed."""
    if isinstance(record, wire.Alarm | wire.Event):
        where = "WHERE gateway = ? AND stream = ? AND seq = ?"
        db.execute(f"DELETE FROM {record.kind} {where}", (gateway, record.stream, record.seq))  # noqa: S608
    if not isinstance(record, wire.Summary):
        return None
    db.execute(
        "DELETE FROM summary WHERE gateway = ? AND meter = ? AND start_s = ? AND stream = ? AND seq = ?",
        (gateway, record.meter, record.start_s, record.stream, record.seq),
    )
    return _day(gateway, record)


def _day(gateway: str, record: wire.Summary) -> Day:
    return gateway, record.meter, record.start_s - record.start_s % DAY_S


def _summary(db: sqlite3.Connection, gateway: str, record: wire.Summary) -> Day:
    _replace(
        db, "summary", gateway, record.meter, record.start_s, record.window_s, record.coverage, record.quality,
        record.active_power_w, record.active_power_min_w, record.active_power_max_w, record.power_factor,
        record.active_energy_import_wh, record.active_energy_export_wh, record.verdict, record.score,
        *record.mining_w, record.since_s, record.stream, record.seq,
    )  # fmt: skip
    return _day(gateway, record)


def _alarm(db: sqlite3.Connection, gateway: str, record: wire.Alarm) -> None:
    _replace(
        db, "alarm", gateway, record.stream, record.seq, record.meter, record.alarm, record.state, record.time_s,
        record.raised_s, record.verdict, record.score, *record.mining_w, record.mining_share, record.since_s,
        msgspec.json.encode(record.reasons).decode(),
    )  # fmt: skip


def _event(db: sqlite3.Connection, gateway: str, record: wire.Event) -> None:
    _replace(
        db, "event", gateway, record.stream, record.seq, record.meter, record.event, record.time_s, record.text,
        msgspec.json.encode(record.data).decode(),
    )  # fmt: skip


def _replace(db: sqlite3.Connection, table: str, *values: str | float | None) -> None:
    db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608


_LAST_READING = (
    "(SELECT active_energy_{0}_wh FROM summary WHERE gateway = :gateway AND meter = :meter AND start_s >= :day_s"
    " AND start_s < :end_s AND active_energy_{0}_wh IS NOT NULL ORDER BY start_s DESC LIMIT 1)"
)
_DAY_SUMS = f"""
    INSERT OR REPLACE INTO meter_day
    SELECT :gateway, :meter, :day_s, count(*),
           total(active_power_w * window_s * coverage) / 3600,
           total(CASE quality WHEN 'G' THEN mining_p50_w * window_s END) / 3600,
           {_LAST_READING.format("import")}, {_LAST_READING.format("export")}
    FROM summary WHERE gateway = :gateway AND meter = :meter AND start_s >= :day_s AND start_s < :end_s
"""  # noqa: S608 - built of constants


def refresh_days(db: sqlite3.Connection, days: Iterable[Day]) -> None:
    """Sum these days of these meters anew: cheap, and right in whatever order windows arrive."""
    db.executemany(
        _DAY_SUMS,
        [{"gateway": g, "meter": m, "day_s": day_s, "end_s": day_s + DAY_S} for g, m, day_s in days],
    )
