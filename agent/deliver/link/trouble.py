"""What a broker's reason codes mean for us: which of them to wait out, and for how long.

The numbers are those of MQTT 5 (2.4); paho gives the six codes of a 3.1.1 CONNACK as these.
"""

import random
from enum import Enum

from agent.errors import FlatwattError

_STEADY_S = 60.0  # a connection that lived so long was a good one
_CARRIED_S = 3.0  # one that lived so long has carried something:
_WORTH_S = 300.0  # for so long afterwards the line is worth trying
_WORTH_PAUSE_S = 10.0  # at least so often
_FIRST_PAUSE_S = 0.5  # a broker that restarts is back within seconds
_LONGEST_PAUSE_S = 45.0  # one that was away for long is found again within a minute


class Trouble(Enum):
    """Why there is no connection."""

    LOST = "the line broke"
    UNANSWERED = "perhaps a broker of another version of MQTT"
    REFUSED = "we are not let in, and an operator must act"
    TAKEN_OVER = "somebody else connected with our client id"
    BUSY = "the broker wants less, or later"


_TROUBLES = {
    0x81: Trouble.UNANSWERED,  # malformed packet
    0x82: Trouble.UNANSWERED,  # protocol error
    0x84: Trouble.UNANSWERED,  # unsupported protocol version
    0x85: Trouble.REFUSED,  # client identifier not valid
    0x86: Trouble.REFUSED,  # bad user name or password
    0x87: Trouble.REFUSED,  # not authorized
    0x88: Trouble.BUSY,  # server unavailable
    0x89: Trouble.BUSY,  # server busy
    0x8A: Trouble.REFUSED,  # banned
    0x8C: Trouble.REFUSED,  # bad authentication method
    0x8E: Trouble.TAKEN_OVER,  # session taken over
    0x93: Trouble.BUSY,  # receive maximum exceeded
    0x96: Trouble.BUSY,  # message rate too high
    0x97: Trouble.BUSY,  # quota exceeded
    0x9F: Trouble.BUSY,  # connection rate exceeded
}


class LinkError(FlatwattError):
    """The connection could not be made, or broke."""

    def __init__(self, text: str, trouble: Trouble = Trouble.LOST) -> None:
        super().__init__(text)
        self.trouble = trouble


def trouble_of(reason: int) -> Trouble:
    """Give what a reason code of CONNACK or DISCONNECT means.

    >>> trouble_of(0x8E), trouble_of(0x8B)
    (<Trouble.TAKEN_OVER: 'somebody else connected with our client id'>, <Trouble.LOST: 'the line broke'>)
    """
    return _TROUBLES.get(reason, Trouble.LOST)


class Backoff:
    """How long to stay away after a connection ended: full jitter, so that a fleet does not come back in step."""

    def __init__(self) -> None:
        self.failures = 0  # in a row
        self._worth_until_s = 0.0

    def pause_s(self, trouble: Trouble, lived_s: float, now_s: float) -> float:
        """Give the pause after a connection that ended so, ``lived_s`` after the broker's welcome, 0 without one."""
        self.failures = 0 if lived_s >= _STEADY_S else self.failures + 1
        if lived_s >= _CARRIED_S:
            self._worth_until_s = now_s + _WORTH_S
        if trouble in (Trouble.REFUSED, Trouble.TAKEN_OVER):  # at once would be as bad, or worse for the other one
            return random.uniform(0.5, 1.0) * _LONGEST_PAUSE_S  # noqa: S311 - no secret
        is_worth = now_s < self._worth_until_s and trouble is not Trouble.BUSY
        most_s = _WORTH_PAUSE_S if is_worth else _LONGEST_PAUSE_S
        longest_s = min(most_s, _FIRST_PAUSE_S * 2 ** min(self.failures, 16))
        return random.uniform(0.0, longest_s)  # noqa: S311 - no secret
