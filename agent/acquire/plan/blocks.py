"""What one request may read of a meter: the limits of its profile, the cost on its line, the request itself.

A block is a run of registers of one function in the order of their addresses, read by one request.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from agent.acquire.bus.line import Line
from agent.records import MeterProfile, ReadRequest, Register, Tier

_ADDRESSES = 0x10000


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of one meter on one line; ``profile`` has addresses as on the wire."""

    profile: MeterProfile
    line: Line

    def wanted(self, tiers: Collection[Tier]) -> tuple[list[Register], list[tuple[Register, ...]]]:
        """Give what must be read alone, and what may share a request: a tuple for each function, in order of address.

        A register that cannot be read without touching a forbidden address is in neither.
        """
        readable = [r for r in self.profile.registers if r.tier in tiers and not self.is_forbidden((r,))]
        alone = [register for register in readable if register.name in self.profile.single]
        shared = sorted(
            (register for register in readable if register.name not in self.profile.single),
            key=lambda register: (register.function, register.address),
        )
        return alone, [tuple(group) for _, group in groupby(shared, key=lambda register: register.function)]

    def joints(self, registers: Sequence[Register]) -> list[bool]:
        """Tell for each register but the first whether a request may read on to it from the one before."""
        listed = self._listed(registers[0].function)
        return [self._joined(left, right, listed) for left, right in pairwise(registers)]

    def fits(self, registers: Sequence[Register]) -> bool:
        """Tell whether a block is short enough and touches no forbidden address."""
        return self.span(registers)[1] <= self.profile.max_registers and not self.is_forbidden(registers)

    def is_forbidden(self, registers: Sequence[Register]) -> bool:
        """Tell whether a block touches a forbidden address."""
        if not self.profile.forbidden:
            return False
        address, count = self.span(registers)
        return any(first < address + count and address <= last for first, last in self.profile.forbidden)

    def span(self, registers: Sequence[Register]) -> tuple[int, int]:
        """Give address and count of a block, both even where they must be."""
        first, end = registers[0].address, registers[-1].address + registers[-1].count
        if self.profile.even_blocks:
            first, end = first - first % 2, end + end % 2
        return first, end - first

    def cost_s(self, count: int) -> float:
        """Give the bus time of a request of ``count`` registers, with the silence that the meter wants before it."""
        return self.line.wire_s(count) + max(0.0, self.profile.min_gap_ms / 1000 - self.line.silence_s)

    def request(self, unit: int, registers: tuple[Register, ...]) -> ReadRequest:
        """Give the request that reads a block."""
        address, count = self.span(registers)
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

    def _listed(self, function: int) -> frozenset[int]:
        """Give the listed addresses; a name that is read alone does not make its address safe in a block."""
        listed = (
            range(register.address, register.address + register.count)
            for register in self.profile.registers
            if register.function == function and register.name not in self.profile.single
        )
        return frozenset(address for span in listed for address in span)

    def _joined(self, left: Register, right: Register, listed: frozenset[int]) -> bool:
        """Tell whether no run of unlisted addresses between two registers is too long."""
        if self.profile.max_gap is None:
            return True
        stops = [left.address + left.count - 1, right.address]
        stops[1:1] = [address for address in range(stops[0] + 1, stops[1]) if address in listed]
        return all(after - before - 1 <= self.profile.max_gap for before, after in pairwise(stops))


def moved(profile: MeterProfile, base: int) -> MeterProfile:
    """Give a profile with ``base`` added to its addresses; what would lie past the last one is not there."""
    registers = (replace(register, address=register.address + base) for register in profile.registers)
    return replace(
        profile,
        registers=tuple(register for register in registers if register.address + register.count <= _ADDRESSES),
        forbidden=tuple((first + base, last + base) for first, last in profile.forbidden),
    )
