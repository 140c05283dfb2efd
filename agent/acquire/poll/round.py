"""One tick on one bus: who is asked in which order, so that no meter suffers from another.

1. The fast tier of every meter that answers, each tick in the same order: equal periods for all.
2. What else is due of these, the earliest deadline first, as far as the tick has room. Where it never
   has, overdue jobs get a twentieth of the round all the same, and at least one: nothing starves.
3. Silent meters whose back-off is over, the one first that has waited longest, a single request each,
   as far as the tick has room for their time-outs, but at least one.

A round that was begun is finished: on a bus that is too slow for the tick every meter has its turn.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from agent.acquire.bus.bus import Bus
from agent.acquire.poll.backoff import Backoff
from agent.acquire.poll.polled_meter import BACKOFF, PolledMeter
from agent.acquire.poll.statistics import Periods
from agent.errors import BusError, BusReason
from agent.records import Sample

logger = logging.getLogger(__name__)

_SILENT = 3  # polls in a row without an answer are worth a line; one may be noise
_RESTS = 5  # ticks in a row; the bus waits for one late answer no longer than its time-out
_OVERDUE = 0.05  # of a round, for what is overdue and has no room: 200 meters are through with it in 40 rounds
_CAUTION = 1.5  # times the wire time that a job is given: a meter may take longer than a typical one


class Rounds:
    """The rounds of one bus. ``now_s`` is a clock that only goes forward."""

    def __init__(
        self, name: str, bus: Bus, meters: Sequence[PolledMeter], backoff: Backoff, now_s: Callable[[], float]
    ) -> None:
        self.samples: list[Sample] = []
        self.periods = Periods()
        self._name, self._bus, self._meters = name, bus, meters
        self._backoff = backoff  # of the bus as a whole
        self._now_s = now_s
        self._tick_s, self._deadline_s, self._began_s = float("-inf"), float("inf"), 0.0
        self._rests: Counter[str] = Counter()  # ticks in a row at which a meter was left in peace
        self._silence_s: dict[str, float] = {}  # what a silent meter's last request took

    async def run(self, tick_s: float, deadline_s: float) -> None:
        """Sample every meter once; the tick's room ends at ``deadline_s``."""
        self._tick_s, self._deadline_s, self._began_s = tick_s, deadline_s, self._now_s()
        there: list[PolledMeter] = []
        apart: list[PolledMeter] = []
        for meter in self._meters:
            troubled = meter.backoff.failures or self._bus.rest_s(meter.unit) > 0.0
            (apart if troubled else there).append(meter)
        busy = [meter for meter in there if await self._begin(meter)]
        await self._do_jobs(busy)
        knocked = False
        for meter in sorted(apart, key=lambda meter: meter.backoff.until_s):
            knocked = await self._knock(meter, knocked) or knocked

    def _spare_s(self) -> float:
        return self._deadline_s - self._now_s()

    async def _begin(self, meter: PolledMeter) -> bool:
        """Read the fast tier of a meter; tell whether its visit goes on, else its sample is there."""
        if self._backoff.failures and self._backoff.waits(self._tick_s):
            down_now = self._backoff.since_s == self._tick_s
            self._skip(meter, BusReason.DISCONNECTED.value if down_now else BACKOFF)
            return False
        began_s = self._now_s()
        await meter.begin(self._bus, self._tick_s, self._spare_s)
        ended_s = self._now_s()
        self._note_bus(meter)
        if meter.over:
            self._silence_s[meter.id] = ended_s - began_s
        else:
            meter.tally.missed += ended_s > self._deadline_s
            self.periods.add(meter.id, ended_s)
            if meter.jobs():
                return True
        self._hand_in(meter)
        return False

    async def _do_jobs(self, meters: Sequence[PolledMeter]) -> None:
        """Do what the tick has room for, the earliest deadline first, and a little of what is overdue even so."""
        found = [(job.deadline_s, index, job) for index, meter in enumerate(meters) for job in meter.jobs()]
        forced_s, most_s = 0.0, _OVERDUE * (self._now_s() - self._began_s)
        for deadline_s, index, job in sorted(found, key=lambda item: item[:2]):
            no_room = _CAUTION * job.wire_s > self._spare_s()
            if no_room and (deadline_s > self._tick_s or (forced_s and forced_s + job.wire_s > most_s)):
                continue
            began_s = self._now_s()
            await job.run()
            forced_s += no_room * (self._now_s() - began_s)
            if meters[index].bus_down:
                self._note_bus(meters[index])
                break
        for meter in meters:
            self._hand_in(meter)

    async def _knock(self, meter: PolledMeter, knocked: bool) -> bool:
        """Ask a silent meter if its wait is over and the tick has room for a time-out; tell whether it was asked."""
        spare_s = max(0.0, self._spare_s())
        no_room = knocked and self._silence_s.get(meter.id, 0.0) > spare_s
        if meter.backoff.waits(self._tick_s) or no_room:
            self._skip(meter, BACKOFF)
            return False
        if self._bus.rest_s(meter.unit) > spare_s:
            self._let_rest(meter)
            return False
        self._rests.pop(meter.id, None)
        if await self._begin(meter):
            await self._do_jobs([meter])
        return True

    def _let_rest(self, meter: PolledMeter) -> None:
        """Skip a meter from which an answer to an earlier request may yet come; a failure, if that goes on and on."""
        self._rests[meter.id] += 1
        if self._rests[meter.id] <= _RESTS:
            self._skip(meter, BACKOFF)
            return
        text = f"unit {meter.unit} goes on answering what it was not asked: has another meter this unit id?"
        meter.tally.failed(BusError(BusReason.GARBAGE, text))
        meter.backoff.failed(self._tick_s)
        self._skip(meter, BusReason.GARBAGE.value)
        self._tell(meter, meter.backoff.failures - 1)

    def _skip(self, meter: PolledMeter, status: str) -> None:
        self.samples.append(meter.skip(self._tick_s, status))

    def _hand_in(self, meter: PolledMeter) -> None:
        """Take the sample of a visit."""
        silent_before = meter.backoff.failures
        self.samples.append(meter.sample())
        self._tell(meter, silent_before)

    def _tell(self, meter: PolledMeter, silent_before: int) -> None:
        """Say once that a meter is silent or is back."""
        if meter.backoff.failures == _SILENT != silent_before:
            logger.warning("meter %s on bus %s does not answer: %s", meter.id, self._name, meter.tally.last_error)
        elif silent_before >= _SILENT and not meter.backoff.failures:
            logger.warning("meter %s on bus %s answers again", meter.id, self._name)

    def _note_bus(self, meter: PolledMeter) -> None:
        """Begin or end the wait of the whole bus, and say so once."""
        if meter.bus_down:
            if self._backoff.since_s == self._tick_s:
                return
            self._backoff.failed(self._tick_s)
            if self._backoff.failures == 1:
                logger.warning("bus %s cannot be opened: %s", self._name, meter.tally.last_error)
        elif self._backoff.failures:
            logger.warning("bus %s is open again", self._name)
            self._backoff.succeeded()
