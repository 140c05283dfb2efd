"""Sudden steps of the power: the difference of the means of a minute after and before, against the meter's own noise.

A mean over a minute lets an edge of one machine (3.4 kW) be seen in a building whose power jumps about
by 2.5 kW from second to second. A ramp of minutes lifts this difference too; its slope shows in the
means further out, and what remains when the slope is taken off tells a step from a ramp.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats, median

HALF = 10  # bins, one minute, on each side of an edge: a machine that trips stays away longer
REACH = 2 * HALF  # bins that must be known on each side
_LEAST_W = 1000.0  # of the smallest machine still run (S9, 1,400 W) with some throttling
_NOISE_TIMES = 4.5  # a quiet week holds 10,000 independent looks: of the noise alone, one in ten weeks
_NOISE_FLOOR_W = 30.0  # of a difference: no meter of a whole feeder is finer than that
_MAD = 1.4826  # from the median of absolute values to a standard deviation
_SHARPNESS = 0.5  # of a step that remains without its slope: 1 for a jump, 0 for a ramp of minutes


@dataclass(frozen=True, slots=True)
class Edge:
    """One sudden step; ``bin`` is the first bin after it, counted since 1970."""

    bin: int
    step_w: float
    noise_w: float  # standard deviation of ``step_w``
    tan_phi: float  # reactive over active part of the step, inductive positive
    tan_error: float  # its standard deviation; NaN where reactive power is unknown
    is_remnant: bool = (
        False  # of a larger step of a motor or of the building, which the coupling did not take off whole
    )


@dataclass(frozen=True, slots=True)
class Steps:
    """The step at each boundary between bins, (meters, boundaries), and each meter's noise (meters,)."""

    active_w: Floats
    jump_w: Floats  # without the slope around it
    noise_w: Floats


def steps(level: Floats) -> Steps:
    """Give the steps at all boundaries with ``REACH`` bins on each side, of minutes' means from each bin on.

    >>> found = steps(np.array([[5000.0] * 10 + np.linspace(5000, 2000, 11).tolist() + [2000.0] * 10]))
    >>> found.active_w.tolist(), found.jump_w.tolist()
    ([[-3000.0]], [[-3000.0]])
    """
    near = differences(level)
    far = level[:, REACH + HALF :] - level[:, : level.shape[1] - REACH - HALF]
    return Steps(near, (3 * near - far) / 2, noise(near))


def differences(level: Floats) -> Floats:
    """Give the minute's mean after each boundary of :func:`steps` over that before."""
    difference: Floats = level[:, REACH : level.shape[1] - HALF] - level[:, HALF : level.shape[1] - REACH]
    return difference


def noise(steps_w: Floats) -> Floats:
    """Give the standard deviation of differences, (meters,), as if most of them were of noise alone."""
    spread: Floats = np.maximum(_MAD * np.nan_to_num(median(np.abs(steps_w))), _NOISE_FLOOR_W)
    return spread


def sudden(found: Steps) -> NDArray[np.intp]:
    """Give (row, boundary) of each sudden step, shape (edges, 2): the largest within ``HALF`` bins of itself."""
    size = np.abs(found.active_w)
    limit = np.maximum(_NOISE_TIMES * found.noise_w, _LEAST_W)[:, None]
    with np.errstate(invalid="ignore"):
        high = size > limit
    rows = np.flatnonzero(high.any(axis=-1))
    edges = [(row, b) for row in rows for b in _peaks(size[row], high[row]) if _is_sharp(found, row, b)]
    return np.array(edges, dtype=np.intp).reshape(-1, 2)


def _peaks(size: Floats, high: NDArray[np.bool_]) -> list[int]:
    """Give where a step is the first largest around."""
    first = {int(b): max(0, int(b) - HALF) for b in np.flatnonzero(high)}
    return [b for b, start in first.items() if start + np.nanargmax(size[start : b + HALF + 1]) == b]


def _is_sharp(found: Steps, row: np.intp, boundary: int) -> bool:
    step, jump = found.active_w[row, boundary], found.jump_w[row, boundary]
    return not jump / step < _SHARPNESS  # where the wider surroundings are unknown, the step stands
