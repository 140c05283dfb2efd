"""The checks on the simulator's meters: silent where all is well, and right about the faults of a scenario."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.analyse.quality.inspector import Inspector
from agent.records import Notice
from firmware_sim.scenario import Scenario, read_scenario
from tests.agent.analyse.metering import DAY, START_S, TICKS, facts_of, inspected, load, metered, shipped, simulated

HEAD = """
[scenario]
name = "Works"
start = 2026-01-05T00:00:00Z
seed = 5
step_s = {step_s}
[[bus]]
name = "tcp"
url = "tcp://127.0.0.1:0"
"""
METER = """
[[meter]]
id = "{id}"
bus = "tcp"
unit = {unit}
profile = "{profile}"
"""


def works(folder: Path, step_s: int = 60, office: str = "", profile: str = "eastron_sdm630") -> Scenario:
    """Write a scenario of meters of many kinds; ``office`` is added to the first one."""
    kinds = {
        "office": (profile, 'kind = "office"\nmean_w = 24_000'),
        "motor": ("abb_b23", 'kind = "motor"\npower_w = 11_000'),
        "flat": ("eastron_sdm120", 'kind = "lighting"\npower_w = 900'),
        "roof": ("eastron_sdm72d_m", 'kind = "pv"\npeak_w = 9_000'),
        "store": ("schneider_iem3155", 'kind = "cold_store"\nmean_w = 18_000'),
    }
    text = HEAD.format(step_s=step_s)
    for unit, (id_, (name, what)) in enumerate(kinds.items(), start=1):
        fault = office if id_ == "office" else ""
        text += METER.format(id=id_, unit=unit, profile=name) + f"[[meter.load]]\n{what}\n{fault}"
    (folder / "works.toml").write_text(text)
    return read_scenario(folder / "works.toml", START_S)


def story(
    scenario: Scenario, days: float, period_s: float = 60, slow_s: float = 60, window_s: int = 900
) -> tuple[dict[str, str], list[tuple[float, Notice]]]:
    """Give the letters of each meter, and what was told, with the time since the start in hours."""
    inspector = Inspector(facts_of(scenario))
    letters = {meter.id: "" for meter in scenario.meters}
    told: list[tuple[float, Notice]] = []
    for window in simulated(scenario, days, period_s, slow_s, window_s):
        found = inspector.take(window)
        told += [((window.end_s - START_S) / 3600, notice) for notice in found.notices]
        for meter, letter in zip(window.meters, found.window.quality, strict=True):
            letters[meter] += letter.value
    return letters, told


@pytest.mark.parametrize(
    ("name", "days", "period_s", "slow_s", "window_s"),
    [
        ("demo", 8, 450, 3600, 900),
        ("demo", 2, 60, 60, 900),
        ("detection", 3, 300, 300, 900),
        ("office", 0.5, 10, 60, 900),
    ],
)
def test_the_shipped_scenarios_give_nothing_to_tell(
    name: str, days: float, period_s: float, slow_s: float, window_s: int
) -> None:
    """No event and no letter on honest meters: of farms, offices, servers, motors, lifts that brake, and PV."""
    letters, told = story(shipped(name), days, period_s, slow_s, window_s)

    assert [notice.text for _, notice in told] == []
    assert set("".join(letters.values())) == {"G"}


@pytest.mark.parametrize(("period_s", "slow_s", "window_s"), [(60, 300, 3600), (1, 60, 60)])
def test_a_works_of_many_meters_gives_nothing_to_tell(
    period_s: int, slow_s: int, window_s: int, tmp_path: Path
) -> None:
    """Motors that rest for a weekend, a roof that nobody declared, single-phase meters, few quantities."""
    days = 9 if period_s == 60 else 0.2
    letters, told = story(works(tmp_path, period_s), days, period_s, slow_s, window_s)

    assert [notice.text for _, notice in told] == []
    assert set("".join(letters.values())) == {"G"}


LOADS = st.lists(
    st.tuples(st.floats(-60_000.0, 200_000.0), st.floats(0.0, 1.5), st.integers(1, 40)), min_size=1, max_size=12
)
SPARED = ["apparent_power_va", "power_factor", "voltage_l2_v", "current_l1_a", "frequency_hz"]


@settings(max_examples=4, derandomize=True, deadline=None)
@given(st.lists(st.tuples(LOADS, st.sets(st.sampled_from(SPARED))), min_size=4, max_size=4), st.integers(0, 999))
def test_whatever_honest_loads_do_there_is_nothing_to_tell(
    stories: list[tuple[list[tuple[float, float, int]], set[str]]], seed: int
) -> None:
    """Loads that jump, swing, export and rest, on meters with few or many quantities, over a day and a half."""
    windows = 3 * DAY // 2
    meters = {}
    for number, (phases_of_work, missing) in enumerate(stories):
        parts = [watts + spread * watts * np.sin(np.arange(n * TICKS) / 5) for watts, spread, n in phases_of_work]
        watts = np.resize(np.concatenate(parts), windows * TICKS)
        watts = np.where(np.arange(len(watts)) // TICKS % 48 == 0, 10.0, watts)  # each load rests at times
        series = metered(watts * load(windows, 1.0, seed + number), seed + number, factor=0.8)
        meters[f"m{number}"] = {name: values for name, values in series.items() if name not in missing}

    told = inspected(meters)

    assert told.texts == []


def test_a_ct_ratio_that_somebody_changed_is_told_with_old_and_new(tmp_path: Path) -> None:
    """Where the meter says its ratio; power and energy are scaled alike, so nothing else shows it."""
    fault = '[[meter.fault]]\nkind = "ct_change"\nfactor = 2\nfrom = "6h"\n'
    letters, told = story(works(tmp_path, office=fault, profile="chint_dtsu666"), 1)

    assert [(at, notice.meter, notice.event) for at, notice in told] == [(6.25, "office", "configuration")]
    assert "current transformer ratio was 1 and is 2" in told[0][1].text
    assert letters["office"] == "G" * 24 + "X" + "G" * 71


def test_an_exchanged_meter_is_told(tmp_path: Path) -> None:
    """By its serial number."""
    fault = '[[meter.fault]]\nkind = "serial_change"\nserial = 777\nfrom = "6h"\n'
    _, told = story(works(tmp_path, office=fault, profile="abb_b23"), 0.5)

    assert [(at, notice.event) for at, notice in told] == [(6.25, "exchange")]
    assert " and is 777, read after 2026-01-05 06:00 UTC" in told[0][1].text


def test_a_reset_is_tampering_and_a_roll_over_is_nothing(tmp_path: Path) -> None:
    """Told by where the register stood."""
    reset = '[[meter.fault]]\nkind = "reset"\nfrom = "8h5m"\n'
    letters, told = story(works(tmp_path, office=reset), 1)
    rolled, none = story(works(tmp_path, office='[[meter.fault]]\nkind = "roll_over"\nafter_wh = 50_000\n'), 1)

    assert [(at, notice.event) for at, notice in told] == [(8.25, "tamper")]
    assert letters["office"] == "G" * 32 + "R" + "G" * 63
    assert [notice.text for _, notice in none] == []
    assert set(rolled["office"]) == {"G"}


def test_exchanged_and_reversed_transformers_are_told(tmp_path: Path) -> None:
    """As the powers turn in reality, and the counters count them."""
    crossed = '[[meter.fault]]\nkind = "wiring"\ncts = ["l2", "l1", "l3"]\nfrom = "8h"\n'
    reversed_one = '[[meter.fault]]\nkind = "wiring"\nreversed = ["l3"]\nfrom = "8h"\n'
    _, first = story(works(tmp_path, office=crossed), 1)
    _, second = story(works(tmp_path, office=reversed_one), 2)

    assert [(at, notice.data["check"]) for at, notice in first] == [(9.0, "crossed")]
    assert "phases 1 and 2 have power factors of" in first[0][1].text
    assert [(at, notice.data["check"]) for at, notice in second] == [(32.0, "reversed")]
    assert "office: phase 3 exports" in second[0][1].text


def test_a_power_that_is_scaled_on_the_way_is_told(tmp_path: Path) -> None:
    """By somebody between meter and gateway who has forgotten the energy."""
    fault = '[[meter.fault]]\nkind = "scaled"\nquantities = ["active_power_w"]\nfactor = 0.5\nfrom = "8h"\n'
    letters, told = story(works(tmp_path, office=fault), 1)

    assert {notice.data["check"] for _, notice in told} == {"arithmetic", "energy"}
    assert set(letters["office"][36:]) <= {"A", "E"}
