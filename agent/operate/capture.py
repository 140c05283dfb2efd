"""The raw samples of the last quarter of an hour, in memory, and how a signed command takes some of them out.

Raw samples leave the gateway in no other way. What a capture gives is CSV as ``flatwatt replay``
reads it, gzipped, in base64: an analyst needs nothing of ours to open it.
"""

import base64
import contextlib
import gzip
import hashlib
import math
import struct
from array import array
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from agent.deliver.command_table import CAPTURE_S, Value
from agent.errors import FlatwattError
from agent.operate.executor import Done, Outcome
from agent.records import Sample

MOST_SAMPLES = 900  # of a meter: a quarter of an hour at one a second, 400 kB of 26 quantities
MOST_BYTES = 65_536  # gzipped; a meter that flickers in every digit fills it in a quarter of an hour
_PART = 24_000  # letters of base64 in a reply: a line of 9600 bit/s carries it within the keep-alive

_Row = tuple[float, tuple[str, ...], "array[float]"]  # time, quantities, values
_FLOAT32 = struct.Struct("<f")


class Recent:
    """The latest samples of each meter."""

    def __init__(self, meters: Sequence[str]) -> None:
        self._rows: dict[str, deque[_Row]] = {meter: deque(maxlen=MOST_SAMPLES) for meter in meters}
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}  # one tuple for all samples with the same quantities
        self._ends: list[tuple[float, Callable[[], None]]] = []

    def add(self, samples: Sequence[Sample], tick_s: float) -> None:
        """Take the samples of a tick, and call who waited for it."""
        for sample in samples:
            names = tuple(sample.values)
            names = self._names.setdefault(names, names)
            self._rows[sample.meter].append((sample.time_s, names, array("d", sample.values.values())))
        due = [call for end_s, call in self._ends if end_s <= tick_s]
        self._ends = [(end_s, call) for end_s, call in self._ends if end_s > tick_s]
        for call in due:
            call()

    def call_at(self, end_s: float, call: Callable[[], None]) -> None:
        """Call once a tick at or after ``end_s`` was sampled."""
        self._ends.append((end_s, call))

    def rows(self, meter: str, from_s: float, until_s: float) -> list[_Row]:
        """Give what is remembered of ``[from_s, until_s)`` in order of time; of two of a tick the later arrival."""
        found = {row[0]: row for row in self._rows[meter] if from_s <= row[0] < until_s}
        return [found[time_s] for time_s in sorted(found)]

    @property
    def meters(self) -> Sequence[str]:
        """The meters that are sampled."""
        return tuple(self._rows)


class Capture:
    """Carries out ``capture``: ``seconds`` of a meter's samples from ``from_s`` on, or from now."""

    def __init__(self, recent: Recent, period_s: float, now_s: Callable[[], float]) -> None:
        self._recent = recent
        self._period_s = period_s
        self._now_s = now_s

    def __call__(self, arguments: Mapping[str, Value], done: Done) -> None:
        """Tell at once what is remembered already, else when it has been sampled."""
        meter, seconds = str(arguments["meter"]), float(arguments["seconds"])
        from_s = float(arguments.get("from_s", self._now_s()))
        self._check(meter, from_s, seconds)

        def give() -> None:
            done(self._outcome(meter, from_s, from_s + seconds))

        if from_s + seconds <= self._now_s() - self._period_s:
            give()
        else:
            self._recent.call_at(from_s + seconds, give)

    def _check(self, meter: str, from_s: float, seconds: float) -> None:
        if meter not in self._recent.meters:
            known = ", ".join(self._recent.meters)
            raise FlatwattError(f"no meter {meter!r}; this gateway has {known[:400]}")
        if seconds / self._period_s > MOST_SAMPLES:
            most_s = int(MOST_SAMPLES * self._period_s)
            raise FlatwattError(f"at one in {self._period_s:g} s, {seconds:g} s are too many samples; take {most_s} s")
        if from_s > self._now_s() + CAPTURE_S:
            raise FlatwattError(f"from_s lies more than {CAPTURE_S} s ahead")

    def _outcome(self, meter: str, from_s: float, until_s: float) -> Outcome | FlatwattError:
        rows = self._recent.rows(meter, from_s, until_s)
        if not rows:
            return FlatwattError(f"nothing of {meter} is remembered from {from_s:.0f} to {until_s:.0f}")
        packed, count = _packed(meter, rows)
        data: dict[str, float | int | str | None] = {
            "meter": meter,
            "first_s": rows[0][0],
            "last_s": rows[count - 1][0],
            "samples": count,
            "left_out": len(rows) - count,
            "period_s": self._period_s,
            "quantities": ", ".join(_columns(rows)),
            "format": "csv+gzip",
            "sha256": hashlib.sha256(packed).hexdigest(),
        }
        text = base64.b64encode(packed).decode()
        parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
        return Outcome(f"{count} samples of {meter} in {len(packed)} bytes", data, parts)


def _packed(meter: str, rows: Sequence[_Row]) -> tuple[bytes, int]:
    """Give the rows as gzipped CSV, and how many of them the bound lets in."""
    count = len(rows)
    while len(packed := gzip.compress(_csv(meter, rows[:count]).encode(), mtime=0)) > MOST_BYTES:
        count = int(count * 0.98 * MOST_BYTES / len(packed))
    return packed, count


def _csv(meter: str, rows: Sequence[_Row]) -> str:
    columns = _columns(rows)
    lines = [",".join(("time", "meter", *columns))]
    for time_s, names, values in rows:
        cells = dict(zip(names, map(_spelt, values), strict=True))
        lines.append(",".join((_iso(time_s), meter, *(cells.get(column, "") for column in columns))))
    return "\n".join(lines) + "\n"


def _columns(rows: Sequence[_Row]) -> Sequence[str]:
    return tuple(dict.fromkeys(name for _, names, _ in rows for name in names))


def _iso(time_s: float) -> str:
    """Spell a time, with milliseconds where it has them.

    >>> _iso(1769040000), _iso(1769040000.5)
    ('2026-01-22T00:00:00Z', '2026-01-22T00:00:00.500Z')
    """
    moment = datetime.fromtimestamp(round(time_s, 3), UTC)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def _spelt(value: float) -> str:
    """Spell a number as short as it can be read back: most registers are float32, of seven to nine digits.

    >>> _spelt(230.10000610351562), _spelt(48211300.25), _spelt(math.nan)
    ('230.1', '48211300.25', '')
    """
    if not math.isfinite(value):
        return ""
    with contextlib.suppress(OverflowError):
        for digits in (7, 9):
            text = f"{value:.{digits}g}"
            if _FLOAT32.unpack(_FLOAT32.pack(float(text)))[0] == value:
                return text
    return repr(value)
