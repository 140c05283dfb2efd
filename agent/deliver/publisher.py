"""Moves envelopes from the spool to the broker, and receipts back.

Birth, then what is pending, then what comes; the will is the death. A record leaves the spool
when the collector's receipt covers it, or, with ``delivery = "broker"``, when the broker has
acknowledged it and knows of a subscriber.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agent.config import DeliveryConfig, MqttConfig
from agent.deliver import wire
from agent.deliver.keys import load_public_key
from agent.deliver.outbox import Outbox
from agent.deliver.publisher_link import Access, Link, LinkError
from agent.deliver.receipts import ReceiptDesk
from agent.deliver.spool import Spool
from agent.errors import EvidenceError, InputError

logger = logging.getLogger(__name__)

State = Literal["online", "offline"]

_PROTOCOLS = {"auto": ("5", "3.1.1"), "5": ("5",), "3.1.1": ("3.1.1",)}
_ACK_S = 30.0  # a broker that takes records but acknowledges none for so long is as good as gone
_TICK_S = 1.0  # keep-alive and repetitions are measured in many seconds
_GOODBYE_S = 2.0  # brokers answer in milliseconds, and a person waits for the end
_STEADY_S = 5.0  # a connection that lived so long resets the back-off
_FIRST_PAUSE_S = 0.5  # a broker that restarts is back within seconds
_LONGEST_PAUSE_S = 60.0  # one that was away for long is found again within a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherStatus:
    """What a person wants to know of the delivery."""

    connected: bool
    protocol: str  # of MQTT, as last spoken or tried
    pending: int  # records not confirmed
    error: str  # the present trouble, "" where there is none


class Publisher:
    """Delivers one spool to one broker.

    ``status_payload`` makes the bytes of the retained birth and death message. ``report`` is told, as
    (event, text), of receipts that are refused and of a collector that is trusted from now on; it
    may append to the spool. ``on_command`` gets what arrives for us under ``down/command``; without it
    nothing is asked for there. Raises :class:`InputError` where a file named in the configuration cannot
    be used.
    """

    def __init__(
        self,
        spool: Spool,
        mqtt: MqttConfig,
        delivery: DeliveryConfig,
        *,
        status_payload: Callable[[State], bytes],
        report: Callable[[str, str], None],
        on_command: Callable[[bytes], None] | None = None,
    ) -> None:
        self._spool = spool
        self._mqtt = mqtt
        self._access = Access.read(mqtt)
        self._protocols = _PROTOCOLS[mqtt.protocol]
        self._mode = delivery.mode
        key_file = delivery.collector_key_file
        self._desk = ReceiptDesk(spool, load_public_key(key_file) if key_file else None)
        self._outbox = Outbox(spool, delivery.resend_after_s, by_broker=delivery.mode == "broker")
        self._status_payload = status_payload
        self._report = report
        self._on_command = on_command
        self._topic = wire.topic(spool.gateway, "status")
        self._link: Link | None = None
        self._sent: dict[int, int] = {}  # the client's number of a message -> seq
        self._last_ack_s = 0.0
        self._connected_s = 0.0
        self._error = ""
        self._refused = ""
        self._confirmed = asyncio.Event()

    def status(self) -> PublisherStatus:
        """Give the present state."""
        return PublisherStatus(
            connected=self._link is not None,
            protocol=self._protocols[0],
            pending=self._spool.last_seq - self._spool.receipted,
            error=self._error,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the broker supplied until ``stop`` is set; then say goodbye.

        Raises :class:`FlatwattError` where the spool cannot be used any more.
        """
        stopped = asyncio.ensure_future(stop.wait())
        failures = 0
        try:
            while not stop.is_set():
                self._connected_s = _now_s()
                try:
                    await self._session(stopped)
                except LinkError as error:
                    self._trouble(error)
                finally:
                    self._link = None
                failures = 0 if _now_s() - self._connected_s > _STEADY_S else failures + 1
                longest_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures, 16))
                pause_s = random.uniform(0.0, longest_s)  # noqa: S311 - spreads a fleet's return, no secret
                await asyncio.wait((stopped,), timeout=pause_s)
        finally:
            stopped.cancel()

    def notify(self) -> None:
        """Tell that the spool has new records."""
        self._pump()

    def resend(self, first: int, last: int) -> None:
        """Send records ``first..last`` once more, as far as the spool has them."""
        self._outbox.send_again(first, last)
        self._pump()

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything is confirmed; False where that takes longer than ``timeout_s``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._outbox.confirmed:
                    self._confirmed.clear()
                    await self._confirmed.wait()
        return self._outbox.confirmed

    async def _session(self, stopped: asyncio.Future[Literal[True]]) -> None:
        """Connect, serve the connection until it breaks (:class:`LinkError`) or we stop."""
        with contextlib.suppress(InputError):  # certificates are renewed meanwhile; those of before are good enough
            self._access = Access.read(self._mqtt)
        link = Link(self._access, self._protocols[0], f"flatwatt-{self._spool.gateway}")
        link.on_ack, link.on_message = self._acknowledged, self._received
        try:
            await link.open(self._topic, self._status_payload("offline"))
            self._begin(link)
            while not stopped.done():
                await asyncio.wait((stopped, link.broken), timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
                if link.broken.done():
                    link.broken.result()
                self._tick(link)
            await self._goodbye(link)
        finally:
            link.close()

    def _begin(self, link: Link) -> None:
        logger.info("connected to the broker at %s with MQTT %s", self._access, self._protocols[0])
        self._error = ""
        self._connected_s = self._last_ack_s = _now_s()
        self._sent.clear()
        self._outbox.rewind(_now_s())
        if self._mode == "collector":
            link.subscribe(wire.topic(self._spool.gateway, "receipt"))
        if self._on_command is not None:
            link.subscribe(wire.topic(self._spool.gateway, "command"))
        link.publish(self._topic, self._status_payload("online"), retain=True)
        self._link = link
        self._pump()

    def _tick(self, link: Link) -> None:
        link.tick()
        now_s = _now_s()
        if self._sent and now_s - self._last_ack_s > _ACK_S:
            raise LinkError(f"the broker has acknowledged nothing for {_ACK_S:.0f} s")
        self._outbox.tick(now_s)
        self._pump()

    async def _goodbye(self, link: Link) -> None:
        """Publish the death ourselves: the will is for those who could not."""
        self._link = None  # no more records
        done = asyncio.Event()
        farewell = link.publish(self._topic, self._status_payload("offline"), retain=True)
        link.on_ack = lambda number, _reached: done.set() if number == farewell else None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), _GOODBYE_S)

    def _pump(self) -> None:
        """Send as much as may be unacknowledged."""
        if self._link is None:
            return
        now_s = _now_s()
        while envelope := self._outbox.take(now_s):
            if not self._sent:
                self._last_ack_s = now_s
            retain = envelope.kind in wire.RETAINED_KINDS
            self._sent[self._link.publish(envelope.topic, envelope.payload, retain=retain)] = envelope.seq

    def _acknowledged(self, number: int, reached: bool) -> None:
        seq = self._sent.pop(number, None)
        self._last_ack_s = _now_s()
        if seq is None:
            return
        self._outbox.acknowledged(seq, reached=reached)
        self._after_confirmation()

    def _received(self, topic: str, payload: bytes) -> None:
        if not payload:  # a retained receipt or command was cleared
            return
        if topic != wire.topic(self._spool.gateway, "command"):
            self._take_receipt(payload)
        elif self._on_command is not None:
            self._on_command(payload)

    def _take_receipt(self, payload: bytes) -> None:
        first = self._desk.key_id is None
        try:
            receipt = self._desk.accept(payload)
        except EvidenceError as error:
            self._refuse(str(error))
            return
        if receipt is None:
            return
        if first:
            self._report("collector_pinned", f"the collector with key {self._desk.key_id} is trusted from now on")
        self._outbox.receipted(receipt, _now_s())
        self._after_confirmation()

    def _after_confirmation(self) -> None:
        if self._outbox.confirmed:
            self._confirmed.set()
        self._pump()

    def _refuse(self, why: str) -> None:
        """Report a refusal once, however often the same retained message comes back."""
        if why == self._refused:
            return
        self._refused = why
        logger.warning("%s", why)
        self._report("receipt_refused", why)

    def _trouble(self, error: LinkError) -> None:
        """Say once what is wrong, and try the other version of the protocol where that may be it."""
        text = str(error)
        if error.unanswered and len(self._protocols) > 1:
            self._protocols = self._protocols[::-1]
            text = f"{text}; trying MQTT {self._protocols[0]}"
        if text != self._error:
            logger.warning("%s; records wait in the spool", text)
        self._error = text


def _now_s() -> float:
    return asyncio.get_running_loop().time()
