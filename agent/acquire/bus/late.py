"""Answers that may still come after their requests were given up. Bookkeeping in seconds, no clock."""

from dataclasses import dataclass

from agent.records import ReadRequest


@dataclass(frozen=True, slots=True)
class Owed:
    """A request without an answer: when it was sent, and until when the answer may come."""

    request: ReadRequest | None  # None: something came unasked, and more of it may
    sent_s: float
    until_s: float


class LateAnswers:
    """What is still owed, by what an answer can be told by: the unit on RTU, the transaction on TCP."""

    def __init__(self) -> None:
        self._owed: dict[int, Owed] = {}

    def __contains__(self, key: int) -> bool:
        return key in self._owed

    def __bool__(self) -> bool:
        return bool(self._owed)

    def owe(self, key: int, owed: Owed) -> None:
        """Expect an answer."""
        self._owed[key] = owed

    def settle(self, key: int) -> Owed | None:
        """Note that it has come."""
        return self._owed.pop(key, None)

    def expire(self, now_s: float) -> None:
        """Forget what can come no more."""
        self._owed = {key: owed for key, owed in self._owed.items() if owed.until_s > now_s}

    def until_s(self, key: int) -> float:
        """Give until when an answer may come; in the past where none is owed."""
        owed = self._owed.get(key)
        return float("-inf") if owed is None else owed.until_s

    def last_s(self) -> float:
        """Give until when any answer may come; in the past where none is owed."""
        return max((owed.until_s for owed in self._owed.values()), default=float("-inf"))
