"""From records to what queries need: a row per window, per alarm message, event, correction and reply.

A record's times are those that it told, plus what a ``clock_correction`` of its stream says; the
payload is never touched. Whatever is projected can be withdrawn, so records may arrive, be healed
and be dated anew in any order, and the tables end the same.
"""

import math
import sqlite3
from collections.abc import Iterator

import msgspec

from agent.deliver import wire
from collector.store.days import Day, day_of, days_of_gaps

CORRECTED_MOST = 200_000  # records that one correction dates anew: 100 days of 20 meters, some seconds of work
CORRECTIONS_MOST = 2000  # a stream's corrections at most: a boot a day for five years
CORRECTED_AGAIN_MOST = 10  # corrections of the same records at most: an honest gateway needs one
OFFSET_MOST_S = 1e10  # 300 years: a clock that starts in 1970 or 2106 is nearer

_TIME_MOST_S = 253_402_300_799  # as in collector/ingest/reading.py
_PLACE = "WHERE gateway = ? AND meter = ? AND start_s = ? AND part = ?"
_TRUST = {"S": 3, "I": 2, "R": 1, "U": 0}


def project(db: sqlite3.Connection, gateway: str, record: wire.Record) -> set[Day]:
    """Store the queryable part of a record; gives the days of meters whose sums must be refreshed."""
    match record:
        case wire.Summary():
            return _summary(db, gateway, record)
        case wire.Alarm():
            _alarm(db, gateway, record)
        case wire.Event():
            _event(db, gateway, record)
            if correction := _correction(record):
                return _date_anew(db, gateway, record, correction)
        case wire.Reply():
            _reply(db, gateway, record)
    return set()


def withdraw(db: sqlite3.Connection, gateway: str, record: wire.Record) -> set[Day]:
    """Take back what :func:`project` stored; gives the days that must be refreshed."""
    if isinstance(record, wire.Summary):
        return _withdraw_summary(db, gateway, record)
    if isinstance(record, wire.Alarm | wire.Event | wire.Reply):
        where = "WHERE gateway = ? AND stream = ? AND seq = ?"
        db.execute(f"DELETE FROM {record.kind} {where}", (gateway, record.stream, record.seq))  # noqa: S608
    if isinstance(record, wire.Event) and _correction(record):
        return _date_anew(db, gateway, record, None)
    return set()


# Windows: one row for a meter and start, whoever tells it


def _summary(db: sqlite3.Connection, gateway: str, record: wire.Summary) -> set[Day]:
    offset_s = _offset_s(db, gateway, record.stream, record.seq)
    start_s = _shifted(record.start_s, offset_s)
    days = {day_of(gateway, record.meter, start_s)} | days_of_gaps(db, gateway, record.meter, record.stream, record.seq)
    place = (gateway, record.meter, start_s, record.part)
    other = db.execute(
        f"SELECT clock, offset_s, coverage, stream, seq FROM summary {_PLACE}",  # noqa: S608 - a constant
        place,
    ).fetchone()
    if other is not None and other[3:] != (record.stream, record.seq):
        mine = (record.clock, offset_s, record.coverage, record.stream, record.seq)
        loser = min(mine, other, key=_rank)
        _add(db, "shadow", *place, *loser[3:])
        if loser is mine:
            return days
    _replace(
        db, "summary", *place, record.window_s, record.coverage, record.quality,
        record.active_power_w, record.active_power_min_w, record.active_power_max_w, record.power_factor,
        record.active_energy_import_wh, record.active_energy_export_wh, record.verdict, record.score,
        *record.mining_w, _since(record.since_s, offset_s), record.stream, record.seq, record.clock, offset_s,
    )  # fmt: skip
    return days


def _rank(row: tuple[str, int, float, str, int]) -> tuple[int, float, str, int]:
    """Order two records of one window: the better trust, the better covered; else by name, so that all agree."""
    clock, offset_s, coverage, stream, seq = row
    return _TRUST["I"] if offset_s else _TRUST[clock], coverage, stream, seq


def _withdraw_summary(db: sqlite3.Connection, gateway: str, record: wire.Summary) -> set[Day]:
    start_s = _shifted(record.start_s, _offset_s(db, gateway, record.stream, record.seq))
    place, number = (gateway, record.meter, start_s, record.part), (record.stream, record.seq)
    db.execute(f"DELETE FROM shadow {_PLACE} AND stream = ? AND seq = ?", (*place, *number))  # noqa: S608
    gone = db.execute(f"DELETE FROM summary {_PLACE} AND stream = ? AND seq = ?", (*place, *number))  # noqa: S608
    days = {day_of(gateway, record.meter, start_s)} | days_of_gaps(db, gateway, record.meter, *number)
    if gone.rowcount:
        others = db.execute(f"SELECT stream, seq FROM shadow {_PLACE}", place).fetchall()  # noqa: S608
        db.execute(f"DELETE FROM shadow {_PLACE}", place)  # noqa: S608
        for stream, seq in others:
            for other in _stored(db, gateway, stream, seq, seq):
                days |= project(db, gateway, other)
    return days


# Alarms, events, replies


def _alarm(db: sqlite3.Connection, gateway: str, record: wire.Alarm) -> None:
    offset_s = _offset_s(db, gateway, record.stream, record.seq)
    _add(
        db, "alarm", gateway, record.stream, record.seq, record.meter, record.alarm, record.state,
        _shifted(record.time_s, offset_s), _shifted(record.raised_s, offset_s), record.verdict, record.score,
        *record.mining_w, record.mining_share, _since(record.since_s, offset_s),
        msgspec.json.encode(record.reasons).decode(), record.clock,
    )  # fmt: skip


def _event(db: sqlite3.Connection, gateway: str, record: wire.Event) -> None:
    time_s = _shifted(record.time_s, _offset_s(db, gateway, record.stream, record.seq))
    _add(
        db, "event", gateway, record.stream, record.seq, record.meter, record.event, time_s, record.text,
        msgspec.json.encode(record.data).decode(), record.clock,
    )  # fmt: skip


def _reply(db: sqlite3.Connection, gateway: str, record: wire.Reply) -> None:
    _replace(
        db, "reply", gateway, record.stream, record.seq, record.counter, record.command, record.state, record.time_s,
        record.text, msgspec.json.encode(record.data).decode(), len(record.attachment),
    )  # fmt: skip


# Dating anew


def _correction(event: wire.Event) -> tuple[int, int, float] | None:
    """Give first record, last record and offset of a ``clock_correction``; None where it is none, or senseless."""
    if event.event != "clock_correction":
        return None
    first, last, offset_s = (event.data.get(name) for name in ("from_seq", "through_seq", "offset_s"))
    if not isinstance(first, int) or not isinstance(last, int) or not isinstance(offset_s, int | float):
        return None
    sound = 1 <= first <= last < event.seq and math.isfinite(offset_s) and abs(offset_s) <= OFFSET_MOST_S
    return (first, last, float(offset_s)) if sound else None


def _date_anew(
    db: sqlite3.Connection, gateway: str, event: wire.Event, correction: tuple[int, int, float] | None
) -> set[Day]:
    """Put a correction into force, or (None) out of it, and project the records that it speaks of again."""
    where = "WHERE gateway = ? AND stream = ?"
    first, last, _ = _correction(event) or (0, 0, 0.0)
    known, again = db.execute(
        f"SELECT count(*), total(from_seq <= ? AND through_seq >= ?) FROM correction {where}",  # noqa: S608
        (last, first, gateway, event.stream),
    ).fetchone()
    excessive = known >= CORRECTIONS_MOST or again >= CORRECTED_AGAIN_MOST or last - first > CORRECTED_MOST
    if correction and excessive:
        return set()
    days: set[Day] = set()
    concerned = list(_stored(db, gateway, event.stream, first, last))
    for record in concerned:
        days |= withdraw(db, gateway, record)
    db.execute(f"DELETE FROM correction {where} AND seq = ?", (gateway, event.stream, event.seq))  # noqa: S608
    if correction:
        _replace(db, "correction", gateway, event.stream, event.seq, *correction)
    for record in concerned:
        days |= project(db, gateway, record)
    return days


def _offset_s(db: sqlite3.Connection, gateway: str, stream: str, seq: int) -> int:
    row = db.execute(
        "SELECT offset_s FROM correction WHERE gateway = ? AND stream = ? AND from_seq <= ? AND through_seq >= ?"
        " ORDER BY seq DESC LIMIT 1",
        (gateway, stream, seq, seq),
    ).fetchone()
    return 0 if row is None else round(row[0])


def _shifted(time_s: int, offset_s: int) -> int:
    """Give a time that was told as it truly was, within what a page can show."""
    return min(max(0, time_s + offset_s), _TIME_MOST_S)


def _since(time_s: int | None, offset_s: int) -> int | None:
    return None if time_s is None else _shifted(time_s, offset_s)


def _stored(db: sqlite3.Connection, gateway: str, stream: str, first: int, last: int) -> Iterator[wire.Record]:
    """Give the stored records of this range that carry a time of their own; corrections are not corrected."""
    rows = db.execute(
        "SELECT payload FROM record WHERE gateway = ? AND stream = ? AND seq BETWEEN ? AND ?"
        " AND kind IN ('summary', 'alarm', 'event')",
        (gateway, stream, first, last),
    )
    for (payload,) in rows.fetchall():
        record = wire.decode(payload)
        if isinstance(record, wire.Summary | wire.Alarm) or (
            isinstance(record, wire.Event) and not _correction(record)
        ):
            yield record


def _add(db: sqlite3.Connection, table: str, *values: str | float | None) -> None:
    db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608


def _replace(db: sqlite3.Connection, table: str, *values: str | float | None) -> None:
    db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608
