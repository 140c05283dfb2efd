"""Faults between the agent and the collector."""

from tests.faults.bed import Bed, Story
from tests.faults.case import fault


@fault("B2", "broker wiped")
def broker_wiped(bed: Bed) -> str:
    """The broker dies three times and forgets everything: the spool sends again, nothing is lost or doubled."""
    bed.open(Story(hours=24))
    bed.start_agent()
    for hour in (6, 12, 18):
        bed.wait_hours(hour)
        bed.broker.kill()
        bed.broker.start()
    bed.finish()
    bed.check()
    return "3 kills, 0 lost"
