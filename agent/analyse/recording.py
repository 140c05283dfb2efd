"""Reads recorded load: CSV, plain or gzipped, in the form that ``docs/replay.md`` describes."""

import csv
import gzip
import math
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats
from agent.analyse.window import IDENTITY, WINDOW_QUANTITIES, coverage, last, quality
from agent.errors import Complaint, InputError
from agent.quantities import QUANTITIES
from agent.records import Window

_REQUIRED = ("time", "meter", "active_power_w")
_WINDOW_S = 900  # the daemon's default
_MOST_TICKS = 50_000_000  # of all meters; a wrong year in one row would ask for more memory than there is
_MOST_COMPLAINTS = 20  # a file that is wrong throughout is wrong in the same way throughout


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded load: ``values[quantity]`` has shape (meters, ticks); a tick without a value is NaN."""

    meters: tuple[str, ...]
    start_s: int
    step_s: int
    values: dict[str, Floats]

    @property
    def window_s(self) -> int:
        """Length of the windows, in s: 15 minutes, or the shortest multiple that the step divides."""
        return math.lcm(self.step_s, _WINDOW_S)

    @property
    def window_count(self) -> int:
        """Number of windows, the first and the last perhaps not full."""
        return -(-(self._lead + self._length) // self._ticks)

    def windows(self) -> Iterator[Window]:
        """Give the windows in order, as the daemon would have built them."""
        first_s = self.start_s - self._lead * self.step_s
        names = (*WINDOW_QUANTITIES, *IDENTITY)
        grids = {name: self._on_grid(self.values[name]) for name in names if name in self.values}
        unknown = dict.fromkeys(names, _read_only(np.full((len(self.meters), self._ticks), np.nan)))
        for index in range(self.window_count):
            values = unknown | {name: grid[:, index] for name, grid in grids.items()}
            yield self._window(first_s + index * self.window_s, values)

    @property
    def _ticks(self) -> int:
        return self.window_s // self.step_s

    @property
    def _lead(self) -> int:
        """Ticks of the first window before the recording begins."""
        return self.start_s % self.window_s // self.step_s

    @property
    def _length(self) -> int:
        return int(self.values["active_power_w"].shape[1])

    def _on_grid(self, series: Floats) -> Floats:
        """Give a quantity as (meters, windows, ticks)."""
        grid = np.full((len(self.meters), self.window_count * self._ticks), np.nan)
        grid[:, self._lead : self._lead + self._length] = series
        return _read_only(grid.reshape(len(self.meters), self.window_count, self._ticks))

    def _window(self, start_s: int, values: dict[str, Floats]) -> Window:
        return Window(
            start_s=start_s,
            window_s=self.window_s,
            period_s=self.step_s,
            meters=self.meters,
            values={name: values[name] for name in WINDOW_QUANTITIES},
            identity={name: last(values[name]) for name in IDENTITY},
            coverage=coverage(values["active_power_w"]),
            quality=quality(values, self.step_s, np.ones(len(self.meters)), np.zeros(len(self.meters))),
        )


def _read_only(array: Floats) -> Floats:
    array.setflags(write=False)
    return array


def read_recording(path: Path, watch: Callable[[Iterable[str]], Iterable[str]] = iter) -> Recording:
    """Read a recording whole; :class:`InputError` lists what is wrong with it, by line.

    ``watch`` passes the lines on, as a progress bar does.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        opened = gzip.open if packed else Path.open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as text:
            return _Table(path).read(watch(text))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path}: cannot be read as a recording ({why}); a CSV file is expected, gzipped or not"
        ) from None


class _Table:
    """One file being read: its rows, one array per column, and complaints."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._complaints: list[Complaint] = []
        self._meters: dict[str, int] = {}
        self._lines = array("q")
        self._times = array("q")
        self._rows = array("q")
        self._numbers: dict[str, array[float]] = {}

    def read(self, text: Iterable[str]) -> Recording:
        rows = csv.reader(text)
        header = [name.strip() for name in next(rows, [])]
        self._check_header(header)
        time_at, meter_at = header.index("time"), header.index("meter")
        self._numbers = {name: array("d") for name in header if name not in ("time", "meter")}
        columns = [(name, header.index(name), numbers) for name, numbers in self._numbers.items()]
        for row in rows:
            if not row:
                continue
            line = rows.line_num
            if len(row) != len(header):
                self._complain(line, "row", f"has {len(row)} cells, the header has {len(header)}")
                continue
            self._lines.append(line)
            self._times.append(self._time(row[time_at].strip(), line))
            self._rows.append(self._meter(row[meter_at].strip(), line))
            for name, at, numbers in columns:
                numbers.append(self._number(row[at], name, line))
        self._stop_if_wrong()
        return self._arrange()

    def _check_header(self, header: list[str]) -> None:
        for name in _REQUIRED:
            if name not in header:
                self._complain(1, name, f"this column is missing; the header has {', '.join(header) or 'nothing'}")
        for name in header:
            if name not in QUANTITIES and name not in _REQUIRED:
                close = get_close_matches(name, [*QUANTITIES, *_REQUIRED], 1)
                hint = f'; did you mean "{close[0]}"?' if close else "; docs/data-dictionary.md lists the names"
                self._complain(1, name, f"not a quantity of the vocabulary{hint}")
        for name in {name for name in header if header.count(name) > 1}:
            self._complain(1, name, "this column stands twice")
        self._stop_if_wrong()

    def _time(self, text: str, line: int) -> int:
        """Give UTC seconds; any with a complaint."""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._complain(line, "time", f'"{text}" is not a time in ISO 8601, as 2026-01-05T00:15:00Z')
            return 0
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
        if seconds != int(seconds):
            self._complain(line, "time", f'"{text}" is not a whole second')
        elif seconds < 0:
            self._complain(line, "time", f'"{text}" is before 1970')
        return int(seconds)

    def _meter(self, name: str, line: int) -> int:
        """Give the number of a meter, in the order in which they come."""
        if not name:
            self._complain(line, "meter", "is empty; a name is needed")
        return self._meters.setdefault(name, len(self._meters))

    def _number(self, text: str, name: str, line: int) -> float:
        try:
            if "_" not in text:
                return float(text)
        except ValueError:
            if not text.strip():
                return math.nan
        self._complain(line, name, f'"{text.strip()}" is not a number; leave the cell empty where nothing was measured')
        return math.nan

    def _arrange(self) -> Recording:
        if not self._lines:
            raise InputError(f"{self._path}: holds no rows; at least one day of data is needed")
        times = np.frombuffer(self._times, dtype=np.int64)
        rows = np.frombuffer(self._rows, dtype=np.int64)
        step_s = self._step(times)
        start_s = int(times.min())
        columns = (times - start_s) // step_s
        shape = (len(self._meters), int(columns.max()) + 1)
        self._check_length(shape[0] * shape[1], times)
        self._check_twice(rows * shape[1] + columns)
        values = {}
        for name, numbers in self._numbers.items():
            read = np.frombuffer(numbers)
            possible = (read >= QUANTITIES[name].low) & (read <= QUANTITIES[name].high)
            values[name] = np.full(shape, np.nan)
            values[name][rows, columns] = np.where(possible, read, np.nan)
        return Recording(tuple(self._meters), start_s, step_s, values)

    def _step(self, times: NDArray[np.int64]) -> int:
        """Give the commonest step between moments, which all times must be multiples of."""
        steps, counts = np.unique(np.diff(np.unique(times)), return_counts=True)
        step_s = int(steps[counts.argmax()]) if len(steps) else _WINDOW_S
        if 3600 % step_s:
            raise InputError(
                f"{self._path}: the usual step between times is {step_s} s, which does not divide an hour; "
                "resample to one step between 1 s and 1 h"
            )
        for index in np.flatnonzero(times % step_s):
            text = f"{_iso(int(times[index]))} is off the grid of the usual step of {step_s} s; resample to one step"
            self._complain(self._lines[index], "time", text)
        self._stop_if_wrong()
        return step_s

    def _check_length(self, ticks: int, times: NDArray[np.int64]) -> None:
        if ticks > _MOST_TICKS:
            span = f"{_iso(int(times.min()))} to {_iso(int(times.max()))}"
            raise InputError(f"{self._path}: {span} is {ticks} steps of all meters; is a time wrong? If not, split it")

    def _check_twice(self, places: NDArray[np.int64]) -> None:
        """Complain of rows that stand for the same meter and time as an earlier one."""
        _, first = np.unique(places, return_index=True)
        again = np.ones(len(places), dtype=np.bool_)
        again[first] = False
        names = tuple(self._meters)
        for index in np.flatnonzero(again):
            text = f"{names[self._rows[index]]} has a row for {_iso(self._times[index])} already; keep one"
            self._complain(self._lines[index], "time", text)
        self._stop_if_wrong()

    def _complain(self, line: int, key: str, text: str) -> None:
        self._complaints.append(Complaint(str(self._path), line, key, text))
        if len(self._complaints) >= _MOST_COMPLAINTS:
            self._stop_if_wrong()

    def _stop_if_wrong(self) -> None:
        if self._complaints:
            raise InputError(self._complaints)


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
