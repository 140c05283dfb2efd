"""What the agent learned of one meter that its profile does not say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from agent.records import MeterProfile

POWER = "active_power_w"  # what a meter is polled for
_LASTS_S = 7 * 86_400.0  # a week: a refusal of one day must not cost a quantity for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Limits of one unit. Addresses are the profile's own: those of a SunSpec meter count from its model."""

    since_s: float = 0.0  # tick of the first lesson
    forbidden: tuple[tuple[int, int], ...] = ()  # closed ranges of addresses that it refuses
    refused: tuple[str, ...] = ()  # registers of the profile that it refuses
    max_registers: int | None = None  # of one request, where it is less than the profile says
    identity: Mapping[str, float] = field(default_factory=dict)  # who it was: serial number, model

    @property
    def empty(self) -> bool:
        """Whether nothing was learned."""
        return not (self.forbidden or self.refused or self.max_registers)

    def holds(self, time_s: float) -> bool:
        """Tell whether it is still to be believed; also not where the clock was set back."""
        return self.since_s <= time_s < self.since_s + _LASTS_S

    def applied(self, profile: MeterProfile) -> MeterProfile:
        """Give the profile with the lessons in it.

        An active power that was refused is asked for all the same, by a request of its own: without it
        the meter is worth nothing, and its first answer tells that the lesson was wrong. A hole holds
        for all function codes in a profile's ``forbidden``, so what is listed for another one is taken
        out of it: to read across a hole it must be whole.
        """
        left_out = set(self.refused) - {POWER}
        registers = tuple(register for register in profile.registers if register.name not in left_out)
        dropped = [(r.address, r.address + r.count - 1) for r in profile.registers if r.name in left_out]
        listed = {address for r in registers for address in range(r.address, r.address + r.count)}
        spans = (range(first, last + 1) for first, last in (*self.forbidden, *dropped))
        learned = (part for span in spans for part in _without(span, listed))
        return replace(
            profile,
            registers=registers,
            single=(*profile.single, POWER) if POWER in self.refused else profile.single,
            forbidden=tuple(dict.fromkeys((*profile.forbidden, *learned))),
            max_registers=min(profile.max_registers, self.max_registers or profile.max_registers),
        )

    def sentence(self) -> str:
        """Say what was learned.

        >>> Learned(forbidden=((0x14, 0x17),), refused=("frequency_hz",), max_registers=40).sentence()
        'refuses 0x0014-0x0017 and frequency_hz; answers at most 40 registers a request'
        """
        ranges = [f"{first:#06x}-{last:#06x}" if last > first else f"{first:#06x}" for first, last in self.forbidden]
        parts = [f"refuses {_listed((*ranges, *self.refused))}"] if ranges or self.refused else []
        if self.max_registers is not None:
            parts.append(f"answers at most {self.max_registers} registers a request")
        return "; ".join(parts)


NOTHING = Learned()


def _without(span: range, listed: set[int]) -> list[tuple[int, int]]:
    """Give the parts of a range whose addresses are not listed."""
    free: list[tuple[int, int]] = []
    for address in span:
        if address in listed:
            continue
        if free and free[-1][1] == address - 1:
            free[-1] = (free[-1][0], address)
        else:
            free.append((address, address))
    return free


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
