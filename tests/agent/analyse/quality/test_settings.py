"""Serial number, model and transformer ratios."""

import numpy as np

from tests.agent.analyse.metering import TICKS, Series, inspected, load, metered


def saying(**changes: tuple[float, float]) -> Series:
    """Give a meter that says its settings hourly; from window 20 on the second values."""
    series = metered(load(40))
    tick = np.arange(40 * TICKS)
    for name, (before, after) in changes.items():
        series[name] = np.where(tick % 60 == 3, np.where(tick < 20 * TICKS, before, after), np.nan)
    return series


def test_a_meter_that_was_exchanged_is_told_with_both_serial_numbers() -> None:
    """At the next hourly look; that window is not judged."""
    told = inspected({"office": saying(serial_number=(10045678, 20000001), ct_ratio=(40, 40))})

    (number, notice) = told.notices[0]
    assert (len(told.notices), number, notice.event) == (1, 20, "exchange")
    assert notice.text.startswith("office: serial number was 10045678 and is 20000001, read after 2026-01-05 05:00 UTC")
    assert notice.data == {"serial_number_before": 10045678.0, "serial_number_now": 20000001.0}
    assert told.letters["office"] == "G" * 20 + "X" + "G" * 19


def test_a_ct_ratio_that_was_changed_is_told_with_old_and_new() -> None:
    """Over Modbus or at the keys: all energies are scaled by it."""
    told = inspected({"office": saying(serial_number=(1, 1), ct_ratio=(100, 50), ct_primary_a=(500, 250))})

    (_, notice) = told.notices[0]
    assert (len(told.notices), notice.event) == (1, "configuration")
    assert "transformer ratio was 100 and is 50 and current transformer primary, A, was 500 and is 250" in notice.text
    assert told.letters["office"][20] == "X"


def test_a_change_while_the_gateway_was_off_is_told() -> None:
    """What was read last outlives a restart."""
    told = inspected({"office": saying(serial_number=(1, 2))}, restart_before=18)

    assert [(number, notice.event) for number, notice in told.notices] == [(20, "exchange")]


def test_the_same_settings_hour_after_hour_are_nothing_to_tell() -> None:
    """Nor what is read for the first time."""
    told = inspected({"office": saying(serial_number=(1, 1), model_code=(7, 7), vt_ratio=(1, 1))}, restart_before=18)

    assert told.texts == []


def test_an_exchanged_meter_with_another_reading_is_told_once() -> None:
    """The fall of its register is the exchange's doing."""
    series = saying(serial_number=(1, 2))
    series["serial_number"][20 * TICKS - 1] = 1.0
    series["active_energy_import_wh"][20 * TICKS :] -= 48e6

    told = inspected({"office": series})

    assert [notice.event for _, notice in told.notices] == ["exchange"]
