"""How a message becomes a record of the stream that a batch writes."""

import msgspec

from agent.deliver import chain, wire
from agent.deliver.identity.keys import GatewayKey
from agent.deliver.spool.spool import Batch
from agent.records import Trust


def enter(batch: Batch, gateway: str, message: wire.Record) -> None:
    """Append a message under the batch's stream and next number; what is signed must carry them already."""
    numbered = msgspec.structs.replace(message, stream=batch.stream, seq=batch.next_seq)
    batch.add(message.kind, wire.topic_of(gateway, message), wire.encode(numbered))


def enter_event(
    batch: Batch,
    gateway: str,
    name: str,
    time_s: int,
    trust: Trust,
    text: str,
    data: dict[str, float | int | str | None],
) -> None:
    """Append an event that concerns the gateway."""
    event = wire.Event(
        v=wire.VERSION, kind="event", stream="", seq=0, meter=None, event=name, time_s=time_s, text=text, data=data,
        clock=trust,
    )  # fmt: skip
    enter(batch, gateway, event)


def signed_gap(gap: wire.Gap, key: GatewayKey) -> wire.Gap:
    """Give a gap with our signature over where the chain goes on behind it."""
    text = chain.gap_text(gap.gateway, gap.stream, gap.from_seq, gap.through_seq, gap.head, gap.time_s)
    return msgspec.structs.replace(gap, key=key.key_id, sig=chain.sign(key.private, text))
