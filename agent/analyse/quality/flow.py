"""How well is the power known over an interval? Its spread, counted window by window; arrays (meters, 2)."""

from dataclasses import dataclass

import numpy as np

from agent.analyse.features.robust import Floats, mean, zeroed
from agent.analyse.quality.view import LOW, Flags, View


@dataclass(frozen=True, slots=True)
class Flow:
    """Powers of an interval in the direction that fills a register.

    ``squares_w2`` is the sum of squared deviations from the mean. ``low_w`` is minus infinity where
    phases flow in different directions: meters that count each phase for itself then move both registers.
    """

    low_w: Floats
    high_w: Floats
    mean_w: Floats
    squares_w2: Floats
    known: Floats  # ticks with a power
    ticks: Floats

    @property
    def sum_variance_w2(self) -> Floats:
        """Variance of the sum of the known powers, as samples of what flowed: N times their variance."""
        variance: Floats = self.squares_w2 * self.known / np.maximum(self.known - 1, 1)
        return variance

    def joined(self, next_one: "Flow") -> "Flow":
        """Give the flow over this interval and the next one; the spread by Chan's pairwise form.

        >>> one, two = (np.array([float(n)]) for n in (1, 2))
        >>> nothing = np.zeros(1)
        >>> Flow(one, one, one, nothing, one, one).joined(Flow(two, two, two, nothing, one, one)).squares_w2.item()
        0.5
        """
        known = self.known + next_one.known
        apart = next_one.mean_w - self.mean_w
        share = next_one.known / np.maximum(known, 1)
        return Flow(
            np.fmin(self.low_w, next_one.low_w),
            np.fmax(self.high_w, next_one.high_w),
            self.mean_w + apart * share,
            self.squares_w2 + next_one.squares_w2 + apart**2 * self.known * share,
            known,
            self.ticks + next_one.ticks,
        )

    def replaced(self, where: Flags, other: "Flow") -> "Flow":
        """Give ``other`` in some places."""
        return Flow(
            np.where(where, other.low_w, self.low_w),
            np.where(where, other.high_w, self.high_w),
            np.where(where, other.mean_w, self.mean_w),
            np.where(where, other.squares_w2, self.squares_w2),
            np.where(where, other.known, self.known),
            np.where(where, other.ticks, self.ticks),
        )


def nothing(shape: tuple[int, int]) -> Flow:
    """Give the flow of no time."""
    zero, unknown = np.zeros(shape), np.full(shape, np.nan)
    return Flow(unknown, unknown, zero, zero, zero, zero)


def flow(view: View, moved: Flags) -> Flow:
    """Give the flow of a window; ``moved`` (meters, 2) are the registers that did.

    Where the other register moves too, phases flow in different directions, or the sign changed between polls.
    """
    phase_low_w = np.fmin.reduce(view.phase_power_w, axis=(1, 2))
    phase_high_w = np.fmax.reduce(view.phase_power_w, axis=(1, 2))
    power_w = view.window.values["active_power_w"]
    mixed = (phase_low_w < -LOW * view.largest_w) & (phase_high_w > LOW * view.largest_w)
    known = np.isfinite(power_w).sum(axis=-1).astype(float)
    mean_w = np.nan_to_num(mean(power_w))
    squares_w2 = zeroed((power_w - mean_w[:, None]) ** 2).sum(axis=-1)
    low_w, high_w = np.fmin.reduce(power_w, axis=-1), np.fmax.reduce(power_w, axis=-1)
    ticks = np.full(len(power_w), float(power_w.shape[-1]))
    return Flow(
        low_w=np.where(mixed[:, None] | moved[:, ::-1], -np.inf, np.stack([low_w, -high_w], axis=1)),
        high_w=np.stack([high_w, -low_w], axis=1),
        mean_w=np.stack([mean_w, -mean_w], axis=1),
        squares_w2=np.stack([squares_w2, squares_w2], axis=1),
        known=np.stack([known, known], axis=1),
        ticks=np.stack([ticks, ticks], axis=1),
    )
