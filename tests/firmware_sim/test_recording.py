"""A recorded load is replayed as it was."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from firmware_sim.errors import SimError
from firmware_sim.feeder import BLOCK
from firmware_sim.plant import Plant
from firmware_sim.scenario import read_scenario

MakePlant = Callable[..., Plant]
LOAD = '[[meter.load]]\nkind = "recording"\nfile = "load.csv"\n'
CSV = """time,meter,active_power_w
2026-01-05T00:00:00Z,a,100
2026-01-05T00:15:00Z,a,
2026-01-05T00:30:00Z,a,300
2026-01-05T01:00:00Z,a,400
"""


def powers(plant: Plant) -> list[float]:
    """Give the power in the middle of each quarter of an hour of the first 1.5 hours."""
    start = plant.step_of(plant.scenario.start_s)
    active_w = plant.feeders["m1"].power(start // BLOCK).active_w
    return [float(active_w[start % BLOCK + 15 * n + 7]) for n in range(6)]


def test_a_value_holds_over_its_step(plant: MakePlant, tmp_path: Path) -> None:
    """Each value holds for its quarter of an hour; an empty cell, a missing row and the end are gaps."""
    (tmp_path / "load.csv").write_text(CSV)

    replayed = powers(plant(LOAD))

    np.testing.assert_equal(replayed, [100, np.nan, 300, np.nan, 400, np.nan])


def test_a_recording_may_be_gzipped_local_and_shifted(plant: MakePlant, tmp_path: Path) -> None:
    """A time zone is honoured, and shift_s moves the recording onto the scenario's calendar."""
    text = CSV.replace("2026-01-05", "2020-01-05").replace("Z", "+01:00")
    (tmp_path / "load.csv.gz").write_bytes(gzip.compress(text.encode()))
    shift_s = (2 * 366 + 4 * 365 - 5 * 0) * 86400 + 3600  # 2020-01-05 to 2026-01-05 in UTC, and the zone

    replayed = powers(plant(LOAD.replace("csv", "csv.gz") + f"shift_s = {shift_s}\n"))

    np.testing.assert_equal(replayed, [100, np.nan, 300, np.nan, 400, np.nan])


def test_a_recording_may_come_from_a_spreadsheet(plant: MakePlant, tmp_path: Path) -> None:
    """Which marks its UTF-8 with three bytes before the header, as `flatwatt replay` takes it too."""
    (tmp_path / "load.csv").write_text(CSV, encoding="utf-8-sig")

    assert powers(plant(LOAD))[0] == 100


def test_one_meter_is_picked(plant: MakePlant, tmp_path: Path) -> None:
    """Where the file holds several meters, the scenario says which."""
    (tmp_path / "load.csv").write_text(CSV + CSV.replace(",a,", ",b,").replace("100", "111").split("\n", 1)[1])

    assert powers(plant(LOAD + 'meter = "b"\n'))[0] == 111
    with pytest.raises(SimError, match=r"several meters \(a, b …\): pick one with meter"):
        plant(LOAD)


def test_energy_does_not_grow_in_a_gap(plant: MakePlant, tmp_path: Path) -> None:
    """Only what was recorded is counted: 100 W and 300 W for a quarter of an hour each."""
    (tmp_path / "load.csv").write_text(CSV)
    made = plant(LOAD)
    start = made.step_of(made.scenario.start_s)

    counted_wh = made.feeders["m1"].counters(start // BLOCK)["active_energy_import_wh"]

    assert counted_wh[start % BLOCK + 50] == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("time,power\n", "no column active_power_w"),
        ("time,active_power_w\n2026-01-05T00:00:00Z,12\nyesterday,1\n", r"load.csv:3: expected a time and a number"),
        ("time,active_power_w\n2026-01-05T00:00:00Z,12\n", "fewer than two rows"),
        (
            "time,active_power_w\n2026-01-05T00:00:00Z,1\n2026-01-05T00:01:00Z,1\n2026-01-05T00:02:01Z,1\n",
            "constant step",
        ),
        (CSV.replace(":15:", ":00:01").replace(":30:", ":00:02"), r"expected a time"),
        ("time,active_power_w\n2026-01-05T00:00:00Z,1\n2026-01-05T00:00:01Z,1\n", "does not divide"),
    ],
)
def test_a_bad_recording_is_named_with_its_place(plant: MakePlant, tmp_path: Path, text: str, complaint: str) -> None:
    """The complaint names the meter, the load, the file and the line."""
    (tmp_path / "load.csv").write_text(text)

    with pytest.raises(SimError, match=rf"meter m1, load 1\.file: .*{complaint}"):
        plant(LOAD)


def test_a_recording_that_is_over_before_the_scenario_begins_is_refused(plant: MakePlant, tmp_path: Path) -> None:
    """All gaps would be no load at all; the complaint says by how much to shift."""
    (tmp_path / "load.csv").write_text(CSV.replace("2026", "2017"))

    with pytest.raises(SimError, match="before the scenario begins; shift_s = 283996800"):
        plant(LOAD)


def test_a_time_that_begins_earlier_admits_an_old_recording(tmp_path: Path) -> None:
    """`sim --start` moves the beginning: what is not over then is served."""
    (tmp_path / "load.csv").write_text(CSV.replace("2026", "2017"))
    scenario = tmp_path / "s.toml"
    head = '[scenario]\nname = "s"\nstep_s = 60\n[[bus]]\nname = "b"\nurl = "tcp://127.0.0.1:0"\n'
    meter = '[[meter]]\nid = "m1"\nbus = "b"\nunit = 1\nprofile = "eastron_sdm120"\n'
    scenario.write_text(head + meter + LOAD)
    now_s = 1_800_000_000.0

    with pytest.raises(SimError, match="before the scenario begins"):
        read_scenario(scenario, now_s)
    assert read_scenario(scenario, now_s, begins_s=1_483_228_800.0).meters[0].id == "m1"
