"""The real meters come as hourly rows with gaps, in two halves by building."""

from pathlib import Path

import numpy as np
import pytest

from bench.evaluate import data

FOLDER = Path(__file__).parents[3].parent / "shared/data"


@pytest.fixture(scope="module")
def meters() -> list[data.Meter]:
    """Give all real meters, where they are."""
    if not FOLDER.exists():
        pytest.skip("real recordings are not there: ../shared/data")
    return data.buildings(FOLDER)


def test_a_building_is_in_one_half_whatever_its_record() -> None:
    """Both halves are about as large, and a name decides."""
    halves = [data.half(f"building {number}") for number in range(1000)]

    assert 450 < halves.count("train") < 550


def test_recordings_that_are_missing_are_named(tmp_path: Path) -> None:
    """Before anything is read."""
    (tmp_path / data.FILES[0]).touch()

    assert data.missing(tmp_path) == list(data.FILES[1:])


def test_zeros_are_gaps(meters: list[data.Meter]) -> None:
    """No hour of a building draws nothing, and none gives."""
    assert min(float(np.nanmin(meter.hourly_w)) for meter in meters) > 0


def test_meters_of_a_site_share_their_days(meters: list[data.Meter]) -> None:
    """So that they can be replayed together."""
    spans = {(meter.site, meter.first_day, meter.hourly_w.shape) for meter in meters}

    assert len(spans) == len({site for site, _, _ in spans})


def test_weekends_are_those_of_the_calendar(meters: list[data.Meter]) -> None:
    """2016 began on a Friday: the second and third day were a weekend. Offices rest then."""
    fox = next(meter for meter in meters if meter.site == "Fox")

    assert fox.weekend[:5].tolist() == [False, True, True, False, False]


def test_the_stuck_meter_is_no_building(meters: list[data.Meter]) -> None:
    """It is among the look-alikes."""
    assert data.STUCK not in {meter.building for meter in meters}
    assert data.stuck(FOLDER).building == data.STUCK
