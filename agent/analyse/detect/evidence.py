"""Additive evidence: each feature moves the log-odds by what its curve says of its value.

A feature that is unknown (NaN) moves nothing. The sum is honest only because every term can be
shown to people with its number and its share in the verdict. Weights come from
``configs/judgement.toml``, which names the command that fitted them.
"""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from agent.analyse.features.robust import Floats, zeroed
from agent.records import Evidence

_MOVES = 0.05  # of log-odds, about a percent of probability: less is nothing to tell
_MOST_REASONS = 5  # what an operator reads of one meter


@dataclass(frozen=True, slots=True)
class Model:
    """A sum of curves over an intercept, all in natural log-odds.

    Each curve is two rows of equal length, the feature's values, rising, and what they weigh: straight
    between them, level beyond the ends. Two points at one value are a step.
    """

    intercept: float
    curves: Mapping[str, Floats]

    def weigh(self, features: Mapping[str, Floats]) -> tuple[Floats, dict[str, Floats]]:
        """Give the log-odds (meters,) and each curve's part of them.

        >>> model = Model(-1.0, {"dwell": np.array([[0.5, 1.0], [0.0, 4.0]])})
        >>> total, parts = model.weigh({"dwell": np.array([0.2, 0.75, np.nan])})
        >>> total.tolist(), parts["dwell"].tolist()
        ([-1.0, 1.0, -1.0], [0.0, 2.0, 0.0])
        """
        parts = {
            name: zeroed(np.interp(features[name], values, weights)) for name, (values, weights) in self.curves.items()
        }
        total: Floats = self.intercept + np.sum(list(parts.values()), axis=0)
        return total, parts


@dataclass(frozen=True, slots=True)
class Rules:
    """All numbers of the judgement. Log-odds unless the name says otherwise."""

    hidden: tuple[Model, ...]  # one for each age at which an onset is looked at
    dedicated: Model
    hidden_mining: tuple[float, ...]  # mean log-odds of the looks so far, after each of them
    hidden_suspect: float  # of the margin above hidden_mining; negative
    dedicated_mining: float
    dedicated_suspect: float
    dedicated_flat: float
    flatness_cap: float
    power_factor_good: float
    power_factor_bad: float
    power_factor_weight: float
    weather_weight: float
    least_mining_w: float  # of a feeder that is a farm as a whole, or seen by its machines
    least_rise_w: float  # of a hidden load
    estimate_noise: float
    estimate_season: float
    dedicated_overhead: float


@cache
def shipped_rules() -> Rules:
    """Read ``configs/judgement.toml`` as it is shipped."""
    with (files("configs") / "judgement.toml").open("rb") as file:
        table = tomllib.load(file)
    hidden = tuple(_model(table["hidden"][age]) for age in sorted(table["hidden"], key=int))
    return Rules(hidden=hidden, dedicated=_model(table["dedicated"]), **table["fitted"], **table["rules"])


@cache
def shipped_table(section: str) -> Mapping[str, Any]:
    """Read one section of ``configs/judgement.toml`` as it is shipped."""
    with (files("configs") / "judgement.toml").open("rb") as file:
        table: Mapping[str, Any] = tomllib.load(file)[section]
    return table


def _model(table: Mapping[str, Any]) -> Model:
    return Model(table["intercept"], {name: np.array(points).T for name, points in table["points"].items()})


def probability(log_odds: float) -> float:
    """Give the logistic of the log-odds.

    >>> probability(0.0)
    0.5
    """
    return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, log_odds))))


def reasons(
    row: int,
    features: Mapping[str, Floats],
    parts: Mapping[str, Floats],
    texts: Mapping[str, Callable[[float], str]],
) -> tuple[Evidence, ...]:
    """Give one meter's evidence in words, the strongest first; terms that move nothing are left out."""
    known = [name for name in parts if abs(parts[name][row]) >= _MOVES and np.isfinite(features[name][row])]
    strongest = sorted(known, key=lambda name: -abs(parts[name][row]))[:_MOST_REASONS]
    return tuple(
        Evidence(name, float(features[name][row]), round(float(parts[name][row]), 2), texts[name](features[name][row]))
        for name in strongest
    )
