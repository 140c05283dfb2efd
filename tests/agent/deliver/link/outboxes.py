"""An outbox for tests, and a broker that takes everything."""

from random import Random

from agent.deliver.link.outbox import Outbox
from agent.deliver.spool.spool import Spool
from agent.records import Receipt
from tests.agent.deliver.centre import GATEWAY


def outbox(spool: Spool, *, by_broker: bool = False, drain_per_s: float = 1e9) -> Outbox:
    """Repeat after a minute; a backlog may leave as fast as it likes."""
    return Outbox(spool, 60.0, drain_per_s, by_broker=by_broker, chance=Random(5))


def send_all(box: Outbox, now_s: float) -> list[int]:
    """Take and acknowledge whatever wants to go out now."""
    sent = []
    while envelope := box.take(now_s):
        sent.append(envelope.seq)
        box.acknowledged(envelope.seq, now_s)
    return sent


def receipt(spool: Spool, through: int, *missing: tuple[int, int]) -> Receipt:
    """A believed receipt."""
    return Receipt(gateway=GATEWAY, stream=spool.stream, through=through, missing=missing, head="", time_s=0)
