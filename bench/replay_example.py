"""Write the recording that docs/replay.md shows: a real office, and the same with a simulated farm.

    python -m bench.replay_example ../shared/data office.csv
    flatwatt replay office.csv --plot pictures

The building is `Panther_office_Catherine` of the Building Data Genome 2 in 2017 (CC BY-SA 4.0). The
farm is simulated: half of the building's mean load, on at once, with 1 % of noise from hour to hour.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet

BUILDING = "Panther_office_Catherine"
_FIRST = np.datetime64("2016-01-01T00", "h")  # of the record
_YEAR = np.datetime64("2017-01-01T00", "h")
_BEGINS = np.datetime64("2017-07-20T13", "h")
_SHARE = 0.5  # of the building's mean load
_SEED = 7


def main(data: Path, path: Path) -> None:
    """Write the recording; zeros are gaps in this data set."""
    kilowatts = parquet.read_table(data / "bdg2_hourly_2016_2017.parquet", columns=[BUILDING])[BUILDING].to_numpy()
    hours = _FIRST + np.arange(len(kilowatts))
    year = hours >= _YEAR
    hours, office_w = hours[year], 1000 * np.where(kilowatts == 0, np.nan, kilowatts)[year].astype(float)
    noise = np.random.default_rng(_SEED).standard_normal(len(hours))
    farm_w = _SHARE * np.nanmean(office_w) * (1 + 0.01 * noise) * (hours >= _BEGINS)
    print(f"a simulated farm of {_SHARE * np.nanmean(office_w) / 1000:.1f} kW from {_BEGINS}:00Z on")
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["time", "meter", "active_power_w"])
        for meter, watts in (("office", office_w), ("office with a farm", office_w + farm_w)):
            cells = ["" if np.isnan(value) else f"{value:.1f}" for value in watts]
            rows.writerows([f"{hour}:00Z", meter, cell] for hour, cell in zip(hours, cells, strict=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
