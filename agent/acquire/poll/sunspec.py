"""Where a SunSpec model begins: the walk along the headers of a device.

A device starts its map with the marker "SunS" at 40000, 50000 or 0; models follow, each with its
number and its length in the first two registers, to an end of 0xFFFF. Source: SunSpec Device
Information Model Specification 1.1, 6.1 to 6.3.
"""

from collections.abc import Collection, Generator, Sequence
from functools import partial

from agent.acquire.bus.line import Line
from agent.acquire.poll.backoff import Backoff
from agent.acquire.poll.visit import Visit
from agent.errors import BusError, BusReason
from agent.records import MeterProfile, ReadRequest

_STARTS = (40000, 50000, 0)  # in the order of how usual they are
_MARKER = (0x5375, 0x6E53)  # "SunS"
_END = 0xFFFF
_MOST_MODELS = 50  # a device has about ten; a map without an end must not hold the walk for ever
_DOUBT_S = 3600.0  # between two walks because of refusals; a device that was updated is found within the hour
_HEADER = 2  # registers: the model's number and its length


class Walk:
    """A walk to the first of the profile's models; ``request`` is what to ask next, None at the end.

    It asks at most ``3 * (1 + 50)`` headers. Then ``base`` is the address of the model's number,
    None where there is no such model.
    """

    def __init__(self, profile: MeterProfile, unit: int, line: Line) -> None:
        self.base: int | None = None
        self._profile, self._unit, self._line = profile, unit, line
        self._steps = _headers(profile.sunspec)
        self.request: ReadRequest | None = self._ask(next(self._steps))

    def answered(self, words: Sequence[int]) -> None:
        """Take the words of the header, none where the device refused."""
        try:
            self.request = self._ask(self._steps.send(tuple(words)))
        except StopIteration as end:
            self.request, self.base = None, end.value

    def _ask(self, address: int) -> ReadRequest:
        return ReadRequest(
            unit=self._unit,
            function=3,
            address=address,
            count=_HEADER,
            registers=(),
            wire_s=self._line.wire_s(_HEADER),
            min_gap_s=self._profile.min_gap_ms / 1000,
            min_timeout_s=self._profile.min_timeout_ms / 1000,
        )


class Locator:
    """Where the model of one meter begins, found again whenever that is in doubt. ``base`` None: not known now."""

    def __init__(self, profile: MeterProfile, unit: int, line: Line, backoff: Backoff) -> None:
        self.base: int | None = None
        self._models = profile.sunspec
        self._new_walk = partial(Walk, profile, unit, line)
        self._walk = self._new_walk()
        self._lost = backoff  # how long after a walk that led nowhere another one waits
        self._doubted_s = float("-inf")  # a walk that ends where it was puts the blame elsewhere, for a while

    def request(self, tick_s: float) -> ReadRequest | None:
        """Give the header to ask for next; None where there is none, or a new walk must wait."""
        return None if self.base is not None or self._lost.waits(tick_s) else self._walk.request

    async def step(self, visit: Visit) -> bool:
        """Ask for one header; tell whether there is another one to ask for."""
        header = self.request(visit.tick_s)
        if header is None or visit.over or not await visit.ask(header):
            return False
        visit.refused.pop(header, None)
        self._walk.answered(visit.answers.pop(header, ()))
        if self._walk.request is not None:
            return True
        self.base, self._walk = self._walk.base, self._new_walk()
        if self.base is None:
            self._lost.failed(visit.tick_s)
            text = f"no SunSpec model {' or '.join(map(str, self._models))} at 40000, 50000 or 0"
            visit.fail(BusError(BusReason.EXCEPTION, f"{text}; check the unit id and the profile"))
        else:
            self._lost.succeeded()
        return False

    def doubt(self, tick_s: float) -> bool:
        """Note a refusal where the model should be; tell whether that is reason enough to walk again."""
        if self._doubted_s <= tick_s < self._doubted_s + _DOUBT_S:
            return False
        self._doubted_s, self.base = tick_s, None
        return True

    def away(self) -> None:
        """Note that the device was away, or is another one: nothing is known of it."""
        self._doubted_s, self.base = float("-inf"), None


def _headers(models: Collection[int]) -> Generator[int, tuple[int, ...], int | None]:
    """Ask for the two registers at each address that is yielded; return where one of ``models`` begins."""
    for start in _STARTS:
        if (yield start) != _MARKER:
            continue
        address = start + _HEADER
        for _ in range(_MOST_MODELS):
            header = (yield address) if address < _END else ()
            if not header or header[0] == _END:
                break
            if header[0] in models:
                return address
            address += _HEADER + header[1]
    return None
