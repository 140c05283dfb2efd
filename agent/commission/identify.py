"""Which model is this? By what it says of itself, by SunSpec, and failing that by what its values look like.

A code that identifies a model is believed together with a plausible voltage: another meter may hold
the same number at that address by chance. Without a code there are only candidates, best first,
never a proof: the maps of one maker's meters are much alike.
"""

import math
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from agent.commission.asking import Asker, wire_of
from agent.commission.diagnose.finding import shown
from agent.commission.diagnose.map import MAINS, mains_part, part
from agent.commission.diagnose.values import Mains, contradictions, is_unusual, looks_like_mains
from agent.commission.readout import MeterReader, Readout, walk_sunspec
from agent.errors import BusError
from agent.records import MeterProfile

_MOST_READ = 12  # candidates that are read in full to be compared, and no more: ten seconds on a slow line


class Sure(StrEnum):
    """How sure it is which model a meter is."""

    CODE = "code"  # it says so, and its values are plausible
    SUNSPEC = "sunspec"  # it follows the standard
    CANDIDATES = "candidates"  # its values would be plausible for these
    UNKNOWN = "unknown"  # it answers, and no profile fits


@dataclass(frozen=True, slots=True)
class Identification:
    """The profiles that fit a meter, best first, and why."""

    sure: Sure
    profiles: tuple[MeterProfile, ...]
    why: str
    base: int = 0  # where a SunSpec model begins


async def identify(asker: Asker, profiles: Sequence[MeterProfile]) -> Identification:
    """Find the model of one unit with as few questions as the profiles allow. Raises BusDownError."""
    ordinary = [profile for profile in profiles if not profile.sunspec]
    for group in _by_question(asker, (profile for profile in ordinary if profile.identity), identity_part):
        if fitting := [profile for profile in group if await _says_so(asker, profile)]:
            ranked = _candidates(await _compared(asker, fitting)).profiles if len(fitting) > 1 else tuple(fitting)
            return Identification(Sure.CODE, ranked, await _code(asker, fitting[0]))
    if found := await _sunspec(asker, profiles):
        return found
    return _candidates([fit async for fit in _plausible(asker, ordinary)])


async def _plausible(asker: Asker, profiles: Sequence[MeterProfile]) -> AsyncIterator["_Fit"]:
    """Give the profiles under which the supply is plausible; the first family that explains all is the last asked."""
    for group in _by_question(asker, profiles, _supply_questions):
        fits = await _compared(asker, [profile for profile in group if await _is_plausible(asker, profile)])
        for fit in fits:
            yield fit
        if any(not fit.wrong for fit in fits):
            return


def _candidates(fits: Sequence["_Fit"]) -> Identification:
    """Give the best first, those last whose code the meter does not give."""
    fits = [fit for fit in fits if fit.sound > fit.wrong]
    if not fits:
        return Identification(Sure.UNKNOWN, (), "it answers, and no profile fits")
    ranked = sorted(fits, key=lambda fit: (bool(fit.profile.identity), fit.wrong - fit.sound))
    why = f"{ranked[0].sound} of {ranked[0].sound + ranked[0].wrong} values are sound"
    return Identification(Sure.CANDIDATES, tuple(fit.profile for fit in ranked), why)


def identity_part(profile: MeterProfile) -> MeterProfile:
    """Give the profile with what identifies it, and nothing else."""
    return replace(profile, registers=tuple(r for r in profile.registers if r.name in profile.identity))


def _by_question(
    asker: Asker, profiles: Iterable[MeterProfile], part_of: Callable[[MeterProfile], MeterProfile]
) -> list[list[MeterProfile]]:
    """Group profiles whose part is read by the same requests, the largest groups first."""
    groups: dict[tuple[tuple[int, int, int], ...], list[MeterProfile]] = defaultdict(list)
    for profile in profiles:
        groups[tuple(map(wire_of, asker.requests(part_of(profile))))].append(profile)
    return sorted(groups.values(), key=len, reverse=True)


async def _says_so(asker: Asker, profile: MeterProfile) -> bool:
    values, _ = await asker.values(identity_part(profile))
    if not all(values.get(name) in expected for name, expected in profile.identity.items()):
        return False
    return looks_like_mains(*await asker.values(mains_part(profile))) is not Mains.NO


async def _code(asker: Asker, profile: MeterProfile) -> str:
    values, _ = await asker.values(identity_part(profile))
    return ", ".join(f"{name} {shown(value)}" for name, value in values.items())


async def _sunspec(asker: Asker, profiles: Iterable[MeterProfile]) -> Identification | None:
    standard = [profile for profile in profiles if profile.sunspec]
    if not standard:
        return None
    every = tuple(model for profile in standard for model in profile.sunspec)
    found = await walk_sunspec(asker.answer, replace(standard[0], sunspec=every), asker.unit, asker.line)
    if isinstance(found, BusError):
        return None
    base, model = found
    fitting = tuple(profile for profile in standard if model in profile.sunspec)
    return Identification(Sure.SUNSPEC, fitting, f"SunSpec model {model} at {base}", base)


def _supply_questions(profile: MeterProfile) -> MeterProfile:
    """Give the profile with frequency and the voltage of phase 1: what the maps of one family have in common."""
    return part(profile, ("frequency_hz", "voltage_l1_v"))


async def _is_plausible(asker: Asker, profile: MeterProfile) -> bool:
    """Tell whether frequency and voltages are those of mains, and the meter does not say it is another model.

    Asks one value after the other and stops at the first that is not; one value alone is plausible by chance.
    """
    denied, _ = await asker.values(identity_part(profile))
    if any(not math.isnan(value) and value not in profile.identity[name] for name, value in denied.items()):
        return False
    known = 0
    for name in (name for name in MAINS if name in profile.quantities):
        values, impossible = await asker.values(part(profile, (name,)))
        value = values.get(name, math.nan)
        if name in impossible or math.isnan(value) or is_unusual(name, value):
            return False
        known += value > 0
    return known >= 2


@dataclass(frozen=True, slots=True)
class _Fit:
    """How much of a meter a profile explains: sound values, and refused, impossible or contradicting ones."""

    profile: MeterProfile
    sound: int
    wrong: int


async def _compared(asker: Asker, profiles: Sequence[MeterProfile]) -> list[_Fit]:
    """Read the meter by each profile; more than a few are not worth the reading."""
    fits = []
    for profile in profiles[:_MOST_READ]:
        gentle = replace(profile, min_gap_ms=max(profile.min_gap_ms, 1000 * asker.gap_s))
        readout = await MeterReader(asker.bus, gentle, asker.unit, asker.line).read()
        fits.append(_Fit(profile, *_explained(readout)))
    return fits


def _explained(readout: Readout) -> tuple[int, int]:
    """Count sound values and wrong ones; a phase without voltage is wrong, since another model may have none."""
    wrong = {item.name for item in contradictions(readout.values)} | readout.impossible | readout.unread.keys()
    wrong |= {name for name, value in readout.values.items() if name.startswith("voltage_l") and value == 0}
    sound = sum(value != 0 and not math.isnan(value) for name, value in readout.values.items() if name not in wrong)
    return sound, len(wrong)
