"""The seconds' evidence: a machine that reboots drops out at once and climbs back over minutes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.analyse.features.robust import Floats
from agent.analyse.machines.machines import Machines
from agent.analyse.machines.weigh import TEXTS, shipped_machine_rules, weigh
from agent.records import Window
from bench.evaluate.seconds import servers
from tests.agent.analyse.metering import windowed

DAY = 20_458  # Monday, 2026-01-05
DAY_S = 86_400
WINDOW_S = 900
REAL = Path(__file__).parents[5] / "shared/data/mlperf_wallpower_1s.parquet"
RULES = shipped_machine_rules()


def building(watts: float, seed: int = 1, days: int = 1) -> Floats:
    """Give a building second by second: 1 % of noise, and 1 % that wanders over a quarter of an hour."""
    chance = np.random.default_rng(seed)
    seconds = np.arange(days * DAY_S)
    slow = np.interp(seconds, np.arange(0, days * DAY_S + 900, 900), chance.standard_normal(days * 96 + 1))
    load: Floats = watts * (1 + 0.01 * slow + 0.01 * chance.standard_normal(len(seconds)))
    return load


def notch(at_s: int, watts: float, away_s: int = 90, ramp_s: int = 400, days: int = 1) -> Floats:
    """Give what a machine draws less when it trips, and comes back over ``ramp_s``; 0 is a jump."""
    since = np.arange(days * DAY_S) - at_s
    back = np.clip((since - away_s) / max(ramp_s, 1), 0, 1)
    lost: Floats = np.where(since >= 0, watts * (1 - back), 0.0)
    return lost


def windows(active_w: Floats, tan_phi: float = 0.4, period_s: int = 1, start_s: int = DAY * DAY_S) -> Iterator[Window]:
    """Give the windows of one meter, polled so often; its reactive power goes loosely with the active."""
    reactive = tan_phi * np.mean(active_w) * (1 + 0.01 * np.random.default_rng(9).standard_normal(len(active_w)))
    for n in range(len(active_w) // WINDOW_S):
        cut = slice(n * WINDOW_S, (n + 1) * WINDOW_S, period_s)
        series = {"active_power_w": active_w[None, cut], "reactive_power_var": reactive[None, cut]}
        yield windowed(start_s + n * WINDOW_S, float(period_s), WINDOW_S, ("a",), series)


def evidence(active_w: Floats, **how: float) -> dict[str, float]:
    """Give the signs of one meter after its last day, with the log-odds."""
    machines = Machines(("a",))
    for window in windows(active_w, **how):  # type: ignore[arg-type]
        machines.take(window)
    signs = machines.signs(DAY + len(active_w) // DAY_S - 1)
    log_odds, _ = weigh(signs, RULES)
    return {name: float(values[0]) for name, values in signs.items()} | {"log_odds": float(log_odds[0])}


REBOOTS = (14_000, 21_500, 31_000, 38_800, 52_000, 60_300, 71_000, 79_000)


@pytest.fixture(scope="module")
def farm() -> Floats:
    """A building of 60 kW in which machines of 3,400 W reboot eight times a day."""
    return building(60_000.0) - sum(notch(at, 3400.0) for at in REBOOTS)


def test_machines_that_reboot_are_found_without_any_history(farm: Floats) -> None:
    """One day is enough where eight machines drop out and climb back; their power is measured."""
    found = evidence(farm)

    assert found["log_odds"] > RULES.mining
    assert found["notches_per_week"] == pytest.approx(56, rel=0.25)
    assert found["quantum_w"] == pytest.approx(3400, rel=0.08)


def test_two_second_polls_find_them_as_well(farm: Floats) -> None:
    """Half of the samples cost a little of the evidence, not the farm."""
    assert evidence(farm, period_s=2)["log_odds"] > RULES.mining


def test_what_comes_back_in_one_step_is_no_machine() -> None:
    """A heater of the same size that rests for minutes."""
    heater = building(60_000.0) - sum(notch(at, 3400.0, away_s=400, ramp_s=0) for at in REBOOTS)

    assert evidence(heater)["log_odds"] < RULES.suspect


def test_what_stays_off_is_no_machine() -> None:
    """Eight loads that are switched off one after another."""
    off = building(60_000.0) - sum(notch(at, 3400.0, away_s=DAY_S) for at in REBOOTS)

    assert evidence(off)["log_odds"] < RULES.suspect


def test_what_comes_like_clockwork_is_no_machine() -> None:
    """A compressor with a variable speed drive stops at once and starts slowly too, but every half hour."""
    drive = building(60_000.0) - sum(notch(at, 3400.0) for at in range(1800, DAY_S - 1800, 1800))

    assert evidence(drive)["log_odds"] < RULES.suspect


def test_slow_polls_say_nothing(farm: Floats) -> None:
    """At five seconds and more there is no evidence, neither for nor against."""
    assert np.isnan(evidence(farm[: 4 * WINDOW_S], period_s=5)["log_odds"])


def test_a_restart_forgets_nothing(farm: Floats) -> None:
    """What was found before it counts on."""
    machines = Machines(("a",))
    for window in windows(farm):
        machines.take(window)

    restored = Machines(("b", "a"), machines.state)

    assert restored.signs(DAY)["evidence"][1] == machines.signs(DAY)["evidence"][0] > 0
    assert np.isnan(restored.signs(DAY)["evidence"][0])


def test_evidence_is_a_week_old_at_most(farm: Floats) -> None:
    """Eight days later nothing is left of it."""
    machines = Machines(("a",))
    for window in windows(farm):
        machines.take(window)

    assert np.isnan(machines.signs(DAY + 8)["evidence"][0])


def test_a_state_that_is_none_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """A gateway goes on measuring with an unreadable state, and says so."""
    assert np.isnan(Machines(("a",), b"\xc1").signs(DAY)["evidence"][0])
    assert "cannot be read" in caplog.text


@pytest.mark.skipif(not REAL.exists(), reason="the real recordings are not beside this checkout")
def test_real_servers_are_no_miners() -> None:
    """One to four servers behind a meter, of seven systems whose wall power was logged each second."""
    found = servers(REAL.parent, days=1)

    assert len(found) == 7
    assert max(odds.max() for odds in found.values()) < RULES.mining


def test_each_part_has_words() -> None:
    """All that moves the log-odds can be told to people."""
    signs = {name: np.array([1.0]) for name in ("evidence", "notches_per_week", "rhythm", "reboots_per_machine")}

    assert weigh(signs, RULES)[1].keys() <= TEXTS.keys()
