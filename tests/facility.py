"""The real parts as processes of their own: simulator, agent, collector; a broker comes from ``tests.broker``."""

import json
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.broker import Broker

PATIENCE_S = 60.0  # what works takes a few seconds on two idle cores


class Part:
    """One verb of flatwatt as a process; its output goes to ``<name>.log``."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.log = folder / f"{words[0]}.log"
        self._folder = folder
        self._command = [sys.executable, "-m", "agent.cli", *words]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its earlier output stays in the log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=subprocess.STDOUT)

    @property
    def pid(self) -> int:
        """The process that runs, or ran last."""
        assert self._process
        return self._process.pid

    def kill(self) -> None:
        """End it as a crash does."""
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and give its exit code."""
        assert self._process
        if self._process.poll() is None:
            self._process.send_signal(how)
        return self._process.wait(PATIENCE_S)

    def running(self) -> bool:
        """Tell whether it has not ended yet."""
        assert self._process
        return self._process.poll() is None

    def finish(self, patience_s: float) -> int:
        """Wait until it ends by itself; give its exit code."""
        assert self._process
        return self._process.wait(patience_s)


class Facility:
    """A scenario's meters, an agent that watches them in fast motion, and the collector."""

    def __init__(self, folder: Path, scenario: Path, broker: Broker, *, start_s: float, until_s: float) -> None:
        self.folder = folder
        self.database = folder / "collector.db"
        self._clock = folder / "clock"
        self._clock.write_bytes(struct.pack("<d", start_s))
        self._broker = broker
        self._until = datetime.fromtimestamp(until_s, UTC).isoformat()
        self.sim = Part(folder, "sim", str(scenario), "--clock", str(self._clock), "--control", "control", "--json")
        self.collector = Part(
            folder, "collect", "--mqtt", broker.url, "--db", str(self.database), "--http", "127.0.0.1:0"
        )
        self.agent: Part

    def open(self, scenario: Path, *, period_s: float, window_s: int, speed: float) -> None:
        """Start meters and collector, and make the agent ready to start."""
        self.sim.start()
        buses = self._buses()
        self.collector.start()
        self._write_gateway(scenario, buses, period_s, window_s)
        fast = ("--fast-motion", str(self._clock), "--speed", str(speed), "--until", self._until)
        self.agent = Part(self.folder, "run", "-c", "gateway.toml", *fast)

    def _buses(self) -> dict[str, str]:
        deadline = time.monotonic() + PATIENCE_S
        while not (text := self.sim.log.read_text()).endswith("\n"):
            assert time.monotonic() < deadline, f"the simulator says {text!r}"
            time.sleep(0.02)
        return {bus["name"]: bus["url"] for bus in json.loads(text)["buses"]}

    def _write_gateway(self, scenario: Path, buses: dict[str, str], period_s: float, window_s: int) -> None:
        options = ("--mqtt", self._broker.url, "--period", str(period_s), "--window", str(window_s))
        command = [sys.executable, "-m", "agent.cli", "sim", str(scenario), "--gateway", *options]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for name, url in buses.items():
            head, tail = text.split(f'name = "{name}"\nurl = "', 1)
            text = f'{head}name = "{name}"\nurl = "{url}"{tail[tail.index(chr(34)) + 1 :]}'
        text = text.replace("slow_period_s = 60.0", f"slow_period_s = {max(60.0, period_s)}")
        text = text.replace('mode = "collector"', 'mode = "collector"\nresend_after_s = 2.0')
        (self.folder / "gateway.toml").write_text(text)

    def now_s(self) -> float:
        """Give the simulated time."""
        return float(struct.unpack("<d", self._clock.read_bytes())[0])

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the collector's database."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return database.execute(sql).fetchall()

    def close(self) -> None:
        """End what still runs."""
        for part in (getattr(self, "agent", None), self.sim, self.collector):
            if part is not None and part._process is not None:
                part.kill()


@contextmanager
def facility(
    folder: Path,
    scenario: Path,
    broker: Broker,
    *,
    start_s: float,
    until_s: float,
    period_s: float,
    window_s: int,
    speed: float = 1e6,
) -> Iterator[Facility]:
    """Run a facility; the agent is to be started by the test."""
    with ExitStack() as stack:
        parts = Facility(folder, scenario, broker, start_s=start_s, until_s=until_s)
        stack.callback(parts.close)
        parts.open(scenario, period_s=period_s, window_s=window_s, speed=speed)
        yield parts
