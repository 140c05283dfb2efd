"""How fair a bus is to its meters when some of them are dead or slow: an RS-485 line in virtual time.

Ten meters of five models share a line of 9600 baud and are polled by the agent's own poller. The line
takes the time that each byte takes, a meter answers after 10 to 40 ms, and the time-outs are the ones
that the agent's bus sets. Nothing really waits: half an hour passes in a second.
"""

import asyncio
import logging
import math
import selectors
from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any, TypeVar

from agent.acquire.bus.line import Line
from agent.acquire.bus.patience import Patience
from agent.acquire.bus.times import BusTimes, LineTimes
from agent.acquire.poll.make_poller import meter_plan
from agent.acquire.poll.poller import BusPlan, Poller
from agent.acquire.profiles.profile import find_profile
from agent.errors import BusError, BusReason
from agent.records import ReadRequest

PROFILES = ("eastron_sdm630", "abb_b23", "carlo_gavazzi_em340", "schneider_iem3155", "chint_dtsu666")
METERS = 10
KINDS = ("dead", "slow", "garbage")
PERIOD_S = 3.0  # the fast tiers of the ten meters take 2.2 s of it
SLOW_PERIOD_S = 60.0
START_S = 6_000_000.0
FAIL_S, RECOVER_S, END_S = 300.0, 1200.0, 1800.0  # when the troubled meters fail, all at once, and come back
LONGEST_STEP_S = 60.0  # of the back-off

_TIMEOUT_FLOOR_S, _TIMEOUT_CEILING_S = 0.1, 1.0  # of a serial line, and the default of `timeout_s`
_ANSWER_S = (0.01, 0.04)  # from the end of a request to the start of its answer
_LATE_S = 1.5  # after which a slow meter answers: beyond the longest time-out
_POLL_SHARE = 0.95  # of the period, as the pipeline waits
_TICK_S = 0.001  # a tick is polled when its time has come, and the wake-up takes a moment

T = TypeVar("T")


@dataclass(frozen=True)
class Fairness:
    """What the healthy meters of one run got, and when the others were back."""

    kind: str
    troubled: int
    period_p95: float  # of the nominal period
    lost: int  # ticks without a usable sample, of all healthy meters
    late: int  # samples that came after their tick
    back_after_s: float  # from the recovery to the first answer, of the last one that was back
    requests: int  # that a troubled meter got while it was silent, the most of one meter
    utilisation: float
    samples: tuple[int, ...]  # usable ones of each meter
    slow_reads: int  # answers that carried the energy counter, of all meters
    overruns: int


class _Hasty(selectors.SelectSelector):
    """Lets time jump to the next timer instead of waiting for it."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Give nothing at once; ``timeout`` has passed."""
        self.now_s += max(0.0, timeout or 0.0)
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._hasty = _Hasty()
        super().__init__(self._hasty)

    def time(self) -> float:
        return self._hasty.now_s


def virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main)


class TimeTrueBus:
    """An RS-485 line on which ``troubled`` units fail in the way ``kind`` between two times."""

    def __init__(self, line: Line, troubled: frozenset[int], kind: str, random: Random) -> None:
        self.reads: dict[int, list[float]] = defaultdict(list)  # when the fast tier of a unit was answered
        self.slow_reads = 0
        self.asked: dict[int, list[float]] = defaultdict(list)
        self._line, self._troubled, self._kind, self._random = line, troubled, kind, random
        self._patience = Patience(_TIMEOUT_FLOOR_S, _TIMEOUT_CEILING_S)
        self._times = LineTimes()
        self._rests_until_s: dict[int, float] = {}

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Give zeros after the time that they take on the wire. Raises BusError."""
        began_s = asyncio.get_running_loop().time()
        self.asked[request.unit].append(began_s)
        timeout_s = max(request.min_timeout_s, self._patience.timeout_s(request.unit))
        self._times.asked(request.unit, timeout_s)
        try:
            return await self._exchange(request, timeout_s)
        finally:
            self._times.used(began_s, asyncio.get_running_loop().time())

    def rest_s(self, unit: int) -> float:
        """Give how long an answer of the unit may yet come."""
        return max(0.0, self._rests_until_s.get(unit, 0.0) - asyncio.get_running_loop().time())

    def times(self) -> BusTimes:
        """Give the times of the line."""
        return self._times.summary(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Nothing is open."""

    async def _exchange(self, request: ReadRequest, timeout_s: float) -> tuple[int, ...]:
        loop = asyncio.get_running_loop()
        beyond_s = max(0.0, request.min_gap_s - self._line.silence_s)
        if request.unit in self._troubled and FAIL_S <= loop.time() < RECOVER_S:
            await asyncio.sleep(beyond_s + timeout_s + request.wire_s)
            self._patience.timed_out(request.unit)
            if self._kind != "dead":
                self._rests_until_s[request.unit] = loop.time() + _LATE_S
            reason = BusReason.GARBAGE if self._kind == "garbage" else BusReason.TIMEOUT
            raise BusError(reason, "no answer in time")
        answer_s = self._random.uniform(*_ANSWER_S)
        await asyncio.sleep(beyond_s + request.wire_s - self._line.turnaround_s + answer_s)
        self._patience.answered(request.unit, answer_s)
        names = {register.name for register in request.registers}
        if "active_power_w" in names:
            self.reads[request.unit].append(loop.time())
        self.slow_reads += "active_energy_import_wh" in names
        return (0,) * request.count


def measure(kind: str, troubled: int, period_s: float = PERIOD_S, seed: int = 1) -> Fairness:
    """Poll for half an hour, with ``troubled`` of the ten meters failing for a quarter of an hour."""
    return virtually(_measure(kind, troubled, period_s, seed))


async def _measure(kind: str, troubled: int, period_s: float, seed: int) -> Fairness:
    line, units = Line.rtu(9600), range(1, METERS + 1)
    sick = frozenset(unit for unit in units if unit % 3 == 2 and unit // 3 < troubled)
    bus = TimeTrueBus(line, sick, kind, Random(seed))
    plans = tuple(meter_plan(f"m{unit}", unit, find_profile(PROFILES[unit % len(PROFILES)]), line) for unit in units)
    hall = BusPlan(name="hall", bus=bus, retries=1, meters=plans)
    poller = Poller([hall], period_s=period_s, slow_period_s=SLOW_PERIOD_S, random=Random(seed))
    usable = await _run(poller, period_s)
    statistics = poller.statistics()
    healthy = [unit for unit in units if unit not in sick]
    ticks = {START_S + number * period_s for number in range(round(END_S / period_s))}
    return Fairness(
        kind=kind,
        troubled=troubled,
        period_p95=_p95([b - a for unit in healthy for a, b in pairwise(bus.reads[unit])]) / period_s,
        lost=sum(len(ticks - usable[f"m{unit}"]) for unit in healthy),
        late=sum(statistics.meters[f"m{unit}"].late for unit in healthy),
        back_after_s=max((_first_after(bus.reads[unit], RECOVER_S) - RECOVER_S for unit in sick), default=math.nan),
        requests=max((sum(FAIL_S <= t < RECOVER_S for t in bus.asked[unit]) for unit in sick), default=0),
        utilisation=statistics.buses["hall"].utilisation,
        samples=tuple(len(usable[f"m{unit}"]) for unit in units),
        slow_reads=bus.slow_reads,
        overruns=statistics.buses["hall"].overruns,
    )


async def _run(poller: Poller, period_s: float) -> dict[str, set[float]]:
    """Poll on every tick; give the ticks of which each meter has a usable sample."""
    loop, usable = asyncio.get_running_loop(), defaultdict(set)
    for number in range(round(END_S / period_s) + 1):
        begins_s = number * period_s + _TICK_S
        await asyncio.sleep(max(0.0, begins_s - loop.time()))
        ends_s = (number + _POLL_SHARE) * period_s
        for sample in await poller.poll(START_S + number * period_s, ends_s - loop.time()):
            if sample.status in ("ok", "range"):  # zeros are outside some plausible ranges, and answers all the same
                usable[sample.meter].add(sample.time_s)
    await poller.close()
    return usable


def _first_after(times: list[float], moment_s: float) -> float:
    return next((time_s for time_s in times if time_s >= moment_s), math.inf)


def _p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def section() -> str:
    """Give the section of docs/performance.md."""
    logging.getLogger("agent.acquire").setLevel(logging.ERROR)  # that meters fall silent is what is measured
    results = [measure("dead", 0)] + [measure(kind, troubled) for kind in KINDS for troubled in (1, 2, 3)]
    rows = "\n".join(
        f"| {f'{result.troubled} {result.kind}' if result.troubled else 'none'} | {result.utilisation:.0%} | "
        f"{result.period_p95:.3f} | {result.lost} | {result.late} | {result.requests or '—'} | "
        f"{'—' if math.isnan(result.back_after_s) else f'{result.back_after_s:.0f} s'} |"
        for result in results
    )
    return f"""\
## Fairness of a bus

Ten three-phase meters of five models on one RS-485 line at 9600 baud, every {PERIOD_S:g} s, with their energy
counters every minute, in time-true simulation (`bench/fairness.py`): one, two or three of them fail
at the same moment and come back a quarter of an hour later. Dead: nothing is answered. Slow: the answer comes
{_LATE_S:g} s late, after every time-out. Garbage: bytes that are no answer, until the time-out. Periods and
samples are those of the healthy meters; the last columns say how often a silent meter was asked at most, and
when the last one was back.

| in trouble | bus in use | poll period, p95 / nominal | samples lost | samples late | asked while silent | back after |
|---|---|---|---|---|---|---|
{rows}

A late sample keeps the time of its tick. The longest back-off step is {LONGEST_STEP_S:.0f} s.
"""
