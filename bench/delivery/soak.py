"""Days of faults in compressed time: three that no process dies of, to watch their memory, and one with kills.

python -m bench.delivery soak           72 h and 24 h, a fault every 2 to 8 simulated minutes: half an hour
python -m bench.delivery soak --short   2 h each

The gateway begins with a history of 430 days, as its memory grows with that until it is full. The slope is
that of the hourly means after the first 36 hours, by when the collector's database fills its page cache; memory
grows where its 95 % interval lies above zero.
"""

import math
import os
import random
import signal
import socket
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.delivery import site
from bench.delivery.ledger import Life, judge
from tests.broker import Broker, mosquitto
from tests.facility import Facility, Part

PERIOD_S, WINDOW_S = 10.0, 900
SPEED = 288.0  # a day in five minutes, where no meter is silent
PAUSE_S = (120.0, 480.0)  # simulated, between two faults
AWAY_S = 1.0  # of real time, at most, that something is stopped or dead: five simulated minutes
SILENT_S = 300  # simulated, that a meter fails
LIVING_H, DYING_H, SHORT_H = 72, 24, 2
SLICES = 72  # of a run, each an hour of the long one
WARM = 36  # slices, until caches and pools have their size
HISTORY_DAYS = 430
TIMEOUT_S = 0.25
METER_FAULTS = (
    "silence",
    "exception code=4",
    "exception code=6",
    "wrong_unit unit=77",
    "wrong_transaction",
    "noise share=0.3",
    "partial share=0.5",
    "closed share=0.3",
    'not_available quantities=["active_power_w"]',
    "stuck",
    "delay delay_s=0.1",
)
_T95 = 2.032  # Student's t of 34 degrees, two-sided 95 %: 36 slices and two parameters


@dataclass
class _Watched:
    """One process: its memory (MB) and descriptors by slice."""

    memory_mb: dict[int, list[float]] = field(default_factory=dict)
    descriptors: dict[int, list[int]] = field(default_factory=dict)

    def look(self, pid: int, part: int) -> None:
        """Take a sample, where the process still is."""
        try:
            resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            open_files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return
        self.memory_mb.setdefault(part, []).append(resident * os.sysconf("SC_PAGESIZE") / 1e6)
        self.descriptors.setdefault(part, []).append(open_files)

    def report(self) -> dict[str, Any]:
        """Give slope and interval of the slices' means, and the usual descriptors of first and last quarter."""
        slices = [part for part in range(WARM, SLICES) if part in self.memory_mb]  # after a stop the clock may leap
        means = [statistics.fmean(self.memory_mb[part]) for part in slices]
        slope, half = _slope(slices, means)
        usual = [statistics.median(self.descriptors[part]) for part in slices]
        quarter = len(usual) // 4
        before, after = statistics.median(usual[:quarter]), statistics.median(usual[-quarter:])
        return {
            "mean_mb": statistics.fmean(means),
            "most_mb": max(max(values) for values in self.memory_mb.values()),
            "means_mb": [round(statistics.fmean(values), 3) for values in self.memory_mb.values()],
            "slope_mb": slope,
            "interval_mb": [slope - half, slope + half],
            "descriptors": [before, after],
            "most_descriptors": max(max(values) for values in self.descriptors.values()),
            "steady": slope - half <= 0 and after <= before,
        }


def _slope(slices: Sequence[int], means: Sequence[float]) -> tuple[float, float]:
    """Give the least-squares slope a slice, and half of its 95 % interval."""
    line = statistics.linear_regression(slices, means)
    rest = [mean - (line.intercept + line.slope * part) for part, mean in zip(slices, means, strict=True)]
    spread = sum((part - statistics.fmean(slices)) ** 2 for part in slices)
    return line.slope, _T95 * math.sqrt(sum(r * r for r in rest) / (len(slices) - 2) / spread)


@dataclass
class _Day:
    """One run: what happens to whom, and who must be put right when."""

    parts: Facility
    broker: Broker
    chance: random.Random
    kills: bool
    lives: list[Life] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    _repairs: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _began_s: float = 0.0

    def start(self) -> None:
        """Start the agent."""
        self._began_s = self.parts.now_s()
        self.parts.agent.start()

    def end(self) -> None:
        """Kill the agent, and note its life."""
        self.parts.agent.kill()
        self.lives.append(Life(self._began_s, self.parts.now_s()))

    def strike(self) -> None:
        """Let something go wrong, unless it is wrong already."""
        what = self.chance.choice(["meter"] * 4 + ["broker dies", "broker hangs", "collector hangs", "agent hangs"])
        if self.kills and self.chance.random() < 0.4:
            what = self.chance.choice(["agent dies", "collector dies"])
        if self._repairs and what != "meter":
            return
        self.faults[what] = self.faults.get(what, 0) + 1
        agent, collector = self.parts.agent, self.parts.collector
        match what:
            case "meter":
                fault = self.chance.choice(METER_FAULTS)
                _order(self.parts.folder / "control", f"{self.chance.choice(site.METERS)} {fault} until={SILENT_S}s")
            case "broker dies":
                self.broker.kill()
                self._repair_later(self.broker.start)
            case "broker hangs":
                self._freeze(self.broker.send)
            case "collector hangs":
                self._freeze(partial(os.kill, collector.pid))
            case "agent hangs":
                self._freeze(partial(os.kill, agent.pid))
            case "collector dies":
                collector.kill()
                self._repair_later(collector.start)
            case "agent dies":
                self.end()
                self._repair_later(self.start)

    def repair(self) -> None:
        """Put right what is due."""
        for due in [each for each in self._repairs if each[0] <= time.monotonic()]:
            self._repairs.remove(due)
            due[1]()

    def repair_all(self) -> None:
        """Put right everything."""
        for _, way in self._repairs:
            way()
        self._repairs.clear()

    def _freeze(self, send: Callable[[signal.Signals], None]) -> None:
        send(signal.SIGSTOP)
        self._repair_later(lambda: send(signal.SIGCONT))

    def _repair_later(self, way: Callable[[], None]) -> None:
        self._repairs.append((time.monotonic() + self.chance.uniform(0, AWAY_S), way))


def _order(control: Path, order: str) -> None:
    """Tell the meters what goes wrong."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(control))
        line.sendall(f"{order}\n".encode())
        answer = line.recv(1000).decode().strip()
    if answer != "ok":
        raise SystemExit(f"{order}: {answer}")


def measure(seed: int, *, short: bool) -> dict[str, Any]:
    """Give the figures of both days."""
    living = _day(seed, SHORT_H if short else LIVING_H, kills=False)
    print(living, flush=True)
    dying = _day(seed + 1, SHORT_H if short else DYING_H, kills=True)
    return {"seed": seed, "living": living, "dying": dying, "holds": living["holds"] and dying["holds"]}


def _day(seed: int, hours: int, *, kills: bool) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(mosquitto(folder))
        parts = stack.enter_context(site.site(folder, broker, period_s=PERIOD_S, window_s=WINDOW_S, speed=SPEED))
        day = _Day(parts, broker, random.Random(seed), kills)
        watched = {"agent": _Watched(), "collector": _Watched()}
        site.configure(folder, "[[bus]]\n", f"[[bus]]\ntimeout_s = {TIMEOUT_S}\n")  # real time: silence stops the clock
        day.lives.append(_remember(parts))
        began_s = time.monotonic()
        day.start()
        _live(day, hours * 3600, watched)
        took_s = time.monotonic() - began_s
        day.end()
        code = _finish(day)
        verdict = judge(parts.database, day.lives, site.METERS, PERIOD_S, WINDOW_S)
        findings = parts.query("SELECT kind, text FROM finding")
        (alarms,) = parts.query("SELECT count(*) FROM alarm")[0]
    memory = {} if kills else {name: each.report() for name, each in watched.items()}
    steady = hours == SHORT_H or all(each["steady"] for each in memory.values())
    return {
        "hours": hours,
        "minutes": took_s / 60,
        "faults": day.faults,
        "memory": memory,
        "alarms": alarms,
        "findings": findings[:20],
        "exit_code": code,
        **asdict(verdict),
        "holds": verdict.whole and steady and not findings and not alarms and code == 0,
    }


def _remember(parts: Facility) -> Life:
    """Let the gateway measure for an hour, and give it a history of 430 days like that hour."""
    until_s = site.START_S + 3600
    first = site.agent(parts.folder, 1e6, until_s)
    first.start()
    first.finish(60)
    site.pass_time(parts, until_s - parts.now_s())
    with closing(sqlite3.connect(parts.folder / "state" / "history.db")) as db:
        names = [row[1] for row in db.execute("PRAGMA table_info(recent)")]  # where the newest windows wait
        values = ", ".join("start_s - 3600 * hour" if name == "start_s" else name for name in names)
        db.execute(
            "WITH RECURSIVE back(hour) AS (SELECT 1 UNION ALL SELECT hour + 1 FROM back WHERE hour < ?)"
            f" INSERT OR IGNORE INTO window ({', '.join(names)}) SELECT {values} FROM recent, back",
            (HISTORY_DAYS * 24,),
        )
        db.commit()
        (rows,) = db.execute("SELECT count(*) FROM window").fetchone()
    assert rows == HISTORY_DAYS * site.DAY_S // WINDOW_S * len(site.METERS), f"the history has {rows} rows"
    return Life(site.START_S, until_s + PERIOD_S)


def _live(day: _Day, seconds: float, watched: dict[str, _Watched]) -> None:
    """Let faults happen until so much simulated time has passed."""
    parts = day.parts
    began_s = parts.now_s()
    end_s, due_s = began_s + seconds, began_s + day.chance.uniform(*PAUSE_S)
    while parts.now_s() < end_s:
        time.sleep(0.1)
        day.repair()
        part = min(SLICES - 1, int((parts.now_s() - began_s) / seconds * SLICES))
        watched["agent"].look(parts.agent.pid, part)
        watched["collector"].look(parts.collector.pid, part)
        if parts.now_s() >= due_s:
            day.strike()
            due_s = parts.now_s() + day.chance.uniform(*PAUSE_S)
    day.repair_all()


def _finish(day: _Day) -> int:
    """Let a last agent measure an hour without faults and hand everything over; give its exit code."""
    parts = day.parts
    until_s = (parts.now_s() // WINDOW_S + 4) * WINDOW_S
    last: Part = site.agent(parts.folder, 1e6, until_s)
    day.lives.append(Life(parts.now_s(), until_s + PERIOD_S))
    last.start()
    return last.finish(400)
