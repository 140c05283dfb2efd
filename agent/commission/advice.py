"""What to do about the counts of ``status.json``: each sentence names what is wrong, where, and the next step."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

_FULL = 0.8  # of the time in use: a few time-outs more, and ticks are skipped
_COMFORTABLE = 0.7  # use that leaves room for time-outs and slow reads
_NOTABLE = 0.01  # share of the polls; less is the noise of a long line
_SILENT = 3  # polls in a row
_PERIODS_S = (0.2, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120, 300, 600, 900)  # people like round ones

_STEPS = {
    "timeout": "check its supply, its wiring and its unit id; `flatwatt doctor` looks closer",
    "disconnected": "check the cable, the adapter or the network, and that no other program holds the line",
    "exception": "check the unit id, that the profile fits the model, and that no other master keeps it busy",
    "garbage": "check baud, parity and termination, and that no other master polls the line",
    "wrong_unit": "check that no two meters have the same unit id",
    "wrong_function": "check that no other master polls the line",
    "wrong_length": "check that the profile fits the model",
    "wrong_transaction": "look for an update of the gateway's firmware: its answers cannot be told apart",
}

Counts = Mapping[str, Any]


def advice(status: Counts, period_s: float) -> list[str]:
    """Give what is wrong with buses and meters, and the next step; nothing where all is well.

    >>> bus = {"utilisation": 0.93, "overruns": 0, "period_p95_s": 1.1}
    >>> advice({"buses": {"hall": bus}, "meters": {}}, period_s=1.0)
    ['bus hall is in use 93% of the time: raise poll.period_s to 2, or move meters to another bus']
    """
    found = [text for name, bus in status["buses"].items() for text in _of_bus(name, bus, period_s)]
    return found + [text for name, meter in status["meters"].items() for text in _of_meter(name, meter)]


def _of_bus(name: str, bus: Counts, period_s: float) -> Iterator[str]:
    use = bus["utilisation"] or 0.0
    period_p95_s = bus["period_p95_s"] or period_s
    if use > _FULL:
        wanted_s = period_s * use / _COMFORTABLE * max(1.0, period_p95_s / period_s)
        longer_s = next((round_s for round_s in _PERIODS_S if round_s >= wanted_s), math.ceil(wanted_s))
        yield (
            f"bus {name} is in use {use:.0%} of the time: raise poll.period_s to {longer_s:g}, "
            "or move meters to another bus"
        )
    elif bus["overruns"] and period_p95_s > 1.5 * period_s:
        yield f"bus {name} skipped {bus['overruns']} ticks: look for slow or silent meters below"


def _of_meter(name: str, meter: Counts) -> Iterator[str]:
    where = f"meter {name} (unit {meter['unit']} on {meter['bus']})"
    polls = max(1, meter["polls"])
    if meter["silent_polls"] >= _SILENT:
        reason = max(meter["failures"], key=meter["failures"].get, default="timeout")
        step = _STEPS["timeout" if reason == "exception" else reason]  # a gateway says by exception that nobody answers
        yield f"{where} has not answered {meter['silent_polls']} polls in a row: {meter['last_error']}; {step}"
        return
    for reason, count in meter["failures"].items():
        searched = reason == "exception" and meter["learned"]  # the refusals of a search, which taught something
        if count > _NOTABLE * polls and count >= _SILENT and not searched:
            yield f"{where} failed {count} times in {polls} polls ({reason}): {meter['last_error']}; {_STEPS[reason]}"
    if meter["out_of_range"] > _NOTABLE * polls:
        yield f"{where} gave {meter['out_of_range']} impossible values: check its profile and the word order"
    if meter["missed"] > _NOTABLE * (polls + meter["missed"]) and meter["missed"] >= _SILENT:
        yield f"{where} missed {meter['missed']} ticks: the bus had no time for it; see the bus"
