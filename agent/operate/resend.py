"""Carries out ``resend``: sends once more what the spool still has of a range."""

from collections.abc import Callable, Mapping

from agent.deliver.command_table import Value
from agent.deliver.spool.spool import Spool
from agent.errors import FlatwattError
from agent.operate.executor import Done, Outcome


class Resend:
    """``send_again`` queues a closed range of records of the spool."""

    def __init__(self, spool: Spool, send_again: Callable[[int, int], None]) -> None:
        self._spool = spool
        self._send_again = send_again

    def __call__(self, arguments: Mapping[str, Value], done: Done) -> None:
        """Tell how many records go out again, and how many are gone: a receipt let the spool forget them."""
        first, last = int(arguments["from_seq"]), int(arguments["through_seq"])
        if last < first:
            raise FlatwattError(f"through_seq = {last} lies before from_seq = {first}")
        if first > self._spool.last_seq:
            raise FlatwattError(f"the newest record of stream {self._spool.stream} is {self._spool.last_seq}")
        last = min(last, self._spool.last_seq)
        kept_from_seq = self._spool.floor + 1
        kept = max(first, kept_from_seq)
        sent, gone = max(0, last - kept + 1), min(last + 1, kept) - first
        if sent:
            self._send_again(kept, last)
        text = f"{sent} records go out again; {gone} are not in the spool any more"
        counts = {"kept_from_seq": kept_from_seq, "sent": sent, "gone": gone}
        done(Outcome(text, {"stream": self._spool.stream, **counts}))
