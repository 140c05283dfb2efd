"""From the week's signs to log-odds that mining machines run behind a meter.

How the judge uses it, once a day for all meters::

    values = machines.signs(day)
    log_odds, parts = weigh(values, shipped_machine_rules())

``log_odds`` (meters,) is NaN where no poll of two seconds or less was had. From ``rules.mining`` on,
machines are there, whatever the history says: this evidence needs none, so a farm that is older
than the recording is found by it, and one below the hidden test's reach too. From ``rules.suspect``
on it may add to another test's evidence. It says little of how much they draw: ``machines`` times
``quantum_w`` within a factor of three either way; where the hidden test knows a step, that is the
estimate. Its absence speaks against nothing: behind a loud building no single machine is seen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from agent.analyse.detect.evidence import reasons, shipped_table
from agent.analyse.features.robust import Floats
from agent.records import Evidence


@dataclass(frozen=True, slots=True)
class MachineRules:
    """The section ``[machines]`` of ``configs/judgement.toml``, where each number has its because."""

    intercept: float
    evidence_weight: float
    evidence_cap: float
    rhythm_typical: float
    rhythm_weight: float
    reboots_usual: float
    reboots_weight: float
    least_notches: float
    mining: float
    suspect: float


@cache
def shipped_machine_rules() -> MachineRules:
    """Read them as they are shipped."""
    return MachineRules(**shipped_table("machines"))


def weigh(values: Mapping[str, Floats], rules: MachineRules) -> tuple[Floats, dict[str, Floats]]:
    """Give the log-odds (meters,) of mining machines, and the parts; NaN where no seconds were measured.

    A few notches are no pattern, however clear; many that come like clockwork, or more often than
    machines would run with, are of something that is controlled.

    >>> names = ("evidence", "notches_per_week", "rhythm", "reboots_per_machine")
    >>> signs = dict(zip(names, np.array([[20.0], [20.0], [0.2], [1.0]])))
    >>> log_odds, parts = weigh(signs, shipped_machine_rules())
    >>> log_odds.tolist(), {name: part.tolist() for name, part in parts.items()}
    ([6.0], {'evidence': [10.0], 'rhythm': [0.0], 'reboots_per_machine': [0.0]})
    """
    enough = np.minimum(np.nan_to_num(values["notches_per_week"]) / rules.least_notches, 1.0)
    regular = np.maximum(np.nan_to_num(values["rhythm"]) - rules.rhythm_typical, 0.0)
    often = np.log(np.maximum(np.nan_to_num(values["reboots_per_machine"]) / rules.reboots_usual, 1.0))
    parts = {
        "evidence": rules.evidence_weight * np.minimum(np.nan_to_num(values["evidence"]) * enough, rules.evidence_cap),
        "rhythm": -rules.rhythm_weight * regular,
        "reboots_per_machine": -rules.reboots_weight * often,
    }
    total: Floats = rules.intercept + np.sum(list(parts.values()), axis=0)
    return np.where(np.isfinite(values["evidence"]), total, np.nan), {name: part + 0.0 for name, part in parts.items()}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the seconds tell of one meter; log-odds of -inf where no poll was fast enough."""

    log_odds: float
    gain: float  # log-odds that the week adds to anything else that speaks for machines, 0 and up
    power_w: float  # of all of them, within a factor of three either way
    known_days: int
    explain: Callable[[], tuple[Evidence, ...]]


NOTHING = Seen(-np.inf, 0.0, 0.0, 0, lambda: ())


def seen(signs: Mapping[str, Floats] | None, meters: int) -> list[Seen]:
    """Weigh the week's signs of each meter; ``signs`` None where there are no seconds."""
    if signs is None:
        return [NOTHING] * meters
    rules = shipped_machine_rules()
    log_odds, parts = weigh(signs, rules)
    return [
        Seen(
            log_odds=float(log_odds[row]),
            gain=max(0.0, float(log_odds[row]) - rules.intercept),
            power_w=float(np.nan_to_num(signs["machines"][row] * signs["quantum_w"][row])),
            known_days=max(1, round(float(signs["known_days"][row]))),
            explain=partial(reasons, row, signs, parts, TEXTS),
        )
        if np.isfinite(log_odds[row])
        else NOTHING
        for row in range(meters)
    ]


def beside(meters: Sequence[Seen], below: Sequence[Sequence[int]]) -> list[Seen]:
    """Take off each meter what its sub-meters, rows ``below``, show too: a machine is seen by every meter above it."""
    shown = [max((meters[row].gain for row in rows), default=0.0) for rows in below]
    return [
        replace(meter, log_odds=meter.log_odds - there, gain=max(0.0, meter.gain - there))
        for meter, there in zip(meters, shown, strict=True)
    ]


TEXTS: Mapping[str, Callable[[float], str]] = {
    "evidence": lambda value: (
        f"single machines drop out and climb back over minutes, as miners that reboot do (log-likelihood {value:.1f})"
    ),
    "notches_per_week": lambda value: f"about {value:.0f} such reboots a week",
    "quantum_w": lambda value: f"one machine draws about {value:,.0f} W",
    "notch_tan_phi": lambda value: f"the steps have the reactive power of rectifiers (tan phi {value:.2f})",
    "rhythm": lambda value: f"{value:.0%} of the drops come at one interval, as of a controlled machine",
    "reboots_per_machine": lambda value: (
        f"a machine would restart {value:.0f} times a week at least, too often to mine"
    ),
}
