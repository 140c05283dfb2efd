"""A recorded load, replayed from a CSV file."""

import csv
import functools
import gzip
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.fields import file_path, number, text
from firmware_sim.loads.base import Moments, PlainLoad


@dataclass(frozen=True, kw_only=True)
class Recording(PlainLoad):
    """The column ``active_power_w`` of a CSV, each value held over its step; an empty cell is a gap.

    Columns: ``time`` (ISO 8601, UTC unless it says otherwise), ``active_power_w`` and, where the
    file holds several meters, ``meter``, of which ``meter`` picks one. ``shift_s`` is added to each time.
    """

    file: Path = file_path()  # noqa: RUF009 - makes a dataclass field
    meter: str | None = text(None)
    shift_s: float = number(0.0, low=-4e9, high=4e9)

    PF: ClassVar[float] = 0.95
    THD_PERCENT: ClassVar[float] = 10.0

    @property
    def rated_w(self) -> float:
        """The largest power in the file, W."""
        return float(np.nanmax(np.abs(read_csv(self.file, self.meter).power_w), initial=1.0))

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the recorded power in W; NaN in gaps, before the first and after the last step."""
        track = read_csv(self.file, self.meter)
        index = np.floor((at.time_s - self.shift_s - track.start_s) / track.step_s).astype(np.int64)
        inside = (index >= 0) & (index < len(track.power_w))
        return np.where(inside, track.power_w[np.clip(index, 0, len(track.power_w) - 1)], np.nan)

    def check(self, step_s: float, begins_s: float) -> None:
        """Raise ValueError where the file cannot be read, is finer than the steps, or over before they begin."""
        super().check(step_s, begins_s)
        track = read_csv(self.file, self.meter)
        late_s = begins_s - (track.start_s + self.shift_s + len(track.power_w) * track.step_s)
        if late_s >= 0:
            raise ValueError(
                f"file: it ends {late_s / 86_400:.0f} days before the scenario begins; "
                f"shift_s = {begins_s - track.start_s:.0f} lets both begin together"
            )
        if track.step_s % step_s:
            raise ValueError(
                f"file: its step is {track.step_s:g} s, which the scenario's step_s = {step_s:g} does not divide"
            )


@dataclass(frozen=True, slots=True)
class Track:
    """A recording on a constant grid: ``power_w[n]`` holds from ``start_s + n * step_s`` on."""

    start_s: float
    step_s: float
    power_w: Floats


@functools.lru_cache(maxsize=16)
def read_csv(file: Path, meter: str | None) -> Track:
    """Read one meter's recording; raise ValueError with the line where it is wrong."""
    times, powers = _columns(file, meter)
    if len(times) < 2:
        raise ValueError(f"file: {file}: fewer than two rows" + (f" of meter {meter!r}" if meter else ""))
    steps = np.diff(times)
    step_s = float(steps.min())
    if not 1 <= step_s <= 3600 or np.any(np.mod(steps, step_s)):
        raise ValueError(f"file: {file}: the time does not rise in a constant step of 1 s to 1 h")
    power_w = np.full(round((times[-1] - times[0]) / step_s) + 1, np.nan)
    power_w[np.rint((times - times[0]) / step_s).astype(np.int64)] = powers
    return Track(float(times[0]), step_s, power_w)


def _columns(file: Path, meter: str | None) -> tuple[Floats, Floats]:
    times, powers, found = [], [], set()
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as binary:
            rows = csv.DictReader(io.TextIOWrapper(binary, "utf-8-sig", newline=""))
            missing = {"time", "active_power_w"} - set(rows.fieldnames or ())
            if missing:
                raise ValueError(f"file: {file}: no column {' and '.join(sorted(missing))}")
            for row in rows:
                found.add(row.get("meter") or "")
                if meter is not None and row.get("meter") != meter:
                    continue
                try:
                    times.append(_seconds(row["time"]))
                    powers.append(float(row["active_power_w"] or "nan"))
                except (ValueError, TypeError):
                    raise ValueError(f"file: {file}:{rows.line_num}: expected a time and a number") from None
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"file: cannot read {file}: {reason}; name your recording, relative to the scenario") from None
    if meter is None and len(found) > 1:
        raise ValueError(f"file: {file} holds several meters ({', '.join(sorted(found)[:5])} …): pick one with meter")
    return np.array(times), np.array(powers)


def _seconds(iso: str) -> float:
    moment = datetime.fromisoformat(iso)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
