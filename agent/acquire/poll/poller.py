"""The poller asks all meters on one tick: a worker a bus, one meter after the other on it.

``round`` says in which order, and how a dead meter is kept from disturbing the others.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from agent.acquire.bus.bus import Bus
from agent.acquire.poll.backoff import Backoff
from agent.acquire.poll.polled_meter import MeterPlan, OnLesson, PolledMeter
from agent.acquire.poll.round import Rounds
from agent.acquire.poll.schedule import Schedule
from agent.acquire.poll.statistics import BusStatistics, MeterStatistics, PollStatistics
from agent.records import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class BusPlan:
    """A bus and the meters on it.

    ``retries`` are made at once after garbage or a lost connection, where the tick has room for them,
    never after silence.
    """

    name: str
    bus: Bus
    retries: int
    meters: tuple[MeterPlan, ...]


class Poller:
    """Polls every meter of a gateway.

    ``on_lesson`` is told the meter's id and all that is known of it now, whenever a plan has learned
    or forgotten something.
    """

    def __init__(
        self,
        buses: Sequence[BusPlan],
        *,
        period_s: float,
        slow_period_s: float,
        random: Random,
        on_lesson: OnLesson = lambda meter, learned: None,
    ) -> None:
        new_backoff = partial(Backoff, period_s, random)
        self._workers = [_Worker(bus, slow_period_s, new_backoff, on_lesson) for bus in buses]

    async def poll(self, tick_s: float, patience_s: float | None) -> list[Sample]:
        """Ask every meter that is due at ``tick_s`` and give what has been answered.

        Returns when all buses are done, or after ``patience_s`` (None: when all are done). A bus
        that is still busy with an earlier tick begins this one when it is done, or skips it where
        yet another one has come by then. What it delivers after the patience is in the list of a
        later call, with the time of the tick that asked.
        """
        deadline_s = math.inf if patience_s is None else asyncio.get_running_loop().time() + patience_s
        for worker in self._workers:
            worker.start(tick_s, deadline_s)
        tasks = [worker.task for worker in self._workers if worker.task]
        if tasks:
            await asyncio.wait(tasks, timeout=patience_s)
        return [sample for worker in self._workers for sample in worker.take(tick_s)]

    def statistics(self) -> PollStatistics:
        """Give the counts of each meter and bus as they stand."""
        meters: dict[str, MeterStatistics] = {}
        buses: dict[str, BusStatistics] = {}
        for worker in self._workers:
            buses[worker.name], of_meters = worker.statistics()
            meters |= of_meters
        return PollStatistics(meters=meters, buses=buses)

    async def close(self) -> None:
        """Stop asking and let go of the buses."""
        await asyncio.gather(*(worker.close() for worker in self._workers))


class _Worker:
    """One bus: its meters, the round that is under way, and the tick that waits for its end."""

    def __init__(
        self,
        plan: BusPlan,
        slow_period_s: float,
        new_backoff: Callable[[], Backoff],
        on_lesson: OnLesson,
    ) -> None:
        self.name = plan.name
        self.task: asyncio.Task[None] | None = None
        self._bus = plan.bus
        self._meters = {
            meter.id: PolledMeter(
                meter,
                Schedule(slow_period_s, place=index / len(plan.meters)),
                retries=plan.retries,
                new_backoff=new_backoff,
                on_lesson=on_lesson,
            )
            for index, meter in enumerate(plan.meters)
        }
        self._rounds = Rounds(plan.name, plan.bus, tuple(self._meters.values()), new_backoff(), _now_s)
        self._next: tuple[float, float] | None = None  # tick and deadline of the round that comes next
        self._overruns = 0

    def start(self, tick_s: float, deadline_s: float) -> None:
        """Begin the round of a tick, now or when the one under way is over."""
        self._finish()
        if self._next is not None:
            self._overruns += 1
            for meter in self._meters.values():
                meter.tally.missed += 1
        self._next = tick_s, deadline_s
        if self.task is None:
            self.task = asyncio.create_task(self._work())

    def take(self, tick_s: float) -> list[Sample]:
        """Give what has been sampled since the last call."""
        self._finish()
        samples, self._rounds.samples = self._rounds.samples, []
        for sample in samples:
            if sample.time_s < tick_s:
                self._meters[sample.meter].tally.late += 1
        return samples

    async def close(self) -> None:
        """Stop the round and let go of the bus."""
        if self.task:
            self.task.cancel()
            await asyncio.wait([self.task])
        await self._bus.close()

    def statistics(self) -> tuple[BusStatistics, dict[str, MeterStatistics]]:
        """Give the counts of the bus, and of each of its meters."""
        times = self._bus.times()
        bus = BusStatistics(
            overruns=self._overruns,
            utilisation=times.busy_s / times.elapsed_s if times.elapsed_s else math.nan,
            period_p95_s=self._rounds.periods.p95_s,
        )
        meters = self._meters.values()
        return bus, {meter.id: meter.statistics(self.name, times.units.get(meter.unit)) for meter in meters}

    def _finish(self) -> None:
        """Let go of a task that is over; an error of ours in it is raised here."""
        if self.task and self.task.done():
            self.task.result()
            self.task = None

    async def _work(self) -> None:
        while self._next is not None:
            (tick_s, deadline_s), self._next = self._next, None
            await self._rounds.run(tick_s, deadline_s)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
