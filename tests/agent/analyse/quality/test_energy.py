"""Energy registers against integrated power."""

import numpy as np

from tests.agent.analyse.metering import DAY, TICKS, Series, inspected, load, metered

IMPORT = "active_energy_import_wh"


def scaled(series: Series, factor: float, first: int, last: int) -> Series:
    """Let the import register count ``factor`` times what flows, from the first to before the last window."""
    steps = np.diff(series[IMPORT], prepend=series[IMPORT][0])
    steps[first * TICKS : last * TICKS] *= factor
    return series | {IMPORT: series[IMPORT][0] + np.cumsum(steps)}


def test_a_ct_ratio_that_only_the_energy_has_is_named_and_cleared() -> None:
    """Three intervals of 45 minutes in a row; not judged from then on; told once, and once when it is over."""
    told = inspected({"office": scaled(metered(load(DAY)), 5, 20, 60)})

    assert told.checks() == [(27, "energy", "raised"), (69, "energy", "cleared")]
    assert told.letters["office"] == "G" * 27 + "E" * 42 + "G" * 27
    assert told.texts[0].startswith("office: the import register advanced by 74.90 kWh")
    assert "where the power adds up to 14.99 kWh" in told.texts[0]
    assert "since 2026-01-05 05:15 UTC" in told.texts[0]
    assert "the CT ratio is set wrong in the meter or the profile's scale is off by ×5" in told.texts[0]


def test_a_scale_that_is_no_transformers_is_told_as_such() -> None:
    """Somebody scales the power by 1.3 on the way."""
    told = inspected({"office": scaled(metered(load(DAY + 40)), 1 / 1.3, DAY + 10, DAY + 40)})

    assert told.checks() == [(DAY + 18, "energy", "raised")]
    assert "or scaled on the way" in told.texts[0]


def test_a_register_that_stands_still_while_power_flows() -> None:
    """Its display tells whether the register or the profile is at fault."""
    told = inspected({"office": scaled(metered(load(40)), 0, 10, 40)})

    assert told.checks() == [(18, "energy", "raised")]
    assert "advanced by 0.00 kWh" in told.texts[0]
    assert "the register is frozen" in told.texts[0]


def test_a_register_that_never_moved_is_told_on_small_feeders_too() -> None:
    """It might be coarse: 200 kWh, three times, must have flowed."""
    series = metered(load(4 * DAY, 7000.0))
    series[IMPORT] = np.full(len(series[IMPORT]), 48e6)

    told = inspected({"office": {name: series[name] for name in ("active_power_w", IMPORT)}})

    assert [check for _, check, _ in told.checks()] == ["energy"]
    assert "the register is frozen" in told.texts[0]


def test_a_power_that_stands_still_while_energy_advances() -> None:
    """The voltage moves, so it is not the whole meter that is stuck."""
    series = metered(load(40))
    series["active_power_w"] = np.where(np.arange(40 * TICKS) < 10 * TICKS, series["active_power_w"], 5000.0)

    told = inspected({"office": {name: series[name] for name in ("active_power_w", "voltage_l1_v", IMPORT)}})

    assert told.checks() == [(18, "energy", "raised")]
    assert "the power stands still at 5,000.0 W" in told.texts[0]


def test_a_fault_that_was_told_is_not_told_again_after_a_restart() -> None:
    """Nor is it forgotten: its end is told."""
    told = inspected({"office": scaled(metered(load(DAY)), 5, 20, 60)}, restart_before=40)

    assert told.checks() == [(27, "energy", "raised"), (70, "energy", "cleared")]


def test_coarse_registers_are_no_fault_and_hide_none() -> None:
    """A register behind large transformers moves once in hours: it is compared over as many."""
    meters = {}
    for step_wh, watts in ((1.0, 2e3), (100.0, 2e3), (1000.0, 2e4), (40_000.0, 4e5)):
        honest = metered(load(4 * DAY, watts))
        halved = scaled(honest, 0.5, 0, 4 * DAY)
        for name, series in (("honest", honest), ("halved", halved)):
            meters[f"{name} {step_wh:g}"] = series | {IMPORT: np.floor(series[IMPORT] / step_wh) * step_wh}

    told = inspected(meters)

    assert sorted((notice.meter or "", notice.data["check"]) for _, notice in told.notices) == [
        ("halved 1", "energy"),
        ("halved 100", "energy"),
        ("halved 1000", "energy"),
        ("halved 40000", "energy"),
    ]
    assert all("×2" in text for text in told.texts)


def test_energies_that_are_read_once_a_minute_are_compared() -> None:
    """At 1 s polls the counters come at some ticks only, import and export at different ones."""
    ticks = 900
    series = metered(load(8, ticks=ticks), period_s=1.0)
    steps = np.diff(series[IMPORT], prepend=series[IMPORT][0]) * 2
    doubled = series | {IMPORT: np.cumsum(steps)}
    for one in (series, doubled):
        one[IMPORT] = np.where(np.arange(8 * ticks) % 60 == 17, one[IMPORT], np.nan)
        one["active_energy_export_wh"] = np.where(np.arange(8 * ticks) % 60 == 40, 1e6, np.nan)

    told = inspected({"honest": series, "doubled": doubled}, period_s=1.0)

    assert [(notice.meter, notice.data["check"]) for _, notice in told.notices] == [("doubled", "energy")]


def test_a_feeder_that_exports_is_compared_by_its_export_register() -> None:
    """PV by day, whose export register counts half."""
    sun = -30_000 * np.clip(np.sin((np.arange(3 * DAY * TICKS) / (4 * TICKS) % 24 - 6) / 12 * np.pi), 0, None)
    series = metered(sun * np.repeat(load(3 * DAY, 1.0, ticks=1), TICKS))
    export = "active_energy_export_wh"
    series[export] = series[export][0] + (series[export] - series[export][0]) / 2

    told = inspected({"roof": series})

    assert told.notices[0][1].text.startswith("roof: the export register advanced by")


def test_a_register_that_begins_to_rest_when_the_load_goes_down_is_honest() -> None:
    """By day one of 33.33 kWh moves from reading to reading; at night it stands still for hours."""
    day = np.arange(4 * DAY * TICKS) // TICKS % DAY
    series = metered(load(4 * DAY) * np.where((day > 24) & (day < 72), 2.0, 0.3))
    readings = np.floor(series[IMPORT] / 1e5 * 3) * 1e5 / 3
    series[IMPORT] = np.where(np.arange(4 * DAY * TICKS) % 60 == 0, readings, np.nan)

    assert inspected({"office": series}).texts == []


def test_registers_behind_odd_ratios_and_slow_ones_are_honest() -> None:
    """Steps of 33.33 kWh have no common divisor; some meters renew their energies every half hour only."""
    odd, slow = metered(load(4 * DAY, 30_000.0)), metered(load(4 * DAY))
    odd[IMPORT] = (np.floor(odd[IMPORT] / 33_333.3) * 33.3333).astype(np.float32).astype(float) * 1000
    slow[IMPORT] = slow[IMPORT][np.arange(4 * DAY * TICKS) // 30 * 30]

    assert inspected({"odd": odd, "slow": slow}).texts == []


def test_a_meter_that_counts_each_phase_for_itself_is_honest() -> None:
    """PV on one phase fills the export register while the total is drawn: import is more than the power adds up to."""
    series = metered(load(2 * DAY))
    flowed_wh = np.cumsum(np.full(2 * DAY * TICKS, 100.0))
    series |= {IMPORT: series[IMPORT] + flowed_wh, "active_energy_export_wh": 1e6 + flowed_wh}
    told = {name: series[name] for name in ("active_power_w", IMPORT, "active_energy_export_wh")}

    assert inspected({"office": told}).texts == []


def test_a_coarser_meter_in_the_place_of_a_fine_one_is_honest() -> None:
    """What was learned of the old one's register does not hold for the new one."""
    series = metered(4800 + load(4 * DAY, 100.0) - 100)
    tick = np.arange(4 * DAY * TICKS)
    later = tick >= DAY * TICKS
    readings = np.where(later, np.floor(series[IMPORT] / 1000) * 1000, series[IMPORT])
    series[IMPORT] = np.where(tick % 60 == 0, readings, np.nan)
    series["serial_number"] = np.where(later, 2.0, 1.0)

    told = inspected({"office": series})

    assert [notice.event for _, notice in told.notices] == ["exchange"]


def test_a_scale_that_was_wrong_for_a_while_blinds_no_check_afterwards() -> None:
    """A power of a thousand times the load is no measure of what is little here."""
    series = metered(load(2 * DAY))
    for name, values in scaled(series, 2, 120, 2 * DAY).items():
        series[name] = values
    series["active_power_w"][20 * TICKS : 40 * TICKS] *= 1000

    told = inspected({"office": {name: series[name] for name in ("active_power_w", IMPORT)}})

    assert [(check, state) for _, check, state in told.checks()] == [
        ("energy", "raised"),
        ("energy", "cleared"),
        ("energy", "raised"),
    ]


def test_polls_that_are_missing_hide_no_fault() -> None:
    """Of a bad bus that loses a fifth of the answers: what the load did meanwhile is bounded by its peak."""
    series = scaled(metered(load(2 * DAY)), 2, DAY, 2 * DAY)
    gone = np.arange(2 * DAY * TICKS) % 5 == 2

    told = inspected({"office": {name: np.where(gone, np.nan, series[name]) for name in ("active_power_w", IMPORT)}})

    assert [check for _, check, _ in told.checks()] == ["energy"]
    assert "×2" in told.texts[0]


def test_polls_that_are_missing_hide_no_energy() -> None:
    """One in twenty-five, by chance or whenever a welder disturbs the bus: the register counts on, rightly."""
    ticks = 900
    tick = np.arange(130 * ticks)
    chance = np.random.default_rng(1).random(len(tick)) < 0.04
    welds = tick % 200 < 8
    steady = metered(load(130, ticks=ticks), period_s=1.0)
    welder = metered(load(130, 1000.0, ticks=ticks) + 20_000 * welds, period_s=1.0)
    series = {
        name: {quantity: np.where(gone, np.nan, one[quantity]) for quantity in ("active_power_w", IMPORT)}
        for name, one, gone in (("steady", steady, chance), ("welder", welder, welds & (tick % 600 > 7)))
    }

    assert inspected(series, period_s=1.0).texts == []
