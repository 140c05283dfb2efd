"""The poll plan: which reads fetch a meter's registers in the least time on the bus.

Registers of one function code, in the order of their addresses, are cut into blocks. Every
block is one request. A longer block saves the fixed cost of a request and pays for the words in
between that nobody wants; dynamic programming over the cuts finds the cheapest way exactly,
within the limits of the profile.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from agent.acquire.line import Line
from agent.records import MeterProfile, ReadRequest, Register, Tier

_ADDRESSES = 0x10000


def plan(
    profile: MeterProfile, unit: int, tiers: Collection[Tier], line: Line, base: int = 0
) -> tuple[ReadRequest, ...]:
    """Give the requests that read every register of ``tiers`` once, in the least bus time.

    Values are never split; a request keeps to the profile's limits. A register that cannot be read
    without touching a forbidden address is left out. ``base`` is added to every address: where the
    model of a SunSpec profile begins. Neighbouring requests differ in length where they can, since
    a late reply is told from a prompt one by its length only.
    """
    profile = _moved(profile, base) if base else profile
    cutter = _Cutter(profile, line)
    wanted = [r for r in profile.registers if r.tier in tiers and not cutter.forbidden((r,))]
    alone = [register for register in wanted if register.name in profile.single]
    shared = sorted(
        (register for register in wanted if register.name not in profile.single),
        key=lambda register: (register.function, register.address),
    )
    blocks: list[tuple[Register, ...]] = [(register,) for register in alone]
    for _, registers in groupby(shared, key=lambda register: register.function):
        blocks += cutter.cut(tuple(registers))
    return _vary_lengths([cutter.request(unit, block) for block in blocks])


def _moved(profile: MeterProfile, base: int) -> MeterProfile:
    """Give the profile with addresses as on the wire; what would lie past the last one is not there."""
    moved = (replace(register, address=register.address + base) for register in profile.registers)
    return replace(
        profile,
        registers=tuple(register for register in moved if register.address + register.count <= _ADDRESSES),
        forbidden=tuple((first + base, last + base) for first, last in profile.forbidden),
    )


def bus_s(requests: Iterable[ReadRequest], line: Line) -> float:
    """Give the time that requests take on the bus, with the silences that the meters want before them."""
    return sum(request.wire_s + max(0.0, request.min_gap_s - line.silence_s) for request in requests)


@dataclass(frozen=True, slots=True)
class _Cutter:
    profile: MeterProfile
    line: Line

    def cut(self, registers: Sequence[Register]) -> list[tuple[Register, ...]]:
        """Cut sorted registers of one function into the cheapest blocks.

        ``best[i]`` is the least cost of the first ``i`` registers and ``start[i]`` where its last block starts.
        """
        readable = self._readable(registers[0].function)
        best, start = [0.0], [0]
        for end in range(1, len(registers) + 1):
            options = []
            for begin in range(end - 1, -1, -1):
                if begin < end - 1 and not self._joined(registers[begin], registers[begin + 1], readable):
                    break
                _, count = self._span(registers[begin:end])
                if begin < end - 1 and (count > self.profile.max_registers or self.forbidden(registers[begin:end])):
                    break
                options.append((best[begin] + self._cost_s(count), begin))
            cost, begin = min(options)
            best.append(cost)
            start.append(begin)
        blocks, end = [], len(registers)
        while end:
            blocks.append(tuple(registers[start[end] : end]))
            end = start[end]
        return blocks[::-1]

    def request(self, unit: int, registers: tuple[Register, ...]) -> ReadRequest:
        address, count = self._span(registers)
        return ReadRequest(
            unit=unit,
            function=registers[0].function,
            address=address,
            count=count,
            registers=registers,
            wire_s=self.line.wire_s(count),
            min_gap_s=self.profile.min_gap_ms / 1000,
            min_timeout_s=self.profile.min_timeout_ms / 1000,
        )

    def _cost_s(self, count: int) -> float:
        return self.line.wire_s(count) + max(0.0, self.profile.min_gap_ms / 1000 - self.line.silence_s)

    def _span(self, registers: Sequence[Register]) -> tuple[int, int]:
        """Give address and count of the block that holds these registers, even where it must be."""
        first, end = registers[0].address, registers[-1].address + registers[-1].count
        if self.profile.even_blocks:
            first, end = first - first % 2, end + end % 2
        return first, end - first

    def forbidden(self, registers: Sequence[Register]) -> bool:
        """Tell whether the block that holds these registers touches a forbidden address."""
        address, count = self._span(registers)
        return any(first < address + count and address <= last for first, last in self.profile.forbidden)

    def _readable(self, function: int) -> frozenset[int]:
        """Give the listed addresses; a name that is read alone does not make its address safe in a block."""
        listed = (
            range(register.address, register.address + register.count)
            for register in self.profile.registers
            if register.function == function and register.name not in self.profile.single
        )
        return frozenset(address for span in listed for address in span)

    def _joined(self, left: Register, right: Register, readable: frozenset[int]) -> bool:
        """Tell whether one request may read on from ``left`` to ``right``: no run of unlisted addresses is too long."""
        if self.profile.max_gap is None:
            return True
        stops = [left.address + left.count - 1, right.address]
        stops[1:1] = [address for address in range(stops[0] + 1, stops[1]) if address in readable]
        return all(after - before - 1 <= self.profile.max_gap for before, after in pairwise(stops))


def _vary_lengths(requests: list[ReadRequest]) -> tuple[ReadRequest, ...]:
    """Order requests so that neighbours differ in length, as far as a swap with a later one can do it."""
    for index in range(1, len(requests)):
        before = requests[index - 1].count
        other = next((i for i in range(index, len(requests)) if requests[i].count != before), index)
        requests[index], requests[other] = requests[other], requests[index]
    return tuple(requests)
