"""What leaves the gateway: small, whole, and readable again."""

import math

import numpy as np
import pytest

from agent.analyse import summary
from agent.analyse.alarm import Alarm, Change
from agent.analyse.analyst import Day, Findings
from agent.deliver import wire
from agent.records import Evidence, Judgement, Quality, Verdict, Window

LONGEST = "a-meter-of-24-characters"
BUDGET = 400  # bytes, design.md: mobile data is paid by the megabyte


def judgement(meter: str, verdict: Verdict = Verdict.MINING) -> Judgement:
    """Give a judgement with numbers that do not round to short ones."""
    return Judgement(
        meter=meter,
        verdict=verdict,
        score=0.87654321,
        mining_w=(9_123_456.123, 9_456_789.123, 9_876_543.123),
        since_s=1_767_225_600,
        reasons=(Evidence("clarity", 2.87654321, 1.23, "the step is 17.8 times the baseload's day-to-day spread"),),
    )


MINING = judgement(LONGEST)
FAULT = Judgement(meter=LONGEST, verdict=Verdict.FAULT, score=0.0, mining_w=(0.0, 0.0, 0.0), since_s=None, reasons=())


def findings(value: float, energy_wh: float, quality: Quality = Quality.GOOD) -> Findings:
    """Give a window of one meter in which every scalar has its longest form."""
    values = {
        **dict.fromkeys(("active_power_w", "active_power_min_w", "active_power_max_w"), np.array([value])),
        "power_factor": np.array([0.98765432]),
        "noise_floor": np.array([0.00123456]),
        "active_energy_import_wh": np.array([energy_wh]),
        "active_energy_export_wh": np.array([energy_wh]),
    }
    window = Window(
        start_s=1_767_225_600,
        window_s=3600,
        period_s=0.1,
        meters=(LONGEST,),
        values={},
        identity={},
        coverage=np.array([0.98765]),
        quality=(quality,),
    )
    return Findings(window, values, ())


def sent(message: wire.Summary) -> bytes:
    """Give the bytes as the spool numbers them late in a gateway's life."""
    message.stream, message.seq, message.clock = "0123456789ab", 99_999_999, "U"
    return wire.encode(message)


@pytest.mark.parametrize("part", [0, 99_999])
@pytest.mark.parametrize("watts", [9_876_543.21, 98_765.4321, 1234.5678, 9.87654321, 0.00098765432])
def test_the_longest_summary_fits_the_budget(watts: float, part: int) -> None:
    """Longest names, every field, 10 MW of mining, registers of twelve digits, no time server: at most 400 bytes."""
    payload = sent(summary.summaries(findings(watts, 999_999_999_999.4), [MINING], part)[0])

    assert len(payload) <= BUDGET, payload


@pytest.mark.parametrize("quality", [Quality.STUCK, Quality.TIMEOUT])
def test_the_longest_summary_of_a_fault_fits_the_budget(quality: Quality) -> None:
    """A window that is not good names its quality and mines nothing."""
    message = summary.summaries(findings(-9_876_543.21, 999_999_999_999.4, quality), [FAULT])[0]

    payload = sent(message)

    assert b'"quality":"' + quality.encode() in payload
    assert len(payload) <= BUDGET, payload


def test_a_summary_is_read_again_as_it_was_written() -> None:
    """The centre has the gateway's numbers, to five digits; energies to the watt-hour."""
    message = wire.decode(sent(summary.summaries(findings(12_345.678, 123_456_789_012.4), [MINING])[0]))

    assert isinstance(message, wire.Summary)
    assert (message.meter, message.verdict, message.quality, message.coverage) == (LONGEST, "mining", "G", 0.988)
    assert (message.active_power_w, message.active_power_min_w, message.active_power_max_w) == (12_346,) * 3
    assert message.power_factor == 0.988
    assert message.active_energy_import_wh == 123_456_789_012
    assert message.since_s == 1_767_225_600


def test_what_is_unknown_is_left_out() -> None:
    """Never a zero that nobody measured."""
    payload = sent(summary.summaries(findings(math.nan, math.nan), [MINING])[0])

    message = wire.decode(payload)
    assert isinstance(message, wire.Summary)
    assert message.active_power_w is None
    assert b"active_power" not in payload
    assert b"active_energy" not in payload


@pytest.mark.parametrize("state", ["raised", "updated", "cleared"])
def test_an_alarm_is_read_again_with_its_reasons(state: str) -> None:
    """Id, state, share and the words for people."""
    found = findings(5000.0, 1.0)
    judged = judgement(LONGEST)
    change = Change(Alarm("0123456789ab", 1_767_312_000, 8000.0), state, judged)  # type: ignore[arg-type]
    hourly_w = np.full((1, 24), 2 * 9_456_789.123)
    day = Day(20_458, hourly_w, (judged,), (change,))

    [alarm] = summary.alarms(Findings(found.window, found.features, (day,)))

    message = wire.decode(wire.encode(alarm))
    assert isinstance(message, wire.Alarm)
    assert (message.alarm, message.state, message.mining_share) == ("0123456789ab", state, 0.5)
    assert (message.raised_s, message.time_s) == (1_767_312_000, 20_459 * 86_400)
    assert message.reasons == [
        wire.Reason("clarity", 2.877, 1.23, "the step is 17.8 times the baseload's day-to-day spread")
    ]
    assert LONGEST in summary.sentence(message)


def test_an_alarm_of_a_day_without_load_has_no_share() -> None:
    """A share of nothing is not a number, which JSON does not know."""
    judged = judgement(LONGEST, Verdict.NORMAL)
    change = Change(Alarm("0123456789ab", 0, 8000.0), "cleared", judged)
    day = Day(20_458, np.full((1, 24), np.nan), (judged,), (change,))
    found = findings(5000.0, 1.0)

    [alarm] = summary.alarms(Findings(found.window, found.features, (day,)))

    assert alarm.mining_share == 0.0
