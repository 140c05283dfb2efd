"""Many meters, once a second, by flatwatt and by others: what each program costs and whether it keeps the pace."""

import contextlib
import os
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from bench.peers.facility import Facility
from bench.peers.programs import PROGRAMS, Program
from bench.usage import Usage, watch
from tests.broker import mosquitto

FIRST_PORT = 25020  # of the meters; up to 200 ports from here


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One program at one number of meters."""

    program: Program
    meters: int
    usage: Usage
    messages_per_s: float
    least_polls: int  # of the meter that was asked the least


@contextlib.contextmanager
def meters(installed: Path, count: int) -> Iterator[Path]:
    """Serve ``count`` meters; gives the file in which they count their requests."""
    with tempfile.TemporaryDirectory() as folder:
        statistics = Path(folder) / "statistics"
        process = subprocess.Popen([installed / "meters", str(FIRST_PORT), str(count), statistics])
        try:
            time.sleep(0.3)
            if process.poll() is not None:
                raise SystemExit(f"the simulated meters do not start: are ports from {FIRST_PORT} on free?")
            yield statistics
        finally:
            process.kill()
            process.wait()


def requests(statistics: Path) -> tuple[int, ...]:
    """Give the requests that each meter has answered."""
    data = statistics.read_bytes()
    return struct.unpack(f"{len(data) // 8}Q", data)


def compare(installed: Path, counts: tuple[int, ...], seconds: float) -> Iterator[Result]:
    """Measure every program that is here with each number of meters, one after the other."""
    for count in counts:
        for program in PROGRAMS:
            if program.is_here(installed):
                yield measure(program, installed, count, seconds)


def measure(program: Program, installed: Path, count: int, seconds: float) -> Result:
    """Run one program with ``count`` meters and a broker of its own."""
    with (
        tempfile.TemporaryDirectory() as name,
        mosquitto(Path(name)) as broker,
        meters(installed, count) as statistics,
    ):
        folder = Path(name) / "program"
        folder.mkdir()
        port = int(broker.url.rpartition(":")[2])
        facility = Facility(
            first_port=FIRST_PORT, meters=count, broker_port=port, installed=installed.resolve(), folder=folder
        )
        processes = program.start(facility)
        try:
            time.sleep(program.settle_s)
            with _listening(port) as heard:
                messages, asked = len(heard), requests(statistics)
                usage = watch(processes[0].pid, seconds, lambda: sum(requests(statistics)))
                messages = len(heard) - messages
                polls = [after - before for before, after in zip(asked, requests(statistics), strict=True)]
            if processes[0].poll() is not None or not usage.polls:
                raise SystemExit(f"{program.name} does not poll:\n{(folder / 'log').read_text()[-2000:]}")
        finally:
            _end(processes)
    return Result(
        program=program,
        meters=count,
        usage=usage,
        messages_per_s=messages / usage.seconds,
        least_polls=min(polls),
    )


@contextlib.contextmanager
def _listening(port: int) -> Iterator[list[None]]:
    """Count what is published, at the broker."""
    heard: list[None] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda *_: heard.append(None)
    client.on_connect = lambda client, *_: client.subscribe("#")
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        time.sleep(0.5)
        yield heard
    finally:
        client.loop_stop()


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """End programs with the processes that they have started: each has a session of its own."""
    for process in processes:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def section(results: list[Result], seconds: float) -> str:
    """Give the comparison as a section of the page."""
    missing = ", ".join(program.name for program in PROGRAMS if program not in [result.program for result in results])
    lines = [
        "## Once a second, beside others",
        "",
        f"Every program reads the same simulated meters over Modbus TCP, a port and 40 registers each, once a second, "
        f"and publishes to a mosquitto, for {seconds:.0f} s each, one after the other "
        "(`bench/polling.py`; set up in `bench/peers/programs.py`). CPU is that of all threads and children; polls are "
        "counted by the meters, messages by the broker. flatwatt publishes a summary a meter and window, here of 60 s, "
        "instead of every value, and does the rest of its work as well.",
        "",
        "| meters | program | what it does | CPU, % of a core | CPU a poll | polls/s | messages/s | resident |",
        "|---:|---|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {result.meters} | {result.program.name} | {result.program.does} | {result.usage.processor_percent:.2f} "
        f"| {result.usage.processor_us_per_poll:.0f} µs | {result.usage.polls_per_s:.1f} "
        f"| {result.messages_per_s:.1f} | {result.usage.resident_mb:.0f} MB |"
        for result in results
    ]
    return "\n".join([*lines, "", *([f"Not installed, so not measured: {missing}.", ""] if missing else [])])


def deadlines(result: Result) -> str:
    """Give the section about many meters at once."""
    seconds = result.usage.seconds
    return f"""\
## {result.meters} meters at once

{result.meters} Modbus TCP connections, once a second, for {seconds:.0f} s: the meter that was asked the least was \
asked {result.least_polls} times. CPU {result.usage.processor_percent:.1f} % of a core, resident \
{result.usage.resident_mb:.0f} MB.
"""
