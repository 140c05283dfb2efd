"""Small synthetic facilities, hour by hour: what the judge is told, with a known truth."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from agent.analyse.analyst import Day
from agent.analyse.detect.evidence import shipped_rules
from agent.analyse.recording import Recording
from agent.analyse.replay import replay
from agent.analyse.site import Site
from agent.config import MeterFacts
from agent.records import Judgement

Floats = NDArray[np.float64]

DAY_S = 86_400
START_DAY = 20_458  # Monday, 2026-01-05
RULES = shipped_rules()
NOTHING = (0.0, 0.0, 0.0)  # W of mining


def moments(days: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Give the hour of the day and whether it is a workday, hour by hour from a Monday on."""
    n = np.arange(days * 24)
    return (n % 24).astype(float), n // 24 % 7 < 5


def office(days: int, mean_w: float = 20_000.0, seed: int = 1) -> Floats:
    """An office: busy by day on workdays, a baseload of 40 %, weather and chance."""
    chance = np.random.default_rng(seed)
    hour, workday = moments(days)
    busy = np.exp(-(((hour - 13) / 4.5) ** 2)) * np.where(workday, 1.0, 0.12)
    weather = np.repeat(np.cumsum(chance.normal(0, 0.012, days)), 24)
    weather -= weather.mean()
    load = (0.4 + busy) * (1 + np.clip(weather, -0.1, 0.1)) * (1 + 0.04 * chance.standard_normal(days * 24))
    scaled: Floats = load * mean_w / load.mean()
    return scaled


def farm(days: int, watts: float, first_day: int = 0, last_day: int = 10**6, seed: int = 2) -> Floats:
    """A farm that mines day and night from the first to before the last of its days."""
    chance = np.random.default_rng(seed)
    day = np.arange(days * 24) // 24
    load: Floats = watts * (1 + 0.01 * chance.standard_normal(days * 24)) * ((day >= first_day) & (day < last_day))
    return load


def cold_store(days: int, mean_w: float = 30_000.0, seed: int = 3) -> Floats:
    """Compressors that follow the doors by day and the weather."""
    chance = np.random.default_rng(seed)
    hour, workday = moments(days)
    doors = 0.25 * np.exp(-(((hour - 14) / 5) ** 2)) * np.where(workday, 1.0, 0.3)
    weather = np.repeat(0.1 * np.sin(np.arange(days) / 9) + chance.normal(0, 0.02, days), 24)
    load: Floats = mean_w * (0.85 + doors + weather) * (1 + 0.06 * chance.standard_normal(days * 24))
    return load


def solar(days: int, peak_w: float = 15_000.0, seed: int = 4) -> Floats:
    """A roof: export by day, negative, and nothing at night."""
    chance = np.random.default_rng(seed)
    hour, _ = moments(days)
    clouds = np.repeat(chance.uniform(0.2, 1.0, days), 24)
    load: Floats = -peak_w * np.clip(np.sin((hour - 6) / 12 * np.pi), 0, None) * clouds
    return load


def facts(meter: str, **known: object) -> MeterFacts:
    """Give a meter of which nothing is known but what is given."""
    unknown = dict.fromkeys(("parent", "source", "capacity_wh", "declared", "declared_w", "declared_hours"))
    return MeterFacts(**{"id": meter, "name": meter, "role": "load", **unknown, **known})  # type: ignore[arg-type]


def recording(loads: Mapping[str, Floats], power_factor: float | Sequence[float] = np.nan) -> Recording:
    """Give hourly loads as a recording; NaN is a power factor that is not known."""
    power = np.stack(list(loads.values()))
    factors = np.broadcast_to(np.reshape(power_factor, (-1, 1)), power.shape)
    values = {"active_power_w": power, "power_factor": factors}
    return Recording(tuple(loads), START_DAY * DAY_S, 3600, values)


def judged(
    loads: Mapping[str, Floats],
    *,
    kind: str = "other",
    meters: Sequence[MeterFacts] = (),
    power_factor: float | Sequence[float] = np.nan,
) -> list[Day]:
    """Judge a story day by day."""
    site = Site(kind, tuple(meters) or tuple(facts(meter) for meter in loads))
    return list(replay(recording(loads, power_factor), site, RULES))


def of(days: Sequence[Day], meter: str) -> list[Judgement]:
    """Give the judgements of one meter, day by day."""
    return [judgement for day in days for judgement in day.judgements if judgement.meter == meter]


def verdicts(days: Sequence[Day], meter: str) -> list[str]:
    """Give the verdicts of one meter, day by day."""
    return [judgement.verdict.value for judgement in of(days, meter)]


def since(judgement: Judgement) -> int:
    """Give the day of the story on which the mining is said to have begun."""
    assert judgement.since_s is not None
    return judgement.since_s // DAY_S - START_DAY


def evidence(judgement: Judgement) -> set[str]:
    """Give the names of the reasons."""
    return {reason.evidence for reason in judgement.reasons}
