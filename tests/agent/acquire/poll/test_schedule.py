"""When the slow tiers of a meter are due."""

from agent.acquire.poll.schedule import Schedule
from agent.records import Tier
from tests.agent.acquire.poll.metered import START_S

YEAR_S = 31_536_000.0


def test_what_was_never_read_keeps_its_turn_when_the_clock_is_set_back() -> None:
    """A machine that thought itself a year ahead does not wait that year before the read is overdue."""
    schedule = Schedule(60.0, place=0.0)
    schedule.due(START_S + YEAR_S)

    deadlines = [deadline_s for deadline_s, _ in schedule.due(START_S)]

    assert deadlines == [START_S + 60.0] * 2


def test_clock_that_is_set_makes_every_tier_due_once() -> None:
    """Set forward or back, each tier is read at the next tick and then in its own time."""
    schedule = Schedule(60.0, place=0.0)
    for now_s in (START_S, START_S + YEAR_S, START_S - YEAR_S):
        assert {tier for _, tier in schedule.due(now_s)} == {Tier.SLOW, Tier.IDENTITY}
        for tier in Tier:
            schedule.read(tier, now_s)

        assert schedule.due(now_s + 1) == []
