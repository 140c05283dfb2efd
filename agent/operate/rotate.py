"""Carries out ``rotate``: another key, named by a record that the present one signs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from agent.deliver.command_table import Value
from agent.errors import FlatwattError
from agent.operate.executor import Done, Handler, Outcome


def rotation(rotate: Callable[[], Awaitable[str]]) -> Handler:
    """Give the handler; ``rotate`` asks the centre, gives a sentence, and raises FlatwattError where it fails."""
    under_way: set[asyncio.Task[None]] = set()  # the loop itself keeps none alive

    async def carry_out(done: Done) -> None:
        try:
            done(Outcome(await rotate()))
        except FlatwattError as error:
            done(error)

    def handle(_arguments: Mapping[str, Value], done: Done) -> None:
        task = asyncio.get_running_loop().create_task(carry_out(done))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    return handle
