"""The demo's own parts: its children, its drawing, and the comparison of found with true."""

import io
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from firmware_sim.demo import Crew
from firmware_sim.demo_compare import compare
from firmware_sim.demo_view import live, plain
from firmware_sim.errors import SimError
from firmware_sim.plant import Plant
from firmware_sim.scenario import Scenario, find, read_scenario
from firmware_sim.truth import truth

START_S = 1_767_571_200
UNTIL_S = START_S + 42 * 86400

Json = dict[str, Any]


@pytest.fixture(scope="module")
def campus() -> Scenario:
    """Give the scenario of the demo."""
    return read_scenario(find("demo"), 0.0)


@pytest.fixture
def fleet(campus: Scenario) -> Json:
    """Give a fleet that found everything as it is."""
    site, meters = truth(Plant(campus), UNTIL_S)
    found = [
        {
            "meter": name,
            "name": name.title(),
            "role": "generation" if name == "pv" else "load",
            "parent": None if name == "main" else "main",
            "verdict": "mining" if true.mining_w and name != "main" else "normal",
            "active_power_w": true.load_w,
            "mining_w": [true.mining_w * part for part in (0.9, 1.0, 1.1)],
            "mining_kwh": true.mining_kwh if name != "main" else 0.0,
            "mining_share": true.mining_now_w / true.load_now_w if true.load_now_w else 0.0,
            "since_s": true.since_s,
            "curve": [true.load_w, None] * 30,
        }
        for name, true in meters.items()
    ]
    alarm = {
        "alarm": "a1",
        "meter": "office",
        "state": "raised",
        "raised_s": UNTIL_S,
        "verdict": "mining",
        "mining_w": [1, 20_000, 3],
        "since_s": START_S,
        "reasons": [{"text": "a step"}],
    }
    mining_w = [site.mining_w * part for part in (0.9, 1.0, 1.1)]
    return {"sites": [{"meters": found, "mining_w": mining_w}], "alarms": [alarm]}


def meter(fleet: Json, name: str) -> Json:
    """Pick a meter of the fleet."""
    return next(meter for meter in fleet["sites"][0]["meters"] if meter["meter"] == name)


def disagreeing(campus: Scenario, fleet: Json) -> list[str]:
    """Give the names of the rows that do not agree."""
    return [row["meter"] for row in compare(campus, fleet, UNTIL_S) if not row["agrees"]]


def test_the_truth_agrees_with_itself(campus: Scenario, fleet: Json) -> None:
    """A collector that found everything gets a yes in every row; gaps in a curve do not matter."""
    assert disagreeing(campus, fleet) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("office", {"verdict": "normal"}),
        ("office", {"since_s": START_S}),
        ("office", {"since_s": None}),
        ("office", {"mining_w": [0, 30_000, 0], "mining_share": 0.6}),
        ("office", {"mining_kwh": 1_000.0}),
        ("data-hall", {"verdict": "mining"}),
        ("data-hall", {"mining_kwh": 5.0}),
    ],
)
def test_each_kind_of_mistake_is_told(campus: Scenario, fleet: Json, name: str, change: Json) -> None:
    """A missed farm, a wrong start, a wrong share, a wrong energy and a false alarm are disagreements."""
    meter(fleet, name).update(change)

    assert name in disagreeing(campus, fleet)


def test_a_farm_that_is_gone_agrees_by_what_it_took(campus: Scenario, fleet: Json) -> None:
    """Nobody mines any more, and what was mined is still told."""
    office = next(one for one in campus.meters if one.id == "office")
    building, farm = office.loads
    emptied = replace(office, loads=(building, replace(farm, ends=START_S + 30 * 86400)))
    scenario = replace(campus, meters=(emptied,))
    took_kwh = truth(Plant(scenario), UNTIL_S)[1]["office"].mining_kwh

    def agrees(told_kwh: float) -> bool:
        meter(fleet, "office").update(verdict="normal", since_s=None, mining_w=[0, 0, 0], mining_kwh=told_kwh)
        return "office" not in disagreeing(scenario, fleet)

    assert took_kwh > 2_000
    assert (agrees(took_kwh), agrees(took_kwh / 2), agrees(0.0)) == (True, False, False)


def test_a_feeder_of_machines_agrees_by_what_it_draws_now(campus: Scenario, fleet: Json) -> None:
    """Where some of them are starting at the end, it draws less than in the week before, and all of it is mined."""
    now = meter(fleet, "feeder-7")
    now["mining_w"] = [watts * 0.9 for watts in now["mining_w"]]

    assert disagreeing(campus, fleet) == []


def test_a_site_that_is_counted_wrong_is_told(campus: Scenario, fleet: Json) -> None:
    """Mining that is counted twice shows in the row of the site."""
    fleet["sites"][0]["mining_w"] = [0, 130_000, 0]

    assert disagreeing(campus, fleet) == [""]


def test_a_fleet_that_is_not_there_disagrees(campus: Scenario) -> None:
    """An empty answer of the collector is no agreement."""
    assert len(disagreeing(campus, {})) == 6


def test_a_narrow_terminal_shows_the_words_whole_and_the_end_of_a_load(fleet: Json) -> None:
    """Of 80 columns the load gets what the verdicts leave, and its newest part stays."""
    meter = fleet["sites"][0]["meters"][0]
    meter |= {"name": "Workshop feeder 7", "verdict": "inconclusive", "curve": [9.0] * 29 + [0.0]}
    console = Console(width=80, record=True, file=io.StringIO())

    console.print(live(fleet, UNTIL_S, 1.0, "http://page"))

    (line,) = (line for line in console.export_text().splitlines() if "Workshop" in line)
    assert "inconclusive" in line
    assert "█▁ " in line


def test_the_live_table_draws_any_fleet(fleet: Json) -> None:
    """The drawing copes with the first moments, with gaps and with alarms."""
    console = Console(record=True, width=160, file=io.StringIO())
    console.print(live({}, START_S, 0.0, "http://page"))
    console.print(live(fleet, UNTIL_S, 1.0, "http://page"))

    text = console.export_text()
    assert "Feeder-7" in text
    assert "alarm raised: office: mining, 20.0 kW since 2026-01-05 (a step)" in text
    assert "Mon 2026-02-16 00:00 UTC" in text


def test_without_a_terminal_each_alarm_is_told_once(fleet: Json) -> None:
    """Lines show progress and who mines; an alarm is printed when it is new."""
    seen: set[str] = set()

    first, second = list(plain(fleet, UNTIL_S, 0.5, seen)), list(plain(fleet, UNTIL_S, 0.6, seen))

    assert first[0].startswith(" 50%")
    assert "Office" in first[0]
    assert (len(first), len(second)) == (2, 1)


def test_a_child_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """Its name, its exit code and the end of its log reach the user."""
    with Crew(tmp_path) as crew:
        child = crew.start("broker", sys.executable, "-c", "import sys; sys.exit('no luck')")
        with pytest.raises(SimError, match="broker ended with code 1:\n  no luck"):
            crew.wait_for(child, lambda: False)


def test_every_child_is_ended(tmp_path: Path) -> None:
    """Leaving the crew ends its processes, long before they would end themselves."""
    begun_s = time.monotonic()

    with Crew(tmp_path) as crew:
        child = crew.start("sleeper", sys.executable, "-c", "import time; time.sleep(60)")
        was_running = child.process.poll() is None

    assert was_running
    assert child.process.returncode is not None
    assert time.monotonic() - begun_s < 5


def test_a_week_of_the_demo_finds_the_dedicated_feeder(tmp_path: Path) -> None:
    """Meters, broker, agent and collector as processes: what was found agrees with what was so."""
    pytest.importorskip("amqtt")  # the broker, where no mosquitto is installed
    demo = (sys.executable, "-m", "agent.cli", "demo", "--weeks", "1", "--port", "0", "--json")

    ended = subprocess.run(demo, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["agrees"]
    assert [row["meter"] for row in result["rows"] if row["found"]["verdict"] == "mining"] == ["feeder-7"]
    assert list(tmp_path.iterdir()) == []
