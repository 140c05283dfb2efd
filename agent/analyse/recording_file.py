"""Reads recorded load: CSV, plain or gzipped, in the form that ``docs/replay.md`` describes.

A file may be longer than the memory is large. One pass over the text makes numbers of the rows,
chunk by chunk, and keeps these in a temporary file; once meters, times and the step are known, a
pass over the numbers puts each in its place.
"""

import csv
import gc
import gzip
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from agent.analyse.recording import Recording
from agent.analyse.recording_rows import Cells, Complaints, Lines, RowParser, Rows
from agent.analyse.spill import Spill, no_room
from agent.errors import InputError
from agent.quantities import QUANTITIES

Chunk = tuple[Lines, Cells]
_CHUNK = 16_384  # rows that are read at once
_MOST_TICKS = 500_000_000  # of all meters, 4 GB a quantity: a wrong year in one row would ask for a whole disk
_MOST_DAYS = 36_525  # a century; with a wrong year in one row, millions of empty days would be judged
_DEFAULT_STEP_S = 900  # of a recording of a single moment
_LONGEST_LINE = 1 << 20  # letters that are read at once: a file without line breaks must not fill the memory


def read_recording(path: Path, watch: Callable[[Iterable[Chunk]], Iterable[Chunk]] = iter) -> Recording:
    """Read a recording; :class:`InputError` lists what is wrong with it, by line.

    ``watch`` passes the chunks of rows on, as a progress bar does.
    """
    try:
        with path.open("rb") as raw, tempfile.TemporaryFile() as kept:
            unpacked = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == b"\x1f\x8b" else raw
            with TextIOWrapper(unpacked, encoding="utf-8-sig", newline="") as text:
                return _read(path, iter(partial(text.readline, _LONGEST_LINE), ""), kept, watch)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path}: cannot be read as a recording ({why}); a CSV file in UTF-8 is expected, gzipped or not"
        ) from None


def _read(
    path: Path, text: Iterable[str], kept: IO[bytes], watch: Callable[[Iterable[Chunk]], Iterable[Chunk]]
) -> Recording:
    reader = csv.reader(text)
    complaints = Complaints(path)
    parser = RowParser([name.strip() for name in next(reader, [])], complaints)
    times = _Times()
    with _no_collection():
        for lines, cells in watch(_chunks(reader)):
            rows = parser.parse(lines, cells)
            times.take(rows["time"])
            _keep(rows, kept)
    complaints.stop_if_any()
    return _Arrangement(path, parser, times, complaints).of(kept)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let the garbage collector rest: it would look through thousands of rows again and again, and find nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Reader(Iterator[list[str]], Protocol):
    """What ``csv.reader`` makes: rows, and the number of the line that was read last."""

    @property
    def line_num(self) -> int: ...


def _chunks(reader: _Reader) -> Iterator[Chunk]:
    """Give rows and the lines on which they end."""
    line = reader.line_num
    while cells := list(islice(reader, _CHUNK)):
        lines = np.arange(line + 1, line + len(cells) + 1)
        if reader.line_num != lines[-1]:  # some cells hold line breaks
            lines = line + np.cumsum([1 + sum(cell.count("\n") for cell in row) for row in cells])
        yield lines, cells
        line = reader.line_num


def _keep(rows: Rows, file: IO[bytes]) -> None:
    try:
        file.write(rows.tobytes())
    except OSError as error:
        raise no_room(error, file.tell()) from None


class _Times:
    """The first and the last moment, and the steps between them, which are counted chunk by chunk."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._ends: tuple[int, int] | None = None
        self._latest = np.zeros(0, dtype=np.int64)

    def take(self, times: NDArray[np.int64]) -> None:
        """Take the times of some rows."""
        if not len(times):
            return
        moments = np.unique(np.concatenate([self._latest, times]))
        steps, counts = np.unique(np.diff(moments), return_counts=True)
        self._counts.update(dict(zip(steps.tolist(), counts.tolist(), strict=True)))
        first, last = int(moments[0]), int(moments[-1])
        self._ends = (first, last) if self._ends is None else (min(first, self._ends[0]), max(last, self._ends[1]))
        self._latest = times[-1:]

    @property
    def ends(self) -> tuple[int, int] | None:
        """First and last moment, None where there are no rows."""
        return self._ends

    @property
    def step_s(self) -> int:
        """The commonest step between moments, the shortest of several."""
        most = max(self._counts.values(), default=0)
        return min((step for step, count in self._counts.items() if count == most), default=_DEFAULT_STEP_S)


class _Arrangement:
    """Puts each value in its place; complains of times that have none, or whose place is taken."""

    def __init__(self, path: Path, parser: RowParser, times: _Times, complaints: Complaints) -> None:
        if times.ends is None:
            raise InputError(f"{path}: holds no rows; at least one day of data is needed")
        self._path = path
        self._meters = tuple(parser.meters)
        self._quantities, self._dtype = parser.quantities, parser.dtype
        self._first_s, self._last_s = times.ends
        self._step_s = times.step_s
        self._complaints = complaints

    def of(self, kept: IO[bytes]) -> Recording:
        """Give the recording of the rows that are kept in this file."""
        for rows in self._rows(kept):
            self._check_grid(rows)
        self._complaints.stop_if_any()
        ticks = (self._last_s - self._first_s) // self._step_s + 1
        shape = len(self._meters), ticks
        self._check_length(shape[0] * ticks)
        spill, taken = Spill(self._quantities, shape, np.nan), Spill(("taken",), shape, 0, "?")
        for rows in self._rows(kept):
            places = rows["meter"] * ticks + (rows["time"] - self._first_s) // self._step_s
            self._occupy(rows, places, taken.arrays["taken"].reshape(-1))
            for column, name in enumerate(self._quantities):
                spill.arrays[name].reshape(-1)[places] = _possible(name, rows["values"][:, column])
            spill.release()
            taken.release()
        self._complaints.stop_if_any()
        return Recording(self._meters, self._first_s, self._step_s, spill.arrays, spill)

    def _rows(self, kept: IO[bytes]) -> Iterator[Rows]:
        kept.seek(0)
        while read := kept.read(_CHUNK * self._dtype.itemsize):
            yield np.frombuffer(read, self._dtype)

    def _check_grid(self, rows: Rows) -> None:
        """Complain of times that are no multiples of the step, which must divide an hour."""
        step_s = self._step_s
        if 3600 % step_s:
            raise InputError(
                f"{self._path}: the usual step between times is {step_s} s, which does not divide an hour; "
                "resample to one step between 1 s and 1 h"
            )
        for line, time_s in rows[["line", "time"]][rows["time"] % step_s != 0].tolist():
            text = f"{_iso(time_s)} is off the grid of the usual step of {step_s} s; resample to one step"
            self._complaints.add(line, "time", text)

    def _check_length(self, ticks: int) -> None:
        if ticks > _MOST_TICKS or self._last_s - self._first_s > _MOST_DAYS * 86_400:
            span = f"{_iso(self._first_s)} to {_iso(self._last_s)}"
            raise InputError(f"{self._path}: {span} is {ticks} steps of all meters; is a time wrong? If not, split it")

    def _occupy(self, rows: Rows, places: NDArray[np.int64], taken: NDArray[np.bool_]) -> None:
        """Complain of rows that stand for the same meter and time as an earlier one."""
        ordered = np.sort(places, kind="stable")
        if taken[places].any() or (ordered[1:] == ordered[:-1]).any():
            again = np.ones(len(places), dtype=np.bool_)
            again[np.unique(places, return_index=True)[1]] = False
            for line, time_s, meter, _ in rows[again | taken[places]].tolist():
                text = f"{self._meters[meter]} has a row for {_iso(time_s)} already; keep one"
                self._complaints.add(line, "time", text)
        taken[places] = True


def _possible(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give NaN for what no meter can measure."""
    quantity = QUANTITIES[name]
    return np.where((values >= quantity.low) & (values <= quantity.high), values, np.nan)


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
