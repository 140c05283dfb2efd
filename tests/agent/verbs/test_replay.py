"""``flatwatt replay`` as its user meets it, on stories and on real buildings."""

import csv
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.cli import main
from tests.agent.analyse.stories import DAY_S, START_DAY, Floats, farm, office

ROOT = Path(__file__).parents[3]
REAL = ROOT.parent / "shared/data/bdg2_hourly_2016_2017.parquet"
FIELDS = [
    *("meter", "day", "coverage", "verdict", "score", "mining_w"),
    *("mining_kwh", "load_kwh", "mining_share", "since", "reasons"),
]


def write(path: Path, loads: Mapping[str, Floats], start: datetime) -> Path:
    """Write hourly loads in W as a recording; NaN as an empty cell."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["time", "meter", "active_power_w"])
        for hour in range(len(next(iter(loads.values())))):
            time = (start + timedelta(hours=hour)).isoformat()
            rows.writerows(
                [time, meter, round(w[hour], 1) if np.isfinite(w[hour]) else ""] for meter, w in loads.items()
            )
    return path


@pytest.fixture
def story(tmp_path: Path) -> Path:
    """An office with a farm from day 40 on, and its workshop; the last day is not complete."""
    hours = 70 * 24 + 7
    loads = {"main": (office(71) + farm(71, 8000.0, 40))[:hours], "workshop": office(71, 9000.0, seed=5)[:hours]}
    loads["main"] += loads["workshop"]
    return write(tmp_path / "story.csv", loads, datetime.fromtimestamp(START_DAY * DAY_S, UTC))


BEGAN = ("2026-02-13", "2026-02-14", "2026-02-15")  # a day off is what the test for a step may be
SITE = """[site]
name = "Story"
kind = "office"
[[meter]]
id = "workshop"
parent = "main"
[[meter]]
id = "main"
"""


def test_json_lines_are_one_per_meter_and_day(story: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In order of day, then of the recording's meters, with the fields of the contract and nothing else."""
    (tmp_path / "site.toml").write_text(SITE)

    code = main(["replay", str(story), "--site", str(tmp_path / "site.toml"), "--json"])

    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    last = rows[-2]
    assert code == 0
    assert [(row["day"], row["meter"]) for row in rows] == [
        (str(date(2026, 1, 5) + timedelta(days=n)), meter) for n in range(70) for meter in ("main", "workshop")
    ]
    assert {tuple(row) for row in rows} == {tuple(FIELDS)}
    assert {tuple(reason) for row in rows for reason in row["reasons"]} == {("evidence", "value", "weight", "text")}
    assert (last["verdict"], last["coverage"]) == ("mining", 1.0)
    assert last["since"] in BEGAN
    assert last["mining_kwh"] == pytest.approx(24 * last["mining_w"][1] / 1000, rel=1e-3)
    assert last["mining_share"] == pytest.approx(last["mining_kwh"] / last["load_kwh"], abs=1e-3)
    assert last["mining_w"][0] < 8000 < last["mining_w"][2]


def test_features_are_added_to_each_line_and_change_nothing_else(
    story: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every feature of the page has its place in every line, a number or null; the rest is as without."""
    main(["replay", str(story), "--json"])
    plain = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    code = main(["replay", str(story), "--json", "--features"])

    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    features = [row.pop("features") for row in rows]
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/features.md").read_text(), re.M)
    assert (code, rows) == (0, plain)
    assert {tuple(each) for each in features} == {tuple(documented)}
    assert (features[0]["dwell"], features[0]["notches"]) == (None, None), "one day, and hours, are too little"
    before, after = features[2 * 30], features[2 * 53]  # the farm began on day 40
    assert before["baseload_step"] < 0.1 < after["baseload_step"]
    assert after["lift_floor"] > 0.1
    assert after["cooling_slope_per_c"] is None


def test_features_for_people_are_wrong_input(story: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Forty numbers a line are for programs."""
    code = main(["replay", str(story), "--features"])

    assert code == 2
    assert "add --json" in capsys.readouterr().err


def test_a_picture_of_each_meter_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With names that a file may bear, one after the other; programs read of judgements only."""
    dark = np.full(23 * 24, np.nan)
    loads = {"hall_1-1": dark, "hall/1": office(23) + farm(23, 8000.0, 10), "hall:1": dark, "../" + "long_" * 60: dark}
    path = write(tmp_path / "halls.csv", loads, datetime(2026, 1, 5, tzinfo=UTC))

    code = main(["replay", str(path), "--json", "--plot", str(tmp_path / "new/pictures")])

    pictures = sorted((tmp_path / "new/pictures").iterdir())
    assert code == 0
    assert [picture.name for picture in pictures] == [
        "_" + ("long_" * 10)[:49] + ".png",
        "hall_1-1.png",
        "hall_1-2.png",
        "hall_1.png",
    ]
    assert all(picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 20_000 for picture in pictures)
    assert {json.loads(line)["meter"] for line in capsys.readouterr().out.splitlines()} == set(loads)


def test_without_matplotlib_the_next_step_is_said(
    story: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    code = main(["replay", str(story), "--plot", str(tmp_path)])

    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert 'pip install "flatwatt[plot]"' in told.err


def test_a_file_is_no_folder_for_pictures(story: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said before anything is read."""
    code = main(["replay", str(story), "--plot", str(story)])

    assert code == 2
    assert "cannot be a folder" in capsys.readouterr().err


def test_people_see_the_changes(story: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first day, and each day on which the verdict of a meter is another."""
    code = main(["replay", str(story)])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert [line.split()[2] for line in lines if line.split()[1] == "workshop"] == ["inconclusive", "normal"]
    assert [line.split()[2] for line in lines if line.split()[1] == "main"][-1] == "mining"
    assert any(f"of the load, since {day}" in next(line for line in lines if " mining " in line) for day in BEGAN)


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_less_than_a_day_is_wrong_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """Nothing to judge is not nothing to say."""
    path = write(tmp_path / "short.csv", {"m": np.full(20, 5000.0)}, datetime(2026, 1, 5, tzinfo=UTC))

    code = main(["replay", str(path), *words])

    told = capsys.readouterr()
    assert code == 2
    assert "no day is complete" in told.err
    assert [json.loads(line)["ok"] for line in told.out.splitlines()] == [False] * len(words)


def test_a_wrong_recording_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The complaint stands on the error stream, and for a program as one JSON object on the output."""
    (tmp_path / "wrong.csv").write_text("time,meter,power\n")

    code = main(["replay", str(tmp_path / "wrong.csv"), "--json"])

    told = capsys.readouterr()
    assert code == 2
    assert "wrong.csv:1: active_power_w: this column is missing" in told.err
    assert json.loads(told.out)["complaints"][0]["key"] == "active_power_w"


def test_a_site_of_other_meters_exits_with_2(story: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A meter that is missing in the facts, and one that is missing in the recording."""
    (tmp_path / "site.toml").write_text(SITE.replace('"workshop"', '"roof"'))

    code = main(["replay", str(story), "--site", str(tmp_path / "site.toml")])

    assert code == 2
    assert "lacks [[meter]] for workshop; names roof, which the recording does not have" in capsys.readouterr().err


YEAR = datetime(2017, 1, 1, tzinfo=UTC)
ONSET = 200
HOSTS = ("Panther_office_Catherine", "Bear_education_Alvaro")
FARM_SHARE = 0.5  # of the building's mean
QUIET = ("Bear_parking_Gordon", "Fox_office_Yong")


@cache
def building(name: str) -> Floats:
    """Give the hourly means in W of a real building in 2017; zeros are gaps there."""
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(REAL, columns=[name, "timestamp_local"])
    inside = np.array([moment.year == 2017 for moment in table["timestamp_local"].to_pylist()])
    watts = 1000 * table[name].to_numpy().astype(float)[inside]
    return np.where(watts > 0, watts, np.nan)


@pytest.fixture(scope="module")
def real_year(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Real buildings in one recording, clean and with a simulated farm from day 200 on, judged by the program."""
    if not REAL.exists():
        pytest.skip(f"real recordings are not there: {REAL.name} in ../shared/data")
    loads = {name: building(name) for name in (*HOSTS, *QUIET)}
    for name in HOSTS:
        watts = FARM_SHARE * float(np.nanmean(building(name)))
        loads[f"{name}+farm"] = building(name) + farm(365, watts, ONSET)
    folder = tmp_path_factory.mktemp("real")
    path = write(folder / "year.csv", loads, YEAR)
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("agent.terminal.say", lines.append)
        assert main(["replay", str(path), "--json"]) == 0
    rows = [json.loads(line) for line in lines]
    return {name: [row for row in rows if row["meter"] == name] for name in loads}


@pytest.mark.parametrize("name", [*HOSTS, *QUIET])
def test_a_real_building_without_a_farm_is_never_mining(real_year: dict[str, list[dict[str, Any]]], name: str) -> None:
    """A year of a clean building, and of a car park that is as flat as a farm."""
    assert len(real_year[name]) == 365
    assert [row["day"] for row in real_year[name] if row["verdict"] == "mining" or row["mining_kwh"]] == []


@pytest.mark.parametrize("name", HOSTS)
def test_a_farm_in_a_real_building_is_named_with_its_start(
    real_year: dict[str, list[dict[str, Any]]], name: str
) -> None:
    """Found within a month, the start within two days, its power inside the interval."""
    rows = real_year[f"{name}+farm"]
    truth_w = FARM_SHARE * float(np.nanmean(building(name)))
    found = [row for row in rows if row["verdict"] == "mining"]

    first = date.fromisoformat(found[0]["day"])
    since = date.fromisoformat(found[-1]["since"])
    low, _, high = found[-1]["mining_w"]
    onset = YEAR.date() + timedelta(days=ONSET)
    assert onset < first <= onset + timedelta(days=30)
    assert abs((since - onset).days) <= 2
    assert low <= truth_w <= high
