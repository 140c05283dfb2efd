"""One meter under the poller: which tiers are due, what its answers gave, when to leave it alone."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from agent.acquire.backoff import Backoff
from agent.acquire.bus import Bus
from agent.acquire.codec import decode_poll, referred
from agent.acquire.poll_statistics import Tally
from agent.errors import BusDownError, BusError, BusReason
from agent.records import ReadRequest, Sample, Tier

_IDENTITY_PERIOD_S = 3600.0  # a meter that was swapped is noticed within the hour
_MISSED_S = 60.0  # a tier without an answer takes the powers of its poll with it: that may cost one a minute
_POWER = "active_power_w"  # what a sample is for: with it the status is ok
_RANGE = "range"  # status of a sample whose active power was read and is impossible

_RETRIED = frozenset({BusReason.GARBAGE, BusReason.DISCONNECTED})  # noise and a connection that idled out pass at once
_ANSWERS = frozenset({BusReason.EXCEPTION, BusReason.WRONG_LENGTH, BusReason.WRONG_FUNCTION})  # the meter is there
_GATEWAY_CODES = (10, 11)  # exceptions of a gateway whose meter is silent
_REFUSALS = (1, 2, 3)  # exceptions that will be the same next time: illegal function, address, value

Requests = Callable[[Collection[Tier]], tuple[ReadRequest, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPlan:
    """A meter to poll: ``requests`` plans the reads for given tiers."""

    id: str
    requests: Requests


class PolledMeter:
    """A meter and what is known of it."""

    def __init__(self, plan: MeterPlan, slow_period_s: float, retries: int, backoff: Backoff) -> None:
        self.id = plan.id
        self.backoff = backoff
        self.tally = Tally()
        self.bus_down = False
        self._plan = plan.requests
        self._retries = retries
        self._period_s = {Tier.SLOW: slow_period_s, Tier.IDENTITY: _IDENTITY_PERIOD_S}
        self._read_s: dict[Tier, float] = {}  # the tick at which a tier was last read in full
        self._missed_s: dict[Tier, float] = {}  # the tick at which a tier was last asked for in vain
        self._planned: dict[frozenset[Tier], tuple[ReadRequest, ...]] = {}
        self._parameters: dict[str, float] = {}
        self._referred = referred(register for request in plan.requests(tuple(Tier)) for register in request.registers)

    def skip(self, tick_s: float, status: str) -> Sample:
        """Give the sample of a tick at which the meter was not asked."""
        return Sample(self.id, tick_s, status, _nothing(self._requests(frozenset({Tier.FAST}))))

    async def poll(self, bus: Bus, tick_s: float) -> Sample:
        """Read the tiers that are due, one request after the other; a block that fails leaves the others.

        The status is ``range`` where the active power was read and is impossible, ``ok`` where it
        was read (or nothing failed), else the reason of the first failure.
        """
        tiers = self._due(tick_s)
        requests = self._requests(tiers)
        self.tally.polls += 1
        answers, errors = await self._ask(bus, requests)
        self._settle(tick_s, tiers, requests, answers, errors)
        values, out_of_range = self._decode(requests, answers)
        self.tally.out_of_range += len(out_of_range)
        power_read = any(_carries(requests[index], _POWER) for index in answers)
        first_error = next(iter(errors.values()), None)
        if _POWER in out_of_range:
            status = _RANGE
        else:
            status = "ok" if first_error is None or power_read else first_error.reason.value
        return Sample(self.id, tick_s, status, _nothing(requests) | values)

    def _due(self, tick_s: float) -> frozenset[Tier]:
        """Give the tiers to read: a slow one in each of its periods once, and each minute until it succeeds."""
        late = (
            tier
            for tier, period_s in self._period_s.items()
            if tier not in self._read_s or self._read_s[tier] // period_s != tick_s // period_s
        )
        missed = {tier for tier, missed_s in self._missed_s.items() if missed_s <= tick_s < missed_s + _MISSED_S}
        return frozenset({Tier.FAST, *late} - missed)

    def _requests(self, tiers: frozenset[Tier]) -> tuple[ReadRequest, ...]:
        if tiers not in self._planned:
            self._planned[tiers] = self._plan(tiers)
        return self._planned[tiers]

    async def _ask(
        self, bus: Bus, requests: tuple[ReadRequest, ...]
    ) -> tuple[dict[int, tuple[int, ...]], dict[int, BusError]]:
        """Give words and errors by the index of the request; after a silence the rest is not asked."""
        answers: dict[int, tuple[int, ...]] = {}
        errors: dict[int, BusError] = {}
        for index, request in enumerate(requests):
            try:
                answers[index] = await self._read(bus, request, self._retries)
            except BusError as error:
                errors[index] = error
                if not _is_answer(error):
                    break
        return answers, errors

    async def _read(self, bus: Bus, request: ReadRequest, retries: int) -> tuple[int, ...]:
        """Read once, and again at once where noise may have spoilt it. Raises BusError."""
        try:
            return await bus.read(request)
        except BusError as error:
            self.tally.failed(error)
            if not retries or error.reason not in _RETRIED or isinstance(error, BusDownError):
                raise
        return await self._read(bus, request, retries - 1)

    def _settle(
        self,
        tick_s: float,
        tiers: frozenset[Tier],
        requests: tuple[ReadRequest, ...],
        answers: Collection[int],
        errors: Mapping[int, BusError],
    ) -> None:
        """Note which tiers are read and whether the meter is there."""
        refused = {index for index, error in errors.items() if error.code in _REFUSALS}
        open_tiers = {
            register.tier
            for index, request in enumerate(requests)
            if index not in answers and index not in refused
            for register in request.registers
        }
        self._read_s |= dict.fromkeys(tiers - open_tiers, tick_s)
        self.bus_down = any(isinstance(error, BusDownError) for error in errors.values())
        if not self.bus_down:
            missed = {register.tier for index in errors.keys() - refused for register in requests[index].registers}
            self._missed_s |= dict.fromkeys(missed - {Tier.FAST}, tick_s)
        if answers or any(map(_is_answer, errors.values())):
            self.backoff.succeeded()
        elif errors and not self.bus_down:
            self.backoff.failed(tick_s)

    def _decode(
        self, requests: tuple[ReadRequest, ...], answers: Mapping[int, tuple[int, ...]]
    ) -> tuple[dict[str, float], list[str]]:
        """Decode what was read; name what is impossible."""
        decoded = decode_poll(tuple(requests[index] for index in answers), answers.values(), self._parameters)
        values = decoded.values
        self._parameters |= {name: values[name] for name in self._referred & values.keys()}
        own = {register.name for request in requests for register in request.registers if register.parameter}
        return {name: value for name, value in values.items() if name not in own}, list(decoded.out_of_range)


def _is_answer(error: BusError) -> bool:
    return error.reason in _ANSWERS and error.code not in _GATEWAY_CODES


def _carries(request: ReadRequest, name: str) -> bool:
    return any(register.name == name for register in request.registers)


def _nothing(requests: tuple[ReadRequest, ...]) -> dict[str, float]:
    """Give NaN for every quantity that is asked for, in the order of the plan."""
    return {register.name: math.nan for request in requests for register in request.registers if not register.parameter}
