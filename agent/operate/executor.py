"""Executes what the desk believes, once, and leaves a signed reply.

The counter and the name of a command are on the disk before it is executed; its end and the reply
are committed together. What a crash cut off in between may or may not have been carried out: the
next start says so, and does not try again.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agent.deliver import wire
from agent.deliver.command_table import Value
from agent.deliver.spool.spool import Spool
from agent.errors import FlatwattError
from agent.operate.commands import Book, CommandDesk, NotYetError, Order, RefusalError
from agent.operate.refusals import Refusals
from agent.records import ClockReading

logger = logging.getLogger(__name__)

SLOT = "commands"  # of the spool, where the book is kept
_AT_ONCE = 8  # commands under way: captures and renewals take longer than a moment
_HARMLESS = "diagnose"  # changes nothing, and is what one asks of a gateway whose disk is dead
_UNKEPT = f"the disk cannot be written to, nor can the counter be kept: only {_HARMLESS} is executed"

State = Literal["done", "failed", "refused"]
Data = Mapping[str, float | int | str | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command brought. Each of ``parts`` is the attachment of a reply of its own."""

    text: str
    data: Data = field(default_factory=dict)
    parts: Sequence[str] = ("",)


Done = Callable[[Outcome | FlatwattError], None]
Handler = Callable[[Mapping[str, Value], Done], None]
"""Carries out one command, and tells what it brought, now or later; a FlatwattError that it raises is a failure."""


class Executor:
    """Takes the commands to one gateway.

    ``read_clock`` gives the time and the trust in it; ``reply`` records replies and slots of the spool in
    one transaction.
    """

    def __init__(
        self,
        spool: Spool,
        operator_key: str,
        handlers: Mapping[str, Handler],
        *,
        read_clock: Callable[[], ClockReading],
        reply: Callable[[Sequence[wire.Reply], Mapping[str, bytes]], None],
    ) -> None:
        self._spool = spool
        self._desk = CommandDesk(spool.gateway, operator_key, Book.read(spool.slots.get(SLOT, b"")))
        self._handlers = handlers
        self._read_clock = read_clock
        self._record = reply
        self._refusals = Refusals()
        self._waiting: deque[bytes] = deque(maxlen=_AT_ONCE)  # commands whose time has not come
        self._is_closed = False

    def resume(self) -> None:
        """Tell of the commands that a crash or a restart cut off."""
        for counter, command in self._desk.book.under_way.items():
            self._end(counter, command, FlatwattError("the agent was stopped while it executed this command"))

    def close(self) -> None:
        """Hear no more of what is under way: another executor keeps the book from now on."""
        self._is_closed = True

    def take(self, payload: bytes) -> None:
        """Judge what came under ``down/command``, and execute it if it is believed."""
        self._judge(payload, is_news=True)

    def tick(self) -> None:
        """Judge the commands that wait once more, in the order in which they came; call it often."""
        for _ in range(len(self._waiting)):
            self._judge(self._waiting.popleft(), is_news=False)

    def _judge(self, payload: bytes, *, is_news: bool) -> None:
        now = self._read_clock()
        try:
            order = self._desk.judge(payload, now.utc_s, now.trust)
            if order is not None:
                self._check_room(order)
                self._execute(order)
        except NotYetError as error:
            if payload in self._waiting:
                return
            self._waiting.append(payload)
            if is_news:
                logger.warning("%s", error)
        except RefusalError as error:
            self._refuse(payload, error, now.utc_s)

    def _check_room(self, order: Order) -> None:
        if self._is_unkept(order):
            raise RefusalError(_UNKEPT, order, is_final=True)
        if len(self._desk.book.under_way) >= _AT_ONCE:
            raise RefusalError(f"{_AT_ONCE} commands are under way already", order, is_final=True)

    def _is_unkept(self, order: Order) -> bool:
        return self._spool.storage == "memory" and order.command != _HARMLESS

    def _execute(self, order: Order) -> None:
        self._desk.book = self._desk.book.begun(order)
        with self._spool.batch() as batch:
            batch.slots[SLOT] = self._desk.book.encoded()
        if self._is_unkept(order):  # the disk failed just now
            self._end(order.counter, order.command, FlatwattError(_UNKEPT))
            return
        logger.warning("command %d of the operator: %s %s", order.counter, order.command, dict(order.arguments))

        def done(outcome: Outcome | FlatwattError) -> None:
            self._end(order.counter, order.command, outcome)

        try:
            self._handlers[order.command](order.arguments, done)
        except FlatwattError as error:
            done(error)

    def _end(self, counter: int, command: str, outcome: Outcome | FlatwattError) -> None:
        """Record the reply, and in the same transaction that the command is over."""
        if self._is_closed:
            return
        self._desk.book = self._desk.book.ended(counter)
        if isinstance(outcome, FlatwattError):
            logger.warning("command %d: %s failed: %s", counter, command, outcome)
            self._reply([self._message(counter, command, "failed", str(outcome), {})])
            return
        count = len(outcome.parts)
        numbers = [{"part": number, "parts": count} if count > 1 else {} for number in range(1, count + 1)]
        self._reply(
            [
                self._message(counter, command, "done", outcome.text, {**outcome.data, **number}, part)
                for number, part in zip(numbers, outcome.parts, strict=True)
            ]
        )

    def _refuse(self, payload: bytes, refusal: RefusalError, now_s: float) -> None:
        """Tell of a refusal: always of what the operator signed and will not come again, of all else now and then."""
        count = 1 if refusal.is_final else self._refusals.count(payload, now_s)
        if not count:
            return
        logger.warning("a command is refused: %s", refusal)
        message = self._message(refusal.counter, refusal.command, "refused", str(refusal), {"refusals": count})
        self._reply([message])

    def _reply(self, replies: Sequence[wire.Reply]) -> None:
        self._record(replies, {SLOT: self._desk.book.encoded()})

    def _message(
        self, counter: int, command: str, state: State, text: str, data: Data, attachment: str = ""
    ) -> wire.Reply:
        return wire.Reply(
            v=wire.VERSION, kind="reply", stream="", seq=0, counter=counter, command=command, state=state,
            time_s=int(self._read_clock().utc_s), text=text, data=dict(data), attachment=attachment,
        )  # fmt: skip
