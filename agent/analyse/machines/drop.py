"""One sudden drop: how much likelier it is of a machine that reboots than of anything else.

Both ways to explain it are densities of what was measured, so their ratio is on average 1 where no
machine is, whatever the load: such ratios can be added up over a week without accusing anybody.
"""

from dataclasses import dataclass

import numpy as np

from agent.analyse.features.robust import Floats

_TAILS = 3.0  # degrees of freedom of Student's t: a change of ten times the usual is rare, not impossible
_UNLIKE = 0.12  # of a drop: a warm restart settles some percent off, and another machine may be under way
_MOST = 4.0  # log-odds that one drop can give: a coincidence of one in fifty must not decide a verdict
_SUPPLY = (-0.06, 0.10)  # tan phi of a step of a machine's supply; while it is plugged in, its capacitors stay
_HEATER = (0.0, 0.05)  # of a resistance
_MOTOR = (0.65, 0.25)  # of a motor, power factor 0.7 to 0.9


@dataclass(frozen=True, slots=True)
class Drop:
    """A sudden drop, and the log of how much likelier it is a reboot."""

    time_s: float
    drop_w: float
    noise_w: float
    tan_phi: float  # NaN where unknown
    log_ratio: float


def log_ratio(drop_w: float, noise_w: float, tan_phi: float, change_w: Floats, wandering_w: Floats) -> float:
    """Weigh the slow change after a drop, and the power factor of its step.

    ``change_w`` and ``wandering_w`` (4,) are what :mod:`returns` gives; the ratio is the mean over
    the four times at which the machine may be back. NaN in ``tan_phi`` weighs nothing.

    >>> usual = np.full(4, 200.0)
    >>> round(log_ratio(3400.0, 50.0, float("nan"), np.array([900.0, 2700.0, 3400.0, 3400.0]), usual), 1)
    4.0
    >>> round(log_ratio(3400.0, 50.0, float("nan"), np.zeros(4), usual), 1)
    -4.0
    """
    usual = np.hypot(wandering_w, noise_w)
    if_back = np.hypot(usual, _UNLIKE * drop_w)
    ratios = _log_density((change_w - drop_w) / if_back) - np.log(if_back) - _log_density(change_w / usual)
    slow = float(np.log(np.mean(np.exp(ratios + np.log(usual)))))
    return float(np.clip(slow, -_MOST, _MOST)) + _factor_ratio(tan_phi, noise_w / drop_w)


def _log_density(deviation: Floats) -> Floats:
    """Give the logarithm of Student's density but for its constant, which cancels."""
    density: Floats = -(_TAILS + 1) / 2 * np.log1p(deviation**2 / _TAILS)
    return density


def _factor_ratio(tan_phi: float, error: float) -> float:
    if not np.isfinite(tan_phi):
        return 0.0
    other = 0.5 * _normal(tan_phi, *_HEATER, error) + 0.5 * _normal(tan_phi, *_MOTOR, error)
    return float(np.clip(np.log((_normal(tan_phi, *_SUPPLY, error) + 1e-9) / (other + 1e-9)), -_MOST, 1.0))


def _normal(value: float, centre: float, spread: float, error: float) -> float:
    width = float(np.hypot(spread, error))
    return float(np.exp(-0.5 * ((value - centre) / width) ** 2)) / width
