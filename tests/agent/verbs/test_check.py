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
