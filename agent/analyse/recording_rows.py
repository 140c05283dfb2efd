"""From the cells of a recording's rows to numbers, with a complaint by line for each that is wrong."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.errors import Complaint, InputError
from agent.quantities import QUANTITIES

Cells = list[list[str]]
Lines = NDArray[np.int64]
Rows = NDArray[Any]  # with the fields line, time (s), meter (its number), values (of each quantity)

_REQUIRED = ("time", "meter", "active_power_w")
_MOST_COMPLAINTS = 20  # a file that is wrong throughout is wrong in the same way throughout
_MOST_METERS = 100_000  # more names than a site has meters are no names of meters
_MOST_LETTERS = 200  # of a complaint: a cell may hold a whole file
_MOST_MOMENTS = 40_000  # whose meaning is kept: a file sorted by meter names those of a year once a meter


class Complaints:
    """What is wrong with one file so far; raises :class:`InputError` at the twentieth."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._found: list[Complaint] = []

    def add(self, line: int, key: str, text: str) -> None:
        """Complain of one line, in letters that a terminal shows and does not obey."""
        self._found.append(Complaint(self._path, line, _legible(key), _legible(text)))
        if len(self._found) >= _MOST_COMPLAINTS:
            self.stop_if_any()

    def stop_if_any(self) -> None:
        """Raise what was found."""
        if self._found:
            raise InputError(self._found)


class RowParser:
    """Understands the rows below one header; ``meters`` numbers the meters in the order in which they come.

    A chunk of rows is read column by column; only one in which something is unusual is read cell by cell.
    """

    def __init__(self, header: Sequence[str], complaints: Complaints) -> None:
        _check_header(header, complaints)
        self._header = tuple(header)
        self._complaints = complaints
        self._moments = _Moments()
        self.meters: dict[str, int] = {}
        self.quantities = tuple(name for name in header if name not in ("time", "meter"))
        self.dtype = np.dtype(
            [("line", np.int64), ("time", np.int64), ("meter", np.int64), ("values", float, (len(self.quantities),))]
        )

    def parse(self, lines: Lines, cells: Cells) -> Rows:
        """Give the numbers of some rows that stand on these lines."""
        try:
            return self._by_column(lines, cells)
        except ValueError:
            return self._by_cell(lines, cells)

    def _by_column(self, lines: Lines, cells: Cells) -> Rows:
        """Give the numbers; ValueError where something is unusual."""
        columns = dict(zip(self._header, zip(*cells, strict=True), strict=True))
        for name in dict.fromkeys(columns["meter"]):
            self._meter(name)
        rows = np.empty(len(cells), self.dtype)
        rows["line"] = lines
        rows["time"] = np.fromiter(map(self._moments.__getitem__, columns["time"]), np.int64, len(cells))
        rows["meter"] = np.fromiter(map(self.meters.__getitem__, columns["meter"]), np.int64, len(cells))
        for place, name in enumerate(self.quantities):
            if "_" in "".join(columns[name]):
                raise ValueError
            rows["values"][:, place] = [float(text) if text else math.nan for text in columns[name]]
        return rows

    def _by_cell(self, lines: Lines, cells: Cells) -> Rows:
        """Give the numbers of the rows that are right, and complain of the others."""
        read = []
        for line, row in zip(lines.tolist(), cells, strict=True):
            if row and len(row) != len(self._header):
                self._complaints.add(line, "row", f"has {len(row)} cells, the header has {len(self._header)}")
            elif row:
                read.append(self._row(line, dict(zip(self._header, row, strict=True))))
        return np.array(read, self.dtype)

    def _row(self, line: int, cells: dict[str, str]) -> tuple[int, int, int, list[float]]:
        understood = {name: self._cell(line, name, text) for name, text in cells.items()}
        values = [understood[name] for name in self.quantities]
        return line, int(understood["time"]), int(understood["meter"]), values

    def _cell(self, line: int, name: str, text: str) -> float:
        """Give the number that a cell stands for; any with a complaint."""
        try:
            if name == "time":
                return moment(text)
            return self._meter(text.strip()) if name == "meter" else number(text)
        except ValueError as error:
            self._complaints.add(line, name, str(error))
            return 0

    def _meter(self, name: str) -> int:
        """Give the number of a meter, a new one to a new name."""
        if not name or name != name.strip():
            raise ValueError("is empty; a name is needed")
        if name not in self.meters and not name.isprintable():
            raise ValueError(f'"{name}" holds a control character; is the file text?')
        if name not in self.meters and len(self.meters) == _MOST_METERS:
            raise ValueError(f"more than {_MOST_METERS} different names; does another column hold the meters' names?")
        return self.meters.setdefault(name, len(self.meters))


class _Moments(dict[str, int]):
    """What the times mean that came last: each stands in as many rows as there are meters."""

    def __missing__(self, text: str) -> int:
        if len(self) == _MOST_MOMENTS:
            self.clear()
        seconds = self[text] = moment(text)
        return seconds


def _legible(text: str) -> str:
    r"""Give a text with what is no letter written as an escape, cut where it is endless.

    >>> _legible("red" + chr(27) + "[31m")
    'red\\x1b[31m'
    """
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[: _MOST_LETTERS + 1])
    return shown if len(text) <= _MOST_LETTERS else f"{shown[:_MOST_LETTERS]} …"


def moment(text: str) -> int:
    """Give a time in UTC seconds since 1970; ValueError says why it is none.

    >>> moment("2026-01-05T01:00:00+01:00")
    1767571200
    """
    text = text.strip()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'"{text}" is not a time in ISO 8601, as 2026-01-05T00:15:00Z') from None
    seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if seconds != int(seconds):
        raise ValueError(f'"{text}" is not a whole second')
    if seconds < 0:
        raise ValueError(f'"{text}" is before 1970')
    return int(seconds)


def number(text: str) -> float:
    """Give a measured value, NaN for an empty cell; ValueError says why it is none.

    >>> number("230.5"), number(" ")
    (230.5, nan)
    """
    if not text.strip():
        return math.nan
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise ValueError(f'"{text.strip()}" is not a number; leave the cell empty where nothing was measured')


def _check_header(header: Sequence[str], complaints: Complaints) -> None:
    for name in _REQUIRED:
        if name not in header:
            complaints.add(1, name, f"this column is missing; the header has {', '.join(header) or 'nothing'}")
    for name in header:
        if name not in QUANTITIES and name not in _REQUIRED:
            close = get_close_matches(name, [*QUANTITIES, *_REQUIRED], 1)
            hint = f'; did you mean "{close[0]}"?' if close else "; docs/data-dictionary.md lists the names"
            complaints.add(1, name, f"not a quantity of the vocabulary{hint}")
    for name in sorted({name for name in header if header.count(name) > 1}):
        complaints.add(1, name, "this column stands twice")
    complaints.stop_if_any()
