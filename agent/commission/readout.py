"""One plain reading of a meter, as the tools at the meters want it: no schedule, no back-off, everything told.

The poller serves the daemon: it hides what it can mend. A person before a meter wants to see it.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from agent.acquire.bus.bus import Bus
from agent.acquire.bus.line import Line
from agent.acquire.codec import decode_poll
from agent.acquire.plan.plan import plan
from agent.acquire.poll.sunspec import Walk
from agent.errors import BusDownError, BusError, BusReason
from agent.records import MeterProfile, ReadRequest, Tier

REFUSALS = (1, 2, 3)  # exceptions by which a block is refused and its parts may not be
_GATEWAY_CODES = (10, 11)  # exceptions of a gateway whose meter is silent
_ANSWERS = frozenset({BusReason.EXCEPTION, BusReason.WRONG_LENGTH, BusReason.WRONG_FUNCTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout:
    """What a meter said at one reading, and what it did not."""

    values: Mapping[str, float]  # every entry of the profile that was asked for, parameters too; NaN where none is
    impossible: frozenset[str]  # read, and outside the range of the quantity
    unread: Mapping[str, BusError]  # entries without an answer
    failures: tuple[BusError, ...]  # of every request, also where the next attempt succeeded
    requests: int  # sent, the repeated ones too

    @property
    def answered(self) -> bool:
        """Whether the meter said anything, be it no."""
        return len(self.failures) < self.requests or any(map(is_answer, self.failures))


def is_answer(error: BusError) -> bool:
    """Tell whether a failure shows that the meter is there: it refused, or answered amiss."""
    return error.reason in _ANSWERS and error.code not in _GATEWAY_CODES


async def walk_sunspec(
    ask: Callable[[ReadRequest], Awaitable[tuple[int, ...] | BusError]], profile: MeterProfile, unit: int, line: Line
) -> tuple[int, int] | BusError:
    """Give address and number of the first of the profile's SunSpec models, or why there is none."""
    walk = Walk(profile, unit, line)
    header: tuple[int, ...] = ()
    while walk.request is not None:
        answer = await ask(walk.request)
        if isinstance(answer, BusError) and not is_answer(answer):
            return answer
        header = () if isinstance(answer, BusError) else answer
        walk.answered(header)
    if walk.base is None:
        text = f"no SunSpec model {' or '.join(map(str, profile.sunspec))} at 40000, 50000 or 0"
        return BusError(BusReason.EXCEPTION, text, 2)
    return walk.base, header[0]


class MeterReader:
    """Reads one meter again and again; a block that is refused is read in halves from then on."""

    def __init__(self, bus: Bus, profile: MeterProfile, unit: int, line: Line) -> None:
        self._bus, self._profile, self._unit, self._line = bus, profile, unit, line
        self._requests: tuple[ReadRequest, ...] = ()
        if not profile.sunspec:
            self._requests = plan(profile, unit, tuple(Tier), line)

    async def read(self) -> Readout:
        """Read every entry once; after a silence that a second attempt confirms, the rest is not asked."""
        if not self._requests:
            located = await walk_sunspec(self._answer, self._profile, self._unit, self._line)
            if isinstance(located, BusError):
                return self._nothing(located)
            self._requests = plan(self._profile, self._unit, tuple(Tier), self._line, located[0])
        return await self._read()

    async def _read(self) -> Readout:
        waiting, kept = deque(self._requests), list[ReadRequest]()
        replies: list[tuple[ReadRequest, tuple[int, ...]]] = []
        failures: list[BusError] = []
        unread: dict[str, BusError] = {}
        while waiting:
            request = waiting.popleft()
            words, errors = await self._ask(request)
            failures += errors
            if words is not None:
                replies.append((request, words))
            elif errors[-1].code in REFUSALS and len(request.registers) > 1:
                waiting.extendleft(reversed(self._halves(request)))
                continue
            else:
                unread |= {register.name: errors[-1] for register in request.registers}
            kept.append(request)
            if words is None and not is_answer(errors[-1]):
                unread |= {register.name: errors[-1] for other in waiting for register in other.registers}
                kept += waiting
                waiting.clear()
        self._requests = tuple(kept)
        decoded = decode_poll(tuple(request for request, _ in replies), [words for _, words in replies], {})
        return Readout(
            values=dict.fromkeys(unread, math.nan) | decoded.values,
            impossible=frozenset(decoded.out_of_range),
            unread=unread,
            failures=tuple(failures),
            requests=len(replies) + len(failures),
        )

    async def _ask(self, request: ReadRequest) -> tuple[tuple[int, ...] | None, list[BusError]]:
        """Ask, and once more where that may help."""
        errors: list[BusError] = []
        for _ in range(2):
            try:
                return await self._bus.read(request), errors
            except BusError as error:
                errors.append(error)
                if is_answer(error) or isinstance(error, BusDownError):
                    break
        return None, errors

    async def _answer(self, request: ReadRequest) -> tuple[int, ...] | BusError:
        words, errors = await self._ask(request)
        return errors[-1] if words is None else words

    def _nothing(self, error: BusError) -> Readout:
        """Give the reading of a meter in which the model could not be found."""
        names = self._profile.quantities
        return Readout(
            values=dict.fromkeys(names, math.nan),
            impossible=frozenset(),
            unread=dict.fromkeys(names, error),
            failures=(error,),
            requests=1,
        )

    def _halves(self, request: ReadRequest) -> tuple[ReadRequest, ...]:
        registers = sorted(request.registers, key=lambda register: register.address)
        middle = len(registers) // 2
        halves = (replace(self._profile, registers=tuple(half)) for half in (registers[:middle], registers[middle:]))
        plans = (plan(half, self._unit, tuple(Tier), self._line) for half in halves)
        return tuple(part for requests in plans for part in requests)
