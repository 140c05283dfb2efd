"""The shipped systemd units, read as systemd reads them, and their programs behind the walls that they name."""

import ctypes.util
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from collector.ca.authority import create
from tests.deploy.restricted import system_calls

DEPLOY = Path(__file__).parents[2] / "deploy"
AGENT, COLLECTOR, AUTHORITY = (DEPLOY / f"flatwatt-{name}.service" for name in ("agent", "collector", "ca"))
UNITS = [AGENT, COLLECTOR, AUTHORITY]
REQUIRED = {
    "CapabilityBoundingSet=",
    "DevicePolicy=closed",
    "MemoryDenyWriteExecute=yes",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "ProtectHome=yes",
    "ProtectSystem=strict",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "SystemCallFilter=~@privileged @resources",
    "UMask=0077",
}
EXPOSURE = 1.5  # of 10, by systemd's own reckoning
EXPOSURE_SERIAL = 1.6  # the devices cost as much as the clock, of which every record tells; no wall is left to add
NEEDS = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or ctypes.util.find_library("seccomp") is None,
    reason="needs systemd-analyze and libseccomp, which come with systemd",
)
GATEWAY = """
id = "lonely"
state_dir = "state"
[site]
name = "Nowhere"
kind = "office"
[mqtt]
url = "mqtt://127.0.0.1:9"
[[bus]]
name = "tcp"
url = "tcp://127.0.0.1:9"
[[meter]]
id = "main"
bus = "tcp"
unit = 1
profile = "eastron_sdm630"
"""


def words(unit: Path) -> list[str]:
    """Give the command that a unit starts, without the program."""
    (line,) = re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.M)
    return shlex.split(line)[1:]


def exposure(unit: Path) -> float:
    """Ask systemd how much of the machine a service could reach."""
    command = ["systemd-analyze", "security", "--offline=true", str(unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    (found,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)
    return float(found)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_service_runs_with_the_least_rights_that_it_needs(unit: Path) -> None:
    """Each unit has a user of its own and every one of these walls."""
    lines = unit.read_text().splitlines()

    assert set(lines) >= REQUIRED
    assert any(line.startswith("User=flatwatt") for line in lines)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_wrong_configuration_waits_for_a_person_and_everything_else_is_tried_again(unit: Path) -> None:
    """Exit code 2 means wrong input; a gateway in a cabinet never gives up otherwise, and a loop that hangs ends."""
    lines = unit.read_text().splitlines()

    assert {"Restart=always", "RestartPreventExitStatus=2", "StartLimitIntervalSec=0", "Type=notify"} <= set(lines)
    (hung_s,) = [int(line.partition("=")[2]) for line in lines if line.startswith("WatchdogSec=")]
    (pause_s,) = [int(line.partition("=")[2]) for line in lines if line.startswith("RestartSec=")]
    assert hung_s + pause_s <= 60


def test_state_is_where_the_unit_makes_it() -> None:
    """A service may write to its state directory only, so its files must be there."""
    collector, authority = words(COLLECTOR), words(AUTHORITY)

    assert Path(collector[collector.index("--db") + 1]).parent == Path("/var/lib/flatwatt-collector")
    assert "StateDirectory=flatwatt-collector" in COLLECTOR.read_text().splitlines()
    assert authority[authority.index("serve") + 1] == "/var/lib/flatwatt-ca"
    assert "StateDirectory=flatwatt-ca" in AUTHORITY.read_text().splitlines()


@pytest.mark.parametrize("unit", [AGENT, COLLECTOR], ids=lambda path: path.stem)
def test_a_service_can_read_its_configuration(unit: Path) -> None:
    """The directory is root's, unlike the others that systemd makes: it must let the service's user in."""
    (mode,) = re.findall(r"^ConfigurationDirectoryMode=(\d+)$", unit.read_text(), re.M)

    assert int(mode, 8) & 0o005 == 0o005


@pytest.mark.parametrize("unit", [AGENT, AUTHORITY], ids=lambda path: path.stem)
def test_the_folder_is_there_before_the_services_user_writes_to_it(unit: Path) -> None:
    """Nobody but root makes a folder in /var/lib, and systemd makes it at the first start only."""
    steps = [line.removeprefix("#   ") for line in unit.read_text().splitlines() if line.startswith("#   ")]
    user, folder = (re.findall(rf"^{name}=(.+)$", unit.read_text(), re.M)[0] for name in ("User", "StateDirectory"))
    (made,) = [at for at, line in enumerate(steps) if re.search(rf"install -d -o {user} .*/var/lib/{folder}$", line)]

    assert made < min(at for at, line in enumerate(steps) if line.startswith(f"sudo -u {user} "))


@NEEDS
def test_the_agent_may_ask_how_good_its_clock_is_on_32_bits_too() -> None:
    """There glibc asks by a call of another name, and takes a refusal for the answer."""
    assert {"clock_adjtime", "clock_adjtime64"} <= system_calls(AGENT)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_little_that_a_service_could_reach(tmp_path: Path) -> None:
    """For each unit alone, and for the agent with serial lines."""
    alone = {unit.name: Path(shutil.copy(unit, tmp_path)) for unit in UNITS}
    found = {name: exposure(path) for name, path in alone.items()}
    drop_ins = tmp_path / "flatwatt-agent.service.d"
    drop_ins.mkdir()
    shutil.copy(DEPLOY / "flatwatt-agent-serial.conf", drop_ins)

    assert {name for name, level in found.items() if level > EXPOSURE} == set()
    assert exposure(tmp_path / AGENT.name) <= EXPOSURE_SERIAL


@NEEDS
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_service_starts_behind_its_own_walls(unit: Path, tmp_path: Path) -> None:
    """With the system calls, sockets and memory that its unit leaves it: NumPy, SQLite, TLS and systemd's word."""
    (tmp_path / "gateway.toml").write_text(GATEWAY)
    create(tmp_path / "ca", "authority", 1_767_225_600.0)
    places = {
        "/etc/flatwatt/gateway.toml": "gateway.toml", "/var/lib/flatwatt-collector/collector.db": "collector.db",
        "/var/lib/flatwatt-ca": "ca", "127.0.0.1:8080": "127.0.0.1:0", "0.0.0.0:8443": "127.0.0.1:0",
    }  # fmt: skip
    command = [sys.executable, "-m", "agent.cli", *(places.get(word, word) for word in words(unit))]
    walls = [sys.executable, "-m", "tests.deploy.restricted", str(unit)]
    environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "PYTHONPATH": str(DEPLOY.parent)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(15)
        with subprocess.Popen([*walls, *command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
            try:
                said = systemd.recv(100)
            finally:
                process.terminate()
                _, trouble = process.communicate(timeout=15)

    assert said == b"READY=1"
    assert process.returncode == 0, trouble.decode()


@NEEDS
def test_the_walls_of_that_test_stand(tmp_path: Path) -> None:
    """What a unit forbids is refused: else the test above would prove nothing."""
    tries = """
import mmap, os, socket, time
for attempt in (
    lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    lambda: os.chroot("/"),
    lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
):
    try:
        attempt()
    except PermissionError:
        print("refused")
"""
    walls = [sys.executable, "-m", "tests.deploy.restricted", str(AGENT), sys.executable, "-c", tries]
    said = subprocess.run(walls, cwd=DEPLOY.parent, capture_output=True, text=True, timeout=30, check=True).stdout

    assert said.split() == ["refused"] * 4
