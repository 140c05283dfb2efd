"""What is told of one window more than once is numbered, so that nothing replaces anything."""

import random

from agent.deliver.time.parts import Parts, PartsState

WINDOW_S = 900


def test_a_time_that_comes_again_is_another_part() -> None:
    """Told until nine windows, set back to the second: from there to the ninth all are parts, and then none."""
    parts = Parts(PartsState())
    for window in range(9):
        parts.tell(window * WINDOW_S, (window + 1) * WINDOW_S)
    parts.begin()

    numbers = []
    for window in range(2, 11):
        numbers.append(parts.number(window * WINDOW_S))
        parts.tell(window * WINDOW_S, (window + 1) * WINDOW_S)

    assert numbers == [1] * 7 + [0, 0]


def test_the_window_after_a_step_is_a_part_though_its_start_was_never_told() -> None:
    """What is dated right later may come to lie beside it."""
    parts = Parts(PartsState())
    parts.step()

    numbers = []
    for window in range(2):
        numbers.append(parts.number(window * WINDOW_S))
        parts.tell(window * WINDOW_S, (window + 1) * WINDOW_S)

    assert numbers == [1, 0]


def test_a_clock_that_leaps_for_years_is_remembered_in_bounded_space_and_tells_nothing_twice() -> None:
    """A thousand leaps over a year: 64 ranges, and every start and part once."""
    chance, parts = random.Random(7), Parts(PartsState())
    told = set()
    for _ in range(1000):
        parts.step()
        start = chance.randrange(35_000)
        for window in range(start, start + 3):
            key = window, parts.number(window * WINDOW_S)
            assert key not in told
            told.add(key)
            parts.tell(window * WINDOW_S, (window + 1) * WINDOW_S)

    assert len(parts.state.told) == 64
