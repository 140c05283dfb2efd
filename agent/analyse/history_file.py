"""The history on disk: a row for each window and meter, of the newest 430 days that have windows.

It is a cache of evidence, not the evidence, which lies in the spool: it may lose its last window in
a crash, and a file that is damaged is put aside. A gateway must go on measuring.
"""

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from agent.analyse.features.robust import Floats
from agent.errors import FlatwattError
from agent.records import Window

logger = logging.getLogger(__name__)

_DAY_S = 86_400
KEPT_DAYS = 430  # 25 of an onset, 385 to the first of its twins a year ago, 14 before that, and some to spare
KNOWN_S = {  # how many seconds of a window each quantity stands for; it may be cold while a meter is stuck
    "active_power_w": "(quality = 'G') * coverage * window_s",
    "power_factor": "(quality = 'G') * coverage * window_s",
    "noise_floor": "(quality = 'G') * coverage * window_s",
    "reactive_power_var": "(quality = 'G') * coverage * window_s",
    "outdoor_temperature_c": "window_s",
}
_COLUMNS = (*KNOWN_S, "active_energy_import_wh", "active_energy_export_wh")
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS window (
    start_s INTEGER NOT NULL, meter TEXT NOT NULL, window_s INTEGER NOT NULL, coverage REAL NOT NULL,
    quality TEXT NOT NULL, {", ".join(f"{name} REAL" for name in _COLUMNS)},
    PRIMARY KEY (meter, start_s)
) WITHOUT ROWID
"""
_INSERT = f"""
INSERT OR IGNORE INTO window (start_s, meter, window_s, coverage, quality, {", ".join(_COLUMNS)})
VALUES ({", ".join("?" * (5 + len(_COLUMNS)))})
"""  # noqa: S608
_SUMS = ", ".join(f"TOTAL({name} * ({s})), TOTAL(({name} IS NOT NULL) * ({s}))" for name, s in KNOWN_S.items())
_HOURLY = f"""
SELECT start_s / 3600 AS hour, {_SUMS}, TOTAL(quality = 'X')
FROM window WHERE meter = ? AND start_s BETWEEN ? AND ?
GROUP BY hour ORDER BY hour
"""  # noqa: S608
_WIDTH = 2 + 2 * len(KNOWN_S)  # of what it gives
_FIRST = "SELECT min(start_s) FROM window WHERE meter = ? AND start_s BETWEEN ? AND ?"
_FORGET = f"""
DELETE FROM window WHERE start_s / {_DAY_S} <
    (SELECT DISTINCT start_s / {_DAY_S} AS day FROM window ORDER BY day DESC LIMIT 1 OFFSET {KEPT_DAYS - 1})
"""  # noqa: S608
_EVER_S = (-(2**62), 2**62)


class HistoryFile:
    """One file, open."""

    def __init__(self, database: sqlite3.Connection, meters: Sequence[str]) -> None:
        self._database, self._meters = database, tuple(meters)

    def first_s(self, from_s: int, through_s: int) -> int | None:
        """Give the start of the first window of these times; None where there is none, or the file cannot be read."""
        try:
            found = [self._database.execute(_FIRST, (meter, from_s, through_s)).fetchone()[0] for meter in self._meters]
        except sqlite3.Error as error:
            logger.warning("the history cannot be read again: %s", error)
            return None
        return min((time_s for time_s in found if time_s is not None), default=None)

    def hours(self, meter: str, from_s: int, through_s: int) -> Floats:
        """Give a meter's hours of these times, as :func:`open_history`; none where the file cannot be read."""
        try:
            return _read(self._database, (meter,), (from_s, through_s))[0]
        except sqlite3.Error as error:
            logger.warning("the history cannot be read again: %s", error)
            return np.empty((0, _WIDTH))

    def store(self, window: Window, features: Mapping[str, Floats], *, is_new_day: bool) -> None:
        """Keep a window, and forget the oldest day where a new one begins."""
        columns = [[None if np.isnan(value) else float(value) for value in features[name]] for name in _COLUMNS]
        rows = zip(
            [window.start_s] * len(self._meters),
            self._meters,
            [window.window_s] * len(self._meters),
            window.coverage.tolist(),
            [letter.value for letter in window.quality],
            *columns,
            strict=True,
        )
        try:
            with self._database:
                self._database.executemany(_INSERT, rows)
                if is_new_day:
                    self._database.execute(_FORGET)
        except sqlite3.Error as error:
            logger.warning("the history of the window at %d is not on disk: %s", window.start_s, error)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def open_history(path: Path, meters: Sequence[str]) -> tuple[HistoryFile, list[Floats]]:
    """Open or create the file, and give all its hours, a table of each meter; one that is damaged is put aside.

    Columns: the hour since 1970; of each quantity of ``KNOWN_S`` its integral over time and the time
    over which it is known, in s; how often the meter was exchanged. Raises :class:`FlatwattError`
    where the disk is the trouble.
    """
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


def _connect(path: Path, meters: Sequence[str]) -> tuple[HistoryFile, list[Floats]]:
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute(_SCHEMA)
        _add_columns(database)
        return HistoryFile(database, meters), _read(database, meters, _EVER_S)
    except sqlite3.DatabaseError:
        database.close()
        raise


def _add_columns(database: sqlite3.Connection) -> None:
    """Give a file of an earlier version the columns that it lacks: its windows are worth more than order."""
    has = {row[1] for row in database.execute("PRAGMA table_info(window)")}
    for name in [name for name in _COLUMNS if name not in has]:
        database.execute(f"ALTER TABLE window ADD COLUMN {name} REAL")
        logger.warning("the history is of an earlier version: %s is unknown in its windows", name)


def _read(database: sqlite3.Connection, meters: Sequence[str], times_s: tuple[int, int]) -> list[Floats]:
    return [
        np.array(database.execute(_HOURLY, (meter, *times_s)).fetchall(), dtype=float).reshape(-1, _WIDTH)
        for meter in meters
    ]
