"""What the kernel says of its clock, and what is said where it may not be asked."""

from types import SimpleNamespace

import pytest

from agent.clock_kernel import KernelClock


def test_a_clock_that_may_not_be_asked_about_is_not_called_synchronised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service can be kept from the call, and then nobody knows."""
    clock = KernelClock()
    monkeypatch.setattr(clock, "_libc", SimpleNamespace(adjtimex=lambda _timex: -1))

    assert clock.read().trust in {"U", "I"}
