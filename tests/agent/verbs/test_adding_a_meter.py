"""docs/adding-a-meter.md: what a newcomer copies from it works, and prints what it says."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest

from agent.acquire.profiles.fields import COMMON, LIMITS, METER, OWN, SERIAL, SUNSPEC
from agent.cli import main
from firmware_sim.scenario import read_scenario
from tests.agent.acquire.profiles import golden_meter
from tests.agent.acquire.profiles.test_golden_profiles import LINES, poll_thrice

PAGE = (Path(__file__).parents[3] / "docs" / "adding-a-meter.md").read_text()
FILES = dict(re.findall(r"```toml\n# (\w+\.toml)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"^\$ (flatwatt .*)\n((?:(?!\$ |```).*\n)*)", PAGE, re.MULTILINE)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where the files of the page lie, with the comment of their first line."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(f"# {name}\n{text}")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("command", "told"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_a_command_of_the_page_prints_what_it_shows(
    command: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Complaints, plan and all: the page is the program's own output."""
    main(shlex.split(command)[1:])

    captured = capsys.readouterr()
    assert captured.out + captured.err == told


def test_the_page_has_commands_for_every_step() -> None:
    """Else the test above would hold an empty page true."""
    assert [command.split()[1] for command, _ in COMMANDS] == ["profiles", "profiles", "plan"]


def test_the_golden_file_of_the_page_fits_its_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polled as the daemon polls: import with both tariffs, export, and what is not available."""
    (golden,) = re.findall(r"```toml\n# golden: [^\n]*\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "acme_e3.toml").write_text(golden)
    monkeypatch.setattr(golden_meter, "_FOLDER", tmp_path / "golden")

    for poll in golden_meter.golden_polls("acme_e3"):
        bus = golden_meter.GoldenMeter(poll)
        values, _ = asyncio.run(poll_thrice("acme_e3.toml", bus, LINES["rtu"]))
        assert bus.refused == []
        assert values == pytest.approx(poll.values, nan_ok=True)


def test_the_simulator_has_the_meter_of_the_page() -> None:
    """The scenario on the desk is sound, and imitates the newcomer's own profile."""
    scenario = read_scenario(Path("desk.toml"), now_s=0.0)

    assert [meter.registers.name for meter in scenario.meters] == ["acme_e3"]


def test_the_page_names_every_key_of_a_profile() -> None:
    """What can be said is said there."""
    tables = (METER, LIMITS, SERIAL, SUNSPEC, COMMON, OWN)

    assert [field.name for table in tables for field in table if f"`{field.name}`" not in PAGE] == []
