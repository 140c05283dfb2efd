"""What the device remembers: 400 days of window records on disk, and their hourly means in memory.

History is worth more than any feature (docs/detection.md), so it outlives restarts and can be
filled from a utility's recording. The file may lose its last window in a crash; it is a cache
of evidence, not the evidence, which lies in the spool.

No clock destroys it. The arrays in memory hold the 400 days up to the newest window; where the
time leaps out of them, forward or back, they are read from disk again as of that day. On disk the
newest 400 days that have windows are kept, so a day with a wrong date costs one day.
"""

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats
from agent.errors import FlatwattError
from agent.records import Quality, Window

logger = logging.getLogger(__name__)

DAY_S = 86_400
_KEPT_DAYS = 400  # a year, for the same season's twin, and a month to compare it with
_DAILY = ("power_factor", "noise_floor")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS window (
    start_s INTEGER NOT NULL, meter TEXT NOT NULL, window_s INTEGER NOT NULL, coverage REAL NOT NULL,
    quality TEXT NOT NULL, active_power_w REAL, power_factor REAL, noise_floor REAL,
    active_energy_import_wh REAL, active_energy_export_wh REAL,
    PRIMARY KEY (meter, start_s)
) WITHOUT ROWID
"""
_COLUMNS = ("active_power_w", "power_factor", "noise_floor", "active_energy_import_wh", "active_energy_export_wh")
_Table = list[tuple[float, ...]]  # of one meter: hour, energy and time of each quantity, whether it was exchanged
_INSERT = f"INSERT OR IGNORE INTO window VALUES ({', '.join('?' * (5 + len(_COLUMNS)))})"  # noqa: S608
_HOURLY = """
SELECT start_s / 3600 AS hour,
    TOTAL(active_power_w * known_s), TOTAL((active_power_w IS NOT NULL) * known_s),
    TOTAL(power_factor * known_s), TOTAL((power_factor IS NOT NULL) * known_s),
    TOTAL(noise_floor * known_s), TOTAL((noise_floor IS NOT NULL) * known_s), MAX(quality = 'X')
FROM (
    SELECT *, (quality = 'G') * coverage * window_s AS known_s
    FROM window WHERE meter = ? AND start_s BETWEEN ? AND ?
)
GROUP BY hour ORDER BY hour
"""
_FORGET = f"""
DELETE FROM window WHERE start_s / {DAY_S} <
    (SELECT DISTINCT start_s / {DAY_S} AS day FROM window ORDER BY day DESC LIMIT 1 OFFSET {_KEPT_DAYS - 1})
"""  # noqa: S608
_EVER_S = (-(2**62), 2**62)


class History:
    """Hourly means of all meters, from good windows only.

    ``path`` None keeps nothing on disk (replay).
    """

    def __init__(self, path: Path | None, meters: Sequence[str]) -> None:
        self.meters = tuple(meters)
        self._clear()
        self._database: sqlite3.Connection | None = None
        if path is not None:
            self._database, tables = _open(path, self.meters)
            self._load(tables)

    @property
    def first_day(self) -> int:
        """Day number (since 1970-01-01) of the first day held."""
        return self._first_day

    @property
    def days(self) -> int:
        """Number of days held, the last one perhaps not complete."""
        return self._days

    def hourly_w(self, through_day: int) -> Floats:
        """Give mean powers, shape (meters, days, 24), of the days up to and with ``through_day``; NaN where unknown."""
        n = min(self._days, through_day - self._first_day + 1)
        known = self._known_s[:, :n]
        return np.where(known >= 0.5 * 3600, self._energy_j[:, :n] / np.maximum(known, 1.0), np.nan)

    def daily(self, name: str, through_day: int) -> Floats:
        """Give the coverage-weighted daily mean of ``power_factor`` or ``noise_floor``, shape (meters, days)."""
        n = min(self._days, through_day - self._first_day + 1)
        total, weight = self._daily[name][:, :, :n]
        return np.where(weight > 0, total / np.maximum(weight, 1.0), np.nan)

    def exchanged(self, through_day: int) -> NDArray[np.bool_]:
        """Tell on which days the meter or its settings became another, shape (meters, days)."""
        return self._exchanged[:, : min(self._days, through_day - self._first_day + 1)] > 0

    def day_numbers(self, through_day: int) -> NDArray[np.int64]:
        """Give the day numbers that belong to the arrays of :meth:`hourly_w`."""
        return np.arange(self._first_day, through_day + 1, dtype=np.int64)[: self._days]

    def add(self, window: Window, features: Mapping[str, Floats]) -> None:
        """Take one window; windows that are not good count as unknown but are kept on disk."""
        good = np.array([letter is Quality.GOOD for letter in window.quality])
        weight_s = np.where(good, window.coverage * window.window_s, 0.0)
        day, last_day = window.start_s // DAY_S, self._first_day + self._days - 1
        if self._database is not None and self._days and not self._first_day <= day <= last_day + _KEPT_DAYS:
            self._turn_to(day, self._database)
        exchanged = np.array([letter is Quality.EXCHANGED for letter in window.quality])
        self._accumulate(window.start_s, weight_s, features, exchanged)
        if self._database is not None:
            self._store(self._database, window, features, is_new_day=day != last_day)

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()

    def _clear(self) -> None:
        """Hold nothing."""
        self._first_day = 0
        self._days = 0
        self._energy_j = np.zeros((len(self.meters), 0, 24))
        self._known_s = np.zeros((len(self.meters), 0, 24))
        self._exchanged = np.zeros((len(self.meters), 0))
        self._daily = {name: np.zeros((2, len(self.meters), 0)) for name in _DAILY}

    def _turn_to(self, day: int, database: sqlite3.Connection) -> None:
        """Hold what the disk has of the 400 days up to ``day``: the clock has leapt."""
        self._clear()
        try:
            self._load(_read(database, self.meters, ((day - _KEPT_DAYS + 1) * DAY_S, (day + 1) * DAY_S - 1)))
        except sqlite3.Error as error:
            logger.warning("the history cannot be read again: %s", error)

    def _accumulate(
        self, start_s: int, weight_s: Floats, features: Mapping[str, Floats], exchanged: NDArray[np.bool_]
    ) -> None:
        day = self._reach(start_s // DAY_S)
        if day < 0:
            return
        hour = start_s % DAY_S // 3600
        power = features["active_power_w"]
        known_s = np.where(np.isfinite(power), weight_s, 0.0)
        self._energy_j[:, day, hour] += np.where(known_s > 0, power, 0.0) * known_s
        self._known_s[:, day, hour] += known_s
        self._exchanged[:, day] += exchanged
        for name, (total, weight) in self._daily.items():
            value = features[name]
            value_s = np.where(np.isfinite(value), weight_s, 0.0)
            total[:, day] += np.where(value_s > 0, value, 0.0) * value_s
            weight[:, day] += value_s

    def _reach(self, day: int) -> int:
        """Make room for ``day`` and give its index; negative where it is older than what is kept."""
        if self._days == 0:
            self._first_day = day
        grown = day - self._first_day + 1 - self._days
        if grown > 0:
            drop = max(0, self._days + grown - _KEPT_DAYS)
            self._energy_j = _slide(self._energy_j, grown, drop)
            self._known_s = _slide(self._known_s, grown, drop)
            self._exchanged = _slide(self._exchanged, grown, drop)
            self._daily = {name: _slide(array, grown, drop, axis=2) for name, array in self._daily.items()}
            self._first_day += drop
            self._days += grown - drop
        return day - self._first_day

    def _store(
        self, database: sqlite3.Connection, window: Window, features: Mapping[str, Floats], *, is_new_day: bool
    ) -> None:
        columns = [[None if np.isnan(value) else float(value) for value in features[name]] for name in _COLUMNS]
        rows = zip(
            [window.start_s] * len(self.meters),
            self.meters,
            [window.window_s] * len(self.meters),
            window.coverage.tolist(),
            [letter.value for letter in window.quality],
            *columns,
            strict=True,
        )
        try:
            with database:
                database.executemany(_INSERT, rows)
                if is_new_day:
                    database.execute(_FORGET)
        except sqlite3.Error as error:
            logger.warning("the history of the window at %d is not on disk: %s", window.start_s, error)

    def _load(self, tables: Sequence[_Table]) -> None:
        ends = [int(row[0]) for table in tables for row in (*table[:1], *table[-1:])]
        if not ends:
            return
        self._reach(max(min(ends) // 24, max(ends) // 24 - _KEPT_DAYS + 1))
        self._reach(max(ends) // 24)
        for row, table in enumerate(tables):
            self._load_meter(row, np.array(table).reshape(-1, 8))

    def _load_meter(self, row: int, table: Floats) -> None:
        day, hour = np.divmod(table[:, 0].astype(np.int64) - 24 * self._first_day, 24)
        kept = day >= 0
        table, day, hour = table[kept], day[kept], hour[kept]
        self._energy_j[row, day, hour], self._known_s[row, day, hour] = table[:, 1], table[:, 2]
        np.add.at(self._exchanged[row], day, table[:, 7])
        for name, column in zip(_DAILY, (3, 5), strict=True):
            total, weight = self._daily[name][:, row]
            np.add.at(total, day, table[:, column])
            np.add.at(weight, day, table[:, column + 1])


def _slide(array: Floats, grown: int, drop: int, axis: int = 1) -> Floats:
    """Drop the oldest days and append empty ones."""
    shape = list(array.shape)
    shape[axis] = grown
    longer = np.concatenate([array, np.zeros(shape)], axis=axis)
    return np.ascontiguousarray(longer[(slice(None),) * axis + (slice(drop, None),)])


def _open(path: Path, meters: Sequence[str]) -> tuple[sqlite3.Connection, list[_Table]]:
    """Open or create the file and read its hours; one that is damaged is put aside: a gateway must go on measuring."""
    try:
        return _connect(path, meters)
    except sqlite3.OperationalError as error:  # the disk or another process, not the file
        raise FlatwattError(
            f"{path}: the history cannot be used: {error}: check that the folder is writable and no other agent uses it"
        ) from None
    except sqlite3.DatabaseError as error:
        aside = path.with_name(f"{path.name}.corrupt-{path.stat().st_mtime_ns}")
        path.rename(aside)
        for suffix in ("-wal", "-shm"):  # or the new file would take up the old one's log
            log = path.with_name(path.name + suffix)
            if log.exists():
                log.rename(aside.with_name(aside.name + suffix))
        logger.warning("%s: not a readable history (%s); kept as %s, a new one begins", path, error, aside.name)
        return _connect(path, meters)


def _connect(path: Path, meters: Sequence[str]) -> tuple[sqlite3.Connection, list[_Table]]:
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute(_SCHEMA)
        return database, _read(database, meters)
    except sqlite3.DatabaseError:
        database.close()
        raise


def _read(database: sqlite3.Connection, meters: Sequence[str], times_s: tuple[int, int] = _EVER_S) -> list[_Table]:
    """Give the hours of each meter from the first to the last of ``times_s``."""
    return [database.execute(_HOURLY, (meter, *times_s)).fetchall() for meter in meters]
