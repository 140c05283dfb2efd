"""The poller asks all meters on one tick: a worker a bus, one meter after the other on it.

A dead meter costs one request a back-off step, is asked after the healthy ones, and never disturbs
another bus. What a tick cannot finish in time comes with the next one, under its own time.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from agent.acquire.backoff import Backoff
from agent.acquire.bus import Bus
from agent.acquire.poll_statistics import BusStatistics, PollStatistics
from agent.acquire.polled_meter import MeterPlan, PolledMeter
from agent.errors import BusReason
from agent.records import Sample

logger = logging.getLogger(__name__)

BACKOFF = "backoff"  # status of a meter that was left alone
_SILENT = 3  # polls in a row without an answer are worth a line; one may be noise


@dataclass(frozen=True, slots=True, kw_only=True)
class BusPlan:
    """A bus and the meters on it.

    ``retries`` are made at once after garbage or a lost connection, never after silence.
    """

    name: str
    bus: Bus
    retries: int
    meters: tuple[MeterPlan, ...]


class Poller:
    """Polls every meter of a gateway."""

    def __init__(self, buses: Sequence[BusPlan], *, period_s: float, slow_period_s: float, random: Random) -> None:
        self._workers = [_Worker(bus, period_s, slow_period_s, random) for bus in buses]

    async def poll(self, tick_s: float, patience_s: float | None) -> list[Sample]:
        """Ask every meter that is due at ``tick_s`` and give what has been answered.

        Returns when all buses are done, or after ``patience_s`` (None: when all are done). A bus
        that is still busy with an earlier tick skips this one; what it still delivers is in the
        list of a later call, with the time of the tick that asked.
        """
        for worker in self._workers:
            worker.start(tick_s)
        tasks = [worker.task for worker in self._workers if worker.task]
        if tasks:
            await asyncio.wait(tasks, timeout=patience_s)
        return [sample for worker in self._workers for sample in worker.take()]

    def statistics(self) -> PollStatistics:
        """Give the counts of each meter and bus as they stand."""
        return PollStatistics(
            meters={
                meter.id: meter.tally.statistics(meter.backoff.failures)
                for worker in self._workers
                for meter in worker.meters
            },
            buses={worker.name: BusStatistics(overruns=worker.overruns) for worker in self._workers},
        )

    async def close(self) -> None:
        """Stop asking and let go of the buses."""
        await asyncio.gather(*(worker.close() for worker in self._workers))


class _Worker:
    """One bus: its meters, and the round that is under way."""

    def __init__(self, plan: BusPlan, period_s: float, slow_period_s: float, random: Random) -> None:
        self.name = plan.name
        self.overruns = 0
        self.backoff = Backoff(period_s, random)
        self.task: asyncio.Task[None] | None = None
        self.meters = [
            PolledMeter(meter, slow_period_s, plan.retries, Backoff(period_s, random)) for meter in plan.meters
        ]
        self._bus = plan.bus
        self._samples: list[Sample] = []

    def start(self, tick_s: float) -> None:
        """Begin the round of a tick, unless the bus is still busy."""
        self._finish()
        if self.task:
            self.overruns += 1
        else:
            self.task = asyncio.create_task(self._round(tick_s))

    def take(self) -> list[Sample]:
        """Give what has been sampled since the last call."""
        self._finish()
        samples, self._samples = self._samples, []
        return samples

    async def close(self) -> None:
        """Stop the round and let go of the bus."""
        if self.task:
            self.task.cancel()
            await asyncio.wait([self.task])
        await self._bus.close()

    def _finish(self) -> None:
        """Let go of a round that is over; an error of ours in it is raised here."""
        if self.task and self.task.done():
            self.task.result()
            self.task = None

    async def _round(self, tick_s: float) -> None:
        """Sample every meter once, those that answer first, so that a dead one delays none of them."""
        for meter in sorted(self.meters, key=lambda meter: meter.backoff.failures):
            sample = await self._sample(meter, tick_s)
            self._samples.append(sample)  # looked up after the wait: take() may have put a new list there

    async def _sample(self, meter: PolledMeter, tick_s: float) -> Sample:
        if self.backoff.waits(tick_s):
            down_now = self.backoff.since_s == tick_s
            return meter.skip(tick_s, BusReason.DISCONNECTED.value if down_now else BACKOFF)
        if meter.backoff.waits(tick_s):
            return meter.skip(tick_s, BACKOFF)
        silent_before = meter.backoff.failures
        sample = await meter.poll(self._bus, tick_s)
        self._note_bus(meter, tick_s)
        if meter.backoff.failures == _SILENT != silent_before:
            logger.warning("meter %s on bus %s does not answer: %s", meter.id, self.name, meter.tally.last_error)
        elif silent_before >= _SILENT and not meter.backoff.failures:
            logger.warning("meter %s on bus %s answers again", meter.id, self.name)
        return sample

    def _note_bus(self, meter: PolledMeter, tick_s: float) -> None:
        """Begin or end the wait of the whole bus, and say so once."""
        if meter.bus_down:
            self.backoff.failed(tick_s)
            if self.backoff.failures == 1:
                logger.warning("bus %s cannot be opened: %s", self.name, meter.tally.last_error)
            return
        if self.backoff.failures:
            logger.warning("bus %s is open again", self.name)
        self.backoff.succeeded()
