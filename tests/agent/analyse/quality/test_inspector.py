"""The inspection as a whole: which letter stands, what a restart and a clock leave of it."""

import msgspec
import numpy as np
import pytest

from agent.analyse.quality.inspector import CHECKS, Inspector
from agent.records import Quality
from tests.agent.analyse.metering import (
    DAY,
    PERIOD_S,
    START_S,
    TICKS,
    WINDOW_S,
    Series,
    inspected,
    load,
    metered,
    windowed,
)
from tests.agent.analyse.stories import facts

IMPORT = "active_energy_import_wh"


def one_window(inspector: Inspector, number: int, meters: dict[str, Series]) -> tuple[str, list[str]]:
    """Inspect the window of this number; give the letters and the events."""
    cut = slice(number * TICKS, (number + 1) * TICKS)
    series = {name: np.array([own[name][cut] for own in meters.values()]) for name in next(iter(meters.values()))}
    found = inspector.take(windowed(START_S + number * WINDOW_S, PERIOD_S, WINDOW_S, tuple(meters), series))
    return "".join(letter.value for letter in found.window.quality), [notice.event for notice in found.notices]


def test_the_letter_of_the_answers_stands_before_all_others() -> None:
    """Of a meter that is frozen while its energy contradicts its power, the first is said of the windows."""
    series = metered(load(40))
    series[IMPORT] = series[IMPORT][0] + 2 * (series[IMPORT] - series[IMPORT][0])
    series = {
        name: np.where(np.arange(40 * TICKS) < 20 * TICKS, values, values[20 * TICKS])
        for name, values in series.items()
    }

    told = inspected({"office": series})

    assert told.letters["office"][10:30] == "E" * 10 + "K" * 10


def test_a_restart_with_other_meters_keeps_what_is_known_of_those_that_stay() -> None:
    """The order of the configuration is the user's; a meter that was added begins anew."""
    first = {"a": metered(load(40, seed=1), 1), "b": metered(load(40, seed=2), 2)}
    for number, series in enumerate(first.values(), start=1):
        series["serial_number"] = np.full(40 * TICKS, float(number))
    inspector = Inspector([facts("a"), facts("b")])
    one_window(inspector, 0, first)
    later = {
        "b": first["b"] | {"serial_number": np.full(40 * TICKS, 7.0)},
        "c": metered(load(40)) | {"serial_number": np.full(40 * TICKS, 3.0)},
    }

    again = Inspector([facts("b"), facts("c")], state=inspector.state)

    assert one_window(again, 1, later) == ("XG", ["exchange"])


def test_a_state_of_another_version_begins_anew() -> None:
    """A gateway must go on measuring."""
    inspector = Inspector([facts("a")], state=b"\x93 not ours")

    assert one_window(inspector, 0, {"a": metered(load(2))}) == ("G", [])


def test_a_part_of_the_state_that_has_another_shape_begins_anew() -> None:
    """An update may count phases where the version before counted meters; a serial number is not forgotten."""
    meters = {"a": metered(load(2)) | {"serial_number": np.full(2 * TICKS, 1.0)}}
    inspector = Inspector([facts("a")])
    one_window(inspector, 0, meters)
    state = msgspec.msgpack.decode(inspector.state)
    state["kept"]["wiring"]["carried_s"] = [[1.0, 2.0]]
    state["kept"]["power"]["largest_w"] = []
    other = {"a": meters["a"] | {"serial_number": np.full(2 * TICKS, 2.0)}}

    again = Inspector([facts("a")], state=msgspec.msgpack.encode(state))

    assert one_window(again, 1, other) == ("X", ["exchange"])


def test_a_ratio_that_was_put_right_in_the_configuration_is_no_tampering() -> None:
    """All readings are forty times as high from then on: that is told as what it is."""
    series = metered(load(2))
    ratios = [{"configured_ct_ratio": [ratio]} for ratio in (1.0, 40.0)]
    inspector = Inspector([facts("a")], configured=ratios[0])
    one_window(inspector, 0, {"a": series})
    scaled = {name: values * (40 if name.endswith(("_w", "_wh", "_a")) else 1) for name, values in series.items()}

    again = Inspector([facts("a")], state=inspector.state, configured=ratios[1])
    letters, events = one_window(again, 1, {"a": scaled})

    assert (letters, events) == ("X", ["configuration"])


def test_a_generator_that_was_declared_ends_the_case() -> None:
    """As the text advises: its meter's windows are judged again."""
    meters = {"a": metered(-load(DAY + 8))}
    inspector = Inspector([facts("a")])
    before = [one_window(inspector, number, meters) for number in range(DAY)]

    declared = Inspector([facts("a", role="generation")], state=inspector.state)
    after = [one_window(declared, number, meters) for number in range(DAY, DAY + 4)]

    assert before[-1] == ("W", ["quality"])
    assert after[-1] == ("G", ["quality"])


def test_a_limit_that_was_taken_back_ends_the_case() -> None:
    """Nothing bounds the power any more, so nothing keeps its windows from the judgement."""
    meters = {"a": metered(load(4))}
    inspector = Inspector([facts("a")], {"a": 1000.0})

    assert one_window(inspector, 0, meters) == ("O", ["quality"])
    assert one_window(Inspector([facts("a")], state=inspector.state), 1, meters) == ("G", ["quality"])


def test_a_clock_that_was_set_back_resets_no_register() -> None:
    """The readings before are later ones then, and higher."""
    meters = {"a": metered(load(40))}
    inspector = Inspector([facts("a")])
    for number in (*range(20, 30), *range(5, 20)):
        assert one_window(inspector, number, meters) == ("G", [])


def test_every_letter_but_those_of_the_answers_is_set_by_a_check() -> None:
    """A letter that nothing sets would be a promise that nobody keeps."""
    by_checks = {check.letter for check in CHECKS} | {Quality.EXCHANGED, Quality.RESET}

    assert set(Quality) - by_checks == {Quality.PARTIAL}


@pytest.mark.parametrize(
    "has",
    [
        "",
        "reactive_power_var power_factor",
        "apparent_power_va power_factor",
        "voltage_l1_v voltage_l2_v voltage_l3_v frequency_hz",
        "current_l1_a current_l2_a current_l3_a voltage_l1_v voltage_l2_v voltage_l3_v",
        "active_power_l1_w active_power_l2_w active_power_l3_w current_l1_a current_l2_a current_l3_a",
        "active_energy_import_wh",
    ],
)
def test_what_a_meter_lacks_need_not_be_looked_for(has: str) -> None:
    """Alone, where checks without their quantities are left out, the same is told as beside a meter that has all."""
    whole = metered(load(48, seed=2))
    own = {name: values for name, values in metered(load(48)).items() if name in has.split()}
    own["active_power_w"] = metered(load(48))["active_power_w"]
    faulty = slice(16 * TICKS, 32 * TICKS)
    for name in own.keys() & {"active_power_w", "voltage_l1_v", "current_l1_a"}:
        own[name][faulty] *= 10 if name == "active_power_w" else 0.01
    own["active_power_w"][40 * TICKS : 41 * TICKS] = np.nan

    alone, beside = inspected({"own": own}), inspected({"own": own, "whole": whole})

    assert alone.letters["own"] == beside.letters["own"]
    assert alone.notices == [(number, notice) for number, notice in beside.notices if notice.meter == "own"]
    assert "own: answers, with an active power in 0 %" in "".join(alone.texts)
