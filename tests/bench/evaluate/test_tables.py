"""The tables say of each load what was found, and leave nothing out."""

import numpy as np

from bench.evaluate import negatives, seconds_table
from bench.evaluate.negatives import Negative
from bench.evaluate.seconds_table import Told
from bench.evaluate.trial import Trace


def negative(alarm_days: tuple[int, ...], start: int = 0) -> Negative:
    """Give ten days of a look-alike of 1000 W that is said to mine 100 W from its alarm on."""
    alarm = np.full(10, "", dtype="U8")
    verdict = np.full(10, "normal", dtype="U12")
    mining_w = np.zeros((10, 3))
    for day in alarm_days:
        alarm[day], verdict[day:], mining_w[day:] = "raised", "mining", 100.0
    return Negative(
        "garage",
        "one",
        "held",
        np.full(10, 1000.0),
        Trace(np.zeros(10), verdict, mining_w, np.full(10, -1), alarm),
        start,
    )


def test_a_look_alike_counts_from_its_first_day_on() -> None:
    """A register that froze on the sixth day is not blamed for what was said of the building before."""
    assert (negative((5,)).alarms, negative((5,)).share, negative((5,)).days("mining")) == (1, 5.0, 5)
    assert negative((2,), start=6).alarms == 0


def test_an_alarm_about_a_declared_load_is_no_mining_alarm() -> None:
    """It says that the load changed."""
    changed = negative((5,))
    changed.trace.verdict[:] = "suspect"

    assert changed.alarms == 0


def test_look_alikes_are_summed_by_kind() -> None:
    """Meters, meters with an alarm, alarms."""
    rows = negatives.summary([negative((2, 5)), negative(())]).splitlines()

    assert [cell.strip() for cell in rows[-1].split("|")[1:-1]] == ["garage", "2", "1", "2"]


def test_the_seconds_table_has_a_column_for_each_size_of_farm() -> None:
    """And one for none."""
    told = [Told("office", 0, 1, 10), Told("office", 4, 9, 10)]
    row = seconds_table.report(told).splitlines()[2]

    assert [cell.strip() for cell in row.split("|")[1:4]] == ["office", "1 of 10", "9 of 10"]
