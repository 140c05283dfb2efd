"""One meter on one tick: what is asked of it, and what comes of it."""

from collections.abc import Callable

from agent.acquire.bus.bus import Bus
from agent.acquire.poll.statistics import Tally
from agent.errors import BusDownError, BusError, BusReason
from agent.records import ReadRequest

_RETRIED = frozenset({BusReason.GARBAGE, BusReason.DISCONNECTED})  # noise and a connection that idled out pass at once
_ANSWERS = frozenset({BusReason.EXCEPTION, BusReason.WRONG_LENGTH, BusReason.WRONG_FUNCTION})  # the meter is there
_GATEWAY_CODES = (10, 11)  # exceptions of a gateway whose meter is silent
_REFUSALS = (1, 2, 3)  # exceptions that will be the same next time: illegal function, address, value


class Visit:
    """The requests of a tick, one after the other, until one of them is not answered.

    ``retries`` are made at once after noise, where the tick has room for them; ``spare_s`` gives the
    seconds that are left of it.
    """

    __slots__ = (
        "_bus",
        "_retries",
        "_tally",
        "answers",
        "bus_down",
        "error",
        "failed",
        "heard",
        "refused",
        "spare_s",
        "tick_s",
        "unanswered",
    )

    def __init__(self, bus: Bus, tick_s: float, tally: Tally, retries: int, spare_s: Callable[[], float]) -> None:
        self.tick_s = tick_s
        self.answers: dict[ReadRequest, tuple[int, ...]] = {}
        self.refused: dict[ReadRequest, int] = {}  # with the exception's code
        self.failed: list[ReadRequest] = []  # for now: without an answer, or one that says so (busy, out of order)
        self.unanswered: ReadRequest | None = None
        self.error: BusError | None = None  # the first
        self.heard = False  # there was an answer of some kind, a refusal too
        self.bus_down = False
        self._bus, self._tally = bus, tally
        self._retries = retries
        self.spare_s = spare_s

    @property
    def over(self) -> bool:
        """Whether nothing more is to be asked on this tick: each silence costs a time-out."""
        return self.unanswered is not None or self.bus_down

    async def ask(self, request: ReadRequest) -> bool:
        """Ask once; tell whether the request was answered, or refused for good."""
        if request in self.answers or request in self.refused:
            return True
        try:
            self.answers[request] = await self._read(request, self._retries)
        except BusError as error:
            return self._note(request, error)
        self.heard = True
        return True

    def fail(self, error: BusError) -> None:
        """Note that the answers, such as they were, were of no use."""
        self._tally.failed(error)
        self.error = self.error or error

    def _note(self, request: ReadRequest, error: BusError) -> bool:
        self.error = self.error or error
        if isinstance(error, BusDownError):
            self.bus_down = True
        elif error.reason in _ANSWERS and error.code not in _GATEWAY_CODES:
            self.heard = True
            if error.code in _REFUSALS:
                self.refused[request] = error.code
                return True
            self.failed.append(request)
        else:
            self.failed.append(request)
            self.unanswered = request
        return False

    async def _read(self, request: ReadRequest, retries: int) -> tuple[int, ...]:
        """Read once, and again at once where noise may have spoilt it. Raises BusError."""
        spare_s = self.spare_s()
        try:
            return await self._bus.read(request)
        except BusError as error:
            self._tally.failed(error)
            if not retries or error.reason not in _RETRIED or isinstance(error, BusDownError):
                raise
            left_s = self.spare_s()
            if spare_s - left_s > left_s:  # it may take as long again
                raise
        return await self._read(request, retries - 1)
