"""Tell every open page that something was committed: server-sent events, at most twice a second."""

import asyncio
from collections.abc import AsyncIterator

PAUSE_S = 0.5  # a page redraws at most this often
ALIVE_S = 15.0  # a comment at least this often, so that proxies keep the line open


class Hub:
    """Counts commits and wakes who waits for the next; made inside the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self.commits = 0

    def committed(self) -> None:
        """Note a commit; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """End all streams: a server with open ones would not end."""
        self._closing.set()
        self._news.set()

    def _wake(self) -> None:
        self.commits += 1
        self._news.set()

    async def stream(self) -> AsyncIterator[str]:
        """Give the text of an event stream: one event now, then one after commits."""
        seen = -1
        while not self._closing.is_set():
            if seen != self.commits:
                seen = self.commits
                self._news.clear()
                yield f"event: commit\ndata: {seen}\n\n"
                await _within(PAUSE_S, self._closing)
            elif not await _within(ALIVE_S, self._news):
                yield ": alive\n\n"


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
