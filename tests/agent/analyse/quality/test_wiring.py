"""Phases that count backwards, with another's voltage, without one, or not at all."""

import numpy as np
import pytest

from agent.analyse.features.robust import Floats
from tests.agent.analyse.metering import DAY, TICKS, Series, inspected, load, metered
from tests.agent.analyse.stories import facts


def during(first: int, last: int, windows: int) -> Floats:
    """Give 1 at the ticks from the first to before the last of these windows, else 0."""
    window = np.arange(windows * TICKS) // TICKS
    return ((first <= window) & (window < last)).astype(float)


def without_current(series: Series, phase: int, when: Floats) -> Series:
    """Open a current transformer: its phase counts nothing."""
    lost = series[f"active_power_l{phase}_w"] * when
    return series | {
        f"current_l{phase}_a": series[f"current_l{phase}_a"] * (1 - when),
        f"active_power_l{phase}_w": series[f"active_power_l{phase}_w"] - lost,
        "active_power_w": series["active_power_w"] - lost,
        "apparent_power_va": series["apparent_power_va"] - lost / 0.95,
        "active_energy_import_wh": series["active_energy_import_wh"] - np.cumsum(lost) / 60,
    }


def turned(series: Series, phase: int, when: Floats) -> Series:
    """Reverse a current transformer."""
    own = series[f"active_power_l{phase}_w"]
    total = series["active_power_w"] - 2 * own * when
    counted = series["active_energy_import_wh"] - 2 * np.cumsum(own * when) / 60
    return series | {
        f"active_power_l{phase}_w": own * (1 - 2 * when),
        "active_power_w": total,
        "power_factor": total / series["apparent_power_va"],
        "active_energy_import_wh": counted,
    }


def test_an_open_ct_is_told_with_its_phase_and_all_currents() -> None:
    """After half an hour; the shape of the load is still right, so its windows are judged."""
    series = without_current(metered(load(2 * DAY)), 2, during(100, 150, 2 * DAY))

    told = inspected({"office": series})

    assert told.checks() == [(101, "idle_phase", "raised"), (151, "idle_phase", "cleared")]
    assert set(told.letters["office"]) == {"G"}
    assert told.texts[0].startswith("office: current in phase 2 is 0.0 A while phases 1 and 3 carry 32.")
    assert told.texts[0].endswith(
        " A since 2026-01-06 01:00 UTC: the CT of phase 2 is open, shorted or bypassed, or its fuse blew: check its "
        "terminals"
    )


def test_a_phase_that_rests_every_night_is_no_fault() -> None:
    """Nor one that never carried anything, nor a load that goes as a whole."""
    nightly = sum(during(96 * day, 96 * day + 28, 3 * DAY) for day in range(3))
    resting = without_current(metered(load(3 * DAY)), 2, np.asarray(nightly))
    unused = without_current(metered(load(3 * DAY)), 3, np.ones(3 * DAY * TICKS))
    whole = metered(load(3 * DAY) * (1 - 0.999 * during(200, 250, 3 * DAY)))

    told = inspected({"resting": resting, "unused": unused, "whole": whole})

    assert told.texts == []


def test_a_reversed_ct_is_told_after_a_day_and_keeps_windows_from_the_judgement() -> None:
    """PV would rest at night."""
    told = inspected({"office": turned(metered(load(3 * DAY)), 3, during(20, 200, 3 * DAY))})

    assert told.checks() == [(115, "reversed", "raised"), (203, "reversed", "cleared")]
    assert told.letters["office"] == "G" * 115 + "W" * 88 + "G" * 85
    assert told.texts[0].startswith("office: phase 3 exports 6,4")
    assert "while phases 1 and 2 draw 7,003 and 6,602 W" in told.texts[0]
    assert "the CT of phase 3 is reversed" in told.texts[0]


def test_a_meter_whose_every_ct_is_reversed_is_told() -> None:
    """Negative day and night."""
    told = inspected({"office": metered(-load(2 * DAY))})

    assert told.checks() == [(95, "reversed", "raised")]
    assert "negative throughout" in told.texts[0]


@pytest.mark.parametrize("phases", [1, 3])
def test_pv_is_no_reversed_phase(phases: int) -> None:
    """Whether it feeds one phase by day and nobody declared it, or lies below the meter and feeds day and night."""
    day = np.clip(np.sin((np.arange(4 * DAY * TICKS) / (4 * TICKS) % 24 - 6) / 12 * np.pi), 0, None)
    building = metered(load(4 * DAY))
    own = building["active_power_l1_w"] - 20_000 * day
    roofed = building | {"active_power_l1_w": own, "active_power_w": building["active_power_w"] - 20_000 * day}
    del roofed["power_factor"], roofed["apparent_power_va"], roofed["active_energy_import_wh"]
    chp = turned(metered(load(4 * DAY)), 1, np.ones(4 * DAY * TICKS))
    sheet = [facts("main"), facts("roofed", parent="main"), facts("chp", parent="main", role="generation")]
    main = chp if phases == 1 else metered(-load(4 * DAY))

    told = inspected({"main": main, "roofed": roofed, "chp": metered(-load(4 * DAY))}, sheet)

    assert told.texts == []


def test_exchanged_phases_are_told_after_an_hour() -> None:
    """Current transformers 1 and 2 lie on each other's voltage: 120 degrees off, and the sum is nothing."""
    series = metered(load(40), factor=0.97)
    when = during(10, 30, 40)
    angle = np.arccos(0.97)
    for phase, off in ((1, 2 * np.pi / 3), (2, -2 * np.pi / 3)):
        right = series[f"active_power_l{phase}_w"]
        series[f"active_power_l{phase}_w"] = right * np.where(when, np.cos(angle + off) / 0.97, 1.0)
    series["active_power_w"] = np.sum([series[f"active_power_l{phase}_w"] for phase in (1, 2, 3)], axis=0)
    for name in ("power_factor", "apparent_power_va", "active_energy_import_wh"):
        del series[name]

    told = inspected({"office": series})

    assert told.checks()[0] == (13, "crossed", "raised")
    assert told.letters["office"][13:25] == "W" * 12
    assert "phases 1 and 2 have power factors of -0.70 and -0.27, phase 3 has 0.97" in told.texts[0]
    assert "the CTs (or the voltages) of phases 1 and 2 are exchanged" in told.texts[0]


def test_a_blown_fuse_of_a_voltage_tap_is_told() -> None:
    """Current flows, and is counted with no voltage."""
    series = metered(load(60))
    when = during(20, 40, 60)
    lost = series["active_power_l2_w"] * when
    series |= {
        "voltage_l2_v": series["voltage_l2_v"] * (1 - when),
        "active_power_l2_w": series["active_power_l2_w"] - lost,
        "active_power_w": series["active_power_w"] - lost,
    }
    del series["active_energy_import_wh"]

    told = inspected({"office": series})

    assert told.checks() == [(20, "untapped", "raised"), (40, "untapped", "cleared")]
    assert told.letters["office"] == "G" * 20 + "W" * 20 + "G" * 20
    assert "office: phase 2 carries 30." in told.texts[0]
    assert "A with 0.0 V while phases 1 and 3 have 230 and 230 V" in told.texts[0]


def test_an_earthed_phase_is_no_blown_fuse() -> None:
    """In some networks one phase never has a voltage against earth."""
    series = metered(load(60))
    series["voltage_l2_v"] = 0 * series["voltage_l2_v"]

    assert inspected({"office": series}).texts == []
