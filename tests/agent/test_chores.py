"""What is done in the background while a gateway measures."""

import asyncio

import pytest

from agent.chores import in_background


def test_a_chore_that_fails_is_told_of_and_ends_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody awaits it: without a word in the log, a certificate would no longer be renewed and nobody knew."""
    done = []

    async def fails() -> None:
        raise RuntimeError("no such thing")

    async def works() -> None:
        await asyncio.sleep(0.01)
        done.append("all")

    async def measure() -> None:
        with in_background(fails(), works()):
            await asyncio.sleep(0.05)

    asyncio.run(measure())

    assert done == ["all"]
    assert "fails" in caplog.text
    assert "no such thing" in caplog.text


def test_chores_end_with_the_block() -> None:
    """A gateway that is composed anew starts its own."""
    ended = []

    async def for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    async def measure() -> None:
        with in_background(for_ever()):
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(measure())

    assert ended == ["ended"]
