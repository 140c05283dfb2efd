"""One meter under the poller: what to ask it on a tick, what its answers gave, when to leave it alone."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from agent.acquire.bus.bus import Bus
from agent.acquire.bus.line import Line
from agent.acquire.bus.times import UnitTimes
from agent.acquire.codec import decode_poll, referred
from agent.acquire.learn.learned import NOTHING, POWER, Learned
from agent.acquire.learn.learner import Learner, Requests
from agent.acquire.plan.plan import bus_s
from agent.acquire.poll.backoff import Backoff, ColdBlocks
from agent.acquire.poll.schedule import Schedule
from agent.acquire.poll.statistics import MeterStatistics, Tally
from agent.acquire.poll.sunspec import Locator
from agent.acquire.poll.visit import Visit
from agent.errors import BusReason
from agent.records import MeterProfile, ReadRequest, Sample, Tier

BACKOFF = "backoff"  # status of a sample whose meter, or block with the active power, was left alone
_RANGE = "range"  # status of a sample whose active power was read and is impossible
_IDENTITY = ("serial_number", "model_code")  # another value is another meter
_LESSONS = (2, 3)  # exceptions that may be meant for a part of the block only: illegal address, illegal value
_AWAY = 3  # silent polls in a row: what answers then may be another device
_HEADERS = 8  # of SunSpec models a tick: most devices are walked through in one, and the bus has others to serve
_FAILURES = 2  # a piece of a search is not answered for certain after two: one may be noise

OnLesson = Callable[[str, Learned], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPlan:
    """A meter to poll: its profile, the line it is on, and what was learned of it before."""

    id: str
    unit: int
    profile: MeterProfile
    line: Line
    learned: Learned = NOTHING


@dataclass(frozen=True, slots=True)
class Job:
    """Work beside the fast tier: by when it should be done, how long it takes on the wire, and what does it."""

    deadline_s: float
    wire_s: float
    run: Callable[[], Awaitable[None]]


class PolledMeter:
    """A meter and what is known of it. A tick is a visit: it begins, does its jobs, and ends with a sample.

    ``on_lesson`` is told what was learned of the meter, and when that is forgotten.
    """

    def __init__(
        self,
        plan: MeterPlan,
        schedule: Schedule,
        *,
        retries: int,
        new_backoff: Callable[[], Backoff],
        on_lesson: OnLesson,
    ) -> None:
        self.id, self.unit = plan.id, plan.unit
        self.backoff = new_backoff()
        self.tally = Tally()
        self._plan = plan
        self._schedule = schedule
        self._retries = retries
        self._on_lesson = on_lesson
        profile = plan.profile
        self._learner = Learner(profile, plan.unit, plan.line, plan.learned)
        self._locator = Locator(profile, plan.unit, plan.line, new_backoff()) if profile.sunspec else None
        self._names = {tier: dict.fromkeys(_names(profile, tier), math.nan) for tier in Tier}
        self._own = frozenset(register.name for register in profile.registers if register.parameter)
        self._referred = referred(profile.registers)
        self._parameters: dict[str, float] = {}
        self._identity = dict(plan.learned.identity)
        self._cold = ColdBlocks(new_backoff)
        self._piece_failures = 0
        self._knocks = 0
        self._visit: Visit

    def statistics(self, bus: str, times: UnitTimes | None) -> MeterStatistics:
        """Give the counts as they stand."""
        return self.tally.statistics(bus, self.unit, times, self.backoff, self._learner.learned)

    @property
    def bus_down(self) -> bool:
        """Whether the bus could not be opened on this visit."""
        return self._visit.bus_down

    @property
    def over(self) -> bool:
        """Whether nothing more is to be asked on this visit: the meter, or the bus, did not answer."""
        return self._visit.over

    def skip(self, tick_s: float, status: str) -> Sample:
        """Give the sample of a tick at which the meter was not asked."""
        return Sample(self.id, tick_s, status, self._names[Tier.FAST].copy())

    async def begin(self, bus: Bus, tick_s: float, spare_s: Callable[[], float]) -> None:
        """Begin the visit of a tick: read the fast tier. A meter that was silent is asked one thing first.

        ``spare_s`` tells how many seconds of the tick are left.
        """
        failures = self.backoff.failures
        self._visit = Visit(bus, tick_s, self.tally, 0 if failures else self._retries, spare_s)
        self._asked = [Tier.FAST]
        self._doubt: ReadRequest | None = None
        self._piece = self._learner.piece
        self.tally.polls += 1
        if failures >= _AWAY and self._locator is not None:
            self._locator.away()
        if failures and not await self._knock():
            return
        if failures >= _AWAY:
            self._schedule.forget()
        if self._locator is None or self._locator.base is not None:
            await self._ask_all(self._learner.requests(Tier.FAST))

    def jobs(self) -> list[Job]:
        """Give what else is due on this visit; nothing is the rule."""
        visit, found = self._visit, []
        if visit.over:
            return []
        if self._locator is not None and self._locator.base is None:
            header = self._locator.request(visit.tick_s)
            return [Job(visit.tick_s, header.wire_s, self._locate)] if header else []
        for deadline_s, tier in self._schedule.due(visit.tick_s):
            requests = self._learner.requests(tier)
            if not self._cold.any(visit.tick_s, requests):
                found.append(Job(deadline_s, bus_s(requests, self._plan.line), partial(self._read_tier, tier)))
        if self._piece is not None and not self._cold.any(visit.tick_s, (self._piece,)):
            found.append(Job(visit.tick_s, self._piece.wire_s, partial(self._try, self._piece)))
        return found

    def sample(self) -> Sample:
        """End the visit: draw the conclusions and give the values.

        The status is ``range`` where the active power was read and is impossible, ``ok`` where it was
        read, else the reason of the first failure; where nothing failed now, ``backoff`` while its block
        is left alone, and ``exception`` where this unit does not have it.
        """
        visit = self._visit
        values, out_of_range = self._decode(visit)
        self.tally.out_of_range += len(out_of_range)
        self._settle(visit)
        if Tier.IDENTITY in self._asked:
            self._recognise(values, visit.tick_s)
        if POWER in values:
            status = _RANGE if POWER in out_of_range else "ok"
        else:
            status = visit.error.reason.value if visit.error else self._why_no_power()
        for tier in self._asked:
            if not self._names[tier].keys() <= values.keys():
                values = self._names[tier] | values
        return Sample(self.id, visit.tick_s, status, values)

    def _why_no_power(self) -> str:
        """Give the status of a visit on which the active power was not asked."""
        if POWER not in self._names[Tier.FAST]:
            return "ok"
        return BACKOFF if self._cold.any(self._visit.tick_s) else BusReason.EXCEPTION.value

    async def _knock(self) -> bool:
        """Ask what it answered before, else one thing after the other: it may be deaf to some. Tell if it is there."""
        if self._locator is not None and self._locator.base is None:
            await self._locator.step(self._visit)
        else:
            knocks = self._learner.knocks()
            await self._visit.ask(knocks[self._knocks % len(knocks)])
            self._knocks += not self._visit.heard
        return self._visit.heard

    async def _ask_all(self, requests: Requests) -> bool:
        """Ask block after block until one is not answered; tell whether each was answered or refused."""
        complete = True
        for request in requests:
            if self._visit.over:
                return False
            cold = self._cold.any(self._visit.tick_s, (request,))
            complete = not cold and await self._visit.ask(request) and complete
        return complete

    async def _read_tier(self, tier: Tier) -> None:
        if self._visit.over:
            return
        self._asked.append(tier)
        if await self._ask_all(self._learner.requests(tier)):
            self._schedule.read(tier, self._visit.tick_s)
            self._doubt = self._learner.doubt() if tier is Tier.IDENTITY else None
            if self._doubt is not None:
                await self._visit.ask(self._doubt)

    async def _try(self, piece: ReadRequest) -> None:
        """Ask what the search wants to know."""
        if not self._visit.over:
            await self._visit.ask(piece)

    async def _locate(self) -> None:
        """Walk towards the SunSpec model; once there, read the fast tier."""
        assert self._locator is not None
        for _ in range(_HEADERS):
            if not await self._locator.step(self._visit) or self._visit.spare_s() < 0.0:
                break
        if self._locator.base is not None:
            self._learner.move(self._locator.base)
            await self._ask_all(self._learner.requests(Tier.FAST))

    def _decode(self, visit: Visit) -> tuple[dict[str, float], tuple[str, ...]]:
        if not visit.answers:
            return {}, ()
        decoded = decode_poll(tuple(visit.answers), visit.answers.values(), self._parameters)
        values = decoded.values
        if self._referred:
            self._parameters |= {name: values[name] for name in self._referred & values.keys()}
        if self._own:
            values = {name: value for name, value in values.items() if name not in self._own}
        return values, decoded.out_of_range

    def _settle(self, visit: Visit) -> None:
        """Note whether the meter is there, which blocks are to be left alone, and what that teaches."""
        if visit.heard:
            self.backoff.succeeded()
        elif visit.unanswered is not None:
            self.backoff.failed(visit.tick_s)
            return
        if self._learner.watches or self._cold:
            for request in visit.answers:
                self._learner.answered(request)
                self._cold.answered(request)
            if self._learner.disproved:
                self._unlearn()
                return
        powers = self._learner.requests(Tier.FAST)
        for request in visit.failed:
            if request not in powers or request == visit.unanswered:  # those are worth the few bytes of an exception
                self._cold.failed(request, visit.tick_s)
        if visit.error is not None or self._piece is not None:
            self._learn(visit)

    def _learn(self, visit: Visit) -> None:
        """Give the learner what was refused or not answered by a meter that is there."""
        if self._piece is not None:
            self._settle_piece(self._piece, visit)
        for request, code in visit.refused.items():
            news = code in _LESSONS and request not in (self._piece, self._doubt)
            if news and not (self._locator and self._locator.doubt(visit.tick_s)):
                self._learner.refused(request)
        if visit.unanswered is not None and visit.unanswered != self._piece:
            self._learner.silent(visit.unanswered)
        if self._learner.found:
            known = self._learner.learned
            self._learner.conclude(visit.tick_s, self._identity)
            self._replanned(known)

    def _unlearn(self) -> None:
        known = self._learner.learned
        self._learner.forget()
        self._replanned(known)

    def _replanned(self, known: Learned) -> None:
        """Read what was refused now, not in an hour; say what was learned."""
        self._cold.clear()
        self._schedule.forget()
        if self._learner.learned != known:
            self._on_lesson(self.id, self._learner.learned)

    def _settle_piece(self, piece: ReadRequest, visit: Visit) -> None:
        """Tell the search whether its piece was answered, as soon as that is certain; a tier may have asked it."""
        self._piece_failures += piece in visit.failed
        if piece in visit.answers or piece in visit.refused or self._piece_failures >= _FAILURES:
            self._piece_failures = 0
            self._learner.tell_piece(piece in visit.answers)

    def _recognise(self, values: dict[str, float], tick_s: float) -> None:
        """Notice another meter by its identity: nothing that was learned holds for it. A week's lesson is over too."""
        now = {name: values[name] for name in _IDENTITY if not math.isnan(values.get(name, math.nan))}
        exchanged = any(self._identity.get(name, value) != value for name, value in now.items())
        self._identity |= now
        if exchanged:
            self._schedule.forget()
            self._parameters.clear()
            if self._locator is not None:
                self._locator.away()
        learned = self._learner.learned
        if not learned.empty and (exchanged or not learned.holds(tick_s)):
            self._unlearn()


def _names(profile: MeterProfile, tier: Tier) -> tuple[str, ...]:
    return tuple(register.name for register in profile.registers if register.tier is tier and not register.parameter)
