"""Reads recorded load: CSV, plain or gzipped, in the form that ``docs/replay.md`` describes."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from io import TextIOWrapper
from pathlib import Path

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.window import WINDOW_QUANTITIES, coverage, quality
from agent.errors import Complaint, InputError
from agent.quantities import QUANTITIES
from agent.records import Window

_REQUIRED = ("time", "meter", "active_power_w")
_WINDOW_S = 900  # the daemon's default; a recording of longer steps keeps its own
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
        """Length of the windows, in s: 15 minutes, or the step where that is longer."""
        return max(self.step_s, _WINDOW_S)

    def windows(self) -> Iterator[Window]:
        """Give the windows in order, as the daemon would have built them."""
        ticks = self.window_s // self.step_s
        lead = (self.start_s % self.window_s) // self.step_s
        total = next(iter(self.values.values())).shape[1]
        for first in range(-lead, total, ticks):
            yield self._window(first, ticks)

    def _window(self, first: int, ticks: int) -> Window:
        values = {name: self._slice(name, first, ticks) for name in WINDOW_QUANTITIES}
        asked = np.full(len(self.meters), ticks)
        return Window(
            start_s=self.start_s + first * self.step_s,
            window_s=self.window_s,
            period_s=self.step_s,
            meters=self.meters,
            values=values,
            coverage=coverage(values["active_power_w"]),
            quality=quality(values, asked, np.zeros_like(asked)),
        )

    def _slice(self, name: str, first: int, ticks: int) -> Floats:
        window = np.full((len(self.meters), ticks), np.nan)
        series = self.values.get(name)
        if series is not None:
            part = series[:, max(first, 0) : first + ticks]
            offset = max(-first, 0)
            window[:, offset : offset + part.shape[1]] = part
        window.setflags(write=False)
        return window


def read_recording(path: Path) -> Recording:
    """Read a recording whole; :class:`InputError` lists what is wrong with it, by line."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as raw:
            return _Table(path).read(TextIOWrapper(raw, encoding="utf-8-sig", newline=""))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: cannot be read as a recording ({error}); a CSV file is expected, gzipped or not"
        ) from None


class _Table:
    """One file being read: rows, times and complaints."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._complaints: list[Complaint] = []
        self._seconds: dict[str, int | None] = {}

    def read(self, text: TextIOWrapper) -> Recording:
        rows = csv.reader(text)
        header = [name.strip() for name in next(rows, [])]
        self._check_header(header)
        cells: list[tuple[int, str, list[float]]] = []
        where = [header.index(name) for name in header if name not in ("time", "meter")]
        time_at, meter_at = header.index("time"), header.index("meter")
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                self._complain(rows.line_num, "row", f"has {len(row)} cells, the header has {len(header)}")
                continue
            seconds = self._time(row[time_at], rows.line_num)
            numbers = [self._number(row[i], header[i], rows.line_num) for i in where]
            if seconds is not None:
                cells.append((seconds, row[meter_at].strip(), numbers))
        self._stop_if_wrong()
        return self._arrange(cells, [header[i] for i in where])

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

    def _time(self, text: str, line: int) -> int | None:
        if text not in self._seconds:
            self._seconds[text] = self._parse_time(text.strip(), line)
        return self._seconds[text]

    def _parse_time(self, text: str, line: int) -> int | None:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._complain(line, "time", f'"{text}" is not a time in ISO 8601, as 2026-01-05T00:15:00Z')
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
        if seconds != int(seconds):
            self._complain(line, "time", f'"{text}" is not a whole second')
            return None
        return int(seconds)

    def _number(self, text: str, name: str, line: int) -> float:
        text = text.strip()
        if not text:
            return np.nan
        try:
            value = float(text)
        except ValueError:
            self._complain(line, name, f'"{text}" is not a number; leave the cell empty where nothing was measured')
            return np.nan
        quantity = QUANTITIES[name]
        return value if quantity.low <= value <= quantity.high else np.nan

    def _arrange(self, cells: list[tuple[int, str, list[float]]], names: list[str]) -> Recording:
        if not cells:
            raise InputError(f"{self._path}: holds no rows; at least one day of data is needed")
        times = np.array([cell[0] for cell in cells], dtype=np.int64)
        meters = tuple(dict.fromkeys(cell[1] for cell in cells))
        row_of = {meter: row for row, meter in enumerate(meters)}
        rows = np.array([row_of[cell[1]] for cell in cells], dtype=np.intp)
        step_s = self._step(times)
        start_s = int(times.min())
        columns = (times - start_s) // step_s
        places = rows * (columns.max() + 1) + columns
        if len(np.unique(places)) != len(places):
            twice = np.flatnonzero(np.bincount(places)[places] > 1)[0]
            raise InputError(
                f"{self._path}: meter {cells[twice][1]} has two rows at {_iso(int(times[twice]))}; keep one"
            )
        numbers = np.array([cell[2] for cell in cells], dtype=float)
        values = {}
        for i, name in enumerate(names):
            values[name] = np.full((len(meters), int(columns.max()) + 1), np.nan)
            values[name][rows, columns] = numbers[:, i]
        return Recording(meters, start_s, step_s, values)

    def _step(self, times: np.typing.NDArray[np.int64]) -> int:
        moments = np.unique(times)
        steps = np.diff(moments)
        step_s = int(steps.min()) if len(steps) else _WINDOW_S
        if np.any((moments - moments[0]) % step_s) or 3600 % step_s:
            odd = moments[1:][steps % step_s != 0]
            at = f", first at {_iso(int(odd[0]))}" if len(odd) else ""
            raise InputError(
                f"{self._path}: the step between times is not constant or does not divide an hour "
                f"(shortest {step_s} s{at}); resample to one step between 1 s and 1 h"
            )
        if moments[0] % step_s:
            raise InputError(
                f"{self._path}: times must be multiples of the step of {step_s} s; the first is {_iso(int(moments[0]))}"
            )
        return step_s

    def _complain(self, line: int, key: str, text: str) -> None:
        self._complaints.append(Complaint(str(self._path), line, key, text))
        if len(self._complaints) >= _MOST_COMPLAINTS:
            self._stop_if_wrong()

    def _stop_if_wrong(self) -> None:
        if self._complaints:
            raise InputError(self._complaints)


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
