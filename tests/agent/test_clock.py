"""The clock of fast motion: a file that its owner drives."""

from pathlib import Path

import pytest

from agent.clock import DrivenClock


async def test_a_driver_that_comes_back_goes_on_where_it_was(tmp_path: Path) -> None:
    """After a crash the file, not the start that was asked for, says what time it is."""
    first = DrivenClock(tmp_path / "clock", 1000.0, speed=1e6)
    await first.sleep_until(5000.0)

    again = DrivenClock(tmp_path / "clock", 1000.0, speed=1e6)

    assert again.now_s() == 5000.0


async def test_the_time_never_goes_back(tmp_path: Path) -> None:
    """Waiting for a moment that has passed returns at once and changes nothing."""
    clock = DrivenClock(tmp_path / "clock", 1000.0, speed=1.0)

    await clock.sleep_until(10.0)

    assert clock.now_s() == 1000.0


def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    """A configuration that is named by mistake is not cut to eight bytes."""
    path = tmp_path / "gateway.toml"
    path.write_text('id = "campus"\n')

    with pytest.raises(ValueError, match="not a clock"):
        DrivenClock(path, 1000.0, speed=1.0)

    assert path.read_text() == 'id = "campus"\n'
