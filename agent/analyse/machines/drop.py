"""One sudden drop: how much likelier it is of a machine that reboots than of anything else.

Both ways to explain it are densities of what was measured, so their ratio is on average 1 where no
machine is, whatever the load: such ratios can be added up over a week without accusing anybody.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats
from agent.analyse.machines.edges import Edge
from agent.analyse.machines.returns import MINUTES

_BACK_MIN = (5.0, 7.0, 9.0, 11.5, 14.0, 17.0)  # after the drop, when a machine may be at full power again
_STILL = 0.3  # of that time it is down, boots and tests its fans, then its frequency rises
_RETURNS = np.clip((MINUTES / np.array(_BACK_MIN)[:, None] - _STILL) / (1 - _STILL), 0, 1)  # (6, 11), of the drop
_JUMPS = (MINUTES[MINUTES > 0, None] <= MINUTES) * 1.0  # (8, 11): back in one step, between two looks
_MISSED = 0.1  # of the steps back, at most, that were not seen as such, as they came close to another
_TAILS = 4.0  # degrees of freedom of Student's t: a change of ten times the usual is rare, not impossible
_UNLIKE = 0.12  # of a drop: a warm restart settles some percent off, and another machine may be under way
_MOST = 4.0  # log-odds that one drop can give: a coincidence of one in fifty must not decide a verdict
_FINEST_W = 20.0  # of a level: no meter of a whole feeder is finer than that
_RELATIVE = 1e-9  # of the usual variance: a float64 holds 16 digits, and a meter that leaps by GW leaves 20 W in none
_SUPPLY = (-0.06, 0.10)  # tan phi of a step of a machine's supply; while it is plugged in, its capacitors stay
_HEATER = (0.0, 0.05)  # of a resistance
_MOTOR = (0.65, 0.25)  # of a motor, power factor 0.7 to 0.9


@dataclass(frozen=True, slots=True)
class Drop:
    """A sudden drop, and the log of how much likelier it is a reboot."""

    time_s: float
    drop_w: float
    noise_w: float
    tan_phi: float  # NaN where unknown or as good as that
    log_ratio: float


def log_ratio(edge: Edge, change_w: Floats, usual: Floats) -> float:
    """Weigh the slow change around a drop, and the power factor of its step.

    ``change_w`` (11,) and its ``usual`` covariance (11, 11) are what :mod:`returns` gives; the
    ratio is the mean over the times after which the machine may be back.

    >>> drop, usual = Edge(0, -3400.0, 50.0, 0.0, float("nan")), 200.0**2 * np.eye(11)
    >>> back = 3400.0 * np.clip((MINUTES - 3) / 5, 0, 1)
    >>> log_ratio(drop, back, usual), log_ratio(drop, 0 * back, usual)
    (4.0, -4.0)
    >>> log_ratio(drop, back, 1e10**2 * np.ones((11, 11))) < 0.1  # a meter gone mad says nothing, and breaks nothing
    True
    """
    before, after = (MINUTES < 0) * 1.0, (MINUTES > 0) * 1.0
    finest = _FINEST_W**2 + _RELATIVE * usual.trace()
    error = edge.noise_w**2 * (np.outer(before, before) + 0.5) + finest * np.eye(len(MINUTES))
    precision = np.linalg.inv(usual + error + (_UNLIKE * edge.step_w) ** 2 * np.outer(after, after))
    machine = _density(change_w + edge.step_w * _RETURNS, precision).mean()
    jump = _density(change_w + edge.step_w * _JUMPS, precision).mean()
    stays = _density(change_w[None], precision)[0]
    slow = np.log(machine / ((1 - _MISSED) * stays + _MISSED * jump))
    return float(np.clip(slow, -_MOST, _MOST)) + _factor_ratio(edge.tan_phi, edge.tan_error)


def _density(deviations: Floats, precision: NDArray[np.floating]) -> Floats:
    """Give Student's density of each row but for its constant, which cancels."""
    distance = ((deviations @ precision) * deviations).sum(axis=-1)
    density: Floats = (1 + distance / _TAILS) ** (-(_TAILS + deviations.shape[-1]) / 2)
    return density


def _factor_ratio(tan_phi: float, error: float) -> float:
    """Weigh the power factor; where it is unknown, it weighs nothing."""
    if not np.isfinite(error):
        return 0.0
    other = 0.5 * _normal(tan_phi, *_HEATER, error) + 0.5 * _normal(tan_phi, *_MOTOR, error)
    return float(np.clip(np.log((_normal(tan_phi, *_SUPPLY, error) + 1e-9) / (other + 1e-9)), -_MOST, 1.0))


def _normal(value: float, centre: float, spread: float, error: float) -> float:
    width = float(np.hypot(spread, error))
    return float(np.exp(-0.5 * ((value - centre) / width) ** 2)) / width
