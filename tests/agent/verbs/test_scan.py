"""``flatwatt scan`` before simulated meters, as its users meet it."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import main
from firmware_sim.testing import Meters, one_bus

EM340 = "carlo_gavazzi_em340"
Simulate = Callable[..., Meters]


def test_meters_of_a_host_with_model_serial_number_and_power(
    flatwatt_meters: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row for each, with how sure the model is; what is not known is a dash."""
    meters = flatwatt_meters(one_bus(EM340, "eastron_sdm120", power_w=9000))
    serial = f"{meters.values('m2')['serial_number']:.0f}"

    code = main(["scan", meters.url(), "--units", "1-3"])

    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert rows[0] == [meters.url()]
    assert rows[2] == ["1", "Carlo", "Gavazzi", "EM330/EM340", "model_code", "331", "-", "9000"]
    assert rows[3] == ["2", "Eastron", "SDM120", "model_code", "32", serial, "9000"]
    assert rows[4] == ["2", "meters", "found"]


def test_the_written_configuration_passes_the_check(
    flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every meter on its bus, with an id of model and unit, and a period that the bus can carry."""
    url = f"rtu://{tmp_path}/line"
    flatwatt_meters(one_bus(EM340, "eastron_sdm120", url=f"{url}?baud=115200", power_w=9000))
    path = tmp_path / "gateway.toml"

    scanned = main(["scan", url, "--baud", "115200", "--units", "1,2", "-o", str(path), "--json"])
    found = json.loads(capsys.readouterr().out)
    checked = main(["check", "-c", str(path), "--json"])

    assert (scanned, checked) == (0, 0), capsys.readouterr().out
    written = tomllib.loads(path.read_text())
    assert written["bus"] == [{"name": "line", "url": f"{url}?baud=115200&parity=N&stopbits=1"}]
    assert [(meter["id"], meter["unit"], meter["profile"]) for meter in written["meter"]] == [
        ("em330-em340-1", 1, EM340),
        ("sdm120-2", 2, "eastron_sdm120"),
    ]
    assert found[0] == {
        "url": f"{url}?baud=115200&parity=N&stopbits=1",
        "unit": 1,
        "sure": "code",
        "why": "model_code 331",
        "profiles": [EM340],
        "serial_number": None,
        "active_power_w": 9000.0,
    }


def test_a_unit_that_no_profile_fits_is_shown(flatwatt_meters: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    """It answers, so it is there; the draft tells how a profile is written."""
    meters = flatwatt_meters(one_bus("eastron_sdm72d_m"))

    assert main(["scan", meters.url(), "--units", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[:4] == ["1", "?", "it", "answers,"]
    assert main(["scan", meters.url(), "--units", "1", "-o", "-"]) == 0
    assert f"# unit 1 at {meters.url()} answers, and no profile fits it" in capsys.readouterr().out


def test_a_setting_that_the_port_refuses_is_passed_over(
    flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pseudo-terminal has no parity, and neither have some adapters: the other settings are tried."""
    url = f"rtu://{tmp_path}/line"
    flatwatt_meters(one_bus(EM340, url=f"{url}?baud=115200", power_w=9000))

    code = main(["scan", url, "--baud", "115200", "--parity", "E,N", "--units", "1", "--json"])

    (meter,) = json.loads(capsys.readouterr().out)
    assert code == 0
    assert "parity=N" in meter["url"]


def test_a_port_that_is_not_there(
    flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason and the next step are told, and what is found elsewhere is shown; exit code 1 if that is nothing."""
    missing, meters = f"rtu://{tmp_path}/none", flatwatt_meters(one_bus(EM340))

    alone, with_other = (main(["scan", missing, *more, "--units", "1"]) for more in ([], [meters.url()]))

    said = capsys.readouterr()
    assert (alone, with_other) == (1, 0)
    assert said.err.count(f"{missing}: No such file or directory; check the path") == 2
    assert "model_code 331" in said.out


def test_a_host_that_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    """One host: why it gives nothing is told; the exit code is 1 where no meter was found."""
    assert main(["scan", "tcp://127.0.0.1:1"]) == 1

    said = capsys.readouterr()
    assert "Connection refused; check the port" in said.err
    assert said.out == "0 meters found\n"


def test_the_other_framing_is_told(flatwatt_meters: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    """A Modbus TCP server that is asked in RTU frames gives bytes that are no answer."""
    meters = flatwatt_meters(one_bus(EM340))

    code = main(["scan", meters.url().replace("tcp", "rtu+tcp"), "--units", "1", "--timeout", "0.2"])

    assert code == 1
    assert "that are no answer; is it the other of tcp:// and rtu+tcp://?" in capsys.readouterr().err


def test_hosts_that_are_not_there_cost_no_line(flatwatt_meters: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a range, only what answers is told; all hosts are asked at once."""
    meters = flatwatt_meters(one_bus(EM340))
    port = meters.url().rpartition(":")[2]

    code = main(["scan", f"tcp://127.0.0.1-40:{port}", "--units", "1", "--json"])

    said = capsys.readouterr()
    assert code == 0
    assert [meter["url"] for meter in json.loads(said.out)] == [meters.url()]
    assert "40 hosts, 1 unit id each: about 2 s" in said.err
    assert "refused" not in said.err


def test_two_meters_with_one_unit_id_are_told(
    flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One knows a register that the other refuses: somebody is there, and what comes is damaged."""
    url = f"rtu://{tmp_path}/line?baud=115200"
    flatwatt_meters(one_bus("eastron_sdm630", "abb_b23", url=url)).fault("m2", "readdressed", unit=1)

    code = main(["scan", f"{url}&parity=N", "--units", "1", "--timeout", "0.1", "--json"])

    said = capsys.readouterr()
    assert code == 0
    assert [(meter["unit"], meter["profiles"]) for meter in json.loads(said.out)] == [(1, [])]
    assert "damaged answers: two meters with this unit id" in said.err


def test_an_existing_file_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may hold names that somebody wrote; nothing is asked."""
    path = tmp_path / "gateway.toml"
    path.write_text("mine")

    assert main(["scan", "tcp://127.0.0.1:1", "-o", str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tcp://10.0.0.0/8"], "at most 1024 are scanned at once"),
        (["tcp://h", "--units", "0-300"], "--units 0-300"),
        (["rtu:///dev/ttyUSB0", "--baud", "fast"], "--baud fast"),
        (["rtu:///dev/ttyUSB0", "--parity", "X"], "--parity X"),
        (["tcp://h", "--timeout", "0"], "--timeout 0"),
        (["tcp://h", "-o", "/nowhere/gateway.toml"], "/nowhere is no folder in which you may write"),
        (["tcp://h", "-o", "-", "--json"], "both write to standard output"),
        (["10.0.0.7"], "it names no scheme"),
    ],
)
def test_a_wrong_argument_is_wrong_input(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and what was expected; nothing is asked."""
    assert main(["scan", *words]) == 2
    assert told in capsys.readouterr().err


def test_an_interrupted_scan_shows_what_was_found(flatwatt_meters: Simulate, tmp_path: Path) -> None:
    """Ctrl-C in the middle: the meter that answered is in the table, and the exit code is 1."""
    url = f"rtu://{tmp_path}/line"
    flatwatt_meters(one_bus(EM340, url=f"{url}?baud=115200", power_w=9000))
    words = ("scan", url, "--baud", "115200", "--parity", "N", "--timeout", "0.1", "-o", str(tmp_path / "found.toml"))

    with subprocess.Popen(
        (sys.executable, "-m", "agent.cli", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        estimate = process.stderr.readline()
        first = process.stderr.readline()
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=10)

    assert estimate.startswith(f"{url}: 1 setting, 247 unit ids: at most ")
    assert first == f"unit 1 answers at {url}?baud=115200&parity=N&stopbits=1\n"
    assert "model_code 331" in out
    assert "stopped; this was found so far" in err
    assert process.returncode == 1
