"""The history on disk: a row for each window and meter, of the newest 430 days that have windows.

It is a cache of evidence, not the evidence, which lies in the spool: it may lose its last window in a
power cut. A file that is damaged is put aside, and what can be read of it goes into the new one. What
a disk does not take waits in memory. A gateway must go on measuring.

Memory cards wear out by writing. A meter's windows lie together, so that a year of them is read fast,
but a window of all meters would then touch as many blocks as there are meters. So windows go one after
another into a table of their own, ``recent``, and are sorted in once a day.
"""

import logging
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.analyse import history_damaged as damaged
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
_FIELDS = f"""
    start_s INTEGER NOT NULL, meter TEXT NOT NULL, window_s INTEGER NOT NULL, coverage REAL NOT NULL,
    quality TEXT NOT NULL, {", ".join(f"{name} REAL" for name in _COLUMNS)}
"""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS window ({_FIELDS}, PRIMARY KEY (meter, start_s)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recent ({_FIELDS});
"""
_NAMES = f"start_s, meter, window_s, coverage, quality, {', '.join(_COLUMNS)}"
_INSERT = f"INSERT INTO recent ({_NAMES}) VALUES ({', '.join('?' * (5 + len(_COLUMNS)))})"  # noqa: S608
_SORT_IN = f"INSERT OR IGNORE INTO window ({_NAMES}) SELECT {_NAMES} FROM recent ORDER BY rowid"  # noqa: S608
_AS_ONE = f"""
CREATE TEMP VIEW window AS SELECT {_NAMES} FROM main.window UNION ALL SELECT {_NAMES} FROM main.recent;
CREATE TEMP VIEW recent AS SELECT {_NAMES} FROM main.recent WHERE 0;
"""  # noqa: S608 - stand in for the tables where nothing can be sorted in
_SUMS = ", ".join(f"TOTAL({name} * ({s})), TOTAL(({name} IS NOT NULL) * ({s}))" for name, s in KNOWN_S.items())
_HOURLY = f"""
SELECT start_s / 3600 AS hour, {_SUMS}, TOTAL(quality = 'X')
FROM window WHERE meter = ? AND start_s BETWEEN ? AND ?
GROUP BY hour ORDER BY hour
"""  # noqa: S608
_WIDTH = 2 + 2 * len(KNOWN_S)  # of what it gives
_FORGET = f"""
DELETE FROM window WHERE start_s / {_DAY_S} <
    (SELECT DISTINCT start_s / {_DAY_S} AS day FROM window ORDER BY day DESC LIMIT 1 OFFSET {KEPT_DAYS - 1})
"""  # noqa: S608
_DISK_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_MOST_UNWRITTEN = 20_000  # rows, 10 MB
_EVER_S = (-(2**62), 2**62)


class HistoryFile:
    """One file, open. What it does not take is kept until it does, the newest ten days of twenty meters."""

    def __init__(
        self, path: Path, meters: Sequence[str], database: sqlite3.Connection, on_damage: Callable[[str], None]
    ) -> None:
        self._path, self._meters, self._database, self._on_damage = path, tuple(meters), database, on_damage
        self._unwritten: deque[tuple[object, ...]] = deque(maxlen=_MOST_UNWRITTEN)

    def first_s(self, from_s: int, through_s: int) -> int | None:
        """Give the start of the first window of these times; None where there is none, or the file cannot be read."""
        return min(self._ends("min", from_s, through_s), default=None)

    def last_s(self) -> int | None:
        """Give the start of the last window; None where there is none, or the file cannot be read."""
        return max(self._ends("max", *_EVER_S), default=None)

    def hours(self, meter: str, from_s: int, through_s: int) -> Floats:
        """Give a meter's hours of these times; none where the file cannot be read.

        Columns: the hour since 1970; of each quantity of ``KNOWN_S`` its integral over time and the time
        over which it is known, in s; how often the meter was exchanged.
        """
        rows = self._ask(_HOURLY, meter, from_s, through_s)
        return np.array(rows, dtype=float).reshape(-1, _WIDTH)

    def _ends(self, which: str, from_s: int, through_s: int) -> list[int]:
        select = f"SELECT {which}(start_s) FROM window WHERE meter = ? AND start_s BETWEEN ? AND ?"  # noqa: S608 - min or max
        self._sort_in_where_possible()
        found = [row[0] for meter in self._meters for row in self._ask(select, meter, from_s, through_s)]
        return [time_s for time_s in found if time_s is not None]

    def _ask(self, select: str, *values: str | int) -> list[tuple[Any, ...]]:
        """Read; where the file is damaged, from the new one that takes its place."""
        try:
            return self._database.execute(select, values).fetchall()
        except sqlite3.OperationalError as error:
            logger.warning("%s cannot be read: %s", self._path, error)
            return []
        except sqlite3.DatabaseError as error:
            self._replace(error)
            return self._ask(select, *values)

    def store(self, window: Window, features: Mapping[str, Floats], *, is_new_day: bool) -> None:
        """Keep a window; where a new day begins, sort the last one in and forget the oldest."""
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
        if is_new_day:
            self._sort_in_where_possible()
        self._unwritten.extend(rows)
        if not self._write() and self._open_again():
            self._write()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _sort_in_where_possible(self) -> None:
        try:
            sort_in(self._database)
        except sqlite3.OperationalError as error:
            logger.warning("the history of yesterday cannot be sorted in: %s", error)
        except sqlite3.DatabaseError as error:
            self._replace(error)

    def _write(self) -> bool:
        try:
            with self._database:
                self._database.executemany(_INSERT, self._unwritten)
        except sqlite3.OperationalError as error:
            logger.warning("the history of %d meter-windows is not on disk: %s", len(self._unwritten), error)
            return False
        except sqlite3.DatabaseError as error:
            self._replace(error)
            return self._write()
        self._unwritten.clear()
        return True

    def _replace(self, error: sqlite3.DatabaseError) -> None:
        """Go on with a new file in place of a damaged one."""
        self._database.close()
        self._database = _begin_anew(self._path, error, self._on_damage)

    def _open_again(self) -> bool:
        """Take another connection, where that is possible: this one may be read-only from a time without room."""
        try:
            database = _connect(self._path)
        except sqlite3.Error:
            return False
        self._database.close()
        self._database = database
        return True


def open_history(path: Path, meters: Sequence[str], on_damage: Callable[[str], None]) -> HistoryFile:
    """Open or create the file; one that is damaged is put aside, and what can be read of it taken over.

    ``on_damage`` is told so, now or when it is found.

    Where the disk cannot be written now, what is there is read. Raises :class:`FlatwattError` where an
    operator must act.
    """
    try:
        database = _connect(path)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _DISK_CODES and not _is_read_only(path):
            raise FlatwattError(
                f"{path}: the history cannot be used: {error}: check that the folder is writable and no other agent "
                "uses it"
            ) from None
        logger.warning("%s cannot be written (%s); the history is kept in memory until it can", path, error)
        database = _connect_read_only(path)
    except sqlite3.DatabaseError as error:
        database = _begin_anew(path, error, on_damage)
    return HistoryFile(path, meters, database, on_damage)


def _begin_anew(path: Path, error: sqlite3.DatabaseError, on_damage: Callable[[str], None]) -> sqlite3.Connection:
    """Put a damaged file aside and take over what can be read of it; where the disk takes nothing, go on in memory."""
    text = f"{path.name} is no readable history ({error})"
    try:
        aside = damaged.put_aside(path)
        database = _connect(path)
        text = f"{text} and is kept as {aside.name}; {damaged.take_over(database, aside, _NAMES)} windows could be read"
    except (OSError, sqlite3.Error) as trouble:
        database = _in_memory()
        text = f"{text} and cannot be replaced: {trouble}"
    logger.warning("%s", text)
    on_damage(text)
    return database


def sort_in(database: sqlite3.Connection) -> None:
    """Bring recent windows to those of their meters, and forget the oldest days."""
    if database.execute("SELECT 1 FROM recent LIMIT 1").fetchone() is None:
        return
    with database:
        database.execute(_SORT_IN)
        database.execute("DELETE FROM recent")
        database.execute(_FORGET)


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.executescript(_SCHEMA)
        _add_columns(database)
        sort_in(database)
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """Open what is there, as it is; in memory where there is nothing."""
    if path.is_file():
        database = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, check_same_thread=False)
        try:
            database.execute("PRAGMA temp_store=MEMORY")
            database.executescript(_AS_ONE)
            database.execute("SELECT * FROM window LIMIT 1").fetchall()
        except sqlite3.Error:
            database.close()
        else:
            return database
    return _in_memory()


def _in_memory() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.executescript(_SCHEMA)
    database.execute("PRAGMA query_only=ON")  # what comes must wait for the disk
    return database


def _is_read_only(path: Path) -> bool:
    """Tell a file system that is mounted read-only from a mistake of owner and mode."""
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _add_columns(database: sqlite3.Connection) -> None:
    """Give a file of an earlier version the columns that it lacks: its windows are worth more than order."""
    for table in ("window", "recent"):
        has = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        for name in [name for name in _COLUMNS if name not in has]:
            database.execute(f"ALTER TABLE {table} ADD COLUMN {name} REAL")
            logger.warning("the history is of an earlier version: %s is unknown in its windows", name)
