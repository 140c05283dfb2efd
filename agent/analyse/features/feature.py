"""What a row of the feature tables says."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from agent.analyse.features.robust import Floats

Input = TypeVar("Input")


class Range(NamedTuple):
    """Unit and bounds of a feature, for a load that only takes; NaN, unknown, is always possible."""

    unit: str
    low: float
    high: float


SHARE = Range("", 0.0, 1.0)
CORRELATION = Range("", -1.0, 1.0)
RATIO = Range("", 0.0, math.inf)
CHANGE = Range("", -math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Feature(Generic[Input]):
    """One feature: in one line what it says, where it comes from, its range, and how it is computed."""

    text: str
    source: str
    range: Range
    compute: Callable[[Input], Floats]
