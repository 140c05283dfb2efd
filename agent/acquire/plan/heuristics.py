"""How else a meter could be read: the usual ways to make requests, as models to compare the plan with.

They keep to the same limits of the profile, so that only the choice of the blocks differs.

- One request a value, as gateways do whose configuration names each register by itself.
- One pass over the sorted registers that reads on across a hole of at most so many registers, and
  ends the block at a longer one. This is the rule of Telegraf's ``optimization = "max_insert"``
  (plugins/inputs/modbus/request.go; its ``optimization_max_register_fill`` is 50 unless changed)
  and, with other numbers, of other gateways. It knows neither baud rate nor the fixed cost of a
  request, so no one number is right for every line.
"""

from collections.abc import Collection

from agent.acquire.bus.line import Line
from agent.acquire.plan.blocks import Blocks
from agent.records import MeterProfile, ReadRequest, Register, Tier


def one_a_value(profile: MeterProfile, unit: int, tiers: Collection[Tier], line: Line) -> tuple[ReadRequest, ...]:
    """Give a request for each register of ``tiers``."""
    blocks = Blocks(profile, line)
    alone, groups = blocks.wanted(tiers)
    return tuple(blocks.request(unit, (r,)) for registers in (alone, *groups) for r in registers)


def max_gap(profile: MeterProfile, unit: int, tiers: Collection[Tier], line: Line, gap: int) -> tuple[ReadRequest, ...]:
    """Give the requests of one pass that reads across holes of at most ``gap`` registers."""
    blocks = Blocks(profile, line)
    alone, groups = blocks.wanted(tiers)
    cut: list[tuple[Register, ...]] = [(register,) for register in alone]
    for registers in groups:
        block: tuple[Register, ...] = registers[:1]
        for register, joined in zip(registers[1:], blocks.joints(registers), strict=True):
            hole = register.address - (block[-1].address + block[-1].count)
            if joined and hole <= gap and blocks.fits((*block, register)):
                block = (*block, register)
            else:
                cut.append(block)
                block = (register,)
        cut.append(block)
    return tuple(blocks.request(unit, block) for block in cut)
