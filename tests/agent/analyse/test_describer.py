"""What a day is described by: its 56 days from good windows, and its own polls."""

from dataclasses import replace

import numpy as np
import pytest

from agent.analyse.describer import Describer
from agent.analyse.recording import Recording
from agent.analyse.site import Site, without_facts
from agent.analyse.window import window_features

DAY = 20_000
DAY_S = 86_400


def describe(recording: Recording, site: Site) -> dict[str, list[float]]:
    """Describe the last day of a recording, name → a number a meter."""
    describer = Describer(site)
    for window in recording.windows():
        describer.add(window, window_features(window))
    last = (recording.start_s + recording.step_s * recording.values["active_power_w"].shape[1]) // DAY_S - 1
    return {name: values.tolist() for name, values in describer.day(last).items()}


def test_a_meter_with_sub_meters_is_described_by_what_these_do_not_see() -> None:
    """The main meter's own load is flat, though the workshop below it is not; its power factor is not its own."""
    rng = np.random.default_rng(2)
    hours = 15 * 24
    workshop = np.where(np.arange(hours) % 24 > 7, 9000.0, 1000.0) + rng.normal(0, 50, hours)
    own = 5000 + rng.normal(0, 20, hours)
    values = {"active_power_w": np.stack([own + workshop, workshop]), "power_factor": np.full((2, hours), 0.9)}
    main, below = without_facts(["main", "workshop"]).meters
    site = Site("office", (main, replace(below, parent="main")))

    features = describe(Recording(("main", "workshop"), DAY * DAY_S, 3600, values), site)

    assert features["dwell"][0] == 1.0
    assert features["dwell"][1] < 0.8
    assert np.isnan(features["power_factor"][0])
    assert features["power_factor"][1] == pytest.approx(0.9)


def test_the_polls_of_a_day_are_joined_and_those_of_bad_windows_left_out() -> None:
    """A reboot across the edge of two windows is one notch; a frozen hour says nothing; yesterday's polls are gone."""
    rng = np.random.default_rng(3)
    ticks = 2 * DAY_S // 2
    power = 20_000 + rng.normal(0, 30, (1, ticks))
    power[:, 500:800] -= 3500.0  # yesterday
    power[:, 43_200 + 3600 - 100 : 43_200 + 3600 + 100] -= 3500.0  # across two windows of 15 minutes
    power[:, 43_200 + 9000 : 43_200 + 10_800] = 17_000.0
    volts = 230 + rng.normal(0, 0.2, (1, ticks))
    volts[:, 43_200 + 9000 : 43_200 + 10_800] = 230.0  # frozen bit for bit
    distortion = np.full((1, ticks), 7.0)
    series = {"active_power_w": power, "voltage_l1_v": volts, "thd_current_l1_percent": distortion}
    recording = Recording(("farm",), DAY * DAY_S, 2, series)

    features = describe(recording, without_facts(["farm"]))

    assert (features["notches"], features["notch_length_s"]) == ([1.0], [400.0])
    assert features["stuck_share"][0] < 0.01
    assert features["thd_current_percent"] == [7.0]
