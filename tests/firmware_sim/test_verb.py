"""``flatwatt sim`` as a user runs it."""

import dataclasses
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware_sim.clock import FollowedClock, PacedClock
from firmware_sim.gateway import GatewayOptions, gateway_toml
from firmware_sim.plant import Plant
from firmware_sim.scenario import Scenario, find, read_scenario
from firmware_sim.testing import one_bus
from firmware_sim.truth import truth

SIM = (sys.executable, "-m", "agent.cli", "sim")
START_S = 1_767_571_200.0  # 2026-01-05


def test_it_announces_serves_and_ends_cleanly(tmp_path: Path) -> None:
    """One line of JSON names the addresses; SIGTERM ends with 0 and leaves no link behind."""
    with subprocess.Popen((*SIM, "demo", "--speed", "60", "--json"), cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        linked = (tmp_path / "flatwatt-rs485").is_symlink()
        process.send_signal(signal.SIGTERM)
        code = process.wait(10)

    urls = {bus["name"]: bus["url"] for bus in ready["buses"]}
    assert not urls["tcp"].endswith(":0")
    assert urls["rs485"] == "rtu://./flatwatt-rs485?baud=115200"
    assert ready["time_s"] == pytest.approx(START_S, abs=600)
    assert {meter["id"] for meter in ready["meters"]} >= {"office", "pv"}
    assert linked
    assert not (tmp_path / "flatwatt-rs485").is_symlink()
    assert code == 0


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the verb to its end."""
    return subprocess.run((*SIM, *words), cwd=cwd, capture_output=True, text=True, timeout=20, check=False)


def test_a_wrong_scenario_is_a_complaint(tmp_path: Path) -> None:
    """Wrong input gives located lines and exit code 2, no traceback."""
    (tmp_path / "bad.toml").write_text("[scenario]\nnam = 'x'\n")

    ended = run("bad.toml", cwd=tmp_path)

    assert ended.returncode == 2
    assert "bad.toml: scenario.nam: unknown key; did you mean 'name'?" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_a_failure_in_one_line(tmp_path: Path) -> None:
    """Two simulators on one port: the second says so."""
    with subprocess.Popen((*SIM, "demo", "--speed", "1", "--json"), cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        taken = json.loads(process.stdout.readline())["buses"][0]["url"]
        (tmp_path / "second.toml").write_text(one_bus("eastron_sdm630", url=taken))

        ended = run("second.toml", "--speed", "1", cwd=tmp_path)

        process.terminate()
        process.wait(10)
    assert ended.returncode == 1
    assert f"{taken}: cannot listen: " in ended.stderr


def test_the_gateway_file_names_every_meter(tmp_path: Path) -> None:
    """--gateway prints a configuration with the scenario's buses, meters and declarations."""
    printed = run("demo", "--gateway", "--period", "300", "--mqtt", "mqtt://h:1", cwd=tmp_path).stdout

    config = tomllib.loads(printed)
    assert config["poll"] == {"period_s": 300.0, "slow_period_s": 300.0, "window_s": 900}
    assert config["mqtt"]["url"] == "mqtt://h:1"
    hall = next(meter for meter in config["meter"] if meter["id"] == "data-hall")
    assert (hall["declared"], hall["declared_w"], hall["parent"]) == ("data_hall", 100_000, "main")


def test_the_gateway_file_keeps_every_letter(scenario: Callable[..., Scenario]) -> None:
    """Names of people come in every script, and TOML knows fewer escapes than JSON."""
    name = '\U0001f600 "Zähler" 7\\8'
    made = dataclasses.replace(scenario('[[meter.load]]\nkind = "constant"\npower_w = 1\n'), name=name)

    config = tomllib.loads(gateway_toml(made, {"tcp": "tcp://127.0.0.1:1"}, GatewayOptions()))

    assert config["name"] == name


def test_the_truth_agrees_with_the_counters() -> None:
    """What is truly so is what the meters counted, and mining is the part of the farms."""
    plant = Plant(read_scenario(find("demo"), 0.0))
    until_s = START_S + 28 * 86400

    site, meters = truth(plant, until_s)

    block, row = divmod(plant.step_of(until_s), 2048)
    for name in ("office", "feeder-7", "data-hall"):
        counted_wh = plant.feeders[name].counters(block)["active_energy_import_wh"][row]
        assert meters[name].load_kwh == pytest.approx(counted_wh / 1000, rel=1e-9)
    assert meters["feeder-7"].mining_share == pytest.approx(1.0)
    assert meters["office"].since_s == pytest.approx(START_S + 20 * 86400 + 80 * 60, abs=60)
    assert meters["main"].mining_kwh == pytest.approx(site.mining_kwh)
    assert meters["data-hall"].since_s is None


def test_a_driven_clock_is_followed(tmp_path: Path) -> None:
    """Before the driver is there it is the scenario's start; then it is what the file says."""
    file = tmp_path / "clock"
    clock = FollowedClock(file, START_S)

    before_s = clock.now_s()
    file.write_bytes(struct.pack("<d", START_S + 900))
    after_s = clock.now_s()

    assert (before_s, after_s) == (START_S, START_S + 900)


def test_a_paced_clock_begins_at_its_start() -> None:
    """A time of its own begins where it is told and runs on."""
    clock = PacedClock(START_S, 1e6)

    first_s, second_s = clock.now_s(), clock.now_s()

    assert START_S <= first_s < second_s < START_S + 1e6


def test_faults_on_the_fly_by_a_socket(tmp_path: Path) -> None:
    """One order a line, one answer a line; no other simulator takes the socket away, and it is gone at the end."""
    path = tmp_path / "orders"
    orders = [
        'office value quantities=["frequency_hz"] value=0',
        "faults",
        "office clear",
        "faults",
        "rs485 delay delay_s=0.1 until=1m",
        "offce silence",
        "office delay",
        "office",
    ]
    command = (*SIM, "demo", "--speed", "1", "--control", str(path), "--json")
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(path))
            client.sendall("".join(order + "\n" for order in orders).encode())
            with client.makefile() as lines:
                answers = [lines.readline().strip() for _ in orders]
            (tmp_path / "second.toml").write_text(one_bus("eastron_sdm630"))
            second = run("second.toml", "--speed", "1", "--control", str(path), cwd=tmp_path)
            process.send_signal(signal.SIGTERM)
            code = process.wait(10)

    assert answers[0] == answers[2] == answers[3] == answers[4] == "ok"
    assert re.fullmatch(r'office value from=20.*Z quantities=\["frequency_hz"\] value=0.0', answers[1])
    assert answers[5].startswith("error: 'offce': no such meter or bus; there are main, office")
    assert answers[6] == "error: delay.delay_s: missing"
    assert answers[7].startswith("error: expected `METER-OR-BUS KIND")
    assert (second.returncode, second.stderr) == (1, f"--control {path}: another simulator takes its orders there\n")
    assert (code, path.exists()) == (0, False)
