"""Streaming windows and their features against the batch oracle, at every prefix of the samples."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.analyse.window import WindowBuilder, window_features
from agent.records import Quality, Sample, Window
from tests.oracles import BatchWindow

METERS = ("main", "feeder")
PERIOD_S = 60.0
WINDOW_S = 600
TICKS = 10
START_S = 1_700_000_220.0  # on the ticks' grid, inside a window


@dataclass(frozen=True)
class Arrival:
    """One sample and the moment at which it comes in."""

    now_s: float
    sample: Sample


POWERS = st.sampled_from([math.nan, 0.0, -5.0, 100.0, 100.0, 101.5, 3400.0])
VALUES = st.fixed_dictionaries(
    {"active_power_w": POWERS},
    optional={
        "apparent_power_va": st.sampled_from([math.nan, 0.0, 120.0]),
        "power_factor": st.sampled_from([math.nan, -0.9, 0.99]),
        "voltage_l1_v": st.sampled_from([math.nan, 230.0, 230.0, 230.1]),
        "current_l2_a": st.sampled_from([math.nan, 0.0, 5.0]),
        "frequency_hz": st.sampled_from([50.0, 50.0, 50.01]),
        "active_energy_import_wh": st.sampled_from([math.nan, 99_999_990.0, 99_999_999.0, 3.0]),  # rolls over
        "thd_current_l1_percent": st.just(4.0),  # of no use to a window
    },
)
STATUSES = st.sampled_from(["ok", "ok", "ok", "timeout", "backoff", "exception", "range"])


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Samples in the order of arrival: ticks are left out, samples come late, twice, or as NaN."""
    tick = 0
    result: list[Arrival] = []
    for ahead, meter, late, status, values in draw(
        st.lists(
            st.tuples(
                st.integers(0, 3), st.sampled_from(METERS), st.sampled_from([0] * 6 + [1, 4, 12]), STATUSES, VALUES
            ),
            max_size=40,
        )
    ):
        tick += ahead
        time_s = START_S + (max(tick - late, 0) if result else tick) * PERIOD_S  # the first one is on time
        result.append(Arrival(START_S + tick * PERIOD_S, Sample(meter, time_s, status, values)))
    return result


def start_of(time_s: float) -> int:
    """Give the start of the window that holds a time."""
    return int(time_s) // WINDOW_S * WINDOW_S


def batch(stream: list[Arrival], start_s: int) -> dict[str, BatchWindow]:
    """Give one window from the whole stream: what arrived for it while it was open."""
    inside = [a.sample for a in stream if start_of(a.now_s) == start_s == start_of(a.sample.time_s)]
    ticks = [round((sample.time_s - start_s) / PERIOD_S) for sample in inside]
    windows = {meter: BatchWindow(TICKS, PERIOD_S, min(ticks, default=0), max(ticks, default=-1)) for meter in METERS}
    return {meter: window.fill((s for s in inside if s.meter == meter), start_s) for meter, window in windows.items()}


def assert_same(window: Window, expected: dict[str, BatchWindow]) -> None:
    """Compare values, coverage, quality and features."""
    features = window_features(window)
    for row, meter in enumerate(METERS):
        oracle = expected[meter]
        for quantity, series in oracle.series.items():
            np.testing.assert_array_equal(window.values[quantity][row], series)
        assert window.coverage[row] == pytest.approx(oracle.coverage)
        assert window.quality[row].value == oracle.quality
        for name, value in oracle.features.items():
            assert features[name][row] == pytest.approx(value, rel=1e-12, nan_ok=True), name


def streamed(builder: WindowBuilder, stream: list[Arrival]) -> Iterator[Window]:
    """Feed a builder as the pipeline does: close what is over, then add."""
    for arrival in stream:
        window = builder.close(arrival.now_s)
        if window is not None:
            yield window
        builder.add([arrival.sample])


@settings(max_examples=50, derandomize=True, deadline=None)
@given(arrivals())
@example([])
def test_streaming_equals_batch_at_every_prefix(stream: list[Arrival]) -> None:
    """Whatever is missing, late, doubled or NaN: closed windows and the open one hold what the whole stream says."""
    builder = WindowBuilder(METERS, PERIOD_S, WINDOW_S)
    for length, arrival in enumerate(stream, start=1):
        closed = builder.close(arrival.now_s)
        builder.add([arrival.sample])
        so_far = copy.deepcopy(builder).close(arrival.now_s + WINDOW_S)

        if closed is not None:
            assert_same(closed, batch(stream[: length - 1], closed.start_s))
        assert so_far is not None
        assert so_far.start_s == start_of(arrival.now_s)
        assert_same(so_far, batch(stream[:length], so_far.start_s))
        assert builder.late == sum(start_of(a.sample.time_s) != start_of(a.now_s) for a in stream[:length])


@settings(max_examples=30, derandomize=True, deadline=None)
@given(arrivals())
def test_windows_lie_on_the_utc_grid_in_order(stream: list[Arrival]) -> None:
    """Half-open and aligned; none comes twice, and one in which nobody measured does not come at all."""
    starts = [window.start_s for window in streamed(WindowBuilder(METERS, PERIOD_S, WINDOW_S), stream)]

    assert all(start % WINDOW_S == 0 for start in starts)
    assert starts == sorted(set(starts))
    assert set(starts) <= {start_of(arrival.now_s) for arrival in stream}


@pytest.mark.parametrize("period_s", [0.1, 0.3, 0.7])
def test_ticks_of_fractions_of_a_second_find_their_own_column(period_s: float) -> None:
    """Seconds since 1970 as a float are off by 0.1 microseconds; no tick may slip into its neighbour."""
    builder = WindowBuilder(["m"], period_s, 21)
    first = math.ceil(1_700_000_001 / 21) * 21
    count = round(21 / period_s)
    ticks = [(round(first / period_s) + k) * period_s for k in range(count)]
    builder.add(Sample("m", tick, "ok", {"active_power_w": float(k)}) for k, tick in enumerate(ticks))

    window = builder.close(first + 21)

    assert window is not None
    assert window.values["active_power_w"][0].tolist() == list(range(count))


def filled(**series: list[float]) -> Window:
    """Close a window of one meter with these readings."""
    builder = WindowBuilder(["m"], PERIOD_S, WINDOW_S)
    for tick in range(TICKS):
        values = {name: readings[tick] for name, readings in series.items()}
        builder.add([Sample("m", START_S // WINDOW_S * WINDOW_S + tick * PERIOD_S, "ok", values)])
    window = builder.close(START_S + WINDOW_S)
    assert window is not None
    return window


def test_a_counter_that_rolls_over_reports_its_last_reading() -> None:
    """Differences are taken where both readings are known: at the centre. Here the last one counts, small as it is."""
    window = filled(active_energy_import_wh=[999_990.0 + 3 * k if k < 4 else 3.0 * k - 10 for k in range(TICKS)])

    assert window_features(window)["active_energy_import_wh"].tolist() == [17.0]


def test_what_the_meter_said_last_of_itself_stands_in_the_window() -> None:
    """Serial number and transformer ratios are read at start and hourly; between, nothing is known of them."""
    unread = [math.nan] * (TICKS - 2)
    window = filled(active_power_w=[1.0] * TICKS, serial_number=[7.0, 8.0, *unread])

    assert window.identity["serial_number"].tolist() == [8.0]
    assert np.isnan(window.identity["ct_ratio"]).tolist() == [True]


def test_a_frozen_register_is_stuck() -> None:
    """Power and voltage that repeat bit for bit are no measurement."""
    window = filled(active_power_w=[5000.0] * TICKS, voltage_l1_v=[230.0] * TICKS)

    assert window.quality == (Quality.STUCK,)


def test_what_repeats_by_chance_is_not_stuck() -> None:
    """At a poll a minute, a lamp of 40 W at 230.0 V six times in a row."""
    volts = [230.0] * 6 + [230.1, 230.0, 229.9, 230.0]
    window = filled(active_power_w=[40.0] * TICKS, voltage_l1_v=volts)

    assert window.quality == (Quality.GOOD,)


def test_a_coarse_frequency_beside_a_coarse_power_proves_nothing() -> None:
    """The grid stays within a hundredth of a hertz for a minute at times."""
    window = filled(active_power_w=[200.0] * TICKS, frequency_hz=[49.99] * TICKS)

    assert window.quality == (Quality.GOOD,)


def test_a_steady_load_on_a_living_grid_is_not_stuck() -> None:
    """A coarse power register may repeat; the voltage flickers."""
    window = filled(active_power_w=[5000.0] * TICKS, voltage_l1_v=[230.0 + 0.1 * (k % 3) for k in range(TICKS)])

    assert window.quality == (Quality.GOOD,)


@pytest.mark.parametrize(("refresh_s", "letter"), [(3, Quality.GOOD), (30, Quality.GOOD), (75, Quality.STUCK)])
def test_a_meter_that_refreshes_slowly_is_not_stuck(refresh_s: int, letter: Quality) -> None:
    """Polled each second it repeats itself most of the time, but never for a minute."""
    builder = WindowBuilder(["m"], 1.0, 900)
    for second in range(900):
        fresh = second // refresh_s
        values = {"active_power_w": 5000.0 + fresh % 7, "voltage_l1_v": 230.0 + fresh % 3}
        builder.add([Sample("m", START_S // 900 * 900 + second, "ok", values)])
    window = builder.close(START_S + 900)

    assert window is not None
    assert window.quality == (letter,)


def test_an_idle_feeder_is_not_stuck() -> None:
    """Zero power and zero current repeat, be the meter ever so well."""
    window = filled(active_power_w=[0.0] * TICKS, current_l1_a=[0.0] * TICKS)

    assert window.quality == (Quality.GOOD,)


def test_what_leaves_the_builder_cannot_be_changed() -> None:
    """A window is a record."""
    window = filled(active_power_w=[1.0] * TICKS)

    with pytest.raises(ValueError, match="read-only"):
        window.values["active_power_w"][0, 0] = 2.0


@pytest.mark.parametrize(
    ("ticks", "letter"),
    [
        (range(TICKS), Quality.GOOD),
        (range(4, TICKS), Quality.GOOD),
        (range(6, TICKS), Quality.PARTIAL),
        (range(3), Quality.PARTIAL),
    ],
)
def test_a_window_in_which_measuring_began_or_ended_is_not_called_silent(ticks: range, letter: Quality) -> None:
    """Who starts in mid-window has lost nothing before, nor has a clock that leaps; with half of it, it is good."""
    builder = WindowBuilder(["main"], PERIOD_S, WINDOW_S)
    start_s = start_of(START_S) + WINDOW_S
    for tick in ticks:
        builder.add([Sample("main", start_s + tick * PERIOD_S, "ok", {"active_power_w": 100.0 + tick})])

    window = builder.close(start_s + WINDOW_S)

    assert window is not None
    assert window.quality == (letter,)


def test_a_leap_of_time_ends_the_window_and_opens_that_of_the_new_time() -> None:
    """What was measured stays where it was; what comes afterwards is of another window, even of the same start."""
    builder = WindowBuilder(("main",), PERIOD_S, WINDOW_S)

    def read(tick: int) -> Sample:
        values = {"active_power_w": 1000.0 * tick}
        return Sample(meter="main", time_s=1_700_000_400.0 + tick * PERIOD_S, status="ok", values=values)

    builder.add([read(1), read(6)])
    before = builder.cut(1_700_000_400.0 + 3 * PERIOD_S)
    builder.add([read(4)])

    after = builder.close(1_700_001_000.0)
    assert before
    assert after
    assert np.flatnonzero(np.isfinite(before.values["active_power_w"][0])).tolist() == [1, 6]
    assert np.flatnonzero(np.isfinite(after.values["active_power_w"][0])).tolist() == [4]
    assert (before.start_s, after.start_s) == (1_700_000_400, 1_700_000_400)


def test_a_leap_of_time_before_anything_was_measured_ends_no_window() -> None:
    """Twice in a row, for instance."""
    builder = WindowBuilder(("main",), PERIOD_S, WINDOW_S)

    assert builder.cut(1_700_000_400.0) is None
    assert builder.cut(1_700_090_000.0) is None
