"""The poll plan: which reads fetch a meter's registers in the least time on the bus.

Registers of one function code, in the order of their addresses, are cut into blocks; every block
is one request. A longer block saves the fixed cost of a request and pays for the words in between
that nobody wants. Dynamic programming over the cuts finds the cheapest way exactly.

No other set of requests is cheaper. The cost of a request is a constant plus so much a register,
and every part of a block that a limit allows is allowed too. So where two requests of a set read
across each other, all registers up to the end of the one that begins first can be given to it, and
the other shrinks to what follows or vanishes: the set becomes a cut of the sorted list and costs
no more. Reading a register twice, or one that nobody wants at the edge, only adds. Hence the
cheapest cut is the cheapest set, and it is also the lower bound that ``make bench`` compares with.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence

from agent.acquire.bus.line import Line
from agent.acquire.plan.blocks import Blocks, moved
from agent.records import MeterProfile, ReadRequest, Register, Tier


def plan(
    profile: MeterProfile, unit: int, tiers: Collection[Tier], line: Line, base: int = 0
) -> tuple[ReadRequest, ...]:
    """Give the requests that read every register of ``tiers`` once, in the least bus time.

    Values are never split; a request keeps to the profile's limits. A register that cannot be read
    without touching a forbidden address is left out. ``base`` is added to every address: where the
    model of a SunSpec profile begins.
    """
    blocks = Blocks(moved(profile, base) if base else profile, line)
    alone, groups = blocks.wanted(tiers)
    cut = [(register,) for register in alone] + [block for group in groups for block in _cheapest_cut(blocks, group)]
    return _told_apart(blocks.request(unit, block) for block in cut)


def bus_s(requests: Iterable[ReadRequest], line: Line) -> float:
    """Give the time that requests take on the bus, with the silences that the meters want before them."""
    return sum(request.wire_s + max(0.0, request.min_gap_s - line.silence_s) for request in requests)


def _cheapest_cut(blocks: Blocks, registers: Sequence[Register]) -> list[tuple[Register, ...]]:
    """Cut sorted registers of one function into the cheapest blocks.

    ``best[i]`` is the least cost of the first ``i`` registers and ``start[i]`` where their last
    block starts. A block that breaks a limit breaks it however much longer it gets.
    """
    joints = blocks.joints(registers)
    best, start = [0.0], [0]
    for end in range(1, len(registers) + 1):
        options = [(best[end - 1] + blocks.cost_s(blocks.span(registers[end - 1 : end])[1]), end - 1)]
        for begin in range(end - 2, -1, -1):
            block = registers[begin:end]
            if not joints[begin] or not blocks.fits(block):
                break
            options.append((best[begin] + blocks.cost_s(blocks.span(block)[1]), begin))
        cost, begin = min(options)
        best.append(cost)
        start.append(begin)
    return _blocks_of(registers, start)


def _blocks_of(registers: Sequence[Register], start: Sequence[int]) -> list[tuple[Register, ...]]:
    cut, end = [], len(registers)
    while end:
        cut.append(tuple(registers[start[end] : end]))
        end = start[end]
    return cut[::-1]


def _told_apart(requests: Iterable[ReadRequest]) -> tuple[ReadRequest, ...]:
    """Order requests so that as few neighbours as possible ask one function for one length.

    A late reply is told from a prompt one by these two only. The order costs no bus time. Of what
    remains, the kind with the most requests comes next, unless the one before was of that kind.
    """
    waiting: defaultdict[tuple[int, int], deque[ReadRequest]] = defaultdict(deque)
    for request in requests:
        waiting[request.function, request.count].append(request)
    ordered: list[ReadRequest] = []
    while waiting:
        before = (ordered[-1].function, ordered[-1].count) if ordered else None
        kind = max(waiting, key=lambda kind: (kind != before, len(waiting[kind])))
        ordered.append(waiting[kind].popleft())
        if not waiting[kind]:
            del waiting[kind]
    return tuple(ordered)
