"""Voltages, dips and the frequency that all meters of a site share."""

import numpy as np

from tests.agent.analyse.metering import DAY, TICKS, inspected, load, metered


def test_a_voltage_that_left_the_others_is_told() -> None:
    """A loose neutral endangers what is connected; the measuring itself is right."""
    series = metered(load(60))
    series["voltage_l2_v"][20 * TICKS : 40 * TICKS] *= 0.8
    series["current_l2_a"][20 * TICKS : 40 * TICKS] /= 0.8

    told = inspected({"office": series})

    assert told.checks() == [(20, "uneven_voltage", "raised"), (40, "uneven_voltage", "cleared")]
    assert told.letters["office"] == "G" * 60
    assert "office: voltage of phase 2 is 184 V while phases 1 and 3 have 230 and 230 V since" in told.texts[0]


def test_a_phase_that_the_supply_lost_is_one_finding() -> None:
    """Without voltage there is no current: nothing is wrong with its transformer."""
    series = metered(load(3 * DAY))
    lost = series["active_power_l2_w"][150 * TICKS :].copy()
    for name in ("voltage_l2_v", "current_l2_a", "active_power_l2_w"):
        series[name][150 * TICKS :] = 0.0
    series["active_power_w"][150 * TICKS :] -= lost
    series["active_energy_import_wh"][150 * TICKS :] -= np.cumsum(lost) / 60

    told = inspected({"office": series})

    assert {check for _, check, _ in told.checks()} == {"uneven_voltage", "dip"}


def test_a_dip_is_told_with_its_depth_and_length() -> None:
    """Below 90 % of what is usual here, once a day was seen; all phases alike."""
    series = metered(load(2 * DAY))
    for phase in (1, 2, 3):
        series[f"voltage_l{phase}_v"][150 * TICKS + 3 : 150 * TICKS + 5] *= 0.7
        series[f"current_l{phase}_a"][150 * TICKS + 3 : 150 * TICKS + 5] /= 0.7

    told = inspected({"office": series})

    assert told.checks() == [(150, "dip", "raised"), (151, "dip", "cleared")]
    assert "V, usual 230 V, for 120 s" in told.texts[0]


def test_a_meter_that_has_another_frequency_than_its_neighbours_is_told() -> None:
    """What it shows is replayed, or not measured on this grid."""
    meters = {name: metered(load(40, seed=seed), seed) for seed, name in enumerate(("a", "b", "c", "d"))}
    meters["c"]["frequency_hz"][10 * TICKS : 30 * TICKS] += 0.07

    told = inspected(meters)

    assert told.checks() == [(13, "frequency", "raised"), (33, "frequency", "cleared")]
    assert told.notices[0][1].meter == "c"
    assert told.texts[0].startswith("c: frequency is 50.0")
    assert "Hz where the other meters of the site show " in told.texts[0]


def test_a_meter_that_swings_with_another_grid_is_told() -> None:
    """A box that plays what was recorded elsewhere has the same mean, and none of this grid's moments."""
    grid, elsewhere = (50.0 + 0.02 * np.random.default_rng(seed).standard_normal(40 * TICKS) for seed in (1, 2))
    meters = {name: metered(load(40, seed=seed), seed) for seed, name in enumerate(("a", "b", "c", "d"))}
    for name, series in meters.items():
        series["frequency_hz"] = elsewhere if name == "d" else grid

    told = inspected(meters)

    assert told.checks() == [(3, "frequency", "raised")]
    assert told.notices[0][1].meter == "d"
    assert "d: frequency swings by 0.0" in told.texts[0]


def test_coarse_and_stolid_frequencies_are_no_fault() -> None:
    """Registers of 0.01 and 0.1 Hz, and one that says 50 whatever is; two meters accuse nobody."""
    fine, finer = metered(load(40, seed=1), 1), metered(load(40, seed=2), 2)
    hundredths, tenths, always = (metered(load(40, seed=seed), seed) for seed in (3, 4, 5))
    hundredths["frequency_hz"] = np.round(hundredths["frequency_hz"], 2)
    tenths["frequency_hz"] = np.round(tenths["frequency_hz"], 1)
    always["frequency_hz"] = np.full(40 * TICKS, 50.0)
    off = metered(load(40, seed=6), 6)
    off["frequency_hz"] = off["frequency_hz"] + 0.5

    assert inspected({"a": fine, "b": finer, "c": hundredths, "d": tenths, "e": always}).texts == []
    assert inspected({"a": fine, "off": off}).texts == []
