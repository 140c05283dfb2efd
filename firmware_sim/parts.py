"""A quantity that is the sum of several registers: the meter's side of ``plus`` and ``minus``.

The reader adds and subtracts what the registers say. So what one register cannot express, by its
resolution, is left to those that are finer, and the parts add up to the whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np

from firmware_sim.chance import Floats
from firmware_sim.profile import Entry, Profile

_FIRST_SHARE = 0.6  # of a tariff in what is left: unequal, so that a reader who swaps two is found out


def split(profile: Profile, values: Mapping[str, Floats], factors: Mapping[str, float]) -> dict[str, Floats]:
    """Give what each register is to show, in SI units: ``values``, with those of sums replaced by their parts.

    A part that is a quantity itself shows its own value, and the sum's own register the rest.
    """
    shown = dict(values)
    parameters = {entry.name: entry for entry in profile.parameters}
    given = {entry.name for entry in profile.entries}
    for entry in profile.entries:
        if not entry.plus and not entry.minus:
            continue
        rest = values[entry.name] + _sum(shown, values, entry.minus, given) - _sum(shown, values, entry.plus, given)
        plus = [parameters[name] for name in entry.plus if name not in given]
        minus = [parameters[name] for name in entry.minus if name not in given]
        upper, lower = (np.maximum(rest, 0.0), np.maximum(-rest, 0.0)) if minus else (rest, rest)
        shown |= _shares([entry, *plus], upper, factors) | _shares(minus, lower, factors)
        given |= {part.name for part in (*plus, *minus)}
    return shown


def _sum(
    shown: Mapping[str, Floats], values: Mapping[str, Floats], names: Iterable[str], given: set[str]
) -> Floats | float:
    """Give the sum of those parts whose values are settled: quantities, and parts of a sum before."""
    return sum((values.get(name, shown[name]) for name in names if name in given), 0.0)


def _shares(entries: Sequence[Entry], amount: Floats, factors: Mapping[str, float]) -> dict[str, Floats]:
    """Share an amount out among registers, the coarsest first; each takes what it can express."""

    def resolution(entry: Entry) -> float:
        return abs(entry.scale * factors[entry.name])

    shares: dict[str, Floats] = {}
    left = amount
    groups = [list(group) for _, group in groupby(sorted(entries, key=resolution, reverse=True), key=resolution)]
    for group in groups:
        finest = group is groups[-1]
        for number, entry in enumerate(group, start=1):
            wanted = left if number == len(group) else left * _FIRST_SHARE
            if not (finest and number == len(group)):
                wanted = _expressed(wanted, entry, resolution(entry), whole=not finest)
            shares[entry.name] = wanted
            left = left - wanted
    return shares


def _expressed(amount: Floats, entry: Entry, resolution: float, whole: bool) -> Floats:
    """Give the part of an amount that a register can show exactly."""
    if entry.dtype[0] == "f" and not whole:
        return (amount / resolution).astype(f"f{entry.count * 2}").astype(np.float64) * resolution
    return np.floor(amount / resolution) * resolution
