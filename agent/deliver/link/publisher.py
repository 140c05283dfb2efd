"""Moves envelopes from the spool to the broker, and receipts back.

Birth, then what is pending, then what comes; the will is the death. A record leaves the spool
when the collector's receipt covers it, or, with ``delivery = "broker"``, when the broker has
acknowledged it and knows of a subscriber.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Literal

from agent.config import DeliveryConfig, MqttConfig
from agent.deliver import wire
from agent.deliver.link.access import Access
from agent.deliver.link.complaints import Complaints
from agent.deliver.link.herald import LATE_S, Herald, State
from agent.deliver.link.inbox import Inbox
from agent.deliver.link.lag import Lag
from agent.deliver.link.link import Link
from agent.deliver.link.outbox import IN_FLIGHT, Outbox
from agent.deliver.link.status import PublisherStatus
from agent.deliver.link.trouble import Backoff, LinkError, Trouble
from agent.deliver.spool.spool import Spool
from agent.errors import EvidenceError, InputError
from agent.records import Envelope, Receipt

logger = logging.getLogger(__name__)

_PROTOCOLS = {"auto": ("5", "3.1.1"), "5": ("5",), "3.1.1": ("3.1.1",)}
_ACK_S = 30.0  # a broker that takes records but acknowledges none for so long is as good as gone,
_SLOWEST_BYTES_PER_S = 600.0  # and for as long as they need on half a line of 9600 bit/s
_TICK_S = 1.0  # keep-alive and repetitions are measured in many seconds
_DRAIN_TICK_S = 0.05  # a backlog leaves in steps of so long
_WARN_S, _WARNINGS = 600.0, 50  # a line that comes and goes all day is logged so often, for so many sorts of trouble
_CLONE_KICKS = 3  # short connections in a row: brokers of MQTT 3.1.1 do not say that another one took over
_NO_SUBSCRIBERS, _FAILURES = 0x10, 0x80  # reason codes of MQTT 5: taken, and nobody listens; this one and above
_NOT_AUTHORIZED = 0x87


class Publisher:
    """Delivers one spool to one broker.

    ``status_payload`` makes the bytes of the retained birth and death message; it is published anew
    when what ``health`` gives changes. ``report`` is told, as (event, text), what an operator should
    know; it may append to the spool. ``on_receipt`` gets each receipt that is believed, ``on_loss`` the
    last record that a restored collector still has. ``on_command`` gets what arrives for us under
    ``down/command``; without it nothing is asked for there. Raises :class:`InputError` where a file
    named in the configuration cannot be used.
    """

    def __init__(
        self,
        spool: Spool,
        mqtt: MqttConfig,
        delivery: DeliveryConfig,
        *,
        status_payload: Callable[[State], bytes],
        report: Callable[[str, str], None],
        health: Callable[[], object] = lambda: None,
        on_receipt: Callable[[Receipt], None] = lambda _receipt: None,
        on_loss: Callable[[int], None] = lambda _through: None,
        on_command: Callable[[bytes], None] | None = None,
    ) -> None:
        self._spool = spool
        self._mqtt = mqtt
        self._access = Access.read(mqtt)
        self._protocols = _PROTOCOLS[mqtt.protocol]
        self._mode = delivery.mode
        self._on_command = on_command
        self._complaints = Complaints(report)
        self._outbox = Outbox(
            spool,
            delivery.resend_after_s,
            delivery.drain_per_s,
            by_broker=delivery.mode == "broker",
            chance=Random(),  # noqa: S311 - jitter, no secret
        )
        self._lag = Lag(spool)
        self._inbox = Inbox(spool, delivery.collector_key_file, self._complaints, on_receipt, on_loss)
        self._topics = {kind: wire.topic(spool.gateway, kind) for kind in ("status", "receipt", "command")}
        self._herald = Herald(self._topics["status"], status_payload, health, lambda: self.status().is_late)
        self._link: Link | None = None
        self._sent: dict[int, Envelope] = {}  # by the client's number of a message
        self._last_ack_s = 0.0
        self._welcome_s: float | None = None  # when the broker let us in, of the present or the last connection
        self._backoff = Backoff()
        self._error = ""
        self._warned: dict[str, float] = {}
        self._confirmed = asyncio.Event()

    def status(self) -> PublisherStatus:
        """Give the present state."""
        oldest_s = self._lag.oldest_s(_now_s())
        return PublisherStatus(
            broker=str(self._access),
            delivery=self._mode,
            connected=self._link is not None,
            protocol=self._protocols[0],
            pending=self._spool.last_seq - self._spool.receipted,
            oldest_unreceipted_s=_rounded(oldest_s),
            receipt_lag_s=_rounded(self._lag.last_s),
            last_receipt_s=_rounded(self._inbox.age_s(_now_s())),
            is_late=self._link is not None and oldest_s is not None and oldest_s > LATE_S,
            sent=self._outbox.sent,
            sent_again=self._outbox.sent_again,
            set_aside=self._outbox.set_aside_count,
            error=self._error,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the broker supplied until ``stop`` is set; then say goodbye.

        Raises :class:`FlatwattError` where the spool cannot be used any more.
        """
        stopped = asyncio.ensure_future(stop.wait())
        self._look()
        try:
            while not stop.is_set():
                trouble, self._welcome_s = Trouble.LOST, None
                try:
                    await self._session(stopped)
                except LinkError as error:
                    trouble = error.trouble
                    self._explain(error)
                finally:
                    self._link = None
                await asyncio.wait((stopped,), timeout=self._backoff.pause_s(trouble, self._lived_s(), _now_s()))
        finally:
            stopped.cancel()

    def notify(self) -> None:
        """Tell that the spool has new records."""
        self._look()
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
        opening = asyncio.ensure_future(link.open(*self._herald.will()))
        try:
            await asyncio.wait((opening, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                return
            opening.result()
            self._begin(link)
            while not stopped.done():
                pause_s = _DRAIN_TICK_S if self._outbox.throttled else _TICK_S
                await asyncio.wait((stopped, link.broken), timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
                if link.broken.done():
                    link.broken.result()
                self._tick(link)
            self._link = None  # no more records
            await self._herald.goodbye(link)
        finally:
            opening.cancel()
            link.close()

    def _begin(self, link: Link) -> None:
        logger.info("connected to the broker at %s with MQTT %s", self._access, self._protocols[0])
        self._error = ""
        self._welcome_s = self._last_ack_s = _now_s()
        self._sent.clear()
        self._outbox.rewind(_now_s())
        self._outbox.in_flight = max(1, min(IN_FLIGHT, link.receive_maximum - 1))  # one for the status
        if self._mode == "collector":
            link.subscribe(self._topics["receipt"])
        if self._on_command is not None:
            link.subscribe(self._topics["command"])
        self._link = link
        self._herald.birth(link, _now_s())
        self._pump()

    def _tick(self, link: Link) -> None:
        link.tick()
        now_s = _now_s()
        bytes_out = sum(len(envelope.payload) for envelope in self._sent.values())
        if self._sent and now_s - self._last_ack_s > _ACK_S + bytes_out / _SLOWEST_BYTES_PER_S:
            raise LinkError(f"the broker has acknowledged nothing for {now_s - self._last_ack_s:.0f} s")
        self._outbox.tick(now_s)
        self._herald.tick(link, now_s)
        self._pump()

    def _look(self) -> None:
        self._lag.look(_now_s())
        self._outbox.look(_now_s())

    def _pump(self) -> None:
        """Send as much as may be unacknowledged."""
        if self._link is None:
            return
        now_s = _now_s()
        while envelope := self._outbox.take(now_s):
            envelope = self._addressed(envelope)
            if not self._link.carries(envelope.topic, envelope.payload):
                self._too_large(envelope, self._link.packet_bytes)
                continue
            if not self._sent:
                self._last_ack_s = now_s
            retain = envelope.kind in wire.RETAINED_KINDS
            self._sent[self._link.publish(envelope.topic, envelope.payload, retain=retain)] = envelope

    def _addressed(self, envelope: Envelope) -> Envelope:
        """Send it where its payload belongs: the chain covers no more; a bit may have flipped in the column."""
        with contextlib.suppress(EvidenceError):  # of another version
            return replace(envelope, topic=wire.topic_of(self._spool.gateway, wire.decode(envelope.payload)))
        return envelope

    def _too_large(self, envelope: Envelope, most: int) -> None:
        self._outbox.set_aside(envelope.seq)
        what = f"{envelope.kind} {envelope.seq} has {len(envelope.payload)} bytes; the broker takes {most} at most"
        self._complain("too_large", f"{what}: raise its max_packet_size")

    def _acknowledged(self, number: int, reason: int) -> None:
        envelope, now_s = self._sent.pop(number, None), _now_s()
        self._last_ack_s = now_s
        if envelope is None or envelope.stream != self._spool.stream:
            return
        if reason >= _FAILURES:
            self._outbox.returned(envelope.seq, now_s, refused=True)
            why = "not authorized: see its access rules" if reason == _NOT_AUTHORIZED else f"reason 0x{reason:02X}"
            self._complain(f"puback {reason}", f"the broker does not take messages on {envelope.topic}: {why}")
        elif reason == _NO_SUBSCRIBERS:
            self._outbox.returned(envelope.seq, now_s, refused=False)
        else:
            self._outbox.acknowledged(envelope.seq, now_s)
        self._after_confirmation()

    def _received(self, topic: str, payload: bytes) -> None:
        if not payload:  # a retained receipt or command was cleared
            return
        if topic == self._topics["command"] and self._on_command is not None:
            self._on_command(payload)
        elif topic == self._topics["receipt"]:
            receipt = self._inbox.take(payload, _now_s())
            if receipt is not None:
                self._outbox.receipted(receipt, _now_s())
                self._lag.look(_now_s())
            self._after_confirmation()

    def _after_confirmation(self) -> None:
        if self._outbox.confirmed:
            self._confirmed.set()
        self._pump()

    def _lived_s(self) -> float:
        return 0.0 if self._welcome_s is None else _now_s() - self._welcome_s

    def _complain(self, sort: str, text: str) -> None:
        self._error = text
        self._complaints.tell("broker_refuses", sort, text, _now_s())

    def _explain(self, error: LinkError) -> None:
        """Say once what is wrong, and try the other version of the protocol where that may be it."""
        text = str(error)
        if error.trouble is Trouble.UNANSWERED and len(self._protocols) > 1:
            self._protocols = self._protocols[::-1]
            text = f"{text}; trying MQTT {self._protocols[0]}"
        if error.trouble is Trouble.REFUSED:
            self._complaints.tell("broker_refuses", "connection", text, _now_s())
        elif error.trouble is Trouble.TAKEN_OVER:
            text = f"{text}: another gateway runs with the id {self._spool.gateway}"
            self._complaints.tell("duplicate_client", "", text, _now_s())
        elif self._welcome_s is not None and self._backoff.failures >= _CLONE_KICKS:
            text += ", again and again: a bad line, another gateway with our id, or a record too large for the broker"
        if _now_s() - self._warned.get(text, -_WARN_S) >= _WARN_S:
            self._warned = {text: _now_s()} if len(self._warned) > _WARNINGS else self._warned | {text: _now_s()}
            logger.warning("%s; records wait in the spool", text)
        self._error = text


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
