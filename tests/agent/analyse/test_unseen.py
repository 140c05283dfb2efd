"""How sure "no mining seen" is."""

import numpy as np
import pytest

from agent.analyse.features.robust import Floats
from agent.analyse.unseen import unseen_w
from tests.agent.analyse.stories import RULES, START_DAY, cold_store, judged, office, verdicts

DAYS = 90


def limit(load: Floats) -> float:
    """Give the limit of a meter that was watched for the whole story."""
    return unseen_w(load.reshape(-1, 24), START_DAY + len(load) // 24 - 1, RULES)


def test_what_is_above_the_limit_is_found_and_the_limit_is_not_idle() -> None:
    """A farm of the limit is found where it begins a month before the end; one of a third of it is not."""
    clean = office(DAYS)
    found_w = limit(clean)
    begins = np.arange(DAYS * 24) >= (DAYS - 30) * 24

    assert 1200 <= found_w <= 0.5 * clean.mean()
    days = judged({"above": clean + begins * 1.1 * found_w, "below": clean + begins * found_w / 3})
    assert "mining" in verdicts(days, "above")
    assert "mining" not in verdicts(days, "below")


def test_a_restless_load_hides_more() -> None:
    """In a cold store, whose baseload follows the weather, more can hide than in an office of the same size."""
    assert limit(cold_store(DAYS, 20_000.0)) > limit(office(DAYS, 20_000.0))


@pytest.mark.parametrize("load", [office(20), np.zeros(DAYS * 24), np.full(DAYS * 24, np.nan)])
def test_what_was_not_watched_has_no_limit(load: Floats) -> None:
    """Too short a record, an idle feeder, no data: nothing can be promised."""
    assert np.isnan(limit(load))
