"""Back-off: how long a silent meter is left alone."""

from random import Random

from agent.acquire.poll.backoff import Backoff
from tests.agent.acquire.poll.metered import START_S


def test_backoff_doubles_to_a_minute_less_a_quarter_at_most() -> None:
    """The waits are 2^n periods with jitter below, and never above a minute."""
    backoff = Backoff(1.0, Random(7))

    for failures in range(1, 2000):
        backoff.failed(START_S)
        longest_s = min(60.0, 2.0 ** min(failures, 10))

        assert backoff.waits(START_S + 0.74 * longest_s)
        assert not backoff.waits(START_S + longest_s)


def test_backoff_ends_when_the_clock_is_set_back() -> None:
    """A meter is not left alone for a year because the clock was a year ahead."""
    backoff = Backoff(1.0, Random(7))

    backoff.failed(START_S + 31_536_000)

    assert not backoff.waits(START_S)
