"""What a gateway does beside measuring and delivering, and what neither of them waits for."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from agent.acquire.poll.poller import Poller
from agent.acquire.poll.status_file import KEPT_S, LOOK_S, stop_asking, write_status
from agent.clock import Clock
from agent.deliver.spool.upkeep import Upkeep

logger = logging.getLogger(__name__)

_DISK_S = 60.0  # a disk that cannot be written to is told of once a minute at most
_BREATH_S = 0.1  # between slices of a salvage, each of which takes a quarter of that


@contextlib.contextmanager
def in_background(*chores: Coroutine[Any, Any, None]) -> Iterator[None]:
    """Do ``chores`` as long as the block lasts; where one fails, the log says why, and all else goes on."""
    tasks = [asyncio.create_task(chore, name=getattr(chore, "__qualname__", repr(chore))) for chore in chores]
    for task in tasks:
        task.add_done_callback(_say_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def _say_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s goes on no more until the next start", task.get_name(), exc_info=error)


async def salvage(upkeep: Upkeep) -> None:
    """Take over what a damaged spool held, a little at a time, whenever one is put aside."""
    while True:  # noqa: ASYNC110 - there is nothing to wait for: damage is found when a record is read
        await asyncio.sleep(_BREATH_S if upkeep.salvage() else LOOK_S)


async def keep_status(poller: Poller, delivery: Callable[[], dict[str, Any]], path: Path, clock: Clock) -> None:
    """Write what ``flatwatt status`` shows when it asks, and seldom else; a full disk costs that and nothing more."""
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        try:
            if stop_asking(path) or loop.time() >= due_s:
                due_s = loop.time() + KEPT_S
                write_status(path, poller.statistics(), delivery(), clock.now_s())
        except OSError as error:
            logger.warning("%s cannot be written: %s", path, error.strerror)
            await asyncio.sleep(_DISK_S)
        await asyncio.sleep(LOOK_S)
