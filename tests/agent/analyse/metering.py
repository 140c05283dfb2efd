"""Windows of meters for the checks of the metering: of the simulator's plants, and of one meter made by hand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.quality.inspector import Inspector
from agent.analyse.window import IDENTITY, WINDOW_QUANTITIES, coverage, last, quality
from agent.config import MeterFacts
from agent.records import Notice, Window
from firmware_sim.feeder import BLOCK
from firmware_sim.plant import Plant
from firmware_sim.scenario import Scenario, read_scenario
from tests.agent.analyse.stories import facts

START_S = 1_767_571_200  # Monday, 2026-01-05
PERIOD_S = 60.0
WINDOW_S = 900
TICKS = 15  # of a window
DAY = 96  # windows
Series = dict[str, Floats]  # of one meter, each (ticks,)
SLOW = ("active_energy_import_wh", "active_energy_export_wh")


def windowed(
    start_s: int, period_s: float, window_s: int, meters: tuple[str, ...], series: dict[str, Floats]
) -> Window:
    """Close a window of these series, each (meters, ticks); what is not given is unknown."""
    shape = next(iter(series.values())).shape
    values = {name: series.get(name, np.full(shape, np.nan)) for name in WINDOW_QUANTITIES}
    everybody = np.ones(len(meters))
    return Window(
        start_s=start_s,
        window_s=window_s,
        period_s=period_s,
        meters=meters,
        values=values,
        identity={name: last(series[name]) if name in series else np.full(len(meters), np.nan) for name in IDENTITY},
        coverage=coverage(values["active_power_w"]),
        quality=quality(values, period_s, everybody, 0 * everybody),
    )


def facts_of(scenario: Scenario) -> tuple[MeterFacts, ...]:
    """Give what the agent's configuration says of the scenario's meters."""
    return tuple(
        facts(
            meter.id,
            name=meter.name,
            role=meter.role,
            parent=meter.parent,
            declared=meter.declared,
            declared_w=meter.declared_w,
        )
        for meter in scenario.meters
    )


def simulated(scenario: Scenario, days: float, period_s: float, slow_s: float, window_s: int) -> Iterator[Window]:
    """Poll a scenario's meters without a bus: what their models have, energies once in ``slow_s``, as float32."""
    plant = Plant(scenario)
    meters = tuple(plant.feeders)
    ticks = round(window_s / period_s)
    blocks: dict[int, dict[str, dict[str, Floats]]] = {}
    for start in range(round(days * 86_400 / window_s)):
        times_s = scenario.start_s + start * window_s + period_s * np.arange(ticks)
        steps = (times_s // scenario.step_s).astype(np.int64)
        for block in {*(steps // BLOCK).tolist()} - blocks.keys():
            blocks[block] = {name: feeder.values(block) for name, feeder in plant.feeders.items()}
        series = {name: np.full((len(meters), ticks), np.nan) for name in (*WINDOW_QUANTITIES, *IDENTITY)}
        for row, meter in enumerate(scenario.meters):
            has = {entry.name for entry in meter.registers.entries}
            for name in has & series.keys():
                read = np.array([blocks[s // BLOCK][meter.id][name][s % BLOCK] for s in steps.tolist()])
                series[name][row] = read.astype(np.float32)
                if name in SLOW:
                    series[name][row] = np.where(
                        times_s % slow_s < period_s, (read / 1000).astype(np.float32) * 1000.0, np.nan
                    )
        yield windowed(int(scenario.start_s) + start * window_s, period_s, window_s, meters, series)


def shipped(name: str) -> Scenario:
    """Read one of the scenarios that ship with the program."""
    return read_scenario(Path(__file__).parents[3] / f"configs/scenarios/{name}.toml", 1_767_571_200.0)


def metered(watts: Floats, seed: int = 1, factor: float = 0.95, period_s: float = PERIOD_S) -> Series:
    """Give everything that an honest three-phase meter says of a load; its energy register has steps of 10 Wh."""
    chance = np.random.default_rng(seed)
    grid = np.random.default_rng(0).normal(0, 0.004, len(watts)).cumsum() * 0.1  # the same for all meters of a site
    shares = np.array([0.35, 0.33, 0.32])[:, None]
    volts = 230 * (1 + 0.002 * chance.standard_normal((3, len(watts))))
    series = {
        "active_power_w": watts,
        "apparent_power_va": np.abs(watts) / factor,
        "reactive_power_var": np.abs(watts) / factor * np.sqrt(1 - factor**2),
        "power_factor": np.full(len(watts), factor),
        "frequency_hz": 50 + np.clip(grid, -0.1, 0.1) + 0.001 * chance.standard_normal(len(watts)),
        "active_energy_import_wh": 48e6 + _counted(np.maximum(watts, 0), period_s),
        "active_energy_export_wh": 1e6 + _counted(np.maximum(-watts, 0), period_s),
    }
    for phase in range(3):
        series[f"active_power_l{phase + 1}_w"] = shares[phase] * watts
        series[f"voltage_l{phase + 1}_v"] = volts[phase]
        series[f"current_l{phase + 1}_a"] = shares[phase] * np.abs(watts) / factor / volts[phase]
    return series


def _counted(watts: Floats, period_s: float) -> Floats:
    before: Floats = np.concatenate(([0.0], np.cumsum(watts)[:-1])) * period_s / 3600
    return np.floor(before / 10) * 10


def load(windows: int, watts: float = 20_000.0, seed: int = 1, ticks: int = TICKS) -> Floats:
    """Give a load that moves by 3 % from poll to poll around its mean."""
    moving: Floats = watts * (1 + 0.03 * np.random.default_rng(seed).standard_normal(windows * ticks))
    return moving


@dataclass(frozen=True)
class Told:
    """What came of a story: letters by meter, one a window, and what was told, with the number of its window."""

    letters: Mapping[str, str]
    notices: Sequence[tuple[int, Notice]]

    @property
    def texts(self) -> list[str]:
        """The texts."""
        return [notice.text for _, notice in self.notices]

    def checks(self) -> list[tuple[int, str, str]]:
        """Give window, check and state of each quality event."""
        return [(number, str(n.data["check"]), str(n.data["state"])) for number, n in self.notices]


def inspected(
    meters: Mapping[str, Series],
    sheet: Sequence[MeterFacts] | None = None,
    limits_w: Mapping[str, float] | None = None,
    period_s: float = PERIOD_S,
    window_s: int = WINDOW_S,
    restart_before: int = -1,
) -> Told:
    """Inspect a story window by window; ``restart_before`` is a window before which only the state survives."""
    names = tuple(meters)
    sheet = sheet or [facts(name) for name in names]
    ticks = round(window_s / period_s)
    length = len(next(iter(meters.values()))["active_power_w"]) // ticks
    known = {name for series in meters.values() for name in series}
    inspector = Inspector(sheet, limits_w)
    letters: dict[str, str] = dict.fromkeys(names, "")
    notices: list[tuple[int, Notice]] = []
    for number in range(length):
        if number == restart_before:
            inspector = Inspector(sheet, limits_w, inspector.state)
        cut = slice(number * ticks, (number + 1) * ticks)
        blank = np.full(ticks, np.nan)
        series = {
            name: np.array([own[name][cut] if name in own else blank for own in meters.values()]) for name in known
        }
        found = inspector.take(windowed(START_S + number * window_s, period_s, window_s, names, series))
        notices += [(number, notice) for notice in found.notices]
        for name, letter in zip(names, found.window.quality, strict=True):
            letters[name] += letter.value
    return Told(letters, notices)
