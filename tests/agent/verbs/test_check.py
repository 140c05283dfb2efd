"""``flatwatt check`` as its user meets it."""

import json
from pathlib import Path

import pytest

from agent.cli import main

ROOT = Path(__file__).parents[3]


def test_ten_mistakes_give_ten_located_complaints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them at once, in the order of the file, and exit code 2."""
    case = ROOT / "tests/cases/ten_mistakes"
    monkeypatch.chdir(case)

    code = main(["check", "-c", "gateway.toml"])

    assert code == 2
    assert capsys.readouterr().err == (case / "expected.txt").read_text()


def test_the_same_for_a_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` writes the complaints as data on standard output."""
    monkeypatch.chdir(ROOT / "tests/cases/ten_mistakes")

    code = main(["check", "-c", "gateway.toml", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 2
    assert told["ok"] is False
    assert [complaint["line"] for complaint in told["complaints"]] == [1, 6, 9, 10, 13, 14, 18, 23, 24, 31]


def test_a_sound_file_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Meters and the load of each bus."""
    code = main(["check", "-c", str(ROOT / "configs/gateway.example.toml"), "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (told["ok"], told["meters"], told["warnings"]) == (True, 3, [])
    assert [(bus["name"], bus["meters"], 0 < bus["utilisation"] < 1) for bus in told["buses"]] == [("hall", 3, True)]


def test_a_bus_that_cannot_carry_its_meters_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three meters at 2400 baud do not fit into a second; the text says what to do."""
    example = (ROOT / "configs/gateway.example.toml").read_text()
    path = tmp_path / "gateway.toml"
    path.write_text(example.replace("tcp://127.0.0.1:15020", "rtu:///dev/ttyUSB0?baud=2400"))

    code = main(["check", "-c", str(path)])

    out = capsys.readouterr().out
    assert code == 0
    assert "1 bus\n" in out
    assert 'warning: bus "hall" cannot carry its meters' in out
    assert "raise period_s" in out


@pytest.mark.parametrize(
    ("old", "new", "doubt"),
    [
        (
            'profile = "eastron_sdm630"',
            'profile = "chint_dtsu666"\nct_ratio = 40',
            'meter "main": ct_ratio = 40 here comes on top of the ct_ratio that the meter holds itself',
        ),
        (
            "tcp://127.0.0.1:15020",
            "rtu:///dev/ttyUSB0?baud=19200",
            'meter "main" leaves its factory with 9600 baud 8N1, and bus "hall" has 19200 baud 8N1',
        ),
        (
            'parent = "main" # the meter upstream of this one',
            'parent = "main"\nmax_power_w = 70_000',
            'meter "office": max_power_w = 70000 is more than the 60000 of "main", which feeds it',
        ),
    ],
)
def test_what_is_hard_to_believe_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, doubt: str
) -> None:
    """It may be so, and the exit code is 0; the sentence says what to look at."""
    example = (ROOT / "configs/gateway.example.toml").read_text()
    assert old in example
    path = tmp_path / "gateway.toml"
    path.write_text(example.replace('name = "Main incomer"', "max_power_w = 60_000").replace(old, new))

    code = main(["check", "-c", str(path)])

    assert code == 0
    assert f"warning: {doubt}" in capsys.readouterr().out
