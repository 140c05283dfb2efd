"""The plan of one meter, and how it learns from what the meter refuses.

A block that is refused (exceptions 2 and 3), or that stays without an answer while other blocks of
the meter are answered, is searched: one piece of it a tick takes its place, beside the pieces that
were answered already. What the search finds goes into the plan of all tiers. It may be wrong: a
meter that is starting refuses what it has. An answer to what was refused disproves all lessons.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import cycle

from agent.acquire.bus.line import Line
from agent.acquire.learn.learned import NOTHING, POWER, Learned
from agent.acquire.learn.search import Piece, Search
from agent.acquire.plan.plan import plan
from agent.records import MeterProfile, ReadRequest, Register, Tier

_SILENCES = 2  # one silence may be noise
_BROKEN = 3  # refusals in a row of a block that was answered before: it may be busy for a moment
_MOST_DOUBLINGS = 6  # of these, one for each lesson that was wrong: a meter that refuses by chance teaches nothing

Requests = tuple[ReadRequest, ...]


class Learner:
    """One meter's requests for each tier, and the search that is under way."""

    def __init__(self, profile: MeterProfile, unit: int, line: Line, learned: Learned) -> None:
        self.learned = learned
        self.disproved = False  # something that was refused has been answered
        self._wrong = 0  # lessons that were disproved since the start
        self._given = profile
        self._unit, self._line = unit, line
        self._base = 0
        self._search: Search | None = None
        self._under_search: ReadRequest | None = None  # the block that it takes apart
        self._searched: set[ReadRequest] = set()  # a block is searched once: what stays refused then is no riddle
        self._splits: dict[ReadRequest, Requests] = {}  # what was searched, by what of it is answered
        self._faults: dict[ReadRequest, int] = {}
        self._replan()

    def requests(self, tier: Tier) -> Requests:
        """Give what to ask for a tier, without what is being searched."""
        return self._requests[tier]

    def move(self, base: int) -> None:
        """Plan with another first register of a SunSpec model."""
        self._base = base
        self._forget_searches()
        self._replan()

    def forget(self) -> None:
        """Begin anew, without any lesson: another meter may answer now, a week is over, or it was wrong."""
        self.learned = NOTHING
        self._wrong += self.disproved
        self.disproved = False
        self._forget_searches()
        self._replan()

    def knocks(self) -> Requests:
        """Give the requests any of which may tell that the meter is there: all blocks, and a short one of its own.

        A block that is too long for the meter is never answered, while others are.
        """
        blocks = [request for tier in Tier for request in self._plans[tier]]
        short = [self._request(block.registers[:1], block.function) for block in blocks[:1]]
        return (*short, *blocks)

    def doubt(self) -> ReadRequest | None:
        """Give a block that was searched, or a register that was refused, each time another; None where none was."""
        return next(self._doubts, None)

    @property
    def watches(self) -> bool:
        """Whether it wants to know of answers; soon after the start it does no more, where nothing is refused."""
        return bool(self._unproven or self._faults or self.learned.refused or self._splits)

    def answered(self, request: ReadRequest) -> None:
        """Note an answer: the block is sound, and a later silence of it teaches nothing about its shape."""
        if request in self._splits or any(register.name in self.learned.refused for register in request.registers):
            self.disproved = True
        self._unproven.discard(request)
        self._faults.pop(request, None)

    def refused(self, request: ReadRequest) -> None:
        """Note that a block was refused for good."""
        self._blame(request, 1 if request in self._unproven else _BROKEN, whole_refused=True)

    def silent(self, request: ReadRequest) -> None:
        """Note that a block stayed without an answer while the meter answered others."""
        if request in self._unproven:
            self._blame(request, _SILENCES, whole_refused=False)

    @property
    def piece(self) -> ReadRequest | None:
        """What the search asks next; None where there is none."""
        if self._search is None or self._search.piece is None:
            return None
        return self._piece(self._search, self._search.piece)

    def tell_piece(self, answered: bool) -> None:
        """Note whether the piece was answered."""
        assert self._search is not None
        self._search.answer(answered)
        self._replace_searched()

    @property
    def found(self) -> bool:
        """Whether a search is over and waits to be concluded."""
        return self._search is not None and self._search.piece is None

    def conclude(self, tick_s: float, identity: Mapping[str, float]) -> None:
        """Put what the search found into the plan of all tiers; ``identity`` says of which meter it is true."""
        assert self._search is not None
        known, search = self.learned, self._search
        limits = [limit for limit in (known.max_registers, search.limit) if limit is not None]
        self.learned = replace(
            known,
            since_s=tick_s if known.empty else known.since_s,
            forbidden=tuple(dict.fromkeys((*known.forbidden, *search.holes))),
            refused=tuple(dict.fromkeys((*known.refused, *search.refused))),
            max_registers=min(limits, default=None),
            identity=dict(identity),
        )
        block, parts = self._under_search, tuple(self._piece(search, run) for run in search.runs)
        if block and block not in parts and search.refused != [POWER]:  # that is asked for all the same
            self._splits[block] = parts
        self._search = None
        self._replan()

    def _blame(self, request: ReadRequest, patience: int, *, whole_refused: bool) -> None:
        """Count a fault of a block; begin to search it when there were enough, and no other is searched."""
        self._faults[request] = self._faults.get(request, 0) + 1
        patience *= 2 ** min(self._wrong, _MOST_DOUBLINGS)
        if self._faults[request] < patience or self._search or request in self._searched:
            return
        self._searched.add(request)
        self._under_search = request
        self._search = Search(self._listed_in(request), whole_refused=whole_refused)
        self._replace_searched()

    def _forget_searches(self) -> None:
        self._search = self._under_search = None
        self._searched.clear()
        self._splits.clear()
        self._faults.clear()

    def _replan(self) -> None:
        self._profile = self.learned.applied(self._given)
        self._plans = {tier: plan(self._profile, self._unit, (tier,), self._line, self._base) for tier in Tier}
        self._requests = {tier: self._split(requests) for tier, requests in self._plans.items()}
        self._unproven = {request for requests in self._plans.values() for request in requests}
        refused = [r for r in self._given.registers if r.name in self.learned.refused and r.name != POWER]
        self._doubts = cycle([self._request(self._moved((r,)), r.function) for r in refused] + [*self._splits])

    def _split(self, requests: Requests) -> Requests:
        """Take apart what a search could not put into the profile: a gap that another function code lists."""
        return tuple(part for request in requests for part in self._splits.get(request, (request,)))

    def _replace_searched(self) -> None:
        """Put the pieces that were answered in the place of the block that is searched."""
        search = self._search
        assert search is not None
        runs = tuple(self._piece(search, run) for run in search.runs)
        for tier, requests in self._plans.items():
            kept = self._split(tuple(request for request in requests if request != self._under_search))
            self._requests[tier] = (*kept, *runs) if self._under_search in requests else kept

    def _listed_in(self, request: ReadRequest) -> list[Register]:
        """Give all registers of the profile within a block, those of other tiers too, by their addresses."""
        first, end = request.address - self._base, request.address + request.count - self._base
        own = {register.name for register in request.registers}
        found = [
            register
            for register in self._profile.registers
            if register.function == request.function
            and (register.name in own or register.name not in self._profile.single)
            and first <= register.address
            and register.address + register.count <= end
        ]
        return sorted(found, key=lambda register: register.address)

    def _piece(self, search: Search, piece: Piece) -> ReadRequest:
        registers = search.registers[piece[0] : piece[1] + 1]
        return self._request(self._moved(registers), registers[0].function)

    def _moved(self, registers: tuple[Register, ...]) -> tuple[Register, ...]:
        """Put registers of the profile where the SunSpec model begins."""
        return tuple(replace(r, address=r.address + self._base) for r in registers) if self._base else registers

    def _request(self, registers: tuple[Register, ...], function: int) -> ReadRequest:
        first, end = registers[0].address, registers[-1].address + registers[-1].count
        if self._profile.even_blocks:
            first, end = first - first % 2, end + end % 2
        return ReadRequest(
            unit=self._unit,
            function=function,
            address=first,
            count=end - first,
            registers=registers,
            wire_s=self._line.wire_s(end - first),
            min_gap_s=self._profile.min_gap_ms / 1000,
            min_timeout_s=self._profile.min_timeout_ms / 1000,
        )
