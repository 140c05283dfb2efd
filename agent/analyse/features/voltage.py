"""How a load answers to the voltage: 0 for constant power, 1 for constant current, 2 for a resistor.

A regression of power on a meter's own voltage is worse than nothing: load steps pull the voltage
down, and 170 logs of servers at constant load give a median of -2.2. So the events must come from
above, seen by other meters of the site as well, and the load must have been quiet. Otherwise the
answer is unknown.
"""

import numpy as np

from agent.analyse.features.robust import Floats, median_of_others, product_sum, ratio, zeroed

MIN_EVENTS = 20  # fewer, and one coincidence decides
_BLOCK_S = 5.0  # means of five seconds stand out of a meter's last digit
_EVENT = 0.005  # relative: half the step of a transformer's tap changer
_QUIET = 0.005  # relative change of the own power between the two blocks before
_ANSWERS = (-1.0, 3.0)  # times the voltage's change: beyond 0 to 2, and 1 for noise, the load moved by itself
_AGREE = 1.25  # times the siblings' change: a sag that is deeper here was made here
_MIN_SHARE = 0.5  # of the events must be usable, or what is left is chosen by its answer


def voltage_exponent(power_w: Floats, voltage_v: Floats, period_s: float) -> tuple[Floats, Floats]:
    """Give np = d ln P / d ln V and its standard error, both (meters,); NaN, unknown, unless there is an instrument.

    Σ z Δln P / Σ z Δln V over the events, z being the median Δln V of the *other* meters (instrumental
    variable), with s √Σz² / |Σ z Δln V| as its error. ``power_w`` and ``voltage_v`` (meters, ticks) of
    one site, 5 s or less apart. An event is a change of the siblings' voltage by 0.5 % or more within
    10 s. It is usable where the own voltage moved alike, no more than 1.25 times as far, and the
    own power was quiet before and moved -1 to 3 times as far. Under 20 usable events, or where
    under half of the events were usable, both are NaN. Electronics have 0 ± 0.2, heaters 2, motors 0.5 to 1.5.
    The error is that of chance only: many loads that switch together and sag their common supply a
    little can still pass, with an exponent below 0.

    >>> tap = np.where(np.arange(1200) // 30 % 2, 1.01, 1.0)
    >>> voltage = np.stack([230.0 * tap, 231.0 * tap])
    >>> power = np.stack([1000.0 * tap**2, np.full(1200, 500.0)])
    >>> voltage_exponent(power, voltage, 1.0)[0].round(2).tolist()
    [2.0, 0.0]
    """
    block = max(1, round(_BLOCK_S / period_s))
    log_p, log_v = (np.log(_blocks(values, block)) for values in (power_w, voltage_v))
    if log_p.shape[-1] < 4 or period_s > _BLOCK_S:
        return np.full(len(power_w), np.nan), np.full(len(power_w), np.nan)
    change_p, change_v = log_p[:, 2:] - log_p[:, :-2], log_v[:, 2:] - log_v[:, :-2]
    drive = median_of_others(change_v)
    before = np.diff(log_p, axis=-1, prepend=np.nan)[:, :-2]
    event = _peaks(drive) & np.isfinite(change_p) & np.isfinite(change_v) & np.isfinite(before)
    alike = (np.sign(change_v) == np.sign(drive)) & (np.abs(change_v) <= _AGREE * np.abs(drive))
    answer = ratio(change_p, drive)
    quiet = (np.abs(before) <= _QUIET) & (answer >= _ANSWERS[0]) & (answer <= _ANSWERS[1])
    usable = event & alike & quiet
    count = usable.sum(axis=-1)
    known = (count >= MIN_EVENTS) & (count >= _MIN_SHARE * event.sum(axis=-1))
    exponent, error = _instrumented(*(np.where(usable, values, 0.0) for values in (change_p, change_v, drive)))
    return np.where(known, exponent, np.nan), np.where(known, error, np.nan)


def _blocks(values: Floats, length: int) -> Floats:
    """Means of ``length`` ticks, (meters, blocks), NaN where one is unknown or not positive."""
    whole = values.shape[-1] // length * length
    means = np.where(values > 0, values, np.nan)[:, :whole].reshape(len(values), -1, length).mean(axis=-1)
    result: Floats = means
    return result


def _peaks(drive: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Tell where the change is an event and the largest of its neighbourhood, so that none counts twice."""
    size = zeroed(np.abs(drive))
    padded = np.pad(size, ((0, 0), (1, 1)))
    peaks: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (
        (size >= _EVENT) & (size >= padded[:, :-2]) & (size > padded[:, 2:])
    )
    return peaks


def _instrumented(answer: Floats, cause: Floats, instrument: Floats) -> tuple[Floats, Floats]:
    """Give the instrumental-variable slope without intercept, and its standard error; an event that is 0 is none."""
    strength = product_sum(instrument, cause)
    slope = ratio(product_sum(instrument, answer), strength)
    left = answer - slope[:, None] * cause
    variance = ratio(product_sum(left, left), (instrument != 0).sum(axis=-1) - 1.0)
    return slope, ratio(np.sqrt(variance * product_sum(instrument, instrument)), np.abs(strength))
