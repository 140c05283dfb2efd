"""The whole path with real processes: Modbus, agent, mosquitto, collector."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from agent.analyse.features.robust import Floats
from firmware_sim.feeder import BLOCK
from firmware_sim.plant import Plant
from firmware_sim.scenario import read_scenario
from tests.broker import mosquitto
from tests.facility import Facility, facility

DAY_S = 86_400
START_S = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())  # a Monday
ONSET = datetime(2026, 1, 28, tzinfo=UTC)


def recorded_building(path: Path, days: int) -> None:
    """Write a recording as of a building: hourly, with its own rhythm, noise and two gaps."""
    rng = np.random.default_rng(11)
    lines = ["time,meter,active_power_w"]
    for hour in range(days * 24):
        moment = datetime.fromtimestamp(START_S + hour * 3600, UTC)
        busy = moment.weekday() < 5 and 7 <= moment.hour < 19
        watts = (21_000 + 24_000 * busy) * (1 + 0.06 * rng.standard_normal())
        lines.append(f"{moment.isoformat()},library,{'' if hour in (100, 101) else round(watts, 1)}")
    path.write_text("\n".join(lines) + "\n")


def scenario_with_a_farm(folder: Path, days: int) -> Path:
    """Write a scenario that replays the recording and adds a farm from a date on."""
    recorded_building(folder / "library.csv", days)
    path = folder / "scenario.toml"
    path.write_text(f"""
[scenario]
name = "Library"
start = 2026-01-05T00:00:00Z
seed = 3
step_s = 300
[[bus]]
name = "tcp"
url = "tcp://127.0.0.1:0"
[[meter]]
id = "library"
name = "Library"
bus = "tcp"
unit = 1
profile = "eastron_sdm630"
[[meter.load]]
kind = "recording"
file = "library.csv"
meter = "library"
[[meter.load]]
kind = "miner_farm"
machines = 4
machine_w = 3250
starts = {ONSET.isoformat()}
""")
    return path


def true_power(scenario: Path, days: int) -> Floats:
    """Give active (W) and reactive power (var) of the simulated meter every 5 minutes, with no Modbus in between."""
    plant = Plant(read_scenario(scenario, START_S))
    first, last = (plant.step_of(START_S + day * DAY_S) // BLOCK for day in (0, days))
    blocks = [plant.feeders["library"].power(block) for block in range(first, last + 1)]
    power = np.stack(
        [np.concatenate([getattr(each, name) for each in blocks]) for name in ("active_w", "reactive_var")]
    )
    times = np.concatenate([plant.times_s(block) for block in range(first, last + 1)])
    return power[:, (times >= START_S) & (times < START_S + days * DAY_S)]


def what_the_meter_saw(scenario: Path, days: int, path: Path) -> None:
    """Write the hourly means of the simulated meter as a recording."""
    hourly = true_power(scenario, days).reshape(2, days * 24, -1).mean(axis=2)
    lines = ["time,meter,active_power_w,reactive_power_var"]
    for hour, powers in enumerate(hourly.T):
        cells = ("" if np.isnan(power) else f"{power:.2f}" for power in powers)
        lines.append(f"{datetime.fromtimestamp(START_S + hour * 3600, UTC).isoformat()},library,{','.join(cells)}")
    path.write_text("\n".join(lines) + "\n")


def daily_verdicts_at_the_collector(parts: Facility) -> dict[str, tuple[str, float, int | None]]:
    """Give each day's verdict, mining power and start, as the last summary of the day carries them."""
    rows = parts.query("SELECT start_s, window_s, verdict, mining_p50_w, since_s FROM summary ORDER BY start_s")
    return {
        datetime.fromtimestamp(start_s, UTC).date().isoformat(): (verdict, watts, since_s)
        for start_s, window_s, verdict, watts, since_s in rows
        if (start_s + window_s) % DAY_S == 0
    }


def test_recorded_building_with_a_farm_is_judged_alike_over_modbus_and_by_replay(tmp_path: Path) -> None:
    """A replayed recording polled over Modbus gets, day by day, the verdict that `flatwatt replay` gives it."""
    days = 45
    scenario = scenario_with_a_farm(tmp_path, days)
    with (
        mosquitto(tmp_path) as broker,
        facility(
            tmp_path, scenario, broker, start_s=START_S, until_s=START_S + days * DAY_S, period_s=300, window_s=3600
        ) as parts,
    ):
        parts.agent.start()
        assert parts.agent.finish(120) == 0, parts.agent.log.read_text()
        over_modbus = daily_verdicts_at_the_collector(parts)

    what_the_meter_saw(scenario, days, tmp_path / "seen.csv")
    command = [sys.executable, "-m", "agent.cli", "replay", str(tmp_path / "seen.csv"), "--json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    replayed = {row["day"]: row for row in map(json.loads, lines)}

    assert list(over_modbus) == list(replayed)
    assert {day: verdict for day, (verdict, _, _) in over_modbus.items()} == {
        day: row["verdict"] for day, row in replayed.items()
    }
    verdict, watts, since_s = over_modbus[max(over_modbus)]
    assert verdict == "mining"
    assert since_s is not None
    assert abs(since_s - ONSET.timestamp()) <= 2 * DAY_S
    assert watts == pytest.approx(13_000, rel=0.2)
    assert watts == pytest.approx(replayed[max(replayed)]["mining_w"][1], rel=0.1)


def not_measured(restarts: list[tuple[int, str]]) -> set[int]:
    """Give the windows of which nothing can have been measured, as the restarts declare them."""
    absences = [(json.loads(data)["told_until_s"], time_s) for time_s, data in restarts]
    return {start_s for told_s, back_s in absences for start_s in range(told_s, back_s - 899, 900)}


def test_kill_9_of_agent_broker_and_collector_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Whatever dies in mid-run, each produced (meter, window) is stored once and the chain verifies."""
    seed = int(os.environ.get("FLATWATT_SEED", time.time_ns() % 10**6))
    print(f"FLATWATT_SEED={seed}")
    rng = np.random.default_rng(seed)
    days = 6
    scenario = scenario_with_a_farm(tmp_path, days)
    until_s = START_S + days * DAY_S
    with (
        mosquitto(tmp_path) as broker,
        facility(
            tmp_path, scenario, broker, start_s=START_S, until_s=until_s, period_s=300, window_s=900, speed=40_000
        ) as parts,
    ):
        parts.agent.start()
        kills = 0
        for moment in np.sort(rng.uniform(START_S + DAY_S / 4, until_s - DAY_S / 4, 6)):
            while parts.now_s() < moment and parts.agent.running():
                time.sleep(0.02)
            victim = ("agent", "broker", "collector")[kills % 3]
            {"agent": parts.agent.kill, "broker": broker.kill, "collector": parts.collector.kill}[victim]()
            time.sleep(float(rng.uniform(0.0, 0.3)))
            {"agent": parts.agent.start, "broker": broker.start, "collector": parts.collector.start}[victim]()
            kills += 1
        assert parts.agent.finish(120) == 0, parts.agent.log.read_text()
        assert kills == 6

        streams = parts.query("SELECT through, highest, verified FROM stream")
        seqs = parts.query("SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM record")
        summaries = parts.query("SELECT count(*) FROM record WHERE kind = 'summary'")
        windows = parts.query("SELECT start_s, coverage, quality, active_power_w FROM summary ORDER BY start_s")
        restarts = parts.query("SELECT time_s, data FROM event WHERE event = 'restart'")
        findings = parts.query("SELECT kind, text FROM finding")
        pending = parts.query("SELECT max(seq) FROM record WHERE kind = 'checkpoint'")

    assert len(streams) == 1
    through, highest, verified = streams[0]
    assert through == highest
    assert verified == pending[0][0]
    assert seqs == [(highest, highest, 1, highest)]
    assert summaries == [(len(windows),)]
    assert len(restarts) == 2
    absent = not_measured(restarts)
    assert [window[0] for window in windows] == [s for s in range(START_S, until_s, 900) if s not in absent]
    truth_w = true_power(scenario, days)[0].reshape(-1, 3).mean(axis=1)
    whole = [window for window in windows if window[1:3] == (1.0, "G")]
    assert len(whole) >= len(windows) - len(restarts) - 2 * 4  # but where it was cut, and in the recording's gap
    assert [w for *_, w in whole] == pytest.approx([truth_w[(s - START_S) // 900] for s, *_ in whole], rel=1e-3)
    assert findings == []
