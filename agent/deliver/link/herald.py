"""Says who and how the gateway is: birth on every connection, again where its health changes, and a clean goodbye."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Literal

from agent.deliver.link.link import Link

logger = logging.getLogger(__name__)

State = Literal["online", "offline"]

LATE_S = 3600.0  # records without a receipt for so long, while there is a connection, are no hiccup
_AGAIN_S = 900.0  # the status is published again at least so often, as usual windows are
_GOODBYE_S = 2.0  # brokers answer in milliseconds, and a person waits for the end


class Herald:
    """Publishes the retained status. ``is_late`` tells whether receipts stay away."""

    def __init__(
        self, topic: str, payload: Callable[[State], bytes], health: Callable[[], object], is_late: Callable[[], bool]
    ) -> None:
        self._topic = topic
        self._payload = payload
        self._health = health
        self._is_late = is_late
        self._told: tuple[object, bool] = (None, False)
        self._told_s = 0.0

    def will(self) -> tuple[str, bytes]:
        """Give topic and payload of the death that the broker publishes where we cannot."""
        return self._topic, self._payload("offline")

    def birth(self, link: Link, now_s: float) -> None:
        """Publish how we are."""
        health = (self._health(), self._is_late())
        if health[1] and not self._told[1]:
            logger.warning("records wait for a receipt for more than %.0f s: is the collector running?", LATE_S)
        self._told, self._told_s = health, now_s
        link.publish(self._topic, self._payload("online"), retain=True)

    def tick(self, link: Link, now_s: float) -> None:
        """Publish it again where it changed, or was told long ago."""
        if now_s - self._told_s >= _AGAIN_S or (self._health(), self._is_late()) != self._told:
            self.birth(link, now_s)

    async def goodbye(self, link: Link) -> None:
        """Publish the death ourselves: the will is for those who could not."""
        done = asyncio.Event()
        farewell = link.publish(self._topic, self._payload("offline"), retain=True)
        link.on_ack = lambda number, _reason: done.set() if number == farewell else None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), _GOODBYE_S)
