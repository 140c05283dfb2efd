"""Look for meters on a bus: who is there, who that is, and what it measures now.

A unit is there when anything valid comes from it, also a refusal. On a line the setting is unknown:
the units that are usual are tried in every setting first, and once one answers, only that setting
is gone on with, since all meters of a line share it.
"""

import math
from collections import Counter
from collections.abc import AsyncIterator, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from agent.acquire.bus.bus import Bus
from agent.acquire.bus.line import Line
from agent.acquire.plan.plan import plan
from agent.commission.asking import GENTLE_S, Asker, gentle_gap_s, wire_of
from agent.commission.diagnose.map import part
from agent.commission.identify import Identification, identify
from agent.commission.readout import is_answer
from agent.commission.scan.targets import FIRST_UNITS, STRANGER
from agent.errors import BusDownError, BusError, BusReason
from agent.records import MeterProfile, ReadRequest

_SHOWN = ("serial_number", "active_power_w")
_GARBAGE = frozenset({BusReason.GARBAGE, BusReason.WRONG_UNIT, BusReason.WRONG_TRANSACTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMeter:
    """A unit that answers."""

    url: str
    unit: int
    identification: Identification
    serial_number: float  # NaN where it is not known
    active_power_w: float

    @property
    def profile(self) -> MeterProfile | None:
        """The profile that fits best."""
        return next(iter(self.identification.profiles), None)


@dataclass(frozen=True, slots=True)
class Step:
    """One question on a line: whether this unit is there, in this setting."""

    url: str
    unit: int
    probe: ReadRequest


def probes(profiles: Iterable[MeterProfile], line: Line) -> tuple[ReadRequest, ...]:
    """Give the two reads that most profiles know: a voltage by function 4, and one by function 3.

    Any answer shows that a unit is there, but some models say nothing to a read that they do not know.
    """
    asked: Counter[tuple[int, int, int]] = Counter()
    requests: dict[tuple[int, int, int], ReadRequest] = {}
    for profile in profiles:
        for register in profile.registers:
            if register.name == "voltage_l1_v" and not profile.sunspec:
                for request in plan(replace(profile, registers=(register,)), 1, (register.tier,), line):
                    asked[wire_of(request)] += 1
                    requests[wire_of(request)] = request
    best = [next((wire for wire, _ in asked.most_common() if wire[0] == function), None) for function in (4, 3)]
    gap_s = GENTLE_S if line.silence_s else 0.0  # costs nothing after a silence, which is the rule
    return tuple(replace(requests[wire], min_timeout_s=0.0, min_gap_s=gap_s) for wire in best if wire)


def line_steps(urls: Sequence[str], units: Sequence[int], asked: Sequence[ReadRequest]) -> list[Step]:
    """Give what to ask on a line, in order: usual units in every setting, then the others in every setting."""
    first = [unit for unit in units if unit in FIRST_UNITS] or list(units)
    rest = [unit for unit in units if unit not in first]
    return [
        Step(url, unit, replace(probe, unit=unit))
        for some in (first, rest)
        for url in urls
        for probe in asked
        for unit in some
    ]


def worth_asking(steps: Iterable[Step], found: Sequence[tuple[str, int]], impossible: Container[str]) -> Iterator[Step]:
    """Leave out units that were found, other settings than theirs, and those impossible; ``found`` may grow."""
    for step in steps:
        fits = not found or (step.url == found[0][0] and (step.url, step.unit) not in found)
        if fits and step.url not in impossible:
            yield step


async def is_there(bus: Bus, probe: ReadRequest) -> bool:
    """Ask once. Raises BusDownError, and BusError of the reason garbage where something else comes."""
    try:
        await bus.read(probe)
    except BusDownError:
        raise
    except BusError as error:
        if error.reason in _GARBAGE:
            raise
        return is_answer(error)
    return True


async def host_units(
    bus: Bus, units: Sequence[int], asked: Sequence[ReadRequest], garbled: list[BusError]
) -> AsyncIterator[int]:
    """Give the units of a TCP host; one that answers to every unit id is one meter.

    What came that is no answer is added to ``garbled``. Raises BusDownError.
    """
    if len(units) > 1 and await _answers(bus, STRANGER, asked, garbled):
        yield next((unit for unit in units if 1 <= unit <= 247), units[0])
        return
    for unit in units:
        if await _answers(bus, unit, asked, garbled):
            yield unit


async def _answers(bus: Bus, unit: int, asked: Sequence[ReadRequest], garbled: list[BusError]) -> bool:
    for probe in asked:
        try:
            if await is_there(bus, replace(probe, unit=unit)):
                return True
        except BusDownError:
            raise
        except BusError as error:
            garbled.append(error)
    return False


async def meet(bus: Bus, url: str, unit: int, line: Line, profiles: Sequence[MeterProfile]) -> FoundMeter:
    """Find out who a unit is, its serial number and its power. Raises BusDownError."""
    asker = Asker(bus, unit, line, gentle_gap_s(url))
    identification = await identify(asker, profiles)
    values: dict[str, float] = {}
    if identification.profiles:
        best = identification.profiles[0]
        values, _ = await asker.values(part(best, _SHOWN), identification.base)
    serial_number, active_power_w = (values.get(name, math.nan) for name in _SHOWN)
    return FoundMeter(
        url=url, unit=unit, identification=identification, serial_number=serial_number, active_power_w=active_power_w
    )
