"""Kill agent, broker and collector again and again, each at moments of its own, while 20 meters report.

    python -m bench.delivery kills            1,000 kills of the agent, 200 of broker and collector: 35 minutes
    python -m bench.delivery kills --short    20 of the agent: under a minute

The agent lives 0 to 3 s of real time after each start, so that a good part of the kills strikes while it
starts; in between it closes five windows a second. After each of its kills the spool is examined.
"""

import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.delivery import site
from bench.delivery.autopsy import Autopsy
from bench.delivery.ledger import Life, judge
from bench.delivery.starts import Starts
from bench.delivery.witness import Witness
from tests.broker import mosquitto
from tests.facility import Facility

PERIOD_S, WINDOW_S = 10.0, 60
SPEED = 300.0  # simulated seconds a second: a window every 0.2 s
AGENT_LIVES_S = 3.0  # at most; a start takes about 0.7 s
OTHERS_LIVE_S = 14.0  # broker and collector at most: so many die while the agent dies its thousand times
AWAY_S = 0.3  # at most, until what was killed is started again
LOST_TIME_S = 180.0  # simulated, at most, that passes while the agent is away: three windows
LAST_WINDOWS = 6  # that the last agent measures
MOST_S = 3.0  # from the start to the first poll
DRAIN_S = 400.0  # for the rest to arrive in the end: the agent itself waits for 300


@dataclass
class _Victim:
    """A process that is killed and comes back, by turns."""

    kill: Callable[[], None]
    start: Callable[[], None]
    lives_s: float
    left: int
    due_s: float = 0.0
    alive: bool = True
    kills: int = 0

    def turn(self, chance: random.Random) -> None:
        """Kill it or start it, and say when the next turn is."""
        if self.alive:
            self.kill()
            self.kills += 1
        else:
            self.start()
        self.alive = not self.alive
        self.due_s = time.monotonic() + chance.uniform(0, self.lives_s if self.alive else AWAY_S)

    @property
    def over(self) -> bool:
        """Whether it has died as often as it shall, and lives."""
        return self.alive and self.kills >= self.left


@dataclass
class _Agent:
    """The agent's lives, and how long each took from its start to its first request on the bus."""

    parts: Facility
    witness: Witness
    autopsy: Autopsy
    chance: random.Random
    lives: list[Life] = field(default_factory=list)
    starts: Starts = field(default_factory=Starts)
    _began: tuple[float, float] = (0.0, 0.0)

    def start(self) -> None:
        """Start one; half of the time, some has passed since the last."""
        if self.lives and self.chance.random() < 0.5:
            site.pass_time(self.parts, self.chance.randrange(0, int(LOST_TIME_S), int(PERIOD_S)))
        self.witness.arm()
        self._began = (self.parts.now_s(), time.monotonic())
        self.parts.agent.start()

    def kill(self) -> None:
        """Kill it and look at what it left."""
        self.parts.agent.kill()
        self.note_life()
        self.autopsy.examine(self.lives[-1])

    def note_life(self) -> None:
        """Note from when to when it lived."""
        began_sim_s, began_s = self._began
        self.lives.append(Life(began_sim_s, self.parts.now_s()))
        self.starts.add(self.witness.first_s, began_s, time.monotonic())


def measure(seed: int, *, short: bool) -> dict[str, Any]:
    """Give the figures."""
    agent_kills, other_kills = (20, 4) if short else (1000, 200)
    chance = random.Random(seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(mosquitto(folder))
        parts = stack.enter_context(site.site(folder, broker, period_s=PERIOD_S, window_s=WINDOW_S, speed=SPEED))
        agent = _watched(parts, chance)
        began_s = time.monotonic()
        agent.start()
        victims = [
            _Victim(agent.kill, agent.start, AGENT_LIVES_S, agent_kills),
            _Victim(broker.kill, broker.start, OTHERS_LIVE_S, other_kills),
            _Victim(parts.collector.kill, parts.collector.start, OTHERS_LIVE_S, other_kills),
        ]
        _kill(victims, chance)
        killed_s = time.monotonic() - began_s
        drained_s, code = _finish(agent)
        verdict = judge(parts.database, agent.lives, site.METERS, PERIOD_S, WINDOW_S)
        findings = parts.query("SELECT kind, text FROM finding")
        if not (verdict.holds and code == 0):
            _keep(folder, agent.lives)
    return {
        "seed": seed,
        "kills": dict(zip(("agent", "broker", "collector"), (victim.kills for victim in victims), strict=True)),
        "minutes": killed_s / 60,
        "drained_s": drained_s,
        "exit_code": code,
        "first_poll_s": agent.starts.figures(),
        "autopsies": agent.autopsy.done,
        "records_in_spools": agent.autopsy.records,
        "autopsy_faults": agent.autopsy.found[:20],
        "findings": findings[:20],
        **asdict(verdict),
        "holds": verdict.holds
        and not agent.autopsy.found
        and not findings
        and code == 0
        and agent.starts.longest_s < MOST_S,
    }


def _keep(folder: Path, lives: list[Life]) -> None:
    """Keep what a run left that lost something: it cannot be repeated, for its moments are real time."""
    kept = Path(tempfile.mkdtemp(prefix="flatwatt-kills-"))
    shutil.copytree(folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("control"))
    (kept / "lives.json").write_text(json.dumps([asdict(life) for life in lives]))
    print(f"what it left is kept in {kept}", flush=True)


def _watched(parts: Facility, chance: random.Random) -> _Agent:
    autopsy = Autopsy(parts.folder / "state", parts.database, site.METERS, PERIOD_S, WINDOW_S)
    return _Agent(parts, Witness.on_the_first_bus(parts), autopsy, chance)


def _kill(victims: list[_Victim], chance: random.Random) -> None:
    now_s, told = time.monotonic(), 0
    for victim in victims:
        victim.due_s = now_s + chance.uniform(0, victim.lives_s)
    while waiting := [victim for victim in victims if not victim.over]:
        victim = min(waiting, key=lambda each: each.due_s)
        time.sleep(max(0.0, victim.due_s - time.monotonic()))
        victim.turn(chance)
        if victims[0].kills >= told + 50:
            told = victims[0].kills
            print(f"kills: {', '.join(str(each.kills) for each in victims)}", flush=True)


def _finish(agent: _Agent) -> tuple[float, int]:
    """Let a last agent live until everything is confirmed; give the seconds that took and its exit code."""
    parts, began_s = agent.parts, time.monotonic()
    agent.kill()
    until_s = (parts.now_s() // WINDOW_S + LAST_WINDOWS) * WINDOW_S
    agent.lives.append(Life(parts.now_s(), until_s + PERIOD_S))
    parts.agent = site.agent(parts.folder, SPEED, until_s)
    parts.agent.start()
    code = parts.agent.finish(DRAIN_S)
    return time.monotonic() - began_s, code
