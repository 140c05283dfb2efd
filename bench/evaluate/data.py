"""Real meters of the data folder, as daily rows of hourly means, and the split into halves by building.

Every array is (days, 24) in W, NaN where nothing is known; the sources write zero where a value is
missing, so zeros are gaps. Days are numbers since 1970-01-01 on the clock of the source: local time
in the Building Data Genome 2 (BDG2) and at NREL, UTC at Cambridge, where the two differ by an hour
in summer. So the detector's weekends, Saturday and Sunday on the recording's clock, are right.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Half = Literal["train", "held"]

FILES = (
    "bdg2_metadata.csv",
    "bdg2_hourly_2016_2017.parquet",
    "cambridge_hourly_2015_2019.parquet",
    "rsf_hourly_2011.parquet",
    "steel_15min_2018.parquet",
    "mlperf_wallpower_1s.parquet",
)
KNOWN_HOURS = 18  # of a day, as the baseload needs
_RECORD_DAYS = 731  # two years, one of them a leap year
_MIN_DAYS = 400  # known, of a record: a year to judge and a month before it
_EPOCH = date(1970, 1, 1)
_CAMBRIDGE = (date(2015, 1, 1), date(2018, 1, 1))  # two records that do not overlap; few buildings have 2017
STUCK = "Mouse_science_Micheal"  # 87 % of its readings repeat the one before: a fault, not a building


@dataclass(frozen=True, slots=True)
class Meter:
    """A stretch of one building's meter; the meters of one ``site`` share ``first_day`` and length."""

    building: str
    site: str
    usage: str
    first_day: int
    hourly_w: Floats  # (days, 24)

    @property
    def half(self) -> Half:
        """Which half of the split the building belongs to."""
        return half(self.building)

    @property
    def weekend(self) -> NDArray[np.bool_]:
        """Which days are Saturdays and Sundays, shape (days,)."""
        return (self.first_day + np.arange(len(self.hourly_w)) + 3) % 7 >= 5  # day 0 was a Thursday

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which days hold enough hours to have a baseload, shape (days,)."""
        known: NDArray[np.bool_] = np.isfinite(self.hourly_w).sum(axis=1) >= KNOWN_HOURS
        return known


def missing(data: Path) -> list[str]:
    """Give the files of real recordings that are not in the folder."""
    return [name for name in FILES if not (data / name).is_file()]


def half(building: str) -> Half:
    """Give the half of a building: weights and thresholds see ``train`` only, figures come from ``held`` only.

    A digest of the name decides, so the split is the same everywhere and no seed can be chosen.

    >>> half("Bear_parking_Gordon"), half("Bear_parking_Bruce")
    ('train', 'held')
    """
    return "held" if hashlib.sha256(building.encode()).digest()[0] % 2 else "train"


def buildings(data: Path) -> list[Meter]:
    """Read all whole-building meters with 400 known days or more, as records of two years: BDG2, then Cambridge.

    A site is one campus in one stretch of time. A building with two records has one name and one half.
    """
    meters = [*_genome(data), *_cambridge(data)]
    return [meter for meter in meters if meter.known.sum() >= _MIN_DAYS and meter.building != STUCK]


def stuck(data: Path) -> Meter:
    """Read the real stuck meter."""
    return next(meter for meter in _genome(data) if meter.building == STUCK)


def office(data: Path) -> list[Meter]:
    """Read NREL's office of 2011 by end use: its data centre (CV 0.04), lighting, plugs and others."""
    table = parquet.read_table(data / "rsf_hourly_2011.parquet")
    ends = table["timestamp_local_end"].to_pylist()
    names = [name for name in table.column_names if name.endswith("_kw")]
    return [Meter(f"RSF_{name[:-3]}", "RSF", "Office", *_daily(table[name], ends[0], hours=1)) for name in names]


def steel_works(data: Path) -> tuple[int, Floats]:
    """Read the steel works of 2018: its first day, and the load in W, shape (days, 96), of 15 minutes each."""
    table = parquet.read_table(data / "steel_15min_2018.parquet")
    kwh = table["kWh"].to_numpy().astype(float)
    return (date(2018, 1, 1) - _EPOCH).days, 4000.0 * kwh.reshape(-1, 96)


def _genome(data: Path) -> Iterator[Meter]:
    with (data / "bdg2_metadata.csv").open(encoding="utf-8", newline="") as file:
        facts = {row["building_id"]: row for row in csv.DictReader(file)}
    table = parquet.read_table(data / "bdg2_hourly_2016_2017.parquet")
    start = table["timestamp_local"][0].as_py()
    for name in table.column_names:
        if name in facts:
            usage = facts[name]["primaryspaceusage"] or "unknown"
            yield Meter(name, facts[name]["site_id"], usage, *_daily(table[name], start))


def _cambridge(data: Path) -> Iterator[Meter]:
    table = parquet.read_table(data / "cambridge_hourly_2015_2019.parquet")
    start = table["timestamp_utc"][0].as_py()
    for name in table.column_names:
        if not name.startswith("UCam"):
            continue
        first_day, hourly_w = _daily(table[name], start)
        for moment in _CAMBRIDGE:
            begin = (moment - _EPOCH).days - first_day
            part = hourly_w[begin : begin + _RECORD_DAYS]
            part = np.pad(part, ((0, _RECORD_DAYS - len(part)), (0, 0)), constant_values=np.nan)
            yield Meter(name, f"Cambridge {moment.year}", "University", first_day + begin, part)


def _daily(column: pyarrow.ChunkedArray, stamp: datetime, hours: int = 0) -> tuple[int, Floats]:
    """Give the first day and the whole days of a column in kW; ``stamp`` is ``hours`` after its first hour began."""
    start = stamp - timedelta(hours=hours)
    values = 1000.0 * column.to_numpy().astype(float)
    known = np.where(values > 0, values, np.nan)
    days = -(-len(known) // 24)
    padded = np.pad(known, (0, days * 24 - len(known)), constant_values=np.nan)
    if start.hour:
        raise ValueError(f"the recording begins at {start}, not at midnight")
    return (start.date() - _EPOCH).days, padded.reshape(days, 24)
