"""What the electrical quantities of one window tell. Arrays have shape (meters, ticks); results (meters,)."""

from collections.abc import Sequence

import numpy as np

from agent.analyse.features.robust import Floats, mean, median, ratio


def power_factor(active_power_w: Floats, apparent_power_va: Floats, reported: Floats) -> Floats:
    """Mean of the meter's power factor, else P over S; NaN where neither is known.

    Server and miner power supplies correct theirs: 0.95 to 1 under load (measured median of
    170 servers at constant load 0.988); motors have 0.7 to 0.9.

    >>> nothing = np.array([[np.nan]])
    >>> power_factor(np.array([[95.0]]), np.array([[100.0]]), nothing).item()
    0.95
    """
    computed = mean(ratio(active_power_w, np.maximum(apparent_power_va, 0.0)))
    own = mean(np.abs(reported))
    return np.where(np.isfinite(own), own, np.abs(computed))


def noise_floor(active_power_w: Floats) -> Floats:
    """Median absolute change from tick to tick over the median; what the load flickers at the poll's pace.

    170 logs of servers at constant load have a coefficient of variation of 0.5 % at 1 s.

    >>> noise_floor(np.array([[100.0, 101.0, 100.0, 101.0]])).round(4).item()
    0.01
    """
    return ratio(median(np.abs(np.diff(active_power_w, axis=-1))), np.abs(median(active_power_w)))


def longest_repeat(quantities: Sequence[Floats], witness: Floats) -> Floats:
    """Most polls in a row that repeat the one before bit for bit in every known quantity.

    A real load flickers, if not in power then in voltage and frequency; a frozen register or a
    gateway's cache does not. A meter that refreshes every few seconds repeats often, but not for
    long. A zero says nothing: the power and the current of an idle feeder repeat it. Nor does a
    single known quantity: a coarse register alone may well repeat. The ``witness``, the frequency,
    can only deny it: its coarse register stands still for a minute. A gap ends the row.

    >>> frozen, unknown = np.full((1, 6), 230.0), np.full((1, 6), np.nan)
    >>> longest_repeat([frozen, frozen], unknown).item()
    5.0
    >>> slow = np.array([[230.0, 230.0, 230.0, 231.0, 231.0, 231.0]])
    >>> longest_repeat([frozen, frozen], slow).item()
    2.0
    """
    stacked = np.stack([*quantities, witness])
    known = np.isfinite(stacked) & (stacked != 0)
    pairs = known[..., 1:] & known[..., :-1]
    changed = (stacked[..., 1:] != stacked[..., :-1]) & pairs
    repeated = (pairs[:-1].sum(axis=0) >= 2) & ~changed.any(axis=0)
    place = np.arange(1.0, repeated.shape[-1] + 1)
    row_start = np.maximum.accumulate(np.where(repeated, 0.0, place), axis=-1)
    longest: Floats = np.max(place - row_start, axis=-1, initial=0.0)
    return longest
