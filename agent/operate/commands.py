"""Which commands to believe. Only a believed one is executed, and each only once.

A command must be signed by the operator's key, name this gateway, carry a higher counter than any
before, lie within its time, and be on the list of ``command_table``. The broker, the collector and
whoever else can publish may withhold a command; they cannot make, alter, repeat or reorder one.

The counter of a command that is authentic, ours and due is used up, whatever becomes of it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Self

from agent.deliver import chain, wire
from agent.deliver.command_table import MOST, Value, check_order
from agent.errors import EvidenceError

PAYLOAD_BYTES = 8192  # the longest command of the list has 500
LONGEST_S = 7 * 86_400  # a command may wait a week for a gateway that is away, not for ever
_UNTIMED = "UR"  # letters of clocks that cannot tell the date: never set since the boot, only differences are right
_SHOWN = 300  # letters of a complaint, which may quote what was sent


@dataclass(frozen=True, slots=True)
class Order:
    """A command that is to be executed."""

    counter: int
    command: str
    arguments: Mapping[str, Value]


class RefusalError(EvidenceError):
    """A command that is not executed.

    ``counter`` and ``command`` are what the operator signed, 0 and empty where nobody did. ``is_final``
    says that the counter is used up: the same command never comes to be judged again.
    """

    def __init__(self, why: str, order: wire.CommandBody | Order | None = None, *, is_final: bool = False) -> None:
        super().__init__(why[:_SHOWN])
        self.counter = order.counter if order and 0 < order.counter <= MOST else 0
        self.command = order.command[:_SHOWN] if order else ""
        self.is_final = is_final


class NotYetError(EvidenceError):
    """A command in order, whose time has not come or cannot be told; to be judged again."""


@dataclass(frozen=True, slots=True)
class Book:
    """What must outlive a crash: the last counter, of which body and key, and the commands that are under way."""

    key: str = ""  # id of the operator's key, whose commands are counted
    counter: int = 0
    digest: str = ""  # SHA-256 of the body that had the counter
    under_way: Mapping[int, str] = field(default_factory=dict)  # counter -> command

    @classmethod
    def read(cls, kept: bytes) -> Self:
        """Read what :meth:`encoded` gave; an empty book where there was none."""
        if not kept:
            return cls()
        book = json.loads(kept)
        under_way = {int(counter): name for counter, name in book["under_way"].items()}
        return cls(book["key"], book["counter"], book["digest"], under_way)

    def of(self, key: str) -> Self:
        """Give the book for a key: another one counts from the start, and none of the old one's commands is good."""
        return self if key == self.key else type(self)(key, under_way=self.under_way)

    def encoded(self) -> bytes:
        """Give the book as it is kept."""
        return json.dumps(asdict(self)).encode()

    def begun(self, order: Order) -> Self:
        """Give the book with one more command under way."""
        return replace(self, under_way={**self.under_way, order.counter: order.command})

    def ended(self, counter: int) -> Self:
        """Give the book with one command less under way."""
        return replace(self, under_way={other: name for other, name in self.under_way.items() if other != counter})


class CommandDesk:
    """Judges the commands to one gateway. ``book`` changes with each one; it is the caller's to keep on the disk."""

    def __init__(self, gateway: str, operator_key: str, book: Book) -> None:
        self.book = book.of(chain.key_id(operator_key))
        self._gateway = gateway
        self._key = operator_key

    def judge(self, payload: bytes, now_s: float, clock: wire.Trust) -> Order | None:
        """Give what is to be executed; None for a retained command that was taken before.

        ``clock`` tells how far ``now_s`` is to be trusted. Raises :class:`RefusalError`, or
        :class:`NotYetError` where the payload is to be judged again later.
        """
        text, body = self._authentic(payload)
        digest = hashlib.sha256(text.encode()).hexdigest()
        if (body.counter, digest) == (self.book.counter, self.book.digest):
            return None
        self._check_counter(body)
        _check_due(body, now_s, clock)
        self.book = replace(self.book, counter=body.counter, digest=digest)
        try:
            if now_s > body.expires_s:
                raise EvidenceError(f"expired {now_s - body.expires_s:.0f} s ago")
            check_order(body.command, body.arguments)
        except EvidenceError as error:
            raise RefusalError(str(error), body, is_final=True) from None
        return Order(body.counter, body.command, body.arguments)

    def _authentic(self, payload: bytes) -> tuple[str, wire.CommandBody]:
        """Give the signed text and what it says, where the operator signed it, and for us."""
        if len(payload) > PAYLOAD_BYTES:
            raise RefusalError(f"{len(payload)} bytes came as a command; the longest has {PAYLOAD_BYTES}")
        try:
            message = wire.decode(payload)
            if not isinstance(message, wire.Command):
                raise EvidenceError(f"a {message.kind} came where commands are expected")
            if message.public_key != self._key:
                raise EvidenceError(f"signed by another key than the operator's, which is {chain.key_id(self._key)}")
            chain.verify(self._key, chain.command_text(message.body), message.sig)
            body = wire.command_body(message.body)
        except EvidenceError as error:
            raise RefusalError(f"no command of the operator: {error}") from None
        if body.gateway != self._gateway:
            raise RefusalError(f"a command to gateway {body.gateway[:32]!r}, and this is {self._gateway!r}")
        return message.body, body

    def _check_counter(self, body: wire.CommandBody) -> None:
        if not self.book.counter < body.counter <= MOST:
            raise RefusalError(f"an old command: its counter is not above {self.book.counter}, that of the last", body)


def _check_due(body: wire.CommandBody, now_s: float, clock: wire.Trust) -> None:
    """Leave for later what cannot be judged now: a gateway without a battery for its clock starts in the past."""
    if clock in _UNTIMED:
        raise NotYetError("the clock was not set since the boot; the command is judged when it is")
    if body.expires_s - now_s > LONGEST_S:
        raise RefusalError(f"it would expire in more than {LONGEST_S // 86_400} days", body)
    if now_s < body.not_before_s:
        raise NotYetError(f"the command is to be executed in {body.not_before_s - now_s:.0f} s")
