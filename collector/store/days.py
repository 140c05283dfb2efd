"""The sums of each meter and day: of the windows that are here, and of what declared gaps say of those that are not."""

import sqlite3
from collections.abc import Iterable

DAY_S = 86_400

Day = tuple[str, str, int]  # gateway, meter, 00:00 UTC

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
_IN_FORCE = """
    NOT EXISTS (SELECT 1 FROM gap AS later
                WHERE later.gateway = gap.gateway AND later.stream = gap.stream AND later.seq > gap.seq
                AND (gap.seq BETWEEN later.from_seq AND later.through_seq
                     OR gap.from_seq >= later.from_seq AND gap.through_seq <= later.through_seq))
"""
"""A gap whose own record was dropped is told again by a later one, alone or joined with its neighbours."""
_GAPS_OF_DAY = f"""
    SELECT gap_total.stream, from_seq, through_seq, start_s, end_s, load_wh, mining_wh, active_energy_import_wh,
           active_energy_export_wh
    FROM gap_total JOIN gap USING (gateway, stream, seq)
    WHERE gateway = :gateway AND meter = :meter AND end_s > :day_s AND start_s < :end_s AND {_IN_FORCE}
    ORDER BY end_s
"""  # noqa: S608 - built of constants
_LATER = (
    "SELECT 1 FROM summary WHERE gateway = :gateway AND meter = :meter AND start_s >= :day_s AND start_s < :end_s"
    " AND start_s + window_s > :time_s AND active_energy_{}_wh IS NOT NULL LIMIT 1"
)
_ARRIVED = """
    SELECT total(active_power_w * window_s * coverage) / 3600,
           total(CASE quality WHEN 'G' THEN mining_p50_w * window_s END) / 3600, total(window_s),
           total(CASE WHEN start_s >= :day_s AND start_s < :end_s THEN window_s END)
    FROM summary WHERE gateway = :gateway AND meter = :meter AND stream = :stream
         AND start_s >= :gap_start_s AND start_s < :gap_end_s AND seq BETWEEN :from_seq AND :through_seq
"""


def day_of(gateway: str, meter: str, time_s: int) -> Day:
    """Give the day of a time."""
    return gateway, meter, time_s - time_s % DAY_S


def days_between(gateway: str, meter: str, start_s: int, end_s: int) -> set[Day]:
    """Give every day that ``[start_s, end_s)`` touches."""
    return {(gateway, meter, day_s) for day_s in range(start_s - start_s % DAY_S, end_s, DAY_S)}


def days_of_gaps(db: sqlite3.Connection, gateway: str, meter: str, stream: str, seq: int) -> set[Day]:
    """Give the days of the gaps that say that this record is lost: where it is here after all, they tell less."""
    rows = db.execute(
        "SELECT start_s, end_s FROM gap JOIN gap_total USING (gateway, stream, seq)"
        " WHERE gateway = ? AND stream = ? AND meter = ? AND from_seq <= ? AND through_seq >= ?",
        (gateway, stream, meter, seq, seq),
    ).fetchall()
    return {day for start_s, end_s in rows for day in days_between(gateway, meter, start_s, end_s)}


def refresh_days(db: sqlite3.Connection, days: Iterable[Day]) -> None:
    """Sum these days of these meters anew: cheap, and right in whatever order windows and gaps arrive."""
    for gateway, meter, day_s in days:
        named: dict[str, str | int] = {"gateway": gateway, "meter": meter, "day_s": day_s, "end_s": day_s + DAY_S}
        db.execute(_DAY_SUMS, named)
        for gap in db.execute(_GAPS_OF_DAY, named).fetchall():
            _add_gap(db, named, *gap)


def _add_gap(
    db: sqlite3.Connection, named: dict[str, str | int], stream: str, from_seq: int, through_seq: int, start_s: int,
    end_s: int, load_wh: float, mining_wh: float, import_wh: float | None, export_wh: float | None,
) -> None:  # fmt: skip
    """Add a gap's share of a day: what its windows told, less those that arrived, spread over the time without any."""
    day_s, day_end_s = int(named["day_s"]), int(named["end_s"])
    arrived_wh, arrived_mining_wh, arrived_s, arrived_today_s = db.execute(
        _ARRIVED,
        {
            **named, "stream": stream, "gap_start_s": start_s, "gap_end_s": end_s, "from_seq": from_seq,
            "through_seq": through_seq,
        },
    ).fetchone()  # fmt: skip
    today_s = min(end_s, day_end_s) - max(start_s, day_s) - arrived_today_s
    share = max(0.0, today_s / (end_s - start_s - arrived_s)) if end_s - start_s > arrived_s else 0.0
    ends_today = end_s <= day_end_s
    db.execute(
        "UPDATE meter_day SET load_wh = load_wh + ?, mining_wh = mining_wh + ?,"
        " active_energy_import_wh = coalesce(?, active_energy_import_wh),"
        " active_energy_export_wh = coalesce(?, active_energy_export_wh)"
        " WHERE gateway = ? AND meter = ? AND day_s = ?",
        (
            (load_wh - arrived_wh) * share, max(0.0, mining_wh - arrived_mining_wh) * share,
            import_wh if ends_today and not _later(db, named, end_s, "import") else None,
            export_wh if ends_today and not _later(db, named, end_s, "export") else None,
            named["gateway"], named["meter"], day_s,
        ),
    )  # fmt: skip


def _later(db: sqlite3.Connection, named: dict[str, str | int], time_s: int, register: str) -> bool:
    """Say whether a window of the day ends after a time and has a reading of this register."""
    return db.execute(_LATER.format(register), {**named, "time_s": time_s}).fetchone() is not None
