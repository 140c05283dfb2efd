"""What the kernel says of its clock, and what is said where it may not be asked."""

import time
from types import SimpleNamespace

import pytest

from agent.clock_kernel import KernelClock


def test_a_clock_that_may_not_be_asked_about_is_not_called_synchronised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service can be kept from the call, and then nobody knows."""
    clock = KernelClock()
    monkeypatch.setattr(clock, "_libc", SimpleNamespace(adjtimex=lambda _timex: -1))

    assert clock.read().trust in {"U", "I"}


def test_a_clock_that_is_set_shows_against_boot_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour back: boot time goes on, and UTC at boot time 0 is an hour less."""
    clock = KernelClock()
    before = clock.read()
    honest = time.time

    monkeypatch.setattr("agent.clock_kernel.time.time", lambda: honest() - 3600.0)

    assert clock.read().offset_s - before.offset_s == pytest.approx(-3600.0, abs=0.1)


def test_a_process_that_was_stopped_between_two_readings_reads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause between UTC and boot time is no step."""
    clock = KernelClock()
    before, honest, pauses = clock.read(), time.time, [0.2, 0.2]

    def interrupted() -> float:
        now_s = honest()
        time.sleep(pauses.pop() if pauses else 0.0)
        return now_s

    monkeypatch.setattr("agent.clock_kernel.time.time", interrupted)

    assert clock.read().offset_s == pytest.approx(before.offset_s, abs=0.1)
