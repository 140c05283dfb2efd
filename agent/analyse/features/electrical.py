"""What the electrical quantities of one window tell. Arrays have shape (meters, ticks); results (meters,)."""

from collections.abc import Sequence

import numpy as np

from agent.analyse.features.robust import Floats, mean, median, quantile, ratio


def power_factor(active_power_w: Floats, apparent_power_va: Floats, reported: Floats) -> Floats:
    """Mean of the meter's power factor, else P over S; NaN where neither is known.

    Server and miner power supplies correct theirs: 0.95 to 1 under load (measured median of
    170 servers at constant load 0.988); motors have 0.7 to 0.9.

    >>> nothing = np.array([[np.nan]])
    >>> power_factor(np.array([[95.0]]), np.array([[100.0]]), nothing).item()
    0.95
    """
    own = mean(np.abs(reported))
    if np.isfinite(own).all():
        return own
    computed = mean(ratio(active_power_w, np.maximum(apparent_power_va, 0.0)))
    return np.where(np.isfinite(own), own, np.abs(computed))


def noise_floor(active_power_w: Floats) -> Floats:
    """Median absolute change from tick to tick over the median; what the load flickers at the poll's pace.

    170 logs of servers at constant load have a coefficient of variation of 0.5 % at 1 s.

    >>> noise_floor(np.array([[100.0, 101.0, 100.0, 101.0]])).round(4).item()
    0.01
    """
    return ratio(median(np.abs(np.diff(active_power_w, axis=-1))), np.abs(median(active_power_w)))


def power_factor_spread(active_power_w: Floats, apparent_power_va: Floats, reported: Floats) -> Floats:
    """Interquartile range of the power factor, tick by tick the meter's own, else P over S; 0 for a constant.

    Supplies that correct theirs at constant load have 0.001, a building whose motors come and go
    0.02 to 0.1. 0 to 1; NaN where neither is known.

    >>> nothing = np.full((1, 2), np.nan)
    >>> power_factor_spread(np.array([[90.0, 95.0]]), np.array([[100.0, 100.0]]), nothing).round(3).item()
    0.025
    """
    computed = np.abs(ratio(active_power_w, np.where(apparent_power_va > 0, apparent_power_va, np.nan)))
    factor = np.where(np.isfinite(reported), np.abs(reported), computed)
    return quantile(factor, 0.75) - quantile(factor, 0.25)


def cos_phi(active_w: Floats, reactive_var: Floats) -> Floats:
    """Power factor of a load or of a step, P / √(P² + Q²), -1 to 1: negative where it went off or feeds in.

    Of a step, ΔP and ΔQ: miners and servers have 0.98 or more, motors 0.7 to 0.9. NaN where
    either is unknown or both are 0.

    >>> cos_phi(np.array([3000.0, -3000.0]), np.array([0.0, 4000.0])).tolist()
    [1.0, -0.6]
    """
    return ratio(active_w, np.hypot(active_w, reactive_var))


def unbalance(phases: Sequence[Floats]) -> Floats:
    """Median over time of the largest deviation of a phase from their mean, over the mean (NEMA MG 1); 0 to 2.

    Of currents: 0.02 for three-phase machines, 0.1 to 0.5 for an office, 2 where one phase bears
    all; a change of it is Jiangsu's sign of single-phase miners. Of voltages 0.01 is usual.
    NaN where never all three are known at once.

    >>> unbalance([np.array([[12.0]]), np.array([[10.0]]), np.array([[8.0]])]).item()
    0.2
    """
    stacked = np.abs(np.stack(phases))
    middle = stacked.mean(axis=0)
    return median(ratio(np.abs(stacked - middle).max(axis=0), middle))


def neutral_share(neutral_a: Floats, phases_a: Sequence[Floats]) -> Floats:
    """Median over time of the neutral current over the mean of the phases' currents; 0 to 3.

    0 for balanced three-phase machines; the third harmonics of simple supplies add up in the
    neutral, up to 1.73. NaN where never all four are known at once.

    >>> neutral_share(np.array([[3.0]]), [np.array([[10.0]])] * 3).round(3).item()
    0.3
    """
    return median(ratio(np.abs(neutral_a), np.abs(np.stack(phases_a)).mean(axis=0)))


def distortion(phases_percent: Sequence[Floats]) -> Floats:
    """Median over time of the mean total harmonic distortion of the known phases, in %.

    Of the current: 3 to 10 for supplies that correct their power factor (expected, not measured
    here), 30 to 100 for small electronics, 0 to 5 for motors. NaN where no phase is known.

    >>> distortion([np.array([[4.0, 6.0]]), np.array([[np.nan, np.nan]]), np.array([[8.0, 6.0]])]).item()
    6.0
    """
    return median(mean(np.stack(phases_percent), axis=0))


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
