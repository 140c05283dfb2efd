"""How often receipts go out. They are cumulative, so of those that come together the newest says all.

A gateway on a line of 9600 bit/s sends two records a second; a receipt for each would fill its way back.
"""

from collections.abc import Iterable

from agent.deliver import wire

_PAUSE_S = 1.0  # between two receipts of one stream; gateways wait for three times as long before they repeat

_Stream = tuple[str, str]


class Pace:
    """Lets out the first receipt of a stream at once, and after it one a second: the newest. Times only go on."""

    def __init__(self) -> None:
        self._waiting: dict[_Stream, wire.ReceiptMessage] = {}
        self._out_s: dict[_Stream, float] = {}

    def put(self, receipts: Iterable[wire.ReceiptMessage]) -> None:
        """Take new receipts in the place of those that wait; of several streams their order stays."""
        for receipt in receipts:
            stream = (receipt.gateway, receipt.stream)
            self._waiting.pop(stream, None)
            self._waiting[stream] = receipt

    def take(self, now_s: float) -> list[wire.ReceiptMessage]:
        """Give those that may go out now."""
        self._out_s = {stream: out_s for stream, out_s in self._out_s.items() if now_s - out_s < _PAUSE_S}
        due = [stream for stream in self._waiting if stream not in self._out_s]
        self._out_s |= dict.fromkeys(due, now_s)
        return [self._waiting.pop(stream) for stream in due]

    def pause_s(self, now_s: float, most_s: float) -> float:
        """Give how long to wait for the next one, at most ``most_s``."""
        pauses = (self._out_s[stream] + _PAUSE_S - now_s for stream in self._waiting if stream in self._out_s)
        return max(0.0, min(pauses, default=most_s))
