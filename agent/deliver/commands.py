"""Which commands to believe. Only a believed one is executed, and each only once.

A command must be signed by the operator's key, name this gateway, carry a higher counter than any
before, lie within its time, and be on the list of ``command_table``. The broker, the collector and
whoever else can publish may withhold a command; they cannot make, alter, repeat or postpone one.

The counter of a command that is ours and authentic is used up whatever becomes of it. ``Book`` is
what must be on the disk before anything is executed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from agent.deliver import chain, wire
from agent.deliver.command_table import MOST, Value, check_order
from agent.errors import EvidenceError

PAYLOAD_BYTES = 8192  # the longest command of the list has 500
LONGEST_S = 7 * 86_400  # a command may wait a week for a gateway that is away, not for ever
_UNTIMED = "UR"  # letters of clocks that cannot tell the date: never set since the boot, only differences are right


class Refusal(EvidenceError):
    """A command that is not executed. ``counter`` and ``command`` are given where the operator signed them."""

    def __init__(self, why: str, counter: int = 0, command: str = "") -> None:
        super().__init__(why)
        self.counter = counter
        self.command = command


class NotYetError(EvidenceError):
    """A command in order, whose time has not come or cannot be told; to be judged again."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command that is to be executed."""

    counter: int
    command: str
    arguments: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Book:
    """What must outlive a crash: the last counter, of which body, and the commands that are under way."""

    counter: int = 0
    digest: str = ""
    under_way: Mapping[int, str] = field(default_factory=dict)  # counter -> command

    @classmethod
    def read(cls, text: str | None) -> Self:
        """Read a book that :meth:`text` wrote; an empty one where there is none."""
        if not text:
            return cls()
        kept = json.loads(text)
        return cls(kept["counter"], kept["digest"], {int(key): name for key, name in kept["under_way"].items()})

    def text(self) -> str:
        """Give the book as it is kept."""
        return json.dumps({"counter": self.counter, "digest": self.digest, "under_way": dict(self.under_way)})

    def used(self, counter: int, body: str) -> Self:
        """Give the book after the counter of this body was used up."""
        return replace(self, counter=counter, digest=_digest(body))

    def begun(self, order: Order) -> Self:
        """Give the book with one more command under way."""
        return replace(self, under_way={**self.under_way, order.counter: order.command})

    def ended(self, counter: int) -> Self:
        """Give the book with one command less under way."""
        return replace(self, under_way={key: name for key, name in self.under_way.items() if key != counter})


class CommandDesk:
    """Judges the commands to one gateway by the operator's public key; ``book`` is what it knows so far."""

    def __init__(self, gateway: str, operator_key: str, book: Book) -> None:
        self.book = book
        self._gateway = gateway
        self._key = operator_key

    def judge(self, payload: bytes, now_s: float, clock: str) -> Order | None:
        """Give what is to be executed; None for a command that was taken before.

        ``clock`` is the letter of trust in ``now_s``. Raises :class:`Refusal`, or :class:`NotYetError` where
        the same payload is to be judged again later. Where the book has changed, it is to be kept.
        """
        text, body = self._authentic(payload)
        if self._taken_before(text, body):
            return None
        self._check_time(body, now_s, clock)
        self.book = self.book.used(body.counter, text)
        try:
            if now_s > body.expires_s:
                raise EvidenceError(f"it expired {now_s - body.expires_s:.0f} s ago")
            check_order(body.command, body.arguments)
        except EvidenceError as error:
            raise Refusal(f"refused: {error}", body.counter, body.command[:40]) from None
        return Order(body.counter, body.command, body.arguments)

    def _authentic(self, payload: bytes) -> tuple[str, wire.CommandBody]:
        """Give the signed text and what it says, if the operator signed it, and for us."""
        if len(payload) > PAYLOAD_BYTES:
            raise Refusal(f"{len(payload)} bytes came as a command; the longest has {PAYLOAD_BYTES}")
        try:
            message = wire.decode(payload)
            if not isinstance(message, wire.Command):
                raise EvidenceError(f"a {message.kind} came where commands are expected")
            if message.public_key != self._key:
                raise EvidenceError(f"signed by another key, not the operator's {chain.key_id(self._key)}")
            chain.verify(self._key, chain.command_text(message.body), message.sig)
            body = wire.command_body(message.body)
        except EvidenceError as error:
            raise Refusal(f"no command of the operator: {error}") from None
        if body.gateway != self._gateway:
            raise Refusal(f"a command to gateway {body.gateway[:32]!r}, and this is {self._gateway!r}")
        return message.body, body

    def _taken_before(self, text: str, body: wire.CommandBody) -> bool:
        """Tell a retained command that comes again from one that must not."""
        if body.counter == self.book.counter and _digest(text) == self.book.digest:
            return True
        if not self.book.counter < body.counter <= MOST:
            why = f"counter {body.counter} is not above {self.book.counter}, the last one: an old command"
            raise Refusal(f"refused: {why}", max(0, min(body.counter, MOST)), body.command[:40])
        return False

    def _check_time(self, body: wire.CommandBody, now_s: float, clock: str) -> None:
        """Leave for later what cannot be judged now; a gateway without a clock starts in the past."""
        if clock in _UNTIMED:
            raise NotYetError("the clock was not set since the boot; it is judged when it is")
        if body.expires_s - now_s > LONGEST_S:
            why = f"refused: it expires more than {LONGEST_S // 86_400} days ahead"
            raise Refusal(why, body.counter, body.command[:40])
        if now_s < body.not_before_s:
            raise NotYetError(f"not before {body.not_before_s}, in {body.not_before_s - now_s:.0f} s")


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
