"""What the gateway's agent costs: start-up to the first poll, memory, processor; seen from outside.

    python -m bench.agent_cost [--seconds 75]

Ten simulated meters are read every second over Modbus TCP, windows of a minute go to a real
mosquitto. Goals: first request on the bus within 1.5 s of the start, less than 80 MB resident.
Ends with exit code 1 where a goal is missed.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.broker import free_port, mosquitto

GOAL_START_S = 1.5
GOAL_RESIDENT_MB = 80.0
METERS = 10
STARTS = 5  # the first request waits for the next tick, so a single start says little
FLATWATT = Path(sys.executable).with_name("flatwatt")
_AS_SHIPPED = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # as deploy/flatwatt-agent.service sets it
PROFILES = ("eastron_sdm630", "abb_b23", "carlo_gavazzi_em340", "schneider_iem3155", "chint_dtsu666")


_HEAD = """\
[scenario]
name = "Ten meters"
seed = 1
step_s = 1

[[bus]]
name = "tcp"
url = "tcp://127.0.0.1:{port}"
"""
_METER = """
[[meter]]
id = "m{unit}"
bus = "tcp"
unit = {unit}
profile = "{profile}"

[[meter.load]]
kind = "office"
mean_w = 20_000
"""


def scenario_text(port: int) -> str:
    """Give a scenario of ten three-phase meters behind one Modbus TCP gateway."""
    meters = [_METER.format(unit=unit, profile=PROFILES[unit % len(PROFILES)]) for unit in range(1, METERS + 1)]
    return _HEAD.format(port=port) + "".join(meters)


@contextlib.contextmanager
def flatwatt(*words: str | Path, log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run one verb; its output stands in ``log``."""
    with log.open("w") as output:
        process = subprocess.Popen([FLATWATT, *words], stdout=output, stderr=output, text=True, env=_AS_SHIPPED)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def gateway_file(folder: Path, scenario: Path, broker_url: str, port: int) -> Path:
    """Write a gateway.toml whose bus is at ``port``; the state is new."""
    state = tempfile.mkdtemp(dir=folder)
    words = ["--gateway", "--mqtt", broker_url, "--state-dir", state, "--period", "1", "--window", "60"]
    text = subprocess.run([FLATWATT, "sim", scenario, *words], capture_output=True, text=True, check=True).stdout
    path = folder / f"gateway-{port}.toml"
    path.write_text(re.sub(r"tcp://127\.0\.0\.1:\d+", f"tcp://127.0.0.1:{port}", text))
    return path


def start_up_s(folder: Path, scenario: Path, broker_url: str) -> float:
    """Give the seconds from the start of the process to the first Modbus request that arrives."""
    with socket.create_server(("127.0.0.1", 0)) as bus:
        bus.settimeout(20)
        gateway = gateway_file(folder, scenario, broker_url, bus.getsockname()[1])
        began_s = time.perf_counter()
        with flatwatt("run", "-c", gateway, log=folder / "start.log"):
            connection, _ = bus.accept()
            with connection:
                connection.settimeout(20)
                request = connection.recv(12)
                took_s = time.perf_counter() - began_s
    if request[7:8] not in (b"\x03", b"\x04"):
        raise SystemExit(f"the first bytes on the bus are no Modbus read: {request.hex()}")
    return took_s


def processor_s(pid: int) -> float:
    """Give the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, file: str, key: str) -> float:
    """Give one of the kernel's figures about a process's memory."""
    found = re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.M)
    assert found is not None
    return int(found[1]) / 1024


def steady_state(folder: Path, scenario: Path, broker_url: str, port: int, seconds: float) -> dict[str, float]:
    """Let the agent read the simulated meters, and give what it used and delivered."""
    broker_port = broker_url.rpartition(":")[2]
    listen = ["mosquitto_sub", "-p", broker_port, "-t", "flatwatt/v1/+/up/summary/#", "-q", "1"]
    with (
        flatwatt("sim", scenario, "--json", log=folder / "sim.log"),
        (folder / "summaries").open("w") as heard,
        subprocess.Popen(listen, stdout=heard) as listener,
    ):
        _wait_for(folder / "sim.log", '"buses"')
        gateway = gateway_file(folder, scenario, broker_url, port)
        with flatwatt("run", "-c", gateway, log=folder / "run.log") as agent:
            time.sleep(5)  # the start-up is measured apart
            used_s, began_s = processor_s(agent.pid), time.perf_counter()
            time.sleep(seconds)
            share = (processor_s(agent.pid) - used_s) / (time.perf_counter() - began_s)
            found = {
                "processor_percent": 100 * share,
                "resident_mb": memory_mb(agent.pid, "status", "VmRSS"),
                "peak_mb": memory_mb(agent.pid, "status", "VmHWM"),
                "proportional_mb": memory_mb(agent.pid, "smaps_rollup", "Pss"),
            }
        listener.terminate()
    lines = [json.loads(line) for line in (folder / "summaries").read_text().splitlines()]
    return found | {"summaries": len(lines), "good": sum(line.get("quality", "G") == "G" for line in lines)}


def _wait_for(log: Path, word: str) -> None:
    deadline = time.monotonic() + 20
    while word not in log.read_text():
        if time.monotonic() > deadline:
            raise SystemExit(f"no {word} in {log.name} after 20 s:\n{log.read_text()}")
        time.sleep(0.05)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=75.0, help="how long to watch; a window of 60 s must close")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as broker:
        folder, port = Path(name), free_port()
        scenario = folder / "ten.toml"
        scenario.write_text(scenario_text(port))
        starts = sorted(start_up_s(folder, scenario, broker.url) for _ in range(STARTS))
        cost = steady_state(folder, scenario, broker.url, port, args.seconds)
    start_s = statistics.median(starts)
    print(f"flatwatt run, {METERS} meters at 1 s, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(
        f"start to first request  {start_s:6.2f} s   {starts[0]:.2f} to {starts[-1]:.2f} s; goal below {GOAL_START_S} s"
    )
    print(f"resident memory         {cost['resident_mb']:6.1f} MB  goal below {GOAL_RESIDENT_MB:.0f} MB")
    print(f"  proportional, peak    {cost['proportional_mb']:6.1f} MB, {cost['peak_mb']:.1f} MB")
    print(f"processor               {cost['processor_percent']:6.2f} % of one core, over {args.seconds:.0f} s")
    print(f"summaries delivered     {cost['summaries']:6.0f}     {cost['good']:.0f} of them good")
    return int(start_s >= GOAL_START_S or cost["resident_mb"] >= GOAL_RESIDENT_MB or not cost["good"])


if __name__ == "__main__":
    sys.exit(main())
