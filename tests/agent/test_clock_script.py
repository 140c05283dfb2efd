"""A clock that goes wrong by a script, and what the kernel says of a real one."""

from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.clock_script import ScriptedClock, read_script
from agent.errors import InputError

START_S = 1_767_571_200.0  # 2026-01-05
HOUR_S = 3600.0


def scripted(folder: Path, lines: str) -> ScriptedClock:
    """Make a clock that goes by these lines from the start on."""
    script = folder / "script"
    script.write_text(lines)
    return ScriptedClock(folder / "clock", START_S, 1e9, read_script(script))


async def test_what_the_agent_sees_is_the_true_time_with_all_that_was_done_to_it(tmp_path: Path) -> None:
    """Booted three hours in the past, set right after ten minutes, gaining 100 ppm from noon on."""
    clock = scripted(
        tmp_path,
        "2026-01-04T23:50:00Z step_s=-10800 trust=U  # before the start\n"
        "2026-01-05T00:10:00Z step_s=10800 trust=S\n\n"
        "2026-01-05T12:00:00Z drift_ppm=100\n",
    )
    first = clock.read()
    await clock.sleep_until(START_S)
    steps_at_s = clock.driven_s()
    await clock.sleep_until(START_S + 36 * HOUR_S)
    await clock.sleep_until(START_S + 36 * HOUR_S)
    last = clock.read()

    assert (first.utc_s, first.boot_s, first.trust) == (START_S - 3 * HOUR_S, START_S, "U")
    assert steps_at_s == START_S + 600.0
    assert (last.utc_s, last.trust) == (START_S + 36 * HOUR_S, "S")
    assert last.boot_s == pytest.approx(START_S + 36 * HOUR_S - 24 * HOUR_S * 100e-6, abs=0.01)


async def test_a_suspend_passes_true_time_and_boot_time_alike(tmp_path: Path) -> None:
    """Nothing of the agent runs meanwhile: the wait ends half an hour late."""
    clock = scripted(tmp_path, "2026-01-05T00:10:00Z suspend_s=1800\n")

    await clock.sleep_until(START_S + 660.0)

    assert clock.read().utc_s == clock.read().boot_s == START_S + 600.0 + 1800.0


async def test_another_boot_has_another_id_and_its_boot_time_begins_anew(tmp_path: Path) -> None:
    """Whoever comes back after it finds it, since the file keeps the true time."""
    clock = scripted(tmp_path, "2026-01-05T00:10:00Z boot step_s=-60 trust=U\n")
    before = clock.read()
    await clock.sleep_until(START_S + HOUR_S)

    again = scripted(tmp_path, "2026-01-05T00:10:00Z boot step_s=-60 trust=U\n").read()

    assert (again.boot_s, again.utc_s, again.trust) == (0.0, START_S + 540.0, "U")
    assert again.boot_id != before.boot_id


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("tomorrow step_s=1", "Invalid isoformat"),
        ("2026-01-05T00:00:00Z step=1", "step: expected step_s"),
        ("2026-01-05T00:00:00Z step_s=soon", "could not convert"),
        ("2026-01-05T00:00:00Z step_s=nan", "finite"),
        ("2026-01-05T00:00:00Z trust=X", "trust=X: expected U"),
        ("2026-01-05T00:00:00Z step_s=-1e12", "before 1970"),
        ("2025-01-05T00:00:00Z step_s=1", "order the lines"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(tmp_path: Path, line: str, why: str) -> None:
    """With file and line, as every mistake of an operator."""
    (tmp_path / "script").write_text(f"2025-12-01T00:00:00Z step_s=1\n{line}\n")

    with pytest.raises(InputError, match=rf"script:2: .*{why}"):
        read_script(tmp_path / "script")


def test_the_kernel_says_which_boot_it_is_and_how_long_ago() -> None:
    """Twice in a row the same boot, and time that goes forward; the letter is one of those for a clock in use."""
    clock = SystemClock()

    first, second = clock.read(), clock.read()

    assert first.boot_id == second.boot_id != ""
    assert 0 < first.boot_s <= second.boot_s
    assert abs(first.offset_s - second.offset_s) < 0.1
    assert {first.trust, second.trust} <= {"U", "I", "S"}
