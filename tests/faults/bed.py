"""The test bed: one facility of real processes, which a case harms and then holds against the truth.

Meters, agent, collector and broker are the programs that ship; each may be reached through a proxy
that misbehaves. In fast motion a day of the facility passes in seconds, and nothing is lost to a
slow machine; where the behaviour of TCP matters, the same runs in real time with short windows.
"""

import json
import re
import socket
import sqlite3
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import IO, Any

from agent.deliver import wire
from firmware_sim.gateway import GatewayOptions, gateway_toml
from firmware_sim.scenario import Scenario, read_scenario
from tests.broker import Broker, mosquitto
from tests.faults.invariants import Stretch, Truth, contradictions, truth_of
from tests.faults.process import PATIENCE_S, ROOT, Crash, Process, flatwatt
from tests.faults.proxy import FaultyLine, faulty_line
from tests.faults.story import Story

HOUR_S = 3600
RSS_MOST_MB = 150.0
UNCHECKED = "I1 to I8: no agent runs"

Sql = tuple[Any, ...]


class Bed:
    """One facility. Opened by a case, closed by whoever runs the case."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.chance = Random(seed)
        self.early = ExitStack()  # what must outlive the processes: disks, control groups
        self.stack = ExitStack()
        self.group = Path()
        self.excused = {UNCHECKED}  # what a case does not hold itself to; the table shows it
        self.story = Story()
        self.database = folder / "collector.db"
        self.state = folder / "state"
        self.config = folder / "gateway.toml"
        self.until_s = 0.0
        self.began_s = 0.0
        self.uplink: FaultyLine  # between agent and broker
        self.backhaul: FaultyLine  # between broker and collector
        self.field: FaultyLine  # between agent and meters
        self.broker: Broker
        self.tls_port = 0
        self.sim: Process
        self.agent: Process
        self.collector: Process
        self.scenario: Scenario
        self._clock = folder / "clock"
        self._agents: list[Process] = []
        self._words: tuple[str, ...] = ()

    def open(self, story: Story, *, through: Collection[str] = (), broker: Collection[str] = ()) -> None:
        """Start broker, meters and collector, and make the agent ready; ``through`` names the proxied lines."""
        if story.real:
            story = replace(story, start_s=time.time() // HOUR_S * HOUR_S)
        self.story = story
        self.until_s = story.start_s + story.hours * HOUR_S
        (self.folder / "scenario.toml").write_text(story.toml())
        self.scenario = read_scenario(self.folder / "scenario.toml", story.start_s)
        self.broker = self.stack.enter_context(mosquitto(self.folder, *broker))
        self._start_meters()
        uplink = self._line("uplink", "127.0.0.1", self.broker.port) if "uplink" in through else None
        backhaul = self._line("backhaul", "127.0.0.1", self.broker.port) if "backhaul" in through else None
        self.write_config(f"mqtt://{uplink}" if uplink else self.broker.url, through)
        self.make_collector(f"mqtt://{backhaul}" if backhaul else self.broker.url)
        self.collector.start()
        self.collector.says("subscribed")
        self._words = ("run", "-c", str(self.config), *self._motion())
        self.agent = self._new_agent()

    def _line(self, name: str, host: str, port: int) -> str:
        line = self.stack.enter_context(faulty_line(host, port, self.seed))
        setattr(self, name, line)
        return line.address

    def _start_meters(self) -> None:
        clock = ("--clock", str(self._clock)) if not self.story.real else ()
        if not self.story.real:
            self._clock.write_bytes(struct.pack("<d", self.story.start_s))
        control = ("--control", str(self.folder / "sim.socket"))
        self.sim = flatwatt(self.folder, "sim", str(self.folder / "scenario.toml"), "--json", *clock, *control)
        self.stack.callback(end, self.sim)
        self.sim.start()
        self.sim.says('"buses"')

    def write_config(self, mqtt_url: str, through: Collection[str] = ()) -> None:
        """Write gateway.toml for the scenario."""
        told = json.loads(self.sim.log.read_text().splitlines()[-1])
        urls = {bus["name"]: bus["url"] for bus in told["buses"]}
        if "field" in through:
            for name, url in urls.items():
                scheme, _, address = url.partition("://")
                host, _, port = address.rpartition(":")
                urls[name] = f"{scheme}://{self._line('field', host, int(port))}"
        story = self.story
        options = GatewayOptions(
            mqtt_url=mqtt_url,
            state_dir=str(self.state),
            period_s=story.period_s,
            slow_period_s=max(story.period_s, min(60.0, story.window_s)),
            window_s=story.window_s,
        )
        text = gateway_toml(self.scenario, urls, options)
        for table, lines in (("delivery", story.delivery), ("mqtt", story.mqtt), ("[bus]", story.bus_keys)):
            text = text.replace(f"[{table}]\n", f"[{table}]\n{lines}\n")
        self.config.write_text(text)

    def add_bus(self, name: str, url: str, *, meter: str) -> None:
        """Put a meter on a bus of its own."""
        text = self.config.read_text()
        place = text.index(f'[[meter]]\nid = "{meter}"')
        moved = text[place:].replace('bus = "hall"', f'bus = "{name}"', 1)
        bus = f'[[bus]]\nname = "{name}"\nurl = "{url}"\n{self.story.bus_keys}\n'
        first = text.index("[[meter]]")
        self.config.write_text(text[:first] + bus + text[first:place] + moved)

    def make_collector(self, mqtt_url: str, *options: str) -> None:
        """Make a collector ready."""
        database = ("--db", str(self.database), "--http", "127.0.0.1:0")
        self._collector_words = ("collect", "--mqtt", mqtt_url, *database, *options)
        self.collector = self._new_collector(None)

    def _new_collector(self, kill: Crash | None) -> Process:
        """Make a collector; where the agent's clock goes wrong by a script, it lives in the true time."""
        clock = self._clock if self.story.clock else None
        collector = flatwatt(self.folder, *self._collector_words, kill=kill, clock=clock)
        self.stack.callback(end, collector)
        return collector

    def restart_collector(self, *, kill: Crash | None = None) -> None:
        """End the collector as a crash does, and start another one on its database."""
        if self.collector.running():
            self.collector.kill()
        self.collector = self._new_collector(kill)
        told = self.collector.log.read_text().count("subscribed")
        self.collector.start()
        if kill is None:
            self.collector.says("subscribed", times=told + 1)

    def _motion(self) -> tuple[str, ...]:
        if self.story.real:
            return ()
        until = datetime.fromtimestamp(self.until_s, UTC).isoformat()
        script = self.folder / "clock.script"
        script.write_text(self.story.clock)
        wrong = ("--clock-script", str(script)) if self.story.clock else ()
        return ("--fast-motion", str(self._clock), "--speed", str(self.story.speed), "--until", until, *wrong)

    def _new_agent(self, kill: Crash | None = None) -> Process:
        agent = flatwatt(self.folder, *self._words, kill=kill)
        self._agents.append(agent)
        self.stack.callback(end, agent)
        return agent

    def start_agent(
        self,
        *prefix: str,
        kill: Crash | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the agent, again too; where ``kill`` names a function, it dies at that call of it."""
        if not self.began_s:
            self.began_s = self.now_s()
        if kill or self.agent.started:
            self.agent = self._new_agent(kill)
        self.agent.start(*prefix, environment=environment)

    def now_s(self) -> float:
        """Give the facility's time."""
        return time.time() if self.story.real else float(struct.unpack("<d", self._clock.read_bytes())[0])

    def wait_hours(self, hours: float) -> None:
        """Wait until so many hours of the facility's time have passed since its start."""
        moment_s = self.story.start_s + hours * HOUR_S
        self.wait_for(lambda: self.now_s() >= moment_s, "the time to pass", agent_runs=True)

    def wait_for(
        self, seen: Callable[[], object], what: str, patience_s: float = PATIENCE_S, *, agent_runs: bool = False
    ) -> float:
        """Wait until ``seen`` gives something true; give the seconds that it took."""
        began_s = time.monotonic()
        while not seen():
            waited_s = time.monotonic() - began_s
            assert waited_s < patience_s, f"still waiting for {what} after {patience_s:.0f} s:\n{self.agent.tail()}"
            assert not agent_runs or self.agent.running(), f"the agent ended:\n{self.agent.tail()}"
            time.sleep(0.01)
        return time.monotonic() - began_s

    def fault(self, name: str, order: str) -> None:
        """Let something go wrong with a meter or the bus from now on; ``clear`` puts all right."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(self.folder / "sim.socket"))
            line.sendall(f"{name} {order}\n".encode())
            answer = line.recv(1000).decode()
        assert answer.strip() == "ok", answer

    def other_terminal(self) -> "IO[bytes]":
        """Take a pseudo-terminal, so that whoever asks next gets one of another name."""
        return Path("/dev/ptmx").open("rb+", buffering=0)

    def status(self) -> dict[str, Any]:
        """Ask `flatwatt status`."""
        command = [sys.executable, "-m", "agent.cli", "status", "-c", str(self.config), "--json"]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        assert answer.stdout, answer.stderr
        return dict(json.loads(answer.stdout))

    def retained_status(self) -> wire.Status:
        """Give the status of the gateway as the broker keeps it."""
        topic = wire.topic("demo", "status")
        command = ["mosquitto_sub", "-p", str(self.broker.port), "-t", topic, "-C", "1", "-W", "5"]
        answer = subprocess.run(command, capture_output=True, timeout=10, check=True).stdout
        status = wire.decode(answer.strip())
        assert isinstance(status, wire.Status)
        return status

    def flatwatt(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a verb to its end."""
        command = [sys.executable, "-m", "agent.cli", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def query(self, sql: str, *values: object) -> list[Sql]:
        """Ask the collector's database."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return database.execute(sql, values).fetchall()

    def count(self, sql: str, *values: object) -> int:
        """Ask the collector's database for one number."""
        return int(self.query(sql, *values)[0][0] or 0)

    def events(self, name: str, meter: str | None = None) -> list[dict[str, Any]]:
        """Give the events of a name, oldest first: their data, with time_s, meter and text."""
        rows = self.query("SELECT meter, time_s, text, data FROM event WHERE event = ? ORDER BY time_s, seq", name)
        told = [{"meter": m, "time_s": t, "text": text, **json.loads(data)} for m, t, text, data in rows]
        return [one for one in told if meter is None or one["meter"] == meter]

    def letters(self, meter: str) -> list[tuple[int, str]]:
        """Give start and quality of each window of a meter."""
        return self.query("SELECT start_s, quality FROM summary WHERE meter = ? ORDER BY start_s", meter)

    def metric(self, name: str) -> float:
        """Ask the collector for one of its metrics."""
        page = re.findall(r"page: (http://[^ ]+/)", self.collector.log.read_text())[-1]
        with urllib.request.urlopen(page + "metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(name)))

    def caught_up(self) -> bool:
        """Tell whether the collector has all that it knows of, and something."""
        with suppress(sqlite3.Error):
            rows = self.query("SELECT sum(through = highest), count(*) FROM stream")
            return bool(rows[0][1]) and rows[0][0] == rows[0][1]
        return False

    def finish(self, patience_s: float = PATIENCE_S) -> None:
        """Let the run come to its end: in fast motion the agent ends when the collector has everything."""
        if self.story.real:
            self.until_s = self.now_s() // self.story.window_s * self.story.window_s
            self._settle(patience_s)
            assert self.agent.end() == 0, self.agent.tail()
            return
        code = self.agent.finish(patience_s)
        assert code == 0, f"the agent ended with {code}:\n{self.agent.tail()}"

    def _settle(self, patience_s: float) -> None:
        """Wait until the last whole window of every meter has arrived."""
        last_s = self.until_s - self.story.window_s
        names = [meter.id for meter in self.scenario.meters]

        def arrived() -> bool:
            rows = self.query("SELECT count(DISTINCT meter) FROM summary WHERE start_s = ?", int(last_s))
            return bool(rows[0][0] == len(names))

        self.wait_for(arrived, "the last window to arrive", patience_s, agent_runs=True)

    def truth(self, unlived: Collection[Stretch] = ()) -> Truth:
        """Give what the simulator knows of the run; ``unlived`` names windows that a meter was not configured for."""
        truth = truth_of(self.scenario, self.began_s or self.story.start_s, self.until_s, self.story.window_s)
        expected = [
            (meter, start_s, length_s)
            for meter, start_s, length_s in truth.expected
            if not any(meter == m and low <= start_s < high for m, low, high in unlived)
        ]
        return replace(truth, expected=expected)

    def check(
        self,
        *,
        distrusted: Collection[Stretch] = (),
        unlived: Collection[Stretch] = (),
        allowed: Collection[str] = (),
        findings: int | None = 0,
    ) -> None:
        """Hold everything against the truth; ``allowed`` names the queries that this very case is meant to fail."""
        self.excused.update(allowed, ("findings",) if findings is None else ())
        self.excused.discard(UNCHECKED)
        truth = self.truth(unlived)
        truth.distrusted.extend(distrusted)
        found = contradictions(self.database, truth)
        wrong = {name: rows[:5] for name, rows in found.items() if rows and name not in allowed}
        assert not wrong, f"contradictions: {wrong}"
        verified = self.flatwatt("verify", str(self.database))
        assert "unsigned" in allowed or verified.returncode == 0, verified.stdout + verified.stderr
        told = self.query("SELECT kind, text FROM finding")
        assert findings is None or len(told) == findings, f"findings: {told}"
        peak_mb = max((agent.peak_mb for agent in self._agents), default=0.0)
        assert peak_mb < RSS_MOST_MB, f"the agent took {peak_mb:.0f} MB"
        assert len(truth.expected) >= self.story.meters, "the run was too short to say anything"

    def part(self, name: str) -> "Bed":
        """Give another facility of the same case."""
        other = Bed(self.folder / name, self.seed)
        other.folder.mkdir()
        other.excused = self.excused
        self.stack.callback(other.close)
        return other

    def close(self) -> None:
        """End what still runs."""
        self.stack.close()
        self.early.close()


def end(process: Process) -> None:
    """End a process that still runs."""
    if process.running():
        process.kill()
